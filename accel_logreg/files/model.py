"""A fitted model in a file: JSON to read by eye, NPZ to read fast. Loading one runs no code from it.

Both hold the same two things. The header: format, version, parameters, fitted scalars, metadata. The
arrays: coefficients, intercept, classes, iterations, history. Floats come back bit for bit: NPZ holds
their bytes, and JSON the shortest decimal that rounds to them.
"""

from __future__ import annotations

import json
import math
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from accel_logreg.estimator import LogisticRegression
from accel_logreg.files.atomic import atomic_write, is_stream
from accel_logreg.files.checks import open_npz
from accel_logreg.files.preparation import as_they_are, from_state, to_state

SUFFIXES = (".json", ".npz")
FORMAT = "accel_logreg model"
# 2: any number of classes; 3: penalties of each feature's own; 4: scikit-learn's names; 5: prepared columns;
# 6: spool
FORMAT_VERSION = 6
# What earlier versions lack, as what they hold was fitted: parameters, and scalars.
_SINCE: dict[int, tuple[dict[str, Any], dict[str, Any]]] = {
    2: ({"multi_class": "auto", "max_memory": None}, {"one_vs_rest_": False}),
    3: ({"penalty_factor": None, "positive": False}, {}),
    4: ({"penalty": "deprecated", "dual": False, "intercept_scaling": 1.0, "n_jobs": None}, {}),
    5: ({}, {}),  # "preparation" in the header, where there is one
    6: ({"spool": None}, {}),
}
# What a model lacks whose coefficients were not fitted here: set by hand, or from scikit-learn.
_BY_HAND: dict[str, Any] = {
    "backend_": "numpy", "solver_": "unknown", "gap_": math.nan, "gap_kind_": "unknown", "history_": {},
    "n_iter_": np.zeros(1, dtype=np.int32),
}  # fmt: skip

_SCALARS = ("n_features_in_", "one_vs_rest_", "backend_", "solver_", "gap_", "gap_kind_")
_ARRAYS = ("coef_", "intercept_", "classes_", "n_iter_")
_HISTORY = "history_."
_REMEDY = "save the model again"


class ModelFileError(ValueError):
    """A file is not a usable model; the message names what is wrong and the remedy."""


def save_model(
    model: LogisticRegression,
    path: str | os.PathLike[str],
    *,
    metadata: dict[str, Any] | None = None,
    preparation: ColumnTransformer | None = None,
) -> None:
    """Write a fitted model to ``path``, whole or not at all; an existing file is replaced.

    Parameters
    ----------
    model : fitted LogisticRegression
        One whose coefficients were set by hand, or came from scikit-learn, gets a ``gap_`` of NaN.
    path : path ending in .json or .npz
        JSON as well for what is no regular file, such as /dev/stdout or a named pipe: it is written to.
    metadata : dict of what JSON can hold, or None
        Kept beside the model and given back by ``read_model_file``.
    preparation : fitted ColumnTransformer that ``accel-logreg train`` made, or None
        What makes the model's features of a table's columns; ``load_pipeline`` gives both.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        The model has not been fitted.
    ValueError
        Another suffix; classes or a parameter that a file cannot hold; shapes that do not agree.
    TypeError
        Not a LogisticRegression, as LogisticRegressionCV is not, or metadata that JSON cannot hold.
    OSError
        The file cannot be written.

    Warns
    -----
    UserWarning
        ``random_state`` is a generator: the file holds None instead. Predictions do not depend on it.
    """
    if not isinstance(model, LogisticRegression):
        raise TypeError(f"save_model writes an accel_logreg.LogisticRegression, not a {type(model).__name__}")
    if own := set(model.get_params(deep=False)) - set(LogisticRegression().get_params(deep=False)):
        raise TypeError(
            f"a model file holds a LogisticRegression, and {type(model).__name__} has parameters of its own "
            f"({', '.join(sorted(own))}); save LogisticRegression(C=…).fit(X, y) with the C that was chosen"
        )
    check_is_fitted(model)
    path = Path(path)
    suffix = _suffix(path)
    W = model.weights()
    state = {"n_features_in_": len(W) - 1, "one_vs_rest_": False} | _BY_HAND | vars(model)
    header = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "params": _params(model),
        "fitted": {name: encode(state[name]) for name in _SCALARS},
        "metadata": {} if metadata is None else metadata,
    }
    if preparation is not None:
        header["preparation"] = to_state(preparation)
    arrays = {name: np.asarray(state[name]) for name in ("classes_", "n_iter_")}
    arrays |= {"coef_": np.atleast_2d(W[:-1].T), "intercept_": np.atleast_1d(W[-1])}
    arrays |= {_HISTORY + key: np.asarray(values) for key, values in state["history_"].items()}
    if hasattr(model, "feature_names_in_"):
        arrays["feature_names_in_"] = model.feature_names_in_
    header["object_arrays"] = [name for name, array in arrays.items() if array.dtype == object]
    plain = {name: _without_objects(name, array) for name, array in arrays.items()}
    if suffix == ".json":
        header["arrays"] = {name: encode_array(array) for name, array in plain.items()}
    text = json.dumps(header, indent=1, allow_nan=False, ensure_ascii=False)
    with atomic_write(path) as file:
        if suffix == ".json":
            file.write(text.encode())
        else:
            np.savez(file, allow_pickle=False, header=np.array(text), **plain)


