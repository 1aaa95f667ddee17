"""What happens when: spans of time on named tracks, measured by the host's clock or by a device's events.

A span is two marks. On the host a mark is the time; on a GPU it is an event in the stream, which costs the
host a microsecond and stops nothing. What lies between two marks is read when all is over.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

STAGES, QUESTIONS, KERNELS, COPIES = "stages", "questions", "kernels", "copies"
PIECES = "pieces"  # copies of pinned buffers, which run beside the kernels
FIT, PREDICT = "profiled fit", "predict"  # stages; Nsight Compute looks into the first, by its NVTX range
TAKE_ROWS = "take rows"  # the stage in which X goes into the engine's memory


@dataclass(frozen=True)
class Span:
    """Something that took ``seconds`` from ``start``, both since the recording began.

    part : what it belongs to, such as "fit 2"
    details : what it did: "bytes", "flops", "rows", and what else is known
    """

    track: str
    name: str
    start: float
    seconds: float
    part: str = ""
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def end(self) -> float:
        return self.start + self.seconds

    @property
    def kind(self) -> str:
        """Its name; but a question about a sample is another than one about all rows."""
        return f"{self.name}, sampled" if self.details.get("sampled") and self.name != "sample" else self.name


class Watch:
    """Makes marks now, and reads them when all is over. This one by the host's clock.

    It is right where a call is over when it returns.
    """

    def mark(self, stream: Any = None) -> Any:  # noqa: ARG002
        """Now; on a device, when what was queued before on ``stream`` is over, None being the current one."""
        return time.perf_counter()

    def between(self, start: Any, stop: Any) -> float:
        """Seconds from one mark to another."""
        return float(stop - start)

    def settle(self) -> None:
        """Wait until every mark can be read."""


class DeviceWatch(Watch):
    """CUDA events on streams of the device that is current when it is made.

    cupy : the module, or what plays it
    """

    def __init__(self, cupy: Any) -> None:
        self._cuda = cupy.cuda
        self._device = self._cuda.Device()
        self._device.synchronize()  # what was queued before is not part of what follows

    def mark(self, stream: Any = None) -> Any:
        if stream is None:
            event = self._cuda.Event()
            event.record()
            return event
        with self._device:  # another thread than the one that began has the first device as its current one
            event = self._cuda.Event()
            event.record(stream)
        return event

    def between(self, start: Any, stop: Any) -> float:
        milliseconds: float = self._cuda.get_elapsed_time(start, stop)
        return 1e-3 * milliseconds

    def settle(self) -> None:
        self._device.synchronize()


@dataclass(frozen=True)
class Ranges:
    """Named ranges that Nsight Systems and Nsight Compute show: ``push`` opens one, ``pop`` closes it.

    Unless given, nobody is told.
    """

    push: Callable[[str], object] = lambda _name: None
    pop: Callable[[], object] = lambda: None
    source: str = ""


def nvtx_ranges(engine: str) -> Ranges:
    """NVTX through CuPy for its engine, through the package nvtx for the others; silent where there is none.

    CuPy comes first on a GPU: its ranges are in NVTX's default domain, which ``ncu --nvtx-include`` looks in.
    """
    if engine == "cupy":
        try:
            nvtx = import_module("cupy.cuda.nvtx")
            return Ranges(nvtx.RangePush, nvtx.RangePop, "cupy.cuda.nvtx")
        except (ImportError, AttributeError):  # a CuPy without NVTX has the module but not its functions
            pass
    try:
        nvtx = import_module("nvtx")
    except ImportError:
        return Ranges()
    return Ranges(nvtx.push_range, nvtx.pop_range, "nvtx")


class Recorder:
    """Spans in the order in which they begin. ``part`` is what the spans that begin now belong to.

    Several threads may record at the same time; ranges are opened by the one that fits.
    """

    def __init__(self, watch: Watch, ranges: Ranges | None = None) -> None:
        self.part = ""
        self.watch, self.ranges = watch, ranges or Ranges()
        self._origin = watch.mark()
        # Track, name, part, details and the marks of start and end; the last is there when it is over.
        self._open: list[tuple[str, str, str, dict[str, Any], list[Any]]] = []

    @contextmanager
    def span(
        self, track: str, name: str, *, stream: Any = None, part: str | None = None
    ) -> Iterator[dict[str, Any]]:
        """Record the block; what it did may be put into the dictionary until it ends.

        stream : on a device, where what the block queues is queued; None is the current one
        part : what the span belongs to, if not to what is going on
        """
        details: dict[str, Any] = {}
        marks = [self.watch.mark(stream)]
        self._open.append((track, name, self.part if part is None else part, details, marks))
        named = track in (STAGES, QUESTIONS)
        if named:
            self.ranges.push(name)
        try:
            yield details
        finally:
            if named:
                self.ranges.pop()
            marks.append(self.watch.mark(stream))

    def spans(self) -> list[Span]:
        """All that has been recorded and is over."""
        self.watch.settle()
        between, origin = self.watch.between, self._origin
        return [
            Span(track, name, between(origin, marks[0]), between(*marks), part, details)
            for track, name, part, details, marks in tuple(self._open)
            if len(marks) == 2
        ]


class StandIn:
    """In the place of ``subject``, whose own everything is that is not recorded."""

    def __init__(self, subject: Any, recorder: Recorder) -> None:
        self._subject, self._recorder = subject, recorder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._subject, name)
