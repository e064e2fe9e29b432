"""Heads at a distance against the attention that the Hugging Face model itself pays, in float64."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from app.core.address import parse
from app.core.basis import BASES
from app.core.circuits import key_bias, qk
from app.core.measuring.turns import predict_turns
from app.explorer.making import heads
from app.explorer.making.context import Context
from app.explorer.making.heads import read_head_tensors
from app.explorer.making.subjects import read_subject
from app.explorer.making.tables import Tables
from app.explorer.reading.directions import BADGE_KINDS
from app.explorer.visits import browse
from app.explorer.visits.browse import Options
from tests.explorer.steps import run_steps

LAYER, LENGTH = 1, 48
DISTANCES = (1, 2, 3, 5, 8, 13, 21, 34, 47)
FAMILIES = ("llama", "llama-3.1", "llama-yarn", "neox", "gptj")


@pytest.fixture(scope="module")
def attended(member):
    """attended("llama") -> the stream before the layer [pos d], and log attention [heads pos pos], float64."""
    from transformers import AutoModelForCausalLM

    def run(family):
        model = AutoModelForCausalLM.from_pretrained(
            member(family).folder, dtype=torch.float64, attn_implementation="eager"
        )
        ids = torch.randint(97, (1, LENGTH), generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            out = model(ids, output_attentions=True, output_hidden_states=True)
        return out.hidden_states[LAYER][0].double(), out.attentions[LAYER][0].double().log()

    return run


def normed(stream, facts):
    """What stands before the norm's gain."""
    centred = stream - stream.mean(1, keepdim=True) if facts.normalization == "LN" else stream
    return centred * (centred.square().mean(1, keepdim=True) + facts.eps).rsqrt()


def seen_by(model, stream, processing, head):
    """What the head of that processing reads: folded ones have the norm's gain and shift inside."""
    x, norms = normed(stream, model.manifest), model.weights().norms(LAYER, head)
    if processing == "folded":
        return x
    shift = 0.0 if norms.shift is None else norms.shift.double()
    return x * norms.gain.double() + shift


@pytest.mark.parametrize("processing", ["folded", "raw"])
@pytest.mark.parametrize("family", FAMILIES)
def test_scores_at_a_distance_are_the_models_own(relatives, attended, family, processing):
    model = relatives.library.model(family)
    stream, attention = attended(family)
    context = Context(Tables("cpu"), model, processing, relatives.store)
    for head in range(4):
        x = seen_by(model, stream, processing, head)
        scores = {}
        for distance in DISTANCES:
            tensors = read_head_tensors(context, LAYER, head, distance)
            queries, keys = x[distance:], x[:-distance]
            of_keys = keys @ key_bias(tensors).double()
            of_queries = queries @ (tensors.W_Q.double() @ tensors.b_K.double())
            matrix = qk(tensors).dense()
            score = torch.einsum("qd,de,qe->q", queries, matrix, keys) + of_keys + of_queries
            scores[distance] = (score + tensors.b_Q.double() @ tensors.b_K.double()) / model.header.d_head**0.5
        for distance in DISTANCES[1:]:
            # For one query, keys at this distance and right before it: the softmax's sum falls out.
            n = LENGTH - distance
            found = scores[distance] - scores[1][-n:]
            queries = torch.arange(distance, LENGTH)
            expected = attention[head, queries, queries - distance] - attention[head, queries, queries - 1]
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


def test_folded_weights_have_the_scale_of_yarn_at_distance_zero_too(relatives):
    model = relatives.library.model("llama-yarn")
    scale = model.weights().rotary(LAYER).scale
    assert scale != 1
    folded = Context(Tables("cpu"), model, "folded", relatives.store)
    near, far = (np.linalg.norm(qk(read_head_tensors(folded, LAYER, 0, distance)).dense()) for distance in (0, 30))
    raw = Context(Tables("cpu"), model, "raw", relatives.store)
    plain = read_head_tensors(raw, LAYER, 0)
    assert torch.equal(plain.W_Q, model.weights().head(LAYER, 0).W_Q)
    gain = model.weights().norms(LAYER, 0).gain.double()[:, None]
    alone = replace(plain, W_Q=(plain.W_Q * gain).float(), W_K=(plain.W_K * gain).float())
    assert near == pytest.approx(np.linalg.norm(qk(alone).dense()) * scale**2, rel=1e-6)
    assert far != pytest.approx(near, rel=1e-6)


