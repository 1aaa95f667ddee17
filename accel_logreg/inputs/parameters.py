"""An estimator's parameters, checked once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from accel_logreg.inputs.memory_size import memory_bytes

SOLVERS = ("auto", "newton", "newton-cg", "newton-gram", "prox-newton", "lbfgs", "gradient-descent")
MULTI_CLASS = ("auto", "multinomial", "ovr")


def check_parameters(parameters: Mapping[str, Any]) -> None:
    """Raise TypeError or ValueError that names the parameter, its value and what is allowed."""
    p = parameters
    _choice(p, "solver", SOLVERS)
    _choice(p, "multi_class", MULTI_CLASS)
    _positive(p, "C", "C=float('inf') means no penalty")
    _positive(p, "tol", "it bounds the relative suboptimality (J - J*)/J*")
    if p["learning_rate"] != "auto":
        _positive(p, "learning_rate", "'auto' takes 1/L from the data")
        if math.isinf(p["learning_rate"]):
            raise ValueError("learning_rate=inf must be finite; 'auto' takes 1/L from the data")
    _penalty(p)
    for name in ("max_iter", "n_threads"):
        if p[name] is not None:
            _integer(p, name, 1)
    _integer(p, "verbose", 0)
    for name in ("fit_intercept", "warm_start", "positive"):
        if not isinstance(p[name], (bool, np.bool_)):
            raise TypeError(f"{name}={p[name]!r} must be True or False")
    if not (
        p["class_weight"] is None or p["class_weight"] == "balanced" or isinstance(p["class_weight"], Mapping)
    ):
        raise ValueError(
            f"class_weight={p['class_weight']!r} must be None, 'balanced' or a dict {{class label: weight}}"
        )
    memory_bytes(p["max_memory"])
    check_random_state(p["random_state"])


def _penalty(p: Mapping[str, Any]) -> None:
    ratio, solver = p["l1_ratio"], p["solver"]
    if isinstance(ratio, (bool, np.bool_)) or not isinstance(ratio, (int, float, np.number)):
        raise TypeError(f"l1_ratio={ratio!r} must be a number from 0, the L2 penalty, to 1, the L1 penalty")
    if not 0.0 <= ratio <= 1.0:
        raise ValueError(f"l1_ratio={ratio!r} must be from 0, the L2 penalty, to 1, the L1 penalty")
    factor = p["penalty_factor"]
    if factor is not None:
        try:
            factor = np.asarray(factor, dtype=np.float64)
        except (TypeError, ValueError):
            raise TypeError(f"penalty_factor={factor!r} must be None or a number a feature, (d,)") from None
        wrong = ~(np.isfinite(factor) & (factor >= 0.0))
        if factor.ndim != 1 or wrong.any():
            what = f"has shape {factor.shape}" if factor.ndim != 1 else f"holds {float(factor[wrong][0])!r}"
            raise ValueError(
                f"penalty_factor {what}; it must be None or a number a feature, (d,), finite and not "
                "negative: 0 leaves a feature without a penalty, 1 is what C says"
            )
    positive = p["positive"] is True or p["positive"] is np.True_
    if positive and (math.isinf(p["C"]) or (factor is not None and not factor.all())):
        where = "C=inf" if math.isinf(p["C"]) else "a penalty_factor of 0"
        raise ValueError(f"positive=True needs a penalty, and {where} has none; use a large C instead")
    kinks = (ratio > 0.0 or factor is not None or positive) and not math.isinf(p["C"])
    if solver == "prox-newton" and not kinks:
        what = "C=inf" if math.isinf(p["C"]) else f"l1_ratio={ratio!r}"
        raise ValueError(
            f"solver='prox-newton' is for penalties with kinks, an l1_ratio above 0, a penalty_factor or "
            f"positive=True, and {what} leaves none; use 'auto'"
        )
    if kinks and solver not in ("auto", "prox-newton"):
        named = "positive" if factor is None else "penalty_factor"
        named = f"l1_ratio={ratio!r}" if ratio > 0.0 else named
        raise ValueError(
            f"solver={solver!r} cannot do {named}: only 'auto' and 'prox-newton' can. The others have the "
            "L2 penalty alone, alike for all features"
        )


def _choice(p: Mapping[str, Any], name: str, allowed: tuple[str, ...]) -> None:
    if p[name] not in allowed:
        raise ValueError(f"{name}={p[name]!r} is unknown; allowed: {', '.join(map(repr, allowed))}")


def _positive(p: Mapping[str, Any], name: str, hint: str) -> None:
    value = p[name]
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.number)):
        raise TypeError(f"{name}={value!r} must be a number above 0; {hint}")
    if not value > 0:
        raise ValueError(f"{name}={value!r} must be above 0; {hint}")


def _integer(p: Mapping[str, Any], name: str, least: int) -> None:
    value = p[name]
    if not isinstance(value, Integral):
        raise TypeError(f"{name}={value!r} must be an integer of at least {least}")
    if value < least:
        raise ValueError(f"{name}={value!r} must be at least {least}")
