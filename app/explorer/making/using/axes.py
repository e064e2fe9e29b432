"""The axes that heads' outputs vary along on a reference text: an OV in the basis `used`, the heads of a layer together.

Besides what every decomposition has, a row for each axis:

    held [n]                    share of the output's variance along the axis of that place that was fitted on the other half of
                                the text: what is left of `merit`, which is of the text that the axes were fitted to
    mixture mixture_of [n m]    |cos| of its right side with the singular directions that it is most like, and which these are

Knows no pages.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from app.core.using.shares import score_fitted_axes
from app.explorer import recipes
from app.explorer.errors import ComputationFailed
from app.explorer.layout import MIXED
from app.explorer.making.context import Arrays, ArraysAndFacts, Context
from app.explorer.making.curves import sample_curve
from app.explorer.making.heads import HeadMatrix, decompose_heads
from app.explorer.making.sides import ReadoutRequest, read_together

if TYPE_CHECKING:
    from app.core.bases.used import UsedAxes


@dataclass(frozen=True)
class FittedAxes:
    """The axes of one head's output."""

    matrix: HeadMatrix
    """Its OV, in singular directions."""
    axes: "UsedAxes"
    held: NDArray[np.float64]
    """The share of the variance along each axis that was fitted on the other half of the text."""


@dataclass(frozen=True)
class Outputs:
    """How what heads write varies on a text."""

    covariance: NDArray[np.float32]
    """Along the singular directions of each head, on either half: [halves layers heads rank rank]."""
    n_tokens: int
    """Positions that were counted."""
    is_given: bool
    """The text is the operator's; else the model wrote it."""


def find_axes(context: Context, layer: int, heads: Sequence[int], outputs: Outputs) -> list[FittedAxes]:
    """Find the axes of these heads of a layer."""
    from app.core.exact.shares import map_side_by_side

    found = decompose_heads(context, layer, [(head, "ov") for head in heads])
    return map_side_by_side(lambda each: _find_head_axes(each, outputs.covariance[:, layer, each.head]), found)


def read_axes(context: Context, layer: int, heads: Sequence[int], outputs: Outputs) -> list[ArraysAndFacts]:
    """Find the axes of these heads of a layer, and read out all of them at both ends, and the biases, in one go."""
    found = find_axes(context, layer, heads, outputs)
    made = [(_axes_arrays(each), _axes_facts(each, outputs)) for each in found]
    asked: list[ReadoutRequest] = []
    for each, (arrays, facts) in zip(found, made, strict=True):
        product, terms = each.matrix.product, each.axes.terms
        asked.append(ReadoutRequest(arrays, "left", product.left, terms.left))
        asked.append(ReadoutRequest(arrays, "right", product.right, terms.right))
        if facts["has_bias"]:
            asked.append(ReadoutRequest(arrays, "bias", product.right, each.matrix.bias[None]))
    read_together(context, asked)
    return made


def load_outputs(context: Context, number: int) -> Outputs:
    """Load the statistics of that number; ComputationFailed where they are gone."""
    model, processing = context.model, context.processing
    for recipe in context.store.recipes(model.fingerprint, "use/outputs"):
        text = recipes.number_in(recipe, "text")
        if (recipe.processing, recipes.number_of_statistics(model, processing, text)) != (processing, number):
            continue
        whole, outputs = (context.store.load(of(model, processing, text)) for of in (recipes.use, recipes.use_outputs))
        if whole is not None and outputs is not None:
            windows, tokens = whole.arrays["ids"].shape
            return Outputs(outputs.arrays["covariance"], windows * (tokens - 1), bool(text))
    raise ComputationFailed(
        f"The statistics {number}, which axes are fitted to, are not here: singular-lens statistics {model.header.slug} --weights "
        f"{processing} computes those of text that the model writes."
    )


def _find_head_axes(matrix: HeadMatrix, halves: NDArray[np.float32]) -> FittedAxes:
    """Find the axes of one head; `halves`: the covariance of its output on either half of the text."""
    import torch

    from app.core.bases import used

    rank = len(matrix.terms.strength)
    own = halves[:, :rank, :rank].astype(np.float64)
    axes = used.find_axes(matrix.terms, torch.from_numpy(own.mean(axis=0)))
    return FittedAxes(matrix, axes, np.diff(np.nan_to_num(score_fitted_axes(own)), prepend=0.0))


def _axes_arrays(each: FittedAxes) -> Arrays:
    """Return the numbers of a head's axes, without a readout."""
    terms, n = each.axes.terms, len(each.axes.terms.strength)
    assert terms.merit is not None
    shares, best = (np.square(of.numpy(), dtype=np.float64) for of in (terms.strength, each.matrix.terms.strength))
    size = best.sum()
    order = each.axes.mixture.argsort(dim=1, descending=True, stable=True)[:, :MIXED]
    # The axes are orthonormal on the right: each explains what it is of the matrix, and no other does.
    curves = (np.concatenate([[0.0], np.cumsum(of) / size]) if n else np.zeros(1) for of in (shares, best))
    return {
        "index": np.arange(n, dtype=np.int32),
        "strength": terms.strength.numpy(),
        "share": shares / size if n else shares,
        "merit": terms.merit.numpy(),
        "held": each.held.astype(np.float32),
        "mixture": each.axes.mixture.gather(1, order).float().numpy(),
        "mixture_of": order.numpy().astype(np.int32),
        **sample_curve(*curves),
    }


def _axes_facts(each: FittedAxes, outputs: Outputs) -> dict[str, Any]:
    merit = each.axes.terms.merit
    assert merit is not None
    squares = float(merit.double().square().sum())
    return {
        "scores": {"output-participation": 1 / squares} if squares else {},
        "has_bias": bool(each.matrix.bias.any()),
        "text": "given" if outputs.is_given else "own",
        "n_tokens": outputs.n_tokens,
    }
