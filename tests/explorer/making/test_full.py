"""One token's rows against whole V x V matrices, made in float64 from the checkpoint's own tensors."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from app.core.address import parse
from app.explorer.asking.views import Options
from app.explorer.visits.full import TOKENS, visit_full

LAYER = 1


def gpt2(folder, head, processing):
    """x [V d], W_Q W_K W_V [d 8], W_O [8 d], write [V d]: folded as a network with LayerNorms would compute it."""
    at = {
        name.removeprefix("transformer."): each.double()
        for name, each in load_file(folder / "model.safetensors").items()
    }
    W_E, W = at["wte.weight"], at[f"h.{LAYER}.attn.c_attn.weight"].reshape(32, 3, 4, 8)[:, :, head]
    W_Q, W_K, W_V = W.unbind(1)
    W_O = at[f"h.{LAYER}.attn.c_proj.weight"].reshape(4, 8, 32)[head]
    if processing == "raw":
        return W_E, W_Q, W_K, W_V, W_O, W_E
    P, gain = torch.eye(32).double() - 1 / 32, at[f"h.{LAYER}.ln_1.weight"][:, None]
    x = torch.nn.functional.layer_norm(W_E, (32,), eps=1e-5)
    write = (W_E * at["ln_f.weight"]) @ P
    return x, *(P @ (gain * each) for each in (W_Q, W_K, W_V)), W_O @ P, write - write.mean(0)


def llama(folder, head, processing):
    """The same of a model whose heads share keys and values two by two."""
    at = {name.removeprefix("model."): each.double() for name, each in load_file(folder / "model.safetensors").items()}
    name = f"layers.{LAYER}.self_attn"
    W_E, W_U = at["embed_tokens.weight"], at["lm_head.weight"]
    own, group = slice(8 * head, 8 * head + 8), slice(8 * (head // 2), 8 * (head // 2) + 8)
    W_Q = at[f"{name}.q_proj.weight"][own].T
    W_K, W_V = (at[f"{name}.{each}_proj.weight"][group].T for each in "kv")
    W_O = at[f"{name}.o_proj.weight"][:, own].T
    if processing == "raw":
        return W_E, W_Q, W_K, W_V, W_O, W_U
    gain = at[f"layers.{LAYER}.input_layernorm.weight"][:, None]
    x = W_E * (W_E.square().mean(1, keepdim=True) + 1e-6).rsqrt()
    write = W_U * at["norm.weight"]
    return x, *(gain * each for each in (W_Q, W_K, W_V)), W_O, write - write.mean(0)


def turned(W_Q, distance):
    """Queries as their keys stand so many positions before them, as complex numbers."""
    angles = distance * 10_000.0 ** (-torch.arange(0, 8, 2, dtype=torch.float64) / 8)
    pairs = torch.complex(W_Q[:, :4].contiguous(), W_Q[:, 4:].contiguous()) * torch.polar(
        torch.ones(4).double(), angles
    )
    return torch.cat([pairs.real, pairs.imag], dim=1)


def check(page, x, W_Q, W_K, W_V, W_O, write, n_known):
    """Scores, order, own score and rank of each row are those of the dense matrices."""
    t = page.token.id
    ov, qk = x @ W_V @ W_O @ write.T, x @ W_Q @ W_K.T @ x.T
    for row, of_all in zip(page.rows, (ov[t], qk[t], qk[:, t]), strict=True):
        scores = of_all[:n_known].numpy()
        rising, near = np.sort(scores), {"rtol": 1e-4, "atol": 1e-5 * np.abs(scores).max()}
        for tokens, expected in ((row.readout.plus, rising[::-1]), (row.readout.minus, rising)):
            assert len({token.id for token in tokens}) == TOKENS
            np.testing.assert_allclose([token.score for token in tokens], expected[:TOKENS], **near)
            np.testing.assert_allclose([scores[token.id] for token in tokens], expected[:TOKENS], **near)
        np.testing.assert_allclose(row.own_score, scores[t], **near)
        close = np.abs(scores - scores[t]) <= near["atol"]
        assert abs(row.own_rank - 1 - (scores > scores[t]).sum()) < close.sum()
    assert page.n_tokens == n_known


@pytest.mark.parametrize("processing", ["folded", "raw"])
@pytest.mark.parametrize("token", ["#40", "#283"])
def test_rows_of_a_gpt2(explorer, gpt2_folder, processing, token):
    page = visit_full(explorer, parse(f"tiny/L{LAYER}/H2"), Options(weights=processing), token)
    assert [(row.role, row.readout.side) for row in page.rows] == [("ov", "write"), ("query", "key"), ("key", "query")]
    check(page, *gpt2(gpt2_folder, 2, processing), n_known=300)


@pytest.mark.parametrize("processing", ["folded", "raw"])
@pytest.mark.parametrize("distance", [0, 11])
def test_rows_of_a_llama_at_a_distance(relatives, member, processing, distance):
    options = Options(weights=processing, distance=distance)
    page = visit_full(relatives, parse(f"llama/L{LAYER}/H3"), options, "#17")
    x, W_Q, *others = llama(member("llama").folder, 3, processing)
    check(page, x, turned(W_Q, distance), *others, n_known=97)


def test_a_distance_leaves_ov_as_it_is(relatives):
    near, far = (visit_full(relatives, parse("llama/L1/H3"), Options(distance=d), "#17") for d in (0, 11))
    assert near.rows[0] == far.rows[0]
    assert near.rows[1] != far.rows[1]
    assert near.rows[2] != far.rows[2]
    # The token as its own query and key: one number in both rows.
    for page in (near, far):
        assert page.rows[1].own_score == pytest.approx(page.rows[2].own_score, rel=1e-5)


def test_the_own_score_is_the_one_in_the_list(explorer):
    for id_ in range(1, 60):
        page = visit_full(explorer, parse("tiny/L1/H2"), Options(), f"#{id_}")
        for row in page.rows:
            place = next((at for at, token in enumerate(row.readout.plus) if token.id == id_), None)
            assert (place is None) == (row.own_rank > TOKENS)
            if place is not None:
                assert row.own_rank == place + 1
                assert row.own_score == row.readout.plus[place].score


def test_an_encoder_reads_all_rows_with_its_embedding(relatives, member):
    at = {
        name.removeprefix("bert."): each.double()
        for name, each in load_file(member("bert").folder / "model.safetensors").items()
    }
    name, own = f"encoder.layer.{LAYER}.attention", slice(8, 16)
    W_E = at["embeddings.word_embeddings.weight"]
    W_Q, W_K, W_V = (at[f"{name}.self.{each}.weight"][own].T for each in ("query", "key", "value"))
    W_O = at[f"{name}.output.dense.weight"][:, own].T
    check(visit_full(relatives, parse("bert/L1/H1"), Options(), "#50"), W_E, W_Q, W_K, W_V, W_O, W_E, n_known=97)
