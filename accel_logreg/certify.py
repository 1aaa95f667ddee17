"""certified_gap: how far anybody's coefficients are from the optimum, at most."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from accel_logreg.backends import resolve
from accel_logreg.estimator import LogisticRegression
from accel_logreg.fitting import Fit
from accel_logreg.inputs.parameters import check_parameters
from accel_logreg.inputs.training import check_training_data
from accel_logreg.interface.arrays import Float64, to_host


def certified_gap(
    X: Any,
    y: Any,
    coef: ArrayLike,
    intercept: ArrayLike,
    *,
    C: float,
    sample_weight: ArrayLike | None = None,
    fit_intercept: bool = True,
    backend: str = "auto",
) -> float:
    """An upper bound on (J − J*)/J* of a logistic model, whoever fitted it: scikit-learn, cuML, statsmodels.

    J is ``LogisticRegression``'s objective, scikit-learn's divided by C Σs. Near the optimum the bound comes
    from the exact Hessian, or from strong convexity (problem/certificate.py); further away J* is found first,
    and compared with. Where there is no optimum, C=inf and separated classes, it is infinite.

    Parameters
    ----------
    X : (n, d), as ``LogisticRegression.fit`` takes it
    y : (n,), two classes; in sorted order the second is the one that coef speaks for
    coef : (d,) or (1, d)
    intercept : a number, or (1,); 0 where ``fit_intercept`` is False
    C : float, above 0 or infinite
    sample_weight : (n,), optional
    fit_intercept : bool
        Whether the intercept may be anything, or was to be 0.
    backend : an engine's name, or "auto"

    Returns
    -------
    float
        Relative; 1e-8 and below is as good as ``LogisticRegression``'s own answers.

    Raises
    ------
    ValueError, TypeError
        X, y, weights or C are not allowed, or coef does not fit X.
    """
    # Every bound is asked for, none is good enough.
    model = LogisticRegression(tol=1e-300, C=C, fit_intercept=fit_intercept, backend=backend)
    w: Float64 = np.asarray(to_host(coef), dtype=np.float64).ravel()
    b: Float64 = np.asarray(to_host(intercept), dtype=np.float64).ravel()
    if not (np.isfinite(w).all() and np.isfinite(b).all()):
        raise ValueError("coef holds NaN or infinity, or intercept does: that model has no cost")
    if b.size != 1 or (not fit_intercept and b[0] != 0.0):
        raise ValueError(
            f"intercept={intercept!r} must be one number, and 0 where fit_intercept=False; pass "
            "model.intercept_"
        )
    check_parameters(vars(model))
    engine = resolve(backend, X)
    try:
        data = check_training_data(model, engine, X, y, sample_weight, None)
        data.check_finite()
        if w.size != data.X.shape[1]:
            raise ValueError(f"coef has {w.size} entries and X {data.X.shape[1]} columns; pass model.coef_")
        with np.errstate(over="ignore", invalid="ignore"), engine.threads(None):
            fit = Fit(engine, data, vars(model), None, lambda _line: None)
            return fit.gap_of(np.append(w, b))
    finally:
        engine.after_fit()
