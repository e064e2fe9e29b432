"""The pages of a walk through a model: an address and options in, one frozen page out.

Each raises UnknownAddress, BadOption, NotReady, Busy or ComputationFailed. Knows no HTTP and imports no torch.
"""

from dataclasses import replace

import numpy as np

from app.core.address import CIRCUITS, Address, Circuit
from app.explorer.asking.places import here, neighbours
from app.explorer.asking.views import Options, seen, visited
from app.explorer.asking.walk import read_path
from app.explorer.errors import BadOption, NotReady
from app.explorer.inventory import SIDES, end_of, is_double
from app.explorer.layout import PREFIXES
from app.explorer.library import REPAIR, OpenModel
from app.explorer.pages.directions import ControlSpread, DirectionPage
from app.explorer.pages.gallery import UNSOUGHT, NotablePage, Sought
from app.explorer.pages.maps import HeadSummary, HomePage, LayerPage, ModelEntry, ModelPage, Ranked
from app.explorer.pages.matrices import FitPage, HeadPage, MatrixPage
from app.explorer.reading import coverage, gallery, verdicts
from app.explorer.reading.directions import directions
from app.explorer.reading.matrices import TABLE_TOKENS, direction_page, matrix_page
from app.explorer.reading.rates import rates
from app.explorer.resources import Resources
from app.explorer.view import View
from app.explorer.visits import fits, jobs, orders
from app.explorer.visits.maps import head_map
from app.explorer.visits.orders import fulfilled
from app.store.artifacts import Arrays, Artifact
from app.store.grounds import note_now

HEAD_ROWS, MATRIX_ROWS = 10, 16
"""Directions on one page of a table: a head's page has two tables."""
MOST_ROWS = 100_000
"""More than any head has: the whole table."""
DEFAULT_SCORE = "copying"


def home(r: Resources) -> HomePage:
    """Every model of this server, imported or on its way, and the gallery of one of them; nothing is computed for it."""
    note_now()  # of imports that go on
    galleries = (_some_gallery(r, opened) for slug in r.slugs if (opened := here(r, slug)))
    return HomePage(tuple(_entry(r, slug) for slug in r.slugs), next((each for each in galleries if each), None))


def _some_gallery(r: Resources, opened: OpenModel) -> NotablePage | None:
    """What is there of it, if a newcomer can read anything of that."""
    address = Address(opened.header.slug)
    shown = seen(opened, address, Options(), r.default_weights)
    held = [r.store.load(order.recipe) for order in orders.gallery(opened, shown.weights)]
    found = gallery.gallery(opened, address, shown, held, _rates_in(r, opened, shown)) if any(held) else None
    return found if found and found.examples else None


def model(
    r: Resources, address: Address, options: Options, score: str | None = None, ranked: Ranked = "first"
) -> ModelPage:
    """A model's facts and the map of its heads, coloured by the score."""
    opened, shown = _first_page(*visited(r, address, options))
    (artifact,) = fulfilled(r, orders.scores(opened, shown.weights))
    rays = _rays_of(r, opened, shown, is_wanted=score in gallery.SCORES)
    values = {name: artifact.arrays[name] for name in artifact.facts["scores"]} | gallery.shares(rays[:-1])
    chosen = score or DEFAULT_SCORE
    if chosen not in values:
        raise BadOption(f"score must be one of {', '.join(values)}.")
    notables = gallery.gallery(opened, address, shown, rays, _rates_in(r, opened, shown)) if any(rays) else None
    drawn = head_map(r, opened, address, shown, values, chosen)
    is_whole = all(rays) and all(cell.is_kept for row in drawn.rows for cell in row)
    return ModelPage(
        address,
        opened.header,
        shown,
        drawn,
        coverage.places(r, opened, shown.weights, address),
        notables,
        is_filling=not is_whole and jobs.is_live(r, opened.header.slug),
        ranked=ranked,
        is_only=len(r.slugs) == 1,
    )


def _first_page(opened: OpenModel, shown: View) -> tuple[OpenModel, View]:
    """Of what has no table: its links lead to tables that another page or text may not be in."""
    return opened, replace(shown, page=1, find="")


def _rays_of(r: Resources, opened: OpenModel, shown: View, *, is_wanted: bool) -> list[Artifact | None]:
    """The notable rays of each layer and of the model's ends that are there; if they are wanted, all of them or an error."""
    asked = orders.gallery(opened, shown.weights)
    if not is_wanted:
        return [r.store.load(order.recipe) for order in asked]
    return [*orders.in_line(r, asked)]


