"""The page of a census: what its parts say together, while they come and once they are there."""

import dataclasses
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest

from app.core.address import parse
from app.core.judging.rays import HEADLINE
from app.explorer import groups, recipes
from app.explorer.asking.views import Options
from app.explorer.errors import BadOption, NotReady, UnknownAddress
from app.explorer.reading.census import counts
from app.explorer.visits import census, orders

TINY = parse("tiny")


def joined(rays):
    """All columns of a file, whole."""
    columns = {}
    for part in rays.parts:
        for name, values in part.items():
            columns.setdefault(name, []).extend(values)
    return columns


def whole(r, address=TINY, weights=None, seconds=60):
    """The page once every layer is read, asked for as a browser would."""
    for _ in range(seconds * 20):
        page = census.visit_census(r, address, Options(weights=weights))
        if page.is_whole:
            return page
        time.sleep(0.05)
    raise TimeoutError


@pytest.fixture(scope="module")
def page(explorer):
    return whole(explorer, weights="folded")


def kind(page, group):
    (found,) = (each for each in page.kinds if each.kind == group)
    return found


def test_kinds_are_what_their_rows_say(explorer, page):
    model = explorer.library.model("tiny")
    layers = [explorer.store.load(recipes.census_part(model, layer, "folded")).arrays for layer in (0, 1)]
    own = [arrays["group"] == groups.GROUPS.index("ov-write") for arrays in layers]
    z, p = (np.concatenate([arrays[name][rows] for arrays, rows in zip(layers, own, strict=True)]) for name in "zp")
    found = kind(page, "ov-write")
    assert (found.matrices, found.rays, found.unjudged) == (8, z.size, 0)
    assert found.mean_z.value == pytest.approx(z.mean(dtype=float))
    recipe = recipes.control(model, "write", "folded")
    random = explorer.store.load(recipe).arrays["coherence"][..., HEADLINE].astype(float).ravel()
    random = (random - random.mean()) / random.std(ddof=1)
    wins = (z.reshape(-1, 1) > random).mean() + (z.reshape(-1, 1) == random).mean() / 2
    assert found.larger_than_random.value == pytest.approx(wins, abs=0.002)
    assert found.readable.value == pytest.approx((p < 0.01).mean())
    assert found.by_layer == pytest.approx([arrays["z"][rows].mean() for arrays, rows in zip(layers, own, strict=True)])
    assert kind(page, "embed").mean_z.interval is None
    assert [end for end, _ in page.controls] == ["read", "write"]


def test_the_page_has_every_kind_of_the_model_and_compares_what_it_can(page):
    assert [each.kind for each in page.kinds] == [
        name
        for name in groups.GROUPS
        if groups.is_kind(name) and name not in {"mlp-gate", "mlp-gate-cut"} and not name.endswith(groups.AXES)
    ]
    assert {(one.first, one.second) for one in page.comparisons} == set(counts.COMPARED_KINDS)
    assert [one.about for one in page.findings] == ["order", "size", "span", "random", "rank", "components", "layers"]
    assert page.missing == ()


def test_of_a_random_model_with_few_matrices_little_is_claimed(page):
    order = next(one for one in page.findings if one.about == "order")
    # It has two MLPs: nothing can be said against them.
    assert order.answer.endswith(
        "MLP > embedding: one matrix or fewer than 5 layers on one side, so nothing is claimed."
    )
    assert order.answer.count(":") == 1
    assert all("nothing is claimed" in sentence for sentence in order.evidence)


def test_both_weights_are_shown_once_both_are_whole(explorer, page):
    raw = whole(explorer, weights="raw")
    assert raw.other_weights == "folded"
    assert raw.other == page.kinds
    assert whole(explorer, weights="folded").other == raw.kinds


