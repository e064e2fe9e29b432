"""Links of prompts, of what the model does on them, and of a model that is changed there."""

from dataclasses import dataclass, replace

from app.core.address import Address
from app.explorer.pages.directions import DirectionPage
from app.explorer.pages.using.attention import MadePair, PairsPage, WhyPage
from app.explorer.pages.using.changes import EditPage, SaraPage, SteerPage
from app.explorer.pages.using.experiments import ExperimentPage, Trial
from app.explorer.pages.using.lens import LensPage
from app.explorer.pages.using.prompts import CoursePage, PromptPage
from app.explorer.view import View
from app.web.urls.paths import (
    CONTINUATION,
    COURSE,
    EDIT,
    EXPERIMENTS,
    LENS,
    PAIRS,
    PROMPT,
    PROMPTS,
    SARA,
    SCRIPT,
    STEER,
    WHY,
)
from app.web.urls.places import PlaceUrls
from app.web.urls.spelling import format_direction, format_head, model_of

ChangedPage = EditPage | SteerPage | SaraPage
OfPromptPage = PromptPage | CoursePage | WhyPage | LensPage | EditPage | SteerPage | SaraPage
CONTINUED_BY = frozenset({"edit", "of", "layer", "c", "attract", "repel", "rule", "pull", "more", "seed"})
"""The options that decide how a changed prompt goes on."""
LONGEST_LINK = 2_000
"""Characters of the longest link that carries its prompt."""


