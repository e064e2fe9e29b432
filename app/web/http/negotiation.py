"""What a request says of the answer that it can take: which coding, and which version the visitor has already (RFC 9110).

Knows nothing of what is answered.
"""

import re

from fastapi import Request

WEIGHT = re.compile(r"q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)", re.IGNORECASE)
TAG = re.compile(r'(?:W/)?("[^"]*")')
"""An entity tag, strong or weak; what is compared weakly is the part in quotes."""


def prefers_gzip(request: Request) -> bool:
    """Tell whether the visitor takes gzip, and likes it no less than the plain bytes."""
    weights = _weights(request)
    gzip = _weight(weights, "gzip", 0.0)
    return gzip > 0 and gzip >= _weight(weights, "identity", 0.0)


def refuses_plain(request: Request) -> bool:
    """Tell whether the visitor takes the plain bytes on no account, be they ever so few."""
    return _weight(_weights(request), "identity", 1.0) == 0


def is_known(request: Request, tag: str) -> bool:
    """Tell whether the visitor has what the tag names; the packed and the plain bytes are the same to him."""
    known = ",".join(request.headers.getlist("If-None-Match")).strip()
    return known == "*" or tag.removeprefix("W/") in TAG.findall(known)


def _weights(request: Request) -> dict[str, float]:
    """Coding -> how welcome it is, from 0, not at all, to 1; a weight that is none counts as 0."""
    weights = {}
    for part in ",".join(request.headers.getlist("Accept-Encoding")).split(","):
        coding, semicolon, parameter = part.partition(";")
        given = WEIGHT.fullmatch(parameter.strip())
        weights[coding.strip().lower().removeprefix("x-")] = float(given[1]) if given else float(not semicolon)
    return weights


def _weight(weights: dict[str, float], coding: str, unnamed: float) -> float:
    """How welcome the coding is, by its own name or among all others; `unnamed` where it is not spoken of."""
    return weights.get(coding, weights.get("*", unnamed))
