"""scikit-learn's LogisticRegression and LogisticRegressionCV, fitted here: what ``patch_sklearn`` takes.

They are subclasses of scikit-learn's own, of whatever version is installed: parameters and their checks,
predictions and all else is theirs; ``fit`` is ours. What we do not do is handed over to theirs, and counted
with the reason.
"""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any, Self

import numpy as np
from sklearn import get_config, linear_model
from sklearn.utils._array_api import get_namespace, get_namespace_and_device

from accel_logreg.estimator import LogisticRegression as Ours
from accel_logreg.inputs.callbacks import has_callbacks
from accel_logreg.inputs.namespaces import namespace_of, to_numpy
from accel_logreg.inputs.scikit_names import DEPRECATES
from accel_logreg.interface.arrays import on_gpu
from accel_logreg.model_selection.cv import LogisticRegressionCV as OursCV

HERE = "fitted here"
FEW_STEPS = 10
_SMALL = 1_000_000  # entries of X
_BACKEND = "ACCEL_LOGREG_PATCH_BACKEND"  # in the environment, which worker processes inherit
_SHARED = (
    *("fit_intercept", "intercept_scaling", "dual", "penalty"),
    *("class_weight", "random_state", "n_jobs", "verbose"),
)
_FITTED = ("coef_", "intercept_", "classes_", "n_iter_", "n_features_in_", "gap_", "gap_kind_")
_FITTED_CV = (
    *("coef_", "intercept_", "classes_", "n_iter_", "n_features_in_", "C_", "Cs_"),
    *("l1_ratio_", "l1_ratios_", "scores_", "coefs_paths_"),
)

_verbose = False
fits: Counter[tuple[str, str]] = Counter()  # (class, HERE or the reason why scikit-learn fitted)


def set_up(backend: str, *, verbose: bool) -> None:
    """The engine of all fits, in worker processes as well; whether each prints a line."""
    global _verbose
    os.environ[_BACKEND], _verbose = backend, verbose


def equal_tol(tol: float, X: Any, *, l2: bool) -> float:
    """Our ``tol``, of the cost, for scikit-learn's, of the gradient: the cost goes by the gradient's square.

    1e-8 at most: coefficients to four digits. What rounding allows, 0, where tol is 1e-8 or below; and with
    the L2 penalty for small X, where it costs next to nothing: equal problems, put differently, then have
    equal answers.
    """
    entries = getattr(X, "nnz", getattr(X, "size", 0))
    small = not isinstance(entries, (int, np.integer)) or entries <= _SMALL
    return 0.0 if (l2 and small) or tol <= 1e-8 else float(min(1e-8, tol * tol))


class LogisticRegression(linear_model.LogisticRegression):  # type: ignore[misc]
    """scikit-learn's class, whose ``fit`` finds the exact optimum here, with a bound on how near it is.

    Parameters, attributes and methods are those of sklearn.linear_model.LogisticRegression. ``tol`` is at
    least as strict as there. ``solver`` and ``max_iter`` do not say how the fit goes; "liblinear" penalises
    the intercept as there, and a ``max_iter`` below 10, which asks for steps rather than for the optimum, is
    handed over. ``gap_`` and ``gap_kind_`` come from ``accel_logreg.LogisticRegression``.
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit to X (n, d) and y (n,), as scikit-learn's ``fit`` does."""

        def here() -> Ours:
            own: dict[str, Any] = {"warm_start": self.warm_start, "C": self.C, "l1_ratio": self.l1_ratio}
            ours = Ours(**_parameters(self, X), **own)
            if self.warm_start and hasattr(self, "coef_"):
                state = (self.coef_, self.intercept_, self.classes_)
                ours.coef_, ours.intercept_, ours.classes_ = map(to_numpy, state)
            ours.fit(X, y, sample_weight)
            # In float32 as there; gap_ is before that rounding.
            if str(getattr(X, "dtype", None)).endswith("float32") and self.solver != "liblinear":
                ours.coef_, ours.intercept_ = ours.coef_.astype("f4"), ours.intercept_.astype("f4")
            # Under dispatch what is learnt lies where X lies, as there.
            if get_config()["array_api_dispatch"] and hasattr(X, "dtype"):
                xp, _, device = get_namespace_and_device(X)
                for name in ("coef_", "intercept_", "n_iter_"):
                    setattr(ours, name, xp.asarray(getattr(ours, name), device=device))
                if namespace_of(y) is not None:
                    ours.classes_ = get_namespace(y)[0].unique_values(y)
            return ours

        _fit(self, here, super().fit, _FITTED, X, y, sample_weight, {})
        return self


