"""What a model says of a prompt where something in it is changed, beside random changes of the same kind and size.

`outcome`, at one position; rows are the text as it was, changed, and changed at random:
    top [m], chance [rows m]     the likeliest next tokens of the first two rows, and the chance of each in every row
    divergence [others]          KL of the chances as they were from those of each other row, in nats
    set_ids [sets k], set_sign   of each edited direction the tokens that lead at its end, and which end that is
    set_chance [rows sets]       the chance of all of them together
    named_chance [rows named]    of the tokens that were named
    course [n]                   the divergence of the changed row at every position
    energy [others]              of edits: of what the edited heads write on the text, at all positions but the first, the
                                 share that the change takes away or adds
    size [1]                     of a push of the stream: the length that its amount counts in
`curve`, by how much is written of the edited directions:
    amount, divergence, set_chance [m]   of the changed row; the set is that of the first direction
    random [m]                           the divergence of a random direction, written so much more
`continuation`; rows are the text as it was, and changed:
    ids [rows m]                 the tokens that follow; -1 behind a row's end
    surprise [rows m]            -log of the chance that the model as it was gives each of them

Runs in the live process; reads the tokens of directions, and their mean on the reference text, from the store.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from app.core.address import Address
from app.core.steps import FindingStep, Steps
from app.explorer.changes import Contrast, HeadEdit, Steering, read_change, read_edits
from app.explorer.errors import ComputationFailed
from app.explorer.layout import CURVE_AMOUNTS, NEXT_TOKENS, SET_TOKENS
from app.explorer.making.context import Arrays, Context
from app.explorer.making.heads import read_head_tensors
from app.explorer.making.using import texts
from app.explorer.recipes import decomposition, number_in, use
from app.store.artifacts import Recipe

if TYPE_CHECKING:
    from torch import Tensor

    from app.explorer.making.using.prompts import Directions
    from app.models.live.changes import HeadChange, Row
    from app.models.live.forward import TextRun

AT_ONCE = 10
"""Rows that are run at a time."""
POSITIONS = 64
"""Positions whose logits are held at a time."""


def read_outcome(
    context: Context,
    network: Any,
    directions: "Directions",
    run: "TextRun",
    recipe: Recipe,
    others: "Sequence[Tensor]" = (),
) -> Arrays:
    """Read what the model says at a position where the recipe changes it; ComputationFailed.

    `others`: the streams that enter the layer of a contrast, of the prompt that attracts and of the one that repels.
    """
    import torch

    from app.models.live.forward import read_logits

    changer = _open_changer(context, network, directions, run, recipe, others)
    at, draws = number_in(recipe, "at"), number_in(recipe, "draws")
    rows = changer.list_rows(draws)
    streams = [run.streams[-1], *run_others(network, run, rows)]
    logits = read_logits(network, torch.stack([stream[at] for stream in streams])).cpu()
    ids, signs = _read_sets(context, directions, run, changer.followed, at)
    chances, indices = logits.softmax(-1), torch.from_numpy(ids).long()
    best = logits[:2].topk(min(NEXT_TOKENS, logits.shape[-1])).indices.flatten().tolist()
    top, named = [*dict.fromkeys(best)], _list_named(recipe)
    return {
        "top": np.array(top, np.int32),
        "chance": chances[:, top].numpy(),
        "divergence": measure_divergence(logits[:1], logits[1:]).numpy(),
        "set_ids": ids,
        "set_sign": signs,
        "set_chance": _sum_sets(chances, indices).numpy(),
        "named_chance": chances[:, named].numpy(),
        "course": _follow_divergence(network, streams[0], streams[1]).numpy(),
        **changer.measure(rows),
    }


def read_curve(context: Context, network: Any, directions: "Directions", run: "TextRun", recipe: Recipe) -> Arrays:
    """Read what the model says at a position by how much is written of the recipe's directions together."""
    import torch

    from app.models.live.forward import read_logits

    editor, at = HeadEditor(context, network, directions, run, recipe), number_in(recipe, "at")
    rows = [editor.make_row(draw, amount) for draw in (None, 0) for amount in CURVE_AMOUNTS]
    streams = [run.streams[-1, at], *(stream[at] for stream in run_others(network, run, rows))]
    logits = read_logits(network, torch.stack(streams)).cpu()
    ids, _ = _read_sets(context, directions, run, editor.followed[:1], at)
    divergence = measure_divergence(logits[:1], logits[1:]).numpy()
    n = len(CURVE_AMOUNTS)
    return {
        "amount": np.array(CURVE_AMOUNTS, np.float32),
        "divergence": divergence[:n],
        "random": divergence[n:],
        "set_chance": _sum_sets(logits[1 : 1 + n].softmax(-1), torch.from_numpy(ids).long())[:, 0].numpy(),
    }


