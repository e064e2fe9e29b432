"""What readouts are judged by: the same numbers of random directions, read with the same table.

One for each table: a model's end (read or write) under one weight processing, limited to a selection of tokens. All
matrices share it. Kept as an artifact, of which

    trained [d_vocab]             which tokens training has moved; never those that the tokenizer does not know
    mean [d_model]  components [n d_model]    what is taken out of the vectors before they are compared
    coherence [DIRECTIONS 2 3]    of both rays, by LENGTHS        spelling [DIRECTIONS 2]
    ids [SHOWN 2 SHOWN_TOKENS]    the tokens of the first random rays

Runs in the worker's thread or in a job's process. Knows no pages.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from app.core.rays import HEADLINE, LENGTHS
from app.explorer.bench import KEPT_TOKENS, Arrays, Baked, Bench
from app.explorer.library import OpenModel
from app.explorer.pages import Processing
from app.explorer.tables import end_of
from app.models.selection import EVERY, Selection
from app.models.vocabulary import Vocabulary
from app.store.artifacts import Artifact, Recipe

if TYPE_CHECKING:
    from torch import Tensor

    from app.core.coherence import Lexicon
    from app.core.readout import TokenTable
    from app.core.spelling import Traits

DIRECTIONS = 2_000
SHOWN, SHOWN_TOKENS = 1_000, 20
"""Random directions whose tokens are kept, and how many a ray, for whoever wants to compare."""
SEED = 7_245_331
"""Not one that weights are likely drawn with: the random directions of a control would be the model's own tokens."""
SPELT = 20
"""Trained tokens whose spelling is compared."""
LEAST_RAYS = 64
"""That are worth a core of their own while they are measured; two of them a direction."""
LEAST_TOKENS = 100
"""Trained tokens below which the top 50 are half the vocabulary: nothing is judged then."""
MEASURED = {
    "directions": DIRECTIONS,
    "seed": SEED,
    "tokens": KEPT_TOKENS,
    "spelt": SPELT,
    "least_tokens": LEAST_TOKENS,
    "lengths": LENGTHS,
    "headline": HEADLINE,
    "least": 20,
    "removed": 16,
    "neighbours": 20,
    "collapsed": 0.9,
    "most_bits": 8.0,
}
"""All that decides z and p of a ray, besides the weights. The last five are constants of `app.core.coherence`, `collapse`
and `spelling`, said again since a page that is there must not wait for torch."""
MEASURE = int(hashlib.sha256(json.dumps(MEASURED, sort_keys=True).encode()).hexdigest()[:8], 16)
"""Stands for all of that in the recipe of whatever is judged: what another measure judged is another artifact."""
PARAMETERS = {"measure": MEASURE, "shown": SHOWN}


@dataclass(frozen=True)
class Control:
    """A table's control, and what it takes to measure a ray as the control was measured."""

    table: "TokenTable"
    words: "Lexicon"
    traits: "Traits"
    coherence: NDArray[np.float32]
    """[DIRECTIONS 2 3]: both rays of each random direction, by LENGTHS."""
    spelling: NDArray[np.float32]
    """[DIRECTIONS 2]."""


def recipe(model: OpenModel, end: str, processing: Processing, selection: Selection) -> Recipe:
    """Of a control; of no decomposition, so `control` stands where a basis would."""
    parameters = PARAMETERS | selection.parameters()
    return Recipe(model.fingerprint, f"control/{end}", processing, "control", tuple(sorted(parameters.items())))


def n_bytes(model: OpenModel) -> int:
    """Of a control on disk, about."""
    d, tokens = model.manifest.d_model, min(SHOWN_TOKENS, model.manifest.d_vocab)
    return model.manifest.d_vocab + d * d // 4 + 8 * SHOWN * tokens + 32 * DIRECTIONS + 4_000


def control(bench: Bench, side: str) -> Control | None:
    """What that side's readouts are judged by; None where too few tokens were trained, or pass the selection."""
    key = (bench.model.fingerprint, bench.processing, end_of(bench.model, bench.processing, side), bench.selection)
    return bench.tables.control(key, lambda: _built(bench, key[2])[1])


