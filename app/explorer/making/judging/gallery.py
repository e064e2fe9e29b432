"""The gallery of a layer, or of the model's ends: the readable rays of every matrix.

The gallery considers the strongest directions of each matrix, both rays on each side that is the residual stream. It
keeps a ray under one of three labels, all of the first two and the strongest glitches of a matrix:

- `notable`: readable, by its z against the control;
- `frequency`: readable too, but most of its first tokens are frequent ones or very short: such rays top many matrices;
- `glitch`: most of its tokens were never trained, so that nothing can be said of how alike they are.

Readable means that the tokens are more alike than those of random directions; not that the model uses the ray. The
artifact:

    kind head index side ray [n]          which ray: of KINDS, -1 for no head, 0 for left and for +, 1 for right and for -
    label ray_class [n]                 of LABELS, of RAY_CLASSES
    turn [n 2]                            of a quantised copy: how far its direction is rotated, left and right
    strength share [n]                    of the direction
    coherence z p forms_z forms_p beyond_z beyond_p spelling_z spelling_p [n]    at the headline length; nan for a glitch
    letterless reading [n]                of its tokens; of READINGS
    left_ids left_scores right_ids right_scores [n GALLERY_TOKENS]    of that ray; -1 and 0 for a side that reads no tokens
    every_p [m]                           of every ray that was considered and could be judged
    readable [n_heads 2]                  of a layer: share of each head's rays, OV's and QK's, that are readable

Matrices that were computed before are taken from the store; others are decomposed here, and not kept. Runs in the
worker's process or a job's. Knows no pages.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from app.core.address import CIRCUITS, KINDS, Address
from app.core.basis import BASES
from app.core.judging.rays import ALPHA, HEADLINE, classify_directions
from app.core.steps import Steps, rescale_steps
from app.explorer import recipes
from app.explorer.inventory import places_of
from app.explorer.layout import BY_LENGTH, GALLERY_TOKENS, LABELS, NUMBERS, OF_FORMS, SIDE_PREFIXES, Label
from app.explorer.making.context import Arrays, ArraysAndFacts, Context
from app.explorer.making.heads import decompose_heads, list_matrices, summarise_arrays, turn_arrays
from app.explorer.making.judging.controls import load_control
from app.explorer.making.sides import read_into
from app.explorer.making.subjects import Subject, read_subject
from app.explorer.recipes import FREQUENT_SHARE, GALLERY_DIRECTIONS, GALLERY_FIRST, GLITCHES, SHORT_BYTES
from app.models.vocabulary import TokenEntry, Vocabulary

if TYPE_CHECKING:
    from app.core.decomposition import Decomposition
    from app.core.matrix import Matrix


@dataclass(frozen=True)
class JudgedMatrix:
    """The strongest directions of one matrix, read out and judged."""

    address: Address
    arrays: Arrays
    """The first rows of the arrays of the matrix's own artifact; without those of a side that was not judged."""

    def p(self, side: str) -> "np.ndarray[Any, np.dtype[np.float32]]":
        """Return p of both rays: [n 2]; no rows where the side is not judged."""
        return self.arrays[f"{side}_p"][..., HEADLINE] if f"{side}_p" in self.arrays else np.zeros((0, 2), np.float32)


@dataclass(frozen=True)
class Candidate:
    """A ray that the gallery may keep."""

    looked: JudgedMatrix
    side: str
    row: int
    sign: int
    """The sign: 0 for +, 1 for -."""
    label: Label
    merit: float


def build_gallery(context: Context, layer: int | None) -> Steps[ArraysAndFacts]:
    """Build the gallery of that layer, or of the model's ends; without rays where there is no control to judge by."""
    yield 0, 100
    is_judged = any(load_control(context, side) is not None for side in ("read", "write"))
    looked: list[JudgedMatrix] = (
        (yield from rescale_steps(0, 100, 100, _summarise_matrices(context, layer))) if is_judged else []
    )
    return gallery_arrays(context, looked, is_judged)


