"""The precomputation of a model's matrices: everything a task asks for that is not stored yet.

Singular directions of heads and of MLPs come a layer at a time, in batches that are read out together; meanwhile the
batch before is written, and on a GPU the next one is decomposed. A layer's weights are released when it is done, so
that memory does not grow with layers. If the run is interrupted, what it wrote is whole, and the next run goes on from
there. Knows neither pages nor terminals.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from itertools import groupby
from typing import Literal, NamedTuple, TypeVar, cast, get_args

from app.core.address import CIRCUITS, LAYER_KINDS, Address
from app.core.basis import BASES, STATISTICS
from app.explorer import bank, groups, recipes
from app.explorer.asking.streams import is_of_streams, list_recipes
from app.explorer.asking.tasks import list_vectors, target_matrices
from app.explorer.asking.using import fill_in_statistics
from app.explorer.errors import BadOption, ExplorerError
from app.explorer.inventory import end_of, most_terms, places_of
from app.explorer.layout import KEPT_TOKENS, USE_WORD, VECTORS_WORD, check_layout
from app.explorer.library import OpenModel, report_damage
from app.explorer.making.context import Arrays, ArraysAndFacts, Context
from app.explorer.making.finding.bank import bank_rows, sort_rows
from app.explorer.making.heads import HeadPart, head_score_arrays, map_artifact, prepare_parts, summarise_layer
from app.explorer.making.judging import controls
from app.explorer.making.make import MakerInputs, run_maker
from app.explorer.making.sides import read_together
from app.explorer.making.tables import Tables
from app.explorer.making.using import axes
from app.explorer.view import Processing
from app.jobs.layers import Batch, Layer, Layers, list_last_first
from app.jobs.singles import Single, claim_in_turn, claim_singles
from app.jobs.steps import JobStep
from app.models.memory import give_back
from app.store.artifacts import ArtifactStore, Recipe
from app.store.jobs import Task

MOST_UNWRITTEN = 2
"""Batches that may wait for the disk."""
TOKEN_BYTES, RAY_BYTES, OTHER_BYTES = 8, 300, 6_000
"""Bytes of an artifact for each stored token, for each vector's histogram and judgement, and besides."""
EVERY_HEAD = Task()
SPARE_FACTOR = 1.2
"""The factor for the artifacts of layers and model, and for the disk's own overhead."""

Value = TypeVar("Value")


class DiskRefuses(ExplorerError):
    """The disk refuses what was computed."""


def precompute(
    store: ArtifactStore,
    tables: Tables,
    model: OpenModel,
    task: Task = EVERY_HEAD,
    text: int = 0,
) -> Iterator[JobStep]:
    """Compute the missing artifacts of a task, yielding the progress; BadOption, ComputationFailed for damaged weights,
    DiskRefuses.

    `text`: the number of a text of the operator's, for statistics of use; 0: what the model writes.
    """
    for processing in task.processings:
        if processing not in model.header.processings:
            raise BadOption(f"{model.header.slug} has weights=raw only. {model.header.unfoldable}")
    run = _Run(store, tables, model, task, text)
    with report_damage(model.header.slug), ThreadPoolExecutor(1, "write") as writer:
        try:
            yield from run.steps(writer)
        finally:
            writer.shutdown(cancel_futures=True)
            run.layers.let_go()


def prepares_ahead(device: str) -> bool:
    """Return whether the next batch is decomposed while one is read out: on a CPU the two would only compete for cores."""
    from app.core.policy import takes_gpu_way

    return takes_gpu_way(device)


def estimate_bytes(store: ArtifactStore, model: OpenModel, task: Task) -> tuple[int, int]:
    """Estimate the bytes of the task's matrices, controls and bank, with some room to spare: those that count in the
    store's room, and those that are missing.
    """
    in_all = to_come = 0.0
    for recipe, size in _estimate_sizes(store, model, task):
        in_all += size * store.takes_room(recipe)
        to_come += size * (not store.exists(recipe))
    return int(in_all), int(to_come)


