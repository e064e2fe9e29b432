"""The JSON twin of each page: the same frozen value, as plain data in the form of `schema.py`."""

from dataclasses import asdict
from typing import Literal, Protocol, cast

from app.core.address import CIRCUITS, Address, format_short
from app.core.judging.bootstrap import Estimate
from app.explorer.asking.walk import spell_path
from app.explorer.errors import BadOption, NotBuilt
from app.explorer.groups import Depth
from app.explorer.header import Model
from app.explorer.pages.blind import BlindPage, Columns
from app.explorer.pages.census import CensusKind, CensusPage, SpanShares
from app.explorer.pages.circuitry import (
    Aligned,
    Alignments,
    AroundPage,
    PairCell,
    PairPage,
    Passage,
    Reading,
    Surroundings,
    TokenPage,
)
from app.explorer.pages.compare import ComparePage
from app.explorer.pages.composition import AlikeHead, AlikePage, CompositionPage
from app.explorer.pages.contrast import ContrastEnd, ContrastPage, ContrastPlace
from app.explorer.pages.directions import (
    Badge,
    ControlSpread,
    Determinacy,
    Direction,
    DirectionPage,
    Histogram,
    SideReadout,
    Turn,
)
from app.explorer.pages.gallery import Notable, NotablePage
from app.explorer.pages.jobs import JobPage, JobsPage
from app.explorer.pages.maps import Cell, HeadSummary, HomePage, LayerPage, ModelEntry, ModelPage
from app.explorer.pages.matrices import Curve, FullPage, FullRow, HeadPage, MatrixPage, Packing
from app.explorer.pages.rays import Judgement, NamedToken, Rays, Token, Verdict
from app.explorer.pages.search import AskedTerm, EveryPage, FoundRay, SearchPage, Unbuilt
from app.explorer.view import View
from app.models.vocabulary import TokenEntry
from app.web.api import schema
from app.web.urls import ALIKE, AROUND, BLIND, CENSUS, COMPOSITION, FULL, TOKEN, Urls

StreamSide = Literal["read", "write", "query", "key"]
Side = StreamSide | Literal["token", "neuron", "position", "head"]
NOTHING_ASKED = "Say what to search for: q=writing,wrote."


class Rested(Protocol):
    """A page that rests on what only precomputing builds."""

    @property
    def unbuilt(self) -> Unbuilt | None:
        """What of it is not here."""


def home_json(page: HomePage, urls: Urls) -> schema.HomeJson:
    """The models of this server."""
    examples = page.gallery.examples if page.gallery else ()
    return {"models": [_entry(entry, urls) for entry in page.models], "examples": [_notable(one) for one in examples]}


def model_json(page: ModelPage, urls: Urls) -> schema.ModelPageJson:
    """A model and its map."""
    rows = [[_cell(cell) for cell in row] for row in page.map.rows]
    score = None if page.map.score == page.map.scores[0] else page.map.score
    return {
        "address": str(page.address),
        "weights": page.view.weights,
        "model": _model(page.model),
        "map": {
            "score": page.map.score,
            "scores": list(page.map.scores),
            "low": page.map.low,
            "high": page.map.high,
            "rows": rows,
        },
        "links": _links(urls, page.address, page.model, page.view, score=score),
    }


def notable_json(page: NotablePage, urls: Urls) -> schema.NotablePageJson:
    """A model's gallery."""
    address = page.address
    return {
        "weights": page.view.weights,
        "fingerprint": page.model.fingerprint,
        "sought": cast("schema.SoughtJson", asdict(page.sought)),
        "n_pages": page.n_pages,
        "lists": [cast("schema.GalleryListJson", one._asdict()) for one in page.counts],
        "rays": [_notable(one) for one in page.rays],
        "letterless": [_notable(one) for one in page.letterless],
        "frequency": [_notable(one) for one in page.frequency],
        "glitches": [_notable(one) for one in page.glitches],
        "layers": page.n_layers,
        "whole": page.is_whole,
        "failure": page.failure,
        "judged": page.is_judged,
        "n_rays": page.n_rays,
        "n_readable": page.n_readable,
        "n_found": page.n_found,
        "page": urls.notable(address, page.view, page.sought),
        "json": urls.notable_api(address, page.view, page.sought),
    }


