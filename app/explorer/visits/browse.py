"""The visits to models, layers, heads, matrices and directions: an address and options in, one frozen page out.

Each raises UnknownAddress, BadOption, NotReady, Busy or ComputationFailed. Knows no HTTP and imports no torch.
"""

from dataclasses import replace

import numpy as np

from app.core.address import CIRCUITS, Address, Circuit
from app.explorer.asking.places import find_model, neighbours_of
from app.explorer.asking.views import Options, check_view, resolve_view
from app.explorer.asking.walk import read_path
from app.explorer.errors import BadOption, NotReady
from app.explorer.inventory import SIDES, end_of, is_double
from app.explorer.layout import SIDE_PREFIXES
from app.explorer.library import REPAIR, OpenModel
from app.explorer.pages.directions import ControlSpread, DirectionPage
from app.explorer.pages.gallery import UNSOUGHT, NotablePage, Sought
from app.explorer.pages.maps import HeadPair, HeadSummary, HomePage, LayerPage, ModelEntry, ModelPage, Ranked
from app.explorer.pages.matrices import FitPage, HeadPage, MatrixPage
from app.explorer.reading import coverage, gallery, verdicts
from app.explorer.reading.directions import read_directions
from app.explorer.reading.matrices import TABLE_TOKENS, make_direction_page, make_matrix_page
from app.explorer.reading.rates import read_rates
from app.explorer.reading.using import OVERUSE, read_direction_use, read_head_use, read_model_use, read_overuse
from app.explorer.resources import Resources
from app.explorer.view import View
from app.explorer.visits import fits, jobs, orders
from app.explorer.visits.maps import make_head_map
from app.explorer.visits.orders import fulfil
from app.explorer.visits.using.statistics import Statistics, load_statistics
from app.store.artifacts import Arrays, Artifact
from app.store.grounds import note_now

HEAD_ROWS, MATRIX_ROWS = 10, 16
"""Directions on one page of a table: a head's page has two tables."""
MOST_ROWS = 100_000
"""More rows than any table has: the whole table."""
DEFAULT_SCORE = "copying"


def visit_home(r: Resources) -> HomePage:
    """Make the front page: every model of this server and the gallery of one of them; computes nothing."""
    note_now()  # running imports change the page at any time
    galleries = (_load_readable_gallery(r, opened) for slug in r.slugs if (opened := find_model(r, slug)))
    return HomePage(tuple(_make_entry(r, slug) for slug in r.slugs), next((each for each in galleries if each), None))


def _load_readable_gallery(r: Resources, opened: OpenModel) -> NotablePage | None:
    """Make the gallery from the artifacts in the store; None unless it has examples that a newcomer can read."""
    address = Address(opened.header.slug)
    shown = check_view(opened, address, Options(), r.default_weights)
    held = [r.store.load(order.recipe) for order in orders.order_gallery(opened, shown.weights)]
    found = gallery.make_gallery(opened, address, shown, held, _rates_reader(r, opened, shown)) if any(held) else None
    return found if found and found.examples else None


def visit_model(
    r: Resources, address: Address, options: Options, score: str | None = None, ranked: Ranked = "first"
) -> ModelPage:
    """Make a model's page: its facts and the map of its heads, coloured by the score."""
    opened, shown = _reset_page(*resolve_view(r, address, options))
    (artifact,) = fulfil(r, orders.order_scores(opened, shown.weights))
    rays = _load_rays(r, opened, shown, is_wanted=score in gallery.SCORES)
    values = {name: artifact.arrays[name] for name in artifact.facts["scores"]} | gallery.readable_shares(rays[:-1])
    if used := load_statistics(r.store, opened, shown.weights):
        values[OVERUSE] = read_overuse(used.arrays)
    chosen = score or DEFAULT_SCORE
    if chosen == OVERUSE and not used:
        raise BadOption(
            f"{OVERUSE} needs what directions do on text, which is not known here: "
            f"singular-lens statistics {opened.header.slug} --weights {shown.weights} computes it."
        )
    if chosen not in values:
        raise BadOption(f"score must be one of {', '.join(values)}.")
    notables = (
        gallery.make_gallery(opened, address, shown, rays, _rates_reader(r, opened, shown)) if any(rays) else None
    )
    drawn = make_head_map(r, opened, address, shown, values, chosen)
    is_whole = all(rays) and all(cell.is_kept for row in drawn.rows for cell in row)
    return ModelPage(
        address,
        opened.header,
        shown,
        drawn,
        coverage.list_matrices(r, opened, shown.weights, address),
        notables,
        is_filling=not is_whole and jobs.has_live_job(r, opened.header.slug),
        ranked=ranked,
        is_only=len(r.slugs) == 1,
        use=read_model_use(used.arrays, used.text) if used else None,
    )


