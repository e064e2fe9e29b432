"""The angles by which another rounding rotates a quantised copy's directions: predicted, and measured with new noise.

    python -m benchmarks.determinacy smollm2 SmolLM2-135M-Instruct.Q4_1.gguf [--data FOLDER] [--draws N]

The model as it was imported, folded; its GGUF file gives the step size of each block. A uniform error of its own
block's step is added to every number of a matrix, the SVD taken again, and each direction compared with the former one
of the same index. One head a layer, and the MLPs of five layers. Pages know only the root mean square of each head's or
matrix's steps; beside their prediction stands the one that knows the steps of every block.
"""

import argparse
import statistics
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from app.config import Settings
from app.core.basis import BASES
from app.core.circuits import CIRCUITS
from app.core.decomposition import Decomposition, ErrorVariances
from app.core.folding import fold_head, fold_mlp, fold_unembedding, normed_embedding
from app.core.matrix import Matrix
from app.core.measuring.determinacy import DETERMINED_DEGREES
from app.core.measuring.turns import expected_leaks, median_degrees, predict_turns
from app.core.mlp import MLP_MATRICES
from app.models.catalog import Catalog
from app.models.importing.gguf.converter import unpair_rows
from app.models.importing.gguf.header import GgufHeader, read_gguf_header
from app.models.importing.gguf.library import step_sizes
from app.models.weights import Weights, open_weights

RANKS = ((0, 1), (1, 4), (4, 16), (16, 64), (64, 10_000))
ANGLES = (0, 5, 8, 10, 12, 15, 20, 30, 90)
TOKENS = 10
MLP_EVERY = 7


Readers = tuple[Tensor, Tensor]
"""Vectors of tokens [n_tokens d_model], for read and for write sides."""


class Trial(NamedTuple):
    """A matrix, and the step size of every number of each factor."""

    kind: str
    matrix: Matrix
    steps: list[Tensor]


class Outcome(NamedTuple):
    """The measured and predicted angles of one matrix, both sides: [2 rank]."""

    kind: str
    measured: Tensor
    predicted: Tensor
    by_block: Tensor
    kept: Tensor | None
    """Shares of the rays' first tokens that remain, both rays; of OV alone."""
    spans: Tensor
    """Shares of both sides' spans that remain, measured and predicted [2 2]."""


def main() -> None:
    """Measure the matrices and print the tables."""
    parser = argparse.ArgumentParser(description="How far rounding turns directions, predicted and measured.")
    parser.add_argument("model")
    parser.add_argument("file", type=Path)
    parser.add_argument("--data", type=Path, default=Settings().data)
    parser.add_argument("--draws", type=int, default=8)
    asked = parser.parse_args()
    catalog = Catalog(asked.data)
    manifest = catalog.get(asked.model)
    if manifest is None or manifest.quantisation is None:
        parser.error(f"{asked.model} is not here, or is no quantised copy")
    weights = open_weights(catalog.weights_folder(manifest.fingerprint), manifest)
    with torch.inference_mode():
        readers = _read_readers(weights)
        outcomes = [measure_trial(each, readers, asked.draws) for each in read_trials(weights, asked.file)]
    for line in write_tables(outcomes):
        print(line)