def census_json(page: CensusPage, urls: Urls) -> schema.CensusJson:
    """How readable the matrices of a model are."""
    return {
        "address": str(page.address),
        "weights": page.view.weights,
        "fingerprint": page.model.fingerprint,
        "layers_read": page.n_layers,
        "layers": page.model.n_layers,
        "kinds": [_census_kind(kind) for kind in page.kinds],
        "comparisons": [
            {
                "first": one.group,
                "second": one.other,
                "difference": _estimate(one.difference),
                "superiority": _estimate(one.superiority),
                "depths": [
                    {
                        "depth": part.depth,
                        "first_layer": part.layers[0],
                        "last_layer": part.layers[-1],
                        "difference": _estimate(part.difference),
                        "superiority": _estimate(part.superiority),
                    }
                    for part in one.depths
                ],
            }
            for one in page.effects
        ],
        "spans": [
            {
                "kind": one.group,
                "among": one.among,
                "matrices": one.n_matrices,
                "shares": [_span_shares(None, one.shares), *(_span_shares(depth, own) for depth, own in one.depths)],
            }
            for one in page.spans
        ],
        "findings": [
            {"about": one.about, "answer": one.answer, "evidence": list(one.evidence)} for one in page.findings
        ],
        "controls": {end: list(counts) for end, counts in page.controls},
        "low": page.edges[0],
        "high": page.edges[1],
        "seed": page.seed,
        "draws": page.draws,
        "missing": list(page.missing),
        "links": _links(urls, page.address, page.model, page.view, under=CENSUS),
    }


def _notable(one: Notable) -> schema.NotableJson:
    return {
        "address": str(one.address),
        "label": one.address.label,
        "ray": one.ray,
        "side": cast("StreamSide", one.side),
        "coherence": one.coherence,
        "z": one.z,
        "p": one.p,
        "q": one.q,
        "own_q": one.own_q,
        "spelling_z": one.spelling_z,
        "spelling_p": one.spelling_p,
        "kind": one.kind,
        "singular_value": one.singular_value,
        "energy_share": one.energy_share,
        "readouts": [{"side": cast("StreamSide", each.side), "tokens": _tokens(each.tokens)} for each in one.readouts],
        "turn": _turn(one.turn),
        "forms_z": one.forms_z,
        "forms_p": one.forms_p,
        "beyond_z": one.beyond_z,
        "beyond_p": one.beyond_p,
        "letterless": one.letterless,
        "reading": one.reading,
        "also": [
            {
                "address": str(also.address),
                "label": also.address.label,
                "ray": also.ray,
                "side": cast("StreamSide", also.side),
            }
            for also in one.also
        ],
    }


def search_json(page: SearchPage, urls: Urls) -> schema.SearchJson:
    """What a search found; what `answered` raises where it found no answer."""
    searched, address = require_answer(page).searched, page.address
    assert searched is not None
    return {
        "address": str(address),
        "weights": page.view.weights,
        "fingerprint": page.model.fingerprint,
        "inquiry": cast("schema.InquiryJson", asdict(page.inquiry)),
        "hits": [_found_json(one, page.view, urls) for one in page.found],
        "n_hits": page.n_found,
        "n_pages": page.n_pages,
        "query": _understood(page.terms),
        "fdr_at": {
            "rank": searched.rank,
            "fdr": searched.fdr,
            "stands_out": None if searched.fdr is None else searched.is_theme,
            "n_aligned": searched.n_aligned,
        },
        "searched": {
            "rays": searched.n_rays,
            "share_of_model": searched.share,
            "controls": searched.n_controls,
            "beyond_controls": searched.n_beyond,
            "beyond_controls_by_chance": searched.n_beyond_by_chance,
            "is_of_nearest": searched.is_of_nearest,
        },
        "page": urls.search(address, page.view, page.inquiry),
        "json": urls.search_api(address, page.view, page.inquiry),
    }


def every_json(page: EveryPage, urls: Urls) -> schema.EveryJson:
    """What a search found in each model."""
    apart = [
        (one.model.slug, one.unbuilt.why if one.unbuilt else one.problem) for one in page.pages if one.searched is None
    ]
    return {
        "q": page.q,
        "models": [search_json(one, urls) for one in page.pages if one.searched is not None],
        "missing": [{"model": slug, "detail": why} for slug, why in (*apart, *page.missing)],
        "page": urls.search_every(page.q),
        "json": urls.search_every_api(page.q),
    }


def require_answer(page: SearchPage) -> SearchPage:
    """The page of a search that was answered; NotBuilt or BadOption with what it says instead."""
    check_built(page)
    if page.searched is None:
        raise BadOption(page.problem or NOTHING_ASKED)
    return page


def check_built(page: Rested) -> None:
    """NotBuilt where what the page rests on is not here: a page for people says so itself, a program gets an error."""
    if page.unbuilt:
        raise NotBuilt(page.unbuilt.why, page.unbuilt.command)