def continue_text(
    context: Context,
    network: Any,
    directions: "Directions",
    run: "TextRun",
    recipe: Recipe,
    others: "Sequence[Tensor]" = (),
) -> Steps[Arrays]:
    """Let the text go on as it was and changed, side by side; yield the tokens so far with each step, row by row."""
    import torch

    from app.core.changing.choice import choose_likeliest, draw_tokens
    from app.models.live.rows import continue_rows

    changer, n_tokens = _open_changer(context, network, directions, run, recipe, others), number_in(recipe, "tokens")
    n_known = int(np.flatnonzero(context.model.vocabulary.known).max()) + 1
    generator = torch.Generator().manual_seed(number_in(recipe, "drawn"))
    is_drawn = "drawn" in dict(recipe.parameters)

    def choose(logits: "Tensor") -> "Tensor":
        known = logits[:, :n_known]  # rows beyond pad the embedding
        return draw_tokens(known, generator) if is_drawn else choose_likeliest(known)

    rows: list[Row] = [[], changer.make_row()]
    ends, written = _list_ends(network), [list[int]() for _ in rows]
    for number, chosen in enumerate(continue_rows(network, run, rows, n_tokens, choose, ends)):
        for row, token in zip(written, chosen.tolist(), strict=True):
            row.append(-1 if row and (row[-1] in ends or row[-1] < 0) else token)
        yield FindingStep(number, n_tokens, tuple(token for row in written for token in row))
    return {
        "ids": np.array(written, np.int32),
        "surprise": np.stack([_measure_surprise(network, run, row) for row in written]),
    }


class Changer:
    """A recipe's change, as changes of a running model: itself, and random ones of its kind."""

    followed: Sequence[HeadEdit] = ()
    """The directions whose own tokens are followed."""

    def make_row(self, draw: int | None = None) -> "Row":
        """Make the changes of a row; `draw`: the number of the random change in the place of its own."""
        raise NotImplementedError

    def list_rows(self, draws: int) -> "Sequence[Row]":
        """Make the changes of each row but the first, which is the text as it was: its own, then so many random ones."""
        return [self.make_row(draw) for draw in (None, *range(draws))]

    def measure(self, rows: "Sequence[Row]") -> Arrays:
        """Measure what there is to be told of rows with such changes."""
        return {}


def _open_changer(
    context: Context,
    network: Any,
    directions: "Directions",
    run: "TextRun",
    recipe: Recipe,
    others: "Sequence[Tensor]",
) -> Changer:
    change = read_change(dict(recipe.parameters))
    if isinstance(change, Contrast):
        from app.explorer.making.using.contrasts import Contraster

        attract, repel = others
        return Contraster(run.streams[change.layer], attract, repel, change, number_in(recipe, "seed"))
    if isinstance(change, Steering):
        return Steerer(context, directions, run, recipe, change)
    return HeadEditor(context, network, directions, run, recipe)


class Steerer(Changer):
    """A push of the stream along a direction, or along a random one of its head's span."""

    def __init__(
        self, context: Context, directions: "Directions", run: "TextRun", recipe: Recipe, steering: Steering
    ) -> None:
        self.followed = [steering.of]
        self._steering, self._directions, self._seed = steering, directions, number_in(recipe, "seed")
        self._device = run.streams.device
        self._size = _measure_size(context, run, recipe, steering.layer)

    def make_row(self, draw: int | None = None) -> "Row":
        """Make the changes of a row: the push alone; `draw`: the number of a random direction in the place of its own."""
        import torch

        from app.core.changing.edits import turn_directions
        from app.models.live.changes import StreamChange

        of = self._steering.of
        rank = int((self._directions.strength[of.layer, of.head] > 0).sum())
        span = self._directions.right[of.layer, of.head, :rank]
        if draw is None:
            along = span[of.index] * (-1 if of.end == "n" else 1)
        else:
            generator = torch.Generator().manual_seed(self._seed + draw * len(self._directions.strength) + of.layer)
            along = turn_directions(span, 1, generator)[1][0]
        # Models rest their attention on the first position, whose stream is like no other.
        return [
            StreamChange(self._steering.layer, 1, shift=(self._steering.amount * self._size * along).to(self._device))
        ]

    def measure(self, rows: "Sequence[Row]") -> Arrays:
        """Measure nothing of the rows: all pushes have one size, which is told."""
        return {"size": np.array([self._size], np.float32)}


