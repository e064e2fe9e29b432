"""One name for everything a visitor can point at: `gpt2/L5/H3/ov/svd/12`.

The page, the API path, the key of an artifact and the command-line argument are this one string. Knows the grammar,
not the models: whether `L5` exists is for others to say.

Example: `str(parse("gpt2/L5/H3/ov").direction(12)) == "gpt2/L5/H3/ov/svd/12"`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

Circuit = Literal["ov", "qk"]
LayerKind = Literal["mlp-in", "mlp-gate", "mlp-out"]
ModelKind = Literal["embed", "unembed", "pos", "heads/write", "heads/read"]
Kind = Circuit | LayerKind | ModelKind
Depth = Literal["model", "layer", "head", "matrix", "decomposition", "direction"]

CIRCUITS: tuple[Circuit, ...] = ("ov", "qk")
"""Kinds of a head's matrices."""
LAYER_KINDS: tuple[LayerKind, ...] = ("mlp-in", "mlp-gate", "mlp-out")
"""Kinds of a layer's matrices."""
MODEL_KINDS: tuple[ModelKind, ...] = ("embed", "unembed", "pos", "heads/write", "heads/read")
"""Kinds of the model's own matrices."""
KINDS: tuple[Kind, ...] = (*CIRCUITS, *LAYER_KINDS, *MODEL_KINDS)
LABELS: dict[str, str] = {
    "ov": "OV",
    "qk": "QK",
    "mlp-in": "MLP in",
    "mlp-gate": "MLP gate",
    "mlp-out": "MLP out",
    "embed": "embedding",
    "unembed": "unembedding",
    "pos": "positions",
    "heads/write": "OV outputs",
    "heads/read": "OV inputs",
}
BasisName = Literal["svd", "used", "pca", "nmf", "ica", "dictionary", "neuron", "frequency"]
BASES: tuple[BasisName, ...] = ("svd", "used", "pca", "nmf", "ica", "dictionary", "neuron", "frequency")
RESERVED = frozenset({"api", "static", "-", "livez", "readyz", "docs", "openapi.json", "favicon.ico", "robots.txt"})
"""First path segments that belong to the app; no model's slug may be one of them."""

SLUG = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
PIN = re.compile(r"[0-9a-f]{8,64}")
# No leading zeros, so each thing has one spelling; five digits bound every integer.
NUMBER = re.compile(r"0|[1-9][0-9]{0,4}")


KindOf = TypeVar("KindOf", bound=Kind)
Sign = Literal["p", "n"]
SIGNS: tuple[Sign, Sign] = ("p", "n")
SHORT = re.compile(
    r"(?:l(?P<layer>0|[1-9][0-9]{0,4})(?:h(?P<head>0|[1-9][0-9]{0,4}))?\.)?"
    rf"(?P<kind>{'|'.join(kind.replace('/', '[.]') for kind in KINDS)})(?:\.(?P<basis>{'|'.join(BASES)}))?"
    r"\.(?P<index>0|[1-9][0-9]{0,4})(?P<sign>[pn+−-])?(?P<raw>~raw)?",
    re.ASCII | re.IGNORECASE,
)
"""The short form of a ray; `parse_short` checks which parts go together."""


class AddressError(ValueError):
    """The text is no address; the message says which part is wrong and what was expected."""


