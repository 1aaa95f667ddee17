"""The profile of the CuPy engine: events, launches and copies; its kernels played on the host."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support.cuda_host.host_device import Driver
from support.cuda_host.play_engine import PlayedCupyBackend
from support.cuda_host.played_arrays import CupyLike
from support.cuda_host.queues import LAGGING, QueueingDevice, Stream
from support.profiles import CEILINGS, check_trace, small_profile

from accel_logreg import LogisticRegression
from accel_logreg.backends import stand_in
from accel_logreg.backends.cupy_fused import placement as cupy_fused_place
from accel_logreg.backends.cupy_fused.device import staging as cupy_fused_staging
from accel_logreg.interface.engine import Engine
from accel_logreg.kernels.cupy_fused.dense.launch import resident_bytes
from accel_logreg.kernels.cupy_fused.dense.plan import Limits
from accel_logreg.profile import ceilings as ceilings_module
from accel_logreg.profile import report
from accel_logreg.profile.ceilings import Ceilings, device_ceilings
from accel_logreg.profile.device import ProfiledDevice, profiled_device
from accel_logreg.profile.record import (
    COPIES,
    FIT,
    KERNELS,
    PIECES,
    QUESTIONS,
    STAGES,
    DeviceWatch,
    Recorder,
    Span,
    Watch,
)
from accel_logreg.profile.report import to_trace
from accel_logreg.profile.result import Profile, Settings, beside_kernels, breakdown, copies, kernels
from accel_logreg.profile.rows import ProfiledBackend
from accel_logreg.profile.run import ceilings_of, watch_of

pytest_plugins = ["support.cuda_host.fixtures"]


class PlayedCuda:
    """cupy.cuda with a clock that every event moves on by a millisecond; no event can be read too early."""

    def __init__(self) -> None:
        self.now = 0.0
        self.idle = True
        cuda = self

        class Event:
            def record(self, stream: Stream | None = None) -> None:
                cuda.idle = False
                if stream is None:
                    self._come_to()
                else:
                    stream.add(self._come_to)  # when the queue gets there

            def _come_to(self) -> None:
                cuda.now += 1.0
                self.at = cuda.now

            def synchronize(self) -> None:
                cuda.idle = True

        class Device:
            def synchronize(self) -> None:
                cuda.idle = True

            def __enter__(self) -> None:
                pass

            def __exit__(self, *_: object) -> None:
                pass

        self.Event, self.Device = Event, Device

    def get_elapsed_time(self, start: Any, stop: Any) -> float:
        assert self.idle, "an event was read before the device had come to it"
        return float(stop.at - start.at)


def played_watch() -> DeviceWatch:
    return DeviceWatch(SimpleNamespace(cuda=PlayedCuda()))


def test_spans_are_events_read_after_the_end() -> None:
    recorder = Recorder(played_watch())
    with recorder.span(STAGES, "outer"), recorder.span(KERNELS, "inner"):
        pass
    outer, inner = recorder.spans()
    assert (outer.start, outer.seconds) == (pytest.approx(0.001), pytest.approx(0.003))
    assert (inner.start, inner.seconds) == (pytest.approx(0.002), pytest.approx(0.001))


class PlainDevice:
    """A device that counts, with a way to copy and to launch that today's has not."""

    limits = "limits"

    def __init__(self) -> None:
        self.calls: list[str] = []

    def empty(self, size: int) -> Any:
        return np.zeros(size)

    def upload(self, array: Any) -> Any:
        return array.copy()

    def upload_later(self, array: Any, stream: int) -> Any:
        return array[:stream]

    def download(self, array: Any) -> Any:
        return array + 1.0

    def launch(self, kernel: str, *_args: Any) -> None:
        self.calls.append(kernel)

    def launch_together(self, kernel: str, grid: tuple[int, ...]) -> str:
        return f"{kernel} {grid}"


