"""The rays of a bank that write or read a token, by how far out the token lies among all tokens along them.

    z = v . (w_t - mean) / spread        of a ray v and the token's own vector w_t at the ray's end

A random unit direction gives `|w_t - mean| / sqrt(variance)` times a normal number, variance being that of all
tokens: that tells how many of n directions would lie as far out (`app.core.finding.expectation`). Imports no torch.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from app.core.address import KINDS, SIGNS
from app.core.finding.expectation import expected_count, threshold_z
from app.explorer.layout import BANK_ENDS
from app.explorer.library import OpenModel
from app.explorer.pages.circuitry import Aligned, TokenGroup
from app.explorer.reading.finding.around import describe_row
from app.explorer.reading.finding.bank import Bank
from app.explorer.reading.finding.order import Precedence
from app.explorer.reading.finding.origins import OwnVectors
from app.explorer.view import End

MOST = 10
"""Rays shown of each group."""
Does = Literal["writes", "reads", "queries", "keys", "neurons-write", "neurons-read"]


@dataclass(frozen=True)
class Doing:
    """A group of rows by what they do to a token, such as writing it."""

    does: Does
    kinds: tuple[str, ...]
    side: int
    are_neurons: bool = False


DOINGS = (
    Doing("writes", ("ov", "mlp-out"), 1),
    Doing("reads", ("ov", "mlp-in", "mlp-gate"), 0),
    Doing("queries", ("qk",), 0),
    Doing("keys", ("qk",), 1),
    Doing("neurons-write", ("mlp-out",), 1, are_neurons=True),
    Doing("neurons-read", ("mlp-in", "mlp-gate"), 0, are_neurons=True),
)


_known_rows: WeakKeyDictionary[Bank, dict[Does, NDArray[np.intp]]] = WeakKeyDictionary()
"""Rows of each group, computed once for each bank."""


def group_rays(
    model: OpenModel,
    bank: Bank,
    order: Precedence,
    ends: Mapping[End, OwnVectors],
    id_: int,
    *,
    whole: bool,
    pin: str | None = None,
) -> tuple[TokenGroup, ...]:
    """Group the rays that write the token, read it, query by it and have it as a key.

    `whole`: with single neurons, and with the token's rank at every shown end; else the rank is given only among an
    end's kept tokens, since counting takes a product with every token. `pin`: the pin of every address.
    """
    doings = [doing for doing in DOINGS if whole or not doing.are_neurons]
    at = {doing.does: rows for doing in doings if len(rows := _find_rows(bank, order, doing))}
    lie = _score_rows(bank, ends, id_, list(at.values()))
    found = [_make_group(model, bank, does, rows, lie, pin) for does, rows in at.items()]
    shown = [ray for group in found for ray in group.rays]
    ranked = iter(_add_ranks(bank, shown, ends, id_, whole=whole))
    return tuple(replace(group, rays=tuple(next(ranked) for _ in group.rays)) for group in found)


@dataclass(frozen=True)
class Lying:
    """The token's scores along the rows of a bank; nan for rows that were not compared."""

    z: NDArray[np.float64]
    scores: NDArray[np.float64]
    """Strength times product."""
    scale: NDArray[np.float64]
    """Standard deviation of a random direction's z, by the row's end."""


def _find_rows(bank: Bank, order: Precedence, doing: Doing) -> NDArray[np.intp]:
    known = _known_rows.setdefault(bank, {})
    if doing.does not in known:
        rows = bank.rows
        of_kinds = np.isin(rows.kind, [KINDS.index(kind) for kind in doing.kinds])
        is_own = of_kinds & (rows.side == doing.side) & (rows.is_neuron == doing.are_neurons) & order.is_used
        known[doing.does] = np.flatnonzero(is_own & (rows.spread > 0))
    return known[doing.does]


def _score_rows(bank: Bank, ends: Mapping[End, OwnVectors], id_: int, at: Sequence[NDArray[np.intp]]) -> Lying:
    rows, n = bank.rows, len(bank.rows.layer)
    wanted = np.zeros(n, np.bool_)
    wanted[np.concatenate(at)] = True
    at_ends = [ends[end].centred_vector(id_) for end in BANK_ENDS]
    # With both ends at once, since reading the rows takes longer than multiplying them.
    products = bank.products(np.stack(at_ends, axis=1), wanted)[np.arange(n), rows.end].astype(np.float64)
    scales = [
        float(np.linalg.norm(own)) / math.sqrt(ends[end].variance) for own, end in zip(at_ends, BANK_ENDS, strict=True)
    ]
    return Lying(products / rows.spread, rows.strength * products, np.where(wanted, np.array(scales)[rows.end], 1.0))


def _make_group(
    model: OpenModel, bank: Bank, does: Does, at: NDArray[np.intp], lie: Lying, pin: str | None
) -> TokenGroup:
    far = np.abs(lie.z[at])
    first = np.argpartition(-far, min(MOST, len(far)) - 1)[:MOST]
    first = at[first[np.argsort(-far[first], kind="stable")]]
    by_chance = expected_count(lie.z[first] / lie.scale[first], len(at))
    rays = [
        replace(
            describe_row(
                model.vocabulary,
                bank,
                int(row),
                float(abs(lie.scores[row])),
                float(abs(lie.z[row])),
                len(at),
                SIGNS[int(lie.z[row] < 0)],
                pin,
            ),
            expected=float(chance),
            row=int(row),
        )
        for row, chance in zip(first, by_chance, strict=True)
    ]
    return TokenGroup(does, tuple(rays), len(at), int((far / lie.scale[at] >= threshold_z(len(at))).sum()))


def _add_ranks(
    bank: Bank, rays: Sequence[Aligned], ends: Mapping[End, OwnVectors], id_: int, *, whole: bool
) -> list[Aligned]:
    """Add the token's rank along each ray: looked up among the kept tokens, else counted over the vocabulary."""
    rows = np.array([ray.row for ray in rays], np.intp)
    signs = [SIGNS.index(ray.end.sign) for ray in rays]
    kept = [np.flatnonzero(bank.rows.ids[row, sign] == id_) for row, sign in zip(rows, signs, strict=True)]
    ranks: list[int | None] = [int(places[0]) + 1 if len(places) else None for places in kept]
    for number, end in enumerate(BANK_ENDS) if whole else ():
        beyond = [n for n, row in enumerate(rows) if ranks[n] is None and bank.rows.end[row] == number]
        if beyond:
            turned = np.array([1 - 2 * signs[n] for n in beyond], np.float32)
            scores = ends[end].scores(bank.vectors(rows[beyond]) * turned[:, None])
            for n, own in zip(beyond, (scores > scores[id_]).sum(axis=0).tolist(), strict=True):
                ranks[n] = own + 1
    return [replace(ray, rank=rank) for ray, rank in zip(rays, ranks, strict=True)]
