"""The visits to the streams of the reference text: the linear map between two of them, and unlikely tokens in them.

What is not there is told with the command, or the job, that computes it. Knows no HTTP and imports no torch.
"""

from dataclasses import replace

from app.core.address import Address
from app.core.judging.bootstrap import Estimate
from app.explorer import recipes
from app.explorer.asking.prompts import require_live
from app.explorer.asking.streams import check_streams, find_fit, find_text, spell_map
from app.explorer.asking.tasks import Wish
from app.explorer.asking.views import Options, resolve_view
from app.explorer.errors import BadOption, NotBuilt
from app.explorer.layout import LINEAR_BASES, LINEAR_WORD, UNLIKELY_WORD, LinearBasis, list_middle
from app.explorer.library import OpenModel
from app.explorer.pages.search import Unbuilt
from app.explorer.pages.using.statistics import ReferenceText
from app.explorer.pages.using.streams import LinearPage, UnlikelyPage, Unmade
from app.explorer.reading import streams as reading
from app.explorer.recipes import number_in, parameters_of
from app.explorer.resources import Resources
from app.explorer.view import View
from app.explorer.visits.jobs import command_of, describe_unbuilt, find_last_job
from app.explorer.visits.using.statistics import load_statistics, name_statistics
from app.store.artifacts import Recipe
from app.store.jobs import Task

NOTHING = Estimate(0.0, None, 0)


def visit_linear(
    r: Resources, address: Address, options: Options, start: int | None, end: int | None, basis: str = "pca"
) -> LinearPage:
    """Make the page of the linear map between two streams; where it was not computed, the page says so.

    None for a stream: the first, or the last. BadOption naming the streams or the bases; NotBuilt for the atoms of a
    missing NMF.
    """
    model, shown = resolve_view(r, address, options)
    require_live(model)
    first, last = check_streams(model, start, end)
    chosen: LinearBasis | None = next((each for each in LINEAR_BASES if each == basis), None)
    if chosen is None:
        raise BadOption(f"basis must be one of {', '.join(LINEAR_BASES)}: bases of the embedding and of the stream.")
    fit, text = find_fit(r.store, model, shown.weights), find_text(r.store, model, shown.weights)
    maps = {} if text is None else _find_maps(r, model, shown, text)
    empty = LinearPage(
        Address(address.model, address.pin),
        model.header,
        shown,
        start=first,
        end=last,
        basis=chosen,
        statistics="",
        text="own",
        n_positions=0,
        n_sinks=0,
        whole=NOTHING,
        unmoved=0.0,
        penalty=0.0,
        bases=(),
        scores=(),
        map=(),
        there=tuple(sorted(maps)),
        atoms_command="",
    )
    held = r.store.load(maps[first, last][0]) if (first, last) in maps else None
    if text is None or held is None:
        return replace(
            empty, unmade=_describe_unmade(r, model, shown, spell_map(first, last), has_text=text is not None)
        )
    arrays = held.arrays
    command = (
        ""
        if "score_nmf" in arrays
        else _name_atoms_command(model, shown, spell_map(first, last), has_fit=fit is not None)
    )
    if f"score_{chosen}" not in arrays:
        raise NotBuilt(f"This map was computed without the atoms of an NMF: {command} brings them.", command)
    return replace(
        empty,
        statistics=name_statistics(recipes.use(model, shown.weights, text)),
        text=_name_text(text),
        n_positions=int(arrays["positions"][0]),
        n_sinks=int(arrays["positions"][1]),
        whole=reading.read_estimate(arrays["whole"]),
        unmoved=float(arrays["unmoved"][0]),
        penalty=float(arrays["penalty"][0]),
        bases=reading.read_bases(arrays),
        scores=reading.read_scores(arrays, chosen),
        map=reading.read_map(arrays, chosen),
        atoms_command=command,
    )


