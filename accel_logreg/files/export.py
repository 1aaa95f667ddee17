"""Models as others have them: scikit-learn's own classes, and ONNX. LinearPrediction's methods say what."""

from __future__ import annotations

import math
import os
import warnings
from importlib import import_module
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn import linear_model
from sklearn.base import clone
from sklearn.multiclass import OneVsRestClassifier
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.validation import check_is_fitted

from accel_logreg.files.atomic import atomic_write
from accel_logreg.inputs.namespaces import to_numpy
from accel_logreg.inputs.scikit_names import own_parameters


def _own(kind: Any) -> Any:
    """scikit-learn's class, be it that ``patch_sklearn`` has put ours in its place."""
    return next(base for base in kind.__mro__ if base.__module__.startswith("sklearn."))


Theirs, TheirsCV = _own(linear_model.LogisticRegression), _own(linear_model.LogisticRegressionCV)
_OLD_PENALTY = Theirs().get_params().get("penalty", "deprecated") != "deprecated"  # before 1.8
_MOST_ITERATIONS = 10_000  # of theirs, which stop long before
_LEAST_TOL = 1e-8  # of theirs, the root of ours: rounding lets neither go further


def to_sklearn(model: Any) -> Any:
    check_is_fitted(model)
    W, one_vs_rest = model.weights(), model.one_vs_rest_
    coef, b, classes = np.atleast_2d(W[:-1].T), np.atleast_1d(W[-1]), np.asarray(model.classes_)
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
    theirs = Theirs(
        **_problem(model),
        max_iter=_MOST_ITERATIONS,
        fit_intercept=model.fit_intercept,
        class_weight=class_weight,
        random_state=model.random_state,
        warm_start=getattr(model, "warm_start", False),
    )
    if not one_vs_rest:
        return _filled(theirs, model, coef, b, classes)
    every = OneVsRestClassifier(theirs)
    every.estimators_ = [
        _filled(clone(theirs), model, coef[k : k + 1], b[k : k + 1], np.arange(2)) for k in range(len(coef))
    ]
    every.label_binarizer_ = LabelBinarizer(sparse_output=True).fit(classes)
    every.classes_ = every.label_binarizer_.classes_ = classes.copy()  # of the dtype that they had
    return _with_features(every, model, coef.shape[1])


def _problem(model: Any) -> dict[str, Any]:
    """C, penalty, solver and tol in the words of the scikit-learn that is installed."""
    chosen = {"penalty": "deprecated", "C": 1.0, **model.get_params(deep=False)}
    if hasattr(model, "C_"):  # and an array where the attributes are legacy ones
        C, l1_ratio = float(np.ravel(model.C_)[0]), float(np.ravel(model.l1_ratio_)[0])
        chosen |= {"penalty": "deprecated", "C": C, "l1_ratio": l1_ratio}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that penalty is deprecated is for fit to say
        own = own_parameters(chosen)
    C, l1_ratio = own["C"], 0.0 if math.isinf(own["C"]) else own["l1_ratio"]
    said = {"tol": max(math.sqrt(own["tol"]), _LEAST_TOL), "solver": "saga" if l1_ratio else "lbfgs"}
    if model.solver == "liblinear":
        said |= {"solver": "liblinear", "intercept_scaling": model.intercept_scaling}
    if not _OLD_PENALTY:
        return said | {"C": C, "l1_ratio": l1_ratio}
    if math.isinf(C):
        return said | {"penalty": None}
    if 0.0 < l1_ratio < 1.0:
        return said | {"C": C, "penalty": "elasticnet", "l1_ratio": l1_ratio}
    return said | {"C": C, "penalty": "l1" if l1_ratio else "l2"}


def _filled(theirs: Any, model: Any, coef: Any, intercept: Any, classes: Any) -> Any:
    theirs.coef_, theirs.intercept_, theirs.classes_ = coef.copy(), intercept.copy(), classes.copy()
    theirs.n_iter_ = np.array([np.max(getattr(model, "n_iter_", 0))], dtype=np.int32)
    if issparse(model.coef_):
        theirs.sparsify()
    return _with_features(theirs, model, coef.shape[1])


def _with_features(to: Any, of: Any, n_features: int) -> Any:
    to.n_features_in_ = n_features
    if hasattr(of, "feature_names_in_"):
        to.feature_names_in_ = of.feature_names_in_.copy()
    return to


def from_sklearn(cls: Any, theirs: Any, parameters: dict[str, Any]) -> Any:
    searches = "Cs" in cls().get_params()
    if not isinstance(theirs, TheirsCV if searches else (Theirs, TheirsCV)):
        wanted = "LogisticRegressionCV" if searches else "LogisticRegression or LogisticRegressionCV"
        raise TypeError(
            f"{cls.__name__}.from_sklearn takes a sklearn.linear_model.{wanted}, not a "
            f"{type(theirs).__name__}; of a Pipeline pass the last step, pipeline[-1]"
        )
    same = ("fit_intercept", "class_weight", "random_state")
    own = {name: getattr(theirs, name) for name in same} | {"tol": max(theirs.tol, _LEAST_TOL) ** 2}
    if theirs.solver == "liblinear":
        own |= {"solver": "liblinear", "intercept_scaling": theirs.intercept_scaling}
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
    model.n_iter_ = np.array([np.max(to_numpy(theirs.n_iter_))], dtype=np.int32)
    if issparse(coef):
        model.sparsify()
    return _with_features(model, theirs, model.coef_.shape[1])


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
        initial_types=[("X", kinds[dtype]([None, theirs.n_features_in_]))],
        options={id(theirs): {"zipmap": zipmap}},
        target_opset=target_opset,
    )
    if path is not None:
        with atomic_write(path) as file:
            file.write(converted.SerializeToString())
    return converted
