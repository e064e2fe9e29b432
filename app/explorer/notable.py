"""Rays worth a first look: those whose top written tokens are alike, by plain coherence, at most one a head.

A guide, not a test: the number has no control yet. Left out: rays of frequent words and fragments, which top many
directions of any model, and rays of tokens that training never moved apart. Runs in the worker's thread; knows no
pages.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from app.core.rays import HEADLINE
from app.explorer.bench import Arrays, Baked, Bench
from app.explorer.compute import Steps
from app.explorer.work import found, joined, read_out, strongest
from app.models.vocabulary import Entry, Vocabulary

N_RAYS = 16
N_DIRECTIONS = 8
"""Strongest directions of a head that are looked at."""
N_TOKENS = 10
FREQUENT_SHARE = 50
"""One id in fifty counts as frequent: tokenizers number their tokens from frequent to rare."""
MAX_COMMON = N_TOKENS // 2
MIN_WHOLE = 7
"""Whole words among the tokens; with fewer, a ray is one of fragments."""
COLLAPSED = 0.9
"""Mean cosine of tokens that training never moved: they still lie on one point."""
PARAMETERS = {
    "rays": N_RAYS,
    "directions": N_DIRECTIONS,
    "tokens": N_TOKENS,
    "frequent": FREQUENT_SHARE,
    "common": MAX_COMMON,
    "whole": MIN_WHOLE,
    "collapsed": COLLAPSED,
}
"""All that decides which rays are shown: part of the recipe, so that another choice is another artifact."""


@dataclass(frozen=True)
class Ray:
    """A candidate: row of its layer's arrays, and how it was judged."""

    layer: int
    row: int
    head: int
    ray: int
    coherence: float
    merit: float


def gallery(bench: Bench) -> Steps:
    """The rays with the highest merit, most coherent first: rows of their directions, with layer, head, ray and coherence."""
    n_layers, heads = bench.model.manifest.n_layers, range(bench.model.manifest.n_heads)
    layers: list[Arrays] = []
    rays: list[Ray] = []
    for index in range(n_layers):
        yield index, n_layers
        matrices = found(bench, index, [(head, "ov") for head in heads])
        layers.append(strongest(read_out(bench, matrices, N_TOKENS, N_DIRECTIONS), N_DIRECTIONS, N_TOKENS))
        rays += best_rays(bench, layers[-1], index)
    return picked(layers, rays)


def best_rays(bench: Bench, rows: Arrays, layer: int) -> list[Ray]:
    """Of the strongest OV directions of a layer's heads, the best ray of each head that has one."""
    return _best_of_heads(_candidates(bench, rows, layer))


def picked(layers: Sequence[Arrays], rays: Sequence[Ray]) -> Baked:
    """The gallery's artifact, from the strongest OV directions of every layer and the best rays among them."""
    chosen = sorted(rays, key=lambda ray: -ray.merit)[:N_RAYS]
    chosen.sort(key=lambda ray: -ray.coherence)  # the number that is shown
    rows = [{name: array[[ray.row]] for name, array in layers[ray.layer].items()} for ray in chosen]
    # An empty gallery has the same arrays with no rows.
    arrays = joined([{name: array[:0] for name, array in layers[0].items()}, *rows])
    arrays |= {
        "layer": np.array([ray.layer for ray in chosen], np.int32),
        "ray": np.array([ray.ray for ray in chosen], np.int8),
        "coherence": np.array([ray.coherence for ray in chosen], np.float32),
    }
    return arrays, {}


def _candidates(bench: Bench, arrays: Arrays, layer: int) -> Iterator[Ray]:
    """Both rays of every direction, without those that are left out."""
    for ray, end in enumerate(("top", "bottom")):
        ids = arrays[f"right_{end}_ids"]
        for row, coherence in enumerate(
            arrays["right_coherence"][:, ray, HEADLINE].tolist() if "right_coherence" in arrays else ()
        ):
            whole_words = readable_share(ids[row].tolist(), bench.model.vocabulary)
            if whole_words is not None and coherence <= COLLAPSED:
                yield Ray(layer, row, int(arrays["head"][row]), ray, coherence, coherence * whole_words)


def readable_share(ids: list[int], vocabulary: Vocabulary) -> float | None:
    """The share of whole words among the tokens; None if too many are fragments, too frequent or too short."""
    entries = [vocabulary.entry(id_) for id_ in ids]
    if sum(_is_common(entry, vocabulary.size) for entry in entries) > MAX_COMMON:
        return None
    share = sum(_is_whole_word(entry) for entry in entries) / len(entries)
    return share if share * N_TOKENS >= MIN_WHOLE else None


def _is_common(entry: Entry, d_vocab: int) -> bool:
    return entry.kind != "text" or entry.id < d_vocab // FREQUENT_SHARE or len(entry.text.strip()) <= 2


def _is_whole_word(entry: Entry) -> bool:
    word = entry.text.removeprefix(" ")
    return entry.text.startswith(" ") and len(word) > 2 and word.isalpha()


def _best_of_heads(rays: Iterator[Ray]) -> list[Ray]:
    best: dict[int, Ray] = {}
    for ray in rays:
        if ray.head not in best or ray.merit > best[ray.head].merit:
            best[ray.head] = ray
    return list(best.values())
