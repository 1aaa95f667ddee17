"""A CUDA device with events around every launch and every copy, in the place of the engine's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from accel_logreg.lab.profile_record import COPIES, KERNELS, Recorder

TO_DEVICE, TO_HOST = "copy to the device", "copy back"


class ProfiledDevice:
    """Passes everything on; a method whose name begins with launch, upload or download is recorded.

    By the beginning of their names, so that a second way to launch or to copy is recorded too.
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


def _uploads(recorder: Recorder, upload: Callable[..., Any]) -> Callable[..., Any]:
    def upload_recorded(array: Any, *args: Any, **kwargs: Any) -> Any:
        with recorder.span(COPIES, TO_DEVICE) as details:
            details["bytes"] = float(array.nbytes)
            return upload(array, *args, **kwargs)

    return upload_recorded


def _downloads(recorder: Recorder, download: Callable[..., Any]) -> Callable[..., Any]:
    def download_recorded(array: Any, *args: Any, **kwargs: Any) -> Any:
        with recorder.span(COPIES, TO_HOST) as details:
            details["bytes"] = float(array.nbytes)
            return download(array, *args, **kwargs)

    return download_recorded


_RECORDED: dict[str, Callable[[Recorder, Callable[..., Any]], Callable[..., Any]]] = {
    "launch": _launches,
    "upload": _uploads,
    "download": _downloads,
}


@contextmanager
def profiled_device(backend: Any, recorder: Recorder) -> Iterator[None]:
    """Until the block ends, the CuPy engine's device records what it does. No other engine has a device."""
    device = getattr(backend, "_device", None)
    if device is None:
        yield
        return
    backend._device = ProfiledDevice(device, recorder)
    try:
        yield
    finally:
        backend._device = device
