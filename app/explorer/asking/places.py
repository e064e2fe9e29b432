"""The place that an address names: the opened model, everything in the address checked against it.

Knows nothing of tensors and computes nothing.
"""

from dataclasses import replace
from typing import Literal

from app.core.address import LABELS, LAYER_KINDS, MODEL_KINDS, Address, BasisName, Kind
from app.core.basis import BASES
from app.explorer.errors import BadOption, ComputationFailed, Importing, NotImported, UnknownAddress
from app.explorer.header import Model
from app.explorer.inventory import bases_of, most_terms
from app.explorer.library import REPAIR, OpenModel
from app.explorer.resources import Resources
from app.explorer.view import PROCESSINGS, Processing


def locate_model(r: Resources, address: Address) -> OpenModel:
    """Find the model that the address names; UnknownAddress naming the valid range if anything in the address does not
    exist.
    """
    model = require_model(r, address.model)
    if address.pin is not None and not model.fingerprint.startswith(address.pin):
        raise UnknownAddress(
            f"{address.model}@{address.pin} is not here: {address.model} has the fingerprint {model.header.pin} today."
        )
    check_place(model, address)
    return model


def check_place(model: OpenModel, address: Address) -> None:
    """Raise UnknownAddress naming the valid range if the model has no such place."""
    _check_number("Layer", "L", address.layer, model.header.n_layers, f"{address.model} has layers")
    _check_number("Head", "H", address.head, model.header.n_heads, f"{address.model} has heads")
    if address.kind is not None:
        _check_kind(model.header, address, address.kind)
    if address.kind is not None and address.basis is not None:
        _check_basis(model.header, address, address.kind, address.basis)


def split_weights(text: str) -> tuple[str, Processing | None]:
    """Split the weights off a place that names them behind a `~`; BadOption for weights that there are not.

    Example: split_weights("gpt2/L5/H3~raw") -> ("gpt2/L5/H3", "raw"); split_weights("L5H3 ov") -> ("L5H3 ov", None)
    """
    name, tilde, weights = text.strip().partition("~")
    processing = next((each for each in PROCESSINGS if each == weights.lower()), None)
    if tilde and processing is None:
        raise BadOption(f"What stands behind ~ is one of {', '.join(PROCESSINGS)}: {text[:40]!r} has neither.")
    return name, processing


def noun_of(address: Address) -> Literal["direction", "neuron", "coordinate"]:
    """Return the noun for a term of the matrix at the address, in its basis.

    Example: noun_of(parse("gpt2/L5/mlp-in/neuron")) -> "neuron"
    """
    if address.basis != "neuron":
        return "direction"
    return "neuron" if address.kind in LAYER_KINDS else "coordinate"


def require_served(r: Resources, slug: str) -> None:
    """Raise UnknownAddress naming the models of this server if that is none of them."""
    if slug not in r.slugs:
        raise UnknownAddress(f"There is no model {slug} here. This server has: {', '.join(r.slugs)}.")


def find_model(r: Resources, slug: str) -> OpenModel | None:
    """Find the model with that slug; None until this server's own import of it is done.

    Another process may give the same slug to another folder's model meanwhile.
    """
    # Ask the import first: one that ends between the two questions has its model.
    progress = r.imports.of(slug)
    is_coming = progress is not None and progress.state != "done" and progress.source != slug
    return None if is_coming else r.library.model(slug)


def require_model(r: Resources, slug: str) -> OpenModel:
    """Return the model with that slug; Importing while it is being imported, NotImported if it could not be."""
    require_served(r, slug)
    progress = r.imports.of(slug)
    if model := find_model(r, slug):
        return model
    if progress is not None and progress.state == "importing":
        raise Importing(f"{slug} is being imported: {progress.message}", progress.done, progress.total, progress.job)
    if progress and progress.message:
        raise NotImported(f"{slug} could not be imported: {progress.message}", progress.job)
    raise ComputationFailed(f"The files of {slug} are missing or damaged. {REPAIR}")


def neighbours_of(model: Model, address: Address) -> tuple[Address | None, Address | None]:
    """Return the same place in the layers around it; for a head or its matrix in the heads around it, over layers; else
    none.
    """
    if address.layer is None:
        return None, None
    if address.head is None:
        around = [replace(address, layer=address.layer + step) for step in (-1, 1)]
    else:
        at = address.layer * model.n_heads + address.head
        places = [divmod(at + step, model.n_heads) for step in (-1, 1)]
        around = [replace(address, layer=layer, head=head) for layer, head in places]
    previous, following = (each if 0 <= (each.layer or 0) < model.n_layers else None for each in around)
    return previous, following


def _check_kind(model: Model, address: Address, kind: Kind) -> None:
    if address.head is not None:
        return
    has = model.model_kinds if address.layer is None else model.layer_kinds
    if kind in has:
        return
    near = ", ".join(has)
    if kind in MODEL_KINDS:
        why = "its positions are not learned vectors" if kind == "pos" else "it is an encoder"
        raise UnknownAddress(f"{address.model} has no matrix {kind}: {why}. It has {near}.")
    if model.n_experts:
        raise UnknownAddress(
            f"L{address.layer} of {address.model} has no {kind}: its MLP is a mixture of {model.n_experts} experts, "
            "not one matrix. Its heads have pages."
        )
    why = f"it has {near}" if near else "its heads have pages"
    raise UnknownAddress(f"L{address.layer} of {address.model} has no {kind}: {why}.")


def _check_basis(model: Model, address: Address, kind: Kind, name: BasisName) -> None:
    basis = BASES[name]
    if kind not in basis.kinds:
        raise UnknownAddress(f"{name} is no basis of {LABELS[kind]}: that has {', '.join(bases_of(kind))}.")
    if basis.is_of_text and not model.runs:
        others = [other for other in bases_of(kind) if not BASES[other].is_of_text]
        raise UnknownAddress(
            f"{name} is no basis of {address.model}, which is not run here, so that nobody knows what its heads write on text: "
            f"{LABELS[kind]} has {', '.join(others)}."
        )
    # Fewer terms than this may exist, which only the decomposition can tell.
    most, noun = most_terms(model, address, {}), noun_of(address)
    has = "has at most directions" if noun == "direction" else f"has {noun}s"
    _check_number(noun.capitalize(), "", address.index, most, f"{LABELS[kind]} of {address.model} {has}")


def _check_number(noun: str, letter: str, number: int | None, n: int, has: str) -> None:
    if number is not None and number >= n:
        raise UnknownAddress(f"{noun} {letter}{number} is not here: {has} {letter}0 to {letter}{n - 1}.")
