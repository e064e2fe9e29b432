"""The routes: one file for each kind of URL."""

from app.web.routes import (
    api,
    blind,
    cards,
    full,
    health,
    jobs,
    lists,
    matrices,
    oembed,
    own,
    pages,
    status,
)
from app.web.routes.finding import around, heads, pair, search, token
from app.web.routes.using import changes, experiments, prompts, streams

ROUTERS = tuple(
    room.router
    for room in (
        health,
        status,
        lists,
        cards,
        oembed,
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
