import math
import shutil

import numpy as np
import pytest

from app.core.address import KINDS, parse
from app.explorer import recipes
from app.explorer.asking.views import Options
from app.explorer.errors import UnknownAddress, UnknownToken
from app.explorer.reading.finding.origins import open_own_vectors
from app.explorer.reading.finding.token import MOST
from app.explorer.visits.finding.token import NEAR, find_token, visit_token
from tests.explorer.banks import build_bank

MODEL = parse("tiny")
DOES = {
    "writes": (("ov", "mlp-out"), 1, "svd"),
    "reads": (("ov", "mlp-in"), 0, "svd"),
    "queries": (("qk",), 0, "svd"),
    "keys": (("qk",), 1, "svd"),
    "neurons-write": (("mlp-out",), 1, "neuron"),
    "neurons-read": (("mlp-in",), 0, "neuron"),
}


@pytest.fixture(scope="module")
def whole(open_explorer, tiny_data, tmp_path_factory):
    r = open_explorer(shutil.copytree(tiny_data, tmp_path_factory.mktemp("whole") / "data"))
    build_bank(r, kinds=("bank", "words", "tokens"))
    return r


def exact_tables(context, model):
    """The vectors of all tokens that each end is read with, float64, and their ids."""
    return {
        end: ((table := context.tables.table(model, "folded", end)).vectors.double().numpy(), table.ids.numpy())
        for end in ("read", "write")
    }


@pytest.mark.parametrize("text", [" that", "#0", "!"])
def test_rays_and_ranks_are_those_of_plain_products_with_every_token(whole, context_of, text):
    id_ = find_token(whole, MODEL, Options(), text)
    page = visit_token(whole, MODEL, Options(), id_)
    model = whole.library.model("tiny")
    tables = exact_tables(context_of("gpt2", "folded"), model)
    assert [group.does for group in page.groups] == list(DOES)
    for group in page.groups:
        kinds, side, basis = DOES[group.does]
        expected = []
        for layer in (0, 1):
            arrays = whole.store.read(recipes.bank(model, layer, "folded", basis)).arrays
            for n, vector in enumerate(arrays["vectors"].astype(np.float64)):
                if KINDS[arrays["kind"][n]] in kinds and arrays["side"][n] == side and arrays["gain"][n] >= 0.1:
                    vectors, ids = tables["write" if group.does.endswith(("writes", "write")) else "read"]
                    scores = vectors @ vector
                    own = scores[ids == id_].item()
                    z = (own - scores.mean()) / scores.std()
                    rank = 1 + int(((scores - own) * np.sign(z) > 0).sum())
                    centred = vectors - vectors.mean(axis=0)
                    scale = np.linalg.norm(centred[ids == id_]) / math.sqrt(np.square(centred).sum(axis=1).mean())
                    expected.append((abs(z), z, arrays["strength"][n] * (own - scores.mean()), rank, scale))
        expected.sort(reverse=True)
        assert group.n_rows == len(expected)
        assert len(group.rays) == min(MOST, len(expected))
        for one, (far, _, score, rank, scale) in zip(group.rays, expected, strict=False):
            assert one.z == pytest.approx(far, rel=1e-3)
            assert one.value == pytest.approx(abs(score), rel=1e-3)
            assert one.rank == rank
            assert one.expected == pytest.approx(len(expected) * math.erfc(far / scale / math.sqrt(2)), rel=2e-2)


def test_by_chance_is_what_random_directions_give(whole):
    model = whole.library.model("tiny")
    origins = open_own_vectors(whole, model, "folded", "read")
    id_ = find_token(whole, MODEL, Options(), " with")
    rng = np.random.default_rng(0)
    random = rng.standard_normal((3_000, 32)).astype(np.float32)
    random /= np.linalg.norm(random, axis=1, keepdims=True)
    scores = origins.scores(random)[origins.known]
    spread = scores.std(axis=0)
    z = random @ origins.centred_vector(id_) / spread
    scale = np.linalg.norm(origins.centred_vector(id_)) / math.sqrt(origins.variance)
    for far in (1.0, 2.0):
        assert (np.abs(z) >= far * scale).mean() == pytest.approx(math.erfc(far / math.sqrt(2)), rel=0.25)


def test_less_is_seen_at_first_and_says_nothing_else(whole):
    id_ = find_token(whole, MODEL, Options(), " that")
    first, all_ = (visit_token(whole, MODEL, Options(), id_, whole=is_whole) for is_whole in (False, True))
    assert [group.does for group in first.groups] == list(DOES)[:4]
    for some, every in zip(first.groups, all_.groups, strict=False):
        assert [one.end for one in some.rays] == [one.end for one in every.rays]
        assert all(one.rank in {None, other.rank} for one, other in zip(some.rays, every.rays, strict=True))
        assert all(other.rank > 20 for one, other in zip(some.rays, every.rays, strict=True) if one.rank is None)


def test_a_token_says_what_it_is_and_what_is_near(whole, context_of):
    id_ = find_token(whole, MODEL, Options(), "·that")
    page = visit_token(whole, MODEL, Options(), id_)
    assert (page.id, page.token, page.known, page.unbuilt, page.share) == (id_, " that", True, None, 1)
    assert [one.text for one in page.variants] == ["that"]
    assert page.length == pytest.approx(
        context_of("gpt2", "folded").model.weights().embeddings().W_E[id_].norm().item(), rel=1e-5
    )
    assert 0 < len(page.near) <= NEAR
    assert id_ not in [one.id for one in page.near]
    assert [one.cosine for one in page.near] == sorted((one.cosine for one in page.near), reverse=True)


def test_a_row_that_pads_the_embedding_is_no_token(whole):
    page = visit_token(whole, MODEL, Options(), 301)
    assert not page.known
    assert page.groups == ()


@pytest.mark.parametrize("id_", [304, 10**8, -1])
def test_an_id_that_is_not_there_names_the_range(whole, id_):
    with pytest.raises(UnknownAddress, match="ids 0 to 303"):
        visit_token(whole, MODEL, Options(), id_)


def test_a_text_that_is_no_token_is_refused_with_what_it_may_have_meant(whole):
    with pytest.raises(UnknownToken) as refused:
        find_token(whole, MODEL, Options(), "THAT")
    assert refused.value.name == "text"
    assert " that" in [spelling for spelling, _ in refused.value.near]


def test_without_a_bank_the_token_is_there_and_the_command_that_builds_the_rest(open_explorer, fresh_data):
    page = visit_token(open_explorer(fresh_data), MODEL, Options(), 70)
    assert page.groups == page.near == ()
    assert "singular-lens precompute tiny --matrices bank" in page.unbuilt.why
    assert page.id == 70


def test_every_family_has_a_page(relatives, families):
    for family in families[:3]:
        model = relatives.library.model(family)
        weights = model.header.processings[-1]
        build_bank(relatives, family, weights, kinds=("bank", "words", "tokens"))
        page = visit_token(relatives, parse(family), Options(weights=weights), 20)
        assert page.unbuilt is None
        assert all(one.rank >= 1 for group in page.groups for one in group.rays)
