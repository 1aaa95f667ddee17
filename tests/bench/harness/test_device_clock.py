"""A GPU call that is not over when it says so gets no time. The device is played; no real time passes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from accel_logreg.measure.clock import Clock, Subject
from bench.harness.device_clock import CudaDevice, UnsynchronisedError, event_seconds


class PlayedStream:
    """Work lies in a queue until somebody waits for it."""

    def __init__(self, gpu: PlayedGpu) -> None:
        self.gpu = gpu
        self.queued = 0.0
        gpu.streams.append(self)

    @property
    def done(self) -> bool:
        return self.queued == 0.0

    def synchronize(self) -> None:
        self.gpu.seconds += self.queued
        self.queued = 0.0


class PlayedGpu:
    """What ``bench.harness.device_clock`` uses of CuPy, and a clock that moves when the device works."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.streams: list[PlayedStream] = []
        self.current, self.null, self.other = PlayedStream(self), PlayedStream(self), PlayedStream(self)
        self.cupy: Any = SimpleNamespace(
            cuda=SimpleNamespace(
                Device=lambda: SimpleNamespace(synchronize=self.synchronise),
                Stream=SimpleNamespace(null=self.null),
                get_current_stream=lambda: self.current,
                Event=lambda: PlayedEvent(self),
                get_elapsed_time=lambda start, stop: 1e3 * (stop.at - start.at),
            )
        )

    def synchronise(self) -> None:
        for stream in self.streams:
            stream.synchronize()

    def now(self) -> float:
        return self.seconds

    def clock(self) -> Clock:
        return Clock(now=self.now, sleep=lambda _: None)

    def device(self, *streams: PlayedStream) -> CudaDevice:
        return CudaDevice(self.cupy, streams, now=self.now)


class PlayedEvent:
    def __init__(self, gpu: PlayedGpu) -> None:
        self.gpu, self.at = gpu, 0.0

    def record(self) -> None:
        self.at = self.gpu.seconds + self.gpu.current.queued

    def synchronize(self) -> None:
        self.gpu.current.synchronize()


@pytest.fixture
def gpu() -> PlayedGpu:
    return PlayedGpu()


def launch(gpu: PlayedGpu, stream: PlayedStream, seconds: float, *, wait: bool) -> None:
    gpu.seconds += 1e-6  # the launch itself
    stream.queued += seconds
    if wait:
        stream.synchronize()


def test_a_call_that_waits_for_its_answer_is_timed(gpu: PlayedGpu) -> None:
    device = gpu.device()
    subject = Subject("waits", lambda: launch(gpu, gpu.current, 2e-3, wait=True), device=device)
    samples = gpu.clock().interleaved([subject], repeats=3)
    assert samples["waits"] == pytest.approx((2.001e-3,) * 3)
    device.require_idle("waits")


@pytest.mark.parametrize("stream", ["current", "null"])
def test_a_call_that_only_launches_is_refused_by_name(gpu: PlayedGpu, stream: str) -> None:
    queue = getattr(gpu, stream)
    subject = Subject("bench[rival]", lambda: launch(gpu, queue, 2e-3, wait=False), device=gpu.device())
    with pytest.raises(UnsynchronisedError, match=r"bench\[rival\]: the call returned after .* pending"):
        gpu.clock().interleaved([subject], repeats=1)


def test_what_was_queued_before_is_neither_timed_nor_blamed(gpu: PlayedGpu) -> None:
    gpu.current.queued = 5.0
    subject = Subject("waits", lambda: launch(gpu, gpu.current, 2e-3, wait=True), device=gpu.device())
    assert gpu.clock().interleaved([subject], repeats=1)["waits"] == pytest.approx((2.001e-3,))


def test_a_stream_of_its_own_is_asked_where_it_is_known(gpu: PlayedGpu) -> None:
    subject = Subject(
        "copies", lambda: launch(gpu, gpu.other, 2e-3, wait=False), device=gpu.device(gpu.other)
    )
    with pytest.raises(UnsynchronisedError, match="pending"):
        gpu.clock().interleaved([subject], repeats=1)


def test_work_on_an_unknown_stream_shows_in_the_waits(gpu: PlayedGpu) -> None:
    device = gpu.device()
    subject = Subject("copies", lambda: launch(gpu, gpu.other, 2e-3, wait=False), device=device)
    gpu.clock().interleaved([subject], repeats=3)
    with pytest.raises(UnsynchronisedError, match="on a stream that is not known here"):
        device.require_idle("copies")


def test_one_long_wait_of_many_is_the_hosts(gpu: PlayedGpu) -> None:
    device = gpu.device()
    delays = [0.0, 0.0, 1.0, 0.0, 0.0]
    subject = Subject("mostly idle", lambda: launch(gpu, gpu.other, delays.pop(), wait=False), device=device)
    gpu.clock().interleaved([subject], repeats=5)
    device.require_idle("mostly idle")


def test_nothing_sampled_is_nothing_to_refuse(gpu: PlayedGpu) -> None:
    gpu.device().require_idle("never ran")


def test_events_time_the_device_alone(gpu: PlayedGpu) -> None:
    seconds = event_seconds(gpu.cupy, lambda: launch(gpu, gpu.current, 2e-3, wait=False), 2)
    assert seconds == pytest.approx((2.001e-3,) * 2)
