"""Which lines of Python show a direction again, and where none are offered: they must print what the page shows.

The lines themselves are templates. Knows architectures by name only.
"""

from app.explorer.asking.tasks import Wish
from app.explorer.pages.directions import DirectionPage
from app.explorer.visits.jobs import command_of
from app.store.jobs import Task

PLAIN = "GPT2LMHeadModel"
"""Read with transformers alone; everything else through transformer_lens."""
PAIRED_OTHERWISE = frozenset({"GPTJForCausalLM", "CohereForCausalLM", "Gemma3ForCausalLM"})
"""Rotary architectures whose turning the lines do not know; at distance 0 there is none."""
WITH_LINES = ("demo", "local folder")
"""Where the lines find a checkpoint besides the hub, whose models have a revision."""
EMBEDDING_NORMED = "BloomForCausalLM"
"""A norm stands between its embedding and its stream."""


def script_of(page: DirectionPage) -> str:
    """The template of the lines for that page."""
    return "_fragments/reproduce_gpt2.txt" if page.model.architecture == PLAIN else "_fragments/reproduce.txt"


def needs_reading(page: DirectionPage) -> bool:
    """Whether a side is read with what stands in the stream at each token."""
    return not {"read", "query"}.isdisjoint(_sides(page))


def needs_writing(page: DirectionPage) -> bool:
    """Whether a side is read with the unembedding, or the matrix is the unembedding."""
    return page.address.kind == "unembed" or "write" in _sides(page)


def norms_embedding(page: DirectionPage) -> bool:
    """Whether what stands in the stream at a token is not its embedding but what a norm makes of that."""
    used = needs_reading(page) or page.address.kind == "embed"
    return used and page.view.weights == "folded" and page.model.architecture == EMBEDDING_NORMED


def is_turned(page: DirectionPage) -> bool:
    """Whether the lines have to turn queries against keys."""
    if page.address.circuit == "ov" or page.farthest is None:
        return False
    # Folded weights at distance 0 are turned for the scale that YaRN gives the scores.
    scaled = page.view.weights == "folded" and page.model.architecture not in PAIRED_OTHERWISE
    return page.view.distance > 0 or scaled


def why_not(page: DirectionPage) -> str:
    """Why no lines are offered for that page, as a sentence; empty where some are."""
    if page.model.revision is None and page.model.source not in WITH_LINES:
        return f"No lines are offered for weights out of a GGUF file, which would have to be unpacked: {_same_again(page)}."
    if page.view.basis != "svd":
        return f"No lines are offered for {page.view.basis}, only for svd: {_same_again(page)}."
    if page.address.kind in {"heads/write", "heads/read"}:
        return f"No lines are offered for {page.address.matrix.label}, which take the OV of every head: {_same_again(page)}."
    if page.view.selection:
        return "No lines are offered for some of the tokens, only for all of them."
    if page.view.selection.readout == "cosine":
        return "No lines are offered for cosines, only for dot products: readout=dot has some."
    return _why_not_qk(page) if page.address.circuit == "qk" else ""


def _why_not_qk(page: DirectionPage) -> str:
    if page.view.weights == "folded" and page.model.qk_norm != "none":
        return "No lines are offered for folded QK of a model that norms queries and keys; raw weights have some."
    if page.view.distance and page.model.architecture in PAIRED_OTHERWISE:
        return "No lines are offered at a distance for this architecture's rotary positions; distance 0 has some."
    return ""


def _same_again(page: DirectionPage) -> str:
    """The command that comes to the same terms, seed and all, wherever these weights are."""
    parameters = tuple(sorted((choice.name, choice.value) for choice in page.view.parameters))
    task = Task((page.address.path,), (page.view.weights,), page.view.basis, parameters)
    command = command_of(Wish(page.model.slug, page.model.fingerprint, task))
    return f"{command} computes the same terms in any data folder that has these weights"


def _sides(page: DirectionPage) -> tuple[str, str]:
    return page.direction.left.side, page.direction.right.side
