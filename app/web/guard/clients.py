"""The visitor that a request comes from, by IP address, so that nobody gets more of the machine than others.

A proxy's own address is not the visitor's. Each proxy appends the address that it has the request from to
`X-Forwarded-For`, whose first entries anyone may make up: so the last one that is no trusted proxy's counts. Pure ASGI.
"""

import ipaddress
import logging
import re
from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.explorer.running.visitor import ASKING, VISITOR, VisitorRequest

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

UNKNOWN_CLIENT = "nowhere"
"""Key of all visitors whose address is not known."""
IPV6_PREFIX = 64
"""Bits of an IPv6 address that identify a visitor: the rest is his to choose."""
MOST_HOPS = 32
"""Entries of X-Forwarded-For that are read, from the last one on."""
HOP = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]{2,45})\]|(?P<four>[0-9.]{7,15}))(?::[0-9]{1,5})?")
"""An address, perhaps with a port, as some proxies write it; an IPv6 address without brackets has none."""

logger = logging.getLogger(__name__)


class Visitors:
    """Middleware that notes the visitor of each request."""

    def __init__(self, app: ASGIApp, trusted: Sequence[str]) -> None:
        self.app = app
        self._trusted = [ipaddress.ip_network(network) for network in trusted]
        self._has_warned = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on unchanged, with its visitor noted."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        forwarded = Headers(scope=scope).getlist("x-forwarded-for")
        if forwarded and not self._trusted and not self._has_warned:
            self._has_warned = True
            logger.warning(
                "Requests come through a proxy, so all its visitors count as one, who has few places in the line of "
                "computations. SINGULAR_LENS_TRUSTED_PROXIES names it."
            )
        peer = scope.get("client")
        noted = VISITOR.set(client_key(peer[0] if peer else "", forwarded, self._trusted))
        asking = ASKING.set(VisitorRequest())
        try:
            await self.app(scope, receive, send)
        finally:
            ASKING.reset(asking)
            VISITOR.reset(noted)


def client_key(peer: str, forwarded: Sequence[str], trusted: Sequence[Network]) -> str:
    """Find the visitor of a request: the peer, or the last hop in X-Forwarded-For that is no trusted proxy.

    Where a trusted proxy has written something that is no address, the visitor is the proxy itself.

    Example: client_key("10.0.0.1", ["6.6.6.6, 203.0.113.7"], [ip_network("10.0.0.0/8")]) -> "203.0.113.7"
    """
    hop = parse_hop(peer)
    if hop is None:
        return UNKNOWN_CLIENT
    for written in reversed(",".join(forwarded).rsplit(",", MOST_HOPS)[-MOST_HOPS:]):
        if not any(hop in network for network in trusted):
            break
        before = parse_hop(written.strip(" \t"))
        if before is None:
            break
        hop = before
    return str(hop if hop.version == 4 else ipaddress.IPv6Network((int(hop), IPV6_PREFIX), strict=False))


def parse_hop(written: str) -> Address | None:
    """Parse the address of a hop, with or without a port; None if it is none.

    Example: parse_hop("[2001:db8::1]:443") -> IPv6Address("2001:db8::1")
    """
    found = HOP.fullmatch(written)
    try:
        address = ipaddress.ip_address((found["six"] or found["four"]) if found else written)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if address.version == 6 else None
    return mapped or address
