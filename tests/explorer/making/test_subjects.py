"""The tensors behind every kind of page against the checkpoint's own, in float64."""

import numpy as np
import pytest
import torch

from app.core.address import parse
from app.explorer.making.subjects import read_subject
from tests.explorer.dense import CASES, LAYER_KINDS, Oracle
from tests.explorer.steps import run_steps


def place(family, kind):
    return parse(f"{family}/L1/{kind}" if kind in LAYER_KINDS else f"{family}/{kind}")


@pytest.mark.parametrize(("family", "kind", "processing"), CASES)
def test_a_matrix_is_what_the_checkpoint_says(context_of, oracle_of, family, kind, processing):
    whole = run_steps(read_subject(context_of(family, processing), place(family, kind)))
    expected = oracle_of(family).dense(kind, processing)
    scale = np.abs(expected.matrix).max()
    np.testing.assert_allclose(whole.product.dense(), expected.matrix, atol=3e-6 * scale)
    assert whole.product.is_upright == expected.is_upright
    bias = np.zeros(expected.matrix.shape[1]) if whole.bias is None else whole.bias.numpy()
    np.testing.assert_allclose(bias, expected.bias, atol=1e-5 * max(1, np.abs(expected.bias).max()))


@pytest.mark.parametrize("processing", ["raw", "folded"])
def test_a_circuit_is_the_heads(context_of, oracle_of, processing):
    whole = run_steps(read_subject(context_of("gpt2", processing), parse("tiny/L1/H2/ov")))
    expected = oracle_of("gpt2").ov(1, 2, processing == "folded")
    np.testing.assert_allclose(whole.product.dense(), expected, atol=1e-5)
    assert whole.bias.any()


def test_a_circuit_is_turned_by_a_distance(context_of):
    context, qk = context_of("llama", "raw"), parse("llama/L1/H2/qk")
    still, turned = (run_steps(read_subject(context, qk, distance)).product.dense() for distance in (0, 5))
    assert not np.allclose(still, turned, atol=1e-2)
    assert float(still.norm()) != pytest.approx(0)


def test_the_logits_of_a_model_follow_from_its_folded_unembedding(context_of, oracle_of):
    """What is folded gives the same logits but for one constant, whatever stands in the stream: bias and all."""
    oracle: Oracle = oracle_of("neox")
    whole = run_steps(read_subject(context_of("neox", "folded"), parse("neox/unembed")))
    _, W_U, norm = oracle._ends()
    stream = np.random.default_rng(0).normal(2, 3, (5, 32))
    centred = stream - stream.mean(axis=1, keepdims=True)
    normed = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-5)
    logits = (normed * norm.gain + norm.shift) @ W_U
    folded = normed @ whole.product.dense().numpy() + whole.bias.double().numpy()
    np.testing.assert_allclose(folded, logits - logits.mean(axis=1, keepdims=True), atol=1e-4)


def test_a_stack_says_its_layers(context_of, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)  # as many layers are taken apart at once
    said = []
    run_steps(read_subject(context_of("gpt2", "raw"), parse("tiny/heads/write")), said)
    assert said[-2:] == [(0, 2), (1, 2)]


def test_heads_of_a_mixture_are_stacked_as_any(context_of):
    whole = run_steps(read_subject(context_of("mixtral", "folded"), parse("mixtral/heads/read")))
    rows = whole.product.samples()
    assert rows.shape == (2 * 2 * 4 * 8, 32)
    np.testing.assert_array_equal(rows[0::2], -rows[1::2])
