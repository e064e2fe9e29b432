"""The templates with their globals and filters: one page value in, HTML out.

Everything is escaped; no template marks anything safe. Knows no request.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

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
from app.explorer.pages.lists import ListPage
from app.explorer.pages.maps import HomePage, LayerPage, ModelPage
from app.explorer.pages.matrices import FitPage, FullPage, HeadPage, MatrixPage
from app.explorer.pages.search import EveryPage, SearchPage, SuggestPage
from app.explorer.pages.using.attention import PairsPage, SeenToken, WhyPage
from app.explorer.pages.using.changes import EditPage, FollowedToken, SaraFormPage, SaraPage, SteerPage
from app.explorer.pages.using.experiments import ExperimentFormPage, ExperimentPage
from app.explorer.pages.using.lens import LensCell, LensPage
from app.explorer.pages.using.prompts import CoursePage, CourseToken, PromptFormPage, PromptPage
from app.explorer.pages.using.streams import LinearPage, UnlikelyPage
from app.explorer.reading.census.estimates import as_points, as_shares, format_estimate, format_hundredths, name_layers
from app.explorer.reading.census.kinds import name_group
from app.explorer.reading.matrices import DIRECTION_TOKENS
from app.explorer.reading.verdicts import BETTER_P
from app.explorer.view import SORTS
from app.explorer.visits.jobs import format_duration, format_rate
from app.models.token_filter import FREQUENT
from app.store.jobs import Task
from app.web.urls.spelling import format_direction, format_head
from app.web.urls.urls import Urls
from app.web.view import charts, copies, glossary, judgements, numbers, reproduction
from app.web.view.assets import Asset
from app.web.view.chips import bar_rows, bars, chip_row, chips, entry_row, plain_chips, plain_text, word_row


class PageTemplate(NamedTuple):
    """The template of a kind of page, and its fragments for htmx."""

    whole: str
    fragment: str | None = None
    """The fragment for any other target; None: the page without the frame around it."""
    parts: Mapping[str, str] = {}
    """Id of an element -> the fragment of that element alone."""
    may_be_framed: bool = False
    """Other sites may show it in a frame: it asks nothing of a visitor."""


FULL_HEAT_Z = 6.0
"""Standard deviations from which on a token has the full colour."""
DEEPEST_PLACE = 4
"""The power of ten from which on a place in a lens has no colour."""
DISTANCES = (0, 1, 2, 4, 8, 16, 64, 256, 1024)

PAGE_TEMPLATES: dict[type, PageTemplate] = {
    HomePage: PageTemplate("home.html", may_be_framed=True),
    ModelPage: PageTemplate("model.html", parts={"written": "_fragments/written.html"}, may_be_framed=True),
    LayerPage: PageTemplate("layer.html", may_be_framed=True),
    HeadPage: PageTemplate("head.html", may_be_framed=True),
    FullPage: PageTemplate("full.html", may_be_framed=True),
    MatrixPage: PageTemplate("matrix.html", may_be_framed=True),
    DirectionPage: PageTemplate("direction.html", parts={"rotation": "_fragments/rotation.html"}, may_be_framed=True),
    FitPage: PageTemplate("fit.html"),
    AroundPage: PageTemplate("around.html", parts={"around": "_fragments/around.html"}, may_be_framed=True),
    TokenPage: PageTemplate("token.html", parts={"groups": "_fragments/token_groups.html"}, may_be_framed=True),
    PairPage: PageTemplate("pair.html", may_be_framed=True),
    AskedPairPage: PageTemplate("pair_asked.html"),
    ComparePage: PageTemplate("compare.html", may_be_framed=True),
    CensusPage: PageTemplate("census.html", may_be_framed=True),
    NotablePage: PageTemplate(
        "notable.html",
        "_fragments/notable.html",
        {"gallery": "_fragments/gallery.html", "examples": "_fragments/examples.html"},
        may_be_framed=True,
    ),
    BlindPage: PageTemplate("blind.html"),
    SearchPage: PageTemplate("search.html", parts={"found": "_fragments/found_typed.html"}, may_be_framed=True),
    EveryPage: PageTemplate("every.html"),
    CompositionPage: PageTemplate("composition.html", may_be_framed=True),
    ContrastPage: PageTemplate("contrast.html", may_be_framed=True),
    SuggestPage: PageTemplate("suggest.html", "_fragments/suggested.html"),
    AlikePage: PageTemplate("alike.html", "_fragments/alike.html", may_be_framed=True),
    PromptFormPage: PageTemplate("prompt_form.html"),
    PromptPage: PageTemplate("prompt.html", parts={"totals": "_fragments/totals.html"}),
    CoursePage: PageTemplate("prompt_direction.html"),
    WhyPage: PageTemplate("why.html"),
    LensPage: PageTemplate("lens.html"),
    EditPage: PageTemplate("edit.html"),
    SteerPage: PageTemplate("steer.html"),
    SaraPage: PageTemplate("sara.html"),
    SaraFormPage: PageTemplate("sara_form.html"),
    ExperimentFormPage: PageTemplate("experiment_form.html"),
    ExperimentPage: PageTemplate("experiment.html"),
    PairsPage: PageTemplate("pairs.html"),
    LinearPage: PageTemplate("linear.html", may_be_framed=True),
    UnlikelyPage: PageTemplate("unlikely.html", may_be_framed=True),
    ListPage: PageTemplate("list.html", may_be_framed=True),
    JobsPage: PageTemplate("jobs.html", "_fragments/jobs.html"),
    JobPage: PageTemplate("job.html", "_fragments/job.html"),
}

PARTS = frozenset(part for picture in PAGE_TEMPLATES.values() for part in picture.parts)
"""Ids of all elements that htmx may ask for alone."""


def make_environment(folder: Path, assets: dict[str, Asset], root: str) -> Environment:
    """Load the templates of a folder, with the globals and filters that they use."""
    made = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    versioned = {name: f"{root}/static/{name}?v={asset.version}" for name, asset in assets.items()}
    made.filters["median"] = median
    made.filters["literal"] = ascii  # the one way in which scripts write a value
    made.globals.update(
        static=versioned.__getitem__,
        glossary_url=Urls(root, "").glossary,
        trail=trail_of,
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
        better_p=BETTER_P,
        kept_tokens=DIRECTION_TOKENS,
        sorts=SORTS,
        frequent_values=FREQUENT,
        fitted={basis.name for basis in BASES.values() if basis.is_fitted},
    )
    made.filters |= {one.__name__: one for one in FILTERS}
    return made


def distances(farthest: int) -> list[int]:
    """List the distances that a page offers as links.

    Example: distances(31) -> [0, 1, 2, 4, 8, 16]
    """
    return [distance for distance in DISTANCES if distance <= farthest]


def describe_norms(model: Model) -> str:
    """Describe the norms around a model's attention.

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


