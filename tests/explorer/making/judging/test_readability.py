"""What is said of each ray, from the control's own numbers by counting; and that it is said wherever rays are read."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from app.core.address import parse
from app.core.judging.rays import HEADLINE, LENGTHS
from app.core.matrix import NEURON, WRITE
from app.explorer.errors import BadOption
from app.explorer.layout import CONTROL_DIRECTIONS, KEPT_TOKENS, STRONGEST_DIRECTIONS
from app.explorer.making import heads
from app.explorer.making.context import Context
from app.explorer.making.judging import controls
from app.explorer.making.judging.controls import load_control
from app.explorer.making.judging.readability import _stand_by_longest, judge_readouts, read_and_judge, read_headlines
from app.explorer.making.sides import read_side
from app.explorer.making.tables import Tables
from app.explorer.recipes import CONTROL_SEED
from app.explorer.visits import browse
from app.explorer.visits.browse import Options
from app.models.token_filter import EVERY, TokenFilter
from app.store.artifacts import ArtifactStore
from tests.explorer.steps import run_steps

NUMBERS = (
    "coherence",
    "z",
    "p",
    "forms_z",
    "forms_p",
    "beyond_z",
    "beyond_p",
    "spelling_z",
    "spelling_p",
    "beyond_share",
)
NAMES = (*NUMBERS, "n_forms", "letterless", "reading", "difference_p")


@pytest.fixture(scope="module")
def context(seen_of, tmp_path_factory):
    r, slug = seen_of("gpt2")
    return Context(
        Tables("cpu"), r.library.model(slug), "folded", ArtifactStore(tmp_path_factory.mktemp("artifacts"), 10**9)
    )


@pytest.fixture(scope="module")
def vectors():
    drawn = torch.randn(12, 32, generator=torch.Generator().manual_seed(2))
    return torch.nn.functional.normalize(drawn, dim=1)


@pytest.fixture(scope="module")
def found(context, vectors):
    return read_and_judge(context, "write", vectors)


def place(value, others):
    """z and p, by counting."""
    others = [float(each) for each in others]
    mean = sum(others) / len(others)
    spread = (sum((each - mean) ** 2 for each in others) / (len(others) - 1)) ** 0.5
    return (value - mean) / spread, (1 + sum(each >= value for each in others)) / (1 + len(others))


def test_every_ray_stands_where_counting_puts_it(context, vectors, found):
    by = load_control(context, "write")
    assert found["z"].shape == found["p"].shape == found["coherence"].shape == (12, 2, len(LENGTHS))
    for direction, ray in np.ndindex(12, 2):
        for at in range(len(LENGTHS)):
            z, p = place(found["coherence"][direction, ray, at], by.coherence[..., at].flatten())
            assert found["z"][direction, ray, at] == pytest.approx(z, abs=1e-4)
            assert found["p"][direction, ray, at] == pytest.approx(p, rel=1e-6)
        plus, minus = found["coherence"][direction, :, HEADLINE]
        _, p = place(abs(plus - minus), [abs(one - other) for one, other in by.coherence[..., HEADLINE]])
        assert found["difference_p"][direction] == pytest.approx(p, rel=1e-6)
    assert {found[name].dtype for name in (*NUMBERS, "difference_p")} == {np.dtype(np.float32)}


def longest(values, others):
    """z, p and excess by the longest length that the ray has, of those that a quarter of the random rays have."""
    known = [[each for each in others[..., at].flatten().tolist() if each == each] for at in range(len(values))]
    usable = [at for at, value in enumerate(values) if value == value and 4 * len(known[at]) >= others[..., at].size]
    if not usable:
        return np.nan, np.nan, np.nan
    value, others = values[usable[-1]], known[usable[-1]]
    return (*place(value, others), value - sum(others) / len(others))


def test_forms_stand_beside_those_of_random_rays(context, found):
    by = load_control(context, "write")
    raw = controls.measure_rays(by.judge, np.stack([found["top_ids"], found["bottom_ids"]], axis=1))
    for direction, ray in np.ndindex(12, 2):
        told = {name: longest(raw[name][direction, ray], getattr(by, name)) for name in ("forms", "beyond", "spelling")}
        for name, (z, p, _) in told.items():
            assert found[f"{name}_z"][direction, ray] == pytest.approx(z, abs=1e-4, nan_ok=True)
            assert found[f"{name}_p"][direction, ray] == pytest.approx(p, rel=1e-6, nan_ok=True)
            assert np.isnan(raw[name][direction, ray]).all() or np.isfinite(p)
        share = told["beyond"][2] / told["forms"][2] if told["forms"][1] < 0.01 else np.nan
        assert found["beyond_share"][direction, ray] == pytest.approx(share, rel=1e-4, nan_ok=True)


def test_as_many_forms_as_a_ray_has_stand_beside_as_many():
    draw = np.random.default_rng(0)
    random = draw.normal(0, [5, 3, 2, 1], (100, 2, 4))
    for at, share in enumerate((0, 0.1, 0.7, 0.9)):  # the last length is too rare, the one before is not
        random[..., at][draw.random((100, 2)) < share] = np.nan
    values = draw.normal(0, 3, (40, 2, 4))
    values[np.arange(4) >= draw.integers(0, 5, (40, 2, 1))] = np.nan
    expected = np.array([longest(values[place], random) for place in np.ndindex(40, 2)]).reshape(40, 2, 3)
    for at, found in enumerate(_stand_by_longest(values, random)):
        np.testing.assert_allclose(found, expected[..., at], rtol=1e-9)
        assert 0 < np.isnan(found).mean() < 0.5


def test_a_random_direction_of_the_control_gets_its_own_number(context):
    drawn = torch.randn(CONTROL_DIRECTIONS, 32, generator=torch.Generator().manual_seed(CONTROL_SEED))
    again = read_and_judge(context, "write", torch.nn.functional.normalize(drawn, dim=1)[[0, 5, 1_999]])
    np.testing.assert_allclose(again["coherence"], load_control(context, "write").coherence[[0, 5, 1_999]], atol=1e-5)


def test_readouts_are_those_of_the_table(context, vectors, found):
    plain = context.tables.read(context.model, "folded", "write", vectors, KEPT_TOKENS)
    assert set(found) == set(plain) | set(NAMES)
    for name, array in plain.items():
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize("k", [1, 8, 20, 70])
def test_how_many_tokens_are_asked_for_does_not_change_the_judgement(context, vectors, found, k):
    some = read_and_judge(context, "write", vectors, k)
    assert some["top_ids"].shape == some["bottom_scores"].shape == (12, k)
    n = min(k, KEPT_TOKENS)
    np.testing.assert_array_equal(some["top_ids"][:, :n], found["top_ids"][:, :n])
    for name in NAMES:
        np.testing.assert_array_equal(some[name], found[name])


def test_headlines_are_those_of_the_whole_judgement(context, vectors, found):
    own = read_headlines(context, "write", vectors)
    assert set(own) == {"z", "p"}
    for name, values in own.items():
        assert values.dtype == np.float32
        assert np.array_equal(values, found[name][..., HEADLINE])


def test_a_direction_turned_round_has_its_rays_swapped(context, vectors, found):
    turned = read_and_judge(context, "write", -vectors)
    for name in (*NUMBERS, "n_forms", "letterless", "reading"):
        np.testing.assert_allclose(turned[name][:, ::-1], found[name], atol=1e-5)
    np.testing.assert_allclose(turned["difference_p"], found["difference_p"], atol=1e-5)


def test_length_does_not_matter(context, vectors, found):
    longer = read_and_judge(context, "write", vectors * 11)
    for name in NAMES:
        np.testing.assert_allclose(longer[name], found[name], atol=1e-5)


def test_the_number_of_threads_does_not_matter(context, vectors, found, tmp_path):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1 if before > 1 else 2)
        own = Context(Tables("cpu"), context.model, "folded", ArtifactStore(tmp_path, 10**9))
        again = read_and_judge(own, "write", vectors)
    finally:
        torch.set_num_threads(before)
    for name in ("coherence", "z", "forms_z", "spelling_z"):
        np.testing.assert_allclose(again[name], found[name], atol=1e-4, rtol=1e-4)


def test_no_vectors_have_no_judgements(context):
    nothing = read_and_judge(context, "write", torch.zeros(0, 32))
    assert {len(nothing[name]) for name in NAMES} == {0}
    assert nothing["z"].shape == (0, 2, len(LENGTHS))


@pytest.mark.parametrize("token_filter", [TokenFilter(frequent=100), TokenFilter(frequent=30, plain=True)])
def test_a_filter_judges_by_its_own_control(context, vectors, found, token_filter):
    limited = replace(context, token_filter=token_filter)
    some = read_and_judge(limited, "write", vectors)
    assert some["top_ids"].min() >= token_filter.frequent
    by = load_control(limited, "write")
    z, p = place(some["coherence"][3, 1, HEADLINE], by.coherence[..., HEADLINE].flatten())
    assert some["z"][3, 1, HEADLINE] == pytest.approx(z, abs=1e-4)
    assert some["p"][3, 1, HEADLINE] == pytest.approx(p, rel=1e-6)
    assert not np.allclose(by.coherence, load_control(context, "write").coherence)


def test_where_there_is_no_control_there_is_only_the_readout(seen_of, vectors):
    r, slug = seen_of("gpt2")
    small = Context(Tables("cpu"), r.library.model(slug), "raw", r.store, TokenFilter(frequent=250))
    found = read_and_judge(small, "write", vectors)
    assert not set(found) & set(NAMES)
    assert found["top_ids"].shape == (12, 50)
    assert judge_readouts(small, "write", found) == {}
    assert all(np.isnan(values).all() for values in read_headlines(small, "write", vectors).values())
    assert set(read_and_judge(small, "write", vectors[:0])) == set(found)


def test_both_sides_of_a_head_are_judged_and_its_bias_too(context):
    arrays, _ = heads.read_matrix(context, 1, 2, "ov")
    for prefix, side in {"left": "read", "right": "write", "bias": "write"}.items():
        ids = np.stack([arrays[f"{prefix}_top_ids"], arrays[f"{prefix}_bottom_ids"]], axis=1)
        by = load_control(context, side)
        own = controls.measure_rays(by.judge, ids)["coherence"]
        np.testing.assert_array_equal(arrays[f"{prefix}_coherence"], own)
        assert arrays[f"{prefix}_p"].shape == (len(ids), 2, len(LENGTHS))
    keys, _ = heads.read_matrix(context, 1, 2, "qk")
    assert {f"{side}_z" for side in ("left", "right", "bias")} <= set(keys)


def test_a_layer_in_little_has_the_judgements_of_the_whole(context):
    few, _ = heads.read_layer(context, 0)
    whole, _ = heads.read_matrix(context, 0, 3, "qk")
    of = (few["head"] == 3) & (few["circuit"] == 1)
    assert of.sum() == STRONGEST_DIRECTIONS
    for name in NAMES:
        np.testing.assert_array_equal(few[f"left_{name}"][of], whole[f"left_{name}"][:STRONGEST_DIRECTIONS])


def test_only_vectors_of_the_stream_are_judged(context, vectors):
    assert set(NAMES) <= set(run_steps(read_side(context, WRITE, vectors)))
    assert not set(NAMES) & set(run_steps(read_side(context, NEURON, vectors)))


@pytest.mark.parametrize(
    ("family", "token_filter", "said"),
    [
        ("gpt2", TokenFilter(frequent=300), "leaves 0 of 304 tokens: at least 20"),
        ("gpt2", TokenFilter(frequent=281), "leaves 19 of 304 tokens: at least 20"),
        ("gpt2", TokenFilter(frequent=304), "frequent goes from 0 to 303"),
        ("gpt2", TokenFilter(frequent=-1), "frequent goes from 0 to 303"),
        ("llama", TokenFilter(frequent=96), "leaves 1 of 100 tokens: at least 20"),
        ("bert", TokenFilter(starts=True, frequent=40), "leaves 10 of 100 tokens: at least 20"),
    ],
)
def test_a_filter_that_leaves_few_is_refused_with_the_range(seen_of, family, token_filter, said):
    r, slug = seen_of(family)
    with pytest.raises(BadOption, match=said):
        browse.visit_matrix(r, parse(f"{slug}/L0/H0/ov"), Options(weights="raw", token_filter=token_filter))


def test_a_filter_that_leaves_just_enough_is_read_and_not_judged(explorer, patiently):
    options = Options(weights="raw", token_filter=TokenFilter(frequent=280))
    page = patiently(browse.visit_matrix, explorer, parse("tiny/L0/H0/ov"), options)
    assert all(token.id >= 280 for row in page.directions for token in row.right.plus)
    assert all(row.left.rays is None and row.right.rays is None for row in page.directions)
    assert page.verdicts == ()


def test_a_page_says_what_its_filter_leaves(explorer, patiently):
    """Of 300 tokens 150 are enough to judge by."""
    options = Options(weights="raw", token_filter=TokenFilter(frequent=150))
    some = patiently(browse.visit_matrix, explorer, parse("tiny/L0/H0/ov"), options)
    whole = patiently(browse.visit_matrix, explorer, parse("tiny/L0/H0/ov"), Options(weights="raw"))
    assert all(token.id >= 150 for row in some.directions for token in (*row.right.plus, *row.left.minus))
    assert {token.id for row in whole.directions for token in row.right.plus} - set(range(150, 300))
    assert some.directions[0].right.rays.plus.z != whole.directions[0].right.rays.plus.z
    assert EVERY == whole.view.token_filter != some.view.token_filter
