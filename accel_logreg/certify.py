"""certified_gap: how far anybody's coefficients are from the optimum, at most."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accel_logreg.backends import resolve
from accel_logreg.estimator import LogisticRegression
from accel_logreg.fitting.sparse import fit_of
from accel_logreg.inputs.namespaces import to_numpy
from accel_logreg.inputs.parameters import check_parameters
from accel_logreg.inputs.training import check_training_data
from accel_logreg.interface.arrays import Float64


def certified_gap(
    X: Any,
    y: Any,
    coef: ArrayLike,
    intercept: ArrayLike,
    *,
    C: float,
    l1_ratio: float = 0.0,
    penalty_factor: ArrayLike | None = None,
    positive: bool = False,
    sample_weight: ArrayLike | None = None,
    fit_intercept: bool = True,
    backend: str = "auto",
) -> float:
    """An upper bound on (J − J*)/J* of a logistic model, whoever fitted it: scikit-learn, cuML, statsmodels.

    Three and more classes are those of a softmax. The same number added to all classes' intercepts is no
    loss, nor is the same vector added to their weights where there is no penalty.

    J is ``LogisticRegression``'s objective, scikit-learn's divided by C Σs. Near the optimum the bound comes
    from the exact Hessian, or from strong convexity (problem/certificate.py); further away J* is found first,
    and compared with. Where there is no optimum, C=inf and separated classes, it is infinite.

    Parameters
    ----------
    X : (n, d), as ``LogisticRegression.fit`` takes it
    y : (n,) of K classes, in sorted order; of two the second is the one that coef speaks for
    coef : (d,) or (1, d); (K, d) for K ≥ 3
    intercept : a number, or (1,); (K,) for K ≥ 3; 0 where ``fit_intercept`` is False
        Of a class whose rows have no weight it is -inf, as in ``LogisticRegression``.
    C : float, above 0 or infinite
    l1_ratio, penalty_factor, positive : as ``LogisticRegression`` has them
        With these J* is found, and compared with.
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
    model = LogisticRegression(
        tol=1e-300, C=C, l1_ratio=l1_ratio, penalty_factor=penalty_factor, positive=positive,
        fit_intercept=fit_intercept, backend=backend,
    )  # fmt: skip
    w: Float64 = np.asarray(to_numpy(coef), dtype=np.float64)
    b: Float64 = np.asarray(to_numpy(intercept), dtype=np.float64).ravel()
    check_parameters(vars(model))
    engine = resolve(backend, X)
    try:
        data = check_training_data(model, engine, X, y, sample_weight, None)
        data.check_finite()
        K, d = len(data.classes), data.X.shape[1]
        W = _by_class(w, b, (1 if K == 2 else K, d), data.present, fit_intercept)
        with np.errstate(over="ignore", invalid="ignore"), engine.threads(None):
            fit = fit_of(K, vars(model))(engine, data, vars(model), None, lambda _line: None)
            return fit.gap_of(W.ravel())
    finally:
        engine.after_fit()


def _by_class(
    w: Float64, b: Float64, shape: tuple[int, int], present: NDArray[np.intp] | None, fit_intercept: bool
) -> Float64:
    """(K, d + 1) of the classes that have weight, checked."""
    K, d = shape
    if K == 1 and w.size != d:
        raise ValueError(f"coef has {w.size} entries and X {d} columns; pass model.coef_")
    if K > 1 and w.shape != shape:
        raise ValueError(f"coef has shape {w.shape} and must have {shape}, a row a class; pass model.coef_")
    if b.size != K or (not fit_intercept and b.any()):
        wanted = "one number" if K == 1 else f"{K} numbers, one a class"
        raise ValueError(
            f"intercept has {b.size} numbers, up to {np.abs(b).max(initial=0.0):g}; it must have {wanted}, "
            "and 0 where fit_intercept=False: pass model.intercept_"
        )
    W = np.column_stack([w.reshape(shape), b])
    if present is not None:
        absent = np.delete(W, present, axis=0)
        if absent[:, :-1].any() or not (absent[:, -1] == -np.inf).all():
            raise ValueError(
                "a class whose rows have no weight has its optimum at a coef of 0 and an intercept of -inf: "
                "pass these, or leave the class out of X, y, coef and intercept"
            )
        W = W[present]
    if not np.isfinite(W).all():
        raise ValueError("coef holds NaN or infinity, or intercept does: that model has no cost")
    return W
