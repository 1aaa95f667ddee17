"""scikit-learn on arrays that stay on the GPU, through its array API dispatch.

From 1.9 on LogisticRegression(solver="lbfgs") dispatches; its loop stays SciPy's, on the host, with one
gradient from the device a step. Before, only Ridge among the linear models did, which is another problem.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sklearn
from sklearn import config_context
from sklearn.linear_model import LogisticRegression

from bench.problems.dense import Float64
from bench.rivals import Fit, RivalUnavailableError, Way
from bench.rivals.expressions import to_host

WAYS = ("scikit-learn, array API, lbfgs",)
TOLERANCES = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7)  # of the largest entry of the gradient


def load(_name: str, _xp: Any) -> Way:
    """The only way there is."""
    if not LogisticRegression(solver="lbfgs").__sklearn_tags__().array_api_support:
        raise RivalUnavailableError(
            f"scikit-learn {sklearn.__version__} has no array API support for LogisticRegression; 1.9 has"
        )
    return lbfgs


def lbfgs(X: Any, y: Any, l2: float) -> Fit:
    """LogisticRegression, C = 1/(l2 n)."""
    C = 1.0 / (l2 * X.shape[0])

    def fit(tol: float) -> Float64:
        model = LogisticRegression(solver="lbfgs", C=C, tol=tol, max_iter=1_000)
        try:
            with config_context(array_api_dispatch=True):
                model.fit(X, y)
        except (ImportError, RuntimeError) as error:  # SciPy asks for SCIPY_ARRAY_API=1 in some versions
            raise RivalUnavailableError(f"scikit-learn {sklearn.__version__} refuses: {error}") from error
        W: Float64 = np.append(to_host(model.coef_)[0], to_host(model.intercept_)).astype(np.float64)
        return W

    return fit
