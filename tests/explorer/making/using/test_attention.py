"""Why a head looks somewhere: scores and their splits on every family that is run, against the library's own pattern."""

import numpy as np
import pytest

from app.core.address import Address
from app.explorer import recipes
from tests.explorer.making.using.test_prompts import Asked
from tests.models.live.test_assembly import RUN

ROTARY = [name for name in RUN if name != "gpt2"]


@pytest.fixture(scope="module")
def asked_of(member, tmp_path_factory):
    made = {}

    def ask(name):
        if name not in made:
            made[name] = Asked(name, "folded", member(name).data, tmp_path_factory.mktemp("prompts"))
        return made[name]

    return ask


def explain(asked, layer, head, to, source=None):
    place = Address(asked.slug, None, layer, head)
    return asked.make(recipes.attention(asked.model, asked.key, "folded", place, to, source))


def double(found):
    return {name: values.astype(np.float64) for name, values in found.items()}


@pytest.mark.parametrize("name", RUN)
def test_scores_make_the_librarys_own_pattern(asked_of, name):
    asked = asked_of(name)
    assert "folded" in asked.model.header.processings
    for layer in range(asked.manifest.n_layers):
        for head in range(asked.manifest.n_heads):
            found = double(explain(asked, layer, head, 19))
            score, first = found["score"], int(found["first"][0])
            if cap := found["cap"][0]:
                score = cap * np.tanh(score / cap)
            seen = np.exp(score[first:] - score[first:].max())
            expected = asked.run.patterns[layer][head, 19]
            np.testing.assert_allclose(seen / seen.sum(), expected[first:20], atol=2e-6)
            assert not expected[:first].any()
            np.testing.assert_array_equal(found["pattern"], expected[:20])
            assert found["source"][0] == 1 + int(expected[1:20].argmax())


@pytest.mark.parametrize("name", RUN)
def test_every_split_sums_to_the_score(asked_of, name):
    asked = asked_of(name)
    for layer, head, to, source in ((0, 0, 19, 4), (1, 3, 12, 12), (1, 1, 9, 0), (0, 2, 17, 16)):
        found = double(explain(asked, layer, head, to, source))
        score = found["score"][source]
        assert (found["read"] @ found["held"]) + found["bias"].sum() == pytest.approx(score, abs=1e-5)
        no_distance = (found["row_read"] @ found["row_held"]) + found["bias"].sum()
        assert no_distance == pytest.approx(score, abs=1e-5)
        if name in ROTARY:
            planes = found["size"] * np.cos(found["angle"])
            assert planes.sum() + found["still"][0] == pytest.approx(score, abs=1e-5)
        else:
            assert "size" not in found


@pytest.mark.parametrize("name", [name for name in RUN if name not in {"neox-serial", "llama-3.1"}])
def test_pairs_of_a_distance_have_the_terms_of_each_pair(asked_of, name):
    asked = asked_of(name)
    place = Address(asked.slug, None, 0, 2)
    found = asked.make(recipes.pairs(asked.model, asked.key, "folded", place, 7))
    pairs = list(zip(found["to"].tolist(), found["source"].tolist(), strict=True))
    if name in ROTARY:
        assert pairs == [(to, to - 7) for to in range(8, 20)]
    else:
        assert len(pairs) == 19 * 20 // 2
    for at in (0, len(pairs) - 1):
        single = double(explain(asked, 0, 2, *pairs[at]))
        np.testing.assert_allclose(found["term"][at], single["read"] * single["held"], atol=2e-6)
        assert found["score"][at] == pytest.approx(single["score"][pairs[at][1]], abs=1e-5)
        assert found["attention"][at] == single["pattern"][pairs[at][1]].astype(np.float32)


def test_masked_pairs_are_none(asked_of):
    asked = asked_of("gemma2")  # its first layer sees sixteen positions
    place = Address(asked.slug, None, 0, 2)
    for distance, n in ((15, 4), (16, 0)):
        found = asked.make(recipes.pairs(asked.model, asked.key, "folded", place, distance))
        assert len(found["to"]) == n