def test_a_device_passes_everything_on_and_records_launches_and_copies() -> None:
    plain, recorder = PlainDevice(), Recorder(Watch())
    device = ProfiledDevice(plain, recorder)
    assert device.limits == "limits"
    assert device.empty(3).size == 3
    array = np.arange(4.0)
    np.testing.assert_array_equal(device.upload(array), array)
    np.testing.assert_array_equal(device.upload_later(array, stream=2), [0.0, 1.0])
    np.testing.assert_array_equal(device.download(array), array + 1.0)
    device.launch("gradient", (3, 2), 256, 4096, (None,))
    assert plain.calls == ["gradient"]
    assert device.launch_together("descent", (9,)) == "descent (9,)"
    spans = recorder.spans()
    assert [(span.track, span.name) for span in spans] == [
        (COPIES, "copy to the device"), (COPIES, "copy to the device"), (COPIES, "copy back"),
        (KERNELS, "gradient"), (KERNELS, "descent"),
    ]  # fmt: skip
    assert [span.details["bytes"] for span in spans[:3]] == [32.0, 32.0, 32.0]
    assert spans[3].details == {"grid": [3, 2], "threads": 256, "shared_bytes": 4096}


def test_the_device_is_put_back() -> None:
    device = PlainDevice()
    backend = SimpleNamespace(_device=device)
    with profiled_device(backend, Recorder(Watch())):
        assert isinstance(backend._device, ProfiledDevice)
    assert backend._device is device
    with pytest.raises(ZeroDivisionError), profiled_device(backend, Recorder(Watch())):
        raise ZeroDivisionError
    assert backend._device is device
    with profiled_device(SimpleNamespace(), Recorder(Watch())):
        pass


@pytest.fixture(scope="module")
def played(driver: Driver) -> tuple[Profile, Counter[str]]:
    """A profile of the played engine, and the kernels that its device launched in the last fit."""
    backend = PlayedCupyBackend(driver)
    device: Any = backend._device
    before: list[int] = []

    class Noting(DeviceWatch):
        """Notes how many kernels had been launched at every mark."""

        def mark(self, stream: Any = None) -> Any:
            before.append(len(device.launched))
            return super().mark(stream)

    cuda = SimpleNamespace(cuda=PlayedCuda())
    with stand_in(backend):
        profile = small_profile("cupy", rows=40, features=3, repeats=1, watch=lambda _backend: Noting(cuda))
    assert backend._device is device
    # Marks count milliseconds from the first: span.start says which one began it.
    (fit,) = [span for span in profile.spans if span.name == "profiled fit"]
    first, last = (before[round(1e3 * second)] for second in (fit.start, fit.end))
    return profile, Counter(device.launched[first:last])


def test_every_launch_of_the_fit_is_recorded(played: tuple[Profile, Counter[str]]) -> None:
    profile, launched = played
    assert launched
    assert {one.name: one.calls for one in kernels(profile.spans_of_fit())} == launched
    assert all(name.partition("_float")[0] for name in launched)


def test_copies_of_the_fit_are_whole(played: tuple[Profile, Counter[str]]) -> None:
    profile, _ = played
    both = {one.name: one for one in copies(profile.spans_of_fit())}
    assert both.keys() == {"copy to the device", "copy back"}
    assert both["copy to the device"].bytes >= profile.matrix_bytes + profile.n_rows  # X, and y in bytes
    assert both["copy back"].calls >= 1


def test_the_profile_of_a_device_is_by_events(played: tuple[Profile, Counter[str]]) -> None:
    profile, _ = played
    assert (profile.engine, profile.clock, profile.on_device) == ("cupy", "device events", True)
    assert profile.threads == 0
    parts = breakdown(profile.spans_of_fit())
    assert parts.checking + parts.taking + parts.asking + parts.solving == pytest.approx(parts.fit)
    tables = report.tables(profile)
    assert "reduce_partials" in [row[0] for row in tables["kernels"].rows]
    stages = [row[0].strip() for row in tables["stages"].rows]
    assert stages[-3:-1] == ["copy to the device", "copy back"] or stages[-3:-1] == [
        "copy back", "copy to the device",
    ]  # fmt: skip


