"""How a group is measured: checks before and after, turns, equal work, slow members. No real time passes."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from accel_logreg.backends import load_backend
from accel_logreg.measure.clock import Clock, UnequalResultsError
from bench.harness import measuring
from bench.harness.device_clock import UnsynchronisedError
from bench.harness.measuring import Budget, Tools
from bench.harness.work import Outcome, Work

X = np.zeros((4, 2))


class World:
    """A clock that moves when work is done, and a log of what was called."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.log: list[str] = []
        self.tools = Tools(
            Clock(now=lambda: self.seconds, sleep=lambda _: None, rest=0.0, settling=0.0),
            Budget(seconds=1.0, fewest=5, most=20, sample=1e-3, slow=2.0, rarely=3),
            evict=lambda _: lambda: self.log.append("evict"),
        )

    def work(self, name: str, *durations: float, **more: Any) -> Work:
        remaining = list(durations)

        def call() -> float:
            self.seconds += remaining.pop(0) if len(remaining) > 1 else remaining[0]
            self.log.append(name)
            return 1.0

        options: dict[str, Any] = {"check": lambda _: None, "same": float, **more}
        check: Callable[[Any], Any] = options.pop("check")
        return Work(call, check, load_backend("numpy"), X, "group", 1.0, **options)


@pytest.fixture
def world() -> World:
    return World()


def outcome(result: measuring.Result) -> Outcome:
    assert isinstance(result, Outcome), result
    return result


def test_members_are_timed_in_turns_and_the_first_call_apart(world: World) -> None:
    works = {"a": world.work("a", 0.5, 0.1), "b": world.work("b", 0.3, 0.2)}
    found = {name: outcome(result) for name, result in measuring.run(works, world.tools).items()}
    assert [found[name].first_seconds for name in "ab"] == pytest.approx([0.5, 0.3])
    assert found["a"].seconds == pytest.approx((0.1,) * 5)
    assert found["b"].seconds == pytest.approx((0.2,) * 5)
    assert found["a"].interleaved
    assert world.log[-10:] == ["a", "b", "b", "a", "a", "b", "b", "a", "a", "b"]


def test_a_wrong_answer_costs_its_own_member_alone(world: World) -> None:
    def wrong(_: Any) -> None:
        raise AssertionError("wrong")

    results = measuring.run({"a": world.work("a", 0.1), "b": world.work("b", 0.1, check=wrong)}, world.tools)
    assert not outcome(results["a"]).interleaved
    assert isinstance(results["b"], AssertionError)


def test_the_answer_of_the_last_timed_call_is_checked_too(world: World) -> None:
    checked: list[float] = []

    def second_time_wrong(answer: float) -> dict[str, int]:
        checked.append(answer)
        assert len(checked) < 2, "wrong after timing"
        return {}

    results = measuring.run({"a": world.work("a", 0.1, check=second_time_wrong)}, world.tools)
    assert isinstance(results["a"], AssertionError)
    assert len(checked) == 2


@pytest.mark.parametrize(
    ("other", "message"),
    [(lambda _: 1.0 + 1e-8, "differ by 1e-08"), (lambda _: [1.0, 1.0], r"shape \(2,\)")],
)
def test_unequal_work_gets_no_time(world: World, other: Callable[[Any], Any], message: str) -> None:
    works = {"a": world.work("a", 0.1), "b": replace(world.work("b", 0.1), same=other)}
    results = measuring.run(works, world.tools)
    for result in results.values():
        assert isinstance(result, UnequalResultsError)
        assert re.search(message, str(result))


def test_reads_are_counted_and_held_to_what_is_due(world: World) -> None:
    reads = [0.0]

    def counting(step: float) -> Work:
        work = world.work("a", 0.1)

        def call() -> float:
            reads[0] += step
            return float(work.call())

        return replace(work, call=call, counter=lambda: reads[0])

    assert outcome(measuring.run({"a": counting(1.0)}, world.tools)["a"]).facts["reads"] == 1.0
    assert isinstance(measuring.run({"a": counting(2.0)}, world.tools)["a"], UnequalResultsError)
    unknown = replace(counting(2.0), reads=0.0)
    assert outcome(measuring.run({"a": unknown}, world.tools)["a"]).facts["reads"] == 2.0


def test_a_first_call_that_compiles_does_not_make_a_member_slow(world: World) -> None:
    works = {"a": world.work("a", 30.0, 0.1), "b": world.work("b", 0.1)}
    found = {name: outcome(result) for name, result in measuring.run(works, world.tools).items()}
    assert found["a"].first_seconds == pytest.approx(30.0)
    assert found["a"].seconds == pytest.approx((0.1,) * 5)
    assert found["a"].interleaved


def test_a_slow_member_is_timed_apart_and_seldom(world: World) -> None:
    works = {"quick": world.work("quick", 0.1), "slow": world.work("slow", 3.0)}
    results = measuring.run(works, world.tools)
    assert outcome(results["slow"]).seconds == pytest.approx((3.0, 3.0))
    assert not outcome(results["slow"]).interleaved
    assert len(outcome(results["quick"]).seconds) >= 5


def test_rounds_that_take_long_are_fewer_than_an_interval_needs(world: World) -> None:
    tools = replace(world.tools, budget=replace(world.tools.budget, longest=2.0))
    works = {name: world.work(name, 0.3) for name in "abc"}
    assert len(outcome(measuring.run(works, tools)["a"]).seconds) == 3


def test_short_calls_are_repeated_within_a_sample(world: World) -> None:
    found = outcome(measuring.run({"a": world.work("a", 1e-4)}, world.tools)["a"])
    assert found.calls >= 10
    assert found.seconds == pytest.approx((1e-4,) * len(found.seconds))
    assert len(found.seconds) == 20  # the most that a budget allows


def test_cold_work_has_the_caches_driven_out_before_every_call(world: World) -> None:
    found = outcome(measuring.run({"a": world.work("a", 1e-4, cold=True)}, world.tools)["a"])
    assert found.calls == 1
    assert world.log[-4:] == ["evict", "a", "evict", "a"]


def test_time_may_be_told_by_another_process(world: World) -> None:
    found = outcome(measuring.run({"a": world.work("a", 0.2, told=lambda _: 7.0)}, world.tools)["a"])
    assert found.first_seconds == 7.0
    assert set(found.seconds) == {7.0}


class Busy:
    """A device that is never done."""

    def synchronise(self) -> None:
        pass

    def require_done(self, name: str, seconds: float) -> None:
        raise UnsynchronisedError(f"{name}: pending after {seconds}")


def test_an_unsynchronised_call_is_refused_unless_the_clock_waits(world: World) -> None:
    tools = replace(world.tools, device=lambda _: Busy())
    refused = measuring.run({"a": world.work("a", 0.1)}, tools)["a"]
    assert isinstance(refused, UnsynchronisedError)
    assert "a: pending" in str(refused)
    assert outcome(measuring.run({"a": world.work("a", 0.1, synchronise=True)}, tools)["a"]).seconds