def load_model(path: str | os.PathLike[str]) -> LogisticRegression:
    """The model in a file that ``save_model`` wrote; it predicts bit for bit what the saved one did.

    Raises
    ------
    ModelFileError
        The file is truncated, foreign, of a newer version, incomplete or inconsistent.
    OSError
        The file cannot be read.

    Warns
    -----
    UserWarning
        The model was trained on prepared columns, which are what it takes; see ``load_pipeline``.
    """
    model, _, preparation = read_model_file(path)
    if preparation is not None:
        warnings.warn(
            f"the model in {path} takes columns that were prepared (filled in, standardized, one-hot): "
            "accel_logreg.load_pipeline gives it with what prepares them",
            stacklevel=2,
        )
    return model


def load_pipeline(path: str | os.PathLike[str]) -> Pipeline:
    """What ``accel-logreg train`` made of a table, as scikit-learn's Pipeline.

    Its steps are "columns", a fitted ColumnTransformer that finds the columns by name and prepares them, and
    "model". It takes what scikit-learn takes for a table: a frame of pandas or polars, or a PyArrow table. Of
    a model of arrays the first step is left out. Raises as ``load_model`` does; ImportError where PyArrow, of
    the extra "lab", is missing and there are columns.
    """
    model, metadata, preparation = read_model_file(path)
    if preparation is None and metadata.get("features"):
        preparation = from_state(as_they_are(metadata["features"]))
    steps: list[tuple[str, Any]] = [] if preparation is None else [("columns", preparation)]
    return Pipeline([*steps, ("model", model)])


def read_model_file(
    path: str | os.PathLike[str],
) -> tuple[LogisticRegression, dict[str, Any], ColumnTransformer | None]:
    """What was given to ``save_model``: model, metadata and preparation; raises as ``load_model`` does."""
    path = Path(path)
    suffix = _suffix(path)
    try:
        header, arrays = _read_json(path) if suffix == ".json" else _read_npz(path)
        model, stored = _rebuild(header, arrays), header.get("preparation")
        preparation = None if stored is None else from_state(stored)
        if preparation is not None and len(preparation.get_feature_names_out()) != model.n_features_in_:
            raise ValueError("the preparation does not give the features that the model takes")
        return model, header["metadata"], preparation
    except ModelFileError:
        raise
    except KeyError as error:
        raise ModelFileError(f"{path} lacks {error.args[0]!r}; {_REMEDY}") from error
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise ModelFileError(f"{path} is inconsistent: {error}; {_REMEDY}") from error


