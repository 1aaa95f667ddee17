"""Exact logistic regression: one trainer, four interchangeable engines.

``LogisticRegression(backend="python" | "numpy" | "numba" | "cupy")``. A name of this package loads what it
needs when it is first used: importing the package loads neither scikit-learn nor numba nor cupy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from accel_logreg.backends import available_backends, backend_status, release_memory
    from accel_logreg.certify import certified_gap
    from accel_logreg.estimator import LogisticRegression, SeparationWarning
    from accel_logreg.files.model import ModelFileError, load_model, load_pipeline, save_model
    from accel_logreg.gradient_check import check_gradient
    from accel_logreg.inference.result import Inference
    from accel_logreg.interface.engine import BackendUnavailableError
    from accel_logreg.interface.parted_matrix import FitInterruptedError, SourceError
    from accel_logreg.model_selection.cv import LogisticRegressionCV
    from accel_logreg.model_selection.paths import logistic_path
    from accel_logreg.patch import patch_report, patch_sklearn, unpatch_sklearn
    from accel_logreg.probe import ProbeResult, linear_probe
    from accel_logreg.solvers.problem import DivergenceError

__all__ = [
    "BackendUnavailableError",
    "DivergenceError",
    "FitInterruptedError",
    "Inference",
    "LogisticRegression",
    "LogisticRegressionCV",
    "ModelFileError",
    "ProbeResult",
    "SeparationWarning",
    "SourceError",
    "available_backends",
    "backend_status",
    "certified_gap",
    "check_gradient",
    "linear_probe",
    "load_model",
    "load_pipeline",
    "logistic_path",
    "patch_report",
    "patch_sklearn",
    "release_memory",
    "save_model",
    "unpatch_sklearn",
]
__version__ = "0.1.0"

_HOME = {
    "BackendUnavailableError": "interface.engine",
    "DivergenceError": "solvers.problem",
    "FitInterruptedError": "interface.parted_matrix",
    "Inference": "inference.result",
    "LogisticRegression": "estimator",
    "LogisticRegressionCV": "model_selection.cv",
    "ModelFileError": "files.model",
    "ProbeResult": "probe",
    "SeparationWarning": "estimator",
    "SourceError": "interface.parted_matrix",
    "available_backends": "backends",
    "backend_status": "backends",
    "certified_gap": "certify",
    "check_gradient": "gradient_check",
    "linear_probe": "probe",
    "load_model": "files.model",
    "load_pipeline": "files.model",
    "logistic_path": "model_selection.paths",
    "patch_report": "patch",
    "patch_sklearn": "patch",
    "unpatch_sklearn": "patch",
    "release_memory": "backends",
    "save_model": "files.model",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value  # found at once from now on
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
