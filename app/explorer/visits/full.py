"""The visit to a head's full circuits for a token that a visitor names: the text in, one frozen page out.

Raises what `browse` raises, and UnknownToken where the text is no token. Knows no HTTP and imports no torch.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import numpy as np

from app.core.address import Address, Sign
from app.explorer.asking.places import neighbours_of
from app.explorer.asking.views import Options, largest_distance, resolve_view
from app.explorer.errors import UnknownAddress, UnknownToken
from app.explorer.header import Note
from app.explorer.inventory import end_of
from app.explorer.layout import FULL_TOKENS, ROLE_SIDES, ROLES, Role
from app.explorer.library import OpenModel
from app.explorer.pages.matrices import Apart, FullPage, FullRow
from app.explorer.pages.rays import NamedToken, Token
from app.explorer.reading.directions import read_side
from app.explorer.reading.hubs import find_hubs
from app.explorer.reading.matrices import list_circuit_notes, list_processing_notes
from app.explorer.resources import Resources
from app.explorer.view import View
from app.explorer.visits import orders
from app.models.token_filter import EVERY
from app.models.vocabulary import TokenEntry, Vocabulary, make_visible
from app.store.artifacts import Arrays, Artifact

Why = Literal["never-trained", "hub"]
TOKENS, ORDINARY = 20, 50
"""Tokens shown at either end: of all tokens, and of the ordinary ones."""
N_EXAMPLES = 8
N_STARTS, N_NEAR = 2, 8
"""Tokens offered for a text that is no token: those that begin it, and in all."""
N_CANDIDATES = 1_000
"""Consecutive tokens among which an example is looked for."""
WORD_LENGTHS = range(3, 21)
"""Allowed numbers of letters of an example."""


def visit_full(r: Resources, address: Address, options: Options, text: str) -> FullPage:
    """Make the page of a head's full circuits for the token that the text names; if empty, with examples."""
    if address.depth != "head":
        raise UnknownAddress(f"{address} has no full circuits: they are of a head, as {address.model}/L0/H0/full.")
    opened, view = resolve_view(r, address, options)
    if not text:
        return _make_page(opened, address, view, None, None)
    token = opened.vocabulary.find(text)
    if token is None:
        raise unknown_token_error(opened, text)
    ends = sorted({end_of(opened, view.weights, side) for side in ROLE_SIDES.values()})
    asked = [orders.order_control(opened, end, replace(view, token_filter=EVERY)) for end in ends]
    artifact, *controls = orders.fulfil(r, orders.order_full(opened, address, view, token.id), *asked)
    odd = {end: _find_odd_tokens(opened, control.arrays) for end, control in zip(ends, controls, strict=True)}
    return _make_page(opened, address, view, token, artifact, odd)


def _find_odd_tokens(model: OpenModel, control: Arrays) -> dict[int, Why]:
    """Find the tokens that say little at one end of the model, and why."""
    is_hub = find_hubs(control["ids"], model.vocabulary.size) if "ids" in control else np.zeros(0, bool)
    odd: dict[int, Why] = dict.fromkeys(np.flatnonzero(is_hub).tolist(), "hub")
    return odd | dict.fromkeys(np.flatnonzero(~control["trained"]).tolist(), "never-trained")


def _make_page(
    model: OpenModel,
    address: Address,
    view: View,
    token: TokenEntry | None,
    artifact: Artifact | None,
    odd: Mapping[str, Mapping[int, Why]] | None = None,
) -> FullPage:
    vocabulary = model.vocabulary
    suggested = find_examples(vocabulary) if token is None else vocabulary.lookup.variants(token.text)
    return FullPage(
        address,
        model.header,
        view,
        token=None if token is None else name_token(vocabulary, token.id),
        rows=()
        if artifact is None
        else tuple(
            _read_row(model, address, artifact, role, (odd or {})[end_of(model, view.weights, ROLE_SIDES[role])])
            for role in ROLES
        ),
        n_tokens=0 if artifact is None else artifact.facts["n_tokens"],
        suggested=tuple(name_token(vocabulary, id_) for id_ in suggested if token is None or id_ != token.id),
        notes=() if artifact is None else _list_notes(model, address, view, artifact),
        largest_distance=largest_distance(model, address),
        **dict(zip(("previous", "next"), neighbours_of(model.header, address), strict=True)),
    )


