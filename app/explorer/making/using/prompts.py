"""What a model does with a prompt: the makers of the live process, which holds one model and the text it ran last.

`prompt`, at one position and for one token:
    next_ids, next_chances [n k]   the likeliest next tokens at every position
    token [1], chance [1 or 2]     the token that is asked about, its chance, and that of the one it is compared with
    logit [1]                      its logit less the mean of all, or less the other token's: the sum of all that follows
    embedding, constant [1]        what the embedding adds to it, and what the final norm's and the unembedding's biases do
    attention, mlp [layers]        what each layer's heads and MLP add
    attended [layers heads rank]   what arrives of each direction of each head's OV at the position
    strength [layers heads rank]   the singular values
    weight [layers heads rank]     what a direction adds to the logit for each unit of what arrives
`neurons`: those that add most to it, either way: `layer`, `unit`, `activation` and `direct` [m].
`removals`: what the logit loses where a direction is not written at that position, and where random directions of its
head's span are not (`random` [m draws]).
`course`: what a direction reads at each position, what arrives of it there, and its head's pattern [n n], from rows to
columns.
`attention` and `pairs`: why a head looks from one position at another, told in `making/using/attention.py`.
`lens` and `spans`: what the stream says at every layer, and where it lies, told in `making/using/lens.py`.
`outcome`, `curve` and `continuation`: what the model says where something in it is changed, told in `making/using/changes.py`.
`histories` and `study`: what two other prompts do to its stream, told in `making/using/contrasts.py`.

Where a norm stands behind attention, what a direction writes is no share of the logit: then `weight` is missing, and
behind the MLP what neurons do.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from app.core.steps import Steps
from app.explorer.changes import read_others
from app.explorer.errors import ComputationFailed
from app.explorer.layout import NEXT_TOKENS, PROMPT_NEURONS, PromptKind, check_layout
from app.explorer.library import OpenModel, report_damage
from app.explorer.making.context import Arrays, ArraysAndFacts, Context
from app.explorer.making.maker import ModelOf, open_models
from app.explorer.making.tables import Tables
from app.explorer.making.using import texts
from app.explorer.recipes import directions_of, key_of, number_in
from app.explorer.running.line import Cost
from app.explorer.running.worker import Maker
from app.explorer.view import Processing
from app.models.live.room import estimate_loading, estimate_room, measure_free
from app.store.artifacts import ArtifactStore, Recipe
from app.store.prompts import PromptStore
from app.store.turns import claim_turn

if TYPE_CHECKING:
    from torch import Tensor

    from app.models.live.forward import TextRun
    from app.models.weights import Embeddings

GIB = 2**30
MOST_READ = 4
"""Prompts whose streams are held for others to be compared with."""


@dataclass(frozen=True)
class RanText:
    """A text that was run, and the likeliest next tokens at each of its positions."""

    ids: tuple[int, ...]
    run: "TextRun"
    """Without its logits: those of one position are computed again in no time."""
    next_ids: NDArray[np.int32]
    next_chances: NDArray[np.float32]


@dataclass(frozen=True)
class Directions:
    """The directions of all heads' OV; a head of a smaller rank has zeros at their ends."""

    left: "Tensor"
    """[layers heads d_head d_model]"""
    strength: "Tensor"
    """[layers heads d_head]"""
    right: "Tensor"
    """[layers heads d_head d_model]"""


@dataclass
class LiveModel:
    """A model that runs, its directions, and the text that it ran last."""

    context: Context
    network: Any
    device: str
    ends: "Embeddings"
    """Its unembedding and final norm."""
    mean_column: "Tensor"
    """The mean of all columns of the unembedding."""
    directions: "dict[Processing, Directions]" = field(default_factory=dict)
    """The directions of all heads' OV."""
    ran: "RanText | None" = None
    read: "dict[str, Tensor]" = field(default_factory=dict)
    """The streams of prompts that others were compared with last, by their keys."""
    others: "Sequence[Tensor]" = ()
    """Those that the present recipe compares with, at its layer."""

    def in_weights(self, processing: Processing) -> Context:
        """Return the context in that weight processing."""
        return replace(self.context, processing=processing)


