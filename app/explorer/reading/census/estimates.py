"""Numbers and their intervals as text. Knows not what was measured."""

from collections.abc import Sequence

from app.core.judging.bootstrap import Estimate


def format_estimate(estimate: Estimate) -> str:
    """Format a number with its interval.

    Example: format_estimate(Estimate(0.42, Interval(0.2, 0.61))) -> "0.42 (0.20 to 0.61)"
    """
    if estimate.interval is None:
        return format_hundredths(estimate.value)
    return f"{format_hundredths(estimate.value)} ({format_hundredths(estimate.interval.low)} to {format_hundredths(estimate.interval.high)})"


def as_shares(estimate: Estimate) -> str:
    """Format a share and its interval in percent.

    Example: as_shares(Estimate(0.58, Interval(0.54, 0.61))) -> "58.0% (54.0% to 61.0%)"
    """
    interval = estimate.interval
    return f"{estimate.value:.1%}" + (f" ({interval.low:.1%} to {interval.high:.1%})" if interval else "")


def format_hundredths(value: float) -> str:
    """Format a number with two decimals and a minus sign as wide as a digit; never as minus zero."""
    shown = f"{value:.2f}"
    return "0.00" if shown == "-0.00" else shown.replace("-", "−")


def as_points(estimate: Estimate) -> str:
    """Format a difference of shares and its interval in percentage points.

    Example: as_points(Estimate(0.016, Interval(0.001, 0.031))) -> "1.6 (0.1 to 3.1) points"
    """
    value, *ends = (f"{100 * number:.1f}" for number in (estimate.value, *(estimate.interval or ())))
    shown = f"{value} ({' to '.join(ends)})" if ends else value
    return f"{shown.replace('-0.0', '0.0').replace('-', '−')} points"


def name_layers(layers: range) -> str:
    """Name a range of layers.

    Example: name_layers(range(24, 30)) -> "layers 24–29"; name_layers(range(1)) -> "layer 0"
    """
    return f"layer {layers[0]}" if len(layers) == 1 else f"layers {layers[0]}–{layers[-1]}"


def join_words(words: Sequence[str]) -> str:
    """Join words with commas, and "and" before the last.

    Example: join_words(["a", "b", "c"]) -> "a, b and c"
    """
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def capitalise(text: str) -> str:
    """Capitalise the first letter; the rest stays as it is."""
    return text[:1].upper() + text[1:]
