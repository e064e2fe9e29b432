"""What is said of made-up numbers, row by row with plain comparisons."""

import json

import numpy as np
import pytest

from app.core.judging.discovery import FDR
from app.core.judging.rays import ALPHA, HEADLINE, RAY_CLASSES, READINGS
from app.explorer.pages.rays import Judgement
from app.explorer.reading import verdicts
from app.explorer.view import ONLY

N = 60


@pytest.fixture
def arrays():
    """Of both sides; some numbers are missing, and p are small often enough for every word."""
    draw, found = np.random.default_rng(0), {"index": np.arange(N, dtype=np.int32)}
    for side in ("left", "right"):
        found[f"{side}_top_ids"] = np.zeros((N, 50), np.int32)
        found[f"{side}_coherence"] = draw.normal(0.1, 0.05, (N, 2, 3))
        found[f"{side}_z"] = draw.normal(0, 2, (N, 2, 3))
        found[f"{side}_p"] = draw.uniform(size=(N, 2, 3)) ** 5
        for name in ("forms", "beyond", "spelling"):
            found[f"{side}_{name}_z"] = draw.normal(size=(N, 2))
            found[f"{side}_{name}_p"] = draw.uniform(size=(N, 2)) ** 5
        found[f"{side}_beyond_share"] = draw.uniform(size=(N, 2))
        found[f"{side}_n_forms"] = draw.integers(5, 50, (N, 2)).astype(np.int32)
        found[f"{side}_letterless"] = draw.random((N, 2)) < 0.2
        found[f"{side}_reading"] = draw.integers(0, len(READINGS), (N, 2)).astype(np.int8)
        found[f"{side}_difference_p"] = draw.uniform(size=N) ** 5
        for name in ("coherence", "z", "p"):
            found[f"{side}_{name}"][[7, 20], 1] = np.nan
        found[f"{side}_difference_p"][[7, 20]] = np.nan
    return {name: array.astype(np.float32) if array.dtype == np.float64 else array for name, array in found.items()}


def kind_of(arrays, side, row):
    plus, minus = arrays[f"{side}_p"][row, :, HEADLINE].tolist()
    if np.isnan(plus) or np.isnan(minus):
        return "undetermined"
    if plus < ALPHA and minus < ALPHA:
        return "antipodal"
    if plus >= ALPHA and minus >= ALPHA:
        return "neither"
    return "one-sided" if arrays[f"{side}_difference_p"][row] < ALPHA else "undetermined"


def q_of(arrays, side, n_rays):
    """By the definition, one p at a time: the smallest of all later steps."""
    p = arrays[f"{side}_p"][:, :n_rays, HEADLINE].astype(float)
    tests = sorted(each for each in p.flatten().tolist() if not np.isnan(each))
    steps = [(each, each * len(tests) / (rank + 1)) for rank, each in enumerate(tests)]
    q = [min((step for one, step in steps if one >= each), default=np.nan) for each in p.flatten().tolist()]
    return np.array(q).reshape(p.shape)


@pytest.mark.parametrize("n_rays", [1, 2])
@pytest.mark.parametrize("side", ["left", "right"])
def test_rows_say_what_the_arrays_hold(arrays, side, n_rays):
    q = q_of(arrays, side, n_rays)
    rows = np.array([3, 7, 59, 0])
    found = verdicts.read_rays(arrays, side, rows, n_rays)
    for row, rays in zip(rows.tolist(), found, strict=True):
        judged = [rays.plus, rays.minus][:n_rays]
        for ray, each in enumerate(judged):
            if row == 7 and ray == 1:
                assert each.coherence == each.z == each.p == (None, None, None)
                assert each.q is None
                continue
            for name in ("coherence", "z", "p"):
                assert getattr(each, name) == tuple(arrays[f"{side}_{name}"][row, ray].tolist())
            assert each.q == pytest.approx(q[row, ray], rel=1e-6)
            for name in ("forms_z", "forms_p", "beyond_z", "beyond_p", "spelling_z", "spelling_p", "beyond_share"):
                assert getattr(each, name) == arrays[f"{side}_{name}"][row, ray]
            assert each.n_forms == arrays[f"{side}_n_forms"][row, ray]
            assert each.letterless is bool(arrays[f"{side}_letterless"][row, ray])
            assert each.reading == READINGS[arrays[f"{side}_reading"][row, ray]]
            assert each.rotation_p is None
        if n_rays == 1:
            assert rays.minus is rays.kind is rays.difference_p is None
        else:
            assert rays.kind == kind_of(arrays, side, row)
            assert rays.difference_p == (None if row == 7 else arrays[f"{side}_difference_p"][row])


def test_a_row_is_the_same_by_itself_and_goes_into_json(arrays):
    (alone,) = verdicts.read_rays(arrays, "left", slice(5, 6), 2)
    assert alone == verdicts.read_rays(arrays, "left", slice(None), 2)[5]
    assert isinstance(alone.plus, Judgement)
    json.dumps([alone.plus.z, alone.plus.q, alone.minus.p, alone.difference_p], allow_nan=False)


def test_rates_are_those_of_the_rays_of_each_side_that_is_judged(arrays):
    found = verdicts.compute_rates(arrays)
    assert set(found) == {"left", "right"}
    for side, q in found.items():
        np.testing.assert_allclose(q, q_of(arrays, side, 2), rtol=1e-6)
    alone = {name: array for name, array in arrays.items() if not name.startswith("right")}
    assert set(verdicts.compute_rates(alone)) == {"left"}


