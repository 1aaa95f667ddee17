"""A CUDA device with events around every launch and every copy, in the place of the engine's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from accel_logreg.profile.record import COPIES, KERNELS, PIECES, Recorder, StandIn


class ProfiledDevice(StandIn):
    """Passes everything on; a method whose name begins with launch, upload or download is recorded.

    By the beginning of their names, so that a second way to launch or to copy is recorded too. What goes
    through queues of copies is recorded on those queues (``ProfiledCopies``).
    """

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._subject, name)
        for beginning in ("launch", "upload", "download", "copies"):
            if name.startswith(beginning) and callable(member):
                return partial(getattr(self, f"_{beginning}"), member)
        return member

    def _launch(self, launch: Callable[..., Any], kernel: str, *args: Any, **kwargs: Any) -> Any:
        with self._recorder.span(KERNELS, kernel) as details:
            answer = launch(kernel, *args, **kwargs)
        for name, value in zip(("grid", "threads", "shared_bytes"), args, strict=False):
            details[name] = list(value) if isinstance(value, tuple) else value
        return answer

    def _upload(self, copy: Callable[..., Any], array: Any, *args: Any, **kwargs: Any) -> Any:
        with self._recorder.span(COPIES, "copy to the device") as details:
            details |= {"bytes": float(array.nbytes), "direction": "to the device"}
            return copy(array, *args, **kwargs)

    def _download(self, copy: Callable[..., Any], array: Any, *args: Any, **kwargs: Any) -> Any:
        with self._recorder.span(COPIES, "copy back") as details:
            details |= {"bytes": float(array.nbytes), "direction": "to the host"}
            return copy(array, *args, **kwargs)

    def _copies(self, copies: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return ProfiledCopies(copies(*args, **kwargs), self._recorder)


class ProfiledCopies(StandIn):
    """A queue of copies beside the kernels: every copy is timed by marks on the queue's own stream.

    Its copies belong to what was going on when the queue was made, whichever thread sends them and when.
    """

    def __init__(self, copies: Any, recorder: Recorder) -> None:
        super().__init__(copies, recorder)
        self._part = recorder.part

    def send(self, source: Any, target: Any) -> Any:
        stream, name = self._subject.stream, "copy to the device, pinned"
        with self._recorder.span(PIECES, name, stream=stream, part=self._part) as details:
            details |= {"bytes": float(source.nbytes), "direction": "to the device"}
            return self._subject.send(source, target)


class _ProfiledInterchange(StandIn):
    """Finds the device of an array as the engine's own does, and puts the clock into it."""

    def adopt(self, X: Any) -> tuple[Any, Any]:
        device, array = self._subject.adopt(X)
        return ProfiledDevice(device, self._recorder), array


@contextmanager
def profiled_device(backend: Any, recorder: Recorder) -> Iterator[None]:
    """Until the block ends, the CuPy engine's device records what it does. No other engine has a device.

    The same for an X that lies on a GPU, on whichever.
    """
    stand_ins = {"_device": ProfiledDevice, "_interchange": _ProfiledInterchange}
    own = {name: getattr(backend, name) for name in stand_ins if getattr(backend, name, None) is not None}
    for name, member in own.items():
        setattr(backend, name, stand_ins[name](member, recorder))
    try:
        yield
    finally:
        for name, member in own.items():
            setattr(backend, name, member)
