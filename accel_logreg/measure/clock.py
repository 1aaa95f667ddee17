"""Fair timing: the same answers first, then medians of interleaved repeats.

Three rules. The first call is timed by itself, because it compiles or loads. What is compared is timed in
turns, round after round, so that a noisy neighbour hits every subject alike; the median then drops the
round it hit. And a call on a GPU is over when the device is idle, not when it has been handed the work.

Nothing here extrapolates: a time is the time of calls that were made.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any, Protocol

from accel_logreg.backends import load_backend


class UnequalResultsError(ArithmeticError):
    """Two engines that did the same work gave different answers; no time is reported for them."""


class Device(Protocol):
    """What a clock asks of a device that works on after a call has returned."""

    def synchronise(self) -> None:
        """Wait until everything that was handed to the device is done."""

    def require_done(self, name: str, seconds: float) -> None:
        """Raise UnsynchronisedError where the call that took ``seconds`` left work behind."""


@dataclass(frozen=True)
class Subject:
    """One thing to time: ``call`` is the work, whose answer is ignored."""

    name: str
    call: Callable[[], object]
    # Entered before and left after the timed calls, outside the timed span: thread settings.
    around: Callable[[], AbstractContextManager[object]] = nullcontext
    # Waits until the device is idle; None where a call is over when it returns.
    synchronise: Callable[[], None] | None = None
    # Per sample. Many for a call of microseconds, so that a sample is longer than the clock's grain.
    calls: int = 1
    # Work of the same kind, done again and again before a sample until threads are awake and caches full;
    # None where a sample is so long that it does not matter.
    settle: Callable[[], object] | None = None
    # What has to happen before every call, outside the timed span: driving X out of the caches, say. A
    # sample is then a single call.
    before: Callable[[], object] | None = None
    # What the work runs on, where a call claims to be over when it returns. The claim is checked after
    # every sample, and a sample that was not over is refused. None where there is nothing to check.
    device: Device | None = None
    # Seconds of a call's answer, where it was timed where it ran, in another process; None: by this clock.
    told: Callable[[Any], float] | None = None
    # Seconds for which this work's threads may go on spinning after it: the rest, if longer than the
    # clock's, that whatever comes next is due.
    spins: float = 0.0

    def __post_init__(self) -> None:
        if self.before is not None and self.calls != 1:
            raise ValueError(
                f"{self.name}: calls={self.calls} in a sample, but `before` comes before every call; "
                "take calls=1"
            )


@dataclass(frozen=True)
class Clock:
    """``now`` and ``sleep`` can be replaced, so that tests need not wait.

    rest : float
        Seconds of quiet before each sample. The worker threads of OpenBLAS go on spinning for some 30 ms
        after a call, which slows whatever runs next on those cores by 2 to 10 times.
    settling : float
        Seconds of ``Subject.settle`` after that: a core that has rested takes milliseconds to get going,
        longer than many a sample.
    """

    now: Callable[[], float] = time.perf_counter
    sleep: Callable[[float], None] = time.sleep
    rest: float = 0.05
    settling: float = 0.1

    def once(self, subject: Subject) -> float:
        """Seconds of one call."""
        with subject.around():
            if subject.synchronise is not None:
                subject.synchronise()  # what was queued before is not this call's work
            return self._timed(subject, 1)

    def calls_for(self, subject: Subject, at_least: float) -> int:
        """How many calls make a sample of ``at_least`` seconds, from doubling numbers of real calls."""
        calls = 1
        while (seconds := self._sample(subject, calls)) < at_least:
            # Aim at the target, at most 10 times more: the first estimates are the worst.
            calls = max(2 * calls, min(10 * calls, math.ceil(calls * at_least / max(seconds, 1e-9))))
        return calls

    def interleaved(
        self,
        subjects: Sequence[Subject],
        repeats: int,
        advance: Callable[[], object] = lambda: None,
        *,
        alternate: bool = False,
    ) -> dict[str, tuple[float, ...]]:
        """Seconds per call of every subject, one figure for each of ``repeats`` rounds.

        ``advance`` is called after every sample, for a progress bar. With ``alternate`` every other round
        goes backwards, so that nobody always comes after the same neighbour.
        """
        if repeats < 1:
            raise ValueError(f"repeats={repeats} must be at least 1")
        if len({subject.name for subject in subjects}) < len(subjects):
            raise ValueError(f"names of subjects must differ, got {[subject.name for subject in subjects]}")
        seconds: dict[str, list[float]] = {subject.name: [] for subject in subjects}
        spinning = max((subject.spins for subject in subjects), default=0.0)  # of what came before them all
        for turn in range(repeats):
            for subject in reversed(subjects) if alternate and turn % 2 else subjects:
                self.sleep(max(self.rest, spinning if spinning > subject.spins else 0.0))
                spinning = subject.spins
                seconds[subject.name].append(
                    self._sample(subject, subject.calls, self.settling) / subject.calls
                )
                advance()
        return {name: tuple(values) for name, values in seconds.items()}

    def _sample(self, subject: Subject, calls: int, settling: float = 0.0) -> float:
        with subject.around():
            settled = self.now() + settling
            while subject.settle is not None and self.now() < settled:
                subject.settle()
                if subject.synchronise is not None:
                    subject.synchronise()
            if subject.before is not None:
                subject.before()
            if subject.device is not None:
                subject.device.synchronise()  # what was queued before is not this sample's work
            if subject.told is None:
                seconds = self._timed(subject, calls)
            else:
                seconds = sum(subject.told(subject.call()) for _ in range(calls))
            if subject.device is not None:
                subject.device.require_done(subject.name, seconds)
            return seconds

    def _timed(self, subject: Subject, calls: int) -> float:
        call, synchronise = subject.call, subject.synchronise
        start = self.now()
        for _ in range(calls):
            call()
            if synchronise is not None:
                synchronise()
        return self.now() - start


def median_seconds(call: Callable[[], object], repeats: int) -> float:
    """Of calls one after the other, after one that is not counted: it compiles, or starts threads."""
    call()
    clock, subject = Clock(), Subject("", call)
    return statistics.median(clock.once(subject) for _ in range(repeats))


def engine_subject(
    engine: str, call: Callable[[], object], n_threads: int | None = None, name: str = ""
) -> Subject:
    """Work of an engine with that many of its threads, over when its device is idle; named as the engine."""
    synchronise = import_module("cupy").cuda.Device().synchronize if engine == "cupy" else None
    return Subject(name or engine, call, partial(load_backend(engine).threads, n_threads), synchronise)


def require_equal(what: str, value: float, reference: float, relative: float) -> None:
    """Correct before timed.

    Raises
    ------
    UnequalResultsError
        |value − reference| > relative · |reference|, or either is not finite.
    """
    if not abs(value - reference) <= relative * abs(reference):
        raise UnequalResultsError(
            f"{what} gave {value!r} where {reference!r} is right; they may differ by {relative:g} relative. "
            "No time is given for a wrong answer. This is a defect in an engine: please report it with the "
            "output of 'accel-logreg doctor'"
        )