class LogisticRegressionCV(linear_model.LogisticRegressionCV):  # type: ignore[misc]
    """scikit-learn's class, whose ``fit`` has all folds and all C in the same reads of X.

    Parameters, attributes and methods are those of sklearn.linear_model.LogisticRegressionCV.
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None, **params: Any) -> Self:
        """Choose C on X (n, d) and y (n,), as scikit-learn's ``fit`` does."""

        def here() -> OursCV:
            ratios, scoring, legacy = (
                self.l1_ratios,
                self.scoring,
                getattr(self, "use_legacy_attributes", True),
            )
            if _said("warn", ratios):
                ratios = None
                _future("The default value for l1_ratios will change from None to (0.0,) in version 1.10.")
            elif ratios is None and DEPRECATES:
                _future("'l1_ratios=None' was deprecated in version 1.8 and will trigger an error in 1.10.")
            if _said("warn", scoring):
                scoring = None
                _future(
                    "The default value of the parameter 'scoring' will change from None, i.e. accuracy, to "
                    "'neg_log_loss' in version 1.11."
                )
            if _said("warn", legacy):
                legacy = True
                _future(
                    f"The fitted attributes of {type(self).__name__} will be simplified in scikit-learn "
                    "1.10. The default value of use_legacy_attributes will change from True to False there."
                )
            own = {"l1_ratios": ratios, "scoring": scoring, "use_legacy_attributes": legacy}
            ours = OursCV(**_parameters(self, X), **own, Cs=self.Cs, cv=self.cv, refit=self.refit)
            return ours.fit(X, y, sample_weight, **params)

        _fit(self, here, super().fit, _FITTED_CV, X, y, sample_weight, params)
        return self


def _fit(
    model: Any,
    here: Callable[[], Any],
    there: Callable[..., Any],
    names: tuple[str, ...],
    X: Any,
    y: Any,
    sample_weight: Any,
    params: dict[str, Any],
) -> None:
    """Give ``model`` the ``names`` that ``here`` has found; or by ``there``, scikit-learn's own ``fit``.

    What is refused here is handed over as well: where it is a mistake, scikit-learn says so in its own words.
    """
    if not get_config()["skip_parameter_validation"]:
        model._validate_params()
    why = _why_there(model, X, sample_weight)
    if why is None:
        try:
            ours = here()
        except (ValueError, TypeError) as error:
            why = f"refused here, {type(error).__name__}"
        else:
            jobs = getattr(model, "n_jobs", None)
            if jobs is not None and DEPRECATES and names is _FITTED:
                _future(f"'n_jobs' has no effect since 1.8 and will be removed in 1.10. You provided {jobs}.")
            vars(model).pop("feature_names_in_", None)
            for name in (*names, "feature_names_in_"):
                if hasattr(ours, name):
                    setattr(model, name, getattr(ours, name))
            _note(model, HERE)
            return
    _note(model, why)
    for name in ("gap_", "gap_kind_"):  # of an earlier fit
        vars(model).pop(name, None)
    there(X, y, sample_weight, **params)


def _why_there(model: Any, X: Any, sample_weight: Any) -> str | None:
    """Why a fit is scikit-learn's; None where it is ours."""
    if model.max_iter < FEW_STEPS:
        return f"max_iter below {FEW_STEPS}"
    if has_callbacks(model):
        return "callbacks"
    if getattr(model, "l1_ratio", 0.0) is None and DEPRECATES:
        return "l1_ratio=None is deprecated"
    if getattr(model, "multi_class", None) == "ovr":  # before 1.8
        return "multi_class='ovr'"
    if on_gpu(X) and not get_config()["array_api_dispatch"]:
        return "X on a GPU without array API dispatch"
    try:
        if sample_weight is not None and np.min(to_numpy(sample_weight), initial=0.0) < 0.0:
            return "negative weights"
    except (TypeError, ValueError):
        return "weights that are no numbers"
    return None


def _parameters(model: Any, X: Any) -> dict[str, Any]:
    """Our parameters for those of scikit-learn that this version of it has."""
    own: dict[str, Any] = {"penalty": "deprecated"}
    own |= {name: getattr(model, name) for name in _SHARED if hasattr(model, name)}
    restricted = {"liblinear": "liblinear", "saga": "saga"}  # the others have the L2 penalty alone
    own["solver"] = restricted.get(model.solver, "newton-cholesky")
    ratios: Any = getattr(model, "l1_ratio", getattr(model, "l1_ratios", None))
    plain = all(ratio in (0, None, "warn") for ratio in np.ravel(ratios))
    l2 = own["penalty"] in ("l2", None) or (own["penalty"] != "l1" and plain)
    own["tol"], own["backend"] = equal_tol(model.tol, X, l2=l2), os.environ.get(_BACKEND, "auto")
    return own


def _note(model: Any, what: str) -> None:
    fits[type(model).__name__, what] += 1
    if _verbose:
        how = what if what == HERE else f"handed over to scikit-learn: {what}"
        print(f"accel_logreg: {type(model).__name__} {how}")


def _said(word: str, value: Any) -> bool:
    return isinstance(value, str) and value == word


def _future(text: str) -> None:
    warnings.warn(text, FutureWarning, stacklevel=5)
