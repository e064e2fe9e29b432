"""An oracle for every matrix's page: dense matrices from a checkpoint's own tensors, in float64.

Knows the families that tests ask for, and nothing of the app.
"""

from dataclasses import dataclass

import numpy as np
from safetensors.numpy import load_file

LAYER_KINDS = ("mlp-in", "mlp-gate", "mlp-out")


@dataclass
class Dense:
    """A dense matrix, with the bias rows that belong to none of its directions; zeros where there are none."""

    matrix: np.ndarray
    bias: np.ndarray

    @property
    def is_upright(self):
        """Return whether the samples are rows: there are more samples than dimensions in every model here."""
        return self.matrix.shape[1] == D_MODEL

    @property
    def samples(self):
        return self.matrix if self.is_upright else self.matrix.T


D_MODEL, D_HEAD, N_HEADS, N_LAYERS = 32, 8, 4, 2


@dataclass
class Norm:
    """A norm of a family, before a block or the unembedding: gain and shift, and whether it removes the mean."""

    gain: np.ndarray
    shift: np.ndarray
    centres: bool

    def reader(self, W):
        """Fold the norm into a matrix that reads behind it."""
        return self.removed @ (self.gain[:, None] * W)

    @property
    def removed(self):
        return np.eye(D_MODEL) - self.centres / D_MODEL


class Oracle:
    """The dense matrices of one checkpoint."""

    def __init__(self, family, folder):
        self.family = family
        found = load_file(folder / "model.safetensors")
        self.tensors = {name.removeprefix("transformer."): tensor.astype(np.float64) for name, tensor in found.items()}

    def dense(self, kind, processing, layer=1):
        """Build the matrix of a kind; of a layer, where layers have it."""
        folded = processing == "folded"
        if kind in LAYER_KINDS:
            return self._mlp(kind, folded, layer)
        if kind.startswith("heads/"):
            return self._stack(kind, folded)
        W_E, W_U, end = self._ends()
        removed = end.removed if folded else np.eye(D_MODEL)
        if kind == "pos":
            matrix = self.tensors[POSITIONS[self.family]] @ removed
            return Dense(matrix, np.zeros(D_MODEL))
        if kind == "embed":
            return Dense(W_E @ removed, np.zeros(D_MODEL))
        if not folded:
            return Dense(W_U, np.zeros(W_U.shape[1]))
        read, constant = end.reader(W_U), end.shift @ W_U
        return Dense(read - read.mean(axis=1, keepdims=True), constant - constant.mean())

    def table(self, side, processing):
        """Build the table that reads a side of the stream, one row a token."""
        W_E, W_U, end = self._ends()
        if side == "write":
            return self.dense("unembed", processing).matrix.T if W_U is not None else W_E
        if processing == "raw":
            return W_E
        centred = W_E @ end.removed
        eps = 1e-6 if self.family == "llama" else 1e-5
        return centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + eps)

    def _ends(self):
        t = self.tensors
        if self.family == "gpt2":
            return t["wte.weight"], t["wte.weight"].T, self._norm("ln_f")
        if self.family == "llama":
            return t["model.embed_tokens.weight"], t["lm_head.weight"].T, self._norm("model.norm")
        if self.family == "neox":
            return t["gpt_neox.embed_in.weight"], t["embed_out.weight"].T, self._norm("gpt_neox.final_layer_norm")
        return t["bert.embeddings.word_embeddings.weight"], None, None

    def _norm(self, name):
        gain = self.tensors[f"{name}.weight"]
        return Norm(gain, self.tensors.get(f"{name}.bias", np.zeros(D_MODEL)), f"{name}.bias" in self.tensors)

    def _mlp(self, kind, folded, layer):
        block, names, norm, turned = MLPS[self.family]
        block = block.format(layer)
        W = self.tensors[f"{block}{names[kind]}.weight"]
        matrix = W.T if turned else W
        bias = self.tensors.get(f"{block}{names[kind]}.bias", np.zeros(matrix.shape[1]))
        if not folded:
            return Dense(matrix, bias)
        read = self._norm(f"{block}{norm}")
        if kind == "mlp-out":
            return Dense(matrix @ read.removed, bias @ read.removed)
        return Dense(read.reader(matrix), bias + read.shift @ matrix)

    def _stack(self, kind, folded):
        assert self.family == "gpt2"
        rows = []
        for layer in range(N_LAYERS):
            for head in range(N_HEADS):
                U, s, Vh = np.linalg.svd(self.ov(layer, head, folded))
                for i in range(D_HEAD):
                    left, right = apply_sign_rule(U[:, i], Vh[i])
                    vector = s[i] * (right if kind == "heads/write" else left)
                    rows += [vector, -vector]
        return Dense(np.array(rows), np.zeros(D_MODEL))

    def ov(self, layer, head, folded):
        """Build the OV of a head of GPT-2."""
        block, mine = f"h.{layer}", slice(head * D_HEAD, (head + 1) * D_HEAD)
        W_V = np.split(self.tensors[f"{block}.attn.c_attn.weight"], 3, axis=1)[2][:, mine]
        W_O = self.tensors[f"{block}.attn.c_proj.weight"][mine]
        norm = self._norm(f"{block}.ln_1")
        return norm.reader(W_V) @ W_O @ norm.removed if folded else W_V @ W_O