def gallery_arrays(context: Context, looked: Sequence[JudgedMatrix], is_judged: bool) -> ArraysAndFacts:
    """Build the gallery from the judged matrices."""
    rays = [ray for each in looked for ray in _select_rays(_find_candidates(each, context.model.vocabulary))]
    shares = np.zeros((context.model.manifest.n_heads, len(CIRCUITS)), np.float32)
    every = [np.zeros(0, np.float32)]
    for each in looked:
        p = np.concatenate([each.p(side).flatten() for side in SIDE_PREFIXES])
        p = p[~np.isnan(p)]
        every.append(p)
        if each.address.circuit is not None and len(p):
            shares[each.address.head, CIRCUITS.index(each.address.circuit)] = (p < ALPHA).mean()
    return _ray_arrays(rays) | _turn_arrays(context, rays) | {"every_p": np.concatenate(every), "readable": shares}, {
        "judged": is_judged
    }


def label_ray(vocabulary: Vocabulary, ids: Sequence[int], p: float) -> Label | None:
    """Label a ray with these first tokens and this p; None for one that does not stand out."""
    if np.isnan(p):
        return "glitch"
    if p >= ALPHA:
        return None
    common = sum(_is_common(vocabulary.entry(id_), vocabulary.size) for id_ in ids)
    return "frequency" if 2 * common > len(ids) else "notable"


def _summarise_matrices(context: Context, layer: int | None) -> Steps[list[JudgedMatrix]]:
    """Summarise every matrix of the layer, or of the model's ends, decomposing those that are not stored."""
    places, looked, missing = (
        places_of(context.model.header, layer, context.processing),
        dict[Address, JudgedMatrix](),
        list[Address](),
    )
    for place in places:
        artifact = context.store.read(recipes.decomposition(context.model, place, context.processing, {}))
        if artifact is None:
            missing.append(place)
        else:
            looked[place] = JudgedMatrix(
                place, summarise_arrays(dict(artifact.arrays), GALLERY_DIRECTIONS, GALLERY_TOKENS)
            )
    taken: list[tuple[Address, Matrix, Decomposition]] = []
    if heads := {(place.head or 0, place.circuit): place for place in missing if place.circuit is not None}:
        assert layer is not None
        wanted = [(head, circuit) for head, circuit in list_matrices(context.model) if (head, circuit) in heads]
        for each in decompose_heads(context, layer, wanted):
            taken.append((heads[each.head, each.circuit], each.product, each.terms))
    for place in (place for place in missing if place.circuit is None):
        done, total = 100 * (len(looked) + len(taken)), 100 * len(places)
        yield done, total
        whole: Subject = yield from rescale_steps(done, 20, total, read_subject(context, place))
        steps = BASES["svd"].decompose(whole.product, {})
        taken.append((place, whole.product, (yield from rescale_steps(done + 20, 80, total, steps))))
    yield len(looked) + len(taken), len(places)
    looked |= {each.address: each for each in _read_strongest(context, taken)}
    return [looked[place] for place in places]


def _read_strongest(context: Context, taken: "Sequence[tuple[Address, Matrix, Decomposition]]") -> list[JudgedMatrix]:
    """Read out the strongest directions of each matrix, all together."""
    from app.core.matrix import Space
    from app.core.measuring.scores import energy_shares

    looked: list[JudgedMatrix] = []
    asked: dict[str, list[Any]] = {}
    for place, product, terms in taken:
        first = slice(GALLERY_DIRECTIONS)
        arrays: Arrays = {
            "index": np.arange(len(terms.strength), dtype=np.int32)[first],
            "strength": terms.strength[first].cpu().numpy(),
            "share": energy_shares(terms.strength)[first].cpu().numpy(),
            **{name: array[first] for name, array in turn_arrays(context, product, terms).items()},
        }
        looked.append(JudgedMatrix(place, arrays))
        for prefix, side, vectors in (
            ("left", product.left, terms.left[first]),
            ("right", product.right, terms.right[first]),
        ):
            if side.space is Space.RESIDUAL:
                end = "write" if side.name == "write" else "read"
                asked.setdefault(end, []).append((arrays, prefix, vectors))
    for end, shares in asked.items():
        read_into(context, end, shares, GALLERY_TOKENS)
    return looked


def _find_candidates(looked: JudgedMatrix, vocabulary: Vocabulary) -> list[Candidate]:
    """Return the rays of a matrix that stand out."""
    found: list[Candidate] = []
    for side in SIDE_PREFIXES:
        for (row, sign), p in np.ndenumerate(looked.p(side)):
            ids = looked.arrays[_array_name(side, sign, "ids")][row, :GALLERY_FIRST].tolist()
            label = label_ray(vocabulary, ids, float(p))
            if label is not None:
                # Nothing is known of a glitch but its direction's size.
                z, share = looked.arrays[f"{side}_z"][row, sign, HEADLINE], looked.arrays["share"][row]
                found.append(Candidate(looked, side, row, sign, label, float(share if label == "glitch" else z)))
    return found


