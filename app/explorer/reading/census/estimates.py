"""Numbers and their intervals as text. Knows not what was measured."""

from collections.abc import Sequence

from app.core.judging.bootstrap import Estimate


def with_interval(estimate: Estimate) -> str:
    """The number, and where it lies.

    Example: with_interval(Estimate(0.42, Interval(0.2, 0.61))) -> "0.42 (0.20 to 0.61)"
    """
    if estimate.interval is None:
        return hundredths(estimate.value)
    return f"{hundredths(estimate.value)} ({hundredths(estimate.interval.low)} to {hundredths(estimate.interval.high)})"


def as_shares(estimate: Estimate) -> str:
    """The same of a share of one.

    Example: as_shares(Estimate(0.58, Interval(0.54, 0.61))) -> "58.0% (54.0% to 61.0%)"
    """
    interval = estimate.interval
    return f"{estimate.value:.1%}" + (f" ({interval.low:.1%} to {interval.high:.1%})" if interval else "")


def hundredths(value: float) -> str:
    """With two decimals, and a minus sign as wide as a digit; never minus nothing."""
    shown = f"{value:.2f}"
    return "0.00" if shown == "-0.00" else shown.replace("-", "−")


def as_points(estimate: Estimate) -> str:
    """The same of a difference of shares, in percent points.

    Example: as_points(Estimate(0.016, Interval(0.001, 0.031))) -> "1.6 (0.1 to 3.1) points"
    """
    value, *ends = (f"{100 * number:.1f}" for number in (estimate.value, *(estimate.interval or ())))
    shown = f"{value} ({' to '.join(ends)})" if ends else value
    return f"{shown.replace('-0.0', '0.0').replace('-', '−')} points"


def layers_of(layers: range) -> str:
    """Which layers they are.

    Example: layers_of(range(24, 30)) -> "layers 24–29"; layers_of(range(1)) -> "layer 0"
    """
    return f"layer {layers[0]}" if len(layers) == 1 else f"layers {layers[0]}–{layers[-1]}"


def listed(words: Sequence[str]) -> str:
    """Example: listed(["a", "b", "c"]) -> "a, b and c"."""
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def begun(text: str) -> str:
    """With a capital where it begins, the rest as it is."""
    return text[:1].upper() + text[1:]
