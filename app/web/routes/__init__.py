"""The routes: one file for each kind of URL."""

from app.web.routes import (
    api,
    around,
    blind,
    full,
    heads,
    health,
    jobs,
    matrices,
    own,
    pages,
    pair,
    search,
    status,
    token,
)
from app.web.routes.using import changes, experiments, prompts, streams

ROUTERS = tuple(
    room.router
    for room in (
        health,
        status,
        search,
        full,
        blind,
        token,
        pair,
        prompts,
        changes,
        experiments,
        heads,
        streams,
        matrices,
        api,
        own,
        jobs,
        around,
        pages,
    )
)
"""First match wins: an address can be anything, so pages come last."""
