"""Saying that Numba compiles when it begins to, not after half a minute of silence."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any


def told_of_compiling(tell: Callable[[str], None]) -> AbstractContextManager[Any]:
    """Within the block ``tell`` is called once, when Numba begins to compile; never where numba is missing.

    What comes from the cache on disk is not compiled: Numba's own events know.
    """
    try:
        from numba.core import event
    except ImportError:
        return nullcontext()

    class Listener(event.TimingListener):
        told = False

        def on_start(self, event: Any) -> None:
            if not self.told:
                self.told = True
                tell(
                    "compiling the kernels for data of this kind, once: the next time they come from a cache"
                )
            super().on_start(event)  # type: ignore[no-untyped-call]

    installed: AbstractContextManager[Any] = event.install_listener(
        "numba:compile",
        Listener(),  # type: ignore[no-untyped-call]
    )
    return installed