@dataclass(frozen=True, slots=True)
class Address:
    """A model, or a place inside it; parts that the address does not specify are None."""

    model: str
    pin: str | None = None
    layer: int | None = None
    head: int | None = None
    kind: Kind | None = None
    """The matrix of the head, of the layer or of the model."""
    basis: BasisName | None = None
    index: int | None = None

    def __str__(self) -> str:
        model = self.model if self.pin is None else f"{self.model}@{self.pin}"
        return "/".join(part for part in (model, self.path, self.basis, _as_text(self.index)) if part)

    @property
    def path(self) -> str:
        """The place in the model without basis and index, such as `L5/H3/ov`; empty for the model."""
        layer = None if self.layer is None else f"L{self.layer}"
        head = None if self.head is None else f"H{self.head}"
        return "/".join(part for part in (layer, head, self.kind) if part)

    @property
    def depth(self) -> Depth:
        """The level that the address points at, from model to direction."""
        if self.index is not None:
            return "direction"
        if self.basis is not None:
            return "decomposition"
        if self.kind is not None:
            return "matrix"
        if self.head is not None:
            return "head"
        return "model" if self.layer is None else "layer"

    @property
    def circuit(self) -> Circuit | None:
        """The head's matrix (`ov` or `qk`) that the address names; None for every other place."""
        return next((circuit for circuit in CIRCUITS if circuit == self.kind), None)

    @property
    def parent(self) -> "Address | None":
        """The place that this one is a part of; None for a model."""
        if self.basis is not None:
            return replace(self, index=None) if self.index is not None else self.matrix
        if self.kind is not None:
            return replace(self, kind=None)
        if self.head is not None:
            return replace(self, head=None)
        return None if self.layer is None else replace(self, layer=None)

    @property
    def matrix(self) -> "Address":
        """The matrix that this decomposition or direction belongs to."""
        return replace(self, basis=None, index=None)

    @property
    def label(self) -> str:
        """The address as people write it: `L5H3`, `L5H3 OV`, `L5 MLP in`, `embedding nmf 12`; the slug for a model."""
        head = "" if self.head is None else f"H{self.head}"
        layer = None if self.layer is None else f"L{self.layer}{head}"
        kind = None if self.kind is None else LABELS[self.kind]
        basis = None if self.basis == "svd" else self.basis
        return " ".join(part for part in (layer, kind, basis, _as_text(self.index)) if part) or self.model

    def with_pin(self, pin: str | None) -> "Address":
        """Return the same place in the model with this fingerprint (None: in whichever the slug names today)."""
        return replace(self, pin=pin)

    def with_pin_of(self, other: "Address") -> "Address":
        """Return the same place at the pin of another address, if both are of one model and this one has no pin.

        Example: parse("gpt2/L5").with_pin_of(parse("gpt2@0123abcd")) -> parse("gpt2@0123abcd/L5")
        """
        return self.with_pin(self.pin or (other.pin if self.model == other.model else None))

    def at_layer(self, layer: int) -> "Address":
        """Return the address of a layer of this model."""
        return Address(self.model, self.pin, layer)

    def at_head(self, head: int) -> "Address":
        """Return the address of a head of this layer."""
        return Address(self.model, self.pin, self.layer, head)

    def at(self, kind: Kind) -> "Address":
        """Return the address of a matrix of this head, layer or model."""
        return Address(self.model, self.pin, self.layer, self.head, kind)

    def in_basis(self, basis: BasisName | None) -> "Address":
        """Return the address of this matrix's decomposition in a basis."""
        return replace(self, basis=basis, index=None)

    def direction(self, index: int) -> "Address":
        """Return the address of a direction of this matrix, in the basis of the address or else svd."""
        return replace(self, basis=self.basis or "svd", index=index)


@dataclass(frozen=True, slots=True)
class Ray:
    """One end of a direction: its positive or its negative sign."""

    address: Address
    """Address of the direction."""
    sign: Sign
    is_raw: bool = False
    """The ray is of the weights as stored, whatever processing the page shows."""


def format_short(ray: Ray) -> str:
    """Write a ray in its short form, without its model, for queries and text.

    Example: format_short(Ray(parse("gpt2/L27/H0/ov/svd/0"), "n")) -> "L27H0.ov.0n"; others "L3.mlp-in.ica.12p",
    "embed.3p~raw"
    """
    where = ray.address
    head = "" if where.head is None else f"H{where.head}"
    place = [] if where.layer is None else [f"L{where.layer}{head}"]
    basis = [] if where.basis in {None, "svd"} else [str(where.basis)]
    parts = [*place, str(where.kind).replace("/", "."), *basis, f"{where.index}{ray.sign}"]
    return ".".join(parts) + ("~raw" if ray.is_raw else "")


