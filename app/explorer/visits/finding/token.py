"""The visit to a token of a model: the rays that write it, read it, query by it or have it as a key. Knows no HTTP."""

import numpy as np

from app.core.address import Address
from app.explorer.asking.views import Options, resolve_view
from app.explorer.errors import NotBuilt, UnknownAddress
from app.explorer.layout import BANK_ENDS
from app.explorer.library import OpenModel
from app.explorer.pages.circuitry import NearToken, TokenGroup, TokenPage
from app.explorer.pages.rays import NamedToken
from app.explorer.pages.search import Unbuilt
from app.explorer.reading.finding.bank import open_bank
from app.explorer.reading.finding.order import order_of
from app.explorer.reading.finding.origins import OwnVectors, open_own_vectors
from app.explorer.reading.finding.token import group_rays as groups_of
from app.explorer.resources import Resources
from app.explorer.view import End, View
from app.explorer.visits.full import name_token, unknown_token_error
from app.explorer.visits.jobs import describe_unbuilt

NEAR = 12
"""Near tokens that are listed."""


def visit_token(
    r: Resources, address: Address, options: Options, id_: int, *, whole: bool = True, with_near: bool = True
) -> TokenPage:
    """Make the page of the token with this id; UnknownAddress naming the range. Without a bank the page says so.

    `whole`: with single neurons and every rank. `with_near`: with the tokens nearest to it.
    """
    opened, view = resolve_view(r, address, options)
    vocabulary = opened.vocabulary
    if not 0 <= id_ < vocabulary.size:
        raise UnknownAddress(f"Token {id_} is not here: {address.model} has ids 0 to {vocabulary.size - 1}.")
    named, variants = _name_token(opened, id_)
    try:
        return _read_token(r, opened, address, view, named, variants, whole=whole, with_near=with_near)
    except NotBuilt as error:
        return _make_page(opened, address, view, named, variants, describe_unbuilt(r, address.model, error))


def find_token(r: Resources, address: Address, options: Options, text: str) -> int:
    """Find the id of the token that the text names; UnknownToken with what may have been meant."""
    opened, _ = resolve_view(r, address, options)
    found = opened.vocabulary.find(text)
    if found is None:
        raise unknown_token_error(opened, text, "text")
    return found.id


def _name_token(opened: OpenModel, id_: int) -> tuple[NamedToken, tuple[NamedToken, ...]]:
    vocabulary = opened.vocabulary
    named = name_token(vocabulary, id_)
    return named, tuple(
        name_token(vocabulary, other) for other in vocabulary.lookup.variants(named.text) if other != id_
    )


def _read_token(
    r: Resources,
    opened: OpenModel,
    address: Address,
    view: View,
    named: NamedToken,
    variants: tuple[NamedToken, ...],
    *,
    whole: bool,
    with_near: bool,
) -> TokenPage:
    bank = open_bank(r, opened, view.weights)
    ends: dict[End, OwnVectors] = {end: open_own_vectors(r, opened, view.weights, end) for end in BANK_ENDS}
    found: tuple[TokenGroup, ...] = ()
    if opened.vocabulary.known[named.id]:
        found = groups_of(opened, bank, order_of(opened, bank), ends, named.id, whole=whole, pin=address.pin)
    read = ends["read"]
    return _make_page(
        opened,
        address,
        view,
        named,
        variants,
        None,
        groups=found,
        near=_find_near(opened, read, named.id) if with_near else (),
        is_trained=read.is_trained(named.id) if opened.vocabulary.known[named.id] else None,
        length=float(read.arrays["length"][named.id]),
        typical_length=float(np.median(read.arrays["length"][read.known])),
        share=bank.share,
        is_whole=whole,
    )


def _make_page(
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


def _find_near(opened: OpenModel, origins: OwnVectors, id_: int) -> tuple[NearToken, ...]:
    """Find the nearest tokens by cosine; none for a token that was never trained."""
    (own,) = origins.words.rows(np.array([id_]))
    if not own.any():
        return ()
    cosines = origins.words.similarities(own)
    cosines[id_] = -np.inf
    first = np.argpartition(-cosines, min(NEAR, len(cosines) - 1))[:NEAR]
    first = first[np.argsort(-cosines[first], kind="stable")]
    return tuple(NearToken(opened.vocabulary.entry(int(other)), float(cosines[other])) for other in first)