def notable(r: Resources, address: Address, options: Options, sought: Sought = UNSOUGHT) -> NotablePage:
    """The gallery of a model, of the layers that were read so far; what `orders.so_far` raises while none was.

    While a job reads them, nothing is put in line.
    """
    opened, shown = visited(r, address, options)
    asked, rated = orders.gallery(opened, shown.weights), _rates_in(r, opened, shown)
    held = [r.store.load(order.recipe) for order in asked]
    if not all(held) and not jobs.fills_gallery(r, opened, shown.weights):
        artifacts, failure = orders.so_far(r, asked)
        return gallery.gallery(opened, address, shown, artifacts, rated, failure, sought)
    if not any(held):  # what a job is at is not begun here a second time
        raise NotReady("A job reads every matrix, the last layers first; its most readable rays come with them.")
    return gallery.gallery(opened, address, shown, held, rated, sought=sought)


def _rates_in(r: Resources, opened: OpenModel, shown: View) -> gallery.RatesOf:
    return lambda matrix: rates(r, opened, shown.weights, matrix)


def layer(r: Resources, address: Address, options: Options) -> LayerPage:
    """A layer's heads in little."""
    opened, shown = _first_page(*visited(r, address, options))
    (artifact,) = fulfilled(r, orders.layer(opened, address, shown.weights))
    artifact = replace(artifact, arrays=_with_rates(r, opened, address, shown, artifact.arrays))
    heads = tuple(
        (
            _summary(opened, address.at_head(head), "ov", artifact),
            _summary(opened, address.at_head(head), "qk", artifact),
        )
        for head in range(opened.header.n_heads)
    )
    matrices = tuple(address.at(kind) for kind in opened.header.layer_kinds)
    return LayerPage(address, opened.header, shown, heads, matrices, *neighbours(opened.header, address))


def _with_rates(r: Resources, opened: OpenModel, address: Address, shown: View, arrays: Arrays) -> Arrays:
    """With the q of every ray of a layer's rows over its side of its matrix; nan where the matrix was not computed."""
    q = {side: np.full(arrays[f"{side}_p"].shape[:2], np.nan) for side in PREFIXES if f"{side}_p" in arrays}
    for row, (head, circuit) in enumerate(zip(arrays["head"].tolist(), arrays["circuit"].tolist(), strict=True)):
        known = rates(r, opened, shown.weights, address.at_head(head).at(CIRCUITS[circuit]))
        for side in q.keys() & known.keys():
            q[side][row] = known[side][arrays["index"][row]]
    return {**arrays, **{f"{side}_q": of_side for side, of_side in q.items()}}


def head(r: Resources, address: Address, options: Options) -> HeadPage:
    """A head: its OV and its QK, computed side by side where they are missing."""
    opened, shown = visited(r, address, options)
    matrices = [address.at(circuit) for circuit in CIRCUITS]
    views = [replace(shown, distance=0, still=()), shown]  # a distance turns QK alone
    asked = [orders.matrix(opened, each, view) for each, view in zip(matrices, views, strict=True)]
    artifacts = fulfilled(r, *asked)
    ov, qk = (
        matrix_page(opened, each, view, artifact, _rows(options, HEAD_ROWS), _tokens(options))
        for each, view, artifact in zip(matrices, views, artifacts, strict=True)
    )
    # One page number for both tables: the shorter one may be past its end, not both.
    _check_page(shown.page, max(ov.n_pages, qk.n_pages))
    return HeadPage(address, opened.header, shown, ov, qk, *neighbours(opened.header, address))


def matrix(r: Resources, address: Address, options: Options) -> MatrixPage | FitPage:
    """One matrix's table of directions in the basis of the address, or how to come by it where it is a fit."""
    opened, shown = visited(r, address, options)
    if absent := fits.absent(r, opened, address, shown):
        return absent
    artifact, _ = _artifacts(r, opened, address, shown)
    page = matrix_page(opened, address, shown, artifact, _rows(options, MATRIX_ROWS), _tokens(options))
    _check_page(shown.page, page.n_pages)
    return replace(page, tabs=fits.known(r, opened, address, shown))


def one_page(r: Resources, address: Address, options: Options) -> Address | None:
    """The page of the same matrix under another name; None for a matrix that has one name.

    As stored, the unembedding of a tied model is its embedding.
    """
    if address.kind != "unembed":
        return None
    opened, shown = visited(r, address, options)
    return replace(address, kind="embed") if is_double(opened.header, address, shown.weights) else None


