"""What pages have in common in their JSON: links, weights, readouts. Knows no URL and no HTTP.

Who writes a page as JSON supplies its links, as the context.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Protocol, TypeVar

from pydantic import PlainSerializer, SerializationInfo, computed_field
from typing_extensions import TypedDict

from app.core.address import Address, BasisName, Kind
from app.explorer.header import Model, Note
from app.explorer.view import Choice, Processing, View
from app.models.token_filter import Product

T = TypeVar("T")

Notes = Annotated[tuple[Note, ...], PlainSerializer(list, return_type=list[str])]
"""Keys of notes: in JSON any words, so that a new one breaks no reader."""


def write_parameters(choices: tuple[Choice, ...]) -> dict[str, int]:
    """Write the parameters of a basis by name."""
    return {choice.name: choice.value for choice in choices}


Parameters = Annotated[tuple[Choice, ...], PlainSerializer(write_parameters, return_type=dict[str, int])]


class LinksJson(TypedDict):
    """The links from a page to others."""

    page: str
    """The same page for people."""
    json: str
    pinned: str
    """An absolute link that names these very weights."""
    up: str | None
    previous: str | None
    next: str | None


class Linker(Protocol):
    """What supplies the links of page values, as the context of their JSON."""

    def links(self, page: Any) -> LinksJson:
        """Make the links from a page to others."""

    def page(self, value: Any) -> str:
        """Make the link to the page for people."""

    def json(self, value: Any) -> str:
        """Make the link to the JSON of the same."""


def _write_links(page: object, info: SerializationInfo[Linker]) -> LinksJson:
    return info.context.links(page)


def _write_page(value: object, info: SerializationInfo[Linker]) -> str:
    return info.context.page(value)


def _write_json(value: object, info: SerializationInfo[Linker]) -> str:
    return info.context.json(value)


Links = Annotated[T, PlainSerializer(_write_links, return_type=LinksJson)]
PageLink = Annotated[T, PlainSerializer(_write_page, return_type=str)]
JsonLink = Annotated[T, PlainSerializer(_write_json, return_type=str)]


class Linked:
    """A page that has links to others in its JSON."""

    __slots__ = ()

    @computed_field
    @property
    def links(self) -> Links[object]:
        """Links to this page, for people and pinned, and to those around it."""
        return self


class LinkedToItself:
    """A page, or a part of one, that has links to itself in its JSON."""

    __slots__ = ()

    @computed_field
    @property
    def page(self) -> PageLink[object]:
        """The same page for people."""
        return self

    @computed_field
    @property
    def json(self) -> JsonLink[object]:
        """The same page as JSON."""
        return self


class Labelled:
    """A value with an address that a reader may see by its short name."""

    __slots__ = ()
    address: Address

    @computed_field
    @property
    def label(self) -> str:
        """The short name of the address."""
        return self.address.label


class OfMatrix:
    """A matrix, or a direction of one, in a basis."""

    __slots__ = ()
    address: Address

    @computed_field
    @property
    def matrix(self) -> Kind:
        """The kind of the matrix."""
        assert self.address.kind is not None
        return self.address.kind

    @computed_field
    @property
    def basis(self) -> BasisName:
        """The basis that the matrix is taken apart in."""
        return self.address.basis or "svd"


class OfWeights:
    """A page of one model, in one weight processing."""

    __slots__ = ()
    model: Model
    view: View

    @computed_field
    @property
    def weights(self) -> Processing:
        """The weight processing."""
        return self.view.weights

    @computed_field
    @property
    def fingerprint(self) -> str:
        """The fingerprint of the model's weights, config and tokenizer."""
        return self.model.fingerprint


class WithReadouts:
    """A page with readouts, which select and rank tokens, in a basis with parameters."""

    __slots__ = ()
    view: View

    @computed_field
    @property
    def filter(self) -> dict[str, int]:
        """The tokens that are shown: `ascii`, `starts`, `plain`, `frequent`; a missing one lets all pass."""
        return self.view.token_filter.parameters()

    @computed_field
    @property
    def readout(self) -> Product:
        """The scores of tokens: dot products with the direction, or cosines."""
        return self.view.token_filter.readout

    @computed_field
    @property
    def parameters(self) -> Mapping[str, int]:
        """The parameters of the basis."""
        return write_parameters(self.view.parameters)


class AtDistance:
    """A page whose numbers may depend on the distance from the query back to the key."""

    __slots__ = ()
    view: View
    largest_distance: int | None

    @computed_field
    @property
    def distance(self) -> int | None:
        """Positions from the query back to the key; null where distance means nothing."""
        return None if self.largest_distance is None else self.view.distance