def _found_json(one: FoundRay, view: View, urls: Urls) -> schema.NearestJson:
    return {
        "address": str(one.address),
        "label": one.address.label,
        "ray": one.ray,
        "side": cast("StreamSide", one.side),
        "theme": one.theme,
        "alignment": one.alignment,
        "expected": one.expected,
        "gain": one.gain,
        "strength": one.strength,
        "z": one.z,
        "p": one.p,
        "reading": one.reading,
        "letterless": one.is_letterless,
        "tokens": _tokens(one.tokens),
        "asked": [hit.token.id for hit in one.asked],
        "page": f"{urls.page(one.address, view)}#{one.ray}",
    }


def _understood(terms: tuple[AskedTerm, ...]) -> schema.UnderstoodJson:
    def tokens(term: AskedTerm, of: tuple[NamedToken, ...]) -> list[schema.SearchTokenJson]:
        weight = -1.0 if term.is_minus else 1.0
        return [{**_named_json(token), "of": term.text, "weight": weight} for token in of]

    return {
        "tokens": [token for term in terms for token in tokens(term, term.tokens)],
        "variants": [{"of": term.text, **_named_json(one.token)} for term in terms for one in term.variants],
        "pieces": [
            {"word": term.text, "tokens": [token.text for token in term.tokens]} for term in terms if term.is_cut
        ],
        "left_out": [token for term in terms for token in tokens(term, term.left_out)],
    }


def blind_json(page: BlindPage, urls: Urls) -> schema.BlindJson:
    """A question of a blind round, or all of them with their answers."""
    return {
        "address": str(page.address),
        "weights": page.view.weights,
        "fingerprint": page.model.fingerprint,
        "seed": page.seed,
        "of": page.of,
        "answers": page.answers,
        "n_rounds": page.n_rounds,
        "obstacle": page.obstacle,
        "columns": None if page.columns is None else _columns(page.columns),
        "results": [
            {
                "columns": _columns(one.columns),
                "answer": one.answer,
                "right": one.right,
                "address": str(one.direction),
                "side": cast("StreamSide", one.side),
                "ray": one.ray,
                "z": one.z,
                "p": one.p,
            }
            for one in page.results
        ],
        "n_right": page.n_right if page.results else None,
        "by_chance": page.by_chance if page.results else None,
        "links": _links(
            urls, page.address, page.model, page.view, under=BLIND, seed=page.seed, answers=page.answers, of=page.of
        ),
    }


def _columns(columns: Columns) -> schema.BlindColumnsJson:
    left, right = columns
    return {"left": _unscored_json(left), "right": _unscored_json(right)}


def _unscored_json(column: tuple[TokenEntry, ...]) -> list[schema.EntryJson]:
    return [{"id": token.id, "token": token.text} for token in column]


def jobs_json(page: JobsPage, urls: Urls) -> schema.JobsJson:
    """The jobs of this server's models, or those of them that were asked for."""
    return {"jobs": [job_json(one, urls) for one in page.jobs], "page": urls.jobs(page.model, live=page.live)}


def job_json(page: JobPage, urls: Urls) -> schema.JobJson:
    """How far a job is."""
    job, task = page.job, page.job.task
    return {
        "id": job.id,
        "kind": "matrices" if task else "import",
        "model": job.slug,
        "fingerprint": job.fingerprint,
        "matrices": list(task.matrices) if task else [],
        "basis": task.basis if task else None,
        "parameters": dict(task.parameters) if task else {},
        "weights": list(task.processings) if task else [],
        "state": job.state,
        "stage": job.stage,
        "message": job.message,
        "done": job.done,
        "total": job.total,
        "layers_done": job.layers_done,
        "layers": job.layers,
        "matrices_done": job.matrices_done,
        "matrices_found": job.matrices_found,
        "matrices_asked": job.matrices,
        "part": job.part,
        "matrices_per_second": job.matrices_per_second,
        "seconds_left": job.seconds_left,
        "unsettled": job.unsettled,
        "rays": job.rays,
        "compute_seconds": job.compute_seconds,
        "write_seconds": job.write_seconds,
        "created": job.created,
        "started": job.started,
        "updated": job.updated,
        "ended": job.ended,
        "page": urls.job(job.id),
        "json": urls.job_api(job.id),
    }


def layer_json(page: LayerPage, urls: Urls) -> schema.LayerJson:
    """A layer's heads in little."""
    return {
        "address": str(page.address),
        "label": page.address.label,
        "weights": page.view.weights,
        "fingerprint": page.model.fingerprint,
        "heads": [{"ov": _summary(ov), "qk": _summary(qk)} for ov, qk in page.heads],
        "matrices": [str(address) for address in page.matrices],
        "links": _links(urls, page.address, page.model, page.view, page.previous, page.next),
    }


def head_json(page: HeadPage, urls: Urls) -> schema.HeadJson:
    """A head: its OV and its QK."""
    return {
        "address": str(page.address),
        "label": page.address.label,
        "weights": page.view.weights,
        "fingerprint": page.model.fingerprint,
        "ov": matrix_json(page.ov, urls),
        "qk": matrix_json(page.qk, urls),
        "links": _links(urls, page.address, page.model, page.view, page.previous, page.next),
    }


