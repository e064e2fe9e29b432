"""The jump box: a typed name to a place. `L5H3`, `l5h3 ov 12`, `L5H3.ov.12p`, `5.3`, `L5 mlp-in 12`, `embed nmf 3`,
`W_U`.

A whole address is accepted too, and other tools' names: `blocks.5.attn.W_V[3]`, `model.layers.5.mlp.up_proj.weight`,
`a5.h3`, `head 3 of layer 5`, `L5N123`. A `~raw` or `~folded` at the end names the weights. Knows the spellings people
use, and the model's numbers; computes nothing.
"""

import re
from dataclasses import dataclass, replace
from typing import Literal

from app.core.address import BASES, LAYER_KINDS, MODEL_KINDS, Address, AddressError, BasisName, Kind, parse
from app.explorer.asking.places import locate_model
from app.explorer.errors import NamesNothing
from app.explorer.resources import Resources
from app.explorer.view import PROCESSINGS, Processing

EXAMPLES = "Try L5, L5H3, L5H3 ov 12, L5 mlp-in 12, embed, pos 3, heads write 4 or embed nmf 12."
SEPARATORS = re.compile(r"[\s./,:]+")
SPELLINGS: dict[Kind, str] = {
    "ov": "ov",
    "qk": "qk",
    "mlp-in": "(?:mlp|w)[ _-]?in",
    "mlp-gate": "(?:mlp|w)[ _-]?gate",
    "mlp-out": "(?:mlp|w)[ _-]?out",
    "embed": "embed(?:ding)?|w[ _-]?e",
    "unembed": "unembed(?:ding)?|w[ _-]?u",
    "pos": "pos(?:itions?)?|w[ _-]?pos",
    "heads/write": "heads?['’]?[ _-]?writes?|(?:all )?ov[ _-]?outputs?",
    "heads/read": "heads?['’]?[ _-]?reads?|(?:all )?ov[ _-]?inputs?",
}
"""The accepted patterns, matched once separators are single spaces and letters are small."""
# A direction must not begin inside another number: no digit before it.
PLACE = re.compile(
    r"(?:(?P<word>l|layer)? ?(?P<layer>[0-9]{1,5})(?:(?: ?h(?:ead)? ?| )(?P<head>[0-9]{1,5}))?)?"
    rf"(?: ?(?P<kind>{'|'.join(SPELLINGS.values())}))?(?: ?(?P<basis>{'|'.join(BASES)}))?"
    r"(?: ?(?<![0-9])(?P<index>[0-9]{1,5}) ?(?P<ray>[pn+−-])?)?"
)
LONGEST = 200
QUOTES = "()[]{}<>\"'`“”‘’"
"""Brackets and quotes that people put around a name."""
NOISE = re.compile(r"\b(?:circuit|matrix|singular|vector|direction|component|sv)s?\b")
TENSOR = re.compile(
    r"(?:[a-z_]+\.)*(?:blocks|layers|layer|h)\.(?P<layer>[0-9]{1,5})(?:\.(?P<rest>[a-z0-9_.]+)(?:\[(?P<head>[0-9]{1,5})\])?)?"
)
"""A layer's tensor or hook, as libraries name them."""
OF_TENSORS: tuple[tuple[str, str], ...] = (
    (r"attn.*(?:w_v|w_o|v_proj|o_proj|hook_[vz]|hook_result).*", "ov"),
    (r"attn.*(?:w_q|w_k|q_proj|k_proj|hook_[qk]|hook_pattern|hook_attn_scores).*", "qk"),
    (r"mlp.*(?:w_gate|gate_proj).*", "mlp-gate"),
    (r"mlp.*(?:w_out|down_proj|c_proj|dense_4h_to_h|fc_out|fc2).*", "mlp-out"),
    (r"mlp.*(?:w_in|up_proj|c_fc|dense_h_to_4h|fc_in|fc1|hook_pre|hook_post).*", "mlp-in"),
)
OF_ENDS: tuple[tuple[str, str], ...] = (
    (r"(?:[a-z_]+\.)*(?:embed_tokens|wte|embed\.w_e|hook_embed|embed_in)(?:\.weight)?", "embed"),
    (r"(?:[a-z_]+\.)*(?:lm_head|unembed\.w_u|embed_out)(?:\.weight)?", "unembed"),
    (r"(?:[a-z_]+\.)*(?:wpe|pos_embed\.w_pos|hook_pos_embed|embed_positions)(?:\.weight)?", "pos"),
)
OTHERS: tuple[tuple[str, str], ...] = (
    (r"a(?:ttn)?\.?([0-9]{1,5})[. ]?h\.?([0-9]{1,5})", r"l\1h\2"),
    (r"(?:m|mlp ?)([0-9]{1,5})", r"l\1"),
    (r"h(?:ead)? ?([0-9]{1,5}),? ?(?:of|in)? ?(?:the )?l(?:ayer)? ?([0-9]{1,5})(.*)", r"l\2h\1\3"),
    (r"(?:l(?:ayer)?|mlp)? ?([0-9]{1,5})[ .,:/]*n(?:euron)?[ .#]*([0-9]{1,6})", r"l\1 mlp-in neuron \2"),
)
"""Other tools' spellings of places, and ours."""


