"""Who a request comes from, so that nobody gets more of the machine than others: an address, and what is one visitor's.

A proxy's own address is not the visitor's. Proxies write the address that each has the request from behind those that
`X-Forwarded-For` names already, which anyone may have made up: so the last is taken that is no trusted proxy's. Pure ASGI.
"""

import ipaddress
import logging
import re
from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.explorer.running.visitor import ASKING, VISITOR, Asking

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

NOWHERE = "nowhere"
"""All whose address is not known: one visitor."""
PREFIX = 64
"""Bits of an IPv6 address that are one visitor's: the rest is his to choose."""
MOST_HOPS = 32
"""Proxies that a request may have come through; what stands before those is not looked at."""
HOP = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]{2,45})\]|(?P<four>[0-9.]{7,15}))(?::[0-9]{1,5})?")
"""With a port, as some proxies write it; an IPv6 address without brackets has none."""

logger = logging.getLogger(__name__)


class Visitors:
    """Notes who each request comes from."""

    def __init__(self, app: ASGIApp, trusted: Sequence[str]) -> None:
        self.app = app
        self._trusted = [ipaddress.ip_network(network) for network in trusted]
        self._has_warned = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request: passed on as it came."""
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
        asking = ASKING.set(Asking())
        try:
            await self.app(scope, receive, send)
        finally:
            ASKING.reset(asking)
            VISITOR.reset(noted)


def client_key(peer: str, forwarded: Sequence[str], trusted: Sequence[Network]) -> str:
    """Whose request it is: the peer's, or that of the last hop in the header's fields that is no trusted proxy.

    Where a trusted proxy has written something that is no address, it is the proxy's own.

    Example: client_key("10.0.0.1", ["6.6.6.6, 203.0.113.7"], [ip_network("10.0.0.0/8")]) -> "203.0.113.7"
    """
    hop = hop_address(peer)
    if hop is None:
        return NOWHERE
    for written in reversed(",".join(forwarded).rsplit(",", MOST_HOPS)[-MOST_HOPS:]):
        if not any(hop in network for network in trusted):
            break
        before = hop_address(written.strip(" \t"))
        if before is None:
            break
        hop = before
    return str(hop if hop.version == 4 else ipaddress.IPv6Network((int(hop), PREFIX), strict=False))


def hop_address(written: str) -> Address | None:
    """The address that a hop is written as, be it with a port; None if it is none.

    Example: hop_address("[2001:db8::1]:443") -> IPv6Address("2001:db8::1")
    """
    found = HOP.fullmatch(written)
    try:
        address = ipaddress.ip_address((found["six"] or found["four"]) if found else written)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if address.version == 6 else None
    return mapped or address