def test_layers_join_as_they_are_read(fresh_data, open_explorer, patiently):
    r = open_explorer(fresh_data)
    model = r.library.model("tiny")
    orders.fulfil(r, orders.order_census_part(model, None, "folded"))
    orders.fulfil(r, orders.order_census_part(model, 1, "folded"))
    first = census.visit_census(r, TINY, Options())
    if not first.is_whole:  # the other layer may be there by now
        assert first.layers_read == 1
        assert kind(first, "ov-write").by_layer[0] is None
        assert kind(first, "ov-write").matrices == 4
        assert "layers" not in {one.about for one in first.findings}
        assert first.other == ()
    assert kind(whole(r), "ov-write").matrices == 8


def test_nobody_gets_a_file_of_a_part(fresh_data, open_explorer):
    r = open_explorer(fresh_data, wait_seconds=0.0)
    with pytest.raises(NotReady):
        census.visit_census(r, TINY, Options())
    for _ in range(600):
        try:
            rays = census.collect_census_rays(r, TINY, Options())
            break
        except NotReady:
            time.sleep(0.05)
    assert whole(r).is_whole
    assert len(set(map(len, joined(rays).values()))) == 1


def test_the_file_has_a_row_for_each_ray(explorer, page):
    columns = joined(census.collect_census_rays(explorer, TINY, Options(weights="folded")))
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    drawn = [row for row in rows if row["matrix"].endswith(("-span", "-weighted"))]
    assert len(rows) - len(drawn) == sum(each.rays + each.unjudged for each in page.kinds)
    assert {row["relative_rank"] for row in drawn} == {None}
    spanned = [row for row in drawn if (row["layer"], row["matrix"], row["side"]) == (1, "ov-span", "write")]
    assert len(spanned) == 2 * groups.SPAN_HEADS * groups.SPAN_VECTORS
    assert len({row["head"] for row in spanned}) == groups.SPAN_HEADS
    assert {row["head"] for row in drawn if row["matrix"].startswith("mlp")} == {None}
    head = [row for row in rows if (row["layer"], row["head"], row["matrix"], row["side"]) == (1, 2, "ov", "write")]
    assert [(row["direction"], row["ray"]) for row in head] == [(i, ray) for i in range(8) for ray in "+-"]
    assert [row["relative_rank"] for row in head[::2]] == [i / 8 for i in range(8)]
    model = explorer.library.model("tiny")
    artifact = explorer.store.load(recipes.census_part(model, 1, "folded")).arrays
    own = (artifact["group"] == groups.GROUPS.index("ov-write")) & (artifact["part"] == 2)
    np.testing.assert_allclose([row["z"] for row in head], artifact["z"][own].ravel(), atol=1e-4)
    np.testing.assert_allclose([row["p"] for row in head], artifact["p"][own].ravel(), atol=1e-6)
    cut = [row for row in rows if row["equal_rank_draw"] is not None]
    assert {row["equal_rank_draw"] for row in cut} == set(range(groups.DRAWS))
    assert {row["matrix"] for row in cut} == {"mlp-in", "mlp-out", "embed"}
    assert all(row["head"] is None for row in cut)
    ends = [row for row in rows if row["layer"] is None]
    assert {(row["matrix"], row["side"]) for row in ends} == {
        ("embed", "write"),
        ("embed-pca", "write"),
        ("unembed", "read"),
    }


def test_a_file_comes_in_parts_and_no_statistics_are_counted_for_it(explorer, page, monkeypatch):
    monkeypatch.setattr(census, "_count_rays", lambda *_: pytest.fail("counted"))
    before = joined(census.collect_census_rays(explorer, TINY, Options(weights="folded")))
    monkeypatch.setattr(census, "PART_ROWS", 7)
    rays = census.collect_census_rays(explorer, TINY, Options(weights="folded"))
    assert iter(rays.parts) is rays.parts
    parts = list(rays.parts)
    assert max(len(values) for part in parts for values in part.values()) == 2 * 7
    assert {tuple(part) for part in parts} == {tuple(before)}
    assert {name: [value for part in parts for value in part[name]] for name in before} == before