def direction(r: Resources, address: Address, options: Options, path: str = "") -> DirectionPage | FitPage:
    """One direction: both rays, as many tokens as are kept; or how to come by the fit that it is of.

    `path`: how the visitor came here, which changes nothing.
    """
    opened, shown = visited(r, address, options)
    hops = read_path(opened, address, path)
    if absent := fits.absent(r, opened, address, shown):
        return absent
    artifact, turned = _artifacts(r, opened, address, shown)
    controls = _controls(r, opened, address, shown, artifact)
    page = direction_page(opened, address, shown, artifact, controls, _rotations(address, turned))
    return replace(page, tabs=fits.known(r, opened, address, shown), path=hops)


def _artifacts(r: Resources, opened: OpenModel, address: Address, shown: View) -> tuple[Artifact, Arrays]:
    """The matrix's, and arrays of random rotations of its span, which it is judged by, too, if the view wants that."""
    if not shown.rotated:
        (artifact,) = fulfilled(r, orders.matrix(opened, address, shown))
        return artifact, {}
    asked = (orders.matrix(opened, address, shown), orders.rotation(opened, address, shown))
    artifact, turned = fulfilled(r, *asked)
    return replace(artifact, arrays=verdicts.beside_rotations(artifact.arrays, turned.arrays)), turned.arrays


def _rotations(address: Address, turned: Arrays) -> tuple[ControlSpread | None, ControlSpread | None]:
    """How coherent random rotations of the sides of the matrix at the address are."""
    assert address.kind is not None
    left, right = (
        verdicts.spread(name, turned[f"{side}_coherence"]) if f"{side}_coherence" in turned else None
        for side, name in zip(PREFIXES, SIDES[address.kind], strict=True)
    )
    return left, right


def _controls(
    r: Resources, opened: OpenModel, address: Address, shown: View, artifact: Artifact
) -> tuple[ControlSpread | None, ControlSpread | None]:
    """What the sides of the matrix at the address were judged by."""
    assert address.kind is not None
    judged = {
        side: name for side, name in zip(PREFIXES, SIDES[address.kind], strict=True) if f"{side}_p" in artifact.arrays
    }
    asked = [orders.control(opened, end_of(opened, shown.weights, name), shown) for name in judged.values()]
    spreads = {
        side: verdicts.control_spread(name, control.arrays)
        for (side, name), control in zip(judged.items(), fulfilled(r, *asked), strict=True)
    }
    return spreads.get("left"), spreads.get("right")


def _rows(options: Options, usual: int) -> int:
    return MOST_ROWS if options.whole else usual


def _tokens(options: Options) -> int | None:
    """How many a file has at either end."""
    return options.tokens or TABLE_TOKENS if options.whole else None


def _entry(r: Resources, slug: str) -> ModelEntry:
    progress = r.imports.of(slug)
    if opened := here(r, slug):
        return ModelEntry(slug, "imported", opened.header, _kept_words(r, opened), 0, 0)
    if progress is None or progress.state == "done":
        return ModelEntry(slug, "failed", None, f"its files are missing or damaged. {REPAIR}", 0, 0)
    return ModelEntry(slug, progress.state, None, progress.message, progress.done, progress.total, progress.job)


def _kept_words(r: Resources, opened: OpenModel) -> str:
    heads = [is_kept for row in coverage.kept(r, opened, opened.shown_first(r.default_weights)) for is_kept in row]
    if all(heads):
        return "every head computed"
    return f"{100 * sum(heads) // len(heads)}% of its heads computed" if any(heads) else ""


def _summary(opened: OpenModel, head: Address, circuit: Circuit, artifact: Artifact) -> HeadSummary:
    assert head.head is not None
    c, arrays = CIRCUITS.index(circuit), artifact.arrays
    spectrum = arrays["spectra"][head.head, c]
    (rows,) = np.nonzero((arrays["head"] == head.head) & (arrays["circuit"] == c))
    matrix = head.at(circuit)
    return HeadSummary(
        address=matrix,
        singular_values=tuple(spectrum[spectrum > 0].tolist()),
        scores=tuple(artifact.facts["scores"][f"H{head.head}/{circuit}"].items()),
        strongest=directions(arrays, rows, matrix, SIDES[circuit], TABLE_TOKENS, opened.vocabulary),
    )


def _check_page(page: int, n_pages: int) -> None:
    if page > n_pages:
        raise BadOption(f"There is no page {page}: there are {n_pages}, counted from 1.")
