"""The controls that readouts are judged by: the same numbers of random directions, read with the same table.

There is one for each table: a model's end (read or write) under one weight processing, limited to a token filter of
tokens, or at unit length. All matrices share it. The arrays of its artifact:

    trained [d_vocab]             which tokens training has moved; never those that the tokenizer does not know
    mean [d_model]  components [n d_model]    what is removed from the vectors before they are compared
    coherence [n 2 3]    of both rays, by LENGTHS
    forms [n 2 4]        the same of their forms, by FORM_LENGTHS
    beyond [n 2 4]       of those forms that neither begin nor end as one before them, by BEYOND_LENGTHS
    spelling [n 2 2]     how alike their forms are spelt, by SPELLING_LENGTHS
    ids [shown 2 k]    the tokens of the first random rays

Runs in a worker's process or a job's. Knows no pages.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from app.core.judging.forms import Forms, forms_of
from app.core.judging.rays import BEYOND_LENGTHS, FORM_LENGTHS, HEADLINE, LENGTHS, SPELLING_LENGTHS
from app.core.steps import Steps, run
from app.explorer import recipes
from app.explorer.inventory import end_of
from app.explorer.layout import CONTROL_DIRECTIONS, CONTROL_SHOWN, CONTROL_TOKENS, KEPT_TOKENS
from app.explorer.library import OpenModel
from app.explorer.making.context import Arrays, ArraysAndFacts, Context
from app.explorer.recipes import CONTROL_SEED, MIN_TOKENS
from app.models.token_filter import EVERY, TokenFilter
from app.models.vocabulary import Vocabulary
from app.store.artifacts import Artifact

if TYPE_CHECKING:
    from torch import Tensor

    from app.core.exact.readout import TokenTable
    from app.core.judging.coherence import Lexicon
    from app.core.judging.spelling import Traits

CONTROL_STEPS = 4
"""Steps of a control: trained tokens, shared components, table, and the random directions themselves."""
MIN_RAYS = 64
"""The fewest rays worth a core of their own while they are measured; two for each direction."""
FIRST_TRAINED = LENGTHS[0]
"""Trained tokens of which most have no letter where a ray is letterless; or all that are stored."""


@dataclass(frozen=True)
class Judge:
    """The tables by which a ray is measured that was read with a token table."""

    table: "TokenTable"
    words: "Lexicon"
    codes: "Tensor"
    """The form of each token of the table, -1 for one without letters."""
    traits: "Traits"
    """The traits of the forms."""


@dataclass(frozen=True)
class Control:
    """A table's control, and the judge that measured it."""

    judge: Judge
    coherence: NDArray[np.float32]
    """[n 2 3]: both rays of each random direction, by LENGTHS."""
    forms: NDArray[np.float32]
    """[n 2 4], by FORM_LENGTHS."""
    beyond: NDArray[np.float32]
    """[n 2 4], by BEYOND_LENGTHS."""
    spelling: NDArray[np.float32]
    """[n 2 2], by SPELLING_LENGTHS."""


def control_bytes(model: OpenModel) -> int:
    """Estimate the bytes of a control on disk."""
    d, tokens = model.manifest.d_model, min(CONTROL_TOKENS, model.manifest.d_vocab)
    return model.manifest.d_vocab + d * d // 4 + 8 * CONTROL_SHOWN * tokens + 104 * CONTROL_DIRECTIONS + 4_000


def load_control(context: Context, side: str) -> Control | None:
    """Return the control of that side's readouts; None where too few tokens were trained, or pass the token filter."""
    key = (
        context.model.fingerprint,
        context.processing,
        end_of(context.model, context.processing, side),
        context.token_filter,
    )
    return context.tables.control(key, lambda: run(_build_control(context, key[2]))[1])