def find_examples(vocabulary: Vocabulary) -> list[int]:
    """Find example tokens: whole words from frequent to rare, as far as ids are sorted so; none without words."""
    found: dict[int, None] = {}
    ids = range(vocabulary.size)
    # Most examples have small ids: tokenizers number their tokens from frequent to rare.
    for start in (vocabulary.size * 2**step // 2**N_EXAMPLES for step in range(N_EXAMPLES)):
        near = ids[start : start + N_CANDIDATES]
        word = next((id_ for id_ in near if id_ not in found and _is_word(vocabulary, id_)), None)
        if word is not None:
            found[word] = None
    return list(found)


def _is_word(vocabulary: Vocabulary, id_: int) -> bool:
    entry = vocabulary.entry(id_)
    word = entry.text.removeprefix(" ")
    return entry.kind == "text" and word != entry.text and word.isalpha() and len(word) in WORD_LENGTHS


def name_token(vocabulary: Vocabulary, id_: int) -> NamedToken:
    """Look up a token by id, with its spelling in a link and in a text box."""
    entry = vocabulary.entry(id_)
    spelling = vocabulary.lookup.spelling(id_, entry.text)
    typed = entry.shown if vocabulary.lookup.id_of(entry.shown) == id_ else spelling
    return NamedToken(*entry, spelling, typed)


def _read_row(model: OpenModel, address: Address, artifact: Artifact, role: Role, odd: Mapping[int, Why]) -> FullRow:
    arrays = artifact.arrays
    (kept,) = read_side(arrays, role, slice(None), ROLE_SIDES[role], FULL_TOKENS, model.vocabulary, address)
    readout = replace(kept, plus=kept.plus[:TOKENS], minus=kept.minus[:TOKENS])
    plus, minus = (tuple(one for one in end if one.id not in odd)[:ORDINARY] for end in (kept.plus, kept.minus))
    rays: tuple[tuple[Sign, tuple[Token, ...]], ...] = (("p", readout.plus), ("n", readout.minus))
    apart = tuple(Apart(odd[one.id], ray, one) for ray, end in rays for one in end if one.id in odd)
    own_score, own_rank = (arrays[f"{role}_own_{name}"][0].item() for name in ("score", "rank"))
    return FullRow(role, readout, replace(kept, plus=plus, minus=minus), apart, own_score, own_rank)


def _list_notes(model: OpenModel, address: Address, view: View, artifact: Artifact) -> tuple[Note, ...]:
    of_circuits = [
        note for kind in ("ov", "qk") for note in list_circuit_notes(model, address.at(kind), view, artifact)
    ]
    return ("full-rows", *list_processing_notes(model, view), *of_circuits)


def unknown_token_error(model: OpenModel, text: str, name: str = "token") -> UnknownToken:
    """Make the error for a text that is no token, with tokens that may have been meant; `name`: the option's name."""
    vocabulary = model.vocabulary
    lookup = vocabulary.lookup
    word = text.replace("·", " ").strip()
    whole = lookup.id_of(word)
    ids = [] if whole is None else [whole]
    ids += lookup.variants(word) + lookup.starts(word, N_STARTS) + lookup.find_longer(word, N_NEAR)
    near = tuple(
        (each.spelling, each.shown) for each in (name_token(vocabulary, id_) for id_ in [*dict.fromkeys(ids)][:N_NEAR])
    )
    offered = f" Near it: {', '.join(word for _, word in near)}." if near else ""
    return UnknownToken(
        f"“{make_visible(text)}” is no single token of {model.header.slug}.{offered} A space in front counts and may be typed "
        f"as ·; by their ids, tokens go from #0 to #{lookup.largest}.",
        near,
        name,
    )