POSITIONS = {"gpt2": "wpe.weight", "bert": "bert.embeddings.position_embeddings.weight"}
MLPS = {
    "gpt2": ("h.{}.", {"mlp-in": "mlp.c_fc", "mlp-out": "mlp.c_proj"}, "ln_2", False),
    "llama": (
        "model.layers.{}.",
        {"mlp-in": "mlp.up_proj", "mlp-gate": "mlp.gate_proj", "mlp-out": "mlp.down_proj"},
        "post_attention_layernorm",
        True,
    ),
    "neox": (
        "gpt_neox.layers.{}.",
        {"mlp-in": "mlp.dense_h_to_4h", "mlp-out": "mlp.dense_4h_to_h"},
        "post_attention_layernorm",
        True,
    ),
    "bert": ("bert.encoder.layer.{}.", {"mlp-in": "intermediate.dense", "mlp-out": "output.dense"}, "", True),
}
"""Names of a layer, of its MLP's matrices and of the norm before them, by family; True if stored as [out in]."""

PLACES = [
    *(("gpt2", kind) for kind in ("mlp-in", "mlp-out", "embed", "unembed", "pos", "heads/write", "heads/read")),
    *(("llama", kind) for kind in ("mlp-in", "mlp-gate", "mlp-out", "embed", "unembed")),
    *(("neox", kind) for kind in ("mlp-in", "mlp-out", "unembed")),
    *(("bert", kind) for kind in ("mlp-in", "mlp-out", "embed", "pos")),
]
CASES = [
    (*place, weights) for place in PLACES for weights in ("raw", "folded") if (place[0], weights) != ("bert", "folded")
]
"""Every (family, kind, processing); gpt2 is tied, llama and neox are not."""


def apply_sign_rule(left, right):
    """Apply the rule of signs."""
    sign = np.sign(right[np.abs(right).argmax()])
    return left * sign, right * sign


def count_present(strengths):
    """Count the strengths that are more than float32's rounding."""
    return int((strengths > strengths.max() * D_MODEL * np.finfo(np.float32).eps).sum())


def compute_gaps(strengths):
    """Compute relative distances to the nearer neighbour; the last strength has none below it."""
    return np.minimum(1 - strengths / np.r_[np.inf, strengths[:-1]], 1 - np.r_[strengths[1:], 0] / strengths)


def explained_shares(samples, vectors, counts):
    """Compute the shares of the samples' squares in the spans of the first so many vectors."""
    bases = (np.linalg.qr(vectors[:count].T)[0] for count in counts)
    return np.array([np.square(samples @ basis).sum() for basis in bases]) / np.square(samples).sum()


def assert_reads(side, scores, n=None):
    """Assert that both rays of the side have the ends of all scores; ids may differ where scores are within 1e-5."""
    scale = np.abs(scores).max()
    for tokens, sign in ((side.plus, 1), (side.minus, -1)):
        ids, shown = [token.id for token in tokens], np.array([token.score for token in tokens])
        assert len(set(ids)) == len(ids) == (n or len(ids))
        np.testing.assert_allclose(shown, scores[ids], atol=2e-5 * scale)
        best = np.sort(scores * sign)[::-1]
        np.testing.assert_allclose(shown * sign, best[: len(ids)], atol=2e-5 * scale)