def _measure_size(context: Context, run: "TextRun", recipe: Recipe, layer: int) -> float:
    """Measure the median length of the stream that enters a layer, without the first position: on the reference text, or on
    this one where there is none.
    """
    manifest = context.model.manifest
    if "use" in dict(recipe.parameters) and manifest.reads_normed:
        scale = _read_use(context, recipe)["stream"][layer]  # what its norm divides by
        return float(scale) * float(np.sqrt(manifest.d_model))
    lengths = run.streams[layer, 1:].norm(dim=-1)
    return float(lengths.median()) if len(lengths) else 0.0


class HeadEditor(Changer):
    """The edits of one recipe, as changes of a running model: the edits themselves, and random ones like them."""

    def __init__(
        self, context: Context, network: Any, directions: "Directions", run: "TextRun", recipe: Recipe
    ) -> None:
        self.followed = read_edits(dict(recipe.parameters))
        self._context, self._network, self._directions, self._run = context, network, directions, run
        self._seed = number_in(recipe, "seed")
        is_held = any(edit.kind == "mean" for edit in self.followed)
        self._mean: NDArray[np.float32] | None = _read_use(context, recipe)["mean"] if is_held else None
        for edit in self.followed:
            if not directions.strength[edit.layer, edit.head, edit.index] > 0:
                raise ComputationFailed(
                    f"L{edit.layer}H{edit.head} writes nothing along direction {edit.index}: its OV has a smaller rank."
                )

    def make_row(self, draw: int | None = None, amount: float | None = None) -> "list[HeadChange]":
        """Make the changes of a row; `draw`: the number of random directions in the place of the edits' own; `amount`: one in
        the place of their own.
        """
        edits = [edit if amount is None else replace(edit, amount=amount) for edit in self.followed]
        heads = dict.fromkeys((edit.layer, edit.head) for edit in edits)
        return [self._change_head([edit for edit in edits if (edit.layer, edit.head) == head], draw) for head in heads]

    def measure(self, rows: "Sequence[Row]") -> Arrays:
        """Measure the share of what the edited heads write that each row's changes take away or add, on the text as it was."""
        return {"energy": np.array([self._measure_energy(row) for row in rows], np.float32)}

    def _measure_energy(self, row: "Row") -> float:
        from app.models.live.changes import HeadChange, output_matrix

        first = min(1, len(self._run.ids) - 1)
        moved = whole = 0.0
        for change in row:
            assert isinstance(change, HeadChange)
            mixed = self._run.mixed[change.layer][first:, change.head]
            added = mixed @ change.delta
            added = added if change.constant is None else added + change.constant
            moved += float(added.double().square().sum())
            written = mixed @ output_matrix(self._network, change.layer, change.head)
            whole += float(written.double().square().sum())
        return moved / whole if whole else 0.0

    def _change_head(self, edits: Sequence[HeadEdit], draw: int | None) -> "HeadChange":
        """Make the change of one head, whose edits are all `only`, or none is."""
        import torch

        from app.core.changing.edits import keep_directions, scale_directions, turn_directions
        from app.models.live.changes import HeadChange, output_matrix

        layer, head = edits[0].layer, edits[0].head
        rank = int((self._directions.strength[layer, head] > 0).sum())
        span = self._directions.right[layer, head, :rank]
        if draw is None:
            coordinates = torch.eye(rank)[[edit.index for edit in edits]]
            along = span[[edit.index for edit in edits]]
        else:
            # The same ones whatever else is changed, and the first of eight is the one.
            number = (draw * len(self._directions.strength) + layer) * self._context.model.manifest.n_heads + head
            coordinates, along = turn_directions(span, len(edits), torch.Generator().manual_seed(self._seed + number))
        output = output_matrix(self._network, layer, head)
        along = along.to(output.device)
        if edits[0].kind == "only":
            return HeadChange(layer, head, keep_directions(output, along))
        amounts = [-1.0 if edit.kind == "mean" else edit.amount for edit in edits]
        delta = scale_directions(output, along, torch.tensor(amounts, device=output.device))
        held = [n for n, edit in enumerate(edits) if edit.kind == "mean"]
        if not held:
            return HeadChange(layer, head, delta)
        usual = coordinates[held] @ self._find_usual(layer, head, rank)
        return HeadChange(layer, head, delta, usual.to(output.device) @ along[held])

    def _find_usual(self, layer: int, head: int, rank: int) -> "Tensor":
        """Find what is written along each direction on average over the reference text, biases included: [rank]."""
        import torch

        assert self._mean is not None
        tensors = read_head_tensors(self._context, layer, head)
        strength, right = (each[layer, head, :rank] for each in (self._directions.strength, self._directions.right))
        return strength * torch.from_numpy(self._mean[layer, head, :rank]) + right @ (tensors.b_V @ tensors.W_O).float()