def test_the_trace_has_tracks_of_the_device(played: tuple[Profile, Counter[str]]) -> None:
    profile, _ = played
    events = check_trace(to_trace(profile))["traceEvents"]
    names = [event["args"]["name"] for event in events if event["ph"] == "M"]
    assert names == [
        "accel_logreg, cupy", "cupy device", "stages", "questions through the interface", "kernels",
        "copies between host and device",
    ]  # fmt: skip
    gradient = next(event for event in events if event["name"].startswith("gradient_"))
    assert gradient["args"].keys() == {"part", "grid", "threads", "shared_bytes"}


# ---- copies through pinned buffers ----------------------------------------------------------------------


def profile_of_pieces(driver: Driver, monkeypatch: pytest.MonkeyPatch, lagging: str) -> Profile:
    """X (400, 3) float32, of 4800 bytes, in pieces of at most 1000."""
    monkeypatch.setattr(cupy_fused_place, "OVERLAP_BYTES", 1)
    monkeypatch.setattr(cupy_fused_staging, "PIECE_BYTES", 1000)
    backend = PlayedCupyBackend(driver)
    backend._device = QueueingDevice(driver, Limits(1, 100 << 10, 100 << 10), lagging=lagging)
    watch = played_watch()
    with stand_in(backend):
        return small_profile("cupy", rows=400, features=3, repeats=1, solver="newton", watch=lambda _: watch)


def pieces_of(profile: Profile) -> list[Span]:
    return [span for span in profile.spans_of_fit() if span.track == PIECES]


@pytest.mark.parametrize("lagging", LAGGING)
def test_pieces_of_an_x_that_arrives_are_recorded_on_their_own_queue(
    driver: Driver, monkeypatch: pytest.MonkeyPatch, lagging: str
) -> None:
    """A thread sends them while the fit goes on; they are the fit's all the same, and make up all of X."""
    profile = profile_of_pieces(driver, monkeypatch, lagging)
    whole = [span for span in pieces_of(profile) if span.details["bytes"] >= 12]
    assert {span.name for span in whole} == {"copy to the device, pinned"}
    assert {span.details["direction"] for span in whole} == {"to the device"}
    assert sum(span.details["bytes"] for span in whole) >= profile.matrix_bytes
    assert all(span.seconds > 0.0 for span in whole)
    sums = {one.name: one for one in copies(profile.spans_of_fit())}
    assert sums["copy to the device, pinned"].calls == len(whole)
    rows = {row[0].strip(): row for row in report.tables(profile)["stages"].rows}
    assert rows["copy to the device, pinned"][3].startswith(f"{len(whole)} in questions and rows")
    assert "of it beside kernels" in rows
    events = check_trace(to_trace(profile))["traceEvents"]
    names = [event["args"]["name"] for event in events if event["ph"] == "M"]
    assert "copies of pinned pieces, beside the kernels" in names
    shown = [event for event in events if event.get("cat") == PIECES]
    assert sum(event["args"]["part"] == "fit 0" for event in shown) == len(whole)
    assert all(event["pid"] == 2 and event["tid"] >= 3 for event in shown)


