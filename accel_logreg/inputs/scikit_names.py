"""scikit-learn's arguments in ours: ``penalty``, ``dual``, ``n_jobs``, the names of its solvers.

Whatever scikit-learn takes is taken, with the meaning that it has there; the table in
docs/coming-from-scikit-learn.md goes through them one by one.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import sklearn
from sklearn.utils._param_validation import InvalidParameterError
from sklearn.utils.fixes import parse_version

# What they stand for is the solver that "auto" chooses: they all have the same optimum, but for liblinear's
# penalty on the intercept.
STAND_FOR_AUTO = ("liblinear", "newton-cholesky", "sag", "saga")
CV_SOLVERS = ("auto", "lbfgs", "newton-cg", *STAND_FOR_AUTO)
PENALTIES = ("deprecated", "l1", "l2", "elasticnet", None)
SMALLEST_TOL = 1e-16  # about what rounding allows, which tol=0 asks for
DEPRECATES = parse_version(sklearn.__version__) >= parse_version("1.8")  # penalty, n_jobs, l1_ratio=None


def own_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """``parameters`` of LogisticRegression, scikit-learn's in our terms: l1_ratio, C, tol, n_threads.

    Raises
    ------
    InvalidParameterError
        Values that do not go together: a ValueError and a TypeError, as scikit-learn raises it.
    """
    p = dict(parameters)
    penalty, ratio = p["penalty"], p["l1_ratio"]
    _check_penalty(penalty)
    if penalty != "deprecated":
        warn_of_penalty("l1_ratio", "C")
        inconsistent = {"l1": 1, "l2": 0}
        if ratio is not None and inconsistent.get(penalty, ratio) != ratio:
            warnings.warn(
                f"Inconsistent values: penalty={penalty} with l1_ratio={ratio}. penalty is deprecated. "
                "Please use l1_ratio only.",
                UserWarning,
                stacklevel=5,
            )
        if penalty != "elasticnet" and ratio is not None and 0.0 < ratio < 1.0:
            warnings.warn(
                f"l1_ratio parameter is only used when penalty is 'elasticnet'. Got (penalty={penalty})",
                UserWarning,
                stacklevel=5,
            )
        if penalty == "elasticnet" and ratio is None:
            raise InvalidParameterError("l1_ratio must be specified when penalty is elasticnet")
        if penalty is None:
            if p["C"] != 1.0 and not math.isinf(p["C"]):
                warnings.warn(
                    "Setting penalty=None will ignore the C and l1_ratio parameters",
                    UserWarning,
                    stacklevel=5,
                )
            p["C"], ratio = math.inf, 0.0
        ratio = inconsistent.get(penalty, ratio)
    p["l1_ratio"] = 0.0 if ratio is None else ratio
    if p["n_jobs"] is not None:
        if not isinstance(p["n_jobs"], (int, np.integer)) or p["n_jobs"] == 0:
            raise InvalidParameterError(
                f"n_jobs={p['n_jobs']!r} must be None or an integer, -1 for all threads"
            )
        if p["n_threads"] is None and p["n_jobs"] > 0:
            p["n_threads"] = int(p["n_jobs"])
    if p["tol"] == 0 and not isinstance(p["tol"], (bool, np.bool_)):
        p["tol"] = SMALLEST_TOL
    return p


def ratios_of(penalty: Any, l1_ratios: Any) -> Any:
    """LogisticRegressionCV's l1_ratios, where a ``penalty`` may say them."""
    _check_penalty(penalty)
    if penalty == "deprecated":
        return l1_ratios
    warn_of_penalty("l1_ratios", "Cs")
    if penalty is None:
        raise InvalidParameterError("penalty=None leaves no C to choose; use LogisticRegression(C=np.inf)")
    if penalty != "elasticnet":
        return (1.0,) if penalty == "l1" else (0.0,)
    if l1_ratios is None:
        raise InvalidParameterError(
            "l1_ratios must be an array-like of numbers between 0 and 1; got (l1_ratios=None)"
        )
    return l1_ratios


def _check_penalty(penalty: Any) -> None:
    if isinstance(penalty, (np.ndarray, list)) or penalty not in PENALTIES:
        allowed = ", ".join(map(repr, PENALTIES[1:]))
        raise InvalidParameterError(
            f"penalty={penalty!r} is unknown; allowed: {allowed}. l1_ratio and C say it all"
        )


def check_restrictions(p: Mapping[str, Any]) -> None:
    """Raise InvalidParameterError for what scikit-learn's solvers do not do, by ``own_parameters``."""
    solver, ratio, C = p["solver"], p["l1_ratio"], p["C"]
    if p["dual"] and solver != "liblinear":
        raise InvalidParameterError(
            f"Solver {solver} supports only dual=False, got dual={p['dual']}. The optimum is the same: "
            "leave dual out"
        )
    if solver != "liblinear":
        return
    if math.isinf(C):
        raise InvalidParameterError(
            "C=np.inf as well as penalty=None is not supported for the liblinear solver; use solver='auto'"
        )
    if ratio not in (0, 1):
        raise InvalidParameterError(
            "Only 'saga' solver supports elasticnet penalty, got solver=liblinear. 'auto' does as well"
        )
    if p["dual"] and ratio == 1:
        raise InvalidParameterError("dual=True with solver='liblinear' is for the L2 penalty; leave dual out")
    if p["penalty_factor"] is not None or p["positive"]:
        named = "positive" if p["penalty_factor"] is None else "penalty_factor"
        raise InvalidParameterError(f"{named} is not what liblinear can do; use solver='auto'")
    scaling = p["intercept_scaling"]
    if (
        isinstance(scaling, (bool, np.bool_))
        or not isinstance(scaling, (int, float, np.number))
        or not scaling > 0
    ):
        raise InvalidParameterError(
            f"intercept_scaling={scaling!r} must be a number above 0: the constant whose weight liblinear "
            "penalises in place of the intercept"
        )


def warn_of_penalty(ratio: str, strength: str) -> None:
    """scikit-learn's own deprecation, from the version on that has it."""
    if not DEPRECATES:
        return
    warnings.warn(
        f"'penalty' was deprecated in version 1.8 of scikit-learn. Use {ratio} instead: 0 for penalty='l2', "
        f"1 for penalty='l1', between them for penalty='elasticnet', and {strength}=np.inf for penalty=None.",
        FutureWarning,
        stacklevel=6,
    )
