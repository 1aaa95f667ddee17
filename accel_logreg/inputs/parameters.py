"""An estimator's parameters, checked once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import InvalidParameterError

from accel_logreg.inputs.memory_size import memory_bytes
from accel_logreg.inputs.scikit_names import STAND_FOR_AUTO, check_restrictions, own_parameters

SOLVERS = (
    "auto", "newton", "newton-cg", "newton-gram", "prox-newton", "lbfgs", "gradient-descent", *STAND_FOR_AUTO,
)  # fmt: skip
MULTI_CLASS = ("auto", "multinomial", "ovr")


def check_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """An estimator's parameters, checked, with scikit-learn's in our terms.

    Raises
    ------
    InvalidParameterError
        Names the parameter, its value and what is allowed: a ValueError and a TypeError.
    """
    _choice(parameters, "solver", SOLVERS)
    _choice(parameters, "multi_class", MULTI_CLASS)
    _positive(parameters, "C", "C=float('inf') means no penalty")
    p = own_parameters(parameters)
    _positive(p, "tol", "it bounds the relative suboptimality (J - J*)/J*; 0 is what rounding allows")
    if p["learning_rate"] != "auto":
        _positive(p, "learning_rate", "'auto' takes 1/L from the data")
        if math.isinf(p["learning_rate"]):
            raise InvalidParameterError("learning_rate=inf must be finite; 'auto' takes 1/L from the data")
    _penalty(p)
    for name, least in (("max_iter", 0), ("n_threads", 1)):
        if p[name] is not None:
            _integer(p, name, least)
    _integer(p, "verbose", 0)
    for name in ("fit_intercept", "warm_start", "positive", "dual"):
        if not isinstance(p[name], (bool, np.bool_)):
            raise InvalidParameterError(f"{name}={p[name]!r} must be True or False")
    if not (
        p["class_weight"] is None or p["class_weight"] == "balanced" or isinstance(p["class_weight"], Mapping)
    ):
        raise InvalidParameterError(
            f"class_weight={p['class_weight']!r} must be None, 'balanced' or a dict {{class label: weight}}"
        )
    memory_bytes(p["max_memory"])
    check_random_state(p["random_state"])
    check_restrictions(p)
    if p["solver"] in STAND_FOR_AUTO:
        if p["verbose"]:
            print(f"solver={p['solver']!r} is one of scikit-learn's: here 'auto' chooses in its place")
        # liblinear's name stays: its intercept is penalised.
        p["solver"] = p["solver"] if p["solver"] == "liblinear" else "auto"
    return p


def _penalty(p: Mapping[str, Any]) -> None:
    ratio, solver = p["l1_ratio"], p["solver"]
    if isinstance(ratio, (bool, np.bool_)) or not isinstance(ratio, (int, float, np.number)):
        raise InvalidParameterError(
            f"l1_ratio={ratio!r} must be a number from 0, the L2 penalty, to 1, the L1 penalty"
        )
    if not 0.0 <= ratio <= 1.0:
        raise InvalidParameterError(
            f"l1_ratio={ratio!r} must be from 0, the L2 penalty, to 1, the L1 penalty"
        )
    factor = p["penalty_factor"]
    if factor is not None:
        try:
            factor = np.asarray(factor, dtype=np.float64)
        except (TypeError, ValueError):
            raise InvalidParameterError(
                f"penalty_factor={factor!r} must be None or a number a feature, (d,)"
            ) from None
        wrong = ~(np.isfinite(factor) & (factor >= 0.0))
        if factor.ndim != 1 or wrong.any():
            what = f"has shape {factor.shape}" if factor.ndim != 1 else f"holds {float(factor[wrong][0])!r}"
            raise InvalidParameterError(
                f"penalty_factor {what}; it must be None or a number a feature, (d,), finite and not "
                "negative: 0 leaves a feature without a penalty, 1 is what C says"
            )
    positive = p["positive"] is True or p["positive"] is np.True_
    if positive and (math.isinf(p["C"]) or (factor is not None and not factor.all())):
        where = "C=inf" if math.isinf(p["C"]) else "a penalty_factor of 0"
        raise InvalidParameterError(
            f"positive=True needs a penalty, and {where} has none; use a large C instead"
        )
    kinks = (ratio > 0.0 or factor is not None or positive) and not math.isinf(p["C"])
    if solver == "prox-newton" and not kinks:
        what = "C=inf" if math.isinf(p["C"]) else f"l1_ratio={ratio!r}"
        raise InvalidParameterError(
            f"solver='prox-newton' is for penalties with kinks, an l1_ratio above 0, a penalty_factor or "
            f"positive=True, and {what} leaves none; use 'auto'"
        )
    if kinks and solver not in ("auto", "prox-newton", "liblinear", "saga"):
        named = "positive" if factor is None else "penalty_factor"
        named = f"l1_ratio={ratio!r}" if ratio > 0.0 else named
        raise InvalidParameterError(
            f"Solver {solver} supports only 'l2' or None penalties, alike for all features, and cannot do "
            f"{named}; use 'auto'"
        )


def _choice(p: Mapping[str, Any], name: str, allowed: tuple[str, ...]) -> None:
    if p[name] not in allowed:
        raise InvalidParameterError(
            f"{name}={p[name]!r} is unknown; allowed: {', '.join(map(repr, allowed))}"
        )


def _positive(p: Mapping[str, Any], name: str, hint: str) -> None:
    value = p[name]
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.number)):
        raise InvalidParameterError(f"{name}={value!r} must be a number above 0; {hint}")
    if not value > 0:
        raise InvalidParameterError(f"{name}={value!r} must be above 0; {hint}")


def _integer(p: Mapping[str, Any], name: str, least: int) -> None:
    value = p[name]
    if not isinstance(value, Integral):
        raise InvalidParameterError(f"{name}={value!r} must be an integer of at least {least}")
    if value < least:
        raise InvalidParameterError(f"{name}={value!r} must be at least {least}")
