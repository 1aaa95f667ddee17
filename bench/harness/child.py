"""``python -m bench.harness.child TASK``: one thing in a fresh process, its answer as JSON on the last line.

A process has one first call and one peak of memory, so what asks for those runs here, one process a
sample, and is timed here: the start of Python itself is nobody's.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


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
    RuntimeError
        It failed; the message ends with what it printed.
    """
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "bench.harness.child", json.dumps(asdict(task))],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | (environment or {}),
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        raise RuntimeError(f"{task} failed in its process: {result.stderr[-2000:]}")
    answer: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return answer


def main() -> None:
    task = Task(**json.loads(sys.argv[1]))
    answer = {"import": _import, "first": _first, "memory": _memory}[task.what](task)
    print(json.dumps(answer))


def _import(_task: Task) -> dict[str, Any]:
    began = time.perf_counter()
    import accel_logreg

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
    from bench.harness.memory import Peak

    model = LogisticRegression(backend=task.engine)
    few = len(problem.y) // 4
    model.fit(problem.X[:few], problem.y[:few])
    if task.engine == "cupy":
        import cupy

        from bench.harness.device_memory import DevicePeak

        peak: Any = DevicePeak(cupy)
    else:
        peak = Peak()
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


if __name__ == "__main__":
    main()
