"""The format of numbers on pages: few digits, no powers of ten, a minus sign as wide as a digit. Knows no page."""

import math


def four_digits(value: float) -> str:
    """Format a number in four significant digits, without powers of ten.

    Example: four_digits(12.3456) -> "12.35"; four_digits(0.0001234) -> "0.0001234"
    """
    if value == 0 or not math.isfinite(value):
        return f"{value:.0f}"
    decimals = min(max(3 - math.floor(math.log10(abs(value))), 0), 12)
    return f"{value:.{decimals}f}".replace("-", "−")


def percent(value: float) -> str:
    """Format a share of one as a percentage with one decimal, two where it is small.

    Example: percent(0.1234) -> "12.3%"
    """
    shown = 100 * value
    return f"{shown:.1f}%" if shown >= 1 or shown == 0 else f"{shown:.2f}%"


def count(value: int) -> str:
    """Format a number of things, in millions where it is large.

    Example: count(50257) -> "50,257"; count(124439808) -> "124M"
    """
    if value >= 10_000_000:
        return f"{value / 1e6:,.0f}M"
    return f"{value / 1e6:.1f}M" if value >= 1_000_000 else f"{value:,}"


def small_share(value: float) -> str:
    """Format a share of one as a percentage, or with a power of ten where it is less than a hundredth of a percent.

    Example: small_share(0.232) -> "23.2%"; small_share(0.0000004) -> "4e-7"
    """
    return percent(value) if value >= 0.0001 or value == 0 else nats(value)


def nats(value: float) -> str:
    """Format a divergence in two digits, with a power of ten where it is small.

    Example: nats(0.0461) -> "0.046"; nats(0.0000612) -> "6.1e-5"; nats(12.34) -> "12.3"
    """
    if value >= 9.95 or value == 0:
        return f"{value:.1f}" if value else "0"
    digits, _, power = f"{value:.1e}".partition("e")
    if int(power) < -3:
        return f"{digits.removesuffix('.0')}e{int(power)}"
    return f"{float(f'{value:.1e}'):.{1 - int(power)}f}"


def factor(value: float) -> str:
    """Format how many times as much something is, in two digits.

    Example: factor(0.7147) -> "×0.71"; factor(12.28) -> "×12"; factor(1.0) -> "×1.0"
    """
    if value == 0:
        return "×0"
    if value < 0.0001:
        return f"×{nats(value)}"
    digits = 1 - math.floor(math.log10(abs(float(f"{value:.1e}"))))
    return f"×{round(value, digits):,.{min(max(digits, 0), 6)}f}"


def as_factor(logarithm: float) -> str:
    """Format the logarithm of how many times as much something is.

    Example: as_factor(0.0) -> "×1.0"; as_factor(-0.6931) -> "×0.50"
    """
    return factor(math.exp(logarithm))


def power_of_ten(value: float) -> str:
    """Format an error in one digit and a power of ten.

    Example: power_of_ten(0.00000031) -> "3e-7"
    """
    digits, _, power = f"{value:.0e}".partition("e")
    return "0" if value == 0 else f"{digits}e{int(power)}"


def cell(value: float) -> str:
    """Format a score in the three or four characters that a cell of the map has.

    Example: cell(0.934) -> ".93"; cell(-0.5) -> "−.50"; cell(23.26) -> "23.3"
    """
    size = abs(value)
    digits = f"{size:.2f}".removeprefix("0") if size < 9.95 else f"{size:.1f}" if size < 99.95 else f"{size:.0f}"
    return ("−" if value < 0 else "") + digits


def chance(value: float) -> str:
    """Format a p or a q in three decimals; how small it is does not matter below a thousandth.

    Example: chance(0.0123) -> ".012"; chance(0.0002) -> "< .001"
    """
    return "< .001" if value < 0.001 else f"{value:.3f}" if value >= 0.9995 else f"{value:.3f}".removeprefix("0")


def heat(value: float, low: float, high: float) -> str:
    """Choose the class of a cell's colour: `p0` … `p10` for plus, `n1` … `n10` for minus on a scale with two sides.

    Example: heat(0.5, -0.5, 1.0) -> "p5"; heat(-0.5, -0.5, 1.0) -> "n5"; heat(3, 2, 4) -> "p5"
    """
    if low < 0:
        step = round(10 * value / max(-low, high))
        return f"p{step}" if step >= 0 else f"n{-step}"
    return f"p{round(10 * (value - low) / (high - low))}" if high > low else "p5"


def short_decimal(value: float | None) -> str:
    """Format a p, or another number around 0 and 1, in two digits without the leading zero; a dash for None.

    Example: short_decimal(0.00175) -> ".0018"; short_decimal(-0.25) -> "−.25"; short_decimal(None) -> "–"
    """
    if value is None:
        return "–"
    digits = f"{abs(value):.2g}" if abs(value) >= 0.0001 else f"{abs(value):.5f}".rstrip("0").rstrip(".")
    return ("−" if value < 0 and digits != "0" else "") + (digits[1:] if digits.startswith("0.") else digits)


def scored(value: float | None) -> str:
    """Format a score of at most 1 in two decimals, without the leading zero; a dash for None.

    Example: scored(0.3) -> ".30"; scored(None) -> "–"
    """
    return "–" if value is None else cell(value)


def signed_decimal(value: float | None) -> str:
    """Format a z with one decimal; a dash for None.

    Example: signed_decimal(-0.77) -> "−0.8"; signed_decimal(-0.01) -> "0.0"
    """
    return "–" if value is None else f"{value:z.1f}".replace("-", "−")


def signed_number(value: float) -> str:
    """Format a number with its sign and two decimals, three where it is small.

    Example: signed_number(1.789) -> "+1.79"; signed_number(-0.0456) -> "−0.046"; signed_number(0) -> "0"
    """
    size = abs(value)
    digits = f"{size:.2f}" if size >= 0.095 else f"{size:.3f}" if size >= 0.0005 else "0"
    return digits if digits == "0" else f"{'−' if value < 0 else '+'}{digits}"


def upper_bound(share: float) -> str:
    """Format an upper bound on a share of false pairs.

    Example: upper_bound(0.1234) -> "≤ 12.3%"; upper_bound(0) -> "none seen"
    """
    return f"≤ {percent(share)}" if share else "none seen"


def percentile(value: float) -> str:
    """Format a percentile; one above 99.9 is never rounded to 100.

    Example: percentile(99.5) -> "99.5%"; percentile(99.97) -> "> 99.9%"
    """
    return "> 99.9%" if value > 99.9 else f"{value:.1f}%"


def ordinal(value: int) -> str:
    """Format a place in an order.

    Example: ordinal(21) -> "21st"; ordinal(12) -> "12th"
    """
    ending = "th" if value % 100 in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(value % 10, "th")
    return f"{value}{ending}"


def false_share(share: float) -> str:
    """Format an upper bound on the share of findings that may be chance.

    Example: false_share(0.0) -> "less than 0.1%"; false_share(0.25) -> "25.0% at most"
    """
    return f"{percent(share)} at most" if share >= 0.001 else "less than 0.1%"