def visit_unlikely(r: Resources, address: Address, options: Options) -> UnlikelyPage:
    """Make the page of unlikely tokens in streams; where it was not computed, the page says so."""
    model, shown = resolve_view(r, address, options)
    require_live(model)
    middle = list_middle(model.header.n_layers)
    empty = UnlikelyPage(
        Address(address.model, address.pin),
        model.header,
        shown,
        statistics="",
        text="own",
        n_positions=0,
        n_windows=0,
        n_tokens=0,
        random_share=0.0,
        middle=(middle[0], middle[-1]),
        verdict="unsettled",
        naive=NOTHING,
        control=NOTHING,
        without=NOTHING,
        streams=(),
        examples=(),
    )
    used, text = load_statistics(r.store, model, shown.weights), find_text(r.store, model, shown.weights)
    held = None if used is None or text is None else r.store.load(recipes.unlikely(model, shown.weights, text))
    if used is None or held is None:
        return replace(empty, unmade=_describe_unmade(r, model, shown, UNLIKELY_WORD, has_text=used is not None))
    naive, control, without = (reading.read_estimate(row) for row in held.arrays["middle"])
    streams = reading.read_unlikely(held.arrays)
    signed = [one.signed for one in streams if one.layer in middle]
    return replace(
        empty,
        statistics=used.name,
        text=used.text,
        n_positions=len(held.arrays["at"]),
        n_windows=len({*held.arrays["at"][:, 0].tolist()}),
        n_tokens=held.arrays["ids"].shape[1],
        random_share=held.arrays["ids"].shape[1] / model.manifest.d_model,
        verdict=reading.judge_unlikely(control, without, signed),
        naive=naive,
        control=control,
        without=without,
        streams=streams,
        examples=reading.read_examples(held.arrays, used.arrays["ids"], model.vocabulary),
    )


def _find_maps(r: Resources, model: OpenModel, shown: View, text: int) -> dict[tuple[int, int], list[Recipe]]:
    """Find the maps of that text that are stored by their streams, those with atoms first."""
    found: dict[tuple[int, int], list[Recipe]] = {}
    for recipe in r.store.recipes(model.fingerprint, LINEAR_WORD):
        streams, nmf = (number_in(recipe, "from"), number_in(recipe, "to")), parameters_of(recipe, "nmf", prefix="nmf-")
        if recipe == recipes.linear(model, shown.weights, *streams, text, nmf or None):
            found.setdefault(streams, []).insert(0 if nmf else len(found.get(streams, [])), recipe)
    return found


def _describe_unmade(r: Resources, model: OpenModel, shown: View, word: str, *, has_text: bool) -> Unmade:
    """Describe what is not computed, and the task that would compute it."""
    slug = model.header.slug
    if not has_text:
        weights = f" --weights {shown.weights}" if shown.weights != shown.default_weights else ""
        command = f"singular-lens statistics {slug}{weights}"
        why = f"There are no statistics of {slug} in {shown.weights} weights, whose text this is of: {command} computes them."
        return Unmade(describe_unbuilt(r, slug, NotBuilt(why, command)), None, None)
    wish = Wish(slug, model.fingerprint, Task((word,), (shown.weights,)))
    command = command_of(wish)
    missing: Unbuilt = describe_unbuilt(
        r, slug, NotBuilt(f"Not computed on this server: {command} computes it.", command)
    )
    return Unmade(missing, wish.task, find_last_job(r, wish, word))


def _name_atoms_command(model: OpenModel, shown: View, word: str, *, has_fit: bool) -> str:
    """Name the command that scores the atoms of an NMF, behind the one that computes it where that is missing."""
    slug = model.header.slug
    fit = command_of(Wish(slug, model.fingerprint, Task(("embed",), (shown.weights,), "nmf")))
    again = command_of(Wish(slug, model.fingerprint, Task((word,), (shown.weights,))))
    return again if has_fit else f"{fit} && {again}"


def _name_text(text: int) -> ReferenceText:
    return "given" if text else "own"
