"""Self-test of an import: what the model computes against what its imported weights say it should.

The activations come from the library's own forward pass, the weights are read back from the files just written, as
pages read them. Each identity gives its largest error relative to its largest value; one above TOLERANCE refuses the
model. Knows neither checkpoints nor the model libraries.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from app.core.rotary import Rotary, rotation_matrix
from app.models.refusal import ImportRefused
from app.models.weights import Weights

TOLERANCE = 1e-4
LEAST_ATTENTION = 1e-20
"""Smallest attention weight that counts: smaller ones are rounded in float32's softmax."""

Checks = dict[str, float]
"""Largest error of each identity."""


@dataclass(frozen=True)
class Run:
    """One layer's forward pass."""

    activations: Mapping[str, Tensor]
    """Activations by TransformerLens hook name, the layer being `blocks.0.`."""
    ids: Int[Tensor, " pos"]
    scale: float | None
    """Scale of the attention scores; needed only if they are capped, else it is measured."""
    cap: float | None

    def activation(self, name: str) -> Float[Tensor, "pos ..."]:
        """Return an activation of the only sequence, float64."""
        return self.activations[name][0].double()

    def has(self, *names: str) -> bool:
        """Return whether the library records all of these activations."""
        return all(name in self.activations for name in names)


def check_layer(weights: Weights, layer: int, run: Run) -> Checks:
    """Check every identity of one layer; ImportRefused naming the first that does not hold."""
    checks = _check_attention(weights, layer, run)
    stored = weights.layer(layer)
    for norm in ("ln1", "ln2", "ln1_post", "ln2_post"):
        checks |= _check_norm(weights, run, f"blocks.0.{norm}", stored, f"blocks.{layer}.{norm}")
    checks |= _check_around_mlp(weights, layer, run)
    if weights.facts.d_mlp:
        _refuse_misshapen(stored, layer, weights)
        checks |= _check_mlp(weights, layer, run)
    return _refuse_failed(checks, f"layer {layer}")


def check_ends(weights: Weights, run: Run) -> Checks:
    """Check the identities of embedding, positions and unembedding; ImportRefused naming the first that fails."""
    ends, checks = weights.embeddings(), {}
    tokens, embedded = ends.W_E[run.ids].double(), run.activation("embed.hook_out")
    # Some models scale the embedding on its way into the stream.
    scale = (tokens * embedded).sum() / tokens.square().sum()
    checks["embedding"] = _relative_error(scale * tokens, embedded)
    if ends.embed_gain is not None and ends.embed_shift is not None:
        inner = {"embed_ln.w": ends.embed_gain, "embed_ln.b": ends.embed_shift}
        checks |= _check_norm(weights, run, "embed_ln", inner, "embed_ln")
    W_pos = weights.positions()
    if W_pos is not None:
        checks["positions"] = _relative_error(W_pos[: len(run.ids)].double(), run.activation("pos_embed.hook_out"))
    if not weights.facts.encoder:
        gains = {"ln_final.w": ends.final_gain, "ln_final.b": ends.final_shift}
        given = {name: value for name, value in gains.items() if value is not None}
        checks |= _check_norm(weights, run, "ln_final", given, "ln_final", offset=0.0)
        logits = run.activation("unembed.hook_in") @ ends.W_U[:, run.ids].double()
        if ends.b_U is not None:
            logits += ends.b_U[run.ids].double()
        # The layer ran over the vocabulary's first row and these tokens.
        checks["unembedding"] = _relative_error(logits, run.activation("unembed.hook_out")[:, 1:])
    return _refuse_failed(checks, "the ends")