def parse_short(text: str, model: Address) -> Ray:
    """Parse the short form of a ray of this model (its pin is kept); AddressError if it is none.

    Letter case is ignored, `+ -` stand for `p n`, and a ray without a sign is p.

    Example: parse_short("l27h0.OV.0-", Address("gpt2")) -> Ray(parse("gpt2/L27/H0/ov/svd/0"), "n")
    """
    found = SHORT.fullmatch(text)
    if found is None:
        raise AddressError(f"{_quote(text)} is no ray: expected L27H0.ov.0n, L3.mlp-in.12p or embed.3p")
    layer, head = (None if found[part] is None else int(found[part]) for part in ("layer", "head"))
    kind = next(kind for kind in KINDS if kind == found["kind"].lower().replace(".", "/"))
    is_place = (layer is not None, head is not None) == (kind not in MODEL_KINDS, kind in CIRCUITS)
    if not is_place:
        of = "a head" if kind in CIRCUITS else "the model" if kind in MODEL_KINDS else "a layer"
        raise AddressError(f"{_quote(text)} is no ray: {kind} is of {of}")
    basis = next((basis for basis in BASES if basis == (found["basis"] or "svd").lower()), None)
    direction = Address(model.model, model.pin, layer, head, kind, basis, int(found["index"]))
    return Ray(direction, "n" if (found["sign"] or "p").lower() in "n-−" else "p", found["raw"] is not None)


def parse(text: str) -> Address:
    """Parse an address; AddressError if the text spells none.

    Example: "gpt2@0123abcd/L5" -> Address("gpt2", pin="0123abcd", layer=5)
    """
    first, *parts = text.split("/")
    if len(parts) > 5:
        raise AddressError("an address has at most six parts: model/L0/H0/ov/svd/0")
    model, at, pin = first.partition("@")
    if model in RESERVED:
        raise AddressError(
            f"{_quote(model)} is the app's own: no model can have that name, and no page here has this one"
        )
    if not SLUG.fullmatch(model):
        raise AddressError(f"{_quote(model)} is not a model's name: small letters, digits, '.', '_', '-'")
    if at and not PIN.fullmatch(pin):
        raise AddressError(f"{_quote(pin)} is not a pin: 8 to 64 digits of a fingerprint, 0-9 and a-f")
    place = Address(model, pin if at else None)
    kind: Kind | None
    kind, parts = _split_kind(parts, MODEL_KINDS)
    if kind is None and parts:
        layer = _parse_number(parts[0], "L", f"a layer, nor one of {', '.join(MODEL_KINDS)}")
        place = place.at_layer(layer)
        kind, parts = _split_kind(parts[1:], LAYER_KINDS)
    if kind is None and parts:
        head = _parse_number(parts[0], "H", f"a head, nor one of {', '.join(LAYER_KINDS)}")
        place = place.at_head(head)
        kind, parts = _split_kind(parts[1:], CIRCUITS)
    if kind is None:
        if parts:
            raise AddressError(f"{_quote(parts[0])} is not a matrix of a head: expected ov or qk")
        return place
    return _parse_in_matrix(place.at(kind), parts)


def _parse_in_matrix(matrix: Address, parts: Sequence[str]) -> Address:
    """Parse the parts after a matrix: its basis and its direction."""
    if len(parts) > 2:
        raise AddressError(f"an address ends with its direction: {matrix}/svd/0")
    if not parts:
        return matrix
    basis = next((basis for basis in BASES if basis == parts[0]), None)
    if basis is None:
        raise AddressError(f"{_quote(parts[0])} is not a basis: expected one of {', '.join(BASES)}")
    decomposition = matrix.in_basis(basis)
    return decomposition.direction(_parse_number(parts[1], "", "a direction")) if len(parts) == 2 else decomposition


def _split_kind(parts: list[str], kinds: Sequence[KindOf]) -> tuple[KindOf | None, list[str]]:
    """Split off the matrix that the parts begin with; None and all parts if they begin with none."""
    for kind in kinds:
        words = kind.split("/")
        if parts[: len(words)] == words:
            return kind, parts[len(words) :]
    return None, parts


def _parse_number(part: str, prefix: str, noun: str) -> int:
    if not part.startswith(prefix) or not NUMBER.fullmatch(part.removeprefix(prefix)):
        raise AddressError(f"{_quote(part)} is not {noun}: expected {prefix}0, {prefix}1, {prefix}2 …")
    return int(part.removeprefix(prefix))


def _as_text(number: int | None) -> str | None:
    return None if number is None else str(number)


def _quote(part: str) -> str:
    """Return the part as a message can show it: escaped, and cut if it is long."""
    return repr(part if len(part) <= 40 else part[:40] + "…")
