"""RAPIDS cuML's LogisticRegression, quasi-Newton.

With ``penalty_normalized=True``, its default, cuML divides the penalty by the number of rows, which makes
C what it is in scikit-learn. Versions before it had the name always did. Its tolerance bounds the
gradient and, a hundredth of it, the change of the loss, which ends many fits early: hence the sweep.
"""

from __future__ import annotations

import inspect
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np

from bench.problems.dense import Float64
from bench.rivals import Fit, RivalUnavailableError, Way
from bench.rivals.expressions import to_host

WAYS = ("cuML, qn",)
TOLERANCES = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-10)


def load(_name: str, xp: Any) -> Way:
    """The only way there is, on CuPy arrays alone."""
    if xp.__name__ == "numpy":
        raise RivalUnavailableError("cuML needs a GPU")
    try:
        linear_model = import_module("cuml.linear_model")
    except Exception as error:  # a cuML for another CUDA raises anything
        raise RivalUnavailableError(f"cuML is not installed, or does not load ({error})") from None
    return partial(qn, linear_model.LogisticRegression)


def qn(estimator: Any, X: Any, y: Any, l2: float) -> Fit:
    """C = 1/(l2 n)."""
    newer = {"penalty_normalized": True, "linesearch_max_iter": 100, "output_type": "numpy"}
    allowed = inspect.signature(estimator).parameters
    options: dict[str, Any] = {name: value for name, value in newer.items() if name in allowed}
    options |= {"C": 1.0 / (l2 * X.shape[0]), "penalty": "l2", "max_iter": 10_000}

    def fit(tol: float) -> Float64:
        model = estimator(tol=tol, **options).fit(X, y)
        W: Float64 = np.append(to_host(model.coef_).ravel(), to_host(model.intercept_).ravel())
        return W.astype(np.float64)

    return fit