def _reset_page(opened: OpenModel, shown: View) -> tuple[OpenModel, View]:
    """Reset page number and text search: links of a page without a table lead to tables where they may not apply."""
    return opened, replace(shown, page=1, find="")


def _load_rays(r: Resources, opened: OpenModel, shown: View, *, is_wanted: bool) -> list[Artifact | None]:
    """Load the notable rays of each layer and of the ends, None for a missing one; if wanted, all or an error."""
    asked = orders.order_gallery(opened, shown.weights)
    if not is_wanted:
        return [r.store.load(order.recipe) for order in asked]
    return [*orders.fulfil_in_line(r, asked)]


def visit_gallery(r: Resources, address: Address, options: Options, sought: Sought = UNSOUGHT) -> NotablePage:
    """Make the gallery from the layers read so far; raises what `orders.fulfil_so_far` does while there are none.

    While a job reads them, nothing is queued.
    """
    opened, shown = resolve_view(r, address, options)
    asked, rated = orders.order_gallery(opened, shown.weights), _rates_reader(r, opened, shown)
    held = [r.store.load(order.recipe) for order in asked]
    if not all(held) and not (r.computes_for_visits and jobs.has_gallery_job(r, opened, shown.weights)):
        artifacts, failure = orders.fulfil_so_far(r, asked)
        return gallery.make_gallery(opened, address, shown, artifacts, rated, failure, sought)
    if not any(held):  # do not begin a second time what a job is doing
        raise NotReady("A job reads every matrix, the last layers first; its most readable rays come with them.")
    return gallery.make_gallery(opened, address, shown, held, rated, sought=sought)


def _rates_reader(r: Resources, opened: OpenModel, shown: View) -> gallery.RatesOf:
    return lambda matrix: read_rates(r, opened, shown.weights, matrix)


def visit_layer(r: Resources, address: Address, options: Options) -> LayerPage:
    """Make a layer's page: a summary of each of its heads."""
    opened, shown = _reset_page(*resolve_view(r, address, options))
    (artifact,) = fulfil(r, orders.order_layer(opened, address, shown.weights))
    artifact = replace(artifact, arrays=_add_rates(r, opened, address, shown, artifact.arrays))
    heads = tuple(
        HeadPair(
            ov=_make_summary(opened, address.at_head(head), "ov", artifact),
            qk=_make_summary(opened, address.at_head(head), "qk", artifact),
        )
        for head in range(opened.header.n_heads)
    )
    matrices = tuple(address.at(kind) for kind in opened.header.layer_kinds)
    return LayerPage(address, opened.header, shown, heads, matrices, *neighbours_of(opened.header, address))


def _add_rates(r: Resources, opened: OpenModel, address: Address, shown: View, arrays: Arrays) -> Arrays:
    """Add the q of every ray among those of its side of its matrix; nan where the matrix was not computed."""
    q = {side: np.full(arrays[f"{side}_p"].shape[:2], np.nan) for side in SIDE_PREFIXES if f"{side}_p" in arrays}
    for row, (head, circuit) in enumerate(zip(arrays["head"].tolist(), arrays["circuit"].tolist(), strict=True)):
        known = read_rates(r, opened, shown.weights, address.at_head(head).at(CIRCUITS[circuit]))
        for side in q.keys() & known.keys():
            q[side][row] = known[side][arrays["index"][row]]
    return {**arrays, **{f"{side}_q": of_side for side, of_side in q.items()}}


