"""Content negotiation (RFC 9110): the coding that a visitor accepts, and the version that he has already.

Knows nothing of the answers.
"""

import re
from typing import Literal

from fastapi import Request

WEIGHT = re.compile(r"q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)", re.IGNORECASE)
TAG = re.compile(r'(?:W/)?("[^"]*")')
"""An entity tag, strong or weak; a weak comparison takes the part in quotes."""


Coding = Literal["plain", "gzip", "only gzip"]
"""The coding of an answer: plain, compressed where that helps, or compressed in any case."""


def coding_for(accepted: str) -> Coding:
    """Choose the coding for an Accept-Encoding: gzip where it is no less welcome than the plain bytes."""
    weights = _parse_weights(accepted)
    gzip = _weight_of(weights, "gzip", 0.0)
    if gzip <= 0 or gzip < _weight_of(weights, "identity", 0.0):
        return "plain"
    return "only gzip" if _weight_of(weights, "identity", 1.0) == 0 else "gzip"


def coding_of(request: Request) -> Coding:
    """Choose the coding for a request."""
    return coding_for(",".join(request.headers.getlist("Accept-Encoding")))


def is_known(request: Request, tag: str) -> bool:
    """Return whether the visitor has the version of that ETag, compressed or plain."""
    return has_tag(",".join(request.headers.getlist("If-None-Match")), tag)


def has_tag(known: str, tag: str) -> bool:
    """Return whether an If-None-Match with these tags names that one."""
    known = known.strip()
    return known == "*" or tag.removeprefix("W/") in TAG.findall(known)


def _parse_weights(accepted: str) -> dict[str, float]:
    """Parse coding -> weight, from 0 (refused) to 1; a malformed weight counts as 0."""
    weights = {}
    for part in accepted.split(","):
        coding, semicolon, parameter = part.partition(";")
        given = WEIGHT.fullmatch(parameter.strip())
        weights[coding.strip().lower().removeprefix("x-")] = float(given[1]) if given else float(not semicolon)
    return weights


def _weight_of(weights: dict[str, float], coding: str, unnamed: float) -> float:
    """Look up the weight of a coding, by its own name or by `*`; `unnamed` where neither is given."""
    return weights.get(coding, weights.get("*", unnamed))
