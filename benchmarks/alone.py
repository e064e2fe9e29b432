"""One way to compute in a process of its own, so that its memory is its own."""

import multiprocessing
from multiprocessing.connection import Connection
from typing import NamedTuple

import torch

from benchmarks.clock import timed
from benchmarks.memory import peak_until
from benchmarks.shapes import Shape, layer_heads, token_ends, weight_bytes
from benchmarks.ways import WAYS, Done


class Alone(NamedTuple):
    """What one way took."""

    ready: float
    """Seconds, once a model."""
    seconds: float
    """Of all layers after that."""
    done: Done
    """In all layers."""
    peak: int
    """Bytes: on a CPU of the whole process, libraries included, on a GPU of what was allocated there."""

    def beyond_weights(self, shape: Shape) -> int:
        """The peak without both ends and one layer's heads."""
        return self.peak - weight_bytes(shape)


def alone(way: str, shape: Shape, n_layers: int, device: str) -> Alone:
    """Run the way over the layers, with nothing else in the process than torch and the weights."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_run, args=(way, shape, n_layers, device, theirs), daemon=True)
    process.start()
    theirs.close()  # so that the end of the process is seen as the end of the pipe
    try:
        ours.recv()  # the weights are there
        assert process.pid
        peak = peak_until(ours.poll, process.pid)
        found: Alone = ours.recv()
    except EOFError:
        process.join()
        raise RuntimeError(f"{way} on {shape} ended with exit status {process.exitcode}") from None
    process.join()
    return found if device.startswith("cuda") else found._replace(peak=peak)


def _run(way: str, shape: Shape, n_layers: int, device: str, results: Connection) -> None:
    chosen = WAYS[way]
    ends = token_ends(shape, device)
    first = layer_heads(shape, 0, device)[:1]
    results.send("ready")
    with torch.inference_mode():
        work, ready = timed(device, chosen.ready, ends)
        work(first)  # libraries load what they need at the first call
        total, done = 0.0, Done(0)
        for layer in range(n_layers):
            heads = layer_heads(shape, layer, device)[: chosen.n_heads]
            (sides, unsettled), seconds = timed(device, work, heads)
            total, done = total + seconds, Done(done.sides + sides, done.unsettled + unsettled)
    peak = torch.cuda.max_memory_allocated(device) if device.startswith("cuda") else 0
    results.send(Alone(ready, total, done, peak))