@dataclass(frozen=True, slots=True)
class Target:
    """The place that the text leads to."""

    address: Address
    ray: Literal["p", "n"] | None
    """The sign of the direction that was named, if one was: the anchor on its page."""
    weights: Processing | None = None
    """The weights that were named with it."""


def jump(r: Resources, slug: str, text: str) -> Target:
    """Find the place in that model; NamesNothing, with examples, where the text names none, UnknownAddress with the
    valid range where it does not exist.
    """
    text = text.strip()
    if len(text) > LONGEST:
        raise NamesNothing(f"That is too long for the name of a place. {EXAMPLES}")
    name, _, weights = text.partition("~")
    processing = next((each for each in PROCESSINGS if each == weights.lower()), None)
    target = _match_place(slug, name) or _parse_address(r, name) or _match_place(slug, _respell(name))
    if target is None or ("~" in text and processing is None):
        raise NamesNothing(f"{text!r} names no place in {slug}. {EXAMPLES}")
    locate_model(r, target.address)
    return replace(target, weights=processing)


def _respell(text: str) -> str:
    """Respell a name of other tools as one of ours; other text stays as it is."""
    bare = text.strip()
    text = NOISE.sub(" ", (bare.strip(QUOTES) if bare[:1] in QUOTES else bare).lower())
    text = " ".join(text.split())
    if tensor := TENSOR.fullmatch(text):
        rest = tensor["rest"] or ""
        kind = next((kind for form, kind in OF_TENSORS if re.fullmatch(form, rest)), "")
        head = f"h{tensor['head']}" if tensor["head"] is not None else ""
        return f"l{tensor['layer']}{head} {kind if head or kind.startswith('mlp') else ''}"
    for form, kind in OF_ENDS:
        if re.fullmatch(form, text):
            return kind
    for form, here in OTHERS:
        if found := re.fullmatch(form, text):
            return found.expand(here)
    return text


def _match_place(slug: str, text: str) -> Target | None:
    found = PLACE.fullmatch(SEPARATORS.sub(" ", text.lower()).strip())
    if not found:
        return None
    layer, head, index = (None if found[part] is None else int(found[part]) for part in ("layer", "head", "index"))
    # Without a basis, singular directions are meant; all of them are the matrix.
    said = next((basis for basis in BASES if basis == found["basis"]), None)
    basis = "svd" if index is not None and said is None else said
    if index is None and basis == "svd":
        basis = None
    kind = _match_kind(found["kind"])
    if kind is None and basis is not None and head is not None:
        kind = "ov"
    if not _is_place(kind, layer, head, basis, named=bool(found["word"])):
        return None
    return Target(Address(slug, None, layer, head, kind, basis, index), _ray_sign(found["ray"]))


def _match_kind(text: str | None) -> Kind | None:
    return next((kind for kind, spelling in SPELLINGS.items() if text and re.fullmatch(spelling, text)), None)


def _is_place(kind: Kind | None, layer: int | None, head: int | None, basis: BasisName | None, *, named: bool) -> bool:
    """Return whether the parts of a match go together; `named`: the word layer stands before its number."""
    if kind in MODEL_KINDS:
        return layer is None
    if kind in LAYER_KINDS:
        return layer is not None and head is None
    if head is None:
        # A number alone could be a layer, a head or a direction.
        return kind is None and basis is None and layer is not None and named
    return True


def _parse_address(r: Resources, text: str) -> Target | None:
    path, _, anchor = text.partition("#")
    try:
        address = parse(path.strip("/"))
    except AddressError:
        model, _, place = text.partition("/")
        return _match_place(model, place) if model in r.slugs and place[:1].isalnum() else None
    return Target(address, _ray_sign(anchor)) if address.model in r.slugs else None


def _ray_sign(sign: str | None) -> Literal["p", "n"] | None:
    if sign in ("p", "+"):
        return "p"
    return "n" if sign in ("n", "-", "−") else None
