"""The pages of a matrix, of a head, of one token in a head's full circuits, and of a missing fit."""

from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

from pydantic import PlainSerializer, computed_field

from app.core.address import Address, BasisName, Sign
from app.explorer.header import Model
from app.explorer.pages.directions import Determinacy, Direction, SideReadout
from app.explorer.pages.rays import NamedTokenValue, Token, TokenJson, Verdict, write_tokens
from app.explorer.pages.shared import AtDistance, Labelled, Linked, Notes, OfMatrix, OfWeights, WithReadouts
from app.explorer.pages.using.statistics import HeadAxes, HeadUse
from app.explorer.serial import UNREAD, AddressText, ForPeople, Numbers, SignWord
from app.explorer.view import Choice, Only, Sort, Tab, View
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
    """The dictionary's atoms, as many random vectors, or the principal directions."""
    errors: tuple[float, ...]
    """Relative error of the samples, less their mean, with 1, 2 … vectors a sample."""
    quartiles: tuple[tuple[int, int, int], ...]
    """Quartiles over samples of the vectors needed for each threshold; one more than `errors` has stands for more."""


@dataclass(frozen=True, slots=True)
class Lonely:
    """An atom that comes near no principal direction, though its tokens are alike."""

    address: AddressText
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
    """Relative errors of a sample."""
    needs: tuple[Need, ...]
    n_far: int
    """Atoms farther from every principal direction than 95% of random vectors are."""
    n_coherent: int | None
    """Atoms whose tokens are more alike than those of 95% of random vectors; None where that is not known."""
    n_lonely: int
    """Atoms that are far and coherent."""
    lonely: tuple[Lonely, ...]
    """The first lonely atoms, by usage."""
    far: ForPeople[float]
    """The largest cosine that counts as far."""
    coherent: ForPeople[float | None]
    """The smallest coherence that counts as coherent; None where the vocabulary is too small to tell."""


@dataclass(frozen=True, slots=True)
class MatrixPage(Labelled, Linked, OfMatrix, OfWeights, WithReadouts, AtDistance):
    """A matrix with one page of its directions; a head's page shows two of them."""

    address: AddressText
    model: ForPeople[Model]
    view: ForPeople[View]
    rank: int
    singular_values: tuple[float, ...]
    """The strengths of all terms, in the basis's order; in the neuron basis that is by falling norm, not by index."""
    indices: ForPeople[tuple[int, ...]]
    """The index in the address of the term with each of these strengths."""
    scores: Numbers
    """Scores of the matrix: top, stable rank, participation ratio, entropy rank …; OV has `copying` first. In another
    basis than svd its own scores, such as `error`."""
    sides: ForPeople[tuple[str, str]]
    """Names of the left and the right side."""
    bias: SideReadout | None
    """The bias, which belongs to no direction: OV's constant, QK's bias towards keys, an MLP's biases, or the samples'
    mean. None where there is none."""
    bias_term: ForPeople[str]
    """The term for the bias: a key of web.glossary.TERMS."""
    tabs: ForPeople[tuple[Tab, ...]]
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
    """The rows of this page of the table, in its order."""
    n_found: int
    """Directions that pass `only` and `find`, over all pages."""
    n_pages: int
    """At least 1; on a head's page `page` may be past the end of the shorter table, which is then empty."""
    notes: Notes
    """Facts that a reader must know before trusting the table, a word each; the page for people has a sentence for it."""
    largest_distance: ForPeople[int | None]
    """The largest distance to choose; None for OV, and for QK of layers without rotation."""
    previous: ForPeople[Address | None]
    next: ForPeople[Address | None]
    """The same matrix of the next head; `previous` of the head before."""
    use: HeadUse | None = None
    """What it does on text; None where no statistics of the model's own text were computed, and for all but a head's OV."""
    axes: HeadAxes | None = None
    """What the axes of a head's output are fitted to; None in another basis."""

    @property
    def is_judged(self) -> bool:
        """True if any side is judged."""
        return bool(self.verdicts)

    @computed_field
    @property
    def bases(self) -> tuple[BasisName, ...]:
        """The bases that this matrix can be seen in."""
        return tuple(tab.basis for tab in self.tabs)

    @computed_field
    @property
    def sort(self) -> Sort:
        """The order of the table."""
        return self.view.sort

    @computed_field
    @property
    def only(self) -> Only:
        """The filter of the table by readability."""
        return self.view.only

    @computed_field
    @property
    def find(self) -> str:
        """The text that kept tokens of a direction must contain; empty for any."""
        return self.view.find

    @computed_field
    @property
    def page(self) -> int:
        """Number of this page of the table, from 1."""
        return self.view.page


@dataclass(frozen=True, slots=True)
class HeadPage(Labelled, Linked, OfWeights):
    """A head: its OV, what it reads and writes, and its QK, where it looks."""

    address: AddressText
    model: ForPeople[Model]
    view: ForPeople[View]
    ov: MatrixPage
    qk: MatrixPage
    previous: ForPeople[Address | None]
    next: ForPeople[Address | None]

    @property
    def is_judged(self) -> bool:
        """True if either matrix is judged."""
        return self.ov.is_judged or self.qk.is_judged


class Apart(NamedTuple):
    """A token that is set apart because it says little at this end."""

    why: Literal["never-trained", "hub"]
    ray: Sign
    token: Token


class ApartJson(TokenJson):
    """A token that is set apart because it says little at this end."""

    why: Literal["never-trained", "hub"]
    """Training never moved it, or it is a hub: among the first ten tokens of very many random rays."""
    ray: SignWord


def _write_apart(tokens: tuple[Apart, ...]) -> list[ApartJson]:
    return [{"why": one.why, "ray": one.ray, **write_tokens((one.token,))[0]} for one in tokens]


@dataclass(frozen=True, slots=True)
class FullRow:
    """One token's row (or column) of a full circuit: its ends, and the token's own score and rank in it."""

    role: Literal["ov", "query", "key"]
    """The token's role: attended to (read out as what is written), the query (as keys), or the key (as queries)."""
    readout: SideReadout
    """Readout of all tokens."""
    ordinary: SideReadout
    """Readout without the tokens set apart, with up to 50 at either end."""
    apart: Annotated[tuple[Apart, ...], UNREAD, PlainSerializer(_write_apart, return_type=list[ApartJson])]
    """Tokens of `readout` that are set apart."""
    own_score: float
    """Score of the token itself."""
    own_rank: int
    """1 for the largest score of all tokens."""


@dataclass(frozen=True, slots=True)
class FullPage(Labelled, Linked, OfWeights, AtDistance):
    """A head's full circuits in vocabulary space, for one token: never the whole matrix."""

    address: AddressText
    """The head's address."""
    model: ForPeople[Model]
    view: ForPeople[View]
    token: NamedTokenValue | None
    """None until a token is named; then there are no rows."""
    rows: tuple[FullRow, ...]
    """Rows for OV, query and key; none without a token."""
    n_tokens: int
    """Tokens that a row has scores for; 0 without a token."""
    suggested: tuple[NamedTokenValue, ...]
    """Other spellings of the token, or tokens to begin with."""
    notes: Notes
    """Facts that a reader must know before trusting the rows, a word each; the page for people has a sentence for it."""
    largest_distance: ForPeople[int | None]
    """The largest distance to choose; None where QK does not depend on distance."""
    previous: ForPeople[Address | None]
    next: ForPeople[Address | None]
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