class PromptMaker:
    """The maker of a live process."""

    def __init__(self, data: Path, device: str, prompts: PromptStore) -> None:
        self._data, self._prompts = data, prompts
        self._artifacts = ArtifactStore(data / "artifacts", quota_bytes=0)  # it is only read
        self._tables = Tables(device)
        self._model_of: ModelOf = open_models(data)
        self._live: LiveModel | None = None

    def make(self, recipe: Recipe, slug: str) -> Steps[ArraysAndFacts]:
        """Make the arrays that the recipe names, step by step; ComputationFailed, MemoryError."""
        kind = cast("PromptKind", recipe.kind)
        prompt = self._prompts.get(recipe.fingerprint, key_of(recipe))
        if prompt is None:
            raise ComputationFailed("This prompt was deleted, or is too old: run it again.")
        processing = cast("Processing", recipe.processing)
        yield 0, 3
        with report_damage(slug):
            live = self._open(self._model_of(slug, recipe.fingerprint), len(prompt.ids))
            if kind in WITH_DIRECTIONS and processing not in live.directions:
                yield 1, 3
                live.directions[processing] = _decompose(live.in_weights(processing))
            yield 2, 3
            live.others = self._read_others(live, recipe)
            ran = _run(live, prompt.ids)
            if kind in STEPPED:
                arrays = yield from STEPPED[kind](live, ran, recipe)
            else:
                arrays = MAKERS[kind](live, ran, recipe)
        check_layout(kind, arrays)
        return arrays, {}

    def _read_others(self, live: LiveModel, recipe: Recipe) -> "list[Tensor]":
        """Run the prompts that a recipe compares its own with, and return the stream that enters its layer on each.

        ComputationFailed where one is gone.
        """
        import torch

        from app.models.live.forward import run_model

        said = dict(recipe.parameters)
        found = []
        for key in read_others(said) if "attract" in said else ():
            prompt = self._prompts.get(recipe.fingerprint, key)
            if prompt is None:
                raise ComputationFailed(
                    "A prompt that this is compared with was deleted, or is too old: write it again."
                )
            if key not in live.read:
                while len(live.read) >= MOST_READ:
                    del live.read[next(iter(live.read))]
                live.read[key] = run_model(live.network, torch.tensor(prompt.ids, device=live.device)).streams
            found.append(live.read[key][int(said["contrasted"])])
        return found

    def prepare(self, slug: str, processing: Processing) -> Steps[None]:
        """Prepare nothing: a model is loaded for whoever runs a prompt."""
        yield from ()

    def _open(self, model: OpenModel, n_tokens: int) -> LiveModel:
        """Open the model, in the place of another one; ComputationFailed where there is not the memory."""
        if self._live is not None and self._live.context.model.fingerprint == model.fingerprint:
            return self._live
        self._live = None
        device = self._tables.device()
        _require_room(model, device, n_tokens)
        network: Any = texts.assemble(model)
        context = Context(self._tables, model, "raw", self._artifacts)
        # Those that run are the same, and are in memory once.
        W_E, W_U = network.get_input_embeddings().weight.detach(), network.get_output_embeddings().weight.detach().T
        ends = replace(model.weights().embeddings(), W_E=W_E, W_U=W_U)
        self._live = LiveModel(context, network.to(device), device, ends, W_U.mean(dim=1))
        return self._live

    def turn(self, _cost: Cost) -> AbstractContextManager[None]:
        """Go before jobs on the same device."""
        return claim_turn(self._data, self._tables.device())


def open_prompt_maker(data: Path, device: str, prompts: PromptStore) -> Maker:
    """Open the maker of a live process for the folder's models on that device."""
    maker = PromptMaker(data, device, prompts)
    return Maker(maker.make, maker.prepare, turn=maker.turn)


def _decompose(context: Context) -> Directions:
    """Decompose the OV of every head."""
    import torch

    manifest = context.model.manifest
    layers = [texts.decompose_layer(context, layer) for layer in range(manifest.n_layers)]

    def join(name: str) -> "Tensor":
        rows = [getattr(one, name) for layer in layers for one in layer]
        padded = torch.nn.utils.rnn.pad_sequence([*rows, rows[0].new_zeros(manifest.d_head, *rows[0].shape[1:])], True)
        return padded[:-1].reshape(manifest.n_layers, manifest.n_heads, *padded.shape[1:]).contiguous()

    return Directions(join("left"), join("strength"), join("right"))