def _suffix(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES and is_stream(path):
        return ".json"
    if suffix not in SUFFIXES:
        raise ModelFileError(f"{path}: a model file ends in {' or '.join(SUFFIXES)}, not in {suffix!r}")
    return suffix


def _params(model: LogisticRegression) -> dict[str, Any]:
    params = model.get_params(deep=False)
    if not isinstance(params["random_state"], int | np.integer | None):
        warnings.warn(
            f"random_state={params['random_state']!r} cannot be written to a model file; "
            "the loaded model has random_state=None, which changes no prediction",
            stacklevel=3,
        )
        params["random_state"] = None
    return {name: encode(value) for name, value in params.items()}


def _without_objects(name: str, array: NDArray[Any]) -> NDArray[Any]:
    """An object array of strings as fixed-width strings; the header remembers which ones were objects."""
    if array.dtype != object:
        return array
    strange = {type(value).__name__ for value in array if not isinstance(value, str)}
    if strange:
        raise ValueError(
            f"{name} holds Python objects of type {', '.join(sorted(strange))}; "
            "a model file takes strings, numbers or booleans: fit with such labels"
        )
    return array.astype(np.str_)


def _read_json(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    try:
        header = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{path} is not JSON, or it is cut short: {error}; {_REMEDY}") from error
    _check_format(path, header)
    return header, {name: decode_array(stored) for name, stored in header["arrays"].items()}


def _read_npz(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    with open_npz(path, ModelFileError, _REMEDY) as stored:
        try:
            header: Any = json.loads(str(stored["header"])) if "header" in stored.files else None
            _check_format(path, header)
            return header, {name: stored[name] for name in stored.files if name != "header"}
        except ModelFileError:
            raise
        except (ValueError, RecursionError) as error:  # an array of Python objects, or a header of no JSON
            raise ModelFileError(f"{path} is damaged: {error}; {_REMEDY}") from error


def _check_format(path: Path, header: Any) -> None:
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise ModelFileError(f"{path} is not an accel_logreg model; name a file that save_model wrote")
    version = header.get("format_version")
    if not isinstance(version, int) or version < 1:
        raise ModelFileError(f"{path} has format_version={version!r}, not a positive integer; {_REMEDY}")
    if version > FORMAT_VERSION:
        raise ModelFileError(
            f"{path} has format version {version}, and this accel_logreg reads up to {FORMAT_VERSION}; "
            "upgrade it: pip install --upgrade accel_logreg"
        )


def _rebuild(header: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> LogisticRegression:
    """A fitted model from the two parts; KeyError, TypeError or ValueError if they do not fit together."""
    params = {name: decode(value) for name, value in header["params"].items()}
    stored = header["fitted"]
    for version, (more_params, more_stored) in _SINCE.items():
        if header["format_version"] < version:
            params, stored = more_params | params, more_stored | stored
    for name in LogisticRegression().get_params(deep=False):
        if name not in params:  # its default need not be what the model was fitted with
            raise KeyError(name)
    model = LogisticRegression(**params)
    fitted = {name: decode(stored[name]) for name in _SCALARS}
    fitted |= {name: arrays[name] for name in _ARRAYS}
    if "feature_names_in_" in arrays:
        fitted["feature_names_in_"] = arrays["feature_names_in_"]
    for name in header["object_arrays"]:
        fitted[name] = fitted[name].astype(object)
    fitted["history_"] = {
        name.removeprefix(_HISTORY): array for name, array in arrays.items() if name.startswith(_HISTORY)
    }
    _check_fitted(fitted)
    if not isinstance(header["metadata"], dict):
        raise TypeError(f"metadata is {header['metadata']!r} instead of a dict")
    for name, value in fitted.items():
        setattr(model, name, value)
    return model


def _check_fitted(fitted: dict[str, Any]) -> None:
    d, K = fitted["n_features_in_"], fitted["classes_"].size
    if K < 2:
        raise ValueError(f"classes_ holds {K} classes instead of two or more")
    columns = 1 if K == 2 else K
    shapes = {"coef_": (columns, d), "intercept_": (columns,), "classes_": (K,), "n_iter_": (1,)}
    if "feature_names_in_" in fitted:
        shapes["feature_names_in_"] = (d,)
    for name, shape in shapes.items():
        if fitted[name].shape != shape:
            raise ValueError(f"{name} has shape {fitted[name].shape} instead of {shape}")
    b = fitted["intercept_"]
    # A class without weight has an intercept of minus infinity; of two, infinity speaks for the other one.
    of_weight = b[b != -np.inf] if K > 2 and (b != -np.inf).any() else b[np.abs(b) != np.inf] if K == 2 else b
    for name, numbers in (("coef_", fitted["coef_"]), ("intercept_", of_weight)):
        if numbers.dtype.kind != "f" or not np.isfinite(numbers).all():
            raise ValueError(f"{name} holds something else than finite floating-point numbers")


# ---- Python values and arrays ↔ what strict JSON can hold ------------------------------------------------

KINDS = "biufU"  # bool, integers, floats, fixed-width strings: nothing that would need a pickle


def encode(value: Any) -> Any:
    """A scalar, a dict of scalars or a list of them, as JSON.

    JSON has neither infinities nor keys that are not strings: C=inf becomes {"float": "inf"}, and a
    dict such as class_weight becomes {"pairs": [[key, value], …]}. penalty_factor becomes {"list": […]}.

    Raises
    ------
    ValueError
        Anything else.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}
    if isinstance(value, (list, tuple, np.ndarray)):
        return {"list": [encode(item) for item in value]}
    if isinstance(value, dict):
        return {"pairs": [[encode(key), encode(item)] for key, item in value.items()]}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ValueError(f"a model file cannot hold {value!r} of type {type(value).__name__}")


def decode(value: Any) -> Any:
    """The inverse of ``encode``; ValueError for what it never writes."""
    if isinstance(value, dict):
        match value:
            case {"float": str(text)} if len(value) == 1:
                return float(text)
            case {"list": list(items)} if len(value) == 1:
                return [decode(item) for item in items]
            case {"pairs": list(pairs)} if len(value) == 1:
                return {decode(key): decode(item) for key, item in pairs}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ValueError(f"{value!r} is not a value of a model file")


def encode_array(array: NDArray[Any]) -> dict[str, Any]:
    """dtype, shape and the values in C order."""
    return {
        "dtype": array.dtype.str,
        "shape": list(array.shape),
        "values": [encode(value) for value in array.ravel().tolist()],
    }


def decode_array(stored: Any) -> NDArray[Any]:
    """The inverse of ``encode_array``; KeyError, TypeError or ValueError for what it never writes."""
    dtype = np.dtype(stored["dtype"])
    if dtype.kind not in KINDS:
        raise ValueError(f"dtype {stored['dtype']!r} is not allowed")
    values = [decode(value) for value in stored["values"]]
    return np.array(values, dtype=dtype).reshape(stored["shape"])