def _built(bench: Bench, end: str) -> tuple[Artifact, Control | None]:
    import torch

    from app.core.coherence import lexicon
    from app.core.spelling import Traits, traits

    own = recipe(bench.model, end, bench.processing, bench.selection)
    kept = bench.store.load(own)
    arrays = dict(kept.arrays) if kept else _shared(bench, end)
    table = bench.tables.table(bench.model, bench.processing, end, bench.selection)
    device = table.vectors.device
    trained, mean, components = (
        torch.from_numpy(arrays[name]).to(device) for name in ("trained", "mean", "components")
    )
    trained = trained[table.ids]
    words = lexicon(table.vectors, trained, mean, components)
    # A model's two tables have the same tokens.
    key = (bench.model.fingerprint, "traits")
    spelt = bench.tables.control(key, lambda: traits(_texts(bench.model.vocabulary)))
    spelt = Traits(*(part.to(device) for part in spelt))
    if kept is None:
        if int(trained.sum()) >= LEAST_TOKENS:
            arrays |= _measured(bench, end, table, words, spelt)
        kept = bench.store.save(own, arrays, {"trained": int(trained.sum())})
    if "coherence" not in kept.arrays:
        return kept, None
    return kept, Control(table, words, spelt, kept.arrays["coherence"], kept.arrays["spelling"])


def artifact(bench: Bench, end: str) -> Baked:
    """The control's arrays and facts, computed if they are not there: what is held in memory may outlive its file."""
    kept = bench.store.load(recipe(bench.model, end, bench.processing, bench.selection)) or _built(bench, end)[0]
    return dict(kept.arrays), kept.facts


def _shared(bench: Bench, end: str) -> Arrays:
    """What does not depend on the selection."""
    import torch

    from app.core.coherence import shared_components
    from app.core.collapse import is_trained

    if bench.selection:
        kept = bench.store.load(recipe(bench.model, end, bench.processing, EVERY))
        if kept is not None:
            return {name: kept.arrays[name] for name in ("trained", "mean", "components")}
    table = bench.tables.table(bench.model, bench.processing, end)
    own = is_trained(table.vectors, table.proposals[0].rows.dtype)
    mean, components = shared_components(table.vectors, own)
    trained = torch.zeros(bench.model.vocabulary.size, dtype=torch.bool)
    trained[table.ids.cpu()] = own.cpu()
    return {"trained": trained.numpy(), "mean": mean.cpu().numpy(), "components": components.cpu().numpy()}


def _texts(vocabulary: Vocabulary) -> list[str]:
    """The tokens' texts by id; empty for ids that are none."""
    return [vocabulary.entry(id_).text if known else "" for id_, known in enumerate(vocabulary.known.tolist())]


def _measured(bench: Bench, end: str, table: "TokenTable", words: "Lexicon", spelt: "Traits") -> Arrays:
    """The numbers of random directions."""
    import torch

    generator = torch.Generator().manual_seed(SEED)
    vectors = torch.randn(DIRECTIONS, table.vectors.shape[1], generator=generator)
    vectors = torch.nn.functional.normalize(vectors, dim=1)
    readout = bench.tables.read(bench.model, bench.processing, end, vectors, KEPT_TOKENS, bench.selection)
    ids = np.stack([readout["top_ids"], readout["bottom_ids"]], axis=1)
    return measured(table, words, spelt, ids) | {"ids": ids[:SHOWN, :, :SHOWN_TOKENS]}


def measured(table: "TokenTable", words: "Lexicon", spelt: "Traits", ids: NDArray[np.int32]) -> Arrays:
    """Coherence [n 2 3] and spelling [n 2] of rays with these tokens [n 2 k]; nan where too few of them are trained."""
    import torch

    from app.core.shares import shared

    def measure(own: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return _measured_some(table, words, spelt, own.long().flatten(0, 1))

    parts = shared(measure, torch.from_numpy(ids).to(table.ids.device), least=LEAST_RAYS, most=max(1, len(ids)))
    alike, spelling = (torch.cat(column).cpu() for column in zip(*parts, strict=True))
    n = len(ids)
    return {"coherence": alike.view(n, 2, alike.shape[1]).numpy(), "spelling": spelling.view(n, 2).numpy()}


def _measured_some(table: "TokenTable", words: "Lexicon", spelt: "Traits", rays: "Tensor") -> "tuple[Tensor, Tensor]":
    """Of a row a ray."""
    import torch

    from app.core.coherence import coherence, trained_first
    from app.core.spelling import likeness

    # Never-trained tokens are often bytes, which are alike in script: they would make up the control's largest values.
    first, counts = trained_first(table, words, rays)
    spelling = torch.where(counts[:, 0] >= SPELT, likeness(spelt, table.ids[first[:, :SPELT]]), torch.nan)
    return coherence(table, words, rays), spelling