def group_by_circuit(scores: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Group the scores of a map: those of the whole head, of OV, of QK.

    Example: group_by_circuit(("copying", "ov-top", "qk-top")) -> [("", ["copying"]), ("OV", ["ov-top"]),
    ("QK", ["qk-top"])]
    """
    groups: dict[str, list[str]] = {}
    for key in scores:
        prefix = key.partition("-")[0]
        groups.setdefault(prefix.upper() if prefix in CIRCUITS else "", []).append(key)
    return list(groups.items())


def trail_of(address: Address) -> list[Address]:
    """List the places on the way to an address, from the model to itself, without `svd`: that is the matrix's page.

    Example: trail_of(parse("gpt2/L5/H3")) -> [gpt2, gpt2/L5, gpt2/L5/H3]
    """
    places: list[Address] = []
    place: Address | None = address
    while place is not None:
        if place.depth != "decomposition" or place.basis != "svd":
            places.insert(0, place)
        place = place.parent
    return places


def escape_bib(text: str) -> str:
    """Escape a text for the braces of a BibTeX field."""
    return "".join(f"\\{c}" if c in "&%$#_{}" else "" if c == "\\" else c for c in text)


def format_moment(seconds: float) -> str:
    """Format a time in seconds since 1970, in UTC.

    Example: format_moment(1764772863.5) -> "2025-12-03 14:41:03 UTC"
    """
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def format_json(value: object) -> str:
    """Format a value as indented JSON."""
    return json.dumps(value, indent=1, ensure_ascii=False)


def format_day(seconds: float) -> str:
    """Format the day of a time in seconds since 1970, in UTC.

    Example: format_day(1764772863.5) -> "2025-12-03"
    """
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")


def course_heat(token: CourseToken, most: float) -> str:
    """Choose the class of the colour of a direction's token: by z where that is known, else beside the largest value.

    Example: course_heat(token_of_z_3, 0.5) -> "p5"; the first position has none.
    """
    if token.position == 0:
        return ""
    scale = token.attended / most if token.z is None and most else (token.z or 0.0) / FULL_HEAT_Z
    return numbers.heat(max(-1.0, min(1.0, scale)), -1.0, 1.0)


def seen_heat(token: SeenToken, most: float) -> str:
    """Choose the class of the colour of a token by a head's attention to it, beside the largest; none at the start.

    Example: seen_heat(token_of_attention_half, 0.5) -> "p10"; seen_heat(masked, 0.5) -> ""
    """
    return numbers.heat(token.attention, 0.0, most) if token.position and token.attention is not None and most else ""


def change_heat(token: FollowedToken, most: float) -> str:
    """Choose the class of the colour of a token by how much a change matters behind it, beside where it matters most.

    Example: change_heat(token_of_half_as_much, 0.5) -> "p5"; "" where it matters nowhere
    """
    return numbers.heat(token.divergence, 0.0, most) if most else ""


def lens_heat(cell: LensCell) -> str:
    """Choose the class of the colour of a lens's cell, by the place of the token that is likeliest in the end.

    Example: lens_heat(cell_of_rank_1) -> "p10"; of place 100 "p5", from 10,000 on ""
    """
    return numbers.heat(1 - math.log10(cell.rank) / DEEPEST_PLACE, 0.0, 1.0) if cell.rank < 10**DEEPEST_PLACE else ""


FILTERS: tuple[Callable[..., Any], ...] = (
    numbers.four_digits,
    numbers.percent,
    numbers.false_share,
    numbers.count,
    numbers.cell,
    numbers.nats,
    numbers.small_share,
    numbers.factor,
    numbers.as_factor,
    numbers.power_of_ten,
    format_hundredths,
    format_estimate,
    as_points,
    name_layers,
    as_shares,
    name_group,
    numbers.heat,
    charts.score_class,
    numbers.percentile,
    numbers.upper_bound,
    numbers.chance,
    copies.degrees,
    chips,
    chip_row,
    word_row,
    entry_row,
    charts.draw_cells,
    zip,
    bars,
    bar_rows,
    plain_chips,
    plain_text,
    judgements.marks,
    judgements.dot,
    judgements.count_standing_out,
    judgements.describe_p,
    judgements.describe_outcome,
    judgements.word_ratio,
    judgements.name_text,
    numbers.short_decimal,
    numbers.signed_decimal,
    numbers.scored,
    glossary.describe_token_filter,
    group_by_circuit,
    distances,
    charts.thin_values,
    charts.draw_strips,
    describe_norms,
    reproduction.script_of,
    reproduction.needs_reading,
    reproduction.needs_writing,
    reproduction.needs_embedding_norm,
    reproduction.needs_rotation,
    reproduction.why_not_reproduced,
    escape_bib,
    format_moment,
    format_day,
    format_direction,
    format_head,
    course_heat,
    seen_heat,
    lens_heat,
    change_heat,
    numbers.signed_number,
    format_duration,
    format_rate,
    format_json,
)
"""The functions that templates call as filters, by their own names."""