def run_others(network: Any, run: "TextRun", rows: "Sequence[Row]") -> "list[Tensor]":
    """Run the text in these rows, a few at a time, and return the last stream of each."""
    from app.models.live.rows import run_rows

    starts = range(0, len(rows), AT_ONCE)
    return [stream for start in starts for stream in run_rows(network, run, rows[start : start + AT_ONCE])[0]]


def measure_divergence(was: "Tensor", now: "Tensor") -> "Tensor":
    """Compute KL of the chances as they were from the ones now, in nats: [*n]."""
    before, after = was.double().log_softmax(-1), now.double().log_softmax(-1)
    divergence: Tensor = (before.exp() * (before - after)).sum(-1).clamp(min=0).float()
    return divergence


def _follow_divergence(network: Any, was: "Tensor", now: "Tensor") -> "Tensor":
    """Compute the divergence at every position."""
    import torch

    from app.models.live.forward import read_logits

    parts = [slice(start, start + POSITIONS) for start in range(0, len(was), POSITIONS)]
    return torch.cat(
        [measure_divergence(*(read_logits(network, each[part]).cpu() for each in (was, now))) for part in parts]
    )


def _read_sets(
    context: Context, directions: "Directions", run: "TextRun", edits: Sequence[HeadEdit], at: int
) -> tuple[NDArray[np.int32], NDArray[np.int8]]:
    """Read the tokens that lead at each edited direction's end, and which end that is, 1 or -1."""
    ids, signs = [], []
    for edit in edits:
        sign = {"p": 1, "n": -1}.get(edit.end) or _find_sign(context, directions, run, edit, at)
        place = Address(context.model.header.slug, None, edit.layer, edit.head, "ov", "svd")
        held = context.store.read(decomposition(context.model, place, context.processing, {}))
        if held is None:
            raise ComputationFailed(f"The tokens of {place.label} are not on this server's disk.")
        leading = held.arrays["right_top_ids" if sign > 0 else "right_bottom_ids"][edit.index]
        ids.append(leading[:SET_TOKENS])
        signs.append(sign)
    found = np.array(ids, np.int32) if ids else np.zeros((0, SET_TOKENS), np.int32)
    return found, np.array(signs, np.int8)


def _sum_sets(chances: "Tensor", ids: "Tensor") -> "Tensor":
    """Sum the chances of each set's tokens: [rows sets]; -1 fills up a set of a small vocabulary."""
    import torch

    return torch.where(ids >= 0, chances[:, ids.clamp(min=0)], 0).sum(-1)


def _find_sign(context: Context, directions: "Directions", run: "TextRun", edit: HeadEdit, at: int) -> int:
    """Find the end along which a direction is written at the position."""
    stream = texts.norm_for_heads(context, edit.layer, run.streams[edit.layer, : at + 1].cpu())
    read = stream @ directions.left[edit.layer, edit.head, edit.index]
    return 1 if float(run.patterns[edit.layer][edit.head, at, : at + 1].cpu() @ read) >= 0 else -1


def _measure_surprise(network: Any, run: "TextRun", written: Sequence[int]) -> NDArray[np.float32]:
    """Measure how little the model as it was expects each of these tokens behind the text; nan behind the end."""
    import torch

    from app.models.live.forward import read_logits, run_model

    known = [token for token in written if token >= 0]
    whole = torch.cat([run.ids, torch.tensor(known[:-1], dtype=run.ids.dtype, device=run.ids.device)])
    logits = read_logits(network, run_model(network, whole).streams[-1, len(run.ids) - 1 :]).cpu()
    found = np.full(len(written), np.nan, np.float32)
    found[: len(known)] = -logits.log_softmax(-1)[torch.arange(len(known)), known].numpy()
    return found


def _list_ends(network: Any) -> set[int]:
    """List the tokens that end a text, by the model's own config."""
    said = network.config.eos_token_id
    return set() if said is None else {said} if isinstance(said, int) else {*said}


def _list_named(recipe: Recipe) -> list[int]:
    """List the tokens that the recipe names."""
    said = dict(recipe.parameters)
    return [int(said[f"named-{n}"]) for n in range(len(said)) if f"named-{n}" in said]


def _read_use(context: Context, recipe: Recipe) -> Mapping[str, NDArray[Any]]:
    """Read what directions do on the reference text; ComputationFailed where it is gone."""
    held = context.store.read(use(context.model, context.processing, number_in(recipe, "text")))
    if held is None:
        raise ComputationFailed("The statistics that this change needs are not here any more.")
    return held.arrays
