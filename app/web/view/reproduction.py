"""The choice of the Python script that reproduces a direction's page, and the reasons where none is offered.

The scripts themselves are templates. Knows architectures by name only.
"""

from dataclasses import dataclass

from app.core.basis import BASES
from app.explorer.asking.tasks import Wish
from app.explorer.header import Model
from app.explorer.pages.directions import DirectionPage
from app.explorer.visits.jobs import command_of
from app.models.importing.published import SMOLLM2
from app.store.jobs import Task

TRANSFORMERS_ONLY = "GPT2LMHeadModel"
"""The architecture whose script needs transformers alone; all others go through transformer_lens."""
UNKNOWN_ROTATIONS = frozenset({"GPTJForCausalLM", "CohereForCausalLM", "Gemma3ForCausalLM"})
"""Rotary architectures whose rotation the script does not know; at distance 0 there is none."""
FOUND_SOURCES = ("demo", "local folder")
"""Sources without a revision whose checkpoint the script finds."""
EMBEDDING_NORMED = "BloomForCausalLM"
"""The architecture with a norm between embedding and residual stream."""


@dataclass(frozen=True, slots=True)
class CheckpointPlace:
    """Where a script finds a model's checkpoint; nothing of a folder or a file of the server's own."""

    hub: str | None = None
    revision: str | None = None
    package: str | None = None
    """A package of the Python index, with its version."""
    file: str | None = None
    """The file in that package."""


def place_of(model: Model) -> CheckpointPlace:
    """Tell where a script finds the checkpoint of a model."""
    if model.revision is not None:
        return CheckpointPlace(hub=model.source, revision=model.revision)
    if model.source == SMOLLM2.origin:
        return CheckpointPlace(package=f"{SMOLLM2.package}=={SMOLLM2.version}", file=SMOLLM2.member)
    return CheckpointPlace()


def script_of(page: DirectionPage) -> str:
    """Choose the template of the script for a page."""
    return (
        "_fragments/reproduce_gpt2.txt" if page.model.architecture == TRANSFORMERS_ONLY else "_fragments/reproduce.txt"
    )


def needs_reading(page: DirectionPage) -> bool:
    """Return whether the script needs the embedding to read a side."""
    return not {"read", "query"}.isdisjoint(_sides_of(page))


def needs_writing(page: DirectionPage) -> bool:
    """Return whether a side is read with the unembedding, or the matrix is the unembedding."""
    return page.address.kind == "unembed" or "write" in _sides_of(page)


def needs_embedding_norm(page: DirectionPage) -> bool:
    """Return whether the script has to put the embedding through the norm behind it."""
    used = needs_reading(page) or page.address.kind == "embed"
    return used and page.view.weights == "folded" and page.model.architecture == EMBEDDING_NORMED


def needs_rotation(page: DirectionPage) -> bool:
    """Return whether the script has to rotate queries against keys."""
    if page.address.circuit == "ov" or page.largest_distance is None:
        return False
    # Folded weights at distance 0 are rotated for the scale that YaRN gives the scores.
    scaled = page.view.weights == "folded" and page.model.architecture not in UNKNOWN_ROTATIONS
    return page.view.distance > 0 or scaled


def why_not_reproduced(page: DirectionPage) -> str:
    """Say why a page offers no script; empty where it offers one."""
    if page.model.revision is None and page.model.source not in FOUND_SOURCES:
        return f"No lines are offered for weights out of a GGUF file, which would have to be unpacked: {_repeat_command(page)}."
    if page.view.basis != "svd":
        return f"No lines are offered for {page.view.basis}, only for svd: {_repeat_command(page)}."
    if page.address.kind in {"heads/write", "heads/read"}:
        return f"No lines are offered for {page.address.matrix.label}, which take the OV of every head: {_repeat_command(page)}."
    if page.view.token_filter:
        return "No lines are offered for some of the tokens, only for all of them."
    if page.view.token_filter.readout == "cosine":
        return "No lines are offered for cosines, only for dot products: readout=dot has some."
    return _why_not_qk_reproduced(page) if page.address.circuit == "qk" else ""


def _why_not_qk_reproduced(page: DirectionPage) -> str:
    if page.view.weights == "folded" and page.model.qk_norm != "none":
        return "No lines are offered for folded QK of a model that norms queries and keys; raw weights have some."
    if page.view.distance and page.model.architecture in UNKNOWN_ROTATIONS:
        return "No lines are offered at a distance for this architecture's rotary positions; distance 0 has some."
    return ""


def _repeat_command(page: DirectionPage) -> str:
    """Name the command that computes the same terms, seed included, in any data folder with these weights."""
    parameters = tuple(sorted((choice.name, choice.value) for choice in page.view.parameters))
    task = Task((page.address.path,), (page.view.weights,), page.view.basis, parameters)
    command = command_of(Wish(page.model.slug, page.model.fingerprint, task))
    needed = "these weights and statistics" if BASES[page.view.basis].is_of_text else "these weights"
    return f"{command} computes the same terms in any data folder that has {needed}"


def _sides_of(page: DirectionPage) -> tuple[str, str]:
    return page.left.side, page.right.side
