"""The facts about a model that every one of its pages shows, some of them needed to read its tables. Knows no page."""

from dataclasses import dataclass
from typing import Literal

from pydantic import computed_field

from app.core.address import CIRCUITS, LAYER_KINDS, Kind
from app.explorer.serial import ForPeople, Numbers
from app.explorer.view import PROCESSINGS, Processing

Note = Literal[
    "folded",
    "raw",
    "raw-read",
    "raw-encoder",
    "stream-read",
    "post-norm",
    "raw-post-norm",
    "tied",
    "untied",
    "no-unembedding",
    "sinks",
    "qk-no-write",
    "qk-norm",
    "raw-qk-norm",
    "no-rotation",
    "rotation",
    "still-layer",
    "zero-matrix",
    "raw-read-mlp",
    "mlp-in",
    "mlp-gate",
    "mlp-out",
    "mlp-raw-post-norm",
    "mlp-post-norm",
    "embed",
    "unembed",
    "unembed-folded",
    "tied-page",
    "tied-folded",
    "pos",
    "stack",
    "full-rows",
]
"""Facts that a reader must know before trusting a table; web.glossary.NOTES has a sentence for each."""


@dataclass(frozen=True, slots=True)
class Quantised:
    """How the numbers of a quantised copy were rounded."""

    kind: str
    """The quantisation in llama.cpp's words, such as `Q4_1`."""
    bits: int
    """Bits of each number."""
    others: ForPeople[tuple[tuple[str, str], ...]] = ()
    """Matrices that are stored as another kind, by their names in weights, such as `blocks.3.attn.W_V`."""


@dataclass(frozen=True, slots=True)
class Model:
    """The facts that every page of a model shows in its header."""

    slug: str
    """The name in links."""
    name: str
    """The common name: `gpt2`, `singular-lens demo`."""
    fingerprint: str
    pin: ForPeople[str]
    """The first digits of the fingerprint, for links that name these very weights."""
    n_layers: int
    n_heads: int
    d_model: int
    d_head: int
    d_vocab: int
    n_ctx: int
    n_params: int
    dtype: str
    """The dtype of the stored weights."""
    rounded: bool
    """The checkpoint has numbers of float64, and the nearest of float32 are kept."""
    tied: bool
    """Embedding and unembedding are one matrix."""
    source: str
    """Hub id or `local folder`; never a path."""
    hub: str | None
    """The hub model that this is said to be."""
    licence: str | None
    """The licence, in the words of the folder or file."""
    revision: str | None
    architecture: str
    """The checkpoint's own word, such as `GPT2LMHeadModel`."""
    n_kv_heads: int
    """Key/value heads; fewer than heads where queries share them."""
    n_experts: int
    """Experts of each MLP; 0 for a dense MLP."""
    d_mlp: int
    """Neurons of each MLP; 0 where it is a mixture, or none."""
    gated: bool
    """The MLP's neurons are multiplied by gates, which read by a matrix of their own."""
    positions: Literal["learned", "rotary", "alibi"]
    """How positions enter: vectors in the stream, rotated queries and keys, or a slope on the scores."""
    normalization: Literal["LN", "RMS"]
    qk_norm: Literal["none", "RMS", "LN"]
    """Queries and keys pass through norms of their own."""
    reads_normed: bool
    """Attention reads the stream through a norm."""
    post_norm: bool
    """The heads' output passes through a norm on its way to the stream."""
    mlp_reads: Literal["ln2", "ln1", "stream"]
    """The norm through which the MLP reads the stream: its own, attention's, or none."""
    mlp_post_norm: bool
    """The MLP's output passes through a norm on its way to the stream."""
    sinks: bool
    """Attention has sinks: it may attend to nothing."""
    encoder: bool
    """Reads both ways and has no unembedding: both sides of OV are read with the embedding."""
    runs: bool
    """Its weights are proven to make the model's own parameters, so that it can be run on prompts."""
    checks: Numbers
    """The identities that were checked at import, each with its largest relative error over all layers."""
    unfoldable: ForPeople[str | None]
    """A sentence saying why `folded` means nothing for these weights; None where they can be folded."""
    quantised: Quantised | None
    """The quantisation; None for weights that are no quantised copy."""

    @computed_field
    @property
    def matrices(self) -> tuple[Kind, ...]:
        """The kinds of matrices that have pages."""
        return (*CIRCUITS, *self.layer_kinds, *self.model_kinds)

    @computed_field
    @property
    def processings(self) -> tuple[Processing, ...]:
        """The values of `weights` that mean something for this model."""
        return PROCESSINGS if self.unfoldable is None else ("raw",)

    @property
    def layer_kinds(self) -> tuple[Kind, ...]:
        """The matrices that each layer has besides its heads'."""
        if not self.d_mlp:
            return ()
        return tuple(kind for kind in LAYER_KINDS if self.gated or kind != "mlp-gate")

    @property
    def model_kinds(self) -> tuple[Kind, ...]:
        """The matrices that belong to no layer."""
        unembed: tuple[Kind, ...] = () if self.encoder else ("unembed",)
        pos: tuple[Kind, ...] = ("pos",) if self.positions == "learned" else ()
        return ("embed", *unembed, *pos, "heads/write", "heads/read")
