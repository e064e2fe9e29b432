"""The visit to why a head looks from one position of a prompt at another. Knows no HTTP and imports no torch."""

from dataclasses import dataclass, replace

from app.core.address import Address
from app.explorer import recipes
from app.explorer.asking.places import locate_model
from app.explorer.asking.prompts import PromptWish, check_position, parse_direction, parse_head, require_live
from app.explorer.asking.views import Options, check_view
from app.explorer.errors import BadOption
from app.explorer.library import OpenModel
from app.explorer.pages.using.attention import MadePair, PairsPage, PairTerm, PlaneTerm, QueryTerm, Split, WhyPage
from app.explorer.reading import attention as reading
from app.explorer.resources import Resources
from app.explorer.view import View
from app.explorer.visits import orders
from app.explorer.visits.using.prompts import (
    NO_WISH,
    carry_prompt,
    choose_examples,
    find_prompt,
    fulfil_live,
    keep_prompt,
    require_prompts,
)
from app.store.artifacts import Arrays
from app.store.grounds import note_now
from app.store.prompts import KEPT_SECONDS

ONLY_FOLDED = "Attention is told in folded weights: the sums are exact only with what norms and positions make of them."
MOST_PAIRS = 12
"""Pairs that are listed."""
SPLIT_ORDER: tuple[Split, ...] = ("pair", "row", "planes")
"""The order of `settled` in the artifact."""


@dataclass(frozen=True, slots=True)
class WhyInquiry:
    """What a visitor asks of a head's attention on a prompt."""

    head: str = ""
    """The head that looks, such as L24H4."""
    to: int | None = None
    """The position that looks; None: the last."""
    source: int | None = None
    """The position that is looked at; None: the one that is looked at most, but for the start."""
    split: Split = "pair"
    again: PromptWish = NO_WISH
    """The prompt that the link holds, to be run where it is not here."""


def visit_why(r: Resources, address: Address, options: Options, key: str, inquiry: WhyInquiry) -> WhyPage:
    """Make the page of why a head looks from one position of a prompt at another."""
    model, shown, prompt = find_prompt(
        r, address, replace(options, weights=options.weights or "folded"), key, inquiry.again
    )
    if shown.weights == "raw":
        raise BadOption(ONLY_FOLDED)
    head = parse_head(model, address, inquiry.head)
    if head is None:
        raise BadOption("head names the head that looks, such as L5H3.")
    to = check_position(len(prompt.ids), inquiry.to, "to")
    rotates = model.rotates(head.layer or 0)
    if inquiry.source is not None and not 0 <= inquiry.source <= to:
        raise BadOption(f"from goes from 0 to {to} here: a position looks at itself and at those before it.")
    if inquiry.split == "planes" and not rotates:
        raise BadOption(
            f"by=planes means nothing in L{head.layer} of {model.header.slug}, which rotates no queries and keys: ask for "
            "by=pair or by=row."
        )
    recipe = recipes.attention(model, key, shown.weights, head, to, inquiry.source)
    arrays = fulfil_live(r, model, recipe, f"{model.header.slug} is running the prompt.").arrays
    source, first = int(arrays["source"][0]), int(arrays["first"][0])
    if source < first:
        raise BadOption(
            f"Position {source} is masked for position {to} in L{head.layer}, which looks back no further than to "
            f"position {first}."
        )
    if inquiry.split == "row" and to == first:
        raise BadOption(f"by=row compares sources, and position {to} sees none but itself: ask for by=pair.")
    splits = [split for split in SPLIT_ORDER if (split != "planes" or rotates) and (split != "row" or to > first)]
    distance = to - source if rotates else 0
    at = SPLIT_ORDER.index(inquiry.split)
    random = {"pair": "settled_random", "row": "row_settled_random"}.get(inquiry.split)
    return WhyPage(
        Address(address.model, address.pin),
        model.header,
        shown,
        key=key,
        text=prompt.text,
        tokens=reading.read_seen_tokens(arrays, prompt.ids, model.vocabulary),
        head=head,
        to=to,
        source=source,
        distance=distance,
        score=float(arrays["score"][source]),
        cap=float(arrays["cap"][0]) or None,
        split=inquiry.split,
        terms=_read_terms(r, model, shown, arrays, head.at("qk"), inquiry.split, distance),
        still=float(arrays["still"][0]) if inquiry.split == "planes" else None,
        biases=None if inquiry.split == "planes" else reading.read_biases(arrays),
        settled=int(arrays["settled"][at]),
        settled_random=None if random is None else float(arrays[random].mean()),
        splits=tuple(splits),
        kept_until=prompt.made + KEPT_SECONDS,
        carried=carry_prompt(r, model, prompt),
    )


def visit_pairs(r: Resources, address: Address, options: Options, of: str) -> PairsPage:
    """Make the page of the pairs of example prompts that a direction of a head's QK does most for, or against."""
    prompts, model = require_prompts(r), locate_model(r, address)
    require_live(model)
    direction = parse_direction(model, address, of, "qk")
    shown = check_view(model, direction, replace(options, weights=options.weights or "folded"), r.default_weights)
    if shown.weights == "raw":
        raise BadOption(ONLY_FOLDED)
    head, examples = direction.matrix.parent, choose_examples(model, prompts)
    assert head is not None
    found: list[MadePair] = []
    n_pairs = 0
    title = f"{model.header.slug} is running the example prompts."
    for text in examples:
        key = keep_prompt(r, address, PromptWish(text))
        arrays = fulfil_live(r, model, recipes.pairs(model, key, shown.weights, head, shown.distance), title).arrays
        tokens = tuple(model.vocabulary.entry(id_) for id_ in model.tokenize_whole(text))
        found += reading.read_pairs(arrays, direction.index or 0, key, text, tokens)
        n_pairs += len(arrays["to"])
    note_now()  # examples are kept as prompts are, and no longer
    return PairsPage(
        direction,
        model.header,
        shown,
        distance=shown.distance,
        pairs=tuple(sorted(found, key=lambda pair: -abs(pair.term))[:MOST_PAIRS]),
        n_pairs=n_pairs,
        n_prompts=len(examples),
        rotates=model.rotates(head.layer or 0),
    )


def _read_terms(
    r: Resources, model: OpenModel, shown: View, arrays: Arrays, qk: Address, split: Split, distance: int
) -> tuple[PairTerm, ...] | tuple[QueryTerm, ...] | tuple[PlaneTerm, ...]:
    """Read the terms of a split, with the tokens of its directions, computed where they are not there."""
    if split == "planes":
        return reading.read_plane_terms(arrays, arrays["frequencies"].tolist())
    rotated = replace(shown, distance=distance if split == "pair" else 0)
    (readout,) = orders.fulfil(r, orders.order_matrix(model, qk, rotated))
    read = reading.read_pair_terms if split == "pair" else reading.read_query_terms
    return read(arrays, readout.arrays, model.vocabulary, qk)