def composition_json(page: CompositionPage, urls: Urls) -> schema.CompositionJson:
    """Which heads read which others; NotBuilt where that is not built."""
    check_built(page)
    kind, writer, reader = urls.composition_values(page).values()
    return {
        "address": str(page.address),
        "weights": page.view.weights,
        "fingerprint": page.model.fingerprint,
        "kind": page.kind,
        "writer": page.writer,
        "reader": page.reader,
        "steps": [{"least": step.least, "pairs": step.n_pairs, "fdr": step.fdr} for step in page.steps],
        "n_pairs": page.n_pairs,
        "pairs": [
            {
                "writer": str(pair.writer),
                "reader": str(pair.reader),
                "cs": pair.cs,
                "fdr": pair.fdr,
                "siblings": [*map(str, pair.siblings)],
            }
            for pair in page.pairs
        ],
        "links": _links(
            urls, page.address, page.model, page.view, under=COMPOSITION, kind=kind, writer=writer, reader=reader
        ),
    }


def alike_json(page: AlikePage, urls: Urls) -> schema.AlikeJson:
    """The heads that are most like one; NotBuilt where that is not built."""
    check_built(page)

    def at(address: Address | None) -> str | None:
        return None if address is None else urls.api(address, page.view, ALIKE)

    around = {"up": urls.api(page.address, page.view), "previous": at(page.previous), "next": at(page.next)}
    return {
        "address": str(page.address),
        "weights": page.view.weights,
        "fingerprint": page.model.fingerprint,
        "sides": [
            {
                "side": side.side,
                "rank": side.rank,
                "chance": side.chance,
                "spread": side.spread,
                "nearest": [*map(_alike_head, side.nearest)],
                "siblings": [*map(_alike_head, side.siblings)],
                "shared": side.is_shared,
            }
            for side in page.sides
        ],
        "links": cast("schema.LinksJson", _links(urls, page.address, page.model, page.view, under=ALIKE) | around),
    }


def _alike_head(one: AlikeHead) -> schema.AlikeHeadJson:
    return {
        "head": str(one.head),
        "heads": one.n_heads,
        "overlap": one.overlap,
        "share": one.share,
        "percentile": one.percentile,
    }


def contrast_json(page: ContrastPage, urls: Urls) -> schema.ContrastJson:
    """Two places side by side."""
    return {
        "a": page.a,
        "b": page.b,
        "first": None if page.first is None else _contrast_place(page.first),
        "second": None if page.second is None else _contrast_place(page.second),
        "spans": [
            {
                "side": span.side,
                "sizes": list(span.sizes),
                "cosines": list(span.cosines),
                "random": list(span.random),
                "share": span.share,
                "chance": span.chance,
            }
            for span in page.spans
        ],
        "matches": [
            {
                "first": str(match.first),
                "second": str(match.second),
                "cosine": match.cosine,
                "cosines": dict(match.cosines),
                "ends": [_contrast_end(end) for end in match.ends],
            }
            for match in page.matches
        ],
        "matched": page.matched,
        "chance": page.chance,
        "apart": page.apart,
        "page": urls.same_contrast(page),
        "json": urls.twin(urls.same_contrast(page)),
    }


def _contrast_place(place: ContrastPlace) -> schema.ContrastPlaceJson:
    return {
        "address": str(place.address),
        "label": place.address.label,
        "weights": place.view.weights,
        "fingerprint": place.model.fingerprint,
        "norm": place.norm,
        "gains": list(place.gains),
    }


def _contrast_end(end: ContrastEnd) -> schema.ContrastEndJson:
    return {
        "side": end.side,
        "rays": list(end.rays),
        "both": _tokens(end.both),
        "first": _tokens(end.first),
        "second": _tokens(end.second),
        "n_both": end.n_both,
        "n_tokens": end.n_tokens,
    }


def full_json(page: FullPage, urls: Urls) -> schema.FullJson:
    """A head's full circuits for one token."""
    token = "" if page.token is None else page.token.spelling

    def at(address: Address | None) -> str | None:
        return None if address is None else urls.api(address, page.view, FULL, token=token)

    around = {"up": urls.api(page.address, page.view), "previous": at(page.previous), "next": at(page.next)}
    links = _links(urls, page.address, page.model, page.view, under=FULL, token=token)
    return {
        "address": str(page.address),
        "label": page.address.label,
        "weights": page.view.weights,
        "fingerprint": page.model.fingerprint,
        "token": None if page.token is None else _named_json(page.token),
        "rows": [_full_row(row) for row in page.rows],
        "n_tokens": page.n_tokens,
        "suggested": [_named_json(token) for token in page.suggested],
        "distance": _distance(page),
        "notes": list(page.notes),
        "links": cast("schema.LinksJson", links | around),
    }


