"""The counters at /-/status, for whoever runs the server: numbers of it, and nothing of its visitors."""

import time
from typing import Literal

from anyio import to_thread
from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse

from app.explorer.resources import Resources
from app.explorer.running.queue import ComputeQueue
from app.web.caching.kept import AnswerKey
from app.web.http.answers import NO_STORE
from app.web.http.counts import CLASSES
from app.web.http.site import counts_of, require_operator, resources_of, streams_of
from app.web.http.threads import threads_of
from app.web.view.metrics import PROMETHEUS, Metric, format_plain, format_prometheus

router = APIRouter(include_in_schema=False)
STATES = ("alive", "idle", "stopped", "off")
"""The states of a worker; that of the live model is `off` where no prompts are run."""


@router.get("/-/status")
async def show_status(request: Request, format: Literal["prometheus"] | None = None) -> PlainTextResponse:  # noqa: A002
    """Show the server's counters, for people or as Prometheus reads them."""
    require_operator(request)
    r = resources_of(request)
    of_store = await to_thread.run_sync(_measure_store, r, limiter=threads_of(request).probes)  # it looks at every file
    metrics = [*_count_answers(request), *_count_queues(r), *of_store]
    if format is None:
        return PlainTextResponse(format_plain(metrics), headers=NO_STORE)
    return PlainTextResponse(format_prometheus(metrics), headers=NO_STORE, media_type=PROMETHEUS)


def _count_answers(request: Request) -> list[Metric]:
    counts, memory = counts_of(request), resources_of(request).store.memory
    n_kept, kept_bytes = memory.used_by(AnswerKey)
    return [
        Metric("info", "Version", {request.app.version: 1}, label="version"),
        Metric("uptime_seconds", "Seconds since the start", time.monotonic() - counts.started),
        Metric("answers_total", "Answers by status", dict(zip(CLASSES, counts.answers, strict=True)), label="status"),
        Metric("requests_open", "Requests being answered", counts.open),
        Metric("streams_open", "Open event streams", streams_of(request).n_open),
        Metric("kept_hits_total", "Answers sent again as they were kept", counts.kept_hits),
        Metric("kept_misses_total", "Answers of that kind that were made", counts.kept_misses),
        Metric("kept_answers", "Answers kept in memory", n_kept),
        Metric("kept_bytes", "Bytes of memory of kept answers", kept_bytes),
        Metric("memory_bytes", "Bytes of memory of artifacts and kept answers", memory.used),
    ]


def _count_queues(r: Resources) -> list[Metric]:
    metrics = [*_count_queue("line", "Computations", r.queue), _describe_state("worker", "Worker", r.queue)]
    if r.prompts is not None:
        metrics += _count_queue("prompts", "Runs of prompts", r.prompts.queue)
    return [*metrics, _describe_state("live_model", "Live model", None if r.prompts is None else r.prompts.queue)]


def _count_queue(name: str, called: str, queue: ComputeQueue) -> list[Metric]:
    counts = queue.count()
    return [
        Metric(f"{name}_waiting", f"{called} in line", counts.waiting),
        Metric(f"{name}_begun", f"{called} at work or paused", counts.begun),
        Metric(f"{name}_started_total", f"{called} that a process was given, part by part", counts.started),
        Metric(f"{name}_done_total", f"{called} done", counts.done),
        Metric(f"{name}_failed_total", f"{called} that failed", counts.failed),
    ]


def _describe_state(name: str, called: str, queue: ComputeQueue | None) -> Metric:
    """Describe a worker's state, as a number for each state that is 1 for the present one."""
    state = "off" if queue is None else queue.state()
    return Metric(f"{name}_state", called, {one: float(one == state) for one in STATES}, label="state")


def _measure_store(r: Resources) -> list[Metric]:
    found = r.store.measure_occupancy()
    return [
        Metric("store_artifacts", "Artifacts on disk", found.files),
        Metric("store_bytes", "Bytes of artifacts on disk", found.bytes),
        Metric("store_quota_bytes", "Bytes that artifacts may take on disk", found.quota),
    ]
