"""One name for everything a visitor can point at: `gpt2/L5/H3/ov/svd/12`.

The page, the API path, the key of an artifact and the command-line argument are this one string. Knows the grammar,
not the models: whether `L5` exists is for others to say.

Example: `str(parse("gpt2/L5/H3/ov").direction(12)) == "gpt2/L5/H3/ov/svd/12"`.
"""

import re
from dataclasses import dataclass, replace
from typing import Literal

Circuit = Literal["ov", "qk"]
Depth = Literal["model", "layer", "head", "matrix", "decomposition", "direction"]

CIRCUITS: tuple[Circuit, ...] = ("ov", "qk")
BASES = ("svd",)
RESERVED = frozenset({"api", "static", "-", "livez", "readyz", "docs", "openapi.json", "favicon.ico", "robots.txt"})
"""First path segments that belong to the app; no model's slug may be one of them."""

SLUG = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
PIN = re.compile(r"[0-9a-f]{8,64}")
# No leading zeros, so each thing has one spelling; five digits bound every integer.
NUMBER = re.compile(r"0|[1-9][0-9]{0,4}")


class AddressError(ValueError):
    """The text is no address; the message says which part is wrong and what was expected."""


@dataclass(frozen=True, slots=True)
class Address:
    """A model, or a place inside it; what is more precise than the address is None."""

    model: str
    pin: str | None = None
    layer: int | None = None
    head: int | None = None
    circuit: Circuit | None = None
    basis: str | None = None
    index: int | None = None

    def __str__(self) -> str:
        parts = [self.model if self.pin is None else f"{self.model}@{self.pin}"]
        if self.layer is not None:
            parts.append(f"L{self.layer}")
        if self.head is not None:
            parts.append(f"H{self.head}")
        parts += [part for part in (self.circuit, self.basis) if part is not None]
        if self.index is not None:
            parts.append(str(self.index))
        return "/".join(parts)

    @property
    def depth(self) -> Depth:
        """What the address points at."""
        if self.layer is None:
            return "model"
        if self.head is None:
            return "layer"
        if self.circuit is None:
            return "head"
        if self.basis is None:
            return "matrix"
        return "decomposition" if self.index is None else "direction"

    @property
    def parent(self) -> "Address | None":
        """The address one part shorter; None for a model."""
        shorter = str(self).rpartition("/")[0]
        return parse(shorter) if shorter else None

    @property
    def matrix(self) -> "Address":
        """The matrix that this decomposition or direction belongs to."""
        return replace(self, basis=None, index=None)

    @property
    def label(self) -> str:
        """How people write it: `L5H3`, `L5H3 OV`, `L5H3 OV 12`; the slug for a model."""
        if self.layer is None:
            return self.model
        head = "" if self.head is None else f"H{self.head}"
        parts = [f"L{self.layer}{head}"]
        if self.circuit is not None:
            parts.append(self.circuit.upper())
        if self.index is not None:
            parts.append(str(self.index))
        return " ".join(parts)

    def pinned(self, pin: str | None) -> "Address":
        """The same place in the model with this fingerprint (None: in whichever the slug names today)."""
        return replace(self, pin=pin)

    def at_layer(self, layer: int) -> "Address":
        """That layer of this model."""
        return Address(self.model, self.pin, layer)

    def at_head(self, head: int) -> "Address":
        """That head of this layer."""
        return Address(self.model, self.pin, self.layer, head)

    def at_circuit(self, circuit: Circuit) -> "Address":
        """That matrix of this head."""
        return Address(self.model, self.pin, self.layer, self.head, circuit)

    def direction(self, index: int) -> "Address":
        """That direction of this matrix, in the basis of the address or else svd."""
        return replace(self, basis=self.basis or "svd", index=index)


def parse(text: str) -> Address:
    """The address that the text spells; AddressError if it spells none.

    Example: "gpt2@0123abcd/L5" -> Address("gpt2", pin="0123abcd", layer=5)
    """
    first, *rest = text.split("/")
    if len(rest) > 5:
        raise AddressError("an address has at most six parts: model/L0/H0/ov/svd/0")
    model, at, pin = first.partition("@")
    if model in RESERVED:
        raise AddressError(
            f"{_quoted(model)} is the app's own: no model can have that name, and no page here has this one"
        )
    if not SLUG.fullmatch(model):
        raise AddressError(f"{_quoted(model)} is not a model's name: small letters, digits, '.', '_', '-'")
    if at and not PIN.fullmatch(pin):
        raise AddressError(f"{_quoted(pin)} is not a pin: 8 to 64 digits of a fingerprint, 0-9 and a-f")
    parts = rest + [None] * (5 - len(rest))
    return Address(
        model=model,
        pin=pin if at else None,
        layer=_numbered(parts[0], "L", "a layer"),
        head=_numbered(parts[1], "H", "a head"),
        circuit=_circuit(parts[2]),
        basis=_basis(parts[3]),
        index=_numbered(parts[4], "", "a direction"),
    )


def _numbered(part: str | None, prefix: str, noun: str) -> int | None:
    if part is None:
        return None
    if not part.startswith(prefix) or not NUMBER.fullmatch(part.removeprefix(prefix)):
        raise AddressError(f"{_quoted(part)} is not {noun}: expected {prefix}0, {prefix}1, {prefix}2 …")
    return int(part.removeprefix(prefix))


def _circuit(part: str | None) -> Circuit | None:
    for circuit in CIRCUITS:
        if part == circuit:
            return circuit
    if part is None:
        return None
    raise AddressError(f"{_quoted(part)} is not a matrix of a head: expected ov or qk")


def _basis(part: str | None) -> str | None:
    if part is None or part in BASES:
        return part
    raise AddressError(f"{_quoted(part)} is not a basis: expected svd")


def _quoted(part: str) -> str:
    """The part as it can stand in a message: escaped, and cut if someone sent a page."""
    return repr(part if len(part) <= 40 else part[:40] + "…")
