"""A prompt that a visitor writes, as text or as token ids, checked against the model and cut into tokens.

Raises BadOption in words that say what would do; the visitor's words stand in no message, since messages may be logged.
"""

import re
import unicodedata
from dataclasses import dataclass

from app.core.address import Address, AddressError, Circuit, parse_short
from app.explorer.asking.places import check_place
from app.explorer.errors import BadOption
from app.explorer.library import OpenModel
from app.explorer.running.prompts import Limits
from app.models.live.families import NotAssembled, check_assembled
from app.models.vocabulary import make_visible

ALLOWED_CONTROLS = "\n\t"
MOST_ID_DIGITS = 9
NUMBER = re.compile(r"[0-9]+")


@dataclass(frozen=True, slots=True)
class PromptWish:
    """What a visitor typed."""

    text: str = ""
    ids: str = ""
    """Token ids, with spaces or commas between them, in the place of a text."""
    start: bool = False
    """Begin with the token that begins texts, whatever the tokenizer does."""

    def is_empty(self) -> bool:
        """Return whether nothing was typed."""
        return not self.text and not self.ids.strip()


@dataclass(frozen=True, slots=True)
class PromptAim:
    """What a prompt is asked for: to be read, to follow a direction on it, or to be run with heads edited or its stream pushed."""

    of: str = ""
    """A direction that is followed."""
    edit: str = ""
    """Edits of heads."""
    steer: str = ""
    """A direction that the stream is pushed along."""


READ = PromptAim()


def require_live(model: OpenModel) -> None:
    """Raise BadOption, with the reason, unless the model can be run."""
    try:
        check_assembled(model.manifest)
    except NotAssembled as reason:
        raise BadOption(f"{model.header.slug} cannot be run: {reason}.") from reason


def read_ids(model: OpenModel, wish: PromptWish, limits: Limits) -> tuple[int, ...]:
    """Return the token ids of what was typed; BadOption where they cannot be run."""
    require_live(model)
    if wish.is_empty():
        raise BadOption(f"Write a text, of up to {most_tokens(model, limits)} tokens.")
    if wish.text and wish.ids.strip():
        raise BadOption("Write a text or token ids: both at once mean nothing.")
    ids = _parse_ids(model, wish.ids) if wish.ids.strip() else _cut_text(model, wish.text, limits)
    start = model.vocabulary.start
    if wish.start:
        if start is None:
            raise BadOption(f"{model.header.slug} has no token that begins a text.")
        ids = ids if ids[:1] == [start] else [start, *ids]
    most = most_tokens(model, limits)
    if not 0 < len(ids) <= most:
        raise BadOption(
            f"This is {len(ids):,} tokens: a prompt has 1 to {most} here."
            if ids
            else f"This text gives no token: a prompt has 1 to {most} here."
        )
    return tuple(ids)


def most_tokens(model: OpenModel, limits: Limits) -> int:
    """Return how many tokens a prompt of the model may have."""
    return min(limits.tokens, model.header.n_ctx)


def _parse_ids(model: OpenModel, typed: str) -> list[int]:
    vocabulary = model.vocabulary
    words = typed.replace(",", " ").split()
    last = int(vocabulary.lookup.largest)
    if not all(NUMBER.fullmatch(word) and len(word) <= MOST_ID_DIGITS for word in words):
        raise BadOption(f"Token ids are whole numbers from 0 to {last:,}, with spaces or commas between them.")
    ids = [int(word) for word in words]
    unknown = [id_ for id_ in ids if id_ > last or not vocabulary.known[id_]]
    if unknown:
        raise BadOption(f"{model.header.slug} has no token {unknown[0]}: token ids go from 0 to {last:,}.")
    return ids


def _cut_text(model: OpenModel, typed: str, limits: Limits) -> list[int]:
    text = normalise(typed)
    try:
        size = len(text.encode("utf-8"))
    except UnicodeEncodeError:
        raise BadOption("This text holds half of a character, which no tokenizer reads: write it anew.") from None
    if size > limits.text_bytes:
        raise BadOption(f"This text has {size:,} bytes: a prompt has at most {limits.text_bytes:,} here.")
    for character in text:
        if unicodedata.category(character) == "Cc" and character not in ALLOWED_CONTROLS:
            raise BadOption(f"This text holds the control character U+{ord(character):04X}: leave it out.")
    if found := next((word for word in model.vocabulary.specials if word and word in text), None):
        raise BadOption(
            f"{make_visible(found)} is a special token, no text. To run it, write the prompt as token ids: it is "
            f"{model.vocabulary.specials[found]}."
        )
    return model.tokenize_whole(text)


def check_position(n_tokens: int, at: int | None, name: str = "at") -> int:
    """Return the position of that option in a prompt, the last one if there is none; BadOption naming the range."""
    if at is None:
        return n_tokens - 1
    if not 0 <= at < n_tokens:
        raise BadOption(f"{name} goes from 0 to {n_tokens - 1} here: the prompt has {n_tokens} tokens.")
    return at


def parse_head(model: OpenModel, address: Address, text: str) -> Address | None:
    """Parse the head of an option, such as L5H3, None if there is none; BadOption or UnknownAddress."""
    if not text:
        return None
    try:
        head = parse_short(f"{text.strip()}.ov.0", Address(address.model, address.pin)).address.matrix.parent
    except AddressError:
        raise BadOption("head is one such as L5H3.") from None
    assert head is not None
    check_place(model, head)
    return head


EXAMPLES: dict[Circuit, str] = {"ov": "L25H6.ov.0", "qk": "L24H4.qk.9"}


def parse_direction(model: OpenModel, address: Address, text: str, circuit: Circuit) -> Address:
    """Parse the singular direction of a head's circuit that the option `of` names; BadOption or UnknownAddress."""
    named = f"of names a singular direction of a head's {circuit.upper()}, such as {EXAMPLES[circuit]}"
    try:
        found = parse_short(text.strip(), Address(address.model, address.pin)).address
    except AddressError:
        raise BadOption(f"{named}.") from None
    if found.circuit != circuit or found.basis != "svd":
        raise BadOption(
            f"{named}: {'others are not followed on a text' if circuit == 'ov' else 'only these make scores'}."
        )
    check_place(model, found)
    return found


def normalise(typed: str) -> str:
    """Return the text with the line ends that were typed: a form sends others."""
    return typed.replace("\r\n", "\n").replace("\r", "\n")