def test_every_read_of_a_streamed_x_is_recorded(driver: Driver) -> None:
    X = np.random.default_rng(0).normal(size=(401, 7))
    limits = Limits(1, 100 << 10, 100 << 10)
    backend, recorder = PlayedCupyBackend(driver), Recorder(played_watch())
    backend._device = QueueingDevice(driver, limits, memory=resident_bytes((401, 7), 8, False, limits))
    with profiled_device(backend, recorder):
        rows: Any = backend.place(X, np.arange(401) % 2.0, None)
        recorder.part = "two passes"  # the queue was made before, and its copies belong there
        for _ in range(2):
            rows.loss_grad(np.zeros(8))
    pieces = [span for span in recorder.spans() if span.track == PIECES]
    assert {span.part for span in pieces} == {""}
    assert len(pieces) == 2 * -(-(401 - rows.kept) // rows.part_rows) > 4
    sent = sum(span.details["bytes"] for span in pieces)
    assert sent >= 2 * (401 - rows.kept) * 7 * 8


def test_what_runs_beside_kernels_is_counted_once() -> None:
    def span(track: str, start: float, end: float) -> Span:
        return Span(track, "", start, end - start)

    kernels_run = [span(KERNELS, 1.0, 2.0), span(KERNELS, 1.5, 3.0), span(KERNELS, 5.0, 6.0)]
    pieces = [span(PIECES, 0.0, 1.5), span(PIECES, 2.5, 5.5), span(PIECES, 5.25, 5.5), span(PIECES, 7.0, 8.0)]
    assert beside_kernels([*kernels_run, *pieces]) == pytest.approx(0.5 + 0.5 + 0.5)
    assert beside_kernels(kernels_run) == 0.0
    assert beside_kernels([*pieces, span(COPIES, 0.0, 9.0)]) == 0.0


def test_queues_at_once_get_lanes_of_their_own(played: tuple[Profile, Counter[str]]) -> None:
    spans = (
        Span(PIECES, "a", 0.0, 2.0, "", {"bytes": 4.0}),
        Span(PIECES, "b", 1.0, 2.0, "", {"bytes": 4.0}),
        Span(PIECES, "c", 2.0, 1.0, "", {"bytes": 4.0}),
        Span(PIECES, "d", 3.0, 1.0, "", {"bytes": 4.0}),
    )
    events = check_trace(to_trace(replace(played[0], spans=spans)))["traceEvents"]
    lanes = {event["name"]: event["tid"] for event in events if event["ph"] == "X"}
    assert lanes == {"a": 3, "b": 4, "c": 3, "d": 3}


def test_an_x_on_a_gpu_is_profiled_on_its_own_device(driver: Driver) -> None:
    backend, recorder = PlayedCupyBackend(driver), Recorder(Watch())
    X = np.random.default_rng(0).normal(size=(40, 3))
    with profiled_device(backend, recorder):
        rows = backend.place(CupyLike(X, ordinal=1), np.arange(40) % 2.0, None)
        rows.loss_grad(np.zeros(4))
    recorded = [span.name for span in recorder.spans() if span.track == KERNELS]
    assert recorded == backend._played[1].launched != []
    assert backend._interchange.adopt(CupyLike(X))[0] is backend._played[0]


def test_a_fit_to_an_x_on_a_gpu_has_the_same_parts(driver: Driver) -> None:
    backend, recorder = PlayedCupyBackend(driver), Recorder(Watch())
    X = np.random.default_rng(0).normal(size=(60, 3))
    stood_in: Any = ProfiledBackend(backend, recorder)
    model = LogisticRegression(backend="cupy")
    with stand_in(stood_in), profiled_device(backend, recorder), recorder.span(STAGES, FIT):
        model.fit(CupyLike(X), X[:, 0] > 0.3)
    parts = breakdown(recorder.spans())
    assert min(parts.checking, parts.taking, parts.asking, parts.solving) > 0.0
    asked = [span for span in recorder.spans() if span.track == QUESTIONS]
    assert sum(span.details["reads"] for span in asked) == pytest.approx(model.history_["reads"][-1])


def test_the_pictures_of_a_device(played: tuple[Profile, Counter[str]]) -> None:
    plots = pytest.importorskip("accel_logreg.profile.plots", reason="matplotlib is not installed")
    for draw in (plots.roofline, plots.timeline):
        assert b"<svg" in draw(played[0])[:200]


# ---- ceilings of a device -----------------------------------------------------------------------------


class PlayedArray(np.ndarray):
    """A device array: NumPy's, with the copies that CuPy's has."""

    def get(self, out: Any = None) -> Any:
        if out is None:
            return np.asarray(self)
        out[...] = self
        return out

    def set(self, host: Any) -> None:
        self[...] = host


class PlayedCupy:
    """As much of CuPy as the measurement asks for."""

    def __init__(self) -> None:
        self.cuda = PlayedCuda()
        self.freed = False

    def ones(self, size: int, dtype: Any) -> Any:
        return np.ones(size, dtype).view(PlayedArray)

    def empty(self, shape: Any, dtype: Any) -> Any:
        return np.empty(shape, dtype).view(PlayedArray)

    def empty_like(self, array: Any) -> Any:
        return np.empty_like(array)

    def asarray(self, array: Any) -> Any:
        return array.view(PlayedArray)

    def copyto(self, target: Any, source: Any) -> None:
        target[...] = source

    def matmul(self, A: Any, B: Any, out: Any) -> None:
        if A.dtype == np.float64:
            raise ImportError("libcublas is missing")
        np.matmul(A, B, out=out)

    def get_default_memory_pool(self) -> Any:
        def free_all_blocks() -> None:
            self.freed = True

        return SimpleNamespace(free_all_blocks=free_all_blocks)


def test_device_ceilings(monkeypatch: pytest.MonkeyPatch) -> None:
    set_to: list[int] = []
    linalg = SimpleNamespace(
        COMPUTE_TYPE_TF32=7,
        get_compute_type=lambda _dtype: 1,
        set_compute_type=lambda _dtype, kind: set_to.append(kind),
    )
    monkeypatch.setitem(sys.modules, "cupyx", SimpleNamespace(empty_pinned=np.empty))  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "cupy._core._routines_linalg", linalg)  # type: ignore[arg-type]
    cupy = PlayedCupy()
    monkeypatch.setattr(ceilings_module, "DEVICE_SIZES", {"float32": 16, "TF32": 16, "float64": 16})
    ceilings = device_ceilings(cupy, 1 << 20)
    a_millisecond = 1e-3  # is what lies between two events here
    assert ceilings.bandwidth == pytest.approx(2 * (1 << 18) / a_millisecond)
    assert ceilings.flops == {name: pytest.approx(2 * 16**3 / a_millisecond) for name in ("float32", "TF32")}
    assert ceilings.copies == {
        "to the device": pytest.approx((1 << 18) / a_millisecond),
        "back": pytest.approx((1 << 18) / a_millisecond),
    }
    (note,) = ceilings.notes
    assert note == "no float64 matrix product was measured: ImportError: libcublas is missing"
    assert set_to == [7, 1]  # TF32, and back to what it was
    assert cupy.freed


