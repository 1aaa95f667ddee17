"""Exact logistic regression: one trainer, four interchangeable engines.

``LogisticRegression(backend="python" | "numpy" | "numba" | "cupy")``. Importing this package
imports neither numba nor cupy; an engine loads on first use.
"""

from accel_logreg.backends import (
    BackendUnavailableError,
    available_backends,
    backend_status,
    release_memory,
)
from accel_logreg.estimator import LogisticRegression
from accel_logreg.files.model import ModelFileError, load_model, save_model
from accel_logreg.gradient_check import check_gradient
from accel_logreg.solvers.problem import DivergenceError

__all__ = [
    "BackendUnavailableError",
    "DivergenceError",
    "LogisticRegression",
    "ModelFileError",
    "available_backends",
    "backend_status",
    "check_gradient",
    "load_model",
    "release_memory",
    "save_model",
]
__version__ = "0.1.0"
