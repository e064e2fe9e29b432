"""The tokens that the terms of a search stand for, by a model's vocabulary.

A word is one token with a space in front, or without; else its pieces, as the model's tokenizer cuts it. Of a phrase all
tokens are taken but punctuation and the most frequent, unless there are no others. Knows no vector.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from weakref import WeakKeyDictionary

from app.core.address import Address, parse_short
from app.explorer.asking.places import check_place
from app.explorer.asking.terms import SearchTerm, terms_of
from app.explorer.errors import BadOption
from app.explorer.library import OpenModel
from app.explorer.pages.rays import NamedToken
from app.explorer.pages.search import AskedTerm, Offer
from app.models.vocabulary import Vocabulary

MOST_TOKENS = 32
"""Of all terms together."""
N_FREQUENT = 100
"""Of the first tokens of a vocabulary that are longer than a character."""
N_VARIANTS = 5

_known: WeakKeyDictionary[Vocabulary, frozenset[int]] = WeakKeyDictionary()
"""The most frequent tokens of each vocabulary that is open."""


def understood(model: OpenModel, typed: str) -> tuple[tuple[AskedTerm, ...], bool]:
    """What was typed, term by term; BadOption or UnknownAddress where a token or a ray is named that is not there.

    A term that is said twice counts once. A ray's tokens are not looked up. Terms that stand for nothing have no tokens. What is beyond the first 32 tokens is left
    out; the second value says whether anything is.
    """
    room, found = MOST_TOKENS, []
    terms = list({(term.kind, term.text, term.is_minus): term for term in reversed(terms_of(typed))}.values())[::-1]
    for term in terms:
        asked = _understood(model, typed, term)
        found.append(replace(asked, tokens=asked.tokens[:room]))
        room -= max(1, len(asked.tokens))
        if room <= 0:
            break
    return tuple(found), room < 0 or len(found) < len(terms)


def named(vocabulary: Vocabulary, ids: Iterable[int]) -> tuple[NamedToken, ...]:
    """These tokens, each with what names it in a search."""
    return tuple(_named(vocabulary, id_) for id_ in ids)


def _understood(model: OpenModel, typed: str, term: SearchTerm) -> AskedTerm:
    vocabulary = model.vocabulary
    if term.kind == "ray":
        ray = parse_short(term.text, Address(model.header.slug))
        check_place(model, ray.address)
        return AskedTerm(term.text, term.kind, term.is_minus, (), ray=ray)
    if term.kind == "token":
        id_ = vocabulary.lookup.id_of(term.text)
        if id_ is None:
            raise BadOption(f"There is no token {term.text}: they go from #0 to #{vocabulary.lookup.largest}.")
        return _single(vocabulary, typed, term, id_)
    id_ = _word(vocabulary, term.text) if term.kind == "word" else vocabulary.lookup.id_of(term.text)
    if id_ is not None:
        return _single(vocabulary, typed, term, id_)
    pieces = _pieces(model, term.text)
    tokens = _telling(vocabulary, pieces) if term.kind == "phrase" else pieces
    left_out = [id_ for id_ in dict.fromkeys(pieces) if id_ not in tokens]
    return AskedTerm(term.text, term.kind, term.is_minus, named(vocabulary, tokens), named(vocabulary, left_out))


def _single(vocabulary: Vocabulary, typed: str, term: SearchTerm, id_: int) -> AskedTerm:
    variants = named(vocabulary, vocabulary.lookup.variants(vocabulary.entry(id_).text)[:N_VARIANTS])
    offers = tuple(Offer(term.replaced(typed, one.spelling), one) for one in variants if one.id != id_)
    return AskedTerm(term.text, term.kind, term.is_minus, named(vocabulary, [id_]), variants=offers)


def _word(vocabulary: Vocabulary, text: str) -> int | None:
    """The token that a word is."""
    found = (vocabulary.lookup.id_of(spelt) for spelt in (f" {text}", text))
    return next((id_ for id_ in found if id_ is not None), None)


def _pieces(model: OpenModel, text: str) -> list[int]:
    """The tokens that a text is cut into, without those that are only white space or stand for what is no token."""
    vocabulary = model.vocabulary
    ids = [id_ for id_ in model.cut(f" {text.strip()}") if id_ < vocabulary.size]
    entries = [vocabulary.entry(id_) for id_ in ids]
    return [entry.id for entry in entries if entry.kind != "special" and entry.text.strip()]


def _telling(vocabulary: Vocabulary, ids: Sequence[int]) -> list[int]:
    """Of a phrase's tokens those that say something; all where none does."""
    frequent = _frequent(vocabulary)
    telling = [id_ for id_ in ids if id_ not in frequent and any(map(str.isalnum, vocabulary.entry(id_).text))]
    return telling or list(ids)


def _frequent(vocabulary: Vocabulary) -> frozenset[int]:
    """The first tokens that are longer than a character: vocabularies number theirs from frequent to rare."""
    if vocabulary not in _known:
        _known[vocabulary] = frozenset(_first(vocabulary))
    return _known[vocabulary]


def _first(vocabulary: Vocabulary) -> list[int]:
    found: list[int] = []
    for id_ in range(vocabulary.size):
        entry = vocabulary.entry(id_)
        if entry.kind == "text" and len(entry.text) > 1:
            found.append(id_)
            if len(found) == N_FREQUENT:
                break
    return found


def _named(vocabulary: Vocabulary, id_: int) -> NamedToken:
    entry = vocabulary.entry(id_)
    return NamedToken(*entry, _spelling(vocabulary, id_, entry.text), entry.shown)


def _spelling(vocabulary: Vocabulary, id_: int, text: str) -> str:
    """What a search finds that very token by.

    Example: " Paris" -> "Paris"; "Paris" -> '"Paris"'; "\\n" -> "#198"
    """
    for spelt in (text.strip(), f'"{text}"'):
        terms = terms_of(spelt) if text.isprintable() else ()
        if len(terms) == 1 and not terms[0].is_minus and terms[0].end == len(spelt):
            term = terms[0]
            is_word = term.kind == "word"
            if (is_word or term.kind == "phrase") and id_ == (
                _word(vocabulary, term.text) if is_word else vocabulary.lookup.id_of(term.text)
            ):
                return spelt
    return f"#{id_}"
