"""Processes that measure nothing, for the tests of what conducts them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.compare.rounds import Conductor, Outcome, Plan
from bench.compare.worker import Task

TASKS = [Task("gradient", "numba", 20, 3), Task("fit", "numba", 20, 3)]
LABELS = ("base", "head")


class Fake:
    """A process that measures nothing: side B takes ``factors`` times a second; all asked is written down.

    ``faults``: (side, request, what) → the reply instead, or what is raised.
    """

    def __init__(
        self, side: int, log: list[Any], factors: Mapping[str, float], faults: Mapping[Any, Any]
    ) -> None:
        self.side, self.log, self.factors, self.faults = "AB"[side], log, factors, faults
        self.name = ""
        self.answers: list[dict[str, Any]] = []

    def post(self, **request: Any) -> None:
        self.log.append((self.side, request["do"]))
        self.name = request.get("name", self.name)
        fault = self.faults.get((self.side, request["do"], self.name.partition("[")[0]))
        if isinstance(fault, BaseException):
            raise fault
        factor = self.factors.get(self.name, 1.0) if self.side == "B" else 1.0
        usual = {
            "open": {"first_seconds": 0.1, "threads": 2},
            "calls": {"calls": 3},
            "take": {"seconds": [1.5 * factor, 1.0 * factor]},
            "close": {"answer": "right"},
        }
        self.answers.append(fault or usual[request["do"]])

    def reply(self) -> dict[str, Any]:
        return self.answers.pop(0)

    def end(self) -> None:
        self.log.append((self.side, "end"))


def checked(task: Task, answer: Any) -> None:
    if answer != "right":
        raise ArithmeticError(f"{task.what} is {answer}")


def conduct(
    factors: Mapping[str, float] | None = None,
    faults: Mapping[Any, Any] | None = None,
    log: list[Any] | None = None,
) -> Outcome:
    """Five rounds of two turns, three times as many of what became slower."""
    written: list[Any] = [] if log is None else log
    return Conductor(
        start=lambda side: Fake(side, written, factors or {}, faults or {}),
        unsettled=lambda a, b: max(b) > max(a),
        plan=Plan(rounds=5, turns=2, rest=0.0),
        check=checked,
    ).run(TASKS)
