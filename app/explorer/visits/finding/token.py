"""One token of a model: what writes it, what reads it, what looks for it and whose key it is. Knows no HTTP, no torch."""

import numpy as np

from app.core.address import Address
from app.explorer.asking.views import Options, visited
from app.explorer.errors import NotBuilt, UnknownAddress
from app.explorer.layout import BANK_ENDS
from app.explorer.library import OpenModel
from app.explorer.pages.circuitry import NearToken, TokenGroup, TokenPage
from app.explorer.pages.rays import NamedToken
from app.explorer.pages.search import Unbuilt
from app.explorer.reading.finding.bank import open_bank
from app.explorer.reading.finding.order import order_of
from app.explorer.reading.finding.origins import OwnVectors, open_origins
from app.explorer.reading.finding.token import groups as groups_of
from app.explorer.resources import Resources
from app.explorer.view import End, View
from app.explorer.visits.full import named_token, unknown_token
from app.explorer.visits.jobs import unbuilt

NEAR = 12
"""Tokens that are named as near."""


def token(r: Resources, address: Address, options: Options, id_: int, *, whole: bool = True) -> TokenPage:
    """The token of that id; UnknownAddress naming the range where there is none. Without a bank it says so.

    `whole`: with single neurons and every rank.
    """
    opened, view = visited(r, address, options)
    vocabulary = opened.vocabulary
    if not 0 <= id_ < vocabulary.size:
        raise UnknownAddress(f"Token {id_} is not here: {address.model} has ids 0 to {vocabulary.size - 1}.")
    named, variants = _named(opened, id_)
    try:
        return _built(r, opened, address, view, named, variants, whole=whole)
    except NotBuilt as error:
        return _page(opened, address, view, named, variants, unbuilt(r, address.model, error))


def find(r: Resources, address: Address, options: Options, text: str) -> int:
    """The id of the token that the text names; UnknownToken, saying what may have been meant."""
    opened, _ = visited(r, address, options)
    found = opened.vocabulary.find(text)
    if found is None:
        raise unknown_token(opened, text, "text")
    return found.id


def _named(opened: OpenModel, id_: int) -> tuple[NamedToken, tuple[NamedToken, ...]]:
    vocabulary = opened.vocabulary
    named = named_token(vocabulary, id_)
    return named, tuple(
        named_token(vocabulary, other) for other in vocabulary.lookup.variants(named.text) if other != id_
    )


def _built(
    r: Resources,
    opened: OpenModel,
    address: Address,
    view: View,
    named: NamedToken,
    variants: tuple[NamedToken, ...],
    *,
    whole: bool,
) -> TokenPage:
    bank = open_bank(r, opened, view.weights)
    ends: dict[End, OwnVectors] = {end: open_origins(r, opened, view.weights, end) for end in BANK_ENDS}
    found: tuple[TokenGroup, ...] = ()
    if opened.vocabulary.known[named.id]:
        found = groups_of(opened, bank, order_of(opened, bank), ends, named.id, whole=whole, pin=address.pin)
    read = ends["read"]
    return _page(
        opened,
        address,
        view,
        named,
        variants,
        None,
        groups=found,
        near=_near(opened, read, named.id),
        is_trained=read.is_trained(named.id) if opened.vocabulary.known[named.id] else None,
        length=float(read.arrays["length"][named.id]),
        typical_length=float(np.median(read.arrays["length"][read.known])),
        share=bank.share,
        is_whole=whole,
    )


def _page(
    opened: OpenModel,
    address: Address,
    view: View,
    named: NamedToken,
    variants: tuple[NamedToken, ...],
    absent: Unbuilt | None,
    *,
    groups: tuple[TokenGroup, ...] = (),
    near: tuple[NearToken, ...] = (),
    is_trained: bool | None = None,
    length: float | None = None,
    typical_length: float | None = None,
    share: float = 0.0,
    is_whole: bool = True,
) -> TokenPage:
    known = opened.vocabulary.known
    return TokenPage(
        address,
        opened.header,
        view,
        named,
        bool(known[named.id]),
        is_trained,
        length,
        typical_length,
        int(known.sum()),
        variants,
        groups,
        near,
        absent,
        share,
        is_whole,
    )


def _near(opened: OpenModel, origins: OwnVectors, id_: int) -> tuple[NearToken, ...]:
    """None of a token that was never trained."""
    (own,) = origins.words.rows(np.array([id_]))
    if not own.any():
        return ()
    cosines = origins.words.similarities(own)
    cosines[id_] = -np.inf
    first = np.argpartition(-cosines, min(NEAR, len(cosines) - 1))[:NEAR]
    first = first[np.argsort(-cosines[first], kind="stable")]
    return tuple(NearToken(opened.vocabulary.entry(int(other)), float(cosines[other])) for other in first)
