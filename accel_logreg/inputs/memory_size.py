"""Sizes of memory as people write them: bytes, "8GB", "512 MiB"."""

from __future__ import annotations

import re
from numbers import Integral
from typing import Any

_UNITS = {
    "B": 1,
    **{f"{prefix}B": 1000**power for power, prefix in enumerate("kMGT", start=1)},
    **{f"{prefix}iB": 1024**power for power, prefix in enumerate("KMGT", start=1)},
}
_EXACT = {unit.lower(): size for unit, size in _UNITS.items()}
_PATTERN = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([a-z]*)\s*", re.ASCII | re.IGNORECASE)


def memory_bytes(value: Any, name: str = "max_memory") -> int | None:
    """Bytes from an integer or a text with a unit; None stays None.

    kB, MB, GB and TB are powers of 1000, KiB, MiB, GiB and TiB powers of 1024; a text without
    a unit is bytes.

    Raises
    ------
    TypeError, ValueError
        What ``value`` is, and what is allowed.
    """
    allowed = "None, bytes as an integer of at least 1, or a text such as '8GB' or '512MiB'"
    if value is None:
        return None
    if isinstance(value, str):
        match = _PATTERN.fullmatch(value)
        unit = _EXACT.get((match[2] or "B").lower()) if match else None
        if match is None or unit is None:
            raise ValueError(
                f"{name}={value!r} is no size of memory; allowed: {allowed}, units {', '.join(_UNITS)}"
            )
        size = int(float(match[1]) * unit)
    elif not isinstance(value, bool) and isinstance(value, Integral):
        size = int(value)
    else:
        raise TypeError(f"{name}={value!r} must be {allowed}")
    if size < 1:
        raise ValueError(f"{name}={value!r} must be at least one byte; allowed: {allowed}")
    return size