def _build_control(context: Context, end: str) -> Steps[tuple[Artifact, Control | None]]:
    import torch

    from app.core.judging.coherence import lexicon
    from app.core.judging.spelling import Traits

    own = recipes.control(context.model, end, context.processing, context.token_filter)
    kept = context.store.load(own)
    arrays = dict(kept.arrays) if kept else (yield from _compute_shared(context, end))
    yield 2, CONTROL_STEPS
    _note_trained(context, end, arrays)
    table = context.tables.table(context.model, context.processing, end, context.token_filter)
    device = table.vectors.device
    trained, mean, components = (
        torch.from_numpy(arrays[name]).to(device) for name in ("trained", "mean", "components")
    )
    trained = trained[table.ids]
    # A model's two tables have the same tokens.
    forms, spelt = context.tables.control(
        (context.model.fingerprint, "forms"), lambda: _group_by_form(context.model.vocabulary)
    )
    judge = Judge(
        table,
        lexicon(table.vectors, trained, mean, components),
        torch.from_numpy(forms.codes).to(device)[table.ids],
        Traits(*(part.to(device) for part in spelt)),
    )
    if kept is None:
        yield 3, CONTROL_STEPS
        if int(trained.sum()) >= MIN_TOKENS:
            arrays |= _measure_random(context, end, judge)
        kept = context.store.save(own, arrays, {"trained": int(trained.sum())})
    if "coherence" not in kept.arrays:
        return kept, None
    return kept, Control(judge, *(kept.arrays[name] for name in ("coherence", "forms", "beyond", "spelling")))


def make_control(context: Context, end: str) -> Steps[ArraysAndFacts]:
    """Return the control's arrays and facts, computed if they are missing: a control in memory may outlive its file."""
    kept = context.store.load(recipes.control(context.model, end, context.processing, context.token_filter))
    if kept is None:
        kept, _ = yield from _build_control(context, end)
    return dict(kept.arrays), kept.facts


def _compute_shared(context: Context, end: str) -> Steps[Arrays]:
    """Compute the arrays that do not depend on the selected tokens."""
    import torch

    from app.core.judging.coherence import shared_components
    from app.core.judging.collapse import is_trained

    whole = TokenFilter(readout=context.token_filter.readout)
    if context.token_filter:
        kept = context.store.load(recipes.control(context.model, end, context.processing, whole))
        if kept is not None:
            return {name: kept.arrays[name] for name in ("trained", "mean", "components")}
    yield 0, CONTROL_STEPS
    table = context.tables.table(context.model, context.processing, end, whole)
    own = is_trained(table.vectors, table.proposals[0].rows.dtype)
    yield 1, CONTROL_STEPS
    mean, components = shared_components(table.vectors, own)
    trained = torch.zeros(context.model.vocabulary.size, dtype=torch.bool)
    trained[table.ids.cpu()] = own.cpu()
    return {"trained": trained.numpy(), "mean": mean.cpu().numpy(), "components": components.cpu().numpy()}


def _note_trained(context: Context, end: str, arrays: Arrays) -> None:
    """Tell the tables which tokens are known to be trained, by dot product, to select the tokens."""
    trained: NDArray[np.bool_] | None = arrays["trained"]
    if context.token_filter.readout == "cosine":
        whole = context.store.load(recipes.control(context.model, end, context.processing, EVERY))
        trained = whole.arrays["trained"] if whole else None
    if context.token_filter.plain and trained is not None:
        context.tables.note_trained(context.model, context.processing, end, trained)


def _group_by_form(vocabulary: Vocabulary) -> "tuple[Forms, Traits]":
    """Group the tokens by form; ids that are no tokens have no form."""
    from app.core.judging.spelling import traits

    forms = forms_of(
        [vocabulary.entry(id_).text if known else "" for id_, known in enumerate(vocabulary.known.tolist())]
    )
    return forms, traits(forms.texts)