def _select_rays(rays: Sequence[Candidate]) -> list[Candidate]:
    """Select all readable rays, and the first glitches, a glitch of both sides once."""
    falling = sorted(rays, key=lambda ray: -ray.merit)
    readable = [ray for ray in falling if ray.label != "glitch"]
    once: dict[tuple[int, int], Candidate] = {}
    for ray in falling:
        if ray.label == "glitch":
            once.setdefault((ray.row, ray.sign), ray)
    return readable + list(once.values())[:GLITCHES]


def _ray_arrays(rays: Sequence[Candidate]) -> Arrays:
    """Return the arrays of the rays, one row for each."""
    rows = [_ray_row(ray) for ray in rays]
    empty: dict[str, tuple[Any, tuple[int, ...]]] = {
        **dict.fromkeys(("kind", "side", "ray", "label", "ray_class", "reading"), (np.int8, ())),
        **dict.fromkeys(("head", "index"), (np.int32, ())),
        **dict.fromkeys(("strength", *NUMBERS), (np.float32, ())),
        "letterless": (np.bool_, ()),
        "share": (np.float64, ()),
        **{f"{side}_ids": (np.int32, (GALLERY_TOKENS,)) for side in SIDE_PREFIXES},
        **{f"{side}_scores": (np.float32, (GALLERY_TOKENS,)) for side in SIDE_PREFIXES},
    }
    return {
        name: np.array([row[name] for row in rows], dtype).reshape(len(rows), *shape)
        for name, (dtype, shape) in empty.items()
    }


def _turn_arrays(context: Context, rays: Sequence[Candidate]) -> Arrays:
    """Return how far the direction of each ray of a quantised copy is rotated."""
    if context.model.manifest.quantisation is None:
        return {}
    turned = [[ray.looked.arrays[f"turn_{side}"][ray.row] for side in SIDE_PREFIXES] for ray in rays]
    return {"turn": np.array(turned, np.float32).reshape(len(rays), len(SIDE_PREFIXES))}


def _ray_row(ray: Candidate) -> dict[str, Any]:
    looked, side, at = ray.looked, ray.side, (ray.row, ray.sign)
    arrays, p = looked.arrays, looked.p(side)
    assert looked.address.kind is not None
    codes = classify_directions(p[:, 0], p[:, 1], arrays[f"{side}_difference_p"])
    return {
        "kind": KINDS.index(looked.address.kind),
        "head": -1 if looked.address.head is None else looked.address.head,
        "index": arrays["index"][ray.row],
        "side": SIDE_PREFIXES.index(side),
        "ray": ray.sign,
        "label": LABELS.index(ray.label),
        "ray_class": codes[ray.row],
        "strength": arrays["strength"][ray.row],
        "share": arrays["share"][ray.row],
        **{name: arrays[f"{side}_{name}"][*at, HEADLINE] for name in BY_LENGTH},
        **{name: arrays[f"{side}_{name}"][at] for name in (*OF_FORMS, "letterless", "reading")},
        **{
            f"{each}_{what}": _padded_tokens(looked, each, ray, what)
            for each in SIDE_PREFIXES
            for what in ("ids", "scores")
        },
    }


def _padded_tokens(looked: JudgedMatrix, side: str, ray: Candidate, what: str) -> "np.ndarray[Any, Any]":
    """Return that ray's tokens on that side, padded where there are none, or fewer."""
    filled = np.full(GALLERY_TOKENS, -1 if what == "ids" else 0, np.float64)
    # Only sides of the stream are judged; other readouts in a matrix's artifact are entries of its vectors.
    if f"{side}_p" in looked.arrays:
        tokens = looked.arrays[_array_name(side, ray.sign, what)][ray.row]
        filled[: len(tokens)] = tokens
    return filled


def _array_name(side: str, sign: int, what: str) -> str:
    return f"{side}_{'bottom' if sign else 'top'}_{what}"


def _is_common(entry: TokenEntry, d_vocab: int) -> bool:
    is_short = len(entry.text.strip().encode("utf-8", "replace")) <= SHORT_BYTES
    return entry.kind != "text" or entry.id < d_vocab // FREQUENT_SHARE or is_short
