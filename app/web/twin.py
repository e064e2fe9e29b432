"""The JSON twin of each page: the same frozen value, as plain data in the form of `schema.py`."""

from typing import Literal, cast

from app.core.address import Address
from app.explorer.pages import (
    Badge,
    Cell,
    Direction,
    DirectionPage,
    HeadPage,
    HeadSummary,
    Histogram,
    HomePage,
    JobPage,
    JobsPage,
    LayerPage,
    MatrixPage,
    Model,
    ModelEntry,
    ModelPage,
    NotablePage,
    SideReadout,
    Token,
    View,
)
from app.web import schema
from app.web.urls import Urls

Side = Literal["read", "write", "query", "key"]


def home_json(page: HomePage, urls: Urls) -> schema.HomeJson:
    """The models of this server."""
    return {"models": [_entry(entry, urls) for entry in page.models]}


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
    rays: list[schema.NotableJson] = [
        {"ray": one.ray, "coherence": one.coherence, "direction": direction_json(one.direction)} for one in page.rays
    ]
    address = Address(page.model.slug)
    return {
        "weights": page.view.weights,
        "fingerprint": page.model.fingerprint,
        "rays": rays,
        "page": urls.notable(address, page.view),
        "json": urls.notable_api(address, page.view),
    }


def jobs_json(page: JobsPage, urls: Urls) -> schema.JobsJson:
    """The jobs of this server's models, or those of them that were asked for."""
    return {"jobs": [job_json(one, urls) for one in page.jobs], "page": urls.jobs(page.model, live=page.live)}


def job_json(page: JobPage, urls: Urls) -> schema.JobJson:
    """How far a job is."""
    job = page.job
    return {
        "id": job.id,
        "model": job.slug,
        "fingerprint": job.fingerprint,
        "circuits": list(job.circuits),
        "weights": list(job.processings),
        "state": job.state,
        "stage": job.stage,
        "message": job.message,
        "layers_done": job.layers_done,
        "layers": job.layers,
        "matrices_done": job.matrices_done,
        "matrices_found": job.matrices_found,
        "matrices": job.matrices,
        "heads_per_second": job.heads_per_second,
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


def matrix_json(page: MatrixPage, urls: Urls) -> schema.MatrixJson:
    """A matrix and this page of its directions."""
    assert page.address.circuit is not None
    return {
        "address": str(page.address),
        "label": page.address.label,
        "matrix": page.address.circuit,
        "weights": page.view.weights,
        "fingerprint": page.model.fingerprint,
        "rank": page.rank,
        "singular_values": list(page.singular_values),
        "scores": dict(page.scores),
        "bias": None if page.bias is None else _side(page.bias),
        "directions": [direction_json(direction) for direction in page.directions],
        "sort": page.view.sort,
        "find": page.view.find,
        "page": page.view.page,
        "n_pages": page.n_pages,
        "n_found": page.n_found,
        "distance": _distance(page),
        "notes": list(page.notes),
        "links": _links(urls, page.address, page.model, page.view, page.previous, page.next),
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
        "distance": _distance(page),
        "notes": list(page.notes),
        "links": _links(urls, page.address, page.model, page.view, page.previous, page.next),
    }


def direction_json(direction: Direction) -> schema.DirectionJson:
    """A direction as a row."""
    address = direction.address
    assert address.circuit is not None
    return {
        "address": str(address),
        "label": address.label,
        "matrix": address.circuit,
        "basis": "svd",
        "index": direction.index,
        "singular_value": direction.singular_value,
        "energy_share": direction.energy_share,
        "gap": direction.gap,
        "badge": _badge(direction.badge),
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
        "tied": model.tied,
        "source": model.source,
        "revision": model.revision,
        "architecture": model.architecture,
        "n_kv_heads": model.n_kv_heads,
        "n_experts": model.n_experts,
        "positions": model.positions,
        "normalization": model.normalization,
        "qk_norm": model.qk_norm,
        "reads_normed": model.reads_normed,
        "post_norm": model.post_norm,
        "sinks": model.sinks,
        "encoder": model.encoder,
        "processings": list(model.processings),
        "checks": dict(model.checks),
    }


def _distance(page: MatrixPage | DirectionPage) -> int | None:
    return None if page.farthest is None else page.view.distance


def _cell(cell: Cell) -> schema.CellJson:
    return {"address": str(cell.address), "value": cell.value, "rank": cell.rank}


def _summary(summary: HeadSummary) -> schema.HeadSummaryJson:
    return {
        "address": str(summary.address),
        "singular_values": list(summary.singular_values),
        "scores": dict(summary.scores),
        "strongest": [direction_json(direction) for direction in summary.strongest],
    }


def _side(side: SideReadout) -> schema.SideJson:
    return {"side": cast("Side", side.side), "plus": _tokens(side.plus), "minus": _tokens(side.minus)}


def _tokens(tokens: tuple[Token, ...]) -> list[schema.TokenJson]:
    return [{"id": id_, "token": text, "score": score} for id_, text, _, _, score in tokens]


def _badge(badge: Badge | None) -> schema.BadgeJson | None:
    if badge is None:
        return None
    return {"kind": badge.kind, "degrees": badge.degrees, "first": badge.first, "last": badge.last}


def _histogram(histogram: Histogram) -> schema.HistogramJson:
    return {"low": histogram.low, "high": histogram.high, "counts": list(histogram.counts)}


def _links(
    urls: Urls,
    address: Address,
    model: Model,
    view: View,
    previous: Address | None = None,
    next_: Address | None = None,
    **changes: object,
) -> schema.LinksJson:
    def json_of(other: Address | None) -> str | None:
        return None if other is None else urls.api(other, view, page=1)

    return {
        "page": urls.page(address, view, **changes),
        "json": urls.api(address, view, **changes),
        "pinned": urls.pinned(address, model.pin, view, **changes),
        "up": json_of(address.parent),
        "previous": json_of(previous),
        "next": json_of(next_),
    }