@pytest.mark.parametrize("n_rays", [1, 2])
def test_the_verdict_counts_rays(arrays, n_rays):
    found = verdicts.judge_side(arrays, "right", "write", n_rays)
    p = [each for each in arrays["right_p"][:, :n_rays, HEADLINE].flatten().tolist() if not np.isnan(each)]
    q = [each for each in q_of(arrays, "right", n_rays).flatten().tolist() if not np.isnan(each)]
    assert found.side == "write"
    assert (found.n_rays, found.n_unknown) == (len(p), N * n_rays - len(p))
    assert found.n_readable == sum(each < ALPHA for each in p) > 0
    assert found.n_found == sum(each < FDR for each in q) > 0
    readings = [READINGS[code] for code in arrays["right_reading"][:, :n_rays].flatten()]
    counts = (found.n_theme, found.n_one_word, found.n_partly, found.n_spelling, found.n_letterless)
    names = ("theme", "one word", "partly spelling", "spelling", "letterless")
    assert counts == tuple(readings.count(name) for name in names)
    assert len(set(counts)) > 2
    kinds = [kind_of(arrays, "right", row) for row in range(N)]
    assert dict(found.classes) == ({kind: kinds.count(kind) for kind in RAY_CLASSES} if n_rays == 2 else {})
    assert n_rays == 1 or min(dict(found.classes).values()) > 0


@pytest.mark.parametrize("sides", [("left",), ("right",), ("left", "right")])
def test_the_best_is_the_largest_z_of_any_ray(arrays, sides):
    arrays["left_z"][9] = np.nan
    found = verdicts.find_best(arrays, sides, 2)
    for row in range(N):
        values = [z for side in sides for z in arrays[f"{side}_z"][row, :, HEADLINE].tolist() if not np.isnan(z)]
        assert found[row] == max(values, default=-np.inf)
    one = verdicts.find_best(arrays, sides, 1)
    assert (one <= found).all()
    assert (one < found).any()


@pytest.mark.parametrize("only", [each for each in ONLY if each != "all"])
@pytest.mark.parametrize("n_rays", [1, 2])
def test_a_filter_passes_what_either_side_has(arrays, only, n_rays):
    q = {side: q_of(arrays, side, n_rays) for side in ("left", "right")}

    def has(side, row):
        if only in RAY_CLASSES:
            return n_rays == 2 and kind_of(arrays, side, row) == only
        p = arrays[f"{side}_p"][row, :, HEADLINE]
        called = np.array([READINGS[code] for code in arrays[f"{side}_reading"][row]])
        rays = {
            "readable": p < ALPHA,
            "found": q[side][row] < FDR,
            "meaning": (called == "theme") | (called == "one word") | (called == "partly spelling"),
            "theme": called == "theme",
            "spelling": called == "spelling",
        }
        return any(rays[only][:n_rays].tolist())

    expected = [has("left", row) or has("right", row) for row in range(N)]
    assert verdicts.mask_passing(arrays, only, n_rays).tolist() == expected
    assert any(expected) == (n_rays == 2 or only not in RAY_CLASSES)
    assert not all(expected)


def test_a_side_that_is_not_judged_says_nothing(arrays):
    bare = {name: array for name, array in arrays.items() if name == "index" or name.endswith("_ids")}
    one = bare | {name: array for name, array in arrays.items() if name.startswith("right")}
    assert verdicts.read_rays(bare, "left", slice(2, 6), 2) == [None] * 4
    assert verdicts.judge_side(bare, "left", "read", 2) is None
    assert (verdicts.find_best(bare, ("left", "right"), 2) == -np.inf).all()
    assert not verdicts.mask_passing(bare, "neither", 2).any()
    np.testing.assert_array_equal(
        verdicts.find_best(one, ("left", "right"), 2), verdicts.find_best(arrays, ("right",), 2)
    )


@pytest.mark.parametrize("n_rays", [1, 2])
def test_no_directions_have_no_verdicts(arrays, n_rays):
    """Of a matrix that is zero."""
    none = {name: array[:0] for name, array in arrays.items()}
    assert verdicts.read_rays(none, "left", slice(None), n_rays) == []
    found = verdicts.judge_side(none, "left", "read", n_rays)
    assert (found.n_rays, found.n_unknown, found.n_readable, found.n_found) == (0, 0, 0, 0)
    assert len(verdicts.find_best(none, ("left",), n_rays)) == len(verdicts.mask_passing(none, "found", n_rays)) == 0


@pytest.mark.parametrize("n_known", [0, 1, 2])
def test_fewer_than_two_rays_that_can_be_judged_have_no_spread(n_known):
    coherence = np.full((3, 2, 3), np.nan, np.float32)
    coherence[:n_known, 0] = np.array([0.1, 0.3, 0.2], np.float32)[:n_known, None]
    assert (verdicts.summarise_control("write", {"coherence": coherence}) is not None) == (n_known == 2)


def test_the_spread_of_a_control_counts_its_rays():
    coherence = np.random.default_rng(0).normal(0.05, 0.02, (500, 2, 3)).astype(np.float32)
    coherence[:40, 0] = np.nan
    spread = verdicts.summarise_control("write", {"coherence": coherence})
    known = [each for each in coherence[..., HEADLINE].flatten().tolist() if not np.isnan(each)]
    assert spread.side == "write"
    assert sum(spread.counts) == len(known) == 960
    assert (spread.low, spread.high) == pytest.approx((min(known), max(known)))
    width = (spread.high - spread.low) / len(spread.counts)
    first = sum(each < spread.low + 10 * width for each in known)
    assert abs(sum(spread.counts[:10]) - first) <= 1
    assert spread.mean == pytest.approx(sum(known) / 960)
    assert spread.spread == pytest.approx((sum((each - spread.mean) ** 2 for each in known) / 959) ** 0.5)
