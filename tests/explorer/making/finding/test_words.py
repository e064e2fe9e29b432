"""Tokens as a search compares them, beside principal components in float64."""

import numpy as np
import pytest

from app.explorer import bank, layout
from app.explorer.making.finding import words as module
from app.explorer.making.finding.words import compute_words, count_removed
from app.explorer.making.judging.controls import make_control
from tests.explorer.steps import run_steps


@pytest.mark.parametrize(("end", "processing"), [("read", "folded"), ("write", "folded"), ("read", "raw")])
def test_they_are_tokens_without_the_mean_and_the_first_components(context_of, oracle_of, end, processing):
    context = context_of("gpt2", processing)
    table = oracle_of("gpt2").table(end, processing)
    trained = run_steps(make_control(context, end))[0]["trained"]
    centred = table[trained] - table[trained].mean(axis=0)
    components = np.linalg.svd(centred, full_matrices=False)[2][:1]  # d_model 32: one
    expected = np.zeros((len(trained), table.shape[1]))
    rest = centred - centred @ components.T @ components
    expected[trained] = rest / np.linalg.norm(rest, axis=1, keepdims=True)
    (unit,) = run_steps(compute_words(context, end, 0))[0].values()
    np.testing.assert_allclose(unit[: len(expected)], expected[: len(unit)], atol=1e-4)
    assert len(unit) == context.model.header.d_vocab
    assert not unit[~context.model.vocabulary.known].any()


def test_a_vocabulary_is_shared_out_in_parts(context_of, monkeypatch):
    context = context_of("gpt2", "folded")
    whole = run_steps(compute_words(context, "write", 0))[0]["unit"]
    for room in (bank, module, layout):
        monkeypatch.setattr(room, "WORDS_PART", 100, raising=False)
    assert bank.count_word_parts(context.model) == 4
    parts = [run_steps(compute_words(context, "write", part))[0]["unit"] for part in range(4)]
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-6)


def test_a_component_is_taken_out_for_32_dimensions():
    assert [count_removed(d, d // 16) for d in (8, 16, 32, 576, 4096)] == [0, 1, 1, 18, 128]


def test_a_large_table_is_kept_in_halves(context_of, monkeypatch):
    context = context_of("gpt2", "folded")
    whole = run_steps(compute_words(context, "write", 0))[0]["unit"]
    monkeypatch.setattr(bank, "WORDS_BYTES", 1_000)
    (halves,) = run_steps(compute_words(context, "write", 0))[0].values()
    np.testing.assert_array_equal(halves, whole.astype(np.float16))