def read_trials(weights: Weights, path: Path) -> Iterator[Trial]:
    """Read the matrices to measure: one head a layer, and some MLPs."""
    header, facts = read_gguf_header(path), weights.facts
    group = facts.n_heads // facts.n_kv_heads
    for layer in range(facts.n_layers):
        head = layer % facts.n_heads
        tensors = fold_head(weights.head(layer, head), norms := weights.norms(layer, head))
        gain = torch.ones(facts.d_model) if norms.gain is None else norms.gain.abs()
        by_query = _read_rows(path, header, f"blk.{layer}.attn_q", facts.n_heads)[head].T
        by_key = _read_rows(path, header, f"blk.{layer}.attn_k", facts.n_kv_heads)[head // group].T
        by_value = (
            _read_steps(path, header, f"blk.{layer}.attn_v").unflatten(0, (facts.n_kv_heads, -1))[head // group].T
        )
        written = _read_steps(path, header, f"blk.{layer}.attn_output").T.unflatten(0, (facts.n_heads, -1))[head]
        yield Trial("OV", CIRCUITS["ov"](tensors), [gain[:, None] * by_value, written])
        yield Trial("QK", CIRCUITS["qk"](tensors), [gain[:, None] * by_query, (gain[:, None] * by_key).T])
    for layer in range(0, facts.n_layers, MLP_EVERY):
        mlp = fold_mlp(weights.mlp(layer), around := weights.mlp_norms(layer))
        gain = torch.ones(facts.d_model) if around.gain is None else around.gain.abs()
        for kind, name in (("mlp-in", "ffn_up"), ("mlp-gate", "ffn_gate"), ("mlp-out", "ffn_down")):
            steps = _read_steps(path, header, f"blk.{layer}.{name}").T
            yield Trial("MLP", MLP_MATRICES[kind](mlp), [steps if kind == "mlp-out" else gain[:, None] * steps])


def _read_steps(path: Path, header: GgufHeader, name: str) -> Tensor:
    """Read the step size of every number of a tensor, rows in the file's order."""
    tensor = header.tensors[f"{name}.weight"]
    with path.open("rb") as file:
        file.seek(tensor.start)
        raw = torch.frombuffer(bytearray(file.read(tensor.n_bytes)), dtype=torch.uint8)
    found = step_sizes(raw, tensor)
    if found is None:
        raise SystemExit(f"the levels of {name} are unevenly spaced")
    return found


def _read_rows(path: Path, header: GgufHeader, name: str, n_heads: int) -> Tensor:
    """Read the step sizes of queries or keys, by heads, rows in the model's order."""
    return unpair_rows(_read_steps(path, header, name), n_heads).unflatten(0, (n_heads, -1))


def measure_trial(trial: Trial, readers: Readers, draws: int) -> Outcome:
    """Predict the angles of a matrix, and measure them with noise drawn anew."""
    terms = _decompose(trial.matrix)
    sides = predict_turns(trial.matrix, terms)
    assert sides is not None
    before = _find_tokens(terms, readers, (1, 1)) if trial.kind == "OV" else None
    draw = torch.Generator().manual_seed(0)
    degrees, spans, kept = [], [], []
    for _ in range(draws):
        factors = tuple(
            (factor.double() + (torch.rand(size.shape, generator=draw, dtype=torch.float64) - 0.5) * size).float()
            for factor, size in zip(trial.matrix.factors, trial.steps, strict=True)
        )
        after = _decompose(replace(trial.matrix, factors=factors))
        cosines = [a.double() @ b.double().T for a, b in ((terms.left, after.left), (terms.right, after.right))]
        own = torch.stack([each.diagonal() for each in cosines])
        degrees.append(own.abs().clamp(max=1).acos().rad2deg())
        spans.append(torch.stack([each.square().sum() / len(each) for each in cosines]))
        if before is not None:
            same = _find_tokens(after, readers, own.sign().float())[..., None, :] == before[..., None]
            kept.append(same.any(dim=-1).double().sum(dim=-1).mean(dim=-1))
    return Outcome(
        trial.kind,
        torch.stack(degrees).median(dim=0).values,
        torch.stack([side.degrees for side in sides]),
        _predict_by_block(trial, terms),
        torch.stack(kept).mean(dim=0) if kept else None,
        torch.stack([torch.stack(spans).mean(dim=0), torch.stack([side.rest[0] for side in sides])], dim=1),
    )


def _decompose(matrix: Matrix) -> Decomposition:
    steps = BASES["svd"].decompose(matrix, {})
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: Decomposition = end.value
            return found


def _read_readers(weights: Weights) -> Readers:
    """Read the vectors of tokens for read and write sides."""
    ends, center = weights.embeddings(), weights.facts.normalization == "LN"
    return normed_embedding(ends.W_E, center, weights.facts.eps), fold_unembedding(ends.W_U, ends.final_gain, center).T


def _find_tokens(terms: Decomposition, readers: Readers, signs: Tensor | tuple[int, int]) -> Tensor:
    """Find the first tokens of both rays of both sides: [2 rank 2 TOKENS]."""
    found = []
    for vectors, table, sign in zip((terms.left, terms.right), readers, signs, strict=True):
        scores = (vectors * torch.as_tensor(sign).reshape(-1, 1)) @ table.T
        found.append(torch.stack([scores.topk(TOKENS).indices, (-scores).topk(TOKENS).indices], dim=1))
    return torch.stack(found)


def _predict_by_block(trial: Trial, terms: Decomposition) -> Tensor:
    """Predict the angles with the steps of every block: each number's own variance in the sums."""
    squares = [size.double().square() / 12 for size in trial.steps]
    left, right = terms.left.double(), terms.right.double()
    if len(squares) == 1:
        seen = [(left, squares[0], right)] * 2
    else:
        A, B = (factor.double() for factor in trial.matrix.factors)
        seen = [(left, squares[0], right @ B.T), (left @ A, squares[1], right)]
    pairs = [u.square() @ each @ v.square().T for u, each, v in seen]
    outside_left = seen[0][1].sum(dim=0) @ seen[0][2].square().T - pairs[0].sum(dim=0)
    outside_right = seen[-1][0].square() @ seen[-1][1].sum(dim=1) - pairs[-1].sum(dim=1)
    of_both = pairs[0] if len(squares) == 1 else pairs[0] + pairs[1]
    sides = expected_leaks(ErrorVariances(of_both, outside_left.clamp(min=0), outside_right.clamp(min=0)), terms)
    return torch.stack([median_degrees(side) for side in sides])


def write_tables(outcomes: list[Outcome]) -> Iterator[str]:
    """Write the lines of the Markdown tables."""
    yield "| matrices | directions | turned by | predicted / measured | with every block's step | tokens kept of 10 |"
    yield "|---|---|---|---|---|---|"
    for kind in dict.fromkeys(each.kind for each in outcomes):
        own = [each for each in outcomes if each.kind == kind]
        for first, last in RANKS:
            measured, predicted, by_block = (
                torch.cat([getattr(each, name)[:, first:last].flatten() for each in own])
                for name in ("measured", "predicted", "by_block")
            )
            if not len(measured):
                continue
            kept = [float(each.kept[:, first:last].mean()) for each in own if each.kept is not None]
            shown = f"{statistics.mean(kept):.1f}" if kept else ""
            ratios = [float((each / measured).median()) for each in (predicted, by_block)]
            place = f"{first}" if last == first + 1 else f"{first} and later" if last > 64 else f"{first}–{last - 1}"
            yield f"| {kind} | {place} | {float(measured.median()):.1f}° | {ratios[0]:.2f} | {ratios[1]:.2f} | {shown} |"
        spans = torch.stack([each.spans for each in own]).mean(dim=0)
        stays = "; ".join(f"{measured:.4f} ({predicted:.4f})" for measured, predicted in spans.tolist())
        yield f"| {kind} | span of all, left; right | {stays} stay, measured (predicted) | | | |"
    yield ""
    yield f"| predicted turn of an OV direction | directions | measured | tokens kept of {TOKENS} |"
    yield "|---|---|---|---|"
    judged = [each for each in outcomes if each.kept is not None]
    measured, predicted, kept = (
        torch.cat([getattr(each, name).flatten() for each in judged]) for name in ("measured", "predicted", "kept")
    )
    for low, high in pairwise(ANGLES):
        among = (predicted >= low) & (predicted < high)
        if among.any():
            yield (
                f"| {low}° to {high}° | {int(among.sum())} | {float(measured[among].median()):.1f}° | "
                f"{float(kept[among].mean()):.1f} |"
            )
    sure = [int((each.predicted.amax(dim=0) < DETERMINED_DEGREES).sum()) for each in judged]
    yield ""
    yield f"Determined directions of a head's OV: {statistics.median(sure):g} in the median, {min(sure)} to {max(sure)}."


if __name__ == "__main__":
    main()