def _full_row(row: FullRow) -> schema.FullRowJson:
    return {
        "role": row.role,
        "readout": _side(row.readout),
        "ordinary": _side(row.ordinary),
        "apart": [{"why": one.why, "ray": one.ray, **_tokens((one.token,))[0]} for one in row.apart],
        "own_score": row.own_score,
        "own_rank": row.own_rank,
    }


def _named_json(token: NamedToken) -> schema.NamedTokenJson:
    return {"id": token.id, "token": token.text, "spelling": token.spelling}


def matrix_json(page: MatrixPage, urls: Urls) -> schema.MatrixJson:
    """A matrix and this page of its directions."""
    assert page.address.kind is not None
    return {
        "address": str(page.address),
        "label": page.address.label,
        "matrix": page.address.kind,
        "basis": page.address.basis or "svd",
        "parameters": _parameters(page.view),
        "weights": page.view.weights,
        "fingerprint": page.model.fingerprint,
        "rank": page.rank,
        "singular_values": list(page.singular_values),
        "scores": dict(page.scores),
        "bias": None if page.bias is None else _side(page.bias),
        "curve": None if page.curve is None else _curve(page.curve),
        "packing": None if page.packing is None else _packing(page.packing),
        "verdicts": [_verdict(verdict) for verdict in page.verdicts],
        "determinacy": None if page.determinacy is None else _determinacy(page.determinacy),
        "bases": [tab.basis for tab in page.tabs],
        "directions": [direction_json(direction) for direction in page.directions],
        "sort": page.view.sort,
        "only": page.view.only,
        "find": page.view.find,
        "filter": page.view.selection.parameters(),
        "readout": page.view.selection.readout,
        "page": page.view.page,
        "n_pages": page.n_pages,
        "n_found": page.n_found,
        "distance": _distance(page),
        "notes": list(page.notes),
        "links": _links(urls, page.address, page.model, page.view, page.previous, page.next),
    }


def _packing(packing: Packing) -> schema.PackingJson:
    return {
        "counts": list(packing.counts),
        "expected": list(packing.expected),
        "spread": packing.spread,
        "random_spread": packing.random_spread,
        "spread_with_mean": packing.spread_with_mean,
        "mean_share": packing.mean_share,
        "thresholds": list(packing.thresholds),
        "needs": [
            {"who": need.who, "errors": list(need.errors), "quartiles": list(need.quartiles)} for need in packing.needs
        ],
        "n_far": packing.n_far,
        "n_coherent": packing.n_coherent,
        "n_lonely": packing.n_lonely,
        "lonely": [
            {"address": str(atom.address), "cosine": atom.cosine, "coherence": atom.coherence}
            for atom in packing.lonely
        ],
    }


def compare_json(page: ComparePage, urls: Urls) -> schema.CompareJson:
    """The bases of a matrix side by side."""
    changes = urls.compare_values(page)
    return {
        "address": str(page.address),
        "label": page.address.label,
        "weights": page.view.weights,
        "fingerprint": page.model.fingerprint,
        "nonzeros": page.nonzeros,
        "first": page.first,
        "mean_share": page.mean_share,
        "bases": [
            {
                "basis": one.basis,
                "parameters": {choice.name: choice.value for choice in one.parameters},
                "terms": one.terms,
                "errors": list(one.errors),
                "error": one.error,
                "control": one.control,
                "explained": one.explained,
            }
            for one in page.bases
        ],
        "overlaps": [list(row) for row in page.overlaps],
        "smallest": [list(row) for row in page.smallest],
        "direction": page.direction,
        "partners": [
            {
                "basis": one.basis,
                "address": str(one.address),
                "parameters": {choice.name: choice.value for choice in one.parameters},
                "cosine": one.cosine,
                "control": one.control,
            }
            for one in page.partners
        ],
        "page": urls.compare(page.address, page.view, **changes),
        "json": urls.api(page.address, page.view, "compare", **changes),
    }


def direction_page_json(page: DirectionPage, urls: Urls) -> schema.DirectionPageJson:
    """One direction with all tokens that are kept."""
    return {
        **direction_json(page.direction),
        "weights": page.view.weights,
        "fingerprint": page.model.fingerprint,
        "rank": page.rank,
        "singular_values": list(page.singular_values),
        "left_histogram": _histogram(page.left_histogram),
        "right_histogram": _histogram(page.right_histogram),
        "controls": [None if control is None else _control(control) for control in page.controls],
        "rotations": [None if turned is None else _control(turned) for turned in page.rotations],
        "filter": page.view.selection.parameters(),
        "readout": page.view.selection.readout,
        "positions": list(page.positions),
        "same": [str(address) for address in page.same],
        "parameters": _parameters(page.view),
        "distance": _distance(page),
        "notes": list(page.notes),
        "links": _links(urls, page.address, page.model, page.view, page.previous, page.next),
    }


