"""One file of routes for each kind of URL."""

from app.web.routes import api, blind, full, health, jobs, matrices, own, pages, search

ROUTERS = tuple(room.router for room in (health, search, full, blind, matrices, api, own, jobs, pages))
"""First match wins: an address can be anything, so pages come last."""
