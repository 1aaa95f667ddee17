"""accel_logreg in benchopt's format, for the benchmark of L2-penalised logistic regression.

The file stands alone: in the ``solvers`` folder of a clone of benchopt's benchmark_logreg_l2 it runs too.
The benchmark minimises Σ log(1 + exp(−yᵢ zᵢ)) + lmbd/2 ‖w‖² over labels y of −1 and 1, with z = X w, or
X w + c where ``fit_intercept``; the answer is one array beta, c last. Divided by the number of rows this
is our objective with C = 1/lmbd.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from benchopt import BaseSolver
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

from accel_logreg import BackendUnavailableError, LogisticRegression
from accel_logreg.backends import load_backend


class Solver(BaseSolver):
    """Sampled by tolerance: a point of the curve is a whole fit to that relative gap, from zero.

    The iterates of one fit would be no curve: most of its steps are on samples of the rows.
    """

    name = "accel_logreg"
    sampling_strategy = "tolerance"
    # Of the engines. accel_logreg itself is installed by hand, as the README beside this folder says.
    requirements = ["pip::numba", "pip::scikit-learn", "pip::scipy", "pip::threadpoolctl"]  # noqa: RUF012
    parameters = {  # noqa: RUF012
        "backend": ["numba", "numpy", "cupy"],  # also "python", the loop, for who has the time
        "solver": ["auto"],  # also "newton", "newton-cg", "newton-gram", "lbfgs"
    }

    # Set by benchopt, from ``parameters``.
    backend: str
    solver: str

    def skip(self, X: Any, y: Any, lmbd: float, fit_intercept: bool = False) -> tuple[bool, str | None]:  # noqa: ARG002
        """Whether this engine or this problem is out of reach here, and why."""
        try:
            load_backend(self.backend)
        except BackendUnavailableError as error:
            return True, str(error)
        if np.unique(y).size != 2:
            return True, f"y has {np.unique(y).size} classes, and accel_logreg takes two"
        if lmbd < 0:
            return True, f"lmbd={lmbd} is negative, and accel_logreg takes a penalty of 0 or more"
        if self.solver == "newton-gram" and lmbd == 0:
            return True, "solver='newton-gram' needs a penalty, and lmbd=0 is none"
        return False, None

    def set_objective(self, X: Any, y: Any, lmbd: float, fit_intercept: bool = False) -> None:
        """X (n, d) dense or sparse, y (n,). Not timed: all but float32 becomes float64, all sparse X CSR."""
        dtype: Any = np.float32 if X.dtype == np.float32 else np.float64
        dense: Any = None if sparse.issparse(X) else np.asarray(X, dtype, order="C")
        self.X = X.tocsr().astype(dtype) if dense is None else dense
        self.y = np.asarray(y).ravel()
        self.model = LogisticRegression(
            backend=self.backend,
            solver=self.solver,
            C=1.0 / lmbd if lmbd > 0 else float("inf"),
            fit_intercept=fit_intercept,
        )
        self.origin = np.zeros(X.shape[1] + bool(fit_intercept))
        self.beta = self.origin

    def warm_up(self) -> None:
        """Compile, before what is timed; what is compiled is kept on disk for the next process."""
        self.run_once(1e-2)

    @staticmethod
    def get_next(tolerance: float) -> float:
        """A hundredth from point to point: 1e-2 after the origin, then 1e-4 and so on."""
        return max(min(tolerance, 1.0) / 100.0, 1e-14)

    def run(self, tolerance: float) -> None:
        """One fit to a relative gap of ``tolerance``; the origin where that asks for nothing."""
        if tolerance >= 1.0:
            self.beta = self.origin
            return
        with warnings.catch_warnings():
            # At tolerances beyond float64 the estimator says that it stops short; here the curve says so.
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.model.set_params(tol=tolerance).fit(self.X, self.y)
        self.beta = self.model.coef_.ravel()
        if self.model.fit_intercept:
            self.beta = np.append(self.beta, self.model.intercept_)

    def get_result(self) -> dict[str, Any]:
        """beta: (d,) float64, or (d + 1,) with the intercept last."""
        return {"beta": self.beta}
