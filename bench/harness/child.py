"""One thing in a fresh process, and what it took there.

A process has one first call and one peak of memory, so what asks for those runs here, one process a
sample, and is timed here: the start of Python itself is nobody's. This file imports nothing that costs time.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench.harness.process import Process, inherited

LONGEST = 1800.0  # seconds; beyond that it hangs


@dataclass(frozen=True)
class Task:
    """what : "import", "first" (a first fit and a second) or "memory" (of a fit)

    problem : "module:function" that makes the problem, of ``arguments``
    """

    what: str
    engine: str = ""
    problem: str = ""
    arguments: tuple[Any, ...] = ()

    def build(self) -> Any:
        module, _, function = self.problem.partition(":")
        return getattr(importlib.import_module(module), function)(*self.arguments)


def ask(task: Task, environment: dict[str, str] | None = None) -> dict[str, Any]:
    """Run the task in a fresh process.

    Raises
    ------
    ProcessEndedError
        It failed; the message ends with what it printed.
    """
    variables = inherited(**(environment or {}))
    with Process(f"{__name__}:serve", environment=variables, options=("-W", "ignore")) as process:
        answer: dict[str, Any] = process.ask(task, LONGEST)
    return answer


def serve(_: None) -> Callable[[Task], dict[str, Any]]:
    """The other end."""
    return lambda task: {"import": _import, "first": _first, "memory": _memory}[task.what](task)


def _import(_task: Task) -> dict[str, Any]:
    began = time.perf_counter()
    import accel_logreg

    _ = accel_logreg.LogisticRegression  # what loads, loads with the first name that is used
    return {"seconds": time.perf_counter() - began, "version": accel_logreg.__version__}


def _first(task: Task) -> dict[str, Any]:
    problem = task.build()
    from accel_logreg import LogisticRegression

    model = LogisticRegression(backend=task.engine)
    seconds = []
    for _ in range(2):
        began = time.perf_counter()
        model.fit(problem.X, problem.y)
        seconds.append(time.perf_counter() - began)
    return {"seconds": seconds[0], "second_seconds": seconds[1], **_fitted(model)}


def _memory(task: Task) -> dict[str, Any]:
    """After a fit of a few of the rows, so that libraries, threads and compiled code are not counted."""
    problem = task.build()
    from accel_logreg import LogisticRegression
    from bench.harness.memory import DevicePeak, Peak

    model = LogisticRegression(backend=task.engine)
    few = len(problem.y) // 4
    model.fit(problem.X[:few], problem.y[:few])
    peak: Any = DevicePeak(importlib.import_module("cupy")) if task.engine == "cupy" else Peak()
    began = time.perf_counter()
    model.fit(problem.X, problem.y)
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "peak_bytes": peak.bytes(), **_fitted(model)}


def _fitted(model: Any) -> dict[str, Any]:
    return {
        "coef": model.coef_[0].tolist(),
        "intercept": float(model.intercept_[0]),
        "solver": model.solver_,
        "gap": float(model.gap_),
        "gap_kind": model.gap_kind_,
    }
