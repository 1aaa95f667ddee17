"""A CUDA device with events around every launch and every copy, in the place of the engine's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from accel_logreg.profile.record import COPIES, KERNELS, PIECES, Recorder

TO_DEVICE, TO_HOST, PIECE_TO_DEVICE = "copy to the device", "copy back", "copy to the device, pinned"


class ProfiledDevice:
    """Passes everything on; a method whose name begins with launch, upload or download is recorded.

    By the beginning of their names, so that a second way to launch or to copy is recorded too. What goes
    through queues of copies is recorded on those queues (``ProfiledCopies``).
    """

    def __init__(self, device: Any, recorder: Recorder) -> None:
        self._subject, self._recorder = device, recorder

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._subject, name)
        for beginning, recorded in _RECORDED.items():
            if name.startswith(beginning) and callable(member):
                return recorded(self._recorder, member)
        return member


def _launches(recorder: Recorder, launch: Callable[..., Any]) -> Callable[..., Any]:
    def launch_recorded(kernel: str, *args: Any, **kwargs: Any) -> Any:
        with recorder.span(KERNELS, kernel) as details:
            answer = launch(kernel, *args, **kwargs)
        for name, value in zip(("grid", "threads", "shared_bytes"), args, strict=False):
            details[name] = list(value) if isinstance(value, tuple) else value
        return answer

    return launch_recorded


def _copies(name: str, direction: str) -> Callable[[Recorder, Callable[..., Any]], Callable[..., Any]]:
    def recorded(recorder: Recorder, copy: Callable[..., Any]) -> Callable[..., Any]:
        def copy_recorded(array: Any, *args: Any, **kwargs: Any) -> Any:
            with recorder.span(COPIES, name) as details:
                details |= {"bytes": float(array.nbytes), "direction": direction}
                return copy(array, *args, **kwargs)

        return copy_recorded

    return recorded


class ProfiledCopies:
    """A queue of copies beside the kernels: every copy is timed by marks on the queue's own stream.

    Its copies belong to what was going on when the queue was made, whichever thread sends them and when.
    """

    def __init__(self, copies: Any, recorder: Recorder) -> None:
        self._subject, self._recorder, self._part = copies, recorder, recorder.part

    def __getattr__(self, name: str) -> Any:
        return getattr(self._subject, name)

    def send(self, source: Any, target: Any) -> Any:
        span = self._recorder.span(PIECES, PIECE_TO_DEVICE, stream=self._subject.stream, part=self._part)
        with span as details:
            details |= {"bytes": float(source.nbytes), "direction": "to the device"}
            return self._subject.send(source, target)


def _queues(recorder: Recorder, copies: Callable[..., Any]) -> Callable[..., Any]:
    def copies_recorded(*args: Any, **kwargs: Any) -> Any:
        return ProfiledCopies(copies(*args, **kwargs), recorder)

    return copies_recorded


_RECORDED: dict[str, Callable[[Recorder, Callable[..., Any]], Callable[..., Any]]] = {
    "launch": _launches,
    "upload": _copies(TO_DEVICE, "to the device"),
    "download": _copies(TO_HOST, "to the host"),
    "copies": _queues,
}


class _ProfiledInterchange:
    """Finds the device of an array as the engine's own does, and puts the clock into it."""

    def __init__(self, interchange: Any, recorder: Recorder) -> None:
        self._subject, self._recorder = interchange, recorder

    def adopt(self, X: Any) -> tuple[Any, Any]:
        device, array = self._subject.adopt(X)
        return ProfiledDevice(device, self._recorder), array

    def hand_over(self, array: Any, like: Any) -> Any:
        return self._subject.hand_over(array, like)


@contextmanager
def profiled_device(backend: Any, recorder: Recorder) -> Iterator[None]:
    """Until the block ends, the CuPy engine's device records what it does. No other engine has a device.

    The same for an X that lies on a GPU, on whichever.
    """
    device = getattr(backend, "_device", None)
    if device is None:
        yield
        return
    interchange = getattr(backend, "_interchange", None)
    backend._device = ProfiledDevice(device, recorder)
    if interchange is not None:
        backend._interchange = _ProfiledInterchange(interchange, recorder)
    try:
        yield
    finally:
        backend._device = device
        if interchange is not None:
            backend._interchange = interchange