def _estimate_sizes(store: ArtifactStore, model: OpenModel, task: Task) -> Iterator[tuple[Recipe, float]]:
    """Estimate the bytes of every control, every matrix and every part of the bank."""
    for processing in task.processings:
        parameters = fill_in_statistics(store, model, task.basis, processing, dict(task.parameters))
        for recipe in _control_recipes(model, processing):
            yield recipe, controls.control_bytes(model)
        for place in target_matrices(model, task.matrices, task.basis, processing):
            yield (
                recipes.decomposition(model, place, processing, parameters),
                SPARE_FACTOR * _artifact_bytes(model, place, parameters),
            )
        if VECTORS_WORD in task.matrices:
            yield from list_vectors(model, processing)
        if bank.BANK_WORD in task.matrices:
            halved = {basis: bank.is_halved(model, processing, basis) for basis in get_args(bank.BankBasis)}
            for part in bank.parts_of(model, processing):
                yield part, bank.part_bytes(model, processing, part, halved=halved[cast("bank.BankBasis", part.basis)])


def _control_recipes(model: OpenModel, processing: Processing) -> list[Recipe]:
    ends = sorted({end_of(model, processing, side) for side in ("read", "write")})
    return [recipes.control(model, end, processing) for end in ends]


def _artifact_bytes(model: OpenModel, place: Address, parameters: Mapping[str, int]) -> int:
    """Estimate the bytes of an artifact."""
    tokens = min(KEPT_TOKENS, model.manifest.d_vocab)
    n_terms = most_terms(model.header, place, parameters)
    kept = 4 * model.header.d_model if BASES[place.basis or "svd"].is_fitted else 0
    curve = 4 * model.header.n_ctx if place.kind == "pos" else 0
    return n_terms * (2 * (2 * tokens * TOKEN_BYTES + RAY_BYTES) + kept + curve) + OTHER_BYTES


