"""Seconds of work, on a device that may still be working when the call returns."""

import time
from collections.abc import Callable
from typing import Generic, NamedTuple, ParamSpec, TypeVar

import torch

Given = ParamSpec("Given")
Value = TypeVar("Value")


class Timed(NamedTuple, Generic[Value]):
    """What some work gave, and how long it took."""

    value: Value
    seconds: float


def timed(device: str, work: Callable[Given, Value], *args: Given.args, **options: Given.kwargs) -> Timed[Value]:
    """Do the work with what it is given, to its end on the device."""
    _await(device)
    started = time.perf_counter()
    value = work(*args, **options)
    _await(device)
    return Timed(value, time.perf_counter() - started)


def _await(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