def visit_head(r: Resources, address: Address, options: Options) -> HeadPage:
    """Make a head's page: its OV and its QK, queued together where they are missing."""
    opened, shown = resolve_view(r, address, options)
    matrices = [address.at(circuit) for circuit in CIRCUITS]
    views = [replace(shown, distance=0, unrotated_layers=()), shown]  # a distance rotates QK alone
    asked = [orders.order_matrix(opened, each, view) for each, view in zip(matrices, views, strict=True)]
    artifacts = fulfil(r, *asked)
    ov, qk = (
        make_matrix_page(opened, each, view, artifact, _count_rows(options, HEAD_ROWS), _count_tokens(options))
        for each, view, artifact in zip(matrices, views, artifacts, strict=True)
    )
    # One page number serves both tables: the shorter one may be past its end, not both.
    _check_page(shown.page, max(ov.n_pages, qk.n_pages))
    ov, qk = (
        replace(page, tabs=fits.list_tabs_with_fits(r, opened, page.address, page.view))
        for page in (_add_use(r, opened, ov), qk)
    )
    return HeadPage(address, opened.header, shown, ov, qk, *neighbours_of(opened.header, address))


def visit_matrix(r: Resources, address: Address, options: Options) -> MatrixPage | FitPage:
    """Make a matrix's page in the basis of the address; the FitPage where it is a fit that is missing."""
    opened, shown = resolve_view(r, address, options)
    if absent := fits.missing_fit_page(r, opened, address, shown):
        return absent
    artifact, _ = _get_artifacts(r, opened, address, shown)
    page = make_matrix_page(opened, address, shown, artifact, _count_rows(options, MATRIX_ROWS), _count_tokens(options))
    _check_page(shown.page, page.n_pages)
    return replace(_add_use(r, opened, page), tabs=fits.list_tabs_with_fits(r, opened, address, shown))


def find_double(r: Resources, address: Address, options: Options) -> Address | None:
    """Return the address that stands for a matrix with two names; None for any other matrix.

    As stored, the unembedding of a tied model is its embedding.
    """
    if address.kind != "unembed":
        return None
    opened, shown = resolve_view(r, address, options)
    return replace(address, kind="embed") if is_double(opened.header, address, shown.weights) else None


def visit_direction(
    r: Resources, address: Address, options: Options, path: str = "", prompt: str = ""
) -> DirectionPage | FitPage:
    """Make a direction's page: both rays, all kept tokens; the FitPage where its fit is missing.

    `path`: the rays by which the visitor came here, `prompt`: the key of the prompt; they change nothing else.
    """
    opened, shown = resolve_view(r, address, options)
    hops = read_path(opened, address, path)
    if absent := fits.missing_fit_page(r, opened, address, shown):
        return absent
    artifact, turned = _get_artifacts(r, opened, address, shown)
    controls = _summarise_controls(r, opened, address, shown, artifact)
    page = make_direction_page(opened, address, shown, artifact, controls, _summarise_rotations(address, turned))
    used = _load_use(r, opened, address, shown)
    use = None if used is None else read_direction_use(used.arrays, used.text, address, opened.vocabulary)
    return replace(page, tabs=fits.list_tabs_with_fits(r, opened, address, shown), path=hops, use=use, prompt=prompt)


def _load_use(r: Resources, opened: OpenModel, address: Address, shown: View) -> Statistics | None:
    """Load what the model's directions do on text, for singular directions of a head's OV; None where it is not there."""
    is_told = address.circuit == "ov" and address.basis in {None, "svd"}
    return load_statistics(r.store, opened, shown.weights) if is_told else None


def _add_use(r: Resources, opened: OpenModel, page: MatrixPage) -> MatrixPage:
    """Add what the matrix does on text, where that is there."""
    used = _load_use(r, opened, page.address, page.view)
    if used is None:
        return page
    return replace(page, use=read_head_use(used.arrays, used.text, page.address, page.rank))


