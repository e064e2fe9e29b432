import numpy as np
import pytest
import torch

from app.core.address import parse
from app.core.judging.rays import HEADLINE
from app.explorer.asking.views import Options
from app.explorer.errors import BadOption
from app.explorer.inventory import SIDES
from app.explorer.making.judging import rotation
from app.explorer.making.judging.rotation import ROTATED_VECTORS, measure_rotations
from app.explorer.making.subjects import read_subject
from app.explorer.reading.verdicts import add_rotation_p
from app.explorer.view import View
from app.explorer.visits import browse, orders
from app.models.token_filter import TokenFilter
from tests.explorer.steps import run_steps

OV = parse("tiny/L1/H2/ov")
ASKED = Options(rotated=True)


@pytest.mark.parametrize(
    ("place", "sides"),
    [
        ("L1/H2/ov", {"left", "right"}),
        ("L1/H2/qk", {"left", "right"}),
        ("L1/mlp-in", {"left"}),
        ("L1/mlp-out", {"right"}),
        ("embed", {"right"}),
        ("heads/read", {"right"}),
    ],
)
def test_every_side_that_is_read_as_tokens_has_its_rotations(context_of, place, sides):
    said = []
    arrays, facts = run_steps(measure_rotations(context_of("gpt2", "folded"), parse(f"tiny/{place}")), said)
    assert set(arrays) == {f"{side}_coherence" for side in sides}
    assert facts == {}
    assert said
    for coherence in arrays.values():
        assert coherence.shape == (ROTATED_VECTORS, 2)
        assert len(np.unique(coherence)) > ROTATED_VECTORS
        assert (np.abs(coherence) <= 1).all()


@pytest.mark.parametrize("side", ["left", "right"])
def test_what_is_read_lies_in_the_span_of_the_matrix(context_of, monkeypatch, side):
    context, read = context_of("gpt2", "folded"), []
    monkeypatch.setattr(
        rotation.readability, "read_and_judge", lambda context, name, vectors: read.append((name, vectors)) or {}
    )
    assert run_steps(measure_rotations(context, OV)) == ({}, {})  # and no control, no numbers
    dense = run_steps(read_subject(context, OV)).product.dense()
    name, vectors = read[side == "right"]
    assert name == SIDES["ov"][side == "right"]
    own = dense.T if side == "right" else dense
    basis = torch.linalg.svd(own, full_matrices=False).U[:, : torch.linalg.matrix_rank(own)]
    inside = vectors.double() @ basis
    assert torch.allclose(inside.norm(dim=1), torch.ones(ROTATED_VECTORS, dtype=torch.float64), atol=1e-5)
    assert torch.linalg.matrix_rank(inside, tol=1e-4) == basis.shape[1]


def test_p_counts_the_random_rays_one_by_one():
    random = np.random.default_rng(0)
    own = random.normal(size=(6, 2, 3)).astype(np.float32)
    own[2, 1, HEADLINE] = np.nan
    turned = random.normal(size=(40, 2)).astype(np.float32)
    turned[3, 0] = np.nan
    found = add_rotation_p(
        {"left_coherence": own, "right_top_ids": own}, {"left_coherence": turned, "right_coherence": turned}
    )
    assert set(found) == {"left_coherence", "right_top_ids", "left_rotation_p"}
    known = [value for value in turned.flatten().tolist() if value == value]
    for row, ray in np.ndindex(6, 2):
        value = float(own[row, ray, HEADLINE])
        p = (1 + sum(other >= value for other in known)) / (1 + len(known))
        assert found["left_rotation_p"][row, ray] == pytest.approx(p if value == value else np.nan, nan_ok=True)


