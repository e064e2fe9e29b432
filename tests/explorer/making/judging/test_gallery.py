"""The notable rays of a layer, on a model with planted ones: words, frequent words, untrained tokens, one spelling."""

import numpy as np
import pytest

from app.core.address import CIRCUITS, KINDS, Address
from app.core.basis import BASES
from app.core.judging.rays import ALPHA, HEADLINE, READINGS
from app.core.measuring.turns import predict_turns
from app.explorer import recipes
from app.explorer.inventory import places_of
from app.explorer.layout import GALLERY_TOKENS, LABELS, SIDE_PREFIXES
from app.explorer.making.context import Context
from app.explorer.making.decompositions import decompose_matrix
from app.explorer.making.judging import controls, gallery
from app.explorer.making.judging.gallery import label_ray
from app.explorer.making.subjects import read_subject
from app.explorer.making.tables import Tables
from app.explorer.recipes import GALLERY_DIRECTIONS, GLITCHES
from app.models.vocabulary import Vocabulary
from app.store.artifacts import ArtifactStore
from tests.explorer.planted import PLANTED, SPELT
from tests.explorer.steps import run_steps

READ_SIDES = {"ov": 2, "qk": 2}
"""Sides that are the residual stream; one for any other matrix."""


@pytest.fixture
def context_at(tmp_path):
    """context_at(r, slug, processing): with an empty store."""

    def build(r, slug, processing="folded"):
        return Context(Tables("cpu"), r.library.model(slug), processing, ArtifactStore(tmp_path / "artifacts", 10**9))

    return build


def rows_of(arrays, kind, head, label):
    """(index, side, ray) of the rays that are kept of a matrix under a label."""
    is_of = (arrays["kind"] == KINDS.index(kind)) & (arrays["head"] == head) & (arrays["label"] == LABELS.index(label))
    return np.flatnonzero(is_of)


@pytest.mark.parametrize(("layer", "kind", "head", "label", "tokens"), PLANTED)
def test_planted_rays_are_found_under_their_label(planted, context_at, layer, kind, head, label, tokens):
    arrays, facts = run_steps(gallery.build_gallery(context_at(planted, "planted"), layer))
    assert facts == {"judged": True}
    side = "left" if kind == "mlp-in" else "right"
    own = rows_of(arrays, kind, head, label)
    assert len(own)
    assert set(arrays[f"{side}_ids"][own[0]].tolist()) <= set(tokens)
    assert (arrays["side"][own[0]], arrays["index"][own[0]]) == (SIDE_PREFIXES.index(side), 0)
    other_labels = set(LABELS) - {label}
    for other in other_labels:
        shown = arrays[f"{side}_ids"][rows_of(arrays, kind, head, other)]
        assert all(len(set(ids) & set(tokens)) < 5 for ids in shown.tolist())
    if label == "glitch":
        assert np.isnan([arrays[name][own[0]] for name in ("coherence", "z", "p")]).all()
    else:
        assert arrays["p"][own[0]] < 0.001
        assert (arrays["spelling_p"][own[0]] < ALPHA) == (tokens is SPELT)
        assert READINGS[arrays["reading"][own[0]]] == ("spelling" if tokens is SPELT else "theme")
        assert arrays["forms_p"][own[0]] < ALPHA
        assert not arrays["letterless"][own[0]]


def test_all_that_is_readable_is_kept_the_best_first_and_few_glitches(planted, context_at):
    arrays, _ = run_steps(gallery.build_gallery(context_at(planted, "planted"), 1))
    for kind in ("ov", "qk", "mlp-in", "mlp-out"):
        for head in range(4) if kind in CIRCUITS else (-1,):
            for label in LABELS:
                own = rows_of(arrays, kind, head, label)
                merits = arrays["share" if label == "glitch" else "z"][own]
                assert merits.tolist() == sorted(merits.tolist(), reverse=True)
                rays = set(zip(*(arrays[name][own].tolist() for name in ("index", "ray", "side")), strict=True))
                assert len(rays) == len(own)
                assert label != "glitch" or len({ray[:2] for ray in rays}) == len(own) <= GLITCHES
    assert (arrays["index"] < GALLERY_DIRECTIONS).all()
    judged = arrays["label"] != LABELS.index("glitch")
    assert (arrays["p"][judged] < ALPHA).all()
    assert judged.sum() == (arrays["every_p"] < ALPHA).sum()


