"""A clock for work on a device that may still be working when the call returns."""

import time
from collections.abc import Callable
from typing import Generic, NamedTuple, ParamSpec, TypeVar

import torch

Given = ParamSpec("Given")
Value = TypeVar("Value")


class Timed(NamedTuple, Generic[Value]):
    """The result of some work, and the seconds that it took."""

    value: Value
    seconds: float


def time_work(device: str, work: Callable[Given, Value], *args: Given.args, **options: Given.kwargs) -> Timed[Value]:
    """Time some work with its arguments, to its end on the device."""
    _synchronize(device)
    started = time.perf_counter()
    value = work(*args, **options)
    _synchronize(device)
    return Timed(value, time.perf_counter() - started)


def _synchronize(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
