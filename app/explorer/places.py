"""Where an address leads: the opened model it names, every number in it checked against that model.

Knows nothing of matrices and computes nothing.
"""

import re
from dataclasses import replace

from app.core.address import Address, parse
from app.explorer.errors import ComputationFailed, NotReady, UnknownAddress
from app.explorer.library import REPAIR, OpenModel
from app.explorer.pages import Model
from app.explorer.resources import Resources

MLP = re.compile(r"(?P<layer>[^/]+/L[0-9]+)/mlp(-in|-gate|-out)?(/.*)?")


def named(r: Resources, text: str) -> Address:
    """The address that the text spells, AddressError if none; UnknownAddress saying why an MLP's matrix has no page."""
    found = MLP.fullmatch(text)
    if found is None:
        return parse(text)
    layer = parse(found["layer"])
    n_experts = located(r, layer).header.n_experts
    if n_experts:
        raise UnknownAddress(
            f"{layer.label} of {layer.model} has no page for its MLP: that is a mixture of {n_experts} experts, "
            "not one matrix. Its heads have pages."
        )
    raise UnknownAddress(f"{layer.label} of {layer.model} has no page for its MLP yet. Its heads have pages.")


def located(r: Resources, address: Address) -> OpenModel:
    """The model that the address names; UnknownAddress naming the valid range if anything in it is not there."""
    model = opened(r, address.model)
    if address.pin is not None and not model.fingerprint.startswith(address.pin):
        raise UnknownAddress(
            f"{address.model}@{address.pin} is not here: {address.model} has the fingerprint {model.header.pin} today."
        )
    _check("Layer", "L", address.layer, model.header.n_layers, f"{address.model} has layers")
    _check("Head", "H", address.head, model.header.n_heads, f"{address.model} has heads")
    # Fewer directions than this may exist, which only the decomposition can tell.
    _check("Direction", "", address.index, model.header.d_head, f"the matrices of {address.model} have directions")
    return model


def served(r: Resources, slug: str) -> None:
    """UnknownAddress naming the models of this server if that is none of them."""
    if slug not in r.slugs:
        raise UnknownAddress(f"There is no model {slug} here. This server has: {', '.join(r.slugs)}.")


def opened(r: Resources, slug: str) -> OpenModel:
    """The model of that name; NotReady while it is being imported, ComputationFailed if it could not be."""
    served(r, slug)
    # Progress first: an import that ends between the two questions has its model.
    progress = r.imports.of(slug)
    if model := r.library.model(slug):
        return model
    if progress is not None and progress.state == "importing":
        raise NotReady(f"{slug} is being imported: {progress.message}", progress.done, progress.total)
    if progress and progress.message:
        raise ComputationFailed(f"{slug} could not be imported: {progress.message}")
    raise ComputationFailed(f"The files of {slug} are missing or damaged. {REPAIR}")


def neighbours(model: Model, address: Address) -> tuple[Address | None, Address | None]:
    """The layers before and after a layer; for a head or its matrix the same of the heads around it, over layers."""
    assert address.layer is not None
    if address.head is None:
        around = [replace(address, layer=address.layer + step) for step in (-1, 1)]
    else:
        at = address.layer * model.n_heads + address.head
        places = [divmod(at + step, model.n_heads) for step in (-1, 1)]
        around = [replace(address, layer=layer, head=head) for layer, head in places]
    previous, following = (each if 0 <= (each.layer or 0) < model.n_layers else None for each in around)
    return previous, following


def _check(noun: str, letter: str, number: int | None, n: int, has: str) -> None:
    if number is not None and number >= n:
        raise UnknownAddress(f"{noun} {letter}{number} is not here: {has} {letter}0 to {letter}{n - 1}.")
