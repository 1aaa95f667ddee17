"""An estimator's parameters, checked once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from accel_logreg.inputs.memory_size import memory_bytes

SOLVERS = ("auto", "newton", "newton-cg", "newton-gram", "lbfgs", "gradient-descent")
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
    if not isinstance(p["l1_ratio"], Real) or p["l1_ratio"] != 0.0:
        raise ValueError(
            f"l1_ratio={p['l1_ratio']!r} is not available: only 0.0, the pure L2 penalty, is. "
            "For L1 or elastic net use sklearn.linear_model.LogisticRegression(solver='saga')"
        )
    for name in ("max_iter", "n_threads"):
        if p[name] is not None:
            _integer(p, name, 1)
    _integer(p, "verbose", 0)
    for name in ("fit_intercept", "warm_start"):
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
