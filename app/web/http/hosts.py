"""The Host headers that this server answers to.

A page elsewhere can point a name of its own at this machine and then read what its visitors' browsers reach here (DNS
rebinding). That takes a name: so numeric addresses always pass, and names only if the operator means them.
"""

import ipaddress
import re
from urllib.parse import urlsplit

from app.config import Settings

HEADER = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?")


def own_names(settings: Settings) -> frozenset[str] | None:
    """List the host names that the server answers to, in lower case; None if any will do.

    Any will do where the server listens on every address and no name is configured: a container cannot know its own.

    Example: own_names(Settings(public_url="https://lens.example/x")) -> {"localhost", "lens.example", "127.0.0.1"}
    """
    public = urlsplit(settings.public_url).hostname
    given = {*settings.allowed_hosts, *([public] if public else [])}
    if settings.host in {"", "0.0.0.0", "::"} and not given:  # noqa: S104 (compared, not bound)
        return None
    return frozenset({"localhost", settings.host.lower(), *given})


def host_of(header: str) -> str | None:
    """Parse the host out of a Host header, in lower case, without port, brackets and last dot; None if malformed.

    Example: host_of("Lens.Example:8000") -> "lens.example"
    """
    found = HEADER.fullmatch(header)
    return found["host"].strip("[]").removesuffix(".").lower() if found else None


def is_numeric(host: str) -> bool:
    """Return whether the host is an IP address and no name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
