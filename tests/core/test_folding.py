from dataclasses import replace

import pytest
import torch
from torch.nn.functional import layer_norm, rms_norm

from app.core.circuits import CIRCUITS, key_bias, ov_constant
from app.core.folding import (
    CHUNK,
    Norms,
    affine_normed_embedding,
    fold_embedding,
    fold_head,
    fold_mlp,
    fold_unembedding,
    fold_unembedding_bias,
    normed_embedding,
)

EPS = 1e-5
D, V = 48, 1000


def gain_and_shift() -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(1)
    return 1 + torch.randn(D, generator=draw), torch.randn(D, generator=draw)


def scores(x: torch.Tensor, head) -> torch.Tensor:
    """Attention scores before scale and softmax, in float64."""
    query = x @ head.W_Q.double() + head.b_Q.double()
    return query @ (x @ head.W_K.double() + head.b_K.double()).T


def test_a_folded_head_behind_layer_norm_is_the_head(head):
    gain, shift = gain_and_shift()
    x = 3 + torch.randn(5, D, dtype=torch.float64)
    behind = layer_norm(x, (D,), gain.double(), shift.double(), EPS)
    bare = layer_norm(x, (D,), eps=EPS)
    folded = fold_head(head, Norms(True, gain, shift))
    written = (behind @ head.W_V.double() + head.b_V.double()) @ head.W_O.double() + head.b_O.double()
    centred = written - written.mean(dim=1, keepdim=True)
    assert torch.allclose(bare @ CIRCUITS["ov"](folded).dense() + ov_constant(folded), centred, atol=1e-4)
    assert torch.allclose(scores(bare, folded), scores(behind, head), atol=1e-3)


def test_a_folded_head_ignores_what_the_norm_removes(head):
    folded = fold_head(head, Norms(True, *gain_and_shift()))
    ones = torch.ones(D, dtype=torch.float64)
    for matrix in (CIRCUITS["ov"](folded).dense(), CIRCUITS["qk"](folded).dense()):
        assert (ones @ matrix).abs().max() < 1e-4
    assert (CIRCUITS["ov"](folded).dense() @ ones).abs().max() < 1e-4
    assert float(ov_constant(folded).sum().abs()) < 1e-4


def test_a_folded_head_behind_rms_norm_is_the_head(head):
    gain, _ = gain_and_shift()
    x = 3 + torch.randn(5, D, dtype=torch.float64)
    behind, bare = rms_norm(x, (D,), gain.double(), EPS), rms_norm(x, (D,), eps=EPS)
    folded = fold_head(head, Norms(False, gain))
    written = (behind @ head.W_V.double() + head.b_V.double()) @ head.W_O.double() + head.b_O.double()
    assert torch.allclose(bare @ CIRCUITS["ov"](folded).dense() + ov_constant(folded), written, atol=1e-4)
    assert torch.allclose(scores(bare, folded), scores(behind, head), atol=1e-3)


@pytest.mark.parametrize("center", [True, False])
def test_the_gain_of_a_norm_after_a_head_is_absorbed(head, center):
    """The norm behind it divides what the head writes by a length, and multiplies it by its gain."""
    gain, _ = gain_and_shift()
    folded = fold_head(head, Norms(center, post_gain=gain))
    x = torch.randn(5, D, dtype=torch.float64)
    x = x - x.mean(dim=1, keepdim=True) if center else x  # behind the norm before it
    written = (x @ head.W_V.double() + head.b_V.double()) @ head.W_O.double() + head.b_O.double()
    expected = (layer_norm if center else rms_norm)(written, (D,), gain.double(), eps=EPS)
    found = (x @ folded.W_V.double() + folded.b_V.double()) @ folded.W_O.double() + folded.b_O.double()
    lengths = [rows.norm(dim=1, keepdim=True) for rows in (found, expected)]
    assert torch.allclose(found / lengths[0], expected / lengths[1], atol=1e-6)


