"""From works to outcomes: check, time in turns, check again. Nothing is kept of an answer that is wrong."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from accel_logreg.interface.arrays import Csr
from accel_logreg.measure.clock import Clock, Device, Subject, UnequalResultsError
from accel_logreg.measure.machine import usable_cores
from bench.harness.work import Outcome, Work

Result = Outcome | BaseException
BLAS_SPINS = 0.1  # seconds: by then 100,000x28 on Numba after NumPy takes no longer than alone
SUM_OF_X = "plain sum of X"  # a threaded sum of the same X, in the same rounds: the pace of this memory now
FEWEST_BYTES = 64 << 20  # of X, for that; a smaller one may stay in a cache
SETTLED = 0.05  # seconds a call, from which threads and caches need no settling


@dataclass(frozen=True)
class Budget:
    """How long the rounds of one group may take.

    seconds : for all rounds together, or of ``each`` member; a round that takes long is still repeated
        ``fewest`` times.
    longest : seconds that those may take; beyond it ``rarely`` has to do, which gives no interval.
    fewest, most : rounds. Five say something of their spread; an even thinning to 60 is what is kept.
    sample : seconds; a shorter call is repeated within a sample.
    slow : seconds a call. A slower member of a group is timed apart, ``rarely`` times: it would make a
        round too long for the others, and its spread is small beside what sets it apart from them.
    """

    seconds: float
    fewest: int = 7
    most: int = 60
    sample: float = 2e-3
    slow: float = 1.5
    rarely: int = 3
    longest: float = 5.0
    each: bool = False


QUICK = Budget(seconds=1.2, fewest=5)
FULL = Budget(seconds=10.0, fewest=15, slow=5.0, rarely=5, longest=60.0)
ONCE = Budget(seconds=0.0, fewest=1, most=1, sample=0.0, slow=0.0, rarely=1)  # checks, and no figures


@dataclass(frozen=True)
class Tools:
    """What measuring needs of the machine; all of it is replaced in tests.

    device : a work's device, None for work on the host
    evict : drives X out of the caches that a work's engine reads through
    events : seconds of a work's calls by the device's own events; empty on the host
    """

    clock: Clock
    budget: Budget
    device: Callable[[Work], Device | None] = lambda _: None
    evict: Callable[[Work], Callable[[], object]] = lambda _: lambda: None
    events: Callable[[Work], tuple[float, ...]] = lambda _: ()


class _Kept:
    """A call that keeps its last answer."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self._call = call
        self.answer: Any = None

    def __call__(self) -> Any:
        self.answer = self._call()
        return self.answer


@dataclass
class _Member:
    work: Work
    call: _Kept
    subject: Subject
    first: float
    wall: float  # seconds of a sample, with what comes around it
    facts: dict[str, Any] = field(default_factory=dict)


def run(works: Mapping[str, Work], tools: Tools) -> dict[str, Result]:
    """Outcomes by name, or what was raised: a wrong answer costs its own member, not the others."""
    results: dict[str, Result] = {}
    members: dict[str, _Member] = {}
    for name, work in works.items():
        try:
            members[name] = _first(name, work, tools)
        except Exception as error:
            results[name] = error
    try:
        _same(members)
        results |= _timed(members, tools)
    except Exception as error:  # no member can be trusted: they differ, or their rounds were cut short
        results |= dict.fromkeys(members, error)
    return {name: results[name] for name in works}


def _first(name: str, work: Work, tools: Tools) -> _Member:
    """Call once, timed by itself, and check; then call again to see how long one takes."""
    call = _Kept(work.call)
    device = tools.device(work)
    subject = Subject(
        name,
        call,
        work.around,
        synchronise=device.synchronise if device is not None and work.synchronise else None,
        before=tools.evict(work) if work.cold else None,
        device=None if work.synchronise else device,
        told=work.told,
        spins=BLAS_SPINS if work.engine.name == "numpy" else 0.0,
    )
    plain = replace(subject, before=None)
    before = None if work.counter is None else work.counter()
    first = tools.clock.once(plain)
    member = _Member(work, call, subject, first, first)
    if work.counter is not None and before is not None:
        member.facts["reads"] = _counted(name, work.counter() - before, work.reads)
    member.facts |= work.check(call.answer) or {}
    if work.told is not None:
        member.first = work.told(call.answer)
    elif tools.budget.slow > 0.0:  # a first call may be slow for compiling: the second one tells
        began = tools.clock.now()
        if subject.before is not None:
            subject.before()
        seconds = tools.clock.once(plain)
        calls = 1
        if not work.cold and seconds < tools.budget.sample:
            calls = tools.clock.calls_for(plain, tools.budget.sample)
            began, seconds = tools.clock.now(), tools.clock.once(plain)
        member.wall = tools.clock.now() - began + (calls - 1) * seconds
        settles = not work.cold and member.wall < SETTLED
        member.subject = replace(subject, calls=calls, settle=call if settles else None)
    return member


def _counted(name: str, counted: float, stated: float) -> float:
    if stated and abs(counted - stated) > 1e-9 * stated:
        raise UnequalResultsError(
            f"{name}: the engine counted {counted:g} reads of X where {stated:g} are due. No time is given "
            "for other work than what is compared"
        )
    return counted


