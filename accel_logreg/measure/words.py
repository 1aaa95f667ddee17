"""Times, sizes, rates and shares in words: three significant digits, with the unit that suits."""

from __future__ import annotations

import math

PREFIXES = {"T": 1e12, "G": 1e9, "M": 1e6, "k": 1e3, "": 1.0, "m": 1e-3, "µ": 1e-6, "n": 1e-9}


def significant(value: float) -> str:
    """Three significant digits without an exponent: 1.23, 12.3, 1,234."""
    rounded = float(f"{value:.3g}")  # first, because 0.9996 has one digit less after the point than it seems
    decimals = max(0, 2 - math.floor(math.log10(abs(rounded)))) if rounded else 0
    return f"{rounded:,.{decimals}f}" if abs(value) < 1000 else f"{value:,.0f}"


def in_words(seconds: float) -> str:
    """161 ms, 86.4 µs."""
    return _scaled(seconds, "s", ("", "m", "µ", "n"))


def in_bytes(size: float) -> str:
    """2.10 MB, 512 B: powers of 1000, as memory bandwidths are given."""
    return _scaled(size, "B", ("T", "G", "M", "k")) if size >= 999.5 else f"{size:.0f} B"


def in_memory(size: float) -> str:
    """48 KiB, 23.5 GiB: powers of 1024, in which memories and caches are made."""
    powers = {"TiB": 1024.0**4, "GiB": 1024.0**3, "MiB": 1024.0**2, "KiB": 1024.0}
    unit = next((one for one in powers if size >= 0.9995 * powers[one]), None)
    return f"{size:.0f} B" if unit is None else f"{size / powers[unit]:.3g} {unit}"


def in_flops(flops: float) -> str:
    """84.0 GFLOP."""
    return _scaled(flops, "FLOP", ("T", "G", "M", "k", ""))


def in_percent(percent: float) -> str:
    """87 %, 1.2 %."""
    return f"{percent:.0f} %" if percent >= 9.95 else f"{percent:.2g} %"


def _scaled(value: float, unit: str, prefixes: tuple[str, ...]) -> str:
    """With the largest prefix that leaves at least 1, or the last."""
    prefix = next((one for one in prefixes if value >= 0.9995 * PREFIXES[one]), prefixes[-1])
    return f"{significant(value / PREFIXES[prefix])} {prefix}{unit}"