def test_without_norm_nothing_changes(head):
    folded = fold_head(head, Norms(False))
    assert all(torch.equal(getattr(folded, name), getattr(head, name)) for name in vars(head) if name != "noise")


def test_the_key_bias_takes_the_shift(head):
    gain, shift = gain_and_shift()
    folded = fold_head(head, Norms(True, gain, shift))
    by_hand = (head.b_Q.double() + shift.double() @ head.W_Q.double()) @ folded.W_K.double().T
    assert torch.allclose(key_bias(folded).double(), by_hand, atol=1e-4)


def neurons(x: torch.Tensor, mlp) -> tuple[torch.Tensor, torch.Tensor]:
    """What its neurons and their gates read, in float64."""
    return x @ mlp.W_in.double() + mlp.b_in.double(), x @ mlp.W_gate.double() + mlp.b_gate.double()


@pytest.mark.parametrize("center", [True, False])
def test_a_folded_mlp_behind_its_norm_is_the_mlp(mlp, center):
    assert mlp.W_in.shape[1] > 2 * CHUNK
    gain, shift = gain_and_shift()
    x = 3 + torch.randn(5, D, dtype=torch.float64)
    if center:
        behind, bare = layer_norm(x, (D,), gain.double(), shift.double(), EPS), layer_norm(x, (D,), eps=EPS)
    else:
        behind, bare = rms_norm(x, (D,), gain.double(), EPS), rms_norm(x, (D,), eps=EPS)
    folded = fold_mlp(mlp, Norms(center, gain, shift if center else None))
    for found, expected in zip(neurons(bare, folded), neurons(behind, mlp), strict=True):
        assert torch.allclose(found, expected, atol=1e-4)
    hidden = torch.randn(5, 300, dtype=torch.float64)
    written = hidden @ mlp.W_out.double() + mlp.b_out.double()
    if center:
        written = written - written.mean(dim=1, keepdim=True)
    assert torch.allclose(hidden @ folded.W_out.double() + folded.b_out.double(), written, atol=1e-4)


def test_a_folded_mlp_ignores_what_the_norm_removes(mlp):
    folded = fold_mlp(mlp, Norms(True, *gain_and_shift()))
    for removed in (folded.W_in.sum(dim=0), folded.W_gate.sum(dim=0), folded.W_out.sum(dim=1), folded.b_out.sum()):
        assert removed.abs().max() < 1e-4


@pytest.mark.parametrize("center", [True, False])
def test_an_mlps_post_gain_is_absorbed(mlp, center):
    """The norm behind it divides by a length, and multiplies by its gain."""
    gain, _ = gain_and_shift()
    folded = fold_mlp(mlp, Norms(center, post_gain=gain))
    hidden = torch.randn(5, 300, dtype=torch.float64)
    written = hidden @ mlp.W_out.double() + mlp.b_out.double()
    norm = layer_norm if center else rms_norm
    expected = norm(written, (D,), gain.double(), eps=EPS)
    found = hidden @ folded.W_out.double() + folded.b_out.double()
    lengths = [rows.norm(dim=1, keepdim=True) for rows in (found, expected)]
    assert torch.allclose(found / lengths[0], expected / lengths[1], atol=1e-6)


def test_an_mlp_without_norms_or_gate(mlp):
    same = fold_mlp(mlp, Norms(False))
    assert all(torch.equal(getattr(same, name), getattr(mlp, name)) for name in vars(mlp) if name != "noise")
    norms, plain = Norms(True, *gain_and_shift()), replace(mlp, W_gate=None, b_gate=None)
    folded, gated = fold_mlp(plain, norms), fold_mlp(mlp, norms)
    assert (folded.W_gate, folded.b_gate) == (None, None)
    assert torch.equal(folded.W_in, gated.W_in)