def test_a_page_says_how_many_rays_are_better(explorer):
    page, plain = browse.visit_matrix(explorer, OV, ASKED), browse.visit_matrix(explorer, OV, Options())
    p = {
        (side.side, one.index, sign): ray.rotation_p
        for one in page.directions
        for side in (one.left, one.right)
        for sign, ray in (("+", side.rays.plus), ("-", side.rays.minus))
    }
    assert len(p) == 32
    assert all(1 / (1 + 2 * ROTATED_VECTORS) <= value <= 1 for value in p.values())
    for verdict in page.verdicts:
        assert verdict.n_better == sum(value <= 0.05 for (side, *_), value in p.items() if side == verdict.side)
    assert {verdict.n_better for verdict in plain.verdicts} == {None}
    assert plain.directions[0].left.rays.plus.rotation_p is None


def test_a_direction_has_its_tables_numbers_and_the_rotations_spread(explorer):
    page = browse.visit_direction(explorer, OV.direction(3), ASKED)
    row = browse.visit_matrix(explorer, OV, ASKED).directions[3]
    for side, other in ((page.left, row.left), (page.right, row.right)):
        assert side.rays.plus.rotation_p == other.rays.plus.rotation_p
        assert side.rays.minus.rotation_p == other.rays.minus.rotation_p
    for side, spread in zip(("read", "write"), page.rotations, strict=True):
        assert spread.side == side
        assert sum(spread.counts) == 2 * ROTATED_VECTORS
        assert spread.low < spread.mean < spread.high
    assert browse.visit_direction(explorer, OV.direction(3), Options()).rotations == (None, None)
    neuron = browse.visit_direction(explorer, parse("tiny/L1/mlp-in/svd/0"), ASKED)
    assert neuron.rotations[0].side == "read"
    assert neuron.rotations[1] is None


def test_what_changes_the_readout_changes_the_recipe(explorer, relatives):
    def hash_of(r, place, **view):
        address = parse(place)
        return orders.order_rotation(
            r.library.model(address.model), address, View(**({"weights": "raw"} | view), default_weights="raw")
        ).recipe.hash

    hashes = [
        hash_of(explorer, "tiny/L1/H2/ov"),
        hash_of(explorer, "tiny/L1/H2/qk"),
        hash_of(explorer, "tiny/L1/H2/ov", weights="folded"),
        hash_of(explorer, "tiny/L1/H2/ov", token_filter=TokenFilter(ascii=True)),
        hash_of(relatives, "llama/L1/H2/qk"),
        hash_of(relatives, "llama/L1/H2/qk", distance=3),
    ]
    assert len(set(hashes)) == len(hashes)
    assert hash_of(explorer, "tiny/L1/H2/ov/svd/3") == hashes[0]


def test_a_distance_turns_the_directions_and_leaves_their_span(context_of, monkeypatch):
    read = []
    monkeypatch.setattr(
        rotation.readability, "read_and_judge", lambda context, name, vectors: read.append(vectors) or {}
    )
    for distance in (0, 9):
        run_steps(measure_rotations(context_of("llama", "folded"), parse("llama/L1/H2/qk"), distance))
    near, _, far, _ = (vectors.double() for vectors in read)
    assert not torch.allclose(near, far, atol=1e-2)
    assert torch.linalg.matrix_rank(torch.cat([near, far]), tol=1e-3) == torch.linalg.matrix_rank(near, tol=1e-3)


@pytest.mark.parametrize("place", ["tiny", "tiny/L1", "tiny/L1/H2", "tiny/L1/H2/ov/neuron", "tiny/embed/pca/0"])
def test_only_singular_directions_are_held_against_rotations(explorer, place):
    address = parse(place)
    verb = {
        "model": browse.visit_model,
        "layer": browse.visit_layer,
        "head": browse.visit_head,
        "direction": browse.visit_direction,
    }
    with pytest.raises(BadOption, match="singular directions: ask for it at a matrix"):
        verb.get(address.depth, browse.visit_matrix)(explorer, address, ASKED)


def test_a_vocabulary_without_a_control_has_no_numbers(open_explorer, hostile_data):
    r = open_explorer(hostile_data, models=("hostile",))
    page = browse.visit_matrix(r, parse("hostile/L0/H0/ov"), ASKED)
    assert page.verdicts == ()
    assert browse.visit_direction(r, parse("hostile/L0/H0/ov/svd/0"), ASKED).rotations == (None, None)
