"""What a model did with a prompt, read for its page: which directions and neurons to list, in which order. Knows no torch."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.core.address import Address, Ray
from app.explorer.layout import MOST_REMOVED
from app.explorer.pages.using.prompts import (
    Contribution,
    CourseSource,
    CourseToken,
    LogitParts,
    NeuronContribution,
    NextToken,
    PromptTab,
    PromptToken,
)
from app.explorer.pages.using.statistics import ReferenceText
from app.models.vocabulary import TokenEntry, Vocabulary
from app.store.artifacts import Arrays

LISTED = MOST_REMOVED
"""Directions that are listed: as many as are taken away at once."""
OF_A_HEAD = 8
"""Directions of one head that are listed at first."""
MOST_SOURCES = 3
"""Positions told with each token of a course."""
Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Reference:
    """What directions do on the reference text: mean and standard deviation of what arrives of each, [layers heads rank]."""

    name: str
    text: ReferenceText
    mean: Floats
    spread: Floats
    n_tokens: int


def read_reference(name: str, text: ReferenceText, arrays: Arrays) -> Reference:
    """Read what a prompt is compared with from the statistics of the model."""
    windows, tokens = arrays["ids"].shape
    return Reference(name, text, arrays["mean"], arrays["spread"], windows * (tokens - 1))


def read_tokens(arrays: Arrays, ids: Sequence[int], vocabulary: Vocabulary) -> tuple[PromptToken, ...]:
    """Read the prompt's tokens, each with the likeliest next one."""
    return tuple(
        PromptToken(position, vocabulary.entry(id_), _read_next(arrays, position, 0, vocabulary))
        for position, id_ in enumerate(ids)
    )


def read_next_tokens(arrays: Arrays, at: int, vocabulary: Vocabulary) -> tuple[NextToken, ...]:
    """Read the likeliest next tokens at a position."""
    return tuple(_read_next(arrays, at, place, vocabulary) for place in range(arrays["next_ids"].shape[1]))


def read_asked(arrays: Arrays, vocabulary: Vocabulary) -> NextToken:
    """Read the token that is asked about."""
    return NextToken(vocabulary.entry(int(arrays["token"][0])), float(arrays["chance"][0]))


def read_against(arrays: Arrays, token: TokenEntry) -> NextToken:
    """Read the token that it is compared with."""
    return NextToken(token, float(arrays["chance"][1]))


def read_parts(arrays: Arrays) -> LogitParts:
    """Read the sum that the token's logit is."""
    return LogitParts(
        *(float(arrays[name].sum(dtype=np.float64)) for name in ("logit", "attention", "mlp", "embedding", "constant"))
    )


def choose_directions(
    arrays: Arrays, reference: Reference | None, show: PromptTab, head: tuple[int, int] | None, *, whole: bool = False
) -> list[tuple[int, int, int]]:
    """Choose the directions that are listed, by layer, head and index, the first first."""
    written = (arrays["strength"] * arrays["attended"]).astype(np.float64)
    if head is not None:
        order = np.argsort(-np.abs(written[head]), kind="stable")
        kept = order[arrays["strength"][head][order] > 0]
        return [(*head, int(index)) for index in (kept if whole else kept[:OF_A_HEAD])]
    if show == "writes":
        size = np.sqrt(np.square(written).sum(axis=-1, keepdims=True))
        values = np.square(written) / np.where(size > 0, size, 1)
    else:
        moved = arrays["attended"] if reference is None else arrays["attended"] - reference.mean
        values = np.abs(arrays["weight"] * moved)
    order = np.argsort(-values, axis=None, kind="stable")[:LISTED]
    layers, heads, indices = (axis.tolist() for axis in np.unravel_index(order, values.shape))
    return list(zip(layers, heads, indices, strict=True))


def read_direction(
    arrays: Arrays, reference: Reference | None, address: Address, *, moved: bool = False
) -> Contribution:
    """Read what one direction of a head's OV writes at the position.

    `moved`: its end is the one along which it writes more than usual, where a usual is known; else along which it writes.
    """
    at = address.layer, address.head, address.index
    attended = float(arrays["attended"][at])
    energy = np.square((arrays["strength"] * arrays["attended"])[at[:2]].astype(np.float64))
    weight = float(arrays["weight"][at]) if "weight" in arrays else None
    z, beyond, along = None, None, attended
    if reference is not None:
        unusual, spread = attended - float(reference.mean[at]), float(reference.spread[at])
        z = unusual / spread if spread > 0 else None
        beyond = None if weight is None else weight * unusual
        along = unusual if moved else attended
    return Contribution(
        end=Ray(address, "p" if along >= 0 else "n"),
        tokens=(),
        attended=attended,
        z=z,
        head_share=float(energy[address.index or 0] / energy.sum()) if energy.any() else 0.0,
        direct=None if weight is None else weight * attended,
        beyond=beyond,
    )


def read_neurons(arrays: Arrays, model: Address) -> tuple[NeuronContribution, ...]:
    """Read the neurons that say most for the token or against it."""
    columns = (arrays[name].tolist() for name in ("layer", "unit", "activation", "direct"))
    return tuple(
        NeuronContribution(model.at_layer(layer).at("mlp-out").in_basis("neuron").direction(unit), value, direct, ())
        for layer, unit, value, direct in zip(*columns, strict=True)
    )


def read_course(
    arrays: Arrays, ids: Sequence[int], vocabulary: Vocabulary, reference: Reference | None, address: Address
) -> tuple[CourseToken, ...]:
    """Read what a direction does at each token."""
    place = address.layer, address.head, address.index
    read, attended = arrays["read"].astype(np.float64), arrays["attended"].astype(np.float64)
    z: list[float | None] = [None] * len(read)
    if reference is not None and (spread := float(reference.spread[place])) > 0:
        z = [None, *((attended[1:] - float(reference.mean[place])) / spread).tolist()]
    return tuple(
        CourseToken(
            position,
            vocabulary.entry(id_),
            float(read[position]),
            float(attended[position]),
            z[position],
            tuple((one, float(brought)) for one, brought in _order_sources(arrays, position)[:MOST_SOURCES]),
        )
        for position, id_ in enumerate(ids)
    )


def read_sources(arrays: Arrays, ids: Sequence[int], vocabulary: Vocabulary, at: int) -> tuple[CourseSource, ...]:
    """Read what each position brings of the direction to one of them, from what brings most."""
    return tuple(
        CourseSource(
            position,
            vocabulary.entry(ids[position]),
            float(arrays["pattern"][at, position]),
            float(arrays["read"][position]),
            brought,
        )
        for position, brought in _order_sources(arrays, at)
    )


def _order_sources(arrays: Arrays, at: int) -> list[tuple[int, float]]:
    brought = arrays["pattern"][at, : at + 1].astype(np.float64) * arrays["read"][: at + 1]
    return [(int(one), float(brought[one])) for one in np.argsort(-np.abs(brought), kind="stable")]


def _read_next(arrays: Arrays, at: int, place: int, vocabulary: Vocabulary) -> NextToken:
    return NextToken(vocabulary.entry(int(arrays["next_ids"][at, place])), float(arrays["next_chances"][at, place]))
