"""The visit to what a model's stream says at every layer of a prompt. Knows no HTTP and imports no torch."""

from dataclasses import dataclass, replace

from app.core.address import Address
from app.core.basis import BASES
from app.explorer import recipes
from app.explorer.asking import tasks
from app.explorer.asking.prompts import PromptWish, check_position
from app.explorer.asking.views import Options, choose_parameters
from app.explorer.errors import BadOption
from app.explorer.library import OpenModel
from app.explorer.pages.using.lens import LensBasis, LensPage, SpanShare
from app.explorer.reading import lens as reading
from app.explorer.resources import Resources
from app.explorer.view import Choice, View
from app.explorer.visits import fits, jobs, orders
from app.explorer.visits.using.prompts import NO_WISH, carry_prompt, find_prompt, fulfil_live
from app.explorer.visits.using.statistics import find_streams
from app.store.artifacts import Recipe
from app.store.prompts import KEPT_SECONDS


@dataclass(frozen=True, slots=True)
class LensInquiry:
    """What a visitor asks of the stream on a prompt."""

    at: int | None = None
    """The position; None: the last."""
    raw: bool = False
    """Read the stream as it is, without what its mean still lacks."""
    basis: LensBasis | None = None
    """The basis of the embedding that the stream is measured in."""
    again: PromptWish = NO_WISH
    """The prompt that the link holds, to be run where it is not here."""


def visit_lens(r: Resources, address: Address, options: Options, key: str, inquiry: LensInquiry) -> LensPage:
    """Make the page of what the stream says at every layer of a prompt."""
    model, shown, prompt = find_prompt(r, address, options, key, inquiry.again)
    at = check_position(len(prompt.ids), inquiry.at)
    streams = find_streams(r.store, model)
    shifted = streams is not None and not inquiry.raw
    recipe = recipes.lens(model, key, None if streams is None else streams.recipe, shifted=shifted)
    arrays = fulfil_live(r, model, recipe, f"{model.header.slug} is running the prompt.").arrays
    return LensPage(
        Address(address.model, address.pin),
        model.header,
        shown,
        key=key,
        text=prompt.text,
        tokens=reading.read_placed_tokens(prompt.ids, model.vocabulary),
        at=at,
        ends=reading.read_ends(arrays, model.vocabulary),
        points=reading.read_points(arrays, at, model.vocabulary),
        is_shifted=shifted,
        constant=None if streams is None else reading.mean_behind_first(arrays["constant"]),
        constant_here=None if streams is None else float(arrays["constant"][at]),
        embedding=float(arrays["embedding"][at]),
        basis=inquiry.basis,
        spans=()
        if inquiry.basis is None
        else _measure_spans(r, model, shown, key, inquiry.basis, None if streams is None else streams.recipe, shifted),
        statistics=None if streams is None else streams.name,
        reference=None if streams is None else streams.text,
        n_reference=0 if streams is None else streams.n_tokens,
        kept_until=prompt.made + KEPT_SECONDS,
        carried=carry_prompt(r, model, prompt),
        is_raw=inquiry.raw,
    )


def _measure_spans(
    r: Resources, model: OpenModel, shown: View, key: str, basis: LensBasis, streams: Recipe | None, shifted: bool
) -> tuple[SpanShare, ...]:
    """Measure how much of the stream lies in the first terms of a basis, whose vectors are computed first."""
    embed = Address(model.header.slug).at("embed").in_basis(basis)
    fit = _choose_fit(r, model, embed, shown)
    of_basis = replace(shown, basis=basis, parameters=fit)
    if not BASES[basis].is_fitted:
        orders.fulfil(r, orders.order_vectors(model, embed, of_basis))
    values = fits.parameter_values(fit)
    recipe = recipes.spans(model, key, shown.weights, basis, values, streams, shifted=shifted)
    title = f"{model.header.slug} is running the prompt."
    return reading.read_spans(fulfil_live(r, model, recipe, title).arrays)


def _choose_fit(r: Resources, model: OpenModel, embed: Address, shown: View) -> tuple[Choice, ...]:
    """Choose the parameters of the basis: the usual ones, or those of a fit that is here; BadOption where none is."""
    usual = choose_parameters(model, embed, {})
    if not BASES[embed.basis or "svd"].is_fitted:
        return usual
    there = fits.computed_fits(r, model, embed, shown)
    if not there:
        wish = tasks.wish_of_view(model, embed, replace(shown, basis=embed.basis or "svd", parameters=usual))
        raise BadOption(
            f"basis={embed.basis} is a fit that is not computed here: {jobs.command_of(wish)} computes it. The others need "
            "none."
        )
    return usual if usual in there else there[0]
