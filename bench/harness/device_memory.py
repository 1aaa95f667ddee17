"""How much of a GPU's memory a call needs: the peak of what CuPy's pools have handed out, above the start."""

from __future__ import annotations

from typing import Any


class DevicePeak:
    """Made before the calls; ``bytes()`` after them. Counts every pool of the thread that made it."""

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
