"""The application: settings in, an ASGI app out. Opens the explorer's resources at the start and closes them last."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version

import anyio.to_thread
from fastapi import FastAPI

from app.config import Settings
from app.explorer.resources import Resources, StartLive, StartWorker, close_resources, open_resources
from app.explorer.running.processes import start_live_process, start_process
from app.explorer.running.prompts import Limits
from app.explorer.visits.warmup import search_once, warm_up
from app.jobs.ahead import Precomputer
from app.jobs.arrivals import import_missing
from app.jobs.runner import Runner
from app.models.naming import Named
from app.web.api.snapshot import install_snapshot
from app.web.caching.kept import KeptAnswers
from app.web.caching.shared import SharedCaches
from app.web.guard.clients import Visitors
from app.web.guard.gate import Gate
from app.web.http.counts import CountedAnswers, Counts
from app.web.http.errors import install_errors
from app.web.http.methods import HeadAsGet
from app.web.http.patience import Patience
from app.web.http.security import RootPath, SecureHeaders
from app.web.http.site import open_site
from app.web.http.streams import Streams
from app.web.http.targets import OriginForm
from app.web.http.threads import Threads, open_threads
from app.web.routes import ROUTERS

logger = logging.getLogger(__name__)

WARM_UP_SECONDS = 1.0
"""Delay of the slow imports after the server is ready: they take a core from the first visitor."""


def create_app(
    settings: Settings | None = None,
    named: tuple[Named, ...] | None = None,
    start_worker: StartWorker = start_process,
    start_live: StartLive = start_live_process,
) -> FastAPI:
    """Create the app for these settings, or for those of the environment.

    `named`: its models, if they have been looked up. `start_worker`: starts the worker that computes; `start_live` the
    live model.
    """
    chosen = settings or Settings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.threads = open_threads()
        resources = await anyio.to_thread.run_sync(_open_resources, chosen, named, start_worker, start_live)
        app.state.resources = resources
        app.state.streams = Streams()
        runner = Runner(resources.jobs, resources.children, resources.data, chosen.device)
        await anyio.to_thread.run_sync(import_missing, resources, runner)
        app.state.runner = runner if chosen.allow_jobs else None  # visitors may use it if it is there
        ahead = None
        if chosen.precompute_of != "nothing":
            ahead = Precomputer(resources, runner, of_all=chosen.precompute_of == "all")
        warming = asyncio.create_task(_warm_up(resources, app.state.threads))
        yield
        warming.cancel()
        end_streams(app)
        if ahead is not None:
            await anyio.to_thread.run_sync(ahead.close)
        await anyio.to_thread.run_sync(runner.close)
        await anyio.to_thread.run_sync(close_resources, resources)

    app = FastAPI(
        title="singular-lens",
        version=_version(),
        lifespan=lifespan,
        docs_url=None,
        openapi_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.site = open_site(chosen)
    app.state.counts = counts = Counts()
    app.state.patience = Patience(chosen.wait_seconds, chosen.waiters)
    install_errors(app)
    install_snapshot(app)
    for router in ROUTERS:
        app.router.routes.extend(router.routes)  # `include_router` would build each again, before the first answer
    app.add_middleware(RootPath, root=chosen.root_path)
    app.add_middleware(Visitors, trusted=chosen.trusted_proxies)
    app.add_middleware(KeptAnswers, settings=chosen, counts=counts)
    app.add_middleware(Gate, settings=chosen)
    if chosen.public:
        app.add_middleware(SharedCaches, root=chosen.root_path)
    app.add_middleware(OriginForm)
    app.add_middleware(HeadAsGet)
    app.add_middleware(SecureHeaders)
    app.add_middleware(CountedAnswers, counts=counts)
    return app


async def _warm_up(r: Resources, threads: Threads) -> None:
    """Prepare what the first visitor needs, once a model is there; requests meanwhile do not wait for the imports."""
    is_done = False
    while not is_done:
        await asyncio.sleep(WARM_UP_SECONDS)
        try:
            is_done = await anyio.to_thread.run_sync(warm_up, r)
        except Exception:
            logger.exception("nothing is prepared before anyone asks")
            return
    try:
        await anyio.to_thread.run_sync(search_once, r, limiter=threads.searches)
    except Exception:
        logger.exception("the first search is not prepared before anyone asks")


def end_streams(app: FastAPI) -> None:
    """End the open event streams; call it in the thread that serves them."""
    app.state.streams.close()


def _open_resources(
    settings: Settings, named: tuple[Named, ...] | None, start_worker: StartWorker, start_live: StartLive
) -> Resources:
    return open_resources(
        data=settings.data,
        models=settings.models,
        device=settings.device,
        weights=settings.weights,
        quota_bytes=int(settings.quota_gib * 2**30),
        memory_bytes=settings.memory_mib * 2**20,
        queue_size=settings.queue_size,
        wait_seconds=0.0,  # requests wait on the event loop
        waiters=settings.waiters,
        named=named,
        start_worker=start_worker,
        prompts=_limit_prompts(settings),
        prompt_waiters=settings.prompt_waiters,
        start_live=start_live,
        computes_for_visits=settings.computes_for_visits,
    )


def _limit_prompts(settings: Settings) -> Limits | None:
    if settings.prompts_for == "off":
        return None
    continued = settings.generation_for != "off"
    return Limits(settings.prompt_tokens, settings.prompt_kib * 1024, continued=continued)


def _version() -> str:
    try:
        return version("singular-lens")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "0"