def direction_json(direction: Direction) -> schema.DirectionJson:
    """A direction as a row."""
    address = direction.address
    assert address.kind is not None
    return {
        "address": str(address),
        "label": address.label,
        "matrix": address.kind,
        "basis": address.basis or "svd",
        "index": direction.index,
        "singular_value": direction.singular_value,
        "energy_share": direction.energy_share,
        "gap": direction.gap,
        "badge": _badge(direction.badge),
        "merit": direction.merit,
        "unit": direction.unit,
        "turn": _turn(direction.turn),
        "left": _side(direction.left),
        "right": _side(direction.right),
    }


def _entry(entry: ModelEntry, urls: Urls) -> schema.ModelEntryJson:
    return {
        "slug": entry.slug,
        "state": entry.state,
        "model": None if entry.model is None else _model(entry.model),
        "message": entry.message,
        "done": entry.done,
        "total": entry.total,
        "json": urls.api(Address(entry.slug)),
    }


def _model(model: Model) -> schema.ModelJson:
    return {
        "slug": model.slug,
        "name": model.name,
        "fingerprint": model.fingerprint,
        "n_layers": model.n_layers,
        "n_heads": model.n_heads,
        "d_model": model.d_model,
        "d_head": model.d_head,
        "d_vocab": model.d_vocab,
        "n_ctx": model.n_ctx,
        "n_params": model.n_params,
        "dtype": model.dtype,
        "rounded": model.rounded,
        "tied": model.tied,
        "source": model.source,
        "hub": model.hub,
        "licence": model.licence,
        "revision": model.revision,
        "architecture": model.architecture,
        "n_kv_heads": model.n_kv_heads,
        "n_experts": model.n_experts,
        "d_mlp": model.d_mlp,
        "gated": model.gated,
        "positions": model.positions,
        "normalization": model.normalization,
        "qk_norm": model.qk_norm,
        "reads_normed": model.reads_normed,
        "post_norm": model.post_norm,
        "mlp_reads": model.mlp_reads,
        "mlp_post_norm": model.mlp_post_norm,
        "matrices": [*CIRCUITS, *model.layer_kinds, *model.model_kinds],
        "sinks": model.sinks,
        "encoder": model.encoder,
        "processings": list(model.processings),
        "quantised": None if model.quantised is None else {"kind": model.quantised.kind, "bits": model.quantised.bits},
        "checks": dict(model.checks),
    }


def _parameters(view: View) -> dict[str, int]:
    return {choice.name: choice.value for choice in view.parameters}


def _curve(curve: Curve) -> schema.CurveJson:
    return {"at": list(curve.at), "explained": list(curve.explained), "svd": list(curve.svd)}


def _distance(page: MatrixPage | DirectionPage | FullPage) -> int | None:
    return None if page.farthest is None else page.view.distance


def _cell(cell: Cell) -> schema.CellJson:
    plus, minus = ([token.text for token in tokens] for tokens in cell.written)
    return {"address": str(cell.address), "value": cell.value, "rank": cell.rank, "plus": plus, "minus": minus}


def _summary(summary: HeadSummary) -> schema.HeadSummaryJson:
    return {
        "address": str(summary.address),
        "singular_values": list(summary.singular_values),
        "scores": dict(summary.scores),
        "strongest": [direction_json(direction) for direction in summary.strongest],
    }


def _side(side: SideReadout) -> schema.SideJson:
    return {
        "side": cast("Side", side.side),
        "plus": _tokens(side.plus),
        "minus": _tokens(side.minus),
        "rays": None if side.rays is None else _rays(side.rays),
        "found": [
            {"ray": one.ray, "place": one.place, **_tokens((one.token,))[0], "whole": one.is_whole}
            for one in side.found
        ],
    }


def _rays(rays: Rays) -> schema.RaysJson:
    return {
        "plus": _judgement(rays.plus),
        "minus": None if rays.minus is None else _judgement(rays.minus),
        "kind": rays.kind,
        "difference_p": rays.difference_p,
    }


def _judgement(one: Judgement) -> schema.JudgementJson:
    return {
        "coherence": list(one.coherence),
        "z": list(one.z),
        "p": list(one.p),
        "q": one.q,
        "spelling_z": one.spelling_z,
        "spelling_p": one.spelling_p,
        "rotation_p": one.rotation_p,
        "forms_z": one.forms_z,
        "forms_p": one.forms_p,
        "beyond_z": one.beyond_z,
        "beyond_p": one.beyond_p,
        "beyond_share": one.beyond_share,
        "n_forms": one.n_forms,
        "letterless": one.letterless,
        "reading": one.reading,
    }