def test_what_the_store_has_and_what_is_computed_in_little_give_the_same(planted, context_at, tmp_path):
    context = context_at(planted, "planted")
    little, _ = run_steps(gallery.build_gallery(context, 0))
    assert not list(context.store.root.rglob("L0/*/*/*.safetensors"))  # nothing is kept of it
    whole = Context(context.tables, context.model, "folded", ArtifactStore(tmp_path / "whole", 10**9))
    read = []
    for place in places_of(context.model.header, 0, context.processing):
        recipe = recipes.decomposition(context.model, place, "folded", {})
        whole.store.write(recipe, *run_steps(decompose_matrix(whole, place, {})))
        read.append(place)
    assert len(read) == 4 * 2 + 2
    assert_same(run_steps(gallery.build_gallery(whole, 0))[0], little)


def assert_same(one, other):
    assert set(one) == set(other)
    for name, array in one.items():
        np.testing.assert_allclose(array, other[name], rtol=1e-5, atol=1e-5, err_msg=name)


def test_stored_matrices_are_not_taken_apart_again(planted, context_at, monkeypatch):
    context = context_at(planted, "planted")
    for place in places_of(context.model.header, None, context.processing):
        recipe = recipes.decomposition(context.model, place, "folded", {})
        context.store.write(recipe, *run_steps(decompose_matrix(context, place, {})))
    monkeypatch.setattr(gallery, "read_subject", None)
    assert len(run_steps(gallery.build_gallery(context, None))[0]["every_p"])


def test_the_numbers_are_those_of_every_ray_that_was_looked_at(planted, context_at):
    """Against the matrices' own artifacts, ray by ray."""
    context = context_at(planted, "planted")
    arrays, _ = run_steps(gallery.build_gallery(context, 1))
    every, shares = [], np.zeros((4, 2))
    for place in places_of(context.model.header, 1, context.processing):
        own = run_steps(decompose_matrix(context, place, {}))[0]
        p = [own[f"{side}_p"][:8, :, HEADLINE] for side in ("left", "right") if f"{side}_p" in own]
        known = [value for value in np.concatenate(p).flatten().tolist() if value == value]
        every += known
        if place.circuit:
            shares[place.head, CIRCUITS.index(place.circuit)] = sum(value < 0.01 for value in known) / len(known)
    np.testing.assert_allclose(np.sort(arrays["every_p"]), np.sort(every), rtol=1e-5)
    np.testing.assert_allclose(arrays["readable"], shares, atol=1e-6)
    assert shares.max() > 0


ENDS = {
    ("gpt2", "raw"): {"embed", "pos"},  # tied: as stored, the unembedding is the embedding
    ("gpt2", "folded"): {"embed", "unembed", "pos"},
    ("llama", "raw"): {"embed", "unembed"},
    ("mixtral", "folded"): {"embed", "unembed"},
    ("bert", "raw"): {"embed", "pos"},
}
OF_A_LAYER = {"gpt2": {"mlp-in", "mlp-out"}, "llama": {"mlp-in", "mlp-gate", "mlp-out"}, "mixtral": set()}


@pytest.mark.parametrize(("family", "processing"), ENDS)
def test_every_matrix_of_any_family_is_looked_at(seen_of, context_at, monkeypatch, family, processing):
    monkeypatch.setattr(controls, "MIN_TOKENS", 60)  # these vocabularies have 97 tokens
    monkeypatch.setattr(controls, "CONTROL_DIRECTIONS", 100)
    r, slug = seen_of(family)
    context = context_at(r, slug, processing)
    expected = (OF_A_LAYER.get(family, {"mlp-in", "mlp-out"}), ENDS[family, processing])
    for layer, kinds in zip((1, None), expected, strict=True):
        assert {place.kind for place in places_of(context.model.header, layer, context.processing)} - set(
            CIRCUITS
        ) == kinds
        n_heads = 0 if layer is None else 4
        arrays, facts = run_steps(gallery.build_gallery(context, layer))
        assert facts == {"judged": True}
        assert len(arrays["every_p"]) == (n_heads * 4 + len(kinds)) * 8 * 2