@pytest.mark.gpu
def test_ceilings_and_clock_of_the_device_here(gpu: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    import cupy

    watch = watch_of(gpu)
    assert isinstance(watch, DeviceWatch)
    free = cupy.cuda.runtime.memGetInfo()[0]
    monkeypatch.setattr(ceilings_module, "DEVICE_SIZES", {"float32": 512, "TF32": 512, "float64": 512})
    ceilings = device_ceilings(cupy, min(free, 1 << 30))
    assert ceilings.notes == ()
    assert ceilings.flops.keys() == {"float32", "TF32", "float64"}
    assert min(ceilings.bandwidth, *ceilings.flops.values(), *ceilings.copies.values()) > 0.0


@pytest.mark.gpu
def test_a_profile_on_the_device_here(gpu: Engine) -> None:
    profile = small_profile(gpu.name, rows=20_000, features=28)
    assert profile.clock == "device events"
    parts = breakdown(profile.spans_of_fit())
    assert 0.0 < parts.asking < parts.fit
    sums = kernels(profile.spans_of_fit())
    assert {one.name for one in sums}
    assert sum(one.total for one in sums) < parts.fit
    check_trace(to_trace(profile))


def test_ceilings_of_a_host_engine_are_the_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    from accel_logreg.backends import load_backend
    from accel_logreg.profile import run as profile_run

    asked: list[int | None] = []

    def host(_backend: Engine, n_threads: int | None) -> Ceilings:
        asked.append(n_threads)
        return CEILINGS

    monkeypatch.setattr(profile_run, "host_ceilings", host)
    assert ceilings_of(load_backend("numpy"), Settings("numpy", n_threads=1)) is CEILINGS
    assert asked == [1]
    assert isinstance(watch_of(load_backend("numpy")), Watch)
