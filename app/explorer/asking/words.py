"""The tokens that the terms of a search stand for, by a model's vocabulary.

A word is one token with a space in front, or without; else its pieces, as the model's tokenizer cuts it. A phrase is
all of its tokens but punctuation and the most frequent, unless there are no others. Knows no vector.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from weakref import WeakKeyDictionary

from app.core.address import Address, parse_short
from app.explorer.asking.places import check_place
from app.explorer.asking.terms import SearchTerm, parse_terms
from app.explorer.errors import BadOption
from app.explorer.library import OpenModel
from app.explorer.pages.rays import NamedToken
from app.explorer.pages.search import AskedTerm, Offer
from app.models.vocabulary import Vocabulary

MOST_TOKENS = 32
"""The most tokens of all terms together."""
N_FREQUENT = 100
"""Tokens that count as the most frequent: the first of a vocabulary that are longer than a character."""
N_VARIANTS = 5

_frequent_by_vocabulary: WeakKeyDictionary[Vocabulary, frozenset[int]] = WeakKeyDictionary()
"""The most frequent tokens of each open vocabulary."""


def resolve_terms(model: OpenModel, typed: str) -> tuple[tuple[AskedTerm, ...], bool]:
    """Find the tokens of each term of the typed text; BadOption or UnknownAddress for a token or a ray that does not
    exist.

    A repeated term counts once. A ray's tokens are not looked up. Terms that stand for nothing have no tokens. The
    first 32 tokens are kept; the second value says whether any were left out.
    """
    room, found = MOST_TOKENS, []
    terms = list({(term.kind, term.text, term.is_minus): term for term in reversed(parse_terms(typed))}.values())[::-1]
    for term in terms:
        asked = _resolve_term(model, typed, term)
        found.append(replace(asked, tokens=asked.tokens[:room]))
        room -= max(1, len(asked.tokens))
        if room <= 0:
            break
    return tuple(found), room < 0 or len(found) < len(terms)


def name_tokens(vocabulary: Vocabulary, ids: Iterable[int]) -> tuple[NamedToken, ...]:
    """Return these tokens, each with the spelling that finds it in a search."""
    return tuple(_name_token(vocabulary, id_) for id_ in ids)


def _resolve_term(model: OpenModel, typed: str, term: SearchTerm) -> AskedTerm:
    vocabulary = model.vocabulary
    if term.kind == "ray":
        ray = parse_short(term.text, Address(model.header.slug))
        check_place(model, ray.address)
        return AskedTerm(term.text, term.kind, term.is_minus, (), ray=ray)
    if term.kind == "token":
        id_ = vocabulary.lookup.id_of(term.text)
        if id_ is None:
            raise BadOption(f"There is no token {term.text}: they go from #0 to #{vocabulary.lookup.largest}.")
        return _single_token(vocabulary, typed, term, id_)
    id_ = _find_word(vocabulary, term.text) if term.kind == "word" else vocabulary.lookup.id_of(term.text)
    if id_ is not None:
        return _single_token(vocabulary, typed, term, id_)
    pieces = _cut_text(model, term.text)
    tokens = _keep_informative(vocabulary, pieces) if term.kind == "phrase" else pieces
    left_out = [id_ for id_ in dict.fromkeys(pieces) if id_ not in tokens]
    return AskedTerm(
        term.text, term.kind, term.is_minus, name_tokens(vocabulary, tokens), name_tokens(vocabulary, left_out)
    )


def _single_token(vocabulary: Vocabulary, typed: str, term: SearchTerm, id_: int) -> AskedTerm:
    variants = name_tokens(vocabulary, vocabulary.lookup.variants(vocabulary.entry(id_).text)[:N_VARIANTS])
    offers = tuple(Offer(term.replace_in(typed, one.spelling), one) for one in variants if one.id != id_)
    return AskedTerm(term.text, term.kind, term.is_minus, name_tokens(vocabulary, [id_]), variants=offers)


def _find_word(vocabulary: Vocabulary, text: str) -> int | None:
    """Find the token that a word is."""
    found = (vocabulary.lookup.id_of(spelt) for spelt in (f" {text}", text))
    return next((id_ for id_ in found if id_ is not None), None)


def _cut_text(model: OpenModel, text: str) -> list[int]:
    """Split a text into tokens, without those that are only white space or special."""
    vocabulary = model.vocabulary
    ids = [id_ for id_ in model.tokenize(f" {text.strip()}") if id_ < vocabulary.size]
    entries = [vocabulary.entry(id_) for id_ in ids]
    return [entry.id for entry in entries if entry.kind != "special" and entry.text.strip()]


def _keep_informative(vocabulary: Vocabulary, ids: Sequence[int]) -> list[int]:
    """Keep the informative tokens of a phrase; all where none is."""
    frequent = _frequent_tokens(vocabulary)
    telling = [id_ for id_ in ids if id_ not in frequent and any(map(str.isalnum, vocabulary.entry(id_).text))]
    return telling or list(ids)


def _frequent_tokens(vocabulary: Vocabulary) -> frozenset[int]:
    """Return the first tokens longer than a character: vocabularies number theirs from frequent to rare."""
    if vocabulary not in _frequent_by_vocabulary:
        _frequent_by_vocabulary[vocabulary] = frozenset(_first_tokens(vocabulary))
    return _frequent_by_vocabulary[vocabulary]


def _first_tokens(vocabulary: Vocabulary) -> list[int]:
    found: list[int] = []
    for id_ in range(vocabulary.size):
        entry = vocabulary.entry(id_)
        if entry.kind == "text" and len(entry.text) > 1:
            found.append(id_)
            if len(found) == N_FREQUENT:
                break
    return found


def _name_token(vocabulary: Vocabulary, id_: int) -> NamedToken:
    entry = vocabulary.entry(id_)
    return NamedToken(*entry, _spell_token(vocabulary, id_, entry.text), entry.shown)


def _spell_token(vocabulary: Vocabulary, id_: int, text: str) -> str:
    """Return a spelling by which a search finds that very token.

    Example: " Paris" -> "Paris"; "Paris" -> '"Paris"'; "\\n" -> "#198"
    """
    for spelt in (text.strip(), f'"{text}"'):
        terms = parse_terms(spelt) if text.isprintable() else ()
        if len(terms) == 1 and not terms[0].is_minus and terms[0].end == len(spelt):
            term = terms[0]
            is_word = term.kind == "word"
            if (is_word or term.kind == "phrase") and id_ == (
                _find_word(vocabulary, term.text) if is_word else vocabulary.lookup.id_of(term.text)
            ):
                return spelt
    return f"#{id_}"
