"""The process that measures one revision: it makes problems, works on them when asked, and times it.

Run by its path with the revision's own ``accel_logreg`` on Python's path, so that today's questions can be
put to a revision that never heard of them. It therefore imports nothing of this project but what every
revision has: the estimator, and the door to the engines (``load_backend``, ``rows``, ``loss_grad``, …). A
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
CLOSE_ENOUGH = 1e-7  # of a fit to the optimum, relative; its own promise is 1e-8
_STEPS = 100  # of gradient descent
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


class Opened:
    """A task under way: its data, the call that is timed, and the check of its answer."""

    def __init__(self, task: Task, threads: int | None) -> None:
        from accel_logreg import LogisticRegression
        from accel_logreg.backends import load_backend

        X, self.y = problem(task.problem, task.rows, task.features)
        self.X = X.astype(task.dtype)  # a copy of its own, so that each process places it anew
        self.task, self._stack = task, ExitStack()
        self.sparse = task.problem == "sparse"
        engine = load_backend(task.engine)
        self.threads = engine.n_threads(threads) if hasattr(engine, "n_threads") else 1
        d = task.features
        self.W = np.random.default_rng(SEED + 1).standard_normal(d + 1) / np.sqrt(d)
        call: Callable[[], Any]
        if task.what in ("fit", "predict"):
            model = LogisticRegression(backend=task.engine, n_threads=threads)
            self.model = model.fit(self.X, self.y) if task.what == "predict" else model
            call = (
                (lambda: model.fit(self.X, self.y))
                if task.what == "fit"
                else lambda: model.predict_proba(self.X)
            )
        else:
            self._stack.enter_context(engine.threads(threads))
            take = getattr(engine, "place" if hasattr(engine, "place") else "rows")  # of older revisions
            rows = take(self.X, self.y, None)
            questions: dict[str, Callable[[], Any]] = {
                "gradient": lambda: rows.loss_grad(self.W),
                "hessian-product": lambda: rows.hessian_product(self.W, self.W[::-1]),
                "descent": lambda: rows.descend(np.zeros(d + 1), 0.1, 0.0, _STEPS, True),
            }
            call = questions[task.what]
        self.call = call
        began = time.perf_counter()
        self.last = call()
        self.first_seconds = time.perf_counter() - began

    def loss_grad(self, W: Any) -> tuple[float, Any, Any]:
        """Mean loss, its gradient, and every row's curvature, in float64."""
        z = self.X.astype(np.float64) @ W[:-1] + W[-1]
        a = expit(z)
        residual = (a - self.y) / len(z)
        gradient = np.append(self.X.astype(np.float64).T @ residual, residual.sum())
        return float(np.mean(np.logaddexp(0.0, z) - self.y * z)), gradient, a * (1.0 - a) / len(z)

    def check(self, answer: Any) -> float | None:
        """Compare an answer with NumPy's; how far a fit is from the optimum, None for anything else.

        Raises
        ------
        ArithmeticError
            It is wrong.
        """
        what, d = self.task.what, self.task.features
        suboptimality = None
        if what == "fit":
            suboptimality = self._suboptimality(np.append(answer.coef_.ravel(), answer.intercept_))
            _require(f"suboptimality {suboptimality:.1e}", suboptimality <= CLOSE_ENOUGH)
        elif what == "predict":
            found = np.asarray(answer)[:, 1]
            z = self.X.astype(np.float64) @ self.model.coef_[0] + self.model.intercept_
            _require("probabilities", np.allclose(found, expit(z), rtol=1e-5, atol=1e-7))
        elif what == "gradient":
            loss, gradient, _ = self.loss_grad(self.W)
            _near("gradient", np.append(answer[1], answer[0]), np.append(gradient, loss))
        elif what == "hessian-product":
            V, curvature = self.W[::-1], self.loss_grad(self.W)[2]
            X = self.X.astype(np.float64)
            weighted = curvature * (X @ V[:-1] + V[-1])
            _near("Hessian product", answer, np.append(X.T @ weighted, weighted.sum()))
        else:
            W = np.zeros(d + 1)
            for _ in range(_STEPS):
                W -= 0.1 * self.loss_grad(W)[1]
            _near(f"weights after {_STEPS} steps", answer.W, W)
        return suboptimality

    def _suboptimality(self, W: Any) -> float:
        """½ gᵀH⁻¹g / J, the Newton decrement: (J − J*)/J* up to terms of third order."""
        loss, g, curvature = self.loss_grad(W)
        penalty = np.append(np.full(len(W) - 1, 1.0 / len(self.y)), 0.0)  # C = 1; the intercept is free
        g = g + penalty * W
        X: Any = self.X.astype(np.float64)
        value = loss + 0.5 * float(penalty @ W**2)
        if not self.sparse and X.shape[0] < X.shape[1]:
            return 0.5 * float(g @ _solve_wide(X, curvature, penalty[0], g)) / value
        H = np.empty((len(W), len(W)))
        product: Any = X.T @ (sparse.diags(curvature) @ X if self.sparse else curvature[:, None] * X)
        H[:-1, :-1] = product.toarray() if self.sparse else product
        H[-1, :-1] = H[:-1, -1] = X.T @ curvature
        H[-1, -1] = curvature.sum()
        H[np.diag_indices_from(H)] += penalty
        return 0.5 * float(g @ np.linalg.solve(H, g)) / value

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

    def close(self) -> float | None:
        """Check the last timed answer, give the engine's threads back; the suboptimality of a fit."""
        self._stack.close()
        return self.check(self.last)


def _solve_wide(X: Any, h: Any, l2: float, g: Any) -> Any:
    """H⁻¹ g for H of d + 1 unknowns, (X, 1)ᵀ diag(h) (X, 1) + l2 (not on the intercept), by n × n matrices.

    A = l2 I + XᵀDX is inverted by Woodbury's identity, the intercept eliminated before.
    """
    root = np.sqrt(h)
    K = l2 * np.eye(len(h)) + (root[:, None] * X) @ (root[:, None] * X).T
    u = X.T @ h
    sides = np.column_stack([g[:-1], u])
    inner = root[:, None] * (X @ sides)
    by_g, by_u = ((sides - X.T @ (root[:, None] * np.linalg.solve(K, inner))) / l2).T
    b = (g[-1] - u @ by_g) / (h.sum() - u @ by_u)
    return np.append(by_g - b * by_u, b)


def _near(what: str, found: Any, right: Any) -> None:
    _require(what, np.allclose(found, right, rtol=1e-6, atol=1e-8 * float(np.abs(right).max())))


def _require(what: str, right: Any) -> None:
    if not right:
        raise ArithmeticError(f"{what} is wrong")


class Desk:
    """Answers requests, one task open at a time."""

    def __init__(self, threads: int | None, shapes: list[list[int]]) -> None:
        self.threads = threads
        self.tasks = {task.name: task for task in tasks(shapes)}
        self.opened: Opened | None = None

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """What the request asks for, or {"unavailable": why}, or {"wrong": why}."""
        try:
            return self._answer(request)
        except ArithmeticError as error:
            return {"wrong": str(error)}
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
        return {"suboptimality": opened.close()}


def serve(options: dict[str, Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """What ``bench/harness/process.py`` asks; ``options``: "threads" and "shapes"."""
    return Desk(options["threads"], options["shapes"]).answer
