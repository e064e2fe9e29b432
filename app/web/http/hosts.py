"""Which Host headers mean this server.

A page elsewhere can point a name of its own at this machine and then read what its visitors' browsers reach here (DNS
rebinding). That takes a name: so numeric addresses always pass, and names only if the operator means them.
"""

import ipaddress
import re
from urllib.parse import urlsplit

from app.config import Settings

HEADER = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?")


def own_names(settings: Settings) -> frozenset[str] | None:
    """The names that the operator means, in small letters; None where any will do.

    Any does for who listens on every address and has said nothing of names: a container cannot know its own.

    Example: own_names(Settings(public_url="https://lens.example/x")) -> {"localhost", "lens.example", "127.0.0.1"}
    """
    public = urlsplit(settings.public_url).hostname
    given = {*settings.allowed_hosts, *([public] if public else [])}
    if settings.host in {"", "0.0.0.0", "::"} and not given:  # noqa: S104 (compared, not bound)
        return None
    return frozenset({"localhost", settings.host.lower(), *given})


def host_of(header: str) -> str | None:
    """The host of a Host header in small letters, without port, brackets and last dot; None if it is none.

    Example: host_of("Lens.Example:8000") -> "lens.example"
    """
    found = HEADER.fullmatch(header)
    return found["host"].strip("[]").removesuffix(".").lower() if found else None


def is_numeric(host: str) -> bool:
    """Whether the host is an address and no name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