@pytest.mark.parametrize(("family", "layer"), [("llama", 0), ("bert", None)])
def test_without_a_control_nothing_is_taken_apart(seen_of, context_at, monkeypatch, family, layer):
    r, slug = seen_of(family)
    monkeypatch.setattr(gallery, "_summarise_matrices", None)
    arrays, facts = run_steps(gallery.build_gallery(context_at(r, slug, "raw"), layer))
    assert facts == {"judged": False}
    assert {len(arrays[name]) for name in arrays if name != "readable"} == {0}
    assert arrays["left_ids"].shape == (0, GALLERY_TOKENS)


def test_a_matrix_without_directions_has_no_rays(context_of):
    from app.core.address import parse
    from app.explorer.making.judging.gallery import JudgedMatrix, gallery_arrays

    empty = {name: np.zeros((0, 2, 3), np.float32) for name in ("left_p", "left_z")}
    looked = JudgedMatrix(parse("tiny/L0/H0/ov"), empty | {"index": np.zeros(0, np.int32)})
    arrays, _ = gallery_arrays(context_of("gpt2", "raw"), [looked], is_judged=True)
    assert len(arrays["label"]) == len(arrays["every_p"]) == 0
    assert not arrays["readable"].any()


def test_labels(gpt2_folder):
    vocabulary = Vocabulary(gpt2_folder / "tokenizer.json", 304)
    by_text = {vocabulary.entry(id_).text: id_ for id_ in range(300)}
    words = [by_text[word] for word in (" that", " with", " his", " her")]
    letters = [by_text[letter] for letter in "abcd"]
    assert label_ray(vocabulary, words, 0.005) == "notable"
    assert label_ray(vocabulary, words, 0.01) is None
    assert label_ray(vocabulary, letters, 0.5) is None
    assert label_ray(vocabulary, words + letters, 0.005) == "notable"  # half of them is not most
    assert label_ray(vocabulary, words[:3] + letters, 0.005) == "frequency"
    assert label_ray(vocabulary, list(range(6)), 0.005) == "frequency"  # 304 // 50 ids
    assert label_ray(vocabulary, words, float("nan")) == "glitch"


@pytest.mark.parametrize("label", LABELS)
def test_a_ray_is_kept_on_each_side_where_it_is_readable_and_a_glitch_once(label):
    looked = gallery.JudgedMatrix(Address("tiny"), {})
    rays = [
        gallery.Candidate(looked, side, row, sign, label, merit)
        for side, row, sign, merit in (
            ("left", 3, 0, 5.0),
            ("right", 3, 0, 9.0),
            ("left", 3, 1, 4.0),
            ("left", 1, 0, 3.0),
        )
    ]
    right, left, other, last = [("right", 3, 0), ("left", 3, 0), ("left", 3, 1), ("left", 1, 0)]
    expected = [right, other] if label == "glitch" else [right, left, other, last]
    assert [(ray.side, ray.row, ray.sign) for ray in gallery._select_rays(rays)] == expected


def test_a_ray_of_a_copy_says_how_far_its_direction_is_turned(copied, explorer, context_at, monkeypatch):
    monkeypatch.setattr(gallery, "ALPHA", 2.0)  # every matrix has rays then
    context, layer = context_at(copied, "tiny"), Address("tiny").at_layer(1)
    arrays, _ = run_steps(gallery.build_gallery(context, 1))
    assert arrays["turn"].shape == (len(arrays["index"]), 2)
    for kind, head, known in (("ov", 2, False), ("qk", 3, True), ("mlp-in", -1, True)):
        (rows,) = np.nonzero((arrays["kind"] == KINDS.index(kind)) & (arrays["head"] == head))
        assert len(rows)
        product = run_steps(read_subject(context, (layer if head < 0 else layer.at_head(head)).at(kind))).product
        terms = run_steps(BASES["svd"].decompose(product, {}))
        sides = predict_turns(product, terms)
        assert (sides is not None) == known
        for row in rows:
            expected = [side.degrees[arrays["index"][row]] for side in sides] if sides else [np.nan] * 2
            np.testing.assert_allclose(arrays["turn"][row], expected, rtol=1e-5)
    assert "turn" not in run_steps(gallery.build_gallery(context_at(explorer, "tiny"), 1))[0]