def _verdict(verdict: Verdict) -> schema.VerdictJson:
    return {
        "side": verdict.side,
        "n_rays": verdict.n_rays,
        "n_unknown": verdict.n_unknown,
        "n_readable": verdict.n_readable,
        "n_found": verdict.n_found,
        "n_spelling": verdict.n_spelling,
        "n_theme": verdict.n_theme,
        "n_one_word": verdict.n_one_word,
        "n_partly": verdict.n_partly,
        "n_letterless": verdict.n_letterless,
        "classes": dict(verdict.classes),
        "n_better": verdict.n_better,
    }


def _control(control: ControlSpread) -> schema.ControlJson:
    return {
        "side": control.side,
        "low": control.low,
        "high": control.high,
        "counts": list(control.counts),
        "mean": control.mean,
        "spread": control.spread,
    }


def _tokens(tokens: tuple[Token, ...]) -> list[schema.TokenJson]:
    return [{"id": id_, "token": text, "score": score} for id_, text, _, _, score, _ in tokens]


def _badge(badge: Badge | None) -> schema.BadgeJson | None:
    if badge is None:
        return None
    return {"kind": badge.kind, "degrees": badge.degrees, "first": badge.first, "last": badge.last}


def _turn(turn: Turn | None) -> schema.TurnJson | None:
    return None if turn is None else {"left": turn.left, "right": turn.right, "determined": turn.is_determined}


def _determinacy(one: Determinacy) -> schema.DeterminacyJson:
    return {
        "first": one.first,
        "degrees": one.degrees,
        "later": one.later,
        "rest": None if one.rest is None else {"left": one.rest[0], "right": one.rest[1]},
    }


def _histogram(histogram: Histogram) -> schema.HistogramJson:
    return {
        "low": histogram.low,
        "high": histogram.high,
        "counts": list(histogram.counts),
        "skewness": histogram.skewness,
        "kurtosis": histogram.kurtosis,
    }


def _census_kind(kind: CensusKind) -> schema.CensusKindJson:
    return {
        "kind": kind.group,
        "end": kind.end,
        "equal_rank": kind.is_cut,
        "matrices": kind.n_matrices,
        "rays": kind.n_rays,
        "unjudged": kind.n_unjudged,
        "readable": _estimate(kind.readable),
        "discovered": kind.discovered,
        "controls": kind.n_control,
        "at_floor": kind.n_at_floor,
        "needed_at_floor": kind.n_needed,
        "mean_z": _estimate(kind.mean),
        "larger_than_random": _estimate(kind.superiority),
        "counts": list(kind.counts),
        "by_layer": list(kind.by_layer),
        "by_rank": list(kind.by_rank),
        "readable_by_rank": list(kind.readable_by_rank),
        "first_minus_last": kind.early and _estimate(kind.early),
        "rank_correlation": kind.correlation and _estimate(kind.correlation),
        "later_minus_first": kind.later and _estimate(kind.later),
        "depths": [
            {
                "depth": part.depth,
                "first_layer": part.layers[0],
                "last_layer": part.layers[-1],
                "readable": _estimate(part.readable),
                "mean_z": _estimate(part.mean),
                "larger_than_random": _estimate(part.superiority),
                "first_minus_last": part.early and _estimate(part.early),
            }
            for part in kind.depths
        ],
    }


def _span_shares(depth: Depth | None, shares: SpanShares) -> schema.SpanSharesJson:
    first, last = (shares.layers[0], shares.layers[-1]) if shares.layers else (None, None)
    return {
        "depth": depth,
        "first_layer": first,
        "last_layer": last,
        "directions": _estimate(shares.own),
        "random": _estimate(shares.random),
        "difference": _estimate(shares.difference),
    }


def _estimate(estimate: Estimate) -> schema.EstimateJson:
    low, high = estimate.interval or (None, None)
    return {"value": estimate.value, "low": low, "high": high}


def _links(
    urls: Urls,
    address: Address,
    model: Model,
    view: View,
    previous: Address | None = None,
    next_: Address | None = None,
    under: str = "",
    **changes: object,
) -> schema.LinksJson:
    def json_of(other: Address | None) -> str | None:
        return None if other is None else urls.api(other, view, page=1)

    return {
        "page": urls.page(address, view, under, **changes),
        "json": urls.api(address, view, under, **changes),
        "pinned": urls.pinned_url(address, model.pin, view, under, **changes),
        "up": json_of(address.parent),
        "previous": json_of(previous),
        "next": json_of(next_),
    }