def _require_room(model: OpenModel, device: str, n_tokens: int) -> None:
    """Raise ComputationFailed unless the model fits into what memory is left."""
    if device.startswith("cuda"):
        import torch

        free: int | None = int(torch.cuda.mem_get_info(device)[0])
    else:
        free = measure_free()
    needed = estimate_room(model.manifest, n_tokens) + estimate_loading(model.manifest)
    if free is not None and needed > free:
        raise ComputationFailed(
            f"Running {model.header.slug} takes about {needed / GIB:.1f} GiB of memory, and {free / GIB:.1f} GiB are "
            "left on the machine of this server."
        )


def _run(live: LiveModel, ids: tuple[int, ...]) -> RanText:
    """Run a text, unless it was the last one that was run."""
    import torch

    from app.models.live.forward import run_model

    if live.ran is None or live.ran.ids != ids:
        live.ran = None  # so that two are never held
        run = run_model(live.network, torch.tensor(ids, device=live.device))
        assert run.logits is not None
        best = run.logits.topk(min(NEXT_TOKENS, live.context.model.manifest.d_vocab))
        chances = (best.values - run.logits.logsumexp(-1, keepdim=True)).exp()
        next_ids, next_chances = best.indices.cpu().numpy().astype(np.int32), chances.cpu().numpy()
        live.ran = RanText(ids, replace(run, logits=None), next_ids, next_chances)
    return live.ran


def _speak_for_token(live: LiveModel, ran: RanText, recipe: Recipe) -> Arrays:
    at, token, against = _read_spot(ran, recipe)
    processing = cast("Processing", recipe.processing)
    found: Arrays = {
        "next_ids": ran.next_ids,
        "next_chances": ran.next_chances,
        "token": np.array([token], np.int32),
        "chance": _find_chances(live, ran, at, [token] if against < 0 else [token, against]),
        "attended": _attend_at(live, ran.run, at, processing).numpy(),
        "strength": live.directions[processing].strength.numpy(),
    }
    return found | _attribute(live, ran.run, recipe, token, None if against < 0 else against)


def _read_spot(ran: RanText, recipe: Recipe) -> tuple[int, int, int]:
    """Read the position, the token and the other one that a recipe asks about; -1 for none."""
    at, token, against = (number_in(recipe, name) for name in ("at", "token", "against"))
    return at, int(ran.next_ids[at, 0]) if token < 0 else token, against


def _find_chances(live: LiveModel, ran: RanText, at: int, tokens: list[int]) -> NDArray[np.float32]:
    """Find the chances of tokens behind a position: among the likeliest, or from the logits, which takes longer."""
    from app.models.live.forward import read_logits

    known = dict(zip(ran.next_ids[at].tolist(), ran.next_chances[at].tolist(), strict=True))
    if all(token in known for token in tokens):
        return np.array([known[token] for token in tokens], np.float32)
    chances: NDArray[np.float32] = read_logits(live.network, ran.run.streams[-1, at]).softmax(-1)[tokens].cpu().numpy()
    return chances


def _attribute(live: LiveModel, run: "TextRun", recipe: Recipe, token: int, against: int | None) -> Arrays:
    """Split the logit of a token at a position into what each part adds."""
    import torch

    from app.core.using.attribution import attribute_writes

    at, manifest, ends = number_in(recipe, "at"), live.context.model.manifest, live.ends
    vector, scale, column = _direct_logit(live, run, at, token, against)
    constant = torch.zeros(()) if ends.final_shift is None else ends.final_shift @ column
    if ends.b_U is not None:
        constant = constant + ends.b_U[token] - (ends.b_U.mean() if against is None else ends.b_U[against])
    parts = {
        "embedding": attribute_writes(run.streams[0][at].cpu(), vector, scale)[None],
        "constant": constant[None],
        "attention": attribute_writes(run.attention[:, at].cpu(), vector, scale),
        "mlp": attribute_writes(run.mlp[:, at].cpu(), vector, scale),
    }
    found: Arrays = {
        "logit": np.array([sum(float(part.sum()) for part in parts.values())], np.float32),
        **{name: part.numpy() for name, part in parts.items()},
    }
    if not manifest.post_norm:
        directions = live.directions[cast("Processing", recipe.processing)]
        found["weight"] = (directions.strength * (directions.right @ vector) * scale).numpy()
    return found


