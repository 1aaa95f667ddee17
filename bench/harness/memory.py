"""How much memory a call needs: the peak above what it was before, on Linux and on a GPU."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


class Peak:
    """Of resident memory. Made before the calls; ``bytes()`` after them.

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


class DevicePeak:
    """The same of what CuPy's pools have handed out, every pool of the thread that made it."""

    def __init__(self, cupy: Any) -> None:
        tally = self._tally = [0, 0]  # now, at the peak; relative to the start

        class Hook(cupy.cuda.MemoryHook):  # type: ignore[misc]
            name = "DevicePeak"

            def malloc_postprocess(self, **event: Any) -> None:
                tally[0] += event["mem_size"]
                tally[1] = max(tally)

            def free_postprocess(self, **event: Any) -> None:
                tally[0] -= event["mem_size"]

        self._hook = Hook()
        self._hook.__enter__()

    def bytes(self) -> int:
        """The peak, in bytes; counting ends here."""
        self._hook.__exit__(None, None, None)
        return self._tally[1]