def _measure_random(context: Context, end: str, judge: Judge) -> Arrays:
    """Measure random directions."""
    import torch

    generator = torch.Generator().manual_seed(CONTROL_SEED)
    vectors = torch.randn(CONTROL_DIRECTIONS, judge.table.vectors.shape[1], generator=generator)
    vectors = torch.nn.functional.normalize(vectors, dim=1)
    readout = context.tables.read(context.model, context.processing, end, vectors, KEPT_TOKENS, context.token_filter)
    ids = np.stack([readout["top_ids"], readout["bottom_ids"]], axis=1)
    found = measure_rays(judge, ids)
    return {name: found[name] for name in ("coherence", "forms", "beyond", "spelling")} | {
        "ids": ids[:CONTROL_SHOWN, :, :CONTROL_TOKENS]
    }


def measure_coherence(judge: Judge, ids: NDArray[np.int32]) -> NDArray[np.float32]:
    """Measure the coherence [n 2] of rays with these tokens [n 2 k], by the length that judges them, as `measured`
    does.
    """
    import torch

    from app.core.exact.shares import map_shares
    from app.core.judging.coherence import coherence

    def measure(own: torch.Tensor) -> torch.Tensor:
        return coherence(judge.table, judge.words, own.long().flatten(0, 1))[:, HEADLINE]

    rays = torch.from_numpy(ids).to(judge.table.ids.device)
    parts = map_shares(measure, rays, least=MIN_RAYS, most=max(1, len(ids)))
    found: NDArray[np.float32] = torch.cat(parts).cpu().view(len(ids), 2).numpy()
    return found


def measure_rays(judge: Judge, ids: NDArray[np.int32]) -> Arrays:
    """Measure rays with these tokens [n 2 k]; nan where too few of them are trained, or have letters.

    For each ray [n 2] there are also n_forms, and letterless, whether most tokens have no letter.
    """
    import torch

    from app.core.exact.shares import map_shares

    def measure(own: torch.Tensor) -> dict[str, torch.Tensor]:
        return _measure_batch(judge, own.long().flatten(0, 1))

    rays = torch.from_numpy(ids).to(judge.table.ids.device)
    parts = map_shares(measure, rays, least=MIN_RAYS, most=max(1, len(ids)))
    found = {name: torch.cat([part[name] for part in parts]).cpu() for name in parts[0]}
    return {name: values.view(len(ids), 2, *values.shape[1:]).numpy() for name, values in found.items()}


def _measure_batch(judge: Judge, rays: "Tensor") -> "dict[str, Tensor]":
    """Measure rays, one row for each."""
    import torch

    from app.core.judging.coherence import first_coherence, put_chosen_first, put_trained_first, trained_coherence
    from app.core.judging.spelling import is_apart, is_repeated, likeness

    # Never-trained tokens are often bytes, or rare: nothing is known of what they mean.
    rows, n_trained = put_trained_first(judge.table, judge.words, rays)
    places = torch.arange(rows.shape[1], device=rows.device)
    codes = torch.where(places < n_trained, judge.codes[rows], -1)
    is_bare = (places < n_trained) & (codes < 0)
    own, n_forms = put_chosen_first(rows, (codes >= 0) & ~is_repeated(codes))
    forms = torch.where(places < n_forms, judge.codes[own], -1).long()
    spelling = [
        torch.where(n_forms[:, 0] >= length, likeness(judge.traits, forms[:, :length]), torch.nan)
        for length in SPELLING_LENGTHS
    ]
    beyond = put_chosen_first(own, is_apart(judge.traits, forms))
    return {
        "coherence": trained_coherence(judge.words, rows, n_trained),
        "forms": first_coherence(judge.words, own, n_forms, FORM_LENGTHS),
        "beyond": first_coherence(judge.words, *beyond, BEYOND_LENGTHS),
        "spelling": torch.stack(spelling, dim=1),
        "n_forms": n_forms[:, 0].int(),
        "letterless": _is_mostly(is_bare, n_trained)
        | _is_mostly(is_bare[:, :FIRST_TRAINED], n_trained.clamp(max=FIRST_TRAINED)),
    }


def _is_mostly(chosen: "Tensor", counts: "Tensor") -> "Tensor":
    """Return whether more than half of so many are chosen."""
    return 2 * chosen.sum(dim=1) > counts[:, 0]