def _direct_logit(
    live: LiveModel, run: "TextRun", at: int, token: int, against: int | None
) -> "tuple[Tensor, Tensor, Tensor]":
    """Compute the vector along which a write adds to the logit, the final norm's scale, and the unembedding's own part."""
    from app.core.using.attribution import logit_direction
    from app.core.using.coefficients import norm_scales

    manifest, ends = live.context.model.manifest, live.ends
    center, column = manifest.normalization == "LN", ends.W_U[:, token]
    other = live.mean_column if against is None else ends.W_U[:, against]
    vector = logit_direction(column, other, ends.final_gain, center)
    return vector, norm_scales(run.streams[-1][at].cpu(), center, manifest.eps), column - other


def _find_neurons(live: LiveModel, ran: RanText, recipe: Recipe) -> Arrays:
    """Find the neurons that add most to the logit, either way."""
    import torch

    from app.models.live.forward import write_vectors

    at, token, against = _read_spot(ran, recipe)
    vector, scale, _ = _direct_logit(live, ran.run, at, token, None if against < 0 else against)
    activations, along = torch.stack([one[at] for one in ran.run.neurons]).cpu(), (vector * scale).to(live.device)
    written = (write_vectors(live.network, layer) @ along for layer in range(len(activations)))
    direct = activations * torch.stack([*written]).cpu()
    strongest = direct.abs().flatten().topk(min(PROMPT_NEURONS, direct.numel())).indices
    return {
        "layer": (strongest // direct.shape[1]).numpy().astype(np.int16),
        "unit": (strongest % direct.shape[1]).numpy().astype(np.int32),
        "activation": activations.flatten()[strongest].numpy(),
        "direct": direct.flatten()[strongest].numpy(),
    }


def _attend_at(live: LiveModel, run: "TextRun", at: int, processing: Processing) -> "Tensor":
    """Compute what arrives at the position of each direction: [layers heads d_head]."""
    import torch

    context, left = live.in_weights(processing), live.directions[processing].left
    found = []
    for layer, own in enumerate(left):
        # Only one row of the pattern counts, and no position behind it.
        stream, pattern = run.streams[layer, : at + 1].cpu(), run.patterns[layer][:, at, : at + 1].cpu()
        arrived = pattern @ texts.norm_for_heads(context, layer, stream)  # [heads d_model]
        found.append((own @ arrived[:, :, None])[:, :, 0])
    return torch.stack(found)


def _remove_each(live: LiveModel, ran: RanText, recipe: Recipe) -> Arrays:
    import torch

    from app.models.live.removal import Removal, run_without

    at, manifest = number_in(recipe, "at"), live.context.model.manifest
    processing, draws = cast("Processing", recipe.processing), number_in(recipe, "draws")
    arrived = _attend_at(live, ran.run, at, processing)
    removals: list[Removal] = []
    for layer, head, index in directions_of(recipe, manifest.n_heads, manifest.d_head):
        right = live.directions[processing].right[layer, head]
        strength = live.directions[processing].strength[layer, head]
        written = strength * arrived[layer, head]  # along each direction
        rank = int((strength > 0).sum())
        # The same random ones whatever else is taken away, and the first of eight is the one.
        number = (layer * manifest.n_heads + head) * manifest.d_head + index
        generator = torch.Generator().manual_seed(number_in(recipe, "seed") + number)
        removals.append(Removal(layer, (written[index] * right[index]).to(live.device)))
        for _ in range(draws):
            along = torch.nn.functional.normalize(torch.randn(rank, generator=generator), dim=0)
            removals.append(Removal(layer, ((written[:rank] @ along) * (along @ right[:rank])).to(live.device)))
    clean, without = run_without(live.network, ran.run, at, removals)
    rows = torch.cat([clean[None], without]).cpu()
    token, against = number_in(recipe, "token"), number_in(recipe, "against")
    logits = rows[:, token] - (rows.mean(dim=1) if against < 0 else rows[:, against])
    lost = (logits[0] - logits[1:]).reshape(-1, 1 + draws).numpy()
    return {"total": np.ascontiguousarray(lost[:, 0]), "random": np.ascontiguousarray(lost[:, 1:])}


def _follow_direction(live: LiveModel, ran: RanText, recipe: Recipe) -> Arrays:
    layer, head, index = (number_in(recipe, name) for name in ("layer", "head", "index"))
    processing = cast("Processing", recipe.processing)
    pattern, left = ran.run.patterns[layer][head].cpu(), live.directions[processing].left[layer, head, index]
    seen = texts.norm_for_heads(live.in_weights(processing), layer, ran.run.streams[layer].cpu())
    read = seen @ left
    return {"read": read.numpy(), "attended": (pattern @ read).numpy(), "pattern": pattern.numpy()}


def _explain_attention(live: LiveModel, ran: RanText, recipe: Recipe) -> Arrays:
    from app.explorer.making.using.attention import explain_attention

    return explain_attention(_context_of(live, recipe), live.network, ran.run, recipe)


def _find_pairs(live: LiveModel, ran: RanText, recipe: Recipe) -> Arrays:
    from app.explorer.making.using.attention import find_pairs

    return find_pairs(_context_of(live, recipe), live.network, ran.run, recipe)


def _read_lens(live: LiveModel, ran: RanText, recipe: Recipe) -> Arrays:
    from app.explorer.making.using.lens import attribute_layers, read_prompt_lens

    found = read_prompt_lens(live.context, live.network, ran.run, recipe)
    expected = ran.next_ids[:, 0].tolist()
    return found | attribute_layers(live.context, live.ends, live.mean_column, ran.run, expected)


def _measure_spans(live: LiveModel, ran: RanText, recipe: Recipe) -> Arrays:
    from app.explorer.making.using.lens import measure_spans

    return measure_spans(live.context, ran.run, recipe)


def _read_outcome(live: LiveModel, ran: RanText, recipe: Recipe) -> Arrays:
    from app.explorer.making.using.changes import read_outcome

    inputs = _context_of(live, recipe), live.network, _directions_of(live, recipe), ran.run
    return read_outcome(*inputs, recipe, live.others)


def _read_curve(live: LiveModel, ran: RanText, recipe: Recipe) -> Arrays:
    from app.explorer.making.using.changes import read_curve

    return read_curve(_context_of(live, recipe), live.network, _directions_of(live, recipe), ran.run, recipe)


def _continue_text(live: LiveModel, ran: RanText, recipe: Recipe) -> Steps[Arrays]:
    from app.explorer.making.using.changes import continue_text

    inputs = _context_of(live, recipe), live.network, _directions_of(live, recipe), ran.run
    return continue_text(*inputs, recipe, live.others)


def _compare_histories(live: LiveModel, ran: RanText, recipe: Recipe) -> Arrays:
    from app.explorer.making.using.contrasts import compare_histories

    return compare_histories(ran.run, live.others, recipe)


def _study_contrast(live: LiveModel, ran: RanText, recipe: Recipe) -> Arrays:
    from app.explorer.making.using.contrasts import study_contrast

    return study_contrast(live.network, ran.run, live.others, recipe)


def _directions_of(live: LiveModel, recipe: Recipe) -> Directions:
    return live.directions[cast("Processing", recipe.processing)]


def _context_of(live: LiveModel, recipe: Recipe) -> Context:
    return live.in_weights(cast("Processing", recipe.processing))


MAKERS = {
    "prompt": _speak_for_token,
    "neurons": _find_neurons,
    "removals": _remove_each,
    "course": _follow_direction,
    "attention": _explain_attention,
    "pairs": _find_pairs,
    "lens": _read_lens,
    "spans": _measure_spans,
    "outcome": _read_outcome,
    "curve": _read_curve,
    "histories": _compare_histories,
    "study": _study_contrast,
}
STEPPED = {"continuation": _continue_text}
"""The makers that take many steps."""
WITH_DIRECTIONS = frozenset({"prompt", "removals", "course", "outcome", "curve", "continuation"})
"""The kinds that need the directions of all heads' OV."""
