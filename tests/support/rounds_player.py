"""Processes that measure nothing, for the tests of what conducts them."""

from __future__ import annotations

from typing import Any

from bench.compare.rounds import Conductor, Outcome, Plan
from bench.compare.worker import Task

TASKS = [Task("gradient", "numba", 20, 3), Task("fit", "numba", 20, 3)]
LABELS = ("base", "head")


class Fake:
    """A process that measures nothing: side B takes ``factors`` times a second; all asked is written down."""

    def __init__(self, side: int, log: list[Any], factors: dict[str, float]) -> None:
        self.side, self.log, self.factors = side, log, factors
        self.faults: dict[Any, Any] = {}
        self.name = ""
        self.answers: list[dict[str, Any]] = []

    def post(self, request: dict[str, Any]) -> None:
        self.log.append(("AB"[self.side], request["do"]))
        self.answers.append(self.answer(request))

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        self.name = request.get("name", self.name)
        if fault := self.faults.get(("AB"[self.side], request["do"], self.name.partition("[")[0])):
            if isinstance(fault, BaseException):
                raise fault
            return dict(fault)
        match request["do"]:
            case "open":
                return {"first_seconds": 0.1, "threads": 2}
            case "calls":
                return {"calls": 3}
            case "take":
                factor = self.factors.get(self.name, 1.0) if self.side else 1.0
                return {"seconds": [1.5 * factor, 1.0 * factor]}
        return {"suboptimality": None}

    def reply(self) -> dict[str, Any]:
        return self.answers.pop(0)

    def end(self) -> None:
        self.log.append(("AB"[self.side], "end"))


def conduct(factors: dict[str, float], rounds: int = 5) -> tuple[Outcome, list[Any]]:
    log: list[Any] = []
    conductor = Conductor(
        start=lambda side: Fake(side, log, factors),
        unsettled=lambda a, b: max(b) > max(a),
        plan=Plan(rounds=rounds, turns=2),
        sleep=lambda _: None,
    )
    return conductor.run(TASKS), log


def run_with(faults: dict[Any, Any]) -> Outcome:
    conductor = Conductor(
        start=lambda side: with_faults(side, faults),
        unsettled=lambda *_: False,
        plan=Plan(rounds=5, turns=1),
        sleep=lambda _: None,
    )
    return conductor.run(TASKS)


def with_faults(side: int, faults: dict[Any, Any], log: list[Any] | None = None) -> Fake:
    fake = Fake(side, [] if log is None else log, {})
    fake.faults = faults
    return fake
