import shutil
from collections import Counter

import numpy as np
import pytest

from app.core.address import parse
from app.core.judging.rays import ALPHA, HEADLINE
from app.explorer.asking.views import Options
from app.explorer.errors import BadOption, UnknownAddress
from app.explorer.inventory import end_of
from app.explorer.options import LARGEST_SEED, ROUNDS
from app.explorer.visits import blind as blind_module
from app.explorer.visits import browse, orders
from app.explorer.visits.blind import TOKENS, visit_blind
from app.explorer.visits.orders import fulfil

TINY = parse("tiny")
DONE = "lr" * 5


def played(r, seed=1, answers=DONE, of="all", **options):
    return visit_blind(r, TINY, Options(**options), seed, answers, of)


def test_the_models_column_is_the_top_of_its_ray(explorer):
    for one in played(explorer).results:
        page = browse.visit_direction(explorer, one.address, Options())
        (side,) = [each for each in (page.left, page.right) if each.side == one.side]
        tokens, rays = (side.plus, side.rays.plus) if one.ray == "p" else (side.minus, side.rays.minus)
        own = one.columns[one.right == "r"]
        assert [entry.id for entry in own] == [token.id for token in tokens[:TOKENS]]
        assert (one.z, one.p) == (rays.z[HEADLINE], rays.p[HEADLINE])
        assert one.address.index < 8


@pytest.mark.parametrize("weights", ["folded", "raw"])
def test_the_other_column_is_a_random_direction_of_the_same_control(explorer, weights):
    model = explorer.library.model("tiny")
    used = []
    for one in played(explorer, weights=weights).results:
        view = played(explorer, weights=weights).view
        (control,) = fulfil(explorer, orders.order_control(model, end_of(model, weights, one.side), view))
        tops = control.arrays["ids"][..., :TOKENS].reshape(-1, TOKENS).tolist()
        other = [entry.id for entry in one.columns[one.right == "l"]]
        assert other in tops
        used.append(tops.index(other))
    assert len(set(used)) == ROUNDS


def test_both_columns_are_of_one_kind(explorer):
    for one in played(explorer).results:
        left, right = one.columns
        assert len(left) == len(right) == TOKENS


def test_questions_come_one_by_one_and_tell_nothing(explorer):
    whole = played(explorer)
    for n in range(ROUNDS):
        page = played(explorer, answers=DONE[:n])
        assert page.columns == whole.results[n].columns
        assert (page.results, page.n_right, page.by_chance) == ((), None, None)
    assert whole.columns is None


def test_other_weights_and_other_rays_are_other_questions(explorer):
    """Whoever knows one round's answers knows nothing of another's with the same seed."""
    rounds = [played(explorer, of="all"), played(explorer, weights="raw"), played(explorer, seed=2)]
    solutions = ["".join(one.right for one in page.results) for page in rounds]
    assert len(set(solutions)) == len(rounds)
    places = [[one.address for one in page.results] for page in rounds]
    assert places[0] != places[1]


def test_answers_change_no_question(explorer):
    for answers in ("l" * 10, "r" * 10):
        assert [one.columns for one in played(explorer, answers=answers).results] == [
            one.columns for one in played(explorer).results
        ]


def test_a_seed_asks_the_same_on_another_server(explorer, open_explorer, tiny_data, tmp_path):
    other = open_explorer(shutil.copytree(tiny_data, tmp_path / "data", ignore=shutil.ignore_patterns("artifacts")))
    assert played(explorer, seed=5).results == played(other, seed=5).results
    assert played(explorer, seed=5).results != played(explorer, seed=6).results


def test_the_score_and_what_guessing_would_give(explorer):
    solution = "".join(one.right for one in played(explorer).results)
    assert (played(explorer, answers=solution).n_right, played(explorer, answers=solution).by_chance) == (10, 1 / 1024)
    one_wrong = ("l" if solution[0] == "r" else "r") + solution[1:]
    assert (played(explorer, answers=one_wrong).n_right, played(explorer, answers=one_wrong).by_chance) == (
        9,
        11 / 1024,
    )
    none = solution.translate(str.maketrans("lr", "rl"))
    assert (played(explorer, answers=none).n_right, played(explorer, answers=none).by_chance) == (0, 1)


