"""The search: words in, the nearest rays of a model out. Knows no HTTP and imports no torch.

Raises what `app.explorer.visits.browse` does, except for problems that the page can show beside the search box.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from app.core.address import CIRCUITS, KINDS, LAYER_KINDS, SIGNS, Address, AddressError, Kind, Sign
from app.core.finding.nearest import false_discovery_rate, find_largest, iterate_runs
from app.core.judging.rays import ALPHA, READINGS
from app.explorer.asking.jump import jump
from app.explorer.asking.places import find_model
from app.explorer.asking.views import Options, resolve_view
from app.explorer.asking.words import name_tokens, resolve_terms
from app.explorer.bank import has_neurons
from app.explorer.errors import BadOption, ExplorerError, NotBuilt, UnknownAddress
from app.explorer.inventory import SIDES, stream_side_of
from app.explorer.layout import BANK_ENDS
from app.explorer.library import OpenModel
from app.explorer.pages.directions import RayReadout
from app.explorer.pages.rays import Hit, Token
from app.explorer.pages.search import (
    MOST_FALSE,
    USED,
    WEAK,
    AskedTerm,
    EveryPage,
    FoundRay,
    Inquiry,
    NearestByChance,
    NotSearched,
    SearchBasis,
    Searched,
    SearchPage,
    StripRow,
)
from app.explorer.reading.finding.bank import Bank, open_bank
from app.explorer.reading.finding.nearest import (
    NOT_COMPARED,
    Meant,
    Question,
    alignments_of,
    compute_alignments,
    count_expected,
    make_question,
    rows_of,
    theme_of,
    themes_of_controls,
)
from app.explorer.reading.finding.order import HARDLY_USED
from app.explorer.reading.finding.words import WordTable, open_words
from app.explorer.resources import Resources
from app.explorer.view import End, View
from app.explorer.visits.jobs import describe_unbuilt
from app.store.grounds import note_now

N_ON_PAGE, N_FOUND = 25, 200
N_OF_EVERY = 5
"""Rays of each model, where all are searched."""
MOST_READ_BYTES = 2**30
"""Most bytes of vectors that a search reads to sort all rays by alignment; beyond, it sorts those nearest by theme."""
N_ORDERED = 2_000
N_JUDGED = 10
"""Nearest rays whose false discovery rate is estimated."""
KINDS_OF: dict[SearchBasis, tuple[Kind, ...]] = {
    "svd": (*CIRCUITS, *LAYER_KINDS, "embed", "unembed"),
    "neuron": LAYER_KINDS,
}
SUGGESTED = ("would, could", "writing, wrote", "red, blue, green", "largest, fastest", "Paris, London")
NAMES_A_PLACE = "That names a place. Its pieces are no words: in quotes they are searched for all the same."
NEVER_READABLE = "Single neurons are not judged for readability: search directions, or leave “readable only” out."
NO_POSITIVE = "Only words to subtract: add one to search for, as in king -man."
NOTHING_LEFT = (
    "Nothing is left to search for: what was typed cancels out, or stands for tokens that were never trained."
)


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of every searched row of a bank, [n 2] by ray."""

    start: int
    """The first searched row."""
    themes: NDArray[np.float32]
    """-inf where a filter excludes the ray."""
    order: NDArray[np.float32]
    """The score that the list is sorted by."""
    n_compared: int
    """Rays that pass all filters that random directions could pass as well: all but being readable."""
    is_of_nearest: bool = False
    """True if only the rays nearest by theme have that score."""

    def first_rays(self, scores: NDArray[np.float32], most: int) -> NDArray[np.intp]:
        """Find the rays with the largest scores, best first, as 2 * row, plus 1 for the - ray."""
        return find_largest(scores.ravel(), most) + 2 * self.start

    def theme(self, place: int) -> float:
        """Return the theme of a ray by its number."""
        return float(self.themes[place // 2 - self.start, place % 2])


@dataclass(frozen=True, slots=True)
class Search:
    """A search of one bank, ready to be answered."""

    model: OpenModel
    bank: Bank
    inquiry: Inquiry
    terms: tuple[AskedTerm, ...]
    questions: Mapping[End, Question]
    similarities: Mapping[End, NDArray[np.float32] | None]
    controls: Mapping[End, NDArray[np.float32]]
    """Themes of random directions, by end."""


def search(r: Resources, address: Address, options: Options, inquiry: Inquiry, most: int = N_ON_PAGE) -> SearchPage:
    """Search the model for the rays nearest to the words, `most` a page; where that fails, the page says why."""
    note_now()  # most of what is typed is never asked for again
    model, view = resolve_view(r, address, options)
    kinds = tuple(kind for kind in KINDS_OF[inquiry.basis] if kind in (*CIRCUITS, *_list_kinds(model)))
    sides = dict.fromkeys(side for kind in kinds for side in SIDES[kind] if side in {"read", "write", "query", "key"})
    page = SearchPage(
        Address(address.model, address.pin),
        model.header,
        view,
        inquiry,
        choices=(("side", tuple(sides)), ("kind", kinds)),
        suggested=SUGGESTED,
    )
    if has_neurons(model, view.weights):
        page = replace(page, bases=("svd", "neuron"))
    _check_inquiry(model, inquiry, page)
    try:
        bank = open_bank(r, model, view.weights)
        words = {end: open_words(r, model, view.weights, end) for end in BANK_ENDS}
    except NotBuilt as error:
        return replace(
            page, unbuilt=describe_unbuilt(r, address.model, error), place=_find_place(r, address, inquiry.q)
        )
    try:
        asked_for, is_cut = resolve_terms(model, inquiry.q)
        terms = tuple(_add_tokens(model, bank, words, view, term) for term in asked_for)
    except (AddressError, UnknownAddress, BadOption) as error:
        return replace(page, problem=str(error), place=_find_place(r, address, inquiry.q))
    page = replace(page, terms=terms, is_cut=is_cut, place=_find_place(r, address, inquiry.q))
    if not terms:
        return page
    if why := _explain_problem(page):
        return replace(page, problem=why)
    asked = _prepare_search(model, bank, inquiry, terms, words)
    if all(one is None for one in asked.similarities.values()):
        return replace(page, problem=NOTHING_LEFT)
    return _answer_search(page, asked, most)


def search_every(r: Resources, q: str) -> EveryPage:
    """Search every model of the server, each in the weights that its pages show first."""
    pages: list[SearchPage] = []
    missing: list[NotSearched] = []
    for slug in r.slugs:
        if find_model(r, slug) is None:
            missing.append(NotSearched(slug, "is not here yet"))
            continue
        try:
            pages.append(search(r, Address(slug), Options(), Inquiry(q), N_OF_EVERY))
        except BadOption:
            raise
        except ExplorerError as error:
            missing.append(NotSearched(slug, str(error)))
    return EveryPage(q, tuple(pages), tuple(missing))


def _explain_problem(page: SearchPage) -> str:
    """Explain why the terms are not searched for; empty if they are."""
    if page.place is not None and any(term.is_cut for term in page.terms):
        return NAMES_A_PLACE
    if page.inquiry.basis == "neuron" and page.inquiry.readable:
        return NEVER_READABLE
    return NO_POSITIVE if all(term.is_minus for term in page.terms) else ""


def _list_kinds(model: OpenModel) -> tuple[Kind, ...]:
    return (*model.header.layer_kinds, *model.header.model_kinds)


def _check_inquiry(model: OpenModel, inquiry: Inquiry, page: SearchPage) -> None:
    """Raise BadOption naming the range for a filter that the model has nothing for."""
    if inquiry.basis not in page.bases:
        raise BadOption(f"Single neurons of {model.header.slug} are not searched: it has none here, or too many.")
    for name, values in page.choices:
        if (value := getattr(inquiry, name)) and value not in values:
            raise BadOption(f"{name} is one of {', '.join(values)} here, or left out.")
    if inquiry.layers:
        _parse_layers(model, inquiry.layers)
    if inquiry.page < 1:
        raise BadOption(f"There is no page {inquiry.page}: pages are counted from 1.")


def _parse_layers(model: OpenModel, said: str) -> range:
    """Parse a range of layers; `ends`, the model's own matrices, is layer -1. BadOption naming the range."""
    if said == "ends":
        return range(-1, 0)
    low, _, high = said.partition("-")
    found = range(int(low), int(high or low) + 1)
    last = model.header.n_layers - 1
    if not found or found[-1] > last:
        raise BadOption(f"layers is a number from 0 to {last}, two of them as 0-{last}, or ends.")
    return found


def _find_place(r: Resources, address: Address, text: str) -> Address | None:
    """Return the place that the text names in the model; None if it names none."""
    if not text.strip():
        return None
    try:
        return jump(r, address.model, text).address.with_pin_of(address)
    except ExplorerError:
        return None


def _add_tokens(model: OpenModel, bank: Bank, words: Mapping[End, WordTable], view: View, term: AskedTerm) -> AskedTerm:
    """Add a ray's tokens to its term, or mark a term's untrained tokens.

    UnknownAddress or BadOption where the bank has no such ray.
    """
    if term.ray is None:
        units = sum(
            np.abs(of_end.rows(np.array([token.id for token in term.tokens], np.intp))) for of_end in words.values()
        )
        has_none = ~np.asarray(units).any(1)
        return replace(term, untrained=tuple(term.tokens[at] for at in np.flatnonzero(has_none).tolist()))
    if term.ray.is_raw and view.weights != "raw":
        raise BadOption(f"{term.text} is of the weights as stored: ask for it with weights=raw.")
    rows = _rows_of(bank, term)
    if not rows:
        raise UnknownAddress(
            f"{term.text} is not among what is searched: singular directions of OV, QK, MLP, embedding and unembedding, "
            f"and neurons{'' if bank.share == 1 else ', as far as they have been read'}."
        )
    ids = dict.fromkeys(id_ for row in rows.values() for id_ in _ids_of(bank, row, SIGNS.index(term.ray.sign)))
    return replace(term, tokens=name_tokens(model.vocabulary, list(ids)))


def _rows_of(bank: Bank, term: AskedTerm) -> dict[End, int]:
    """Find a ray's row at each end of the model; the left side's where both sides are at one end."""
    assert term.ray is not None
    rows = [row for side in (1, 0) if (row := bank.find(term.ray.address, side)) is not None]
    return {BANK_ENDS[bank.rows.end[row]]: row for row in rows}


def _ids_of(bank: Bank, row: int, ray: int) -> list[int]:
    return [id_ for id_ in bank.rows.ids[row, ray].tolist() if id_ >= 0]


def _prepare_search(
    model: OpenModel, bank: Bank, inquiry: Inquiry, terms: tuple[AskedTerm, ...], words: Mapping[End, WordTable]
) -> Search:
    parts = [_as_meant(bank, term) for term in terms]
    questions = {end: make_question(parts, end, words[end]) for end in BANK_ENDS}
    similarities = {
        end: None if one.theme is None else words[end].similarities(one.theme) for end, one in questions.items()
    }
    return Search(model, bank, inquiry, terms, questions, similarities, themes_of_controls(bank, similarities))


def _as_meant(bank: Bank, term: AskedTerm) -> Meant:
    weight = -1.0 if term.is_minus else 1.0
    ids = tuple(token.id for token in term.tokens)
    if term.ray is None:
        return Meant(weight, ids, {}, {})
    ray, rows = SIGNS.index(term.ray.sign), _rows_of(bank, term)
    vectors = bank.vectors(np.array([*rows.values()], np.intp)) * np.float32(1 - 2 * ray)
    return Meant(
        weight,
        ids,
        {end: tuple(_ids_of(bank, row, ray)) for end, row in rows.items()},
        dict(zip(rows, vectors, strict=True)),
        is_ray=True,
    )


def _answer_search(page: SearchPage, asked: Search, most: int) -> SearchPage:
    inquiry = asked.inquiry
    scores = _score_rays(asked)
    order = scores.first_rays(scores.order, N_FOUND)
    n_pages = max(1, -(-len(order) // most))
    if inquiry.page > n_pages:
        raise BadOption(f"There is no page {inquiry.page}: there are {n_pages}, counted from 1.")
    by_theme = order if inquiry.order == "theme" else scores.first_rays(scores.themes, N_JUDGED)
    on_page = order[(inquiry.page - 1) * most : inquiry.page * most]
    shown = np.unique(np.concatenate([on_page, by_theme[:N_JUDGED]]))
    facts = _Evidence(asked, shown)
    by_chance = _bound_chance(asked, scores, by_theme[:N_JUDGED], facts)
    is_known = by_chance.fdr is not None and any(
        facts.of(place)[1] is not None for place in by_theme[:N_JUDGED].tolist()
    )
    return replace(
        page,
        hits=tuple(_describe_ray(asked, scores, facts, place, page) for place in on_page.tolist()),
        n_hits=len(order),
        n_pages=n_pages,
        strip=tuple(_count_strip(asked, order)),
        searched=_summarise_search(asked, scores),
        fdr_at=by_chance,
        is_beyond_chance=by_chance.is_theme or by_chance.n_aligned > 0 if is_known else None,
        n_neurons=_count_neurons(asked) if "neuron" in page.bases else 0,
    )


def _count_neurons(asked: Search) -> int:
    """Count the neurons' ends with a better theme than every random direction, if chance brings at most half as many.

    0 where neurons are searched anyway, or a filter is set.
    """
    plain = replace(asked.inquiry, q="", order="theme", page=1)
    if plain != Inquiry("") or not asked.bank.rows.is_neuron.any():
        return 0
    of_neurons = replace(asked, inquiry=replace(plain, basis="neuron"))
    scores = _score_rays(of_neurons)
    controls = _join_controls(of_neurons, scores)
    if not len(controls):
        return 0
    n_beyond = int((scores.themes > controls.max()).sum())
    return n_beyond if scores.n_compared / (len(controls) + 1) <= MOST_FALSE * n_beyond else 0


def _join_controls(asked: Search, scores: Scores) -> NDArray[np.float32]:
    """Join the themes of random directions at the ends where a ray was compared."""
    of_rows = asked.bank.rows.end[scores.start : scores.start + len(scores.themes)]
    compared = {BANK_ENDS[code] for code, own in iterate_runs(of_rows) if (scores.themes[own] > NOT_COMPARED).any()}
    there = [themes for end, themes in asked.controls.items() if end in compared]
    return np.concatenate([np.empty(0, np.float32), *there])


def _score_rays(asked: Search) -> Scores:
    bank, inquiry = asked.bank, asked.inquiry
    where = rows_of(bank, neurons=inquiry.basis == "neuron")
    of_all = theme_of(bank, asked.similarities, where)
    of_all[~_mask_passing(asked, where)] = NOT_COMPARED
    n_compared = int((of_all > NOT_COMPARED).sum())
    if inquiry.readable:
        of_all[~(bank.rows.p[where] < ALPHA)] = NOT_COMPARED
    if inquiry.order == "theme":
        return Scores(where.start, of_all, of_all, n_compared)
    is_there = of_all > NOT_COMPARED
    wanted = np.zeros(len(bank.rows.end), bool)
    wanted[where] = is_there.any(1)
    if is_of_nearest := bank.bytes_of(wanted) > MOST_READ_BYTES:
        wanted[:] = False
        wanted[np.unique(find_largest(of_all.ravel(), N_ORDERED) // 2) + where.start] = True
        at = np.flatnonzero(wanted)
        products = np.full(len(of_all), np.nan, np.float32)
        products[at - where.start] = alignments_of(bank, asked.questions, at)
    else:
        products = compute_alignments(bank, asked.questions, wanted)[where]
    aligned = np.where(is_there & ~np.isnan(products)[:, None], np.stack([products, -products], 1), NOT_COMPARED)
    return Scores(where.start, of_all, aligned, n_compared, is_of_nearest)


def _mask_passing(asked: Search, where: slice) -> NDArray[np.bool_]:
    """Mask the rows that pass the filters, without those of the query's own rays and hardly used ones."""
    rows, inquiry = asked.bank.rows, asked.inquiry
    passing = rows.gain[where] >= (USED if inquiry.used else HARDLY_USED)
    if inquiry.side:
        of_kind = np.array([[side == inquiry.side for side in SIDES[kind]] for kind in KINDS])
        passing &= of_kind[rows.kind[where], rows.side[where]]
    if inquiry.kind:
        passing &= rows.kind[where] == KINDS.index(inquiry.kind)
    if inquiry.layers:
        layers = _parse_layers(asked.model, inquiry.layers)
        passing &= (rows.layer[where] >= layers[0]) & (rows.layer[where] <= layers[-1])
    for term in asked.terms:
        if term.ray is not None:
            own = [row for side in (0, 1) if (row := asked.bank.find(term.ray.address, side)) is not None]
            passing[[row - where.start for row in own if where.start <= row < where.stop]] = False
    return passing


class _Evidence:
    """The alignments of a few rays, with the number expected by chance."""

    def __init__(self, asked: Search, places: NDArray[np.intp]) -> None:
        at, ray = np.divmod(places, 2)
        products = alignments_of(asked.bank, asked.questions, at)
        n_rows = int(asked.bank.rows.is_neuron.sum()) if asked.inquiry.basis == "neuron" else asked.bank.n_rows
        by_chance = count_expected(asked.bank, asked.questions, at, products, n_rows)
        numbers = zip(np.where(ray, -products, products).tolist(), by_chance.tolist(), strict=True)
        self._of = dict(zip(places.tolist(), numbers, strict=True))

    def of(self, place: int) -> tuple[float | None, float | None]:
        """Return a ray's alignment and the number expected by chance; None for an unknown one."""
        alignment, by_chance = self._of[place]
        return _none_if_nan(alignment), _none_if_nan(by_chance)


def _bound_chance(asked: Search, scores: Scores, nearest: NDArray[np.intp], facts: _Evidence) -> NearestByChance:
    """Bound how many of the nearest rays by theme chance may have brought."""
    rays = scores.themes[scores.themes > NOT_COMPARED]
    fdr = None
    if len(nearest):
        last = scores.theme(int(nearest[-1]))
        fdr = false_discovery_rate(last, rays, _join_controls(asked, scores), scores.n_compared)
    by_chance = [one for place in nearest.tolist() if (one := facts.of(place)[1]) is not None]
    return NearestByChance(len(nearest), fdr, sum(one <= WEAK for one in by_chance))


def _summarise_search(asked: Search, scores: Scores) -> Searched:
    rays = scores.themes[scores.themes > NOT_COMPARED]
    controls = _join_controls(asked, scores)
    return Searched(
        rays=len(rays),
        share_of_model=_share_of(asked),
        controls=len(controls),
        beyond_controls=int((rays > controls.max()).sum()) if len(controls) else 0,
        beyond_controls_by_chance=scores.n_compared / (len(controls) + 1),
        is_of_nearest=scores.is_of_nearest,
    )


def _share_of(asked: Search) -> float:
    """Return the share of the searched rows that the bank has."""
    if asked.inquiry.basis == "svd":
        return asked.bank.share
    of = asked.model.header
    return int(asked.bank.rows.is_neuron.sum()) / (of.n_layers * of.d_mlp * len(of.layer_kinds))


def _describe_ray(asked: Search, scores: Scores, facts: _Evidence, place: int, page: SearchPage) -> FoundRay:
    bank, (at, ray) = asked.bank, divmod(place, 2)
    rows = bank.rows
    address, side = bank.address(at, page.address.pin), int(rows.side[at])
    alignment, by_chance = facts.of(place)
    kind = KINDS[rows.kind[at]]
    tokens = _score_tokens(asked, at, ray)
    opposite = bank.find(address, 1 - side)
    return FoundRay(
        address=address,
        ray=SIGNS[ray],
        side=stream_side_of(kind, side),
        theme=scores.theme(place),
        alignment=alignment,
        expected=by_chance,
        gain=float(rows.gain[at]),
        strength=float(rows.strength[at]),
        z=_none_if_nan(float(rows.z[at, ray])),
        p=_none_if_nan(float(rows.p[at, ray])),
        reading=READINGS[rows.reading[at, ray]] if not np.isnan(rows.p[at, ray]) else "unknown",
        letterless=bool(rows.letterless[at, ray]),
        tokens=tokens,
        asked=tuple(_find_asked(asked, tokens, SIGNS[ray])),
        other=None
        if opposite is None
        else RayReadout(stream_side_of(kind, 1 - side), _score_tokens(asked, opposite, ray)),
        view=page.view,
    )


def _score_tokens(asked: Search, row: int, ray: int) -> tuple[Token, ...]:
    likeness = asked.similarities[BANK_ENDS[asked.bank.rows.end[row]]]
    vocabulary = asked.model.vocabulary
    return tuple(
        Token(*vocabulary.entry(id_), 0.0 if likeness is None else float(likeness[id_]))
        for id_ in _ids_of(asked.bank, row, ray)
    )


def _find_asked(asked: Search, tokens: Sequence[Token], ray: Sign) -> Iterator[Hit]:
    """Yield the tokens that the query asks for, whatever their case and the space in front of them."""
    words = asked.model.vocabulary.words
    wanted = {words[token.id] for term in asked.terms if not term.is_minus and not term.ray for token in term.tokens}
    for place, token in enumerate(tokens, 1):
        if words[token.id] in wanted:
            yield Hit(ray, place, token, is_whole=True)


def _count_strip(asked: Search, order: NDArray[np.intp]) -> Iterator[StripRow]:
    rows, at = asked.bank.rows, order // 2
    for code, kind in enumerate(KINDS):
        layers = rows.layer[at][rows.kind[at] == code]
        if kind in {"embed", "unembed"} and len(layers):
            yield StripRow(kind, (len(layers),))
        elif len(layers):
            yield StripRow(kind, tuple(np.bincount(layers, minlength=asked.model.header.n_layers).tolist()))


def _none_if_nan(number: float) -> float | None:
    return None if np.isnan(number) else number
