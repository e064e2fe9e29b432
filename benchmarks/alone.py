"""A measurement of one way to read out heads in a process of its own, so that the peak memory is its own."""

import multiprocessing
from multiprocessing.connection import Connection
from typing import NamedTuple

import torch

from benchmarks.clock import time_work
from benchmarks.memory import sample_peak
from benchmarks.shapes import Shape, count_weight_bytes, draw_ends, draw_heads
from benchmarks.ways import WAYS, Done


class LoneRun(NamedTuple):
    """The seconds and memory that one way took."""

    ready: float
    """Seconds to get ready, once a model."""
    seconds: float
    """Seconds for all layers after that."""
    done: Done
    """The work done in all layers."""
    peak: int
    """Peak bytes: on a CPU of the whole process, libraries included, on a GPU of the allocations there."""

    def beyond_weights(self, shape: Shape) -> int:
        """Compute the peak without both ends and one layer's heads."""
        return self.peak - count_weight_bytes(shape)


def measure_alone(way: str, shape: Shape, n_layers: int, device: str) -> LoneRun:
    """Run a way over the layers, in a process with only torch and the weights."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_send_run, args=(way, shape, n_layers, device, theirs), daemon=True)
    process.start()
    theirs.close()  # so that the pipe ends when the process does
    try:
        ours.recv()  # the weights are in memory
        assert process.pid
        peak = sample_peak(ours.poll, process.pid)
        found: LoneRun = ours.recv()
    except EOFError:
        process.join()
        raise RuntimeError(f"{way} on {shape} ended with exit status {process.exitcode}") from None
    process.join()
    return found if device.startswith("cuda") else found._replace(peak=peak)


def _send_run(way: str, shape: Shape, n_layers: int, device: str, results: Connection) -> None:
    chosen = WAYS[way]
    ends = draw_ends(shape, device)
    first = draw_heads(shape, 0, device)[:1]
    results.send("ready")
    with torch.inference_mode():
        work, ready = time_work(device, chosen.ready, ends)
        work(first)  # a warm-up: libraries load at the first call
        total, done = 0.0, Done(0)
        for layer in range(n_layers):
            heads = draw_heads(shape, layer, device)[: chosen.n_heads]
            (sides, unsettled), seconds = time_work(device, work, heads)
            total, done = total + seconds, Done(done.sides + sides, done.unsettled + unsettled)
    peak = torch.cuda.max_memory_allocated(device) if device.startswith("cuda") else 0
    results.send(LoneRun(ready, total, done, peak))