@pytest.mark.parametrize("family", ["llama", "neox"])
def test_a_page_at_a_distance_shows_the_turned_matrix(relatives, member, family):
    """The oracle turns coordinates as complex numbers, from the checkpoint's own tensors."""
    from safetensors.torch import load_file

    tensors = load_file(member(family).folder / "model.safetensors")
    if family == "llama":
        name, n, head = "model.layers.1.self_attn", 8, 3
        W_Q = tensors[f"{name}.q_proj.weight"].double()[8 * head : 8 * head + 8]
        W_K = tensors[f"{name}.k_proj.weight"].double()[8 * (head // 2) : 8 * (head // 2) + 8]
    else:
        name, n, head = "gpt_neox.layers.1.attention.query_key_value", 4, 3
        W_Q, W_K, _ = tensors[f"{name}.weight"].double().reshape(4, 3, 8, 32)[head]
    angles = 11 * 10_000.0 ** (-torch.arange(0, n, 2, dtype=torch.float64) / n)
    pairs = torch.complex(W_Q[: n // 2], W_Q[n // 2 : n]) * torch.polar(torch.ones(n // 2).double(), angles)[:, None]
    turned = torch.cat([pairs.real, pairs.imag, W_Q[n:]])
    expected = torch.linalg.svdvals(turned.T @ W_K)[:8]
    page = browse.visit_matrix(relatives, parse(f"{family}/L1/H{head}/qk"), Options(weights="raw", distance=11))
    np.testing.assert_allclose(page.singular_values, expected, rtol=1e-5)
    plain = browse.visit_matrix(relatives, parse(f"{family}/L1/H{head}/qk"), Options(weights="raw"))
    assert not np.allclose(page.singular_values, plain.singular_values, rtol=1e-3)
    assert page.bias != plain.bias or page.bias is None


@pytest.fixture(scope="module")
def copy_context(copied):
    """copy_context("raw"): of the quantised copy."""
    return lambda processing: Context(Tables("cpu"), copied.library.model("tiny"), processing, copied.store)


def turned(context, place):
    product = run_steps(read_subject(context, parse(place))).product
    terms = run_steps(BASES["svd"].decompose(product, {}))
    return product, terms, heads.turn_arrays(context, product, terms)


@pytest.mark.parametrize("place", ["L0/H2/ov", "L0/H2/qk", "L1/mlp-in", "L1/mlp-out", "embed", "unembed", "pos"])
def test_every_matrix_of_a_copy_says_how_far_it_is_turned(copy_context, place):
    product, terms, arrays = turned(copy_context("folded"), f"tiny/{place}")
    left, right = predict_turns(product, terms)
    for name, expected in (("turn_left", left.degrees), ("turn_right", right.degrees), ("rest_left", left.rest)):
        np.testing.assert_allclose(arrays[name], expected, rtol=1e-6)
        assert (arrays[name] > 0).all()
    assert {array.dtype for array in arrays.values()} == {np.dtype(np.float32)}
    assert arrays["turn_left"][0] < np.median(arrays["turn_left"])


@pytest.mark.parametrize("place", ["L1/H2/ov", "heads/write", "heads/read"])
def test_what_is_not_known_of_a_copy_is_no_number(copy_context, place):
    _, terms, arrays = turned(copy_context("folded"), f"tiny/{place}")
    assert set(arrays) == {"turn_left", "turn_right", "rest_left", "rest_right"}
    assert all(np.isnan(array).all() and len(array) == len(terms.strength) for array in arrays.values())


def test_other_weights_say_nothing_of_it(context_of):
    assert turned(context_of("gpt2", "folded"), "tiny/L0/H2/ov")[2] == {}


@pytest.mark.parametrize("processing", ["raw", "folded"])
def test_the_ends_of_a_copy_are_off_by_each_tokens_steps_through_the_gain(copy_context, processing):
    context = copy_context(processing)
    ends = context.model.weights().embeddings()
    sizes = ends.W_E.double().square().mean(dim=1)
    gain = ends.final_gain.double().square() if processing == "folded" else torch.ones(32, dtype=torch.float64)
    for kind, tokens, stream, expected in (
        ("embed", "rows", "columns", torch.ones(32, dtype=torch.float64)),
        ("unembed", "columns", "rows", gain),
    ):
        (noise,) = run_steps(read_subject(context, parse(f"tiny/{kind}"))).product.noise
        by_token, by_stream = getattr(noise, tokens), getattr(noise, stream)
        torch.testing.assert_close(by_token / by_token.mean(), sizes / sizes.mean())
        torch.testing.assert_close(by_stream / by_stream.mean(), expected / expected.mean())
    mean = float(torch.outer(noise.rows, noise.columns).mean() / gain.mean())
    assert mean == pytest.approx(0.3**2 * float(ends.W_E.double().square().mean()) / 12)


def test_badges_of_a_copy_go_by_its_steps(copy_context, context_of):
    kinds = []
    for context in (copy_context("folded"), context_of("gpt2", "folded")):
        product, terms, _ = turned(context, "tiny/L0/H2/ov")
        kinds.append(set(heads.term_arrays(context, product, terms)["badge_kind"].tolist()))
    assert kinds[0] == {BADGE_KINDS.index("subspace")}
    assert kinds[1] == {BADGE_KINDS.index(None)}