def _get_artifacts(r: Resources, opened: OpenModel, address: Address, shown: View) -> tuple[Artifact, Arrays]:
    """Get the matrix's artifact, and the arrays of random rotations of its span if the view asks for them."""
    if not shown.rotated:
        (artifact,) = fulfil(r, orders.order_matrix(opened, address, shown))
        return artifact, {}
    asked = (orders.order_matrix(opened, address, shown), orders.order_rotation(opened, address, shown))
    artifact, turned = fulfil(r, *asked)
    return replace(artifact, arrays=verdicts.add_rotation_p(artifact.arrays, turned.arrays)), turned.arrays


def _summarise_rotations(address: Address, turned: Arrays) -> tuple[ControlSpread | None, ControlSpread | None]:
    """Summarise the coherence of random rotations for both sides of the matrix."""
    assert address.kind is not None
    left, right = (
        verdicts.summarise_coherence(name, turned[f"{side}_coherence"]) if f"{side}_coherence" in turned else None
        for side, name in zip(SIDE_PREFIXES, SIDES[address.kind], strict=True)
    )
    return left, right


def _summarise_controls(
    r: Resources, opened: OpenModel, address: Address, shown: View, artifact: Artifact
) -> tuple[ControlSpread | None, ControlSpread | None]:
    """Summarise the controls that both sides of the matrix were judged by; None for a side that was not."""
    assert address.kind is not None
    judged = {
        side: name
        for side, name in zip(SIDE_PREFIXES, SIDES[address.kind], strict=True)
        if f"{side}_p" in artifact.arrays
    }
    asked = [orders.order_control(opened, end_of(opened, shown.weights, name), shown) for name in judged.values()]
    spreads = {
        side: verdicts.summarise_control(name, control.arrays)
        for (side, name), control in zip(judged.items(), fulfil(r, *asked), strict=True)
    }
    return spreads.get("left"), spreads.get("right")


def _count_rows(options: Options, usual: int) -> int:
    return MOST_ROWS if options.whole else usual


def _count_tokens(options: Options) -> int | None:
    """Return how many tokens a file has at either end; None for a page."""
    return options.tokens or TABLE_TOKENS if options.whole else None


def _make_entry(r: Resources, slug: str) -> ModelEntry:
    progress = r.imports.of(slug)
    if opened := find_model(r, slug):
        return ModelEntry(slug, "imported", opened.header, _describe_computed(r, opened), 0, 0)
    if progress is None or progress.state == "done":
        return ModelEntry(slug, "failed", None, f"its files are missing or damaged. {REPAIR}", 0, 0)
    return ModelEntry(slug, progress.state, None, progress.message, progress.done, progress.total, progress.job)


def _describe_computed(r: Resources, opened: OpenModel) -> str:
    heads = [
        is_kept
        for row in coverage.find_computed_heads(r, opened, opened.processing_shown_first(r.default_weights))
        for is_kept in row
    ]
    if all(heads):
        return "every head computed"
    return f"{100 * sum(heads) // len(heads)}% of its heads computed" if any(heads) else ""


def _make_summary(opened: OpenModel, head: Address, circuit: Circuit, artifact: Artifact) -> HeadSummary:
    assert head.head is not None
    c, arrays = CIRCUITS.index(circuit), artifact.arrays
    spectrum = arrays["spectra"][head.head, c]
    (rows,) = np.nonzero((arrays["head"] == head.head) & (arrays["circuit"] == c))
    matrix = head.at(circuit)
    return HeadSummary(
        address=matrix,
        singular_values=tuple(spectrum[spectrum > 0].tolist()),
        scores=tuple(artifact.facts["scores"][f"H{head.head}/{circuit}"].items()),
        strongest=read_directions(arrays, rows, matrix, SIDES[circuit], TABLE_TOKENS, opened.vocabulary),
    )


def _check_page(page: int, n_pages: int) -> None:
    if page > n_pages:
        raise BadOption(f"There is no page {page}: there are {n_pages}, counted from 1.")