@dataclass(frozen=True, slots=True)
class PromptUrls(PlaceUrls):
    """Links of prompts and experiments."""

    def prompt_form(self, address: Address, view: View | None = None, **changes: object) -> str:
        """Link the form that asks for a prompt, which a POST runs; with a `text`, the link runs it itself.

        Example: prompt_form(parse("gpt2"), view, of="L5H3.ov.0") -> "/gpt2/prompt?of=L5H3.ov.0"
        """
        return self.page(model_of(address), view, PROMPT, **changes)

    def prompt(self, page: PromptPage, **changes: object) -> str:
        """Link a prompt's page as it is shown, with changes; totals are always left out.

        Example: prompt(page, at=3) -> "/gpt2/p/0123456789abcdef?at=3"
        """
        return self.page(page.address, page.view, f"{PROMPTS}/{page.key}", **(self.prompt_values(page) | changes))

    def prompt_values(self, page: PromptPage) -> dict[str, object]:
        """Collect the query values of a prompt's page."""
        return {
            "at": None if page.at == len(page.tokens) - 1 else page.at,
            "token": page.token_named,
            "against": page.against_named,
            "show": page.show if page.show in {"writes", "neurons"} else None,
            "head": format_head(page.head) if page.head is not None and page.show == "head" else "",
            "all": "1" if page.is_whole else None,
        }

    def prompt_delete(self, page: OfPromptPage) -> str:
        """Link the POST that deletes a prompt."""
        return f"{self.root}/{model_of(page.address)}/{PROMPTS}/{page.key}/delete"

    def prompt_carried(self, page: OfPromptPage) -> str:
        """Make the absolute link of a prompt that holds the prompt itself; empty where that is too long."""
        carried = dict(page.carried.values)
        if isinstance(page, SaraPage):
            carried |= {"attract": page.attract.carried, "repel": page.repel.carried}
        link = self._prompt_pinned(page, carried)
        return link if len(link) <= LONGEST_LINK else ""

    def prompt_pinned(self, page: OfPromptPage) -> str:
        """Make the absolute link of a page of a prompt, in these very weights."""
        return self._prompt_pinned(page, {})

    def _prompt_pinned(self, page: OfPromptPage, carried: dict[str, object]) -> str:
        under = f"{PROMPTS}/{page.key}"
        if isinstance(page, CoursePage):
            under, said = f"{under}/{COURSE}", self.course_values(page)
        elif isinstance(page, WhyPage):
            under, said = f"{under}/{WHY}", self.why_values(page)
        elif isinstance(page, LensPage):
            under, said = f"{under}/{LENS}", self.lens_values(page)
        elif isinstance(page, EditPage | SteerPage | SaraPage):
            under, said = self.change_path(page), self.change_values(page)
        else:
            said = self.prompt_values(page)
        return self.pinned_url(model_of(page.address), page.model.pin, page.view, under, **(said | carried))

    def course(self, page: PromptPage | CoursePage | DirectionPage, direction: Address, **changes: object) -> str:
        """Link one direction on a prompt.

        Example: course(page, parse("gpt2/L5/H3/ov/svd/0")) -> "/gpt2/p/0123456789abcdef/direction?of=L5H3.ov.0"
        """
        said = {"of": format_direction(direction)} | changes
        key = page.prompt if isinstance(page, DirectionPage) else page.key
        return self.page(model_of(direction), page.view, f"{PROMPTS}/{key}/{COURSE}", **said)

    def course_values(self, page: CoursePage) -> dict[str, object]:
        """Collect the query values of the page of one direction on a prompt."""
        return {"of": format_direction(page.address), "at": page.at}

    def why(self, page: OfPromptPage, head: Address, **changes: object) -> str:
        """Link why a head looks from one position of a prompt at another, in folded weights; `source`: the position looked at.

        Example: why(page, parse("gpt2/L5/H3"), to=7) -> "/gpt2/p/0123456789abcdef/why?head=L5H3&to=7"
        """
        said = self.why_values(page) if isinstance(page, WhyPage) else {}
        said |= {"head": format_head(head)} | {
            "from" if name == "source" else name: value for name, value in changes.items()
        }
        return self.page(model_of(head), replace(page.view, weights="folded"), f"{PROMPTS}/{page.key}/{WHY}", **said)

    def why_values(self, page: WhyPage) -> dict[str, object]:
        """Collect the query values of the page of why a head looks somewhere."""
        return {
            "head": format_head(page.head),
            "to": page.to,
            "from": page.source,
            "by": None if page.split == "pair" else page.split,
        }

    def pairs_of(self, direction: Address, view: View, **changes: object) -> str:
        """Link the pairs of example prompts that a direction of QK makes.

        Example: pairs_of(parse("gpt2/L5/H3/qk/svd/12"), view) -> "/gpt2/pairs?of=L5H3.qk.12"
        """
        said = {"of": format_direction(direction), "distance": view.distance} | changes
        return self.page(model_of(direction), replace(view, distance=0), PAIRS, **said)

    def why_of_pair(self, page: PairsPage, pair: MadePair) -> str:
        """Link why a head looks as it does in a pair of an example prompt; the link holds the prompt.

        Example: "/gpt2/p/0123456789abcdef/why?head=L5H3&to=7&from=2&text=When+Mary"
        """
        said: dict[str, object] = {"head": format_direction(page.address).partition(".")[0], "to": pair.to.position}
        said |= {"from": pair.source.position, "text": pair.text}
        return self.page(model_of(page.address), replace(page.view, distance=0), f"{PROMPTS}/{pair.key}/{WHY}", **said)

    def lens(self, page: OfPromptPage, **changes: object) -> str:
        """Link what the stream says at every layer of a prompt.

        Example: lens(page, at=7) -> "/gpt2/p/0123456789abcdef/lens?at=7"
        """
        said = self.lens_values(page) if isinstance(page, LensPage) else {}
        return self.page(model_of(page.address), page.view, f"{PROMPTS}/{page.key}/{LENS}", **(said | changes))

    def lens_values(self, page: LensPage) -> dict[str, object]:
        """Collect the query values of the page of what the stream says."""
        return {
            "at": None if page.at == len(page.tokens) - 1 else page.at,
            "raw": "1" if page.is_raw else None,
            "basis": page.basis,
        }

    def edit(self, page: OfPromptPage, **changes: object) -> str:
        """Link a prompt where heads are edited.

        Example: edit(page, edit="L27H8.ov.4:-1") -> "/gpt2/p/0123456789abcdef/edit?edit=L27H8.ov.4:-1"
        """
        said = self.edit_values(page) if isinstance(page, EditPage) else {}
        return self.page(model_of(page.address), page.view, f"{PROMPTS}/{page.key}/{EDIT}", **(said | changes))

    def edit_values(self, page: EditPage) -> dict[str, object]:
        """Collect the query values of the page of a prompt where heads are edited."""
        return {"edit": page.edit_named, **_change_values(page), "curve": "1" if page.has_curve else None}

    def steer(self, page: OfPromptPage, **changes: object) -> str:
        """Link a prompt where the stream is pushed along a direction.

        Example: steer(page, of="L27H8.ov.4p", c=0.4) -> "/gpt2/p/0123456789abcdef/steer?of=L27H8.ov.4p&c=0.4"
        """
        said = self.steer_values(page) if isinstance(page, SteerPage) else {}
        return self.page(model_of(page.address), page.view, f"{PROMPTS}/{page.key}/{STEER}", **(said | changes))

    def steer_values(self, page: SteerPage) -> dict[str, object]:
        """Collect the query values of the page of a prompt where the stream is pushed."""
        return {"of": page.steer_named, "layer": page.layer, "c": f"{page.amount:g}", **_change_values(page)}

    def sara_form(self, address: Address, view: View | None = None) -> str:
        """Link the form that asks for a prompt, one that attracts and one that repels, which a POST runs."""
        return self.page(model_of(address), view, SARA)

    def sara(self, page: SaraPage, **changes: object) -> str:
        """Link a prompt whose stream is drawn to one prompt and away from another.

        Example: sara(page, layer=12) -> "/gpt2/p/0123456789abcdef/sara?attract=…&repel=…&layer=12"
        """
        under = f"{PROMPTS}/{page.key}/{SARA}"
        return self.page(model_of(page.address), page.view, under, **(self.sara_values(page) | changes))

    def sara_values(self, page: SaraPage) -> dict[str, object]:
        """Collect the query values of such a page."""
        return {
            "attract": page.attract.key,
            "repel": page.repel.key,
            "layer": page.layer,
            "rule": page.rule,
            "pull": page.amount,
            "token": page.favoured_named,
            "against": page.against_named,
            **_change_values(page),
            "study": None if page.study is None else "1",
        }

    def change(self, page: ChangedPage, **changes: object) -> str:
        """Link the same change of a prompt's model, with changes of what is asked of it."""
        if isinstance(page, SaraPage):
            return self.sara(page, **changes)
        return self.edit(page, **changes) if isinstance(page, EditPage) else self.steer(page, **changes)

    def change_values(self, page: ChangedPage) -> dict[str, object]:
        """Collect the query values of such a page."""
        if isinstance(page, SaraPage):
            return self.sara_values(page)
        return self.edit_values(page) if isinstance(page, EditPage) else self.steer_values(page)

    def change_path(self, page: ChangedPage) -> str:
        """Spell the path of such a page below its model."""
        last = SARA if isinstance(page, SaraPage) else EDIT if isinstance(page, EditPage) else STEER
        return f"{PROMPTS}/{page.key}/{last}"

    def continuation(self, page: ChangedPage) -> str:
        """Link the stream of how a changed prompt goes on."""
        under = f"{self.change_path(page)}/{CONTINUATION}"
        said = {name: value for name, value in self.change_values(page).items() if name in CONTINUED_BY}
        return self.page(model_of(page.address), page.view, under, **said)

    def change_script(self, page: ChangedPage) -> str:
        """Link the Python that repeats the change of a prompt's page."""
        told = {"more": None, "seed": None, "curve": None, "study": None}
        under = f"{self.change_path(page)}/{SCRIPT}"
        return self.page(model_of(page.address), page.view, under, **(self.change_values(page) | told))

    def experiment_form(self, address: Address, view: View | None = None, **changes: object) -> str:
        """Link the form that asks for an experiment, which a POST runs.

        Example: experiment_form(parse("gpt2"), view, edit="L5H3.ov.0:-1") -> "/gpt2/x?edit=L5H3.ov.0:-1"
        """
        return self.page(model_of(address), view, EXPERIMENTS, **changes)

    def experiment(self, page: ExperimentPage, **changes: object) -> str:
        """Link an experiment."""
        return self.page(page.address, None, f"{EXPERIMENTS}/{page.key}", **changes)

    def experiment_pinned(self, page: ExperimentPage) -> str:
        """Make the absolute link of an experiment, in these very weights."""
        return f"{self.origin}/{page.address.with_pin(page.model.pin)}/{EXPERIMENTS}/{page.key}"

    def trial(self, page: ExperimentPage, trial: Trial) -> str:
        """Link one prompt of an experiment, changed in the same way."""
        last = EDIT if "edit" in page.change else STEER if "of" in page.change else SARA
        said: dict[str, object] = {**page.change, "random": page.draws}
        return self.page(page.address, page.view, f"{PROMPTS}/{trial.key}/{last}", **said)


def _change_values(page: ChangedPage) -> dict[str, object]:
    """Collect the query values that pages of any change have."""
    return {
        "at": None if page.at == len(page.tokens) - 1 else page.at,
        "tokens": page.named_tokens,
        "random": page.draws,
        "more": page.more,
        "seed": page.seed,
    }
