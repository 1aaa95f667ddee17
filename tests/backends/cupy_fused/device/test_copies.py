"""What CudaCopies says to CuPy, with CuPy's streams and events played, and what is said where memory ends."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from accel_logreg.backends.cupy_fused.device.cuda import NO_MEMORY, CudaCopies


class Diary:
    """CuPy's streams and events; everything they are asked is written down in order."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, ...]] = []
        self.marks = 0
        self.current = self.stream("current")
        self.runtime = SimpleNamespace(CUDARuntimeError=CudaError)
        self.cuda = SimpleNamespace(
            Stream=self.new_stream,
            Event=self.event,
            get_current_stream=lambda: self.current,
            alloc_pinned_memory=bytearray,
            runtime=self.runtime,
        )

    def stream(self, name: str) -> Any:
        return SimpleNamespace(
            name=name,
            wait_event=lambda event: self.entries.append((name, "waits for", event.name)),
            synchronize=lambda: self.entries.append(("host", "waits for", name)),
        )

    def new_stream(self, *, non_blocking: bool) -> Any:
        assert non_blocking, "it would wait for the default stream by itself"
        return self.stream("copies")

    def event(self, *, disable_timing: bool) -> Any:
        assert disable_timing
        self.marks += 1
        name = f"mark {self.marks}"
        return SimpleNamespace(
            name=name,
            record=lambda stream: self.entries.append((stream.name, "has", name)),
            synchronize=lambda: self.entries.append(("host", "waits for", name)),
        )

    def target(self) -> Any:
        def copy(source: int, size: int, stream: Any) -> None:
            self.entries.append((stream.name, "copies", str(size), str(source)))

        return SimpleNamespace(data=SimpleNamespace(copy_from_host_async=copy))


class CudaError(RuntimeError):
    def __init__(self, status: int) -> None:
        super().__init__(f"status {status}")
        self.status = status


def test_copies_and_kernels_wait_for_each_other() -> None:
    diary = Diary()
    copies = CudaCopies(diary, nullcontext())
    source = copies.pinned(64)
    assert source.dtype == np.uint8
    assert source.shape == (64,)
    assert source.flags.writeable
    copies.after_kernels()
    sent = copies.send(source[:40], diary.target())
    copies.before_kernels(sent)
    copies.wait(sent)
    copies.finish()
    assert diary.entries == [
        ("current", "has", "mark 1"),
        ("copies", "waits for", "mark 1"),
        ("copies", "copies", "40", str(source.ctypes.data)),
        ("copies", "has", "mark 2"),
        ("current", "waits for", "mark 2"),
        ("host", "waits for", "mark 2"),
        ("host", "waits for", "copies"),
    ]


def test_a_host_without_pinned_memory() -> None:
    diary = Diary()

    def refused(_size: int) -> None:
        raise CudaError(status)

    diary.cuda.alloc_pinned_memory = refused
    copies = CudaCopies(diary, nullcontext())
    status = NO_MEMORY
    with pytest.raises(MemoryError, match=r"0\.06 GB of page-locked host memory .*'numba'"):
        copies.pinned(64_000_000)
    status = 700
    with pytest.raises(CudaError, match="700"):
        copies.pinned(64)