def test_a_files_content_is_named_by_its_weights(explorer, page):
    whole(explorer, weights="raw")
    named = [
        census.collect_census_rays(explorer, TINY, Options(weights=weights)).content
        for weights in ("folded", "raw", "folded")
    ]
    assert named[0] == named[2] != named[1]


def test_a_model_whose_mlp_cannot_be_cut_has_the_other_controls(page):
    small = dataclasses.replace(page.model, d_mlp=page.model.d_head)
    (sentence,) = census._explain_missing(small, "folded", page.kinds)
    assert sentence == "There are no controls of equal rank of the MLP: it has 8 neurons, a head 8 dimensions."
    assert "embed-cut" in {each.kind for each in page.kinds}


@pytest.mark.parametrize(
    ("family", "said"),
    [
        ("bert", "An encoder has no unembedding"),
        ("mixtral", "Its MLPs are mixtures of 4 experts"),
    ],
)
def test_what_a_family_has_not_is_said(relatives, page, family, said):
    # Too few tokens to judge any ray: that is all that its page says.
    own = whole(relatives, parse(family), "raw")
    assert own.kinds == own.findings == ()
    (sentence,) = own.missing
    assert "too few trained tokens" in sentence
    assert own.other_weights == (None if family == "bert" else "folded")
    (*_, sentence) = census._explain_missing(own.model, "raw", page.kinds)
    assert sentence.startswith(said)


def test_a_double_is_counted_once_and_said(explorer):
    page = whole(explorer, weights="raw")
    assert "unembed" not in {each.kind for each in page.kinds}
    assert any("counted once" in sentence for sentence in page.missing)


def test_a_vocabulary_too_small_for_a_control_is_said(hostile_data, open_explorer, tmp_path):
    r = open_explorer(shutil.copytree(hostile_data, tmp_path / "data"), models=("hostile",))
    page = whole(r, parse("hostile"))
    assert page.kinds == page.comparisons == page.findings == page.controls == ()
    (sentence,) = page.missing
    assert "too few trained tokens" in sentence
    assert page.n_intervals == 0


def test_what_is_not_there_is_refused(explorer, relatives):
    with pytest.raises(UnknownAddress):
        census.visit_census(explorer, parse("nobody"), Options())
    with pytest.raises(UnknownAddress):
        census.visit_census(explorer, parse("tiny@00000000"), Options())
    with pytest.raises(BadOption, match="weights=raw only"):
        census.visit_census(relatives, parse("bert"), Options(weights="folded"))


def test_random_directions_that_went_are_read_again(fresh_data, open_explorer):
    r = open_explorer(fresh_data)
    before = whole(r)
    r.store.path(recipes.control(r.library.model("tiny"), "write", "folded")).unlink()
    assert whole(open_explorer(fresh_data)).kinds == before.kinds


def test_statistics_are_counted_once(explorer, monkeypatch):
    # A census names the other processing's kinds, and both may have left memory for other tests' since.
    whole(explorer, weights="raw")
    before = whole(explorer, weights="folded")
    monkeypatch.setattr(counts, "measure_kind", lambda *_: pytest.fail("counted again"))
    assert census.visit_census(explorer, TINY, Options(weights="folded")) == before


def test_a_page_whose_parts_are_there_imports_no_torch(fresh_data, open_explorer):
    whole(open_explorer(fresh_data))
    script = (
        "import sys; from pathlib import Path; from app.core.address import parse; "
        "from app.explorer import resources; from app.explorer.visits import census; from app.explorer.asking.views import Options; "
        "r = resources.open_resources(data=Path(sys.argv[1]), models=('tiny',), device='auto', weights='folded', "
        "quota_bytes=10**9, queue_size=4, wait_seconds=30.0, waiters=4); "
        "page = census.visit_census(r, parse('tiny'), Options()); resources.close_resources(r); "
        "print(page.is_whole, 'torch' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", script, fresh_data], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["True", "False"]