def test_a_norm_does_not_see_that_an_embedding_was_folded():
    """Whatever else stands in the stream."""
    W, others = (torch.randn(V, D, generator=torch.Generator().manual_seed(seed)) for seed in (3, 4))
    folded = fold_embedding(W + 2, center=True)
    seen = [layer_norm((each + others).double(), (D,), eps=EPS) for each in (folded, W + 2)]
    torch.testing.assert_close(*seen, rtol=1e-5, atol=1e-5)
    assert folded.mean(dim=1).abs().max() < 1e-6
    assert torch.equal(fold_embedding(W, center=False), W)


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("tied", [True, False])
def test_the_folded_unembedding_gives_the_same_distribution(center, tied):
    gain, _ = gain_and_shift()
    W_U = torch.randn(V, D).T if tied else torch.randn(D, V)
    x = torch.randn(7, D, dtype=torch.float64)
    behind = layer_norm(x, (D,), gain.double(), eps=EPS) if center else rms_norm(x, (D,), gain.double(), EPS)
    bare = layer_norm(x, (D,), eps=EPS) if center else rms_norm(x, (D,), eps=EPS)
    folded = fold_unembedding(W_U, gain, center).double()
    assert torch.allclose((bare @ folded).log_softmax(1), (behind @ W_U.double()).log_softmax(1), atol=1e-4)
    assert folded.mean(dim=1).abs().max() < 1e-6
    if center:
        assert folded.mean(dim=0).abs().max() < 1e-6


def test_the_tied_embedding_is_not_changed_by_folding():
    W_E = torch.randn(V, D)
    before = W_E.clone()
    fold_unembedding(W_E.T, None, center=True)
    normed_embedding(W_E, center=True, eps=EPS)
    assert torch.equal(W_E, before)


def test_the_folded_unembedding_is_read_row_by_row():
    assert fold_unembedding(torch.randn(D, V), None, center=True).T.is_contiguous()


def test_a_normed_embedding_is_what_the_norm_gives():
    W_E = 2 + torch.randn(V, D)
    assert torch.allclose(normed_embedding(W_E, True, EPS), layer_norm(W_E, (D,), eps=EPS), atol=1e-5)
    assert torch.allclose(normed_embedding(W_E, False, EPS), rms_norm(W_E, (D,), eps=EPS), atol=1e-5)


def test_an_embedding_of_zeros_stays_zero():
    assert not normed_embedding(torch.zeros(3, D), True, EPS).any()


def test_a_norm_behind_the_embedding():
    gain, shift = gain_and_shift()
    W_E = torch.randn(300, D, generator=torch.Generator().manual_seed(2))
    expected = layer_norm(W_E.double(), (D,), gain.double(), shift.double(), EPS)
    assert torch.allclose(affine_normed_embedding(W_E, gain, shift, EPS).double(), expected, atol=1e-5)


@pytest.mark.parametrize(("has_bias", "has_shift"), [(True, True), (True, False), (False, True)])
def test_the_folded_bias_of_the_unembedding_is_what_the_logits_have_beside_it(has_bias, has_shift):
    draw = torch.Generator().manual_seed(5)
    W_U, b_U = torch.randn(D, V, generator=draw), torch.randn(V, generator=draw)
    gain, shift = gain_and_shift()
    x = 2 + torch.randn(4, D, generator=draw, dtype=torch.float64)
    behind = layer_norm(x, (D,), gain.double(), shift.double() if has_shift else None, EPS)
    logits = behind @ W_U.double() + (b_U.double() if has_bias else 0)
    folded = layer_norm(x, (D,), eps=EPS) @ fold_unembedding(W_U, gain, center=True).double()
    bias = fold_unembedding_bias(W_U, b_U if has_bias else None, shift if has_shift else None)
    assert torch.allclose(folded + bias.double(), logits - logits.mean(dim=1, keepdim=True), atol=1e-4)


def test_an_unembedding_without_bias_and_shift_has_none():
    assert fold_unembedding_bias(torch.randn(D, V), None, None) is None
