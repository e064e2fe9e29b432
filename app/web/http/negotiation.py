"""What a request says of the answer that it can take: which coding, and which version the visitor has already (RFC 9110).

Knows nothing of what is answered.
"""

import re
from typing import Literal

from fastapi import Request

WEIGHT = re.compile(r"q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)", re.IGNORECASE)
TAG = re.compile(r'(?:W/)?("[^"]*")')
"""An entity tag, strong or weak; what is compared weakly is the part in quotes."""


Coding = Literal["plain", "gzip", "only gzip"]
"""How a visitor is answered: plainly, packed where that helps, or packed in any case."""


def coding_for(accepted: str) -> Coding:
    """What suits the visitor who sends that Accept-Encoding: gzip where it is no less welcome than the plain bytes."""
    weights = _weights(accepted)
    gzip = _weight(weights, "gzip", 0.0)
    if gzip <= 0 or gzip < _weight(weights, "identity", 0.0):
        return "plain"
    return "only gzip" if _weight(weights, "identity", 1.0) == 0 else "gzip"


def coding_of(request: Request) -> Coding:
    """What suits the visitor."""
    return coding_for(",".join(request.headers.getlist("Accept-Encoding")))


def is_known(request: Request, tag: str) -> bool:
    """Tell whether the visitor has what the tag names; the packed and the plain bytes are the same to him."""
    return is_among(",".join(request.headers.getlist("If-None-Match")), tag)


def is_among(known: str, tag: str) -> bool:
    """Tell whether an If-None-Match of these tags names that one."""
    known = known.strip()
    return known == "*" or tag.removeprefix("W/") in TAG.findall(known)


def _weights(accepted: str) -> dict[str, float]:
    """Coding -> how welcome it is, from 0, not at all, to 1; a weight that is none counts as 0."""
    weights = {}
    for part in accepted.split(","):
        coding, semicolon, parameter = part.partition(";")
        given = WEIGHT.fullmatch(parameter.strip())
        weights[coding.strip().lower().removeprefix("x-")] = float(given[1]) if given else float(not semicolon)
    return weights


def _weight(weights: dict[str, float], coding: str, unnamed: float) -> float:
    """How welcome the coding is, by its own name or among all others; `unnamed` where it is not spoken of."""
    return weights.get(coding, weights.get("*", unnamed))
