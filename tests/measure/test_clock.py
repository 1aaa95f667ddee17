"""The clock: what is inside the timed span, the order of samples, medians. No real time passes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from accel_logreg.measure.clock import Clock, Subject, UnequalResultsError, require_equal
from accel_logreg.measure.words import in_memory, in_words, significant


class FakeTime:
    """A clock that only moves when something says how long it took, and a log of what happened."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.log: list[str] = []

    def clock(self) -> Clock:
        return Clock(now=lambda: self.seconds, sleep=self.sleep, rest=100.0)

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        self.log.append("rest")

    def work(self, name: str, *durations: float) -> Subject:
        """A subject whose calls take the given durations, the last one over and over."""
        remaining = list(durations)

        def call() -> None:
            self.seconds += remaining.pop(0) if len(remaining) > 1 else remaining[0]
            self.log.append(name)

        return Subject(name, call)


@pytest.fixture
def fake() -> FakeTime:
    return FakeTime()


def test_first_call_is_timed_by_itself(fake: FakeTime) -> None:
    subject = fake.work("compiles", 7.0, 1.0)
    assert fake.clock().once(subject) == 7.0
    assert fake.clock().once(subject) == 1.0


def test_samples_are_interleaved_after_a_rest_that_is_not_timed(fake: FakeTime) -> None:
    samples = fake.clock().interleaved([fake.work("a", 1.0), fake.work("b", 2.0)], repeats=2)
    assert fake.log == ["rest", "a", "rest", "b", "rest", "a", "rest", "b"]
    assert samples == {"a": (1.0, 1.0), "b": (2.0, 2.0)}


def test_settling_comes_after_the_rest_and_is_not_timed(fake: FakeTime) -> None:
    work, settling = fake.work("a", 1.0), fake.work("settle", 0.04)
    subject = Subject(work.name, work.call, settle=settling.call)
    assert fake.clock().interleaved([subject], repeats=1) == {"a": (1.0,)}
    assert fake.log == ["rest", "settle", "settle", "settle", "a"]  # 0.12 s reach the 0.1 s of settling


def test_a_sample_of_many_calls_is_seconds_per_call(fake: FakeTime) -> None:
    subject = fake.work("short", 1.0, 2.0, 3.0)
    many = Subject(subject.name, subject.call, calls=3)
    assert fake.clock().interleaved([many], repeats=1) == {"short": (2.0,)}


def test_number_of_calls_reaches_the_wanted_span(fake: FakeTime) -> None:
    calls = fake.clock().calls_for(fake.work("short", 0.25), at_least=10.0)
    assert calls * 0.25 >= 10.0
    assert fake.clock().calls_for(fake.work("long", 20.0), at_least=10.0) == 1


def test_a_device_is_idle_before_and_after_the_timed_span(fake: FakeTime) -> None:
    queued = [5.0]  # work handed to the device earlier

    def synchronise() -> None:
        fake.seconds += sum(queued)
        queued.clear()

    subject = Subject("gpu", lambda: queued.append(3.0), synchronise=synchronise)
    assert fake.clock().once(subject) == 3.0
    assert fake.clock().interleaved([subject], repeats=2) == {"gpu": (3.0, 3.0)}


def test_thread_settings_are_outside_the_timed_span(fake: FakeTime) -> None:
    @contextmanager
    def settings() -> Iterator[None]:
        fake.seconds += 50.0
        yield
        fake.seconds += 50.0

    work = fake.work("a", 1.0)
    subject = Subject(work.name, work.call, around=settings)
    assert fake.clock().once(subject) == 1.0
    assert fake.clock().interleaved([subject], repeats=1) == {"a": (1.0,)}


def test_progress_advances_once_a_sample(fake: FakeTime) -> None:
    ticks: list[int] = []
    fake.clock().interleaved([fake.work("a", 1.0), fake.work("b", 1.0)], 3, lambda: ticks.append(1))
    assert len(ticks) == 6


def test_refuses_no_rounds_and_repeated_names(fake: FakeTime) -> None:
    with pytest.raises(ValueError, match="repeats=0 must be at least 1"):
        fake.clock().interleaved([fake.work("a", 1.0)], repeats=0)
    with pytest.raises(ValueError, match="names of subjects must differ"):
        fake.clock().interleaved([fake.work("a", 1.0), fake.work("a", 1.0)], repeats=1)


@pytest.mark.parametrize("value", [1.0 + 2e-9, float("nan"), float("inf")])
def test_unequal_answers_are_refused(value: float) -> None:
    with pytest.raises(UnequalResultsError, match=r"np\.dot gave"):
        require_equal("np.dot", value, 1.0, 1e-9)


def test_equal_answers_pass() -> None:
    require_equal("np.dot", 1.0 + 5e-10, 1.0, 1e-9)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1.5, "1.50 s"),
        (0.161, "161 ms"),
        (86.4e-6, "86.4 µs"),
        (2.5e-7, "250 ns"),
        (0.99996, "1.00 s"),
        (75.0, "75.0 s"),
    ],
)
def test_times_have_three_digits_and_a_unit(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


@pytest.mark.parametrize(
    ("value", "text"),
    [(1234.5, "1,234"), (12.34, "12.3"), (0.01234, "0.0123"), (0.0, "0"), (999.96, "1,000")],
)
def test_three_digits_without_an_exponent(value: float, text: str) -> None:
    assert significant(value) == text


def test_memories_are_made_in_powers_of_1024() -> None:
    sizes = (0, 1000, 48 << 10, 1 << 20, 25_200_000_000, 80_000_000_000)
    assert [in_memory(size) for size in sizes] == ["0 B", "1000 B", "48 KiB", "1 MiB", "23.5 GiB", "74.5 GiB"]


def test_what_comes_after_spinning_threads_waits_until_they_have_stopped() -> None:
    rests: list[float] = []
    clock = Clock(now=lambda: 0.0, sleep=rests.append, rest=1.0, settling=0.0)
    blas = Subject("blas", lambda: None, spins=5.0)
    others = [Subject("a", lambda: None), Subject("b", lambda: None)]
    clock.interleaved([blas, *others], repeats=2, alternate=True)
    # blas (work of its own kind before it does not matter), a after blas, b; then b, a, blas.
    assert rests == [1.0, 5.0, 1.0, 1.0, 1.0, 1.0]
    rests.clear()
    clock.interleaved([*others, blas], repeats=1)
    assert rests == [5.0, 1.0, 1.0]  # what was checked before the first round may spin as well
