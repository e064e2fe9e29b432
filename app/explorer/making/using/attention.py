"""Why a head looks from one position of a prompt at another: maker of `attention`, in the weights as the network uses them.

    source [1]                  the position that is looked at
    first [1]                   the first position that the head sees from there; those before are masked
    pattern, score [m]          attention to each position up to the one that looks, and its score before cap and softmax
    cap [1]                     what scores are capped at; 0: they are not
    strength, read, held [rank] the pair by the directions of its QK at its distance: the score is the sum of read x held
    bias [3]                    and what biases add: with the query's content, with the key's, with neither
    row_read, row_held [rank]   the same by the query's directions at distance 0; `row_other` is what others hold
    settled [3]                 terms until the sum stays within a tenth: of the pair, beside other sources, by planes
    settled_random, row_settled_random [draws]  the same in random bases of the query's span
    size, angle [planes]        the pair by rotary planes, and `still` [1], where positions rotate; `frequencies` in radians

Maker of `pairs`, too: for pairs of positions at one distance, or of all where positions rotate nothing,
    to, source [m]              the position that looks, and the one that is looked at; the start is in no pair
    score, attention [m]        its score before cap and softmax, and what attention it gets
    term [m rank]               what each direction of QK at that distance adds to the score

Imports torch, and so is imported late. Knows no prompt's key; its caller has run the text.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from app.core.folding import fold_head
from app.core.using.attention import (
    Products,
    compare_with_others,
    count_settled,
    draw_random_terms,
    hold_for_queries,
    score_keys,
    split_by_biases,
    split_by_directions,
    split_by_planes,
)
from app.core.using.coefficients import norm_scales
from app.explorer.making.context import Arrays, Context
from app.explorer.making.heads import decompose_heads, read_head_tensors
from app.explorer.making.using.texts import norm_for_heads
from app.explorer.recipes import number_in
from app.models.live.forward import TextRun
from app.models.live.scoring import read_scoring
from app.store.artifacts import Recipe

DRAWS = 8
"""Random bases beside a split."""


def explain_attention(context: Context, network: Any, run: TextRun, recipe: Recipe) -> Arrays:
    """Split the score that a head gives one position at another, and compare it with those of all others."""
    layer, number, to = (number_in(recipe, name) for name in ("layer", "head", "to"))
    weights, n_tokens = context.model.weights(), len(run.ids)
    scoring, rotary = read_scoring(network, layer), weights.rotary(layer)
    stream, pattern = run.streams[layer, : to + 1].cpu(), run.patterns[layer][number, to, : to + 1].cpu()
    source = _choose_source(pattern) if number_in(recipe, "from") < 0 else number_in(recipe, "from")
    distance = to - source if rotary is not None else 0

    seen = norm_for_heads(context, layer, stream).double()
    query_scales, key_scales = _scale_sides(context, layer, number, stream)
    factors = scoring.scale * query_scales[-1] * key_scales
    head = fold_head(weights.head(layer, number), weights.norms(layer, number))
    scores = factors * score_keys(seen[-1], seen, head, rotary, n_tokens)

    factor = float(factors[source])
    terms = decompose_heads(context, layer, [(number, "qk")], distance)[0].terms
    pair = split_by_directions(seen[-1], seen[source], terms, factor)
    rotated = read_head_tensors(context, layer, number, distance)

    still_terms = terms if distance == 0 else decompose_heads(context, layer, [(number, "qk")])[0].terms
    held = factors[:, None] * hold_for_queries(seen, head, rotary, n_tokens, still_terms.left)
    row = Products(still_terms.left.double() @ seen[-1], compare_with_others(held, pattern, source))
    counts = [count_settled(pair.terms), count_settled(row.terms)]

    found = {
        "strength": terms.strength,
        "read": pair.read,
        "held": pair.held,
        "bias": split_by_biases(seen[-1], seen[source], rotated, factor),
        "row_read": row.read,
        "row_held": held[source],
        "row_other": held[source] - row.held,
        "pattern": pattern,
        "score": scores,
        "cap": torch.tensor([scoring.cap or 0.0]),
    }
    if rotary is not None:
        planes = split_by_planes(seen[-1], seen[source], head, rotary, distance, n_tokens, factor)
        found |= {"size": planes.size, "angle": planes.angle, "still": planes.still[None]}
        found["frequencies"] = rotary.frequencies_of(n_tokens)
        counts.append(count_settled(torch.cat([planes.size * planes.angle.cos(), planes.still[None]])))
    random = {
        "settled_random": count_settled(draw_random_terms(pair, DRAWS, number_in(recipe, "seed"))),
        "row_settled_random": count_settled(draw_random_terms(row, DRAWS, number_in(recipe, "seed"))),
    }
    first = next(j for j in range(to + 1) if scoring.sees(to, j))
    whole = {"source": torch.tensor([source]), "first": torch.tensor([first]), "settled": torch.stack(counts)}
    return {name: values.float().numpy() for name, values in found.items()} | {
        name: values.numpy().astype(np.int32) for name, values in (whole | random).items()
    }


def find_pairs(context: Context, network: Any, run: TextRun, recipe: Recipe) -> Arrays:
    """Compute what each direction of a head's QK adds to the scores of a text's pairs."""
    layer, number, distance = (number_in(recipe, name) for name in ("layer", "head", "distance"))
    scoring, n = read_scoring(network, layer), len(run.ids)
    rotates = context.model.weights().rotary(layer) is not None
    pairs = [
        (to, source)
        for to in range(1, n)
        for source in range(1, to + 1)
        if scoring.sees(to, source) and (not rotates or to - source == distance)
    ]
    to, source = torch.tensor(pairs, dtype=torch.long).reshape(-1, 2).T
    stream = run.streams[layer].cpu()
    seen = norm_for_heads(context, layer, stream).double()
    query_scales, key_scales = _scale_sides(context, layer, number, stream)
    factors = scoring.scale * query_scales[to] * key_scales[source]
    terms = decompose_heads(context, layer, [(number, "qk")], distance if rotates else 0)[0].terms
    read, held = seen @ terms.left.double().T, seen @ terms.right.double().T
    made = factors[:, None] * read[to] * held[source] * terms.strength.double()
    rotated = read_head_tensors(context, layer, number, distance if rotates else 0)
    queries = seen @ rotated.W_Q.double() + rotated.b_Q.double()
    keys = seen @ rotated.W_K.double() + rotated.b_K.double()
    return {
        "to": to.numpy().astype(np.int32),
        "source": source.numpy().astype(np.int32),
        "score": (factors * (queries[to] * keys[source]).sum(1)).float().numpy(),
        "attention": run.patterns[layer][number].cpu()[to, source].numpy(),
        "term": made.float().numpy(),
    }


def _choose_source(pattern: Tensor) -> int:
    """Choose the position that is looked at most, but for the start where there is another."""
    return 1 + int(pattern[1:].argmax()) if len(pattern) > 1 else 0


def _scale_sides(context: Context, layer: int, number: int, stream: Tensor) -> tuple[Tensor, Tensor]:
    """Compute what norms of queries and of keys multiply those of each position by, gains apart."""
    shape, weights = context.model.manifest, context.model.weights()
    if shape.qk_norm == "none":
        return (ones := torch.ones(len(stream), dtype=torch.float64)), ones
    raw = norm_for_heads(replace(context, processing="raw"), layer, stream).double()
    shared = shape.n_heads // shape.n_kv_heads
    heads = [weights.head(layer, each) for each in (range(shape.n_heads) if shape.qk_norm_over_heads else [number])]
    queries = [raw @ one.W_Q.double() + one.b_Q.double() for one in heads]
    keys = [raw @ one.W_K.double() + one.b_K.double() for one in heads[::shared]]
    center = shape.qk_norm == "LN"
    return (
        norm_scales(torch.cat(queries, dim=1), center, shape.eps),
        norm_scales(torch.cat(keys, dim=1), center, shape.eps),
    )
