"""Probes: is the process alive, and can it do its work."""

from anyio import to_thread
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from app.explorer.visits.health import check_health
from app.web.http.site import resources_of
from app.web.http.threads import threads_of

router = APIRouter(tags=["probes"])
NO_STORE = {"Cache-Control": "no-store"}


@router.get("/livez", summary="Alive")
async def livez() -> JSONResponse:
    """Answers while the process answers at all; touches nothing."""
    return JSONResponse({"status": "alive"}, headers=NO_STORE)


@router.get(
    "/readyz", summary="Ready", responses={503: {"description": "The worker, its memory or the disk is in trouble."}}
)
async def readyz(request: Request) -> JSONResponse:
    """Looks at the worker's heartbeat, its memory and the disk; computes nothing."""
    found = await to_thread.run_sync(check_health, resources_of(request), limiter=threads_of(request).probes)
    content = {"status": "ready" if found.ok else "not ready", **found.detail}
    return JSONResponse(content, 200 if found.ok else 503, NO_STORE)
