"""Templates, with what they may call: one page value in, HTML out.

Everything is escaped; no template marks anything safe. Knows no request.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from app.core.address import CIRCUITS, LABELS, Address, Ray
from app.core.basis import BASES
from app.explorer.asking import walk
from app.explorer.header import Model
from app.explorer.pages.blind import BlindPage
from app.explorer.pages.census import CensusPage
from app.explorer.pages.circuitry import AroundPage, AskedPairPage, PairPage, TokenPage
from app.explorer.pages.compare import ComparePage
from app.explorer.pages.composition import AlikePage, CompositionPage
from app.explorer.pages.contrast import ContrastPage
from app.explorer.pages.directions import DirectionPage, Hop
from app.explorer.pages.gallery import NotablePage
from app.explorer.pages.jobs import JobPage, JobsPage
from app.explorer.pages.maps import HomePage, LayerPage, ModelPage
from app.explorer.pages.matrices import FitPage, FullPage, HeadPage, MatrixPage
from app.explorer.pages.search import EveryPage, SearchPage, SuggestPage
from app.explorer.reading.census.estimates import as_points, as_shares, hundredths, layers_of, with_interval
from app.explorer.reading.census.kinds import name_of
from app.explorer.reading.matrices import DIRECTION_TOKENS
from app.explorer.reading.verdicts import BETTER
from app.explorer.view import SORTS
from app.explorer.visits.jobs import duration_words, rate_words
from app.models.selection import FREQUENT
from app.store.jobs import Task
from app.web.urls import Urls
from app.web.view import charts, copies, glossary, judgements, numbers, reproduction
from app.web.view.assets import Asset
from app.web.view.chips import bars, chip_row, chips, entry_row, measured, plain_chips, word_row


class Picture(NamedTuple):
    """The template of a kind of page, and what of it htmx gets alone."""

    whole: str
    fragment: str | None = None
    """A fragment that the page includes; None: the page without the frame around it."""
    parts: Mapping[str, str] = {}
    """Id of an element -> the fragment that it alone is."""


DISTANCES = (0, 1, 2, 4, 8, 16, 64, 256, 1024)

PICTURES: dict[type, Picture] = {
    HomePage: Picture("home.html"),
    ModelPage: Picture("model.html", parts={"written": "_fragments/written.html"}),
    LayerPage: Picture("layer.html"),
    HeadPage: Picture("head.html"),
    FullPage: Picture("full.html"),
    MatrixPage: Picture("matrix.html"),
    DirectionPage: Picture("direction.html", parts={"rotation": "_fragments/rotation.html"}),
    FitPage: Picture("fit.html"),
    AroundPage: Picture("around.html", parts={"around": "_fragments/around.html"}),
    TokenPage: Picture("token.html", parts={"groups": "_fragments/token_groups.html"}),
    PairPage: Picture("pair.html"),
    AskedPairPage: Picture("pair_asked.html"),
    ComparePage: Picture("compare.html"),
    CensusPage: Picture("census.html"),
    NotablePage: Picture(
        "notable.html",
        "_fragments/notable.html",
        {"gallery": "_fragments/gallery.html", "examples": "_fragments/examples.html"},
    ),
    BlindPage: Picture("blind.html"),
    SearchPage: Picture("search.html", parts={"found": "_fragments/found.html"}),
    EveryPage: Picture("every.html"),
    CompositionPage: Picture("composition.html"),
    ContrastPage: Picture("contrast.html"),
    SuggestPage: Picture("suggest.html", "_fragments/suggested.html"),
    AlikePage: Picture("alike.html", "_fragments/alike.html"),
    JobsPage: Picture("jobs.html", "_fragments/jobs.html"),
    JobPage: Picture("job.html", "_fragments/job.html"),
}

PARTS = frozenset(part for picture in PICTURES.values() for part in picture.parts)
"""Ids of all elements that htmx may get alone."""


def environment(folder: Path, assets: dict[str, Asset], root: str) -> Environment:
    """The templates of the folder, with the globals and filters that they use."""
    made = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    versioned = {name: f"{root}/static/{name}?v={asset.version}" for name, asset in assets.items()}
    made.globals.update(
        static=versioned.__getitem__,
        glossary_url=Urls(root, "").glossary,
        trail=trail,
        charts=charts,
        copies=copies,
        glossary=glossary,
        judgements=judgements,
        walk=walk,
        address=Address,
        hop=Hop,
        ray_of=Ray,
        task=Task,
        kind_names=LABELS,
        better_p=BETTER,
        kept_tokens=DIRECTION_TOKENS,
        sorts=SORTS,
        frequent_values=FREQUENT,
        fitted={basis.name for basis in BASES.values() if basis.is_fitted},
    )
    made.filters.update(
        significant=numbers.significant,
        percent=numbers.percent,
        false_share=numbers.false_share,
        count=numbers.count,
        cell=numbers.cell,
        tiny=numbers.tiny,
        hundredths=hundredths,
        with_interval=with_interval,
        as_points=as_points,
        layers_of=layers_of,
        as_shares=as_shares,
        group_name=name_of,
        heat=numbers.heat,
        drawn_from=charts.drawn_from,
        percentile=numbers.percentile,
        at_most=numbers.at_most,
        chance=numbers.chance,
        degrees=copies.degrees,
        chips=chips,
        chip_row=chip_row,
        word_row=word_row,
        entry_row=entry_row,
        drawn_cells=charts.drawn_cells,
        zip=zip,
        bars=bars,
        measured=measured,
        plain_chips=plain_chips,
        marks=judgements.marks,
        dot=judgements.dot,
        standing=judgements.standing,
        compared=judgements.compared,
        outcome=judgements.outcome,
        odd=numbers.odd,
        signed=numbers.signed,
        selection_words=glossary.selection_words,
        by_circuit=by_circuit,
        distances=distances,
        thinned=charts.thinned,
        strip_rows=charts.strip,
        norm_words=norm_words,
        script_of=reproduction.script_of,
        needs_reading=reproduction.needs_reading,
        needs_writing=reproduction.needs_writing,
        norms_embedding=reproduction.norms_embedding,
        is_turned=reproduction.is_turned,
        why_not_reproduced=reproduction.why_not,
        bib=bib,
        moment=moment,
        duration=duration_words,
        rate=rate_words,
        indented=indented,
    )
    return made


def distances(farthest: int) -> list[int]:
    """The distances that a page offers as links.

    Example: distances(31) -> [0, 1, 2, 4, 8, 16]
    """
    return [distance for distance in DISTANCES if distance <= farthest]


def norm_words(model: Model) -> str:
    """Which norms stand where around a model's attention.

    Example: "RMSNorm before attention, of queries and keys"
    """
    kind = {"LN": "LayerNorm", "RMS": "RMSNorm"}[model.normalization]
    if model.encoder:
        return f"{kind} after attention, on the stream"
    places = {
        "before attention": model.reads_normed,
        "after attention": model.post_norm,
        "of queries and keys": model.qk_norm != "none",
    }
    return f"{kind} {', '.join(place for place, is_there in places.items() if is_there)}"


def by_circuit(scores: Sequence[str]) -> list[tuple[str, list[str]]]:
    """The scores of a map in groups: those of the whole head, of OV, of QK.

    Example: by_circuit(("copying", "ov-top", "qk-top")) -> [("", ["copying"]), ("OV", ["ov-top"]), ("QK", ["qk-top"])]
    """
    groups: dict[str, list[str]] = {}
    for key in scores:
        prefix = key.partition("-")[0]
        groups.setdefault(prefix.upper() if prefix in CIRCUITS else "", []).append(key)
    return list(groups.items())


def trail(address: Address) -> list[Address]:
    """The places on the way to an address, the model first and itself last; singular directions are the matrix's page.

    Example: trail(parse("gpt2/L5/H3")) -> [gpt2, gpt2/L5, gpt2/L5/H3]
    """
    places: list[Address] = []
    place: Address | None = address
    while place is not None:
        if place.depth != "decomposition" or place.basis != "svd":
            places.insert(0, place)
        place = place.parent
    return places


def bib(text: str) -> str:
    """The text as it can stand inside braces of a BibTeX field."""
    return "".join(f"\\{c}" if c in "&%$#_{}" else "" if c == "\\" else c for c in text)


def moment(seconds: float) -> str:
    """A time in seconds since 1970, as the clocks of all visitors can be set to it.

    Example: moment(1764772863.5) -> "2025-12-03 14:41:03 UTC"
    """
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def indented(value: object) -> str:
    """JSON for reading."""
    return json.dumps(value, indent=1, ensure_ascii=False)
