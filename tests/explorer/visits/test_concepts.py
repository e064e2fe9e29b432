"""Searches of SmolLM2's bank: what was found by hand once is found, and concepts are, as their lexicons judge."""

import math
from itertools import chain

import numpy as np
import pytest

from app.core.address import KINDS, Address, parse_short
from app.core.finding.expectation import expected_count
from app.explorer.asking.views import Options
from app.explorer.pages.search import Inquiry
from app.explorer.reading.finding.bank import open_bank
from app.explorer.reading.finding.words import open_words
from app.explorer.visits.finding.search import search
from tests.concepts import read_concepts

SMOLLM2 = Address("smollm2")
FIRST_TEN = 10
pytestmark = pytest.mark.smollm2


def ask(r, q, **how):
    return search(r, SMOLLM2, Options(weights="folded"), Inquiry(q, **how))


def spelt(words):
    """Tokens as a search has to be asked for them: a space in front is understood, none is said by quotes."""
    return ", ".join(word[1:] if word.startswith(" ") else f'"{word}"' for word in words)


def precision(r, concepts):
    """The share of the first ten that are about the concept, and all rays that were among them."""
    n_right, rays = 0, []
    for concept in concepts:
        found = ask(r, spelt(concept.query)).hits[:FIRST_TEN]
        n_right += sum(concept.is_of([token.text for token in one.tokens]) for one in found)
        rays += [(one.address, one.ray, one.side) for one in found]
    return n_right / (FIRST_TEN * len(concepts)), rays


@pytest.mark.parametrize(
    ("words", "ray", "alignments"),
    [
        ((" would", " could"), "L27H8.ov.4p", {"write": 0.61, "read": 0.57}),
        ((" “", "”"), "L24H1.ov.0n", {"write": 0.65}),
        ((" writing", " wrote"), "L27H0.ov.0n", {"write": 0.36, "read": 0.33}),
        ((" largest", " fastest", " strongest"), "L25H6.ov.2n", {"write": 0.42, "read": 0.37}),
        ((" red", " blue", " green"), "L29H7.ov.0p", {"write": 0.44}),
    ],
)
def test_words_find_the_directions_that_were_found_by_hand(smollm2_bank, words, ray, alignments):
    of, first = parse_short(ray, SMOLLM2), ask(smollm2_bank, spelt(words)).hits[:FIRST_TEN]
    found = {one.side: one for one in first if (one.address, one.ray) == (of.address, of.sign)}
    for side, alignment in alignments.items():
        assert found[side].alignment == pytest.approx(alignment, abs=0.03)
        assert found[side].evidence == "clear"


def test_concepts_are_found(smollm2_bank):
    share, rays = precision(smollm2_bank, read_concepts("concepts"))
    assert share >= 0.62
    assert len(set(rays)) >= 150


def test_concepts_that_nothing_was_chosen_by_are_found(smollm2_bank):
    share, _ = precision(smollm2_bank, read_concepts("other_concepts"))
    assert share >= 0.40


def test_a_random_vectors_best_alignment_is_expected_about_once(smollm2_bank):
    bank = open_bank(smollm2_bank, smollm2_bank.library.model("smollm2"), "folded")
    queries = np.random.default_rng(0).standard_normal((600, 576)).astype(np.float32)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    products = bank.products(queries.T, ~bank.rows.is_neuron)[~bank.rows.is_neuron]
    assert np.median(np.abs(products).max(axis=0)) == pytest.approx(0.188, abs=0.005)
    # Of one side alone, by how far each query's products spread over it.
    rows = bank.rows
    of_ov = (rows.kind == KINDS.index("ov"))[~rows.is_neuron]
    for side in (0, 1):
        own = products[of_ov & (rows.side == side)[~rows.is_neuron]]
        assert len(own) == 17_280
        best = (np.abs(own) / np.sqrt(np.square(own, dtype=np.float64).mean(axis=0))).max(axis=0)
        assert np.median(best) == pytest.approx(4.1, abs=0.1)
        assert np.median(expected_count(best, len(own))) == pytest.approx(math.log(2), rel=0.3)
    assert expected_count(np.array([0.21 * 24]), 122_112)[0] == pytest.approx(0.056, abs=0.002)


@pytest.mark.parametrize("end", ["read", "write"])
def test_no_search_finds_what_all_tokens_share(smollm2_bank, end):
    """The first component of the tokens that are searched with is none of what most of the model's rays are aligned with."""
    words = open_words(smollm2_bank, smollm2_bank.library.model("smollm2"), "folded", end).rows(np.arange(49_152))
    assert np.linalg.svd(words, compute_uv=False)[0] ** 2 < 0.05 * len(words)
    hubs = {"unembed/svd/0", "L29/mlp-out/svd/575"}
    queries = [concept.query for concept in read_concepts("concepts")]
    found = chain.from_iterable(ask(smollm2_bank, spelt(query)).hits[:FIRST_TEN] for query in queries)
    assert not {str(one.address).partition("/")[2] for one in found} & hubs
