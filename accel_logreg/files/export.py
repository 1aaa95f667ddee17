"""Models as others have them: scikit-learn's own classes, and ONNX. LinearPrediction's methods say what."""

from __future__ import annotations

import math
import os
import warnings
from importlib import import_module
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression as Theirs
from sklearn.linear_model import LogisticRegressionCV as TheirsCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.validation import check_is_fitted

from accel_logreg.backends import resolve
from accel_logreg.files.atomic import atomic_write
from accel_logreg.inputs.namespaces import to_numpy

_MOST_ITERATIONS = 10_000  # of lbfgs and saga, which stop long before
_LEAST_TOL = 1e-8  # of theirs, the root of ours: rounding lets neither go further


def to_sklearn(model: Any) -> Any:
    check_is_fitted(model)
    one_vs_rest, coef, b = model.one_vs_rest_, model.dense_coef(), model.intercept_
    class_weight = None if one_vs_rest else model.class_weight
    without = {
        "penalty_factor": model.penalty_factor is not None,
        "positive": model.positive,
        "class_weight with multi_class='ovr'": class_weight is not model.class_weight,
    }
    another = [name for name, used in without.items() if used]
    if another:
        warnings.warn(
            f"scikit-learn has no {' and no '.join(another)}: the exported model predicts as this one does, "
            "but to fit it again would be to solve another problem",
            UserWarning,
            stacklevel=3,
        )
    C = float(np.ravel(model.C_ if hasattr(model, "C_") else model.C)[0])
    l1_ratio = float(np.ravel(model.l1_ratio_ if hasattr(model, "l1_ratio_") else model.l1_ratio)[0])
    theirs = Theirs(
        **_penalty(C, l1_ratio),
        tol=max(math.sqrt(model.tol), _LEAST_TOL),
        max_iter=_MOST_ITERATIONS,
        fit_intercept=model.fit_intercept,
        class_weight=class_weight,
        random_state=model.random_state,
        warm_start=getattr(model, "warm_start", False),
    )
    if not one_vs_rest:
        return _filled(theirs, model, coef, b, model.classes_)
    every = OneVsRestClassifier(theirs)
    every.estimators_ = [
        _filled(clone(theirs), model, coef[k : k + 1], b[k : k + 1], np.arange(2)) for k in range(len(coef))
    ]
    every.label_binarizer_ = LabelBinarizer(sparse_output=True).fit(model.classes_)
    every.classes_ = every.label_binarizer_.classes_ = model.classes_.copy()  # of the dtype that they had
    return _with_features(every, model)


def _penalty(C: float, l1_ratio: float) -> dict[str, Any]:
    """The penalty in the words of the scikit-learn that is installed, and a solver for it."""
    if math.isinf(C):
        l1_ratio = 0.0
    solver = "saga" if l1_ratio else "lbfgs"
    if Theirs().get_params().get("penalty", "deprecated") == "deprecated":  # 1.8 and later
        return {"C": C, "l1_ratio": l1_ratio, "solver": solver}
    if math.isinf(C):
        return {"penalty": None, "solver": solver}
    if 0.0 < l1_ratio < 1.0:
        return {"C": C, "penalty": "elasticnet", "l1_ratio": l1_ratio, "solver": solver}
    return {"C": C, "penalty": "l1" if l1_ratio else "l2", "solver": solver}


def _filled(theirs: Any, model: Any, coef: Any, intercept: Any, classes: Any) -> Any:
    theirs.coef_, theirs.intercept_, theirs.classes_ = coef.copy(), intercept.copy(), classes.copy()
    theirs.n_iter_ = np.array([np.max(model.n_iter_)], dtype=np.int32)
    if issparse(model.coef_):
        theirs.sparsify()
    return _with_features(theirs, model)


def _with_features(theirs: Any, model: Any) -> Any:
    theirs.n_features_in_ = model.n_features_in_
    if hasattr(model, "feature_names_in_"):
        theirs.feature_names_in_ = model.feature_names_in_.copy()
    return theirs


