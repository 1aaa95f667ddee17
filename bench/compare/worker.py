"""The process that measures one revision: it makes problems, works on them when asked, and times it.

Run by its path with the revision's own ``accel_logreg`` on Python's path, so that today's questions can be
put to a revision that never heard of them. It therefore imports nothing of this project but what every
revision has: the estimator, and the interface to the engines (``load_backend``, ``loss_grad``, …). A
benchmark that the revision cannot do is an answer ("unavailable"), and so is a wrong result: every result is
checked by NumPy's formulas in float64, before anything is timed and after the last timed call of a process.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse
from scipy.special import expit

SEED = 20261125
STEPS, RATE = 100, 0.1  # of gradient descent
_SETTLING = 0.005  # seconds of work before every sample: a core that has rested takes time to get going


@dataclass(frozen=True)
class Task:
    """One benchmark: what an engine does with X (rows, features)."""

    what: str
    engine: str
    rows: int
    features: int
    dtype: str = "float64"
    problem: str = "correlated"

    @property
    def group(self) -> str:
        kind = "sparse " if self.problem == "sparse" else ""
        return f"{self.what} {kind}{self.rows}x{self.features} {self.dtype}"

    @property
    def name(self) -> str:
        return f"{self.what}[{self.engine}-{self.rows}x{self.features}-{self.dtype}]"


def tasks(shapes: list[list[int]]) -> list[Task]:
    """What is measured: the usual set, or gradient and fit on the given shapes."""
    if shapes:
        return [
            Task(what, engine, n, d, dtype)
            for n, d in shapes
            for what in ("gradient", "fit")
            for dtype in ("float64", "float32")
            for engine in ("numpy", "numba", "cupy")
        ]
    found = [Task(what, "python", 569, 30) for what in ("gradient", "fit")]
    found += [Task(what, "numpy", 569, 30) for what in ("gradient", "fit")]
    found += [Task("gradient", "numpy", 200_000, 28), Task("descent", "numpy", 2_000, 100)]
    for engine in ("numba", "cupy"):
        found += [Task(what, engine, 569, 30) for what in ("gradient", "fit")]
        for dtype in ("float64", "float32"):
            found += [Task(what, engine, 200_000, 28, dtype) for what in ("gradient", "fit")]
        found += [Task("hessian-product", engine, 200_000, 28), Task("predict", engine, 200_000, 28)]
        found += [Task(what, engine, 20_000, 300, "float32") for what in ("gradient", "fit")]
        found += [Task("descent", engine, 2_000, 100), Task("fit", engine, 209, 2_048)]
        found += [Task("fit", engine, 20_000, 2_000, "float64", "sparse")]
    return found


@cache
def problem(kind: str, n: int, d: int) -> tuple[Any, Any]:
    """X float64 (n, d) and y (n,) of 0 and 1, drawn from the model; neighbouring columns correlate."""
    rng = np.random.default_rng(SEED)
    X: Any
    if kind == "sparse":
        entries = max(1, d // 100)  # a row, in columns a fixed stride apart
        columns = np.sort((rng.integers(0, d, (n, 1)) + np.arange(entries) * (d // entries - 1)) % d, axis=1)
        ends = np.arange(0, n * entries + 1, entries)
        X = sparse.csr_matrix((rng.standard_normal(n * entries), columns.ravel(), ends), (n, d))
    else:
        X = rng.standard_normal((n, d))
        X[:, 1:] = 0.5 * X[:, :-1] + np.sqrt(0.75) * X[:, 1:]
    z = X @ rng.standard_normal(d) / np.sqrt(d) - 0.5
    return X, (rng.random(n) < expit(z)).astype(np.float64)


def point(d: int) -> Any:
    """Weights (d + 1,) away from zero, with logits of about 1."""
    return np.random.default_rng(SEED + 1).standard_normal(d + 1) / np.sqrt(d)


class Opened:
    """A task under way: its data, the call that is timed, and its last answer."""

    def __init__(self, task: Task, threads: int | None) -> None:
        from accel_logreg import LogisticRegression
        from accel_logreg.backends import load_backend

        X, y = problem(task.problem, task.rows, task.features)
        X = X.astype(task.dtype)  # a copy of its own, so that each process places it anew
        self._stack, W = ExitStack(), point(task.features)
        engine = load_backend(task.engine)
        self.threads = engine.n_threads(threads) if hasattr(engine, "n_threads") else 1
        model = LogisticRegression(backend=task.engine, n_threads=threads)
        rows: Any = None
        if task.what not in ("fit", "predict"):
            self._stack.enter_context(engine.threads(threads))
            take = getattr(engine, "place" if hasattr(engine, "place") else "rows")  # of older revisions
            rows = take(X, y, None)
        elif task.what == "predict":
            model.fit(X, y)
        # The call, and an answer's numbers as ``answers.check`` takes them.
        questions: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
            "fit": (lambda: model.fit(X, y), lambda fitted: [fitted.coef_, fitted.intercept_]),
            "predict": (
                lambda: model.predict_proba(X),
                lambda found: [model.coef_, model.intercept_, found[:, 1]],
            ),
            "gradient": (lambda: rows.loss_grad(W), lambda answer: [answer[1], answer[0]]),
            "hessian-product": (lambda: rows.hessian_product(W, W[::-1]), lambda answer: [answer]),
            "descent": (
                lambda: rows.descend(np.zeros_like(W), RATE, 0.0, STEPS, True),
                lambda answer: [answer.W],
            ),
        }
        call, self._numbers = questions[task.what]
        self.call = call
        began = time.perf_counter()
        self.last = call()
        self.first_seconds = time.perf_counter() - began

    def take(self, calls: int, seconds: float) -> list[float]:
        """Seconds per call of as many batches of ``calls`` calls as fit into ``seconds``, at least one."""
        call, now = self.call, time.perf_counter
        settled = now() + _SETTLING
        while now() < settled:
            call()
        batches: list[float] = []
        end = now() + seconds
        gc.disable()
        while not batches or now() < end:
            start = now()
            for _ in range(calls):
                self.last = call()
            batches.append((now() - start) / calls)
        gc.enable()
        return batches

    def calls(self, at_least: float) -> int:
        """How many calls take ``at_least`` seconds, by the fastest of a few."""
        fastest = min(self.take(1, at_least))
        return max(1, round(at_least / fastest))

    def close(self) -> list[float]:
        """The last answer's numbers; the engine's threads are given back."""
        self._stack.close()
        numbers: list[float] = np.concatenate([np.ravel(x) for x in self._numbers(self.last)]).tolist()
        return numbers


class Desk:
    """Answers requests, one task open at a time."""

    def __init__(self, threads: int | None, shapes: list[list[int]]) -> None:
        self.threads = threads
        self.tasks = {task.name: task for task in tasks(shapes)}
        self.opened: Opened | None = None

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """What the request asks for, or {"unavailable": why}."""
        try:
            return self._answer(request)
        except Exception as error:  # whatever an older revision cannot do is an answer
            return {"unavailable": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"}

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        what = request["do"]
        if what == "hello":
            import accel_logreg

            return {"package": str(Path(accel_logreg.__file__).parent)}
        if what == "open":
            self.opened = None  # the old data go before the new ones come
            self.opened = Opened(self.tasks[request["name"]], self.threads)
            return {"first_seconds": self.opened.first_seconds, "threads": self.opened.threads}
        assert self.opened is not None, f"{what} before open"
        if what == "calls":
            return {"calls": self.opened.calls(request["at_least"])}
        if what == "take":
            return {"seconds": self.opened.take(request["calls"], request["seconds"])}
        opened, self.opened = self.opened, None
        return {"answer": opened.close()}


def serve(options: dict[str, Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """What ``bench/harness/process.py`` asks; ``options``: "threads" and "shapes"."""
    return Desk(options["threads"], options["shapes"]).answer
