"""What a model's stream says at every layer of a prompt: the logit lens, and how much of it lies in a basis."""

import math
from dataclasses import dataclass
from typing import Literal

from app.core.address import Address
from app.explorer.header import Model
from app.explorer.pages.circuitry import OfToken
from app.explorer.pages.shared import Linked, OfWeights
from app.explorer.pages.using.attention import PlacedToken
from app.explorer.pages.using.prompts import NextToken, OfReference
from app.explorer.serial import ForPeople
from app.explorer.view import View
from app.models.vocabulary import TokenEntry

LensBasis = Literal["svd", "pca", "nmf", "frequency", "neuron"]
"""The bases of the embedding in which the stream is measured; neuron: the stream's own coordinates."""


@dataclass(frozen=True, slots=True)
class LensCell(OfToken):
    """What the stream says at one point and one position: the token that would be likeliest."""

    entry: ForPeople[TokenEntry]
    top_chance: float
    """Its chance there."""
    rank: int
    """The place that the token has there which is likeliest in the end, from 1 on."""
    chance: float
    """That token's chance there."""
    divergence: float
    """KL of the chances in the end from those there, in nats."""


@dataclass(frozen=True, slots=True)
class LensPoint:
    """A point of the stream: where a layer begins, or the end."""

    point: int
    """Layers before it."""
    cells: tuple[LensCell, ...]
    """By position."""
    divergence: float
    """The mean over all positions but the first, in nats."""
    attention: float | None
    """What the heads of the layer that begins there add, at the chosen position, to the logit of the token that is likeliest
    in the end, above the mean of all; null at the end."""
    mlp: float | None
    """What its MLP adds to it."""


@dataclass(frozen=True, slots=True)
class SpanShare:
    """How much of the stream lies in the span of the first terms of a basis."""

    size: int
    """So many terms."""
    random: float
    """The share that as many random directions have on average."""
    shares: tuple[float, ...]
    """The share of the stream's energy at each point, the mean over all positions but the first."""


@dataclass(frozen=True, slots=True)
class LensPage(OfReference, Linked, OfWeights):
    """What a model's stream says at every layer of a prompt."""

    address: ForPeople[Address]
    """The model's address."""
    model: ForPeople[Model]
    view: ForPeople[View]
    tokens: tuple[PlacedToken, ...]
    at: int
    """The chosen position."""
    ends: tuple[NextToken, ...]
    """The token that is likeliest in the end, at each position."""
    points: tuple[LensPoint, ...]
    """The stream from where the first layer begins to the end."""
    is_shifted: bool
    """The stream is read with what its mean still lacks there; else as it is."""
    constant: float | None
    """KL of the chances in the end from their mean on the reference text, the same everywhere: the mean over all positions
    but the first; a lens above it says less than no lens. Null without statistics."""
    constant_here: float | None
    """The same at the chosen position."""
    embedding: float
    """What the embedding and the model's biases add at the chosen position: with all heads and MLPs the logit of the token
    that is likeliest in the end, above the mean of all."""
    basis: LensBasis | None
    """The basis of the embedding that the stream is measured in; null: none is chosen."""
    spans: tuple[SpanShare, ...]
    is_raw: ForPeople[bool] = False
    """The visitor asked for the stream as it is."""

    @property
    def end(self) -> NextToken:
        """The token that is likeliest in the end, at the chosen position."""
        return self.ends[self.at]

    @property
    def found(self) -> int:
        """The first point at which that token is the likeliest at the chosen position."""
        return next(one.point for one in self.points if one.cells[self.at].rank == 1)

    @property
    def settled(self) -> int:
        """The point from which on it stays so."""
        others = [one.point for one in self.points if one.cells[self.at].rank > 1]
        return max(others) + 1 if others else 0

    @property
    def blind(self) -> int | None:
        """The last point at which the lens is further from the end than the same chances everywhere; None: none is."""
        return max((one.point for one in self.points if one.divergence > (self.constant or math.inf)), default=None)