class _Run:
    """One run of a task, and its progress."""

    def __init__(
        self,
        store: ArtifactStore,
        tables: Tables,
        model: OpenModel,
        task: Task,
        text: int,
    ) -> None:
        self._store, self._tables, self._model, self._text = store, tables, model, text
        self._parameters = {
            processing: fill_in_statistics(store, model, task.basis, processing, dict(task.parameters))
            for processing in task.processings
        }
        self._is_svd = task.basis == "svd"
        self._circuits = tuple(circuit for circuit in CIRCUITS if self._is_svd and circuit in task.matrices)
        kinds = tuple(
            kind for kind in LAYER_KINDS if self._is_svd and kind in {*task.matrices} & {*model.header.layer_kinds}
        )
        self._has_use = self._is_svd and USE_WORD in task.matrices
        self._has_bank = self._is_svd and bank.BANK_WORD in task.matrices
        self._has_vectors = self._is_svd and VECTORS_WORD in task.matrices
        self._of_streams = [word for word in task.matrices if self._is_svd and is_of_streams(word)]
        others = (*self._circuits, *kinds, bank.BANK_WORD, VECTORS_WORD, USE_WORD, *self._of_streams)
        alone = [word for word in task.matrices if word not in others]
        self._singles = [
            (processing, place)
            for processing in task.processings
            for place in sorted(
                target_matrices(model, alone, task.basis, processing), key=lambda place: _turn_of(model, place)
            )
            if not self._is_svd or place.kind not in (*self._circuits, *kinds)
        ]
        self._axes: list[_HeadsOfLayer] = []
        if BASES[task.basis].is_of_text:
            self._axes, self._singles = _group_by_layer(self._singles), []
        needed = {*CIRCUITS, *model.header.layer_kinds, *groups.ends_of(model.header)}
        self._has_census = self._is_svd and needed <= set(task.matrices)
        self._contexts = {processing: Context(tables, model, processing, store) for processing in task.processings}
        contexts = self._contexts if self._circuits or kinds else {}
        self.layers = Layers(store, contexts, model, self._circuits, kinds, tables.device(), with_bank=self._has_bank)
        self._part = 0.0
        self._layers_done = self._matrices_done = self._matrices_found = 0
        self._compute_seconds = self._write_seconds = 0.0
        self._unwritten: deque[Future[None]] = deque()
        self._layers_and_ends = [
            (processing, layer) for processing in task.processings for layer in (*list_last_first(model), None)
        ]
        self._galleries_due = list(self._layers_and_ends)
        self._maps = {processing: _Map(context) for processing, context in self._contexts.items()}

    def steps(self, writer: ThreadPoolExecutor) -> Iterator[JobStep]:
        """Run the task, a batch at a time."""
        yield self._report_step("reading the weights")
        self._keep_found()
        # First, so that the layers that are stored can be searched already.
        yield from self._make_bank(of_tokens=True)
        for batch in self._prepare_batches():
            if batch is None:
                yield self._report_step("waiting for another process that is at the layers that are left")
                continue
            self._matrices_found += batch.n_found
            stage = f"L{batch.layer.index}, {batch.layer.context.processing}"
            yield self._report_step(stage)
            self._read_and_write(batch, writer)
            yield self._report_step(stage)
            yield from self._make_galleries(batch.layer.index + 1)  # whose last files are written by now
        self._await(0)
        for layer in list_last_first(self._model):
            yield from self._make_galleries(layer)
        if self._circuits == CIRCUITS:
            for processing, map_ in self._maps.items():
                yield self._report_step(f"the map, {processing}")
                self._write(self._time(map_.artifacts))
        give_back()  # the matrices of the model's ends are the largest
        for single in claim_singles(self._model, self._singles):
            if single is None:
                yield self._report_step("waiting for another process that is at the matrices that are left")
            else:
                yield from self._compute_matrix(*single)
                yield from self._make_galleries(single[1].layer)
        for _, layer in list(self._galleries_due):  # layers that another process had, or that were stored already
            yield from self._make_galleries(layer)
        give_back()
        yield from self._make_bank(of_tokens=False)
        yield from self._make_vectors()
        yield from self._make_use()
        yield from self._make_of_streams()
        yield from self._make_axes()
        # Last: matrices that are stored by now need not be decomposed for it.
        yield from self._make_census()
        yield self._report_step("done")

    def _keep_found(self) -> None:
        """Protect those artifacts of the task from visits that are not read if all of it is stored."""
        layers = range(self._model.manifest.n_layers) if self._circuits == CIRCUITS else ()
        for processing in self._contexts:
            found = _control_recipes(self._model, processing)
            found += [recipes.layer(self._model, layer, processing) for layer in layers]
            found += [recipes.scores(self._model, processing)] if layers else []
            for recipe in found:
                self._store.keep(recipe)

    def _make_galleries(self, layer: int | None) -> Iterator[JobStep]:
        """Make the gallery of the layer, or of the model's ends, once all of their matrices are stored, and only once."""
        for due in [due for due in self._galleries_due if due[1] == layer]:
            processing = due[0]
            if self._is_gallery_due(processing, layer):
                self._galleries_due.remove(due)
                recipe = recipes.gallery(self._model, layer, processing)
                yield from self._make_if_missing(recipe, f"gallery, {_layer_name(layer)}, {processing}")

    def _make_bank(self, *, of_tokens: bool) -> Iterator[JobStep]:
        """Make the parts of the bank: of tokens; or those not stored with their layer, then those made from all layers."""
        for processing in self._contexts if self._has_bank else ():
            parts = bank.parts_of(self._model, processing)
            wanted = [part for part in parts if (part.kind in {"words", "tokens"}) == of_tokens]
            of_layers = [part for part in wanted if part.kind == "bank" and part.basis == "svd"]
            # Parts made from the bank do not begin before other processes have finished their layers.
            for group in (of_layers, [part for part in wanted if part not in of_layers]):
                for part in claim_in_turn(self._model, group, recipes.layer_of):
                    if part is None:
                        yield self._report_step("waiting for another process that is at the bank")
                    elif self._store.locate(part) is None:
                        place = f"{parts.index(part) + 1} of {len(parts)}"
                        yield from self._make_and_store(part, f"bank, {_name_part(part)}, {processing}, {place}")
            give_back()

    def _make_vectors(self) -> Iterator[JobStep]:
        """Make the vectors of every matrix, if the task has them, a layer's one after the other."""
        for processing in self._contexts if self._has_vectors else ():
            wanted = [recipe for recipe, _ in list_vectors(self._model, processing)]
            for number, recipe in enumerate(wanted):
                yield from self._make_if_missing(recipe, f"vectors, {processing}, {number + 1} of {len(wanted)}")
            give_back()

    def _make_use(self) -> Iterator[JobStep]:
        """Make the statistics of what directions do on text, if the task has them."""
        for processing in self._contexts if self._has_use else ():
            wholes = recipes.use_wholes(self._model, processing, self._text)
            if all(self._store.read(whole) is not None for whole in wholes):
                continue
            parts = recipes.use_parts(self._model, processing, self._text)
            for number, part in enumerate(parts):
                stage = f"what directions do, {processing}, part {number + 1} of {len(parts)}"
                yield from self._make_if_missing(part, stage)
                give_back()
            for whole in wholes:
                yield from self._make_if_missing(whole, f"what directions do, {processing}, summed up")
            for part in parts:
                with suppress(OSError):  # they only take room
                    self._store.remove(part)
            give_back()

    def _make_of_streams(self) -> Iterator[JobStep]:
        """Make what the task has of the streams of the text that statistics of use are of."""
        for processing in self._contexts:
            for word in self._of_streams:
                for recipe in list_recipes(self._store, self._model, processing, word):
                    yield from self._make_if_missing(recipe, f"{word}, {processing}")
                    give_back()

    def _make_axes(self) -> Iterator[JobStep]:
        """Find the axes of what heads write on text, those of a layer together, and count how readable they are."""
        for heads in claim_in_turn(self._model, self._axes, lambda heads: heads.layer):
            if heads is None:
                yield self._report_step("waiting for another process that is at the layers that are left")
                continue
            stage = f"axes of L{heads.layer}, {heads.processing}"
            yield self._report_step(stage)
            wanted = {place: self._recipe_of_axes(heads.processing, place) for place in heads.places}
            missing = [place for place, recipe in wanted.items() if self._store.read(recipe) is None]
            self._matrices_found += len(heads.places) - len(missing)
            if missing:
                made = self._time(partial(self._read_axes, heads, missing))
                self._write([(wanted[place], each) for place, each in zip(missing, made, strict=True)])
                self._matrices_done += len(missing)
            if len(heads.places) == self._model.manifest.n_heads:
                number = self._parameters[heads.processing][STATISTICS.name]
                recipe = recipes.census_of_axes(self._model, heads.layer, heads.processing, number)
                yield from self._make_if_missing(recipe, stage)
            yield self._report_step(stage)
            give_back()

    def _recipe_of_axes(self, processing: Processing, place: Address) -> Recipe:
        return recipes.decomposition(self._model, place, processing, self._parameters[processing])

    def _read_axes(self, heads: "_HeadsOfLayer", places: Sequence[Address]) -> list[ArraysAndFacts]:
        context = self._contexts[heads.processing]
        outputs = axes.load_outputs(context, self._parameters[heads.processing][STATISTICS.name])
        return axes.read_axes(context, heads.layer, [place.head for place in places if place.head is not None], outputs)

    def _make_census(self) -> Iterator[JobStep]:
        """Make the census of every layer and of the model's ends, if the task has all matrices."""
        for processing, layer in self._layers_and_ends if self._has_census else ():
            recipe = recipes.census_part(self._model, layer, processing)
            yield from self._make_if_missing(recipe, f"census, {_layer_name(layer)}, {processing}")

    def _is_gallery_due(self, processing: Processing, layer: int | None) -> bool:
        """Return whether all matrices it needs are stored: decomposing others for it would be work that the progress
        does not count.
        """
        places = places_of(self._model.header, layer, processing) if self._is_svd else []
        decompositions = (recipes.decomposition(self._model, place, processing, {}) for place in places)
        return bool(places) and all(map(self._store.exists, decompositions))

    def _make_if_missing(self, recipe: Recipe, stage: str) -> Iterator[JobStep]:
        """Make the artifact of the recipe if it is not stored."""
        if self._store.read(recipe) is None:
            yield from self._make_and_store(recipe, stage)

    def _compute_matrix(self, processing: Processing, place: Address) -> Iterator[JobStep]:
        """Compute one matrix by itself, which may take minutes."""
        recipe = recipes.decomposition(self._model, place, processing, self._parameters[processing])
        stage = f"{place.label}, {processing}"
        if self._store.read(recipe) is not None:
            self._matrices_found += 1
        else:
            yield from self._make_and_store(recipe, stage)
            give_back()
            self._matrices_done += 1
        yield self._report_step(stage)

    def _make_and_store(self, recipe: Recipe, stage: str) -> Iterator[JobStep]:
        """Make the artifact of the recipe step by step, and store it."""
        steps = run_maker(recipe, MakerInputs(self._tables, self._model, self._store))
        try:
            while True:
                done, total = self._time(lambda: next(steps))
                self._part = done / max(total, 1) if recipe.kind == "decomposition" else 0.0
                yield self._report_step(stage)
        except StopIteration as end:
            self._write([(recipe, end.value)])
        finally:
            steps.close()
            self._part = 0.0

    def _prepare_batches(self) -> Iterator[Batch | None]:
        """Yield the batches that are to be read out; None while other processes have all layers that are left."""
        if not prepares_ahead(self._tables.device()):
            while (batch := self._time(self._next_batch)) != "done":
                yield batch
            return
        with ThreadPoolExecutor(1, "prepare") as preparer:
            coming = preparer.submit(self._next_batch)
            while (batch := self._time(coming.result)) != "done":
                coming = preparer.submit(self._next_batch)
                yield batch

    def _next_batch(self) -> Batch | Literal["done"] | None:
        try:
            return self.layers.next()
        except StopIteration:  # which a future would not hand on
            return "done"

    def _read_and_write(self, batch: Batch, writer: ThreadPoolExecutor) -> None:
        """Read the batch out and hand it to the writer; after its last batch, a layer is summarised and released."""
        layer, context = batch.layer, batch.layer.context
        parts = self._time(partial(_read_batch, batch))
        kept: list[tuple[Recipe, ArraysAndFacts]] = [
            (
                recipes.decomposition(self._model, whole.address, context.processing, {}),
                (whole.taken.arrays, whole.taken.facts),
            )
            for whole in batch.wholes
        ]
        if layer.is_banked:
            self._time(partial(_add_bank_rows, batch, parts))
        for part in parts:
            layer.add(part)
            recipe = recipes.matrix(self._model, layer.index, part.head, part.circuit, context.processing)
            kept.append((recipe, (part.arrays, part.facts)))
        if batch.is_last:
            kept += self._summarise(layer)
        if batch.is_last and layer.is_banked:
            rows, layer.rows = layer.rows, []
            kept.append((recipes.bank(self._model, layer.index, context.processing), (sort_rows(context, rows), {})))
        self._await(MOST_UNWRITTEN - 1)
        self._unwritten.append(writer.submit(self._write, kept, layer if batch.is_last else None))
        self._matrices_done += len(parts) + len(batch.wholes)
        self._layers_done += batch.is_last

    def _summarise(self, layer: Layer) -> list[tuple[Recipe, ArraysAndFacts]]:
        """Return the artifact of the layer's page, if it is missing, and add the layer to the model's map."""
        n_matrices = self._model.manifest.n_heads * len(self._circuits)
        if self._circuits != CIRCUITS or len(layer.parts) < n_matrices:
            return []
        layer.parts.sort(key=lambda part: (part.circuit != "ov", part.head))
        self._maps[layer.context.processing].add(layer.index, layer.parts)
        recipe = recipes.layer(self._model, layer.index, layer.context.processing)
        return [] if self._store.exists(recipe) else [(recipe, summarise_layer(self._model, layer.parts))]

    def _write(self, kept: Sequence[tuple[Recipe, ArraysAndFacts]], layer: Layer | None = None) -> None:
        started = time.perf_counter()
        try:
            for recipe, (arrays, facts) in kept:
                check_layout(recipe.kind, arrays)
                self._store.write(recipe, arrays, facts)
        except OSError as error:
            raise DiskRefuses(f"What was computed cannot be kept: {error.strerror or error}.") from error
        finally:
            self._write_seconds += time.perf_counter() - started
        if layer is not None:
            layer.let_go()  # not before its files are there: another process would compute them again

    def _await(self, most: int) -> None:
        """Wait until at most so many batches wait for the disk; DiskRefuses."""
        while len(self._unwritten) > most:
            self._unwritten.popleft().result()

    def _time(self, work: Callable[[], Value]) -> Value:
        started = time.perf_counter()
        try:
            return work()
        finally:
            self._compute_seconds += time.perf_counter() - started

    def _report_step(self, stage: str) -> JobStep:
        return JobStep(
            stage=stage,
            layers_done=self._layers_done,
            layers=self.layers.count,
            matrices_done=self._matrices_done,
            matrices_found=self._matrices_found,
            matrices=self.layers.count * self.layers.count_matrices()
            + len(self._singles)
            + sum(len(heads.places) for heads in self._axes),
            part=self._part,
            unsettled=self._tables.unsettled,
            rays=self._tables.rays,
            compute_seconds=self._compute_seconds,
            write_seconds=self._write_seconds,
        )


