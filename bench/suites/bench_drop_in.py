"""The change of one import: scikit-learn's fit with its defaults, and the drop-in's.

    python -m bench.run -k bench_drop_in

The drop-in's answer has to be the optimum to 1e-8, by ``certified_gap``; how far scikit-learn's is from it is
written beside its time.
"""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from typing import Any

import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression as Theirs
from threadpoolctl import threadpool_limits

from accel_logreg import certified_gap, drop_in
from accel_logreg.backends import load_backend
from bench.harness.questions import TOL, made
from bench.harness.work import Work
from bench.problems.dense import correlated

SHAPES = {"500x20": (500, 20), "20000x50": (20_000, 50), "100000x28": (100_000, 28), "5000x500": (5_000, 500)}
KINDS: dict[str, type[Any]] = {"scikit-learn": Theirs, "drop-in": drop_in.LogisticRegression}


def fit(shape: str, kind: str) -> Work:
    problem = made(correlated, *SHAPES[shape], "float64")
    model = KINDS[kind](max_iter=1_000)

    def check(fitted: Any) -> dict[str, Any]:
        gap = certified_gap(problem.X, problem.y, fitted.coef_, fitted.intercept_, C=1.0)
        assert gap <= (TOL if kind == "drop-in" else 1e-2), f"{kind} is {gap:.2g} above the optimum"
        return {"gap": gap}

    about = f"drop-in {shape}", 0

    def call() -> Any:
        # scikit-learn is quickest so here: threads of BLAS wait for each other at every of its many products.
        with threadpool_limits(1) if kind == "scikit-learn" else nullcontext():
            return model.fit(problem.X, problem.y)

    return Work(call, check, load_backend("numba"), problem.matrix, *about, info={"version": kind})


@pytest.mark.filterwarnings(f"ignore::{ConvergenceWarning.__module__}.ConvergenceWarning")
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", KINDS)
def bench_drop_in(contest: Any, shape: str, kind: str) -> None:
    contest(partial(fit, shape, kind))
