"""Numbers for operators, as lines of text: for people, and as Prometheus reads them. Knows not what they count."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

PREFIX = "singular_lens_"
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
"""The media type of the text format, as `format_prometheus` writes it."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One number, or one for each value of a label."""

    name: str
    """The name without the prefix; that of a counter ends in `_total`."""
    meaning: str
    """What it counts, without a full stop."""
    value: float | Mapping[str, float]
    label: str = field(default="", kw_only=True)
    """The name of the label, where the value is one for each of its values."""

    @property
    def kind(self) -> Literal["counter", "gauge"]:
        """A counter only rises while the server runs; a gauge is how it is now."""
        return "counter" if self.name.endswith("_total") else "gauge"

    def samples(self) -> Sequence[tuple[str, float]]:
        """List the label's values with their numbers; one without a label where there is none."""
        return [*self.value.items()] if isinstance(self.value, Mapping) else [("", self.value)]


def format_plain(metrics: Iterable[Metric]) -> str:
    """Format the numbers for people, one a line.

    Example: format_plain([Metric("streams", "Open event streams", 3)]) -> "Open event streams: 3\\n"
    """
    lines = [
        f"{metric.meaning}{f', {value}' if value else ''}: {_format_number(number)}"
        for metric in metrics
        for value, number in metric.samples()
    ]
    return "".join(f"{line}\n" for line in lines)


def format_prometheus(metrics: Iterable[Metric]) -> str:
    """Format the numbers in Prometheus's text format, version 0.0.4."""
    lines = []
    for metric in metrics:
        name = PREFIX + metric.name
        lines += [f"# HELP {name} {metric.meaning}", f"# TYPE {name} {metric.kind}"]
        for value, number in metric.samples():
            label = f'{{{metric.label}="{value}"}}' if value else ""
            lines.append(f"{name}{label} {_format_number(number)}")
    return "".join(f"{line}\n" for line in lines)


def _format_number(number: float) -> str:
    return str(int(number)) if number == int(number) else f"{number:.3f}"