class _HeadsOfLayer(NamedTuple):
    """Heads of one layer whose axes are wanted."""

    processing: Processing
    layer: int
    places: tuple[Address, ...]


def _group_by_layer(singles: Sequence[Single]) -> list[_HeadsOfLayer]:
    """Group matrices of heads by layer; those of a layer stand together."""
    groups = groupby(singles, lambda single: (single[0], single[1].layer))
    return [
        _HeadsOfLayer(processing, layer, tuple(place for _, place in own))
        for (processing, layer), own in groups
        if layer is not None
    ]


def _layer_name(layer: int | None) -> str:
    return "ends" if layer is None else f"L{layer}"


def _turn_of(model: OpenModel, place: Address) -> int:
    """Return the turn of the matrix: with its layer, the last ones first, those of the whole model after them."""
    return model.manifest.n_layers if place.layer is None else list_last_first(model).index(place.layer)


def _read_batch(batch: Batch) -> list[HeadPart]:
    """Read out all of the batch in one go; the MLP's readouts join their own arrays."""
    parts, asked = prepare_parts(batch.layer.context, batch.matrices)
    read_together(batch.layer.context, [*asked, *(each for whole in batch.wholes for each in whole.taken.asked)])
    return parts


def _add_bank_rows(batch: Batch, parts: Sequence[HeadPart]) -> None:
    """Add the bank's rows of these matrices to the layer, while their vectors are in memory."""
    layer, place = batch.layer, Address(batch.layer.context.model.header.slug, None, batch.layer.index)
    for whole in batch.wholes:
        layer.rows += bank_rows(layer.context, whole.address.in_basis(None), whole.taken.terms, whole.taken.arrays)
    for found, part in zip(batch.matrices, parts, strict=True):
        address = place.at_head(found.head).at(found.circuit)
        layer.rows += bank_rows(layer.context, address, found.terms, part.arrays)


def _name_part(recipe: Recipe) -> str:
    """Name a part of the bank, for people."""
    if recipe.kind in {"bank", "readings"}:
        own = _layer_name(recipes.layer_of(recipe))
        return (
            f"readers of {own}"
            if recipe.kind == "readings"
            else f"neurons of {own}"
            if recipe.basis == "neuron"
            else own
        )
    return {"words": "tokens", "shadow": "random directions"}.get(recipe.kind, recipe.kind)


class _Map:
    """The scores of every head, collected layer by layer."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._scores: dict[int, Arrays] = {}

    def add(self, layer: int, parts: Sequence[HeadPart]) -> None:
        """Add a layer's matrices."""
        scores = [(part.head, part.circuit, part.facts["scores"]) for part in parts]
        self._scores[layer] = dict(head_score_arrays(self._context.model, scores))

    def artifacts(self) -> list[tuple[Recipe, ArraysAndFacts]]:
        """Return the map; none where not every layer was needed, since it is stored then."""
        n_layers = range(self._context.model.manifest.n_layers)
        if len(self._scores) < len(n_layers):
            return []
        recipe = recipes.scores(self._context.model, self._context.processing)
        return [(recipe, map_artifact([self._scores[layer] for layer in n_layers]))]
