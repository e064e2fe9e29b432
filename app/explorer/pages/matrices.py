"""The page of a matrix, of a head, of one token through a head's full circuits, and of a fit that is not there."""

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
    """How much of a matrix the first terms explain: of its squared size, by projection on their span."""

    at: tuple[int, ...]
    """Numbers of terms, rising from 0."""
    explained: tuple[float, ...]
    """By so many terms, and the mean where the basis takes that out."""
    svd: tuple[float, ...]
    """By as many singular directions: no other span explains more."""


@dataclass(frozen=True, slots=True)
class Need:
    """How many vectors samples need, written with one set of them."""

    who: Literal["atoms", "random", "pca"]
    """`random`: as many random vectors as there are atoms."""
    errors: tuple[float, ...]
    """Relative error with 1, 2 … vectors a sample."""
    quartiles: tuple[tuple[int, int, int], ...]
    """For each threshold, over samples; one more than `errors` has stands for more than that."""


@dataclass(frozen=True, slots=True)
class Lonely:
    """An atom that comes near no principal direction, though its tokens are alike."""

    address: Address
    cosine: float
    """The largest, in size, to any of them."""
    coherence: float
    """Of the tokens on its + ray."""


@dataclass(frozen=True, slots=True)
class Packing:
    """How a dictionary's atoms lie in the residual stream, without the direction of the samples' mean."""

    counts: tuple[int, ...]
    """Pairs of atoms by their cosine, in equal bins from -1 to 1."""
    expected: tuple[float, ...]
    """As many pairs of random unit vectors."""
    spread: float
    """Root mean square of the cosines."""
    spread_with_mean: float
    """The same of the atoms as they are; equal where the samples have no mean to speak of."""
    mean_share: float
    """How much of the samples' squared size their mean is."""
    random_spread: float
    """`1 / sqrt(d)`, that of random unit vectors."""
    thresholds: tuple[float, ...]
    needs: tuple[Need, ...]
    n_far: int
    """Atoms that come less near any principal direction than 95% of random vectors do."""
    n_coherent: int | None
    """Atoms, of all, whose tokens are more alike than those of 95% of random vectors."""
    n_lonely: int
    """Those that are both."""
    lonely: tuple[Lonely, ...]
    """The first of these, by usage."""
    far: float
    """The largest cosine that counts as far."""
    coherent: float | None
    """The smallest coherence that counts; None where the vocabulary is too small to tell."""


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
    """What the address of the term with each of these strengths ends with."""
    scores: tuple[tuple[str, float], ...]
    """(key of SCORES, value): top, stable rank, participation ratio, entropy rank …; OV has `copying` first.

    In another basis: what it says of itself, such as its `error`.
    """
    sides: tuple[str, str]
    """Names of the left and the right side."""
    bias: SideReadout | None
    """What belongs to no direction: the constant that OV writes, QK's bias towards keys, an MLP's biases, the mean."""
    bias_term: str
    """What that is called: a key of web.glossary.TERMS."""
    tabs: tuple[Tab, ...]
    """The bases that this matrix can be seen in."""
    verdicts: tuple[Verdict, ...]
    """Of the sides that are judged."""
    packing: Packing | None
    """Of a dictionary with two atoms or more that are not the samples' mean."""
    curve: Curve | None
    """None for the singular directions of heads: their shares say it."""
    determinacy: Determinacy | None
    """Of a quantised copy; None of other weights, and where it is not known."""
    directions: tuple[Direction, ...]
    """The rows of this page of the table, in the view's order."""
    n_found: int
    """Directions that pass the filter, over all pages."""
    n_pages: int
    """At least 1; on a head's page the view's page may be past the end of the shorter table, which is then empty."""
    notes: tuple[Note, ...]
    """Keys of web.glossary.NOTES: what a reader must know before believing this table."""
    farthest: int | None
    """The largest distance to choose; None where distance means nothing: OV, and QK that no rotation turns."""
    previous: Address | None
    next: Address | None
    """The same matrix of the heads before and after."""

    @property
    def is_judged(self) -> bool:
        """Whether any side is."""
        return bool(self.verdicts)


@dataclass(frozen=True, slots=True)
class HeadPage:
    """A head: what it reads and writes, and where it looks."""

    address: Address
    model: Model
    view: View
    ov: MatrixPage
    qk: MatrixPage
    previous: Address | None
    next: Address | None

    @property
    def is_judged(self) -> bool:
        """Whether either matrix is."""
        return self.ov.is_judged or self.qk.is_judged


class Apart(NamedTuple):
    """A token that says little where it stands."""

    why: Literal["never-trained", "hub"]
    """Training never moved it, or it is among the first ten at the ends of very many random directions."""
    ray: Sign
    token: Token


@dataclass(frozen=True, slots=True)
class FullRow:
    """One token's row (or column) of a full circuit: its ends, and where the token itself stands in it."""

    role: Literal["ov", "query", "key"]
    """The token as what is attended to, as the query, as the key."""
    readout: SideReadout
    """All tokens, as they score."""
    ordinary: SideReadout
    """Without those that are set apart; more of them, so that a page has enough words."""
    apart: tuple[Apart, ...]
    """Those of the first readout that are in no ordinary one."""
    own_score: float
    own_rank: int
    """1 for the largest score of all tokens."""


@dataclass(frozen=True, slots=True)
class FullPage:
    """A head's full circuits in vocabulary space, for one token: never the whole matrix."""

    address: Address
    """Of the head."""
    model: Model
    view: View
    token: NamedToken | None
    """None until a visitor names one."""
    rows: tuple[FullRow, ...]
    """OV, as a query, as a key; none without a token."""
    n_tokens: int
    """Tokens that a row has scores of; 0 without a token."""
    suggested: tuple[NamedToken, ...]
    """Other spellings of the token, or tokens to begin with."""
    notes: tuple[Note, ...]
    farthest: int | None
    """The largest distance to choose; None where distance means nothing."""
    previous: Address | None
    next: Address | None
    """The heads before and after."""


@dataclass(frozen=True, slots=True)
class FitPage:
    """A decomposition that nobody has computed yet, and what there is instead."""

    address: Address
    """Of the decomposition."""
    model: Model
    view: View
    tabs: tuple[Tab, ...]
    there: tuple[tuple[Choice, ...], ...]
    """The parameters of those that were computed for this matrix in this basis and these weights."""
    task: Task
    """What computes it, and in a terminal: `command`."""
    command: str
    job: Job | None
    """The last that was to compute it: perhaps it is at it, perhaps it was cancelled or failed."""
