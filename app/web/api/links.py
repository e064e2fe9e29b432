"""The links in JSON answers: those of each kind of page to itself and to others, and those of the values on it."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from app.core.address import Address
from app.explorer.asking.walk import spell_path
from app.explorer.header import Model
from app.explorer.pages.blind import BlindPage
from app.explorer.pages.census import CensusPage
from app.explorer.pages.circuitry import AroundPage, PairPage, TokenPage
from app.explorer.pages.compare import ComparePage
from app.explorer.pages.composition import AlikePage, CompositionPage
from app.explorer.pages.contrast import ContrastPage
from app.explorer.pages.directions import DirectionPage
from app.explorer.pages.gallery import NotablePage
from app.explorer.pages.jobs import JobPage, JobsPage
from app.explorer.pages.maps import LayerPage, ModelEntry, ModelPage
from app.explorer.pages.matrices import FullPage, HeadPage, MatrixPage
from app.explorer.pages.search import EveryPage, FoundRay, SearchPage
from app.explorer.pages.shared import LinksJson
from app.explorer.pages.using.attention import PairsPage, WhyPage
from app.explorer.pages.using.changes import EditPage, SaraPage, SteerPage
from app.explorer.pages.using.experiments import ExperimentPage
from app.explorer.pages.using.lens import LensPage
from app.explorer.pages.using.prompts import CoursePage, PromptPage
from app.explorer.pages.using.streams import LinearPage, UnlikelyPage
from app.explorer.view import View
from app.web.urls.paths import (
    ALIKE,
    AROUND,
    BLIND,
    CENSUS,
    COMPARE,
    COMPOSITION,
    COURSE,
    EXPERIMENTS,
    FULL,
    LENS,
    LINEAR,
    PAIRS,
    PROMPTS,
    TOKEN,
    UNLIKELY,
    WHY,
)
from app.web.urls.spelling import format_direction
from app.web.urls.urls import Urls
from app.web.urls.using import ChangedPage

NOTHING: Mapping[str, object] = {}

LinkPair = tuple[str, str]
"""The page for people, and its JSON."""


class AnswerLinks:
    """Makes the links of page values, as `app.explorer.pages.serial` asks for them; KeyError for a value without."""

    def __init__(self, urls: Urls) -> None:
        self._urls = urls

    def links(self, page: Any) -> LinksJson:
        """Make the links from a page to others."""
        return _LINKS[type(page)](page, self._urls)

    def page(self, value: Any) -> str:
        """Make the link to the page for people."""
        return _OWN[type(value)](value, self._urls)[0]

    def json(self, value: Any) -> str:
        """Make the link to the JSON of the same."""
        return _OWN[type(value)](value, self._urls)[1]


def _link(
    urls: Urls,
    address: Address,
    model: Model,
    view: View,
    previous: Address | None = None,
    next_: Address | None = None,
    under: str = "",
    changes: Mapping[str, object] = NOTHING,
) -> LinksJson:
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


def _link_table(page: MatrixPage | HeadPage | LayerPage | DirectionPage, urls: Urls) -> LinksJson:
    return _link(urls, page.address, page.model, page.view, page.previous, page.next)


def _link_map(page: ModelPage, urls: Urls) -> LinksJson:
    score = None if page.map.score == page.map.scores[0] else page.map.score
    return _link(urls, page.address, page.model, page.view, changes={"score": score})


def _link_census(page: CensusPage, urls: Urls) -> LinksJson:
    return _link(urls, page.address, page.model, page.view, under=CENSUS)


def _link_blind(page: BlindPage, urls: Urls) -> LinksJson:
    asked = {"seed": page.seed, "answers": page.answers, "of": page.of}
    return _link(urls, page.address, page.model, page.view, under=BLIND, changes=asked)


def _link_composition(page: CompositionPage, urls: Urls) -> LinksJson:
    asked = urls.composition_values(page)
    return _link(urls, page.address, page.model, page.view, under=COMPOSITION, changes=asked)


def _link_full(page: FullPage, urls: Urls) -> LinksJson:
    return _link_heads(page, urls, FULL, token="" if page.token is None else page.token.spelling)


def _link_alike(page: AlikePage, urls: Urls) -> LinksJson:
    return _link_heads(page, urls, ALIKE)


def _link_heads(page: FullPage | AlikePage, urls: Urls, under: str, **changes: object) -> LinksJson:
    """Link a page of a head to the same page of the heads before and after, and up to the head itself."""

    def json_of(other: Address | None) -> str | None:
        return None if other is None else urls.api(other, page.view, under, **changes)

    links = _link(urls, page.address, page.model, page.view, under=under, changes=changes)
    links["up"] = urls.api(page.address, page.view)
    links["previous"], links["next"] = json_of(page.previous), json_of(page.next)
    return links


def _link_around(page: AroundPage, urls: Urls) -> LinksJson:
    return _link(urls, page.address, page.model, page.view, under=AROUND, changes={"path": spell_path(page.path)})


def _link_token(page: TokenPage, urls: Urls) -> LinksJson:
    return _link(urls, page.address, page.model, page.view, under=f"{TOKEN}/{page.id}")


def _link_prompt(page: PromptPage, urls: Urls) -> LinksJson:
    links = _link(
        urls, page.address, page.model, page.view, under=f"{PROMPTS}/{page.key}", changes=urls.prompt_values(page)
    )
    links["up"] = urls.api(page.address, page.view)
    return links


def _link_course(page: CoursePage, urls: Urls) -> LinksJson:
    model, under = Address(page.address.model, page.address.pin), f"{PROMPTS}/{page.key}/{COURSE}"
    links = _link(urls, model, page.model, page.view, under=under, changes=urls.course_values(page))
    links["up"] = urls.api(model, page.view, f"{PROMPTS}/{page.key}")
    return links


def _link_why(page: WhyPage, urls: Urls) -> LinksJson:
    under = f"{PROMPTS}/{page.key}"
    links = _link(urls, page.address, page.model, page.view, under=f"{under}/{WHY}", changes=urls.why_values(page))
    links["up"] = urls.api(page.address, page.view, under)
    return links


def _link_change(page: ChangedPage, urls: Urls) -> LinksJson:
    under, changes = urls.change_path(page), urls.change_values(page)
    links = _link(urls, page.address, page.model, page.view, under=under, changes=changes)
    links["up"] = urls.api(page.address, page.view, f"{PROMPTS}/{page.key}")
    return links


def _link_experiment(page: ExperimentPage, urls: Urls) -> LinksJson:
    return _link(urls, page.address, page.model, page.view, under=f"{EXPERIMENTS}/{page.key}")


def _link_lens(page: LensPage, urls: Urls) -> LinksJson:
    under = f"{PROMPTS}/{page.key}"
    links = _link(urls, page.address, page.model, page.view, under=f"{under}/{LENS}", changes=urls.lens_values(page))
    links["up"] = urls.api(page.address, page.view, under)
    return links


def _link_linear(page: LinearPage, urls: Urls) -> LinksJson:
    return _link(urls, page.address, page.model, page.view, under=LINEAR, changes=urls.linear_values(page))


def _link_unlikely(page: UnlikelyPage, urls: Urls) -> LinksJson:
    return _link(urls, page.address, page.model, page.view, under=UNLIKELY)


def _link_pairs(page: PairsPage, urls: Urls) -> LinksJson:
    model = Address(page.address.model, page.address.pin)
    said = {"of": format_direction(page.address), "distance": page.distance}
    links = _link(urls, model, page.model, replace(page.view, distance=0), under=PAIRS, changes=said)
    links["up"] = urls.api(page.address, page.view)
    return links


_LINKS: dict[type, Callable[[Any, Urls], LinksJson]] = {
    ModelPage: _link_map,
    CensusPage: _link_census,
    BlindPage: _link_blind,
    LayerPage: _link_table,
    HeadPage: _link_table,
    MatrixPage: _link_table,
    DirectionPage: _link_table,
    FullPage: _link_full,
    AlikePage: _link_alike,
    CompositionPage: _link_composition,
    AroundPage: _link_around,
    TokenPage: _link_token,
    PromptPage: _link_prompt,
    CoursePage: _link_course,
    WhyPage: _link_why,
    LensPage: _link_lens,
    EditPage: _link_change,
    SteerPage: _link_change,
    SaraPage: _link_change,
    ExperimentPage: _link_experiment,
    PairsPage: _link_pairs,
    LinearPage: _link_linear,
    UnlikelyPage: _link_unlikely,
}


def _pair_gallery(page: NotablePage, urls: Urls) -> LinkPair:
    asked = page.address, page.view, page.sought
    return urls.notable(*asked), urls.notable_api(*asked)


def _pair_comparison(page: ComparePage, urls: Urls) -> LinkPair:
    asked = urls.compare_values(page)
    return urls.compare(page.address, page.view, **asked), urls.api(page.address, page.view, COMPARE, **asked)


def _pair_contrast(page: ContrastPage, urls: Urls) -> LinkPair:
    own = urls.same_contrast(page)
    return own, urls.twin(own)


def _pair_heads(page: PairPage, urls: Urls) -> LinkPair:
    asked = page.a, page.b, page.part, page.view, page.path
    return urls.pair(*asked), urls.pair_api(*asked)


def _pair_search(page: SearchPage, urls: Urls) -> LinkPair:
    asked = page.address, page.view, page.inquiry
    return urls.search(*asked), urls.search_api(*asked)


def _pair_searches(page: EveryPage, urls: Urls) -> LinkPair:
    return urls.search_every(page.q), urls.search_every_api(page.q)


def _pair_found(ray: FoundRay, urls: Urls) -> LinkPair:
    return f"{urls.page(ray.address, ray.view)}#{ray.ray}", urls.api(ray.address, ray.view)


def _pair_model(entry: ModelEntry, urls: Urls) -> LinkPair:
    return urls.page(Address(entry.slug)), urls.api(Address(entry.slug))


def _pair_job(page: JobPage, urls: Urls) -> LinkPair:
    return urls.job(page.id), urls.job_api(page.id)


def _pair_jobs(page: JobsPage, urls: Urls) -> LinkPair:
    return urls.jobs(page.model, live=page.live), urls.jobs_api(page.model, live=page.live)


_OWN: dict[type, Callable[[Any, Urls], LinkPair]] = {
    NotablePage: _pair_gallery,
    ComparePage: _pair_comparison,
    ContrastPage: _pair_contrast,
    PairPage: _pair_heads,
    SearchPage: _pair_search,
    EveryPage: _pair_searches,
    FoundRay: _pair_found,
    ModelEntry: _pair_model,
    JobPage: _pair_job,
    JobsPage: _pair_jobs,
}