def from_sklearn(cls: Any, theirs: Any, parameters: dict[str, Any]) -> Any:
    searches = "Cs" in cls().get_params()
    if not isinstance(theirs, TheirsCV if searches else (Theirs, TheirsCV)):
        wanted = "LogisticRegressionCV" if searches else "LogisticRegression or LogisticRegressionCV"
        raise TypeError(
            f"{cls.__name__}.from_sklearn takes a sklearn.linear_model.{wanted}, not a "
            f"{type(theirs).__name__}; of a Pipeline pass the last step, pipeline[-1]"
        )
    if theirs.solver == "liblinear" and theirs.fit_intercept:
        warnings.warn(
            "solver='liblinear' penalises the intercept, and no solver here does: a fit with the same "
            "parameters finds another optimum. certified_gap says how far coefficients are from it",
            UserWarning,
            stacklevel=3,
        )
    same = ("fit_intercept", "class_weight", "random_state")
    own = {name: getattr(theirs, name) for name in same} | {"tol": max(theirs.tol, _LEAST_TOL) ** 2}
    if searches:
        return cls(**own | _of_search(theirs) | parameters)
    multi_class = getattr(theirs, "multi_class", "auto")
    own["multi_class"] = multi_class if multi_class in ("ovr", "multinomial") else "auto"
    own |= {"warm_start": getattr(theirs, "warm_start", False)} | _chosen(theirs)
    fitted = hasattr(theirs, "coef_")
    two = fitted and len(theirs.classes_) == 2
    if fitted and not two and theirs.solver == "liblinear":
        own["multi_class"] = "ovr"
    if two and multi_class == "multinomial":
        raise ValueError(
            "multi_class='multinomial' of two classes is a softmax of z and -z, which no model here is; fit "
            "it with multi_class='auto'"
        )
    model = cls(**own | parameters)
    if not fitted:
        return model
    coef: Any = theirs.coef_
    model.coef_ = np.array(getattr(coef, "toarray", lambda: to_numpy(coef))(), dtype=np.float64)
    model.intercept_ = np.zeros(len(model.coef_)) + to_numpy(theirs.intercept_)
    model.classes_ = np.array(to_numpy(theirs.classes_))
    model.one_vs_rest_ = not two and own["multi_class"] == "ovr"
    model.n_iter_ = np.array([np.max(to_numpy(theirs.n_iter_))], dtype=np.int64)
    model.backend_, model.solver_ = resolve(model.backend, None).name, theirs.solver
    model.gap_, model.gap_kind_ = math.nan, "unknown"
    model.history_ = {name: np.empty(0) for name in ("cost", "gradient_norm", "seconds", "reads")}
    if issparse(coef):
        model.sparsify()
    return _with_features(model, theirs)


def _chosen(theirs: Any) -> dict[str, float]:
    """C and l1_ratio of a model that has them, or has chosen them."""
    if isinstance(theirs, TheirsCV) and not hasattr(theirs, "C_"):
        raise ValueError(
            "this LogisticRegressionCV has not been fitted, so that it has no C yet; fit it first, or take "
            "its parameters by accel_logreg.LogisticRegressionCV.from_sklearn"
        )
    C, l1_ratio = (
        (theirs.C_, theirs.l1_ratio_) if isinstance(theirs, TheirsCV) else (theirs.C, theirs.l1_ratio)
    )
    if np.unique(C).size > 1:
        raise ValueError(f"C_={C!r} has another C for each class, and a model here has one for all")
    C, l1_ratio = np.ravel(C)[0], np.ravel(l1_ratio)[0]
    kind = getattr(theirs, "penalty", "deprecated")
    if kind in ("l1", "l2"):
        l1_ratio = float(kind == "l1")
    return {"C": math.inf if kind is None else float(C), "l1_ratio": float(l1_ratio or 0.0)}


def _of_search(theirs: Any) -> dict[str, Any]:
    """The parameters that LogisticRegression does not have; "warn" stands for what is, but will change."""
    said = {name: None if str(value) == "warn" else value for name, value in theirs.get_params(False).items()}
    ratios = {"l2": (0.0,), "l1": (1.0,)}.get(str(said.get("penalty")), said["l1_ratios"])
    legacy = said.get("use_legacy_attributes")
    return {name: said[name] for name in ("Cs", "cv", "scoring", "n_jobs", "refit")} | {
        "l1_ratios": (0.0,) if ratios is None else ratios,
        "use_legacy_attributes": True if legacy is None else legacy,
    }


def _labels(classes: Any) -> Any:
    """Labels that skl2onnx keeps as they are: int64, within what it holds in 32 bits, or strings."""
    strings = all(isinstance(label, str) for label in classes)
    numbers = classes.dtype.kind in "biuf" and np.abs(classes.astype(np.float64)).max() < 2**31
    if not strings and not numbers:
        raise ValueError(
            f"classes_={classes!r}: an ONNX model has labels that are strings, or whole numbers below 2³¹; "
            "fit with such labels, for example y.astype(str)"
        )
    return classes if strings else classes.astype(np.int64)


def to_onnx(
    model: Any, path: str | os.PathLike[str] | None, *, dtype: str, zipmap: bool, target_opset: int | None
) -> Any:
    try:
        skl2onnx, types = import_module("skl2onnx"), import_module("skl2onnx.common.data_types")
    except ImportError as error:
        raise ImportError(
            f'to_onnx needs skl2onnx, which is not here ({error}): pip install "accel_logreg[export]"'
        ) from error
    kinds = {"float32": types.FloatTensorType, "float64": types.DoubleTensorType}
    if dtype not in kinds:
        raise ValueError(
            f"dtype={dtype!r} is unknown; allowed: 'float32', 'float64', of X and of the answers"
        )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "scikit-learn has no ", UserWarning)  # nothing is fitted again
        theirs = to_sklearn(model)
    for one in getattr(theirs, "estimators_", [theirs]):
        one.densify()
    theirs.classes_ = _labels(theirs.classes_)
    converted = skl2onnx.convert_sklearn(
        theirs,
        name="accel_logreg",
        initial_types=[("X", kinds[dtype]([None, model.n_features_in_]))],
        options={id(theirs): {"zipmap": zipmap}},
        target_opset=target_opset,
    )
    if path is not None:
        with atomic_write(path) as file:
            file.write(converted.SerializeToString())
    return converted