def around_json(page: AroundPage, urls: Urls) -> schema.AroundJson:
    """What is around a direction; NotBuilt where that is not built."""
    check_built(page)
    return {
        "address": str(page.address),
        "label": page.address.label,
        "weights": page.view.weights,
        "fingerprint": page.model.fingerprint,
        "sides": [_surroundings(side) for side in page.sides],
        "share": page.share,
        "path": [format_short(hop.ray) for hop in page.path],
        "links": _links(urls, page.address, page.model, page.view, under=AROUND, path=spell_path(page.path)),
    }


def _surroundings(side: Surroundings) -> schema.SurroundingsJson:
    readings = side.readings
    return {
        "side": cast("StreamSide", side.side),
        "writes": side.writes,
        "neighbours": _alignments(side.neighbours),
        "others": _alignments(side.others),
        "neurons": _alignments(side.neurons),
        "readings": None
        if readings is None
        else {
            "found": [_reading(one) for one in readings.found],
            "n_found": readings.n_found,
            "n_weaker": readings.n_weaker,
        },
    }


def _alignments(some: Alignments) -> schema.AlignmentsJson:
    return {"found": [_aligned_json(one) for one in some.found], "n_found": some.n_found, "n_rows": some.n_rows}


def _aligned_json(one: Aligned) -> schema.AlignedJson:
    return {
        "address": str(one.ray.address),
        "label": one.ray.address.label,
        "ray": one.ray.sign,
        "side": cast("StreamSide", one.side),
        "value": one.value,
        "z": one.z,
        "expected": one.expected,
        "gain": one.gain,
        "rank": one.rank,
        "tokens": [_entry_of(token) for token in one.tokens],
    }


def _entry_of(token: TokenEntry) -> schema.EntryJson:
    return {"id": token.id, "token": token.text}


def _reading(one: Reading) -> schema.ReadingJson:
    return {
        "writer": str(one.writer),
        "part": one.part,
        "heads": [str(head) for head in one.heads],
        "specificity": one.specificity,
        "false_share": one.false_share,
        "distance": one.distance,
        "ray": one.sign,
        "gain": one.gain,
    }


def token_json(page: TokenPage, urls: Urls) -> schema.TokenPageJson:
    """One token; NotBuilt where that is not built."""
    check_built(page)
    under = f"{TOKEN}/{page.token.id}"
    return {
        "id": page.token.id,
        "token": page.token.text,
        "spelling": page.token.spelling,
        "weights": page.view.weights,
        "fingerprint": page.model.fingerprint,
        "known": page.is_known,
        "trained": page.is_trained,
        "length": page.length,
        "typical_length": page.typical_length,
        "n_tokens": page.n_known,
        "variants": [_named_json(token) for token in page.variants],
        "near": [{**_entry_of(one.token), "cosine": one.cosine} for one in page.near],
        "groups": [
            {
                "does": group.does,
                "rays": [_aligned_json(one) for one in group.rays],
                "n_rows": group.n_rows,
                "n_beyond": group.n_beyond,
            }
            for group in page.groups
        ],
        "share": page.share,
        "links": _links(urls, page.address, page.model, page.view, under=under),
    }


def pair_json(page: PairPage, urls: Urls) -> schema.PairJson:
    """Two heads side by side; NotBuilt where that is not built."""
    check_built(page)
    return {
        "a": str(page.a),
        "b": str(page.b),
        "part": page.part,
        "weights": page.view.weights,
        "fingerprint": page.model.fingerprint,
        "rows": [str(place) for place in page.rows],
        "columns": [str(place) for place in page.columns],
        "cosines": [list(row) for row in page.cosines],
        "specificities": list(page.specificities),
        "whole": page.whole,
        "later": page.is_later,
        "chance": page.chance,
        "n_beyond": page.n_beyond,
        "strongest": [_pair_cell(one) for one in page.strongest],
        "path": [format_short(hop.ray) for hop in page.path],
        "passage": None if page.passage is None else _passage(page.passage),
        "page": urls.pair(page.a, page.b, page.part, page.view, page.path),
        "json": urls.pair_api(page.a, page.b, page.part, page.view, page.path),
    }


def _passage(one: Passage) -> schema.PassageJson:
    return {
        "address": str(one.ray.address),
        "ray": one.ray.sign,
        "through": one.through,
        "taken_in": one.taken_in,
        "cells": [_pair_cell(cell) for cell in one.cells],
    }


def _pair_cell(one: PairCell) -> schema.PairCellJson:
    return {
        "writer": str(one.writer.address),
        "writer_ray": one.writer.sign,
        "reader": str(one.reader.address),
        "reader_ray": one.reader.sign,
        "cosine": one.cosine,
        "expected": one.expected,
    }