def _check_attention(weights: Weights, layer: int, run: Run) -> Checks:
    """Check attention head by head, read as pages read it: keys and values of the group that each query belongs to."""
    facts = weights.facts
    x = run.activation("blocks.0.attn.hook_in")
    seen = {letter: run.activation(f"blocks.0.attn.hook_{letter.lower()}") for letter in "QKVZ"}
    patterns = run.activation("blocks.0.attn.hook_pattern")
    group = facts.n_heads // facts.n_kv_heads
    errors: dict[str, list[float]] = {"queries": [], "keys": [], "values": [], "mixing": []}
    written = torch.zeros_like(run.activation("blocks.0.attn.o.hook_out"))
    projected = []
    for index in range(facts.n_heads):
        head = weights.head(layer, index)
        q, k, v = (x @ getattr(head, f"W_{c}").double() + getattr(head, f"b_{c}").double() for c in "QKV")
        z = patterns[index] @ v
        errors["queries"].append(_relative_error(q, seen["Q"][:, index]))
        errors["keys"].append(_relative_error(k, seen["K"][:, index // group]))
        errors["values"].append(_relative_error(v, seen["V"][:, index // group]))
        errors["mixing"].append(_relative_error(z, seen["Z"][:, index]))
        written += z @ head.W_O.double()
        projected.append((q, k))
        bias = head.b_O.double()
    checks = {name: max(found) for name, found in errors.items()}
    checks["attention output"] = _relative_error(written + bias, run.activation("blocks.0.attn.o.hook_out"))
    rotary = weights.rotary(layer)
    scores = torch.stack(_attention_scores(weights, layer, projected, rotary))
    return checks | {"attention pattern": _pattern_error(scores, patterns, run, facts.positions == "alibi")}


def _attention_scores(
    weights: Weights, layer: int, projected: list[tuple[Tensor, Tensor]], rotary: Rotary | None
) -> list[Float[Tensor, "pos pos"]]:
    """Compute each head's scores before scale and mask: queries and keys normed where the model does, then rotated."""
    normed = projected if weights.facts.qk_norm == "none" else _apply_head_norms(weights, layer, projected)
    if rotary is None:
        return [q @ k.T for q, k in normed]
    n = len(normed[0][0])
    turned = [rotation_matrix(rotary, distance, weights.facts.d_head, n) for distance in range(1 - n, n)]
    turn = torch.stack([torch.stack([turned[i - j + n - 1] for j in range(n)]) for i in range(n)])
    return [torch.einsum("ia,ijab,jb->ij", q, turn, k) for q, k in normed]


def _apply_head_norms(
    weights: Weights, layer: int, projected: list[tuple[Tensor, Tensor]]
) -> list[tuple[Tensor, Tensor]]:
    """Apply their norms to each head's queries and keys."""
    facts = weights.facts
    if facts.qk_norm == "LN":
        projected = [(_centre(q), _centre(k)) for q, k in projected]
    lengths = [(q.square().mean(1), k.square().mean(1)) for q, k in projected]
    if facts.qk_norm_over_heads:
        # All heads of a token share one length; each key/value head counts once.
        group = facts.n_heads // facts.n_kv_heads
        shared = (torch.stack([q for q, _ in lengths]).mean(0), torch.stack([k for _, k in lengths[::group]]).mean(0))
        lengths = [shared] * facts.n_heads
    normed = []
    for index, ((q, k), (q_length, k_length)) in enumerate(zip(projected, lengths, strict=True)):
        norms = weights.norms(layer, index)
        assert norms.query_gain is not None
        assert norms.key_gain is not None
        q_scale, k_scale = ((length + facts.eps).rsqrt()[:, None] for length in (q_length, k_length))
        normed.append((q * q_scale * norms.query_gain.double(), k * k_scale * norms.key_gain.double()))
    return normed


def _pattern_error(
    scores: Float[Tensor, "heads pos pos"], patterns: Float[Tensor, "heads pos pos"], run: Run, alibi: bool
) -> float:
    """Compare log attention with the scores, both less their mean over the keys that each query sees.

    A term that is the same for all keys of a query cancels (the softmax's sum, a sink), and the scale is measured,
    unless the scores are capped. ALiBi adds a slope over positions, measured too.
    """
    visible = patterns > LEAST_ATTENTION
    logs = torch.where(visible, patterns.clamp_min(LEAST_ATTENTION).log(), 0.0)
    if run.cap:
        scores = run.cap * torch.tanh(scores * (run.scale or 1.0) / run.cap)
    expected, found = _subtract_mean(scores, visible), _subtract_mean(logs, visible)
    columns = [expected.reshape(-1)]
    if alibi:
        place = torch.arange(scores.shape[-1], dtype=torch.float64).expand_as(scores)
        for index, row in enumerate(_subtract_mean(place, visible)):
            column = torch.zeros_like(expected)
            column[index] = row
            columns.append(column.reshape(-1))
    design = torch.stack(columns, 1)
    weights = torch.linalg.lstsq(design, found.reshape(-1, 1), driver="gelsd").solution
    if run.cap:
        weights[0] = 1.0
    off = (design @ weights - found.reshape(-1, 1)).abs().max()
    largest = (weights[0] * scores * visible).abs().max().clamp_min(1.0)
    return float(off / largest)


def _subtract_mean(values: Float[Tensor, "heads pos pos"], visible: Bool[Tensor, "heads pos pos"]) -> Tensor:
    kept = torch.where(visible, values, 0.0)
    return torch.where(visible, kept - kept.sum(-1, keepdim=True) / visible.sum(-1, keepdim=True), 0.0)


def _refuse_misshapen(stored: Mapping[str, Tensor], layer: int, weights: Weights) -> None:
    d, m = weights.facts.d_model, weights.facts.d_mlp
    for name, expected in (("W_in", (d, m)), ("W_gate", (d, m)), ("W_out", (m, d))):
        tensor = stored.get(f"blocks.{layer}.mlp.{name}")
        if tensor is not None and tensor.shape != expected:
            raise ImportRefused(f"{name} of layer {layer} has the shape {tuple(tensor.shape)}, not {expected}")


def _check_around_mlp(weights: Weights, layer: int, run: Run) -> Checks:
    """Check what the MLP reads of the stream, and what it adds to the stream, read as pages read it."""
    facts, norms = weights.facts, weights.mlp_norms(layer)
    if facts.mlp_reads != "stream":
        read = _apply_norm(weights, run.activation(f"blocks.0.{facts.mlp_reads}.hook_in"), norms.gain, norms.shift)
    elif facts.encoder:  # an encoder's stream is the output of this norm
        read = run.activation("blocks.0.ln1.hook_out")
    else:
        read = run.activation("blocks.0.hook_in") + run.activation("blocks.0.ln1_post.hook_out")
    checks = {"MLP reads": _relative_error(read, run.activation("blocks.0.mlp.hook_in"))}
    if facts.mlp_post_norm:
        written = _apply_norm(weights, run.activation("blocks.0.mlp.hook_out"), norms.post_gain, None)
        checks["MLP writes"] = _relative_error(written, run.activation("blocks.0.ln2_post.hook_out"))
    return checks


def _check_mlp(weights: Weights, layer: int, run: Run) -> Checks:
    """Check a dense MLP's tensors, read as pages read them."""
    mlp, x = weights.mlp(layer), run.activation("blocks.0.mlp.hook_in")
    read = x @ mlp.W_in.double() + mlp.b_in.double()
    written = run.activation("blocks.0.mlp.hook_post") @ mlp.W_out.double() + mlp.b_out.double()
    checks = {"MLP output": _relative_error(written, run.activation("blocks.0.mlp.out.hook_out"))}
    if mlp.W_gate is None or mlp.b_gate is None:
        return checks | {"MLP input": _relative_error(read, run.activation("blocks.0.mlp.hook_pre"))}
    gate = x @ mlp.W_gate.double() + mlp.b_gate.double()
    return checks | {
        "MLP input": _relative_error(read, run.activation("blocks.0.mlp.hook_pre_linear")),
        "MLP gate": _relative_error(gate, run.activation("blocks.0.mlp.hook_pre")),
    }


def _check_norm(
    weights: Weights, run: Run, hook: str, stored: Mapping[str, Tensor], name: str, offset: float | None = None
) -> Checks:
    """Check a norm's gain and shift, where the library records its input and output."""
    if not run.has(f"{hook}.hook_in", f"{hook}.hook_out"):
        return {}
    gain, shift = stored.get(f"{name}.w"), stored.get(f"{name}.b")
    if gain is not None:
        gain = gain + (weights.facts.gain_offset if offset is None else offset)
    found = _apply_norm(weights, run.activation(f"{hook}.hook_in"), gain, shift)
    return {f"norm {hook.removeprefix('blocks.0.')}": _relative_error(found, run.activation(f"{hook}.hook_out"))}


def _apply_norm(
    weights: Weights, x: Float[Tensor, "pos d"], gain: Float[Tensor, " d"] | None, shift: Float[Tensor, " d"] | None
) -> Float[Tensor, "pos d"]:
    """Apply a norm of this model's kind, float64."""
    if weights.facts.normalization == "LN":
        x = _centre(x)
    x = x * (x.square().mean(1, keepdim=True) + weights.facts.eps).rsqrt()
    if gain is not None:
        x = x * gain.double()
    return x if shift is None else x + shift.double()


def _centre(x: Float[Tensor, "pos d"]) -> Float[Tensor, "pos d"]:
    return x - x.mean(1, keepdim=True)


def _relative_error(expected: Tensor, found: Tensor) -> float:
    """Compute the largest difference relative to the largest value; NaN if anything is."""
    return float((expected - found).abs().max() / found.abs().max().clamp_min(torch.finfo(torch.float32).tiny))


def _refuse_failed(checks: Checks, where: str) -> Checks:
    for name, error in checks.items():
        if not error <= TOLERANCE:  # also when it is NaN
            raise ImportRefused(
                f"the imported weights do not do what the model does: in {where}, {name} differs by {error:.1g} of "
                f"the largest value (at most {TOLERANCE:g} is allowed)"
            )
    return checks
