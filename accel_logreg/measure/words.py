"""Sizes and rates in words: three significant digits with the unit that suits."""

from __future__ import annotations

from accel_logreg.measure.clock import significant

_BYTES = (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3))
_FLOPS = (("TFLOP", 1e12), ("GFLOP", 1e9), ("MFLOP", 1e6))


def in_bytes(size: float) -> str:
    """2.10 MB, 512 B."""
    return _with_unit(size, _BYTES) or f"{size:.0f} B"


def in_flops(flops: float) -> str:
    """84.0 GFLOP."""
    return _with_unit(flops, _FLOPS) or f"{flops:.0f} FLOP"


def in_percent(percent: float) -> str:
    """87 %, 1.2 %."""
    return f"{percent:.0f} %" if percent >= 9.95 else f"{percent:.2g} %"


def in_counts(value: float) -> str:
    """3, 2.25: reads of X need not be whole."""
    return f"{value:.4g}" if value < 1e4 else f"{value:,.0f}"


def _with_unit(value: float, units: tuple[tuple[str, float], ...]) -> str:
    for unit, size in units:
        if value >= 0.9995 * size:
            return f"{significant(value / size)} {unit}"
    return ""