def _same(members: Mapping[str, _Member]) -> None:
    """All members gave the same numbers, and equally many: they did equal work.

    Raises
    ------
    UnequalResultsError
        They did not.
    """
    compared = [(name, member) for name, member in members.items() if member.work.same is not None]
    reference: Any = None
    for name, member in compared:
        assert member.work.same is not None
        value = np.asarray(member.work.same(member.call.answer), dtype=np.float64)
        if reference is None:
            first, reference = name, value
            continue
        if value.shape != reference.shape:
            raise UnequalResultsError(
                f"{name} gave numbers of shape {value.shape} and {first} of shape {reference.shape}: "
                "they did not do the same work, and no time is given"
            )
        largest = float(np.max(np.abs(value - reference), initial=0.0))
        scale = float(np.max(np.abs(reference), initial=0.0))
        if not largest <= member.work.same_within * scale:
            raise UnequalResultsError(
                f"{name} and {first} differ by {largest:.3g} where {scale:.3g} is the largest number; "
                f"{member.work.same_within:g} relative is allowed. No time is given for unequal work"
            )
        member.facts["largest_difference"] = largest / scale if scale else 0.0


def _timed(members: Mapping[str, _Member], tools: Tools) -> dict[str, Result]:
    budget = tools.budget
    apart = [name for name, member in members.items() if member.wall > budget.slow]
    together = {name: member for name, member in members.items() if name not in apart}
    seconds: dict[str, tuple[float, ...]] = {}
    with _no_garbage():
        if together:
            sum_of_X = _sum_of_X(member.work for member in together.values())
            subjects = [member.subject for member in together.values()] + sum_of_X
            fixed = tools.clock.rest + tools.clock.settling
            a_round = sum(fixed + member.wall for member in together.values()) + fixed * len(sum_of_X)
            rounds = _rounds(budget, a_round / len(together) if budget.each else a_round)
            seconds |= tools.clock.interleaved(subjects, rounds, alternate=True)
        for name in apart:
            if members[name].work.told is not None:
                seconds[name] = (members[name].first,)  # in a process of its own: no call is the first
                continue
            rounds = int(max(1, min(budget.rarely, budget.rarely * budget.slow / members[name].wall)))
            seconds |= tools.clock.interleaved([members[name].subject], rounds)
    sums = seconds.pop(SUM_OF_X, None)
    results: dict[str, Result] = {}
    for name, member in members.items():
        try:
            results[name] = _outcome(
                member, seconds[name], name in together and len(together) > 1, sums, tools
            )
        except Exception as error:
            results[name] = error
    return results


def _rounds(budget: Budget, a_round: float) -> int:
    """How many rounds of so many seconds."""
    fit_in = budget.seconds / max(a_round, 1e-9)
    at_most = min(float(budget.most), budget.longest / max(a_round, 1e-9))
    return max(min(budget.rarely, budget.most), int(min(at_most, max(budget.fewest, fit_in))))


def _outcome(
    member: _Member,
    seconds: tuple[float, ...],
    interleaved: bool,
    sums: tuple[float, ...] | None,
    tools: Tools,
) -> Outcome:
    """Check the answer of the last timed call, and the device's."""
    work, facts = member.work, member.facts
    facts |= work.check(member.call.answer) or {}
    require_idle = getattr(member.subject.device, "require_idle", None)
    if require_idle is not None:
        require_idle(member.subject.name)
    if events := tools.events(work):
        facts["device_seconds"] = statistics.median(events)
    if sums is not None and _summed(work) is not None:
        rate = _summed(work).nbytes / statistics.median(sums)
        facts["plain_sum_bytes_per_second"] = rate
        facts["percent_of_plain_sum"] = 100.0 * work.X.nbytes * work.reads / statistics.median(seconds) / rate
    return Outcome(member.first, seconds, member.subject.calls, interleaved, facts)


def _sum_of_X(works: Iterable[Work]) -> list[Subject]:
    """A plain threaded sum of the same X, timed in the same rounds; none for an X that a cache may hold.

    A yardstick and no law: an engine that asks for memory ahead may be a few percent faster.
    """
    matrices = [X for work in works if (X := _summed(work)) is not None]
    if not matrices:
        return []
    from accel_logreg.kernels.numba_jit.reductions import array_sum

    flat = matrices[0].reshape(-1)
    flat = flat[: flat.size // 2 * 2].view(np.float64)  # the same bytes, read eight at a time
    add = partial(array_sum, flat, usable_cores())
    add()  # compiles
    return [Subject(SUM_OF_X, add)]


def _summed(work: Work) -> Any:
    """The numbers of X that the yardstick reads; None where it does not apply."""
    X = work.X.data if isinstance(work.X, Csr) else work.X
    if work.engine.name != "numba" or work.cold or not isinstance(X, np.ndarray):
        return None
    return X if X.nbytes >= FEWEST_BYTES and X.flags.c_contiguous else None


@contextmanager
def _no_garbage() -> Iterator[None]:
    """The garbage collector runs before the rounds and not in them."""
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def real_clock(*, full: bool) -> Clock:
    """Shorter rests than the lab's own clock: there are many more samples."""
    return Clock(time.perf_counter, rest=0.04, settling=0.05 if full else 0.02)