def test_every_place_is_as_likely_as_any_other(explorer):
    """Of 2 x 4 heads, 2 circuits, 2 sides and 2 rays: by chi squared, against what would happen once in 10,000 times."""
    asked = [one for seed in range(30) for one in played(explorer, seed=seed).results]
    counted = {
        "position": (Counter(one.right for one in asked), 2, 15.2),
        "matrix": (Counter(one.address.matrix for one in asked), 16, 44.3),
        "side": (Counter((one.side, one.ray) for one in asked), 8, 29.9),
        "index": (Counter(one.address.index for one in asked), 8, 29.9),
    }
    for counts, n, most in counted.values():
        assert len(counts) == n
        assert sum((count - len(asked) / n) ** 2 / (len(asked) / n) for count in counts.values()) < most


def test_readable_rays_are_readable_and_all_of_those_looked_at_can_come(explorer, monkeypatch):
    monkeypatch.setattr(blind_module, "ALPHA", 0.2)  # random weights have few at p < .01
    found = [one for seed in range(3) for one in played(explorer, seed=seed, of="readable").results]
    assert max(one.p for one in found) < 0.2
    assert max(one.p for one in found) > ALPHA
    assert len({(one.address, one.side, one.ray) for one in found}) > 15
    assert len({one.address.matrix for one in found}) > 8


def test_no_readable_ray_is_said(explorer, monkeypatch):
    monkeypatch.setattr(blind_module, "ALPHA", 0.0)
    page = played(explorer, answers="", of="readable")
    assert (page.obstacle, page.columns, page.results) == ("unreadable", None, ())


def test_a_question_asks_for_one_matrix_and_one_control(explorer, monkeypatch):
    asked = []
    monkeypatch.setattr(blind_module, "fulfil", lambda r, *which: asked.extend(which) or fulfil(r, *which))
    played(explorer, answers="lr", seed=77)
    assert [order.recipe.subject.partition("/")[0] for order in asked][1:] == ["control"]
    assert asked[0].recipe.subject.endswith(("ov", "qk"))


def test_without_a_control_there_is_no_round(open_explorer, hostile_data):
    r = open_explorer(hostile_data, models=("hostile",))
    for answers in ("", DONE):
        for of in ("all", "readable"):
            page = visit_blind(r, parse("hostile"), Options(), 1, answers, of)
            assert (page.obstacle, page.columns, page.results) == ("unjudged", None, ())


@pytest.mark.parametrize(
    ("seed", "answers", "of", "said"),
    [
        (-1, "", "all", f"seed goes from 0 to {LARGEST_SEED}"),
        (LARGEST_SEED + 1, "", "all", f"seed goes from 0 to {LARGEST_SEED}"),
        (1, "l" * 11, "all", "up to 10 letters"),
        (1, "lx", "all", "each l or r"),
        (1, "", "some", "all, readable"),
    ],
)
def test_what_is_out_of_range_names_the_range(explorer, seed, answers, of, said):
    with pytest.raises(BadOption, match=said):
        visit_blind(explorer, TINY, Options(), seed, answers, of)


def test_a_head_has_no_round(explorer):
    with pytest.raises(UnknownAddress, match="tiny/blind"):
        visit_blind(explorer, parse("tiny/L0/H1"), Options(), 1, "", "all")


def test_the_next_seed_is_one_that_there_is(explorer):
    assert played(explorer, seed=LARGEST_SEED).next_seed == 0
    assert played(explorer, seed=3).next_seed == 4


def test_a_ray_without_numbers_comes_as_it_comes(explorer, monkeypatch):
    """A ray of never-trained tokens has no z: it is a ray like any other, and no readable one."""
    ray = blind_module.AskedRay(parse("tiny/L0/H0/ov"), {"left_p": np.full((1, 2, 3), np.nan)}, "left", 0, 0)
    assert ray.headline("p") is None
    arrays = {"left_p": np.full((1, 2, 3), np.nan), "right_p": np.full((1, 2, 3), 0.001), "strength": np.ones(1)}
    assert len(blind_module._list_rays(ray.matrix, arrays, "all")) == 4
    assert {one.prefix for one in blind_module._list_rays(ray.matrix, arrays, "readable")} == {"right"}
