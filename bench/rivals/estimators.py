"""LogisticRegression of scikit-learn and of RAPIDS cuML on a GPU, C = 1/(l2 n)."""

from __future__ import annotations

import inspect
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
import sklearn
from sklearn import config_context
from sklearn.linear_model import LogisticRegression

from bench.problems.problem import Float64, to_host
from bench.rivals import Fit, RivalUnavailableError, Way


def load(name: str, xp: Any) -> Way:
    """A way by its name; cuML takes CuPy arrays alone."""
    if not name.startswith("cuML"):
        if not LogisticRegression(solver="lbfgs").__sklearn_tags__().array_api_support:
            raise RivalUnavailableError(
                f"scikit-learn {sklearn.__version__} has no array API support for LogisticRegression; 1.9 has"
            )
        return lbfgs
    if xp.__name__ == "numpy":
        raise RivalUnavailableError("cuML needs a GPU")
    try:
        linear_model = import_module("cuml.linear_model")
    except Exception as error:  # a cuML for another CUDA raises anything
        raise RivalUnavailableError(f"cuML is not installed, or does not load ({error})") from None
    return partial(qn, linear_model.LogisticRegression)


def qn(estimator: Any, X: Any, y: Any, l2: float) -> Fit:
    """RAPIDS cuML's, quasi-Newton.

    With ``penalty_normalized=True``, its default, cuML divides the penalty by the number of rows, which makes
    C what it is in scikit-learn. Versions before it had the name always did. Its tolerance bounds the
    gradient and, a hundredth of it, the change of the loss, which ends many fits early: hence the sweep.
    """
    newer = {"penalty_normalized": True, "linesearch_max_iter": 100, "output_type": "numpy"}
    allowed = inspect.signature(estimator).parameters
    options: dict[str, Any] = {name: value for name, value in newer.items() if name in allowed}
    options |= {"C": 1.0 / (l2 * X.shape[0]), "penalty": "l2", "max_iter": 10_000}

    def fit(tol: float) -> Float64:
        return _weights(estimator(tol=tol, **options).fit(X, y))

    return fit


def lbfgs(X: Any, y: Any, l2: float) -> Fit:
    """scikit-learn on arrays that stay on the GPU, through its array API dispatch.

    From 1.9 on solver="lbfgs" dispatches; its loop stays SciPy's, on the host, with one gradient from the
    device a step. Before, only Ridge among the linear models did, which is another problem. tol bounds the
    largest entry of the gradient.
    """
    C = 1.0 / (l2 * X.shape[0])

    def fit(tol: float) -> Float64:
        model = LogisticRegression(solver="lbfgs", C=C, tol=tol, max_iter=1_000)
        try:
            with config_context(array_api_dispatch=True):
                model.fit(X, y)
        except (ImportError, RuntimeError) as error:  # SciPy asks for SCIPY_ARRAY_API=1 in some versions
            raise RivalUnavailableError(f"scikit-learn {sklearn.__version__} refuses: {error}") from error
        return _weights(model)

    return fit


def _weights(model: Any) -> Float64:
    W: Float64 = np.append(to_host(model.coef_).ravel(), to_host(model.intercept_).ravel())
    return W.astype(np.float64)
