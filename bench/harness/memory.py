"""How much memory a call needs, on Linux: the peak of resident memory above what it was before."""

from __future__ import annotations

import ctypes
from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


class Peak:
    """Made before the calls; ``bytes()`` after them.

    Free memory that the C library keeps is given back first: it would hide what the calls take.
    """

    def __init__(self) -> None:
        self._before: int | None = None
        try:
            ctypes.CDLL(None).malloc_trim(0)
            _CLEAR.write_text("5")  # the peak becomes what is resident now
            self._before = _kilobytes("VmRSS")
        except (OSError, AttributeError):  # not Linux, or not allowed: then it is not known
            pass

    def bytes(self) -> int | None:
        return None if self._before is None else 1024 * max(0, _kilobytes("VmHWM") - self._before)


def _kilobytes(field: str) -> int:
    for line in _STATUS.read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1])
    raise OSError(f"{_STATUS} has no {field}")
