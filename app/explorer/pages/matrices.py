"""The pages of a matrix, of a head, of one token in a head's full circuits, and of a missing fit."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from app.core.address import Address, Sign
from app.explorer.header import Model, Note
from app.explorer.pages.directions import Determinacy, Direction, SideReadout
from app.explorer.pages.rays import NamedToken, Token, Verdict
from app.explorer.view import Choice, Tab, View
from app.store.jobs import Job, Task


@dataclass(frozen=True, slots=True)
class Curve:
    """The share of a matrix's squared norm that the first terms explain, by projection on their span."""

    at: tuple[int, ...]
    """Numbers of terms, rising from 0."""
    explained: tuple[float, ...]
    """Share explained by so many terms, and by the mean where the basis subtracts it."""
    svd: tuple[float, ...]
    """Share explained by as many singular directions: no other span explains more."""


@dataclass(frozen=True, slots=True)
class Need:
    """How many vectors of one set samples need for a given error."""

    who: Literal["atoms", "random", "pca"]
    """`random`: as many random vectors as there are atoms."""
    errors: tuple[float, ...]
    """Relative error with 1, 2 … vectors a sample."""
    quartiles: tuple[tuple[int, int, int], ...]
    """Quartiles over samples of the vectors needed for each threshold; len(errors) + 1 stands for more."""


@dataclass(frozen=True, slots=True)
class Lonely:
    """An atom that comes near no principal direction, though its tokens are alike."""

    address: Address
    cosine: float
    """The largest cosine, in size, with any principal direction."""
    coherence: float
    """Coherence of the tokens on its + ray."""


@dataclass(frozen=True, slots=True)
class Packing:
    """The geometry of a dictionary's atoms in the residual stream, without the direction of the samples' mean."""

    counts: tuple[int, ...]
    """Pairs of atoms by their cosine, in equal bins from -1 to 1."""
    expected: tuple[float, ...]
    """Counts for as many pairs of random unit vectors."""
    spread: float
    """Root mean square of the cosines."""
    spread_with_mean: float
    """Root mean square of the cosines with the mean left in; equal where the samples' mean is negligible."""
    mean_share: float
    """Share of the samples' squared norm that is their mean."""
    random_spread: float
    """Root mean square of random unit vectors' cosines, `1 / sqrt(d)`."""
    thresholds: tuple[float, ...]
    needs: tuple[Need, ...]
    n_far: int
    """Atoms farther from every principal direction than 95% of random vectors are."""
    n_coherent: int | None
    """Atoms whose tokens are more alike than those of 95% of random vectors; None where that is not known."""
    n_lonely: int
    """Atoms that are far and coherent."""
    lonely: tuple[Lonely, ...]
    """The first lonely atoms, by usage."""
    far: float
    """The largest cosine that counts as far."""
    coherent: float | None
    """The smallest coherence that counts as coherent; None where the vocabulary is too small to tell."""


@dataclass(frozen=True, slots=True)
class MatrixPage:
    """A matrix's table of directions; a head's page shows two of them."""

    address: Address
    model: Model
    view: View
    rank: int
    singular_values: tuple[float, ...]
    """The strengths of all terms, in the basis's order."""
    indices: tuple[int, ...]
    """The index in the address of the term with each of these strengths."""
    scores: tuple[tuple[str, float], ...]
    """(key of SCORES, value): top, stable rank, participation ratio, entropy rank …; OV has `copying` first.

    In another basis: its own scores, such as `error`.
    """
    sides: tuple[str, str]
    """Names of the left and the right side."""
    bias: SideReadout | None
    """The bias, which belongs to no direction: OV's constant, QK's bias towards keys, an MLP's biases, or the mean."""
    bias_term: str
    """The term for the bias: a key of web.glossary.TERMS."""
    tabs: tuple[Tab, ...]
    """The bases that this matrix has."""
    verdicts: tuple[Verdict, ...]
    """Verdicts on the judged sides."""
    packing: Packing | None
    """For a dictionary with two atoms or more besides the samples' mean; else None."""
    curve: Curve | None
    """None for the singular directions of heads: their energy shares tell the same."""
    determinacy: Determinacy | None
    """For a quantised copy; None for other weights, and where it is not known."""
    directions: tuple[Direction, ...]
    """The rows of this page of the table, in the view's order."""
    n_found: int
    """Directions that pass the filter, over all pages."""
    n_pages: int
    """At least 1; on a head's page the view's page may be past the end of the shorter table, which is then empty."""
    notes: tuple[Note, ...]
    """Keys of web.glossary.NOTES: caveats about this table."""
    farthest: int | None
    """The largest distance to choose; None for OV, and for QK of layers without rotation."""
    previous: Address | None
    next: Address | None
    """The same matrix of the next head; `previous` of the head before."""

    @property
    def is_judged(self) -> bool:
        """True if any side is judged."""
        return bool(self.verdicts)


@dataclass(frozen=True, slots=True)
class HeadPage:
    """A head: its OV, what it reads and writes, and its QK, where it looks."""

    address: Address
    model: Model
    view: View
    ov: MatrixPage
    qk: MatrixPage
    previous: Address | None
    next: Address | None

    @property
    def is_judged(self) -> bool:
        """True if either matrix is judged."""
        return self.ov.is_judged or self.qk.is_judged


class Apart(NamedTuple):
    """A token that is set apart because it says little at this end."""

    why: Literal["never-trained", "hub"]
    """Training never moved it, or it is a hub: among the first ten tokens of very many random rays."""
    ray: Sign
    token: Token


@dataclass(frozen=True, slots=True)
class FullRow:
    """One token's row (or column) of a full circuit: its ends, and the token's own score and rank in it."""

    role: Literal["ov", "query", "key"]
    """The token's role: attended to (ov), query or key."""
    readout: SideReadout
    """Readout of all tokens."""
    ordinary: SideReadout
    """Readout without the tokens set apart; longer, so that a page has enough words."""
    apart: tuple[Apart, ...]
    """Tokens of `readout` that are set apart."""
    own_score: float
    own_rank: int
    """1 for the largest score of all tokens."""


@dataclass(frozen=True, slots=True)
class FullPage:
    """A head's full circuits in vocabulary space, for one token: never the whole matrix."""

    address: Address
    """The head's address."""
    model: Model
    view: View
    token: NamedToken | None
    """None until a visitor names one."""
    rows: tuple[FullRow, ...]
    """Rows for OV, query and key; none without a token."""
    n_tokens: int
    """Tokens that a row has scores for; 0 without a token."""
    suggested: tuple[NamedToken, ...]
    """Other spellings of the token, or tokens to begin with."""
    notes: tuple[Note, ...]
    farthest: int | None
    """The largest distance to choose; None where QK does not depend on distance."""
    previous: Address | None
    next: Address | None
    """The heads before and after."""


@dataclass(frozen=True, slots=True)
class FitPage:
    """A fit that was not computed yet, the computed ones, and how to start it."""

    address: Address
    """The decomposition's address."""
    model: Model
    view: View
    tabs: tuple[Tab, ...]
    there: tuple[tuple[Choice, ...], ...]
    """Parameters of the computed fits of this matrix in this basis and these weights."""
    task: Task
    """The task that computes it; `command` does the same in a terminal."""
    command: str
    job: Job | None
    """The newest job that was to compute it, in whatever state."""
