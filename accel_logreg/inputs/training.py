"""X, y and weights checked once, before any engine sees them; labels encoded."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse
from sklearn.utils import assert_all_finite, column_or_1d
from sklearn.utils.validation import _check_sample_weight, validate_data

from accel_logreg.backends import load_backend
from accel_logreg.inputs.device import check_device_data, device_matrix
from accel_logreg.inputs.labels import encode
from accel_logreg.inputs.namespaces import to_numpy
from accel_logreg.interface.arrays import Csr, Float64, Labels, Matrix, on_gpu
from accel_logreg.interface.device_matrix import DeviceMatrix
from accel_logreg.interface.engine import Engine
from accel_logreg.interface.parted_matrix import PartedMatrix
from accel_logreg.sources import refuse_source

_EXPONENTS = 32
_SMALL = 1_000_000  # entries of X up to which a look at all of them costs nothing that matters


@dataclass(frozen=True)
class TrainingData:
    """X (n, d) float32 or float64, C-contiguous, CSR or on a GPU; y (n,) 0 or 1; weights (n,) or None.

    Where some classes have no weight, ``present`` are the places of those that have, which y then counts
    if there are three or more. The weights were divided by ``weight_unit``, a power of 2 by which the
    largest is of moderate size. ``finite`` is False where X has not been looked at: NaN and infinity reach
    the first pass over it, whose answer they turn into NaN or infinity, and ``check_finite`` then names them.
    Looking first would cost as much as that pass.
    """

    X: Matrix | Csr | DeviceMatrix | PartedMatrix
    y: Labels
    sample_weight: Float64 | None
    classes: NDArray[Any]
    finite: bool = True
    weight_unit: float = 1.0
    present: NDArray[np.intp] | None = None

    @property
    def n_classes(self) -> int:
        """How many classes have weight: y says which of them."""
        return len(self.classes) if self.present is None else len(self.present)

    def check_finite(self) -> None:
        """Raise scikit-learn's ValueError if X has a NaN or an infinity."""
        check_finite(self.X)


def check_finite(X: Matrix | Csr | DeviceMatrix | PartedMatrix, estimator_name: str | None = None) -> None:
    """Raise scikit-learn's ValueError if X has a NaN or an infinity."""
    if isinstance(X, PartedMatrix):
        X.check_finite()
        return
    if isinstance(X, DeviceMatrix):
        row = X.row_that_is_not_finite()
        if row is None:
            return
        X = row
    assert_all_finite(X.data if isinstance(X, Csr) else X, input_name="X", estimator_name=estimator_name)


def check_training_data(
    estimator: Any,
    backend: Engine,
    X: Any,
    y: Any,
    sample_weight: Any,
    class_weight: Any,
    *,
    least_classes: int = 2,
) -> TrainingData:
    """Validate with scikit-learn's own checks and encode the labels.

    ``least_classes`` have to have weight, 1 or 2; of labels y has two in any case.

    Sets ``n_features_in_`` and ``feature_names_in_`` on the estimator. X may lie on a GPU if ``backend``
    reads it there; y and the weights may lie on one in any case.

    Raises
    ------
    ValueError
        NaN, infinity, empty, wrong shapes, one class, continuous labels,
        negative, all-zero or non-finite weights, fewer classes with weight than ``least_classes``.
    TypeError
        X lies on a GPU and the engine reads host memory, or is of a dtype that is not read there.
    """
    if isinstance(X, PartedMatrix):
        return _parted(estimator, X, y, sample_weight, class_weight, least_classes)
    refuse_source(X, type(estimator).__name__)
    y, sample_weight = to_numpy(y), to_numpy(sample_weight)
    X = X if on_gpu(X) else to_numpy(X)
    shape: tuple[int, ...] = getattr(y, "shape", ())
    if len(shape) == 2 and shape[1] > 1:
        raise ValueError(
            f"y should be a 1d array, got an array of shape {shape} instead: one label a row. For several "
            "labels a row use sklearn.multioutput.MultiOutputClassifier(LogisticRegression()); a one-hot "
            "matrix is y.argmax(axis=1)"
        )
    finite = True
    if on_gpu(X):
        X, y = check_device_data(estimator, backend, X, y)
        finite = False
    elif _is_plain(X, y):
        estimator.n_features_in_ = X.shape[1]
        if hasattr(estimator, "feature_names_in_"):  # of an earlier fit
            del estimator.feature_names_in_
        finite = X.size <= _SMALL and _surely_finite(X)
        if X.size <= _SMALL and not finite:
            with np.errstate(invalid="ignore"):  # sums of both signs may overflow to infinity minus itself
                assert_all_finite(X, input_name="X", estimator_name=type(estimator).__name__)
            finite = True
    else:
        X, y = validate_data(
            estimator,
            X,
            y,
            dtype=[np.float64, np.float32],
            order="C",
            ensure_min_samples=2,
            accept_sparse="csr",
            accept_large_sparse=True,
        )
        if issparse(X):
            X = _canonical(X)
    return _with_labels(X, y, sample_weight, class_weight, least_classes, finite=finite)


def _parted(
    estimator: Any, X: PartedMatrix, y: Any, sample_weight: Any, class_weight: Any, least_classes: int
) -> TrainingData:
    """The same for X in parts, which is not looked at."""
    n, d = X.shape
    if y is None:
        raise ValueError(
            f"{type(estimator).__name__} requires y to be passed, but the target y is None: an array, the "
            "path of a .npy file, or of tables a column by name"
        )
    y = column_or_1d(to_numpy(y))
    if len(y) != n:
        raise ValueError(f"{X.where} has {n} rows, and y has {len(y)}")
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        raise ValueError(f"Input y contains NaN or infinity: y[{int(np.argmin(np.isfinite(y)))}]")
    if n < 2:
        raise ValueError(f"{X.where} has {n} row; 2 are needed to fit")
    estimator.n_features_in_ = d
    if X.names is not None:
        estimator.feature_names_in_ = X.names
    elif hasattr(estimator, "feature_names_in_"):  # of an earlier fit
        del estimator.feature_names_in_
    return _with_labels(X, y, sample_weight, class_weight, least_classes, finite=False)


def _with_labels(
    X: Any, y: NDArray[Any], sample_weight: Any, class_weight: Any, least_classes: int, *, finite: bool
) -> TrainingData:
    classes, codes = encode(y)
    s = _weights(codes, sample_weight, class_weight, classes)
    unit = 1.0 if s is None else _unit_of(s)
    s = s if s is None or unit == 1.0 else s / unit
    present = None
    if s is not None:
        codes, present = _of_weight(codes, s, classes, least_classes)
    return TrainingData(X, codes, s, classes, finite, unit, present)


def _of_weight(
    codes: Labels, s: Float64, classes: NDArray[Any], least: int
) -> tuple[Labels, NDArray[np.intp] | None]:
    """Codes of the classes that have weight, and which these are; None where all have.

    The codes of two classes stay what they are.
    """
    K = len(classes)
    with_weight = np.bincount(codes, weights=s, minlength=K) > 0.0
    present = np.flatnonzero(with_weight)
    if len(present) < least:
        none = ", ".join(map(repr, classes[~with_weight].tolist()))
        raise ValueError(
            f"the rows of class {none} have a total weight of zero, so y has only one class left; "
            "give them positive sample and class weights, or drop the class"
        )
    if len(present) == K:
        return codes, None
    if K == 2:
        return codes, present
    renamed = np.zeros(K, dtype=codes.dtype)
    renamed[present] = np.arange(len(present))
    return renamed[codes], present


def _is_plain(X: Any, y: Any) -> bool:
    """Whether X and y are arrays as the engines take them, so that nothing needs converting."""
    return (
        type(X) is np.ndarray
        and type(y) is np.ndarray
        and X.ndim == 2
        and X.dtype in (np.float64, np.float32)
        and X.flags.c_contiguous
        and X.shape[0] >= 2
        and X.shape[1] >= 1
        and y.shape == X.shape[:1]
        and (y.dtype.kind in "biu" or (y.dtype.kind == "f" and math.isfinite(np.add.reduce(y))))
    )


def _surely_finite(X: Matrix) -> bool:
    """Whether Σ xᵢⱼ is finite; where it is not, X may still be finite but large."""
    with np.errstate(over="ignore", invalid="ignore"):
        return math.isfinite(np.add.reduce(X.ravel()))


def _canonical(X: Any) -> Csr:
    """A scipy.sparse CSR matrix with sorted indices, each once a row; the caller's is left alone."""
    if not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    return Csr(X.data, X.indices, X.indptr, X.shape)


def _weights(
    codes: Labels,
    sample_weight: ArrayLike | None,
    class_weight: Any,
    classes: NDArray[Any],
) -> Float64 | None:
    """Sample weights times class weights, or None where they are all one."""
    if sample_weight is None and class_weight is None:
        return None
    s: Float64 = _check_sample_weight(sample_weight, codes, dtype=np.float64, copy=True)
    if (s < 0).any():
        row = int(np.argmax(s < 0))
        raise ValueError(f"sample_weight[{row}]={float(s[row])!r} is negative; weights must be 0 or above")
    if not s.any():
        raise ValueError(
            "all sample weights are zero; at least one row of each class needs a positive weight"
        )
    s *= _class_weights(class_weight, classes, codes, s)[codes]
    with np.errstate(over="ignore"):
        total = float(s.sum())
    if not np.isfinite(total):
        raise ValueError(
            f"the sample weights, times the class weights, reach {float(s.max())!r} and add up to more than "
            "float64 holds; divide them by their largest and multiply C by it"
        )
    return s


def _unit_of(s: Float64) -> float:
    """1, or the power of 2 at the largest weight where that is far from 1: float32 has to hold it."""
    exponent = int(np.frexp(s.max())[1])
    return 1.0 if abs(exponent) <= _EXPONENTS else float(np.ldexp(1.0, exponent))


def _class_weights(class_weight: Any, classes: NDArray[Any], codes: Labels, s: Float64) -> Float64:
    """One weight a class, (K,). "balanced": S / (K Sₖ) with Sₖ the sample weights of class k."""
    K = len(classes)
    if class_weight is None:
        return np.ones(K)
    if isinstance(class_weight, Mapping):
        labels = classes.tolist()
        unknown = [key for key in class_weight if key not in labels]
        missing = [label for label in labels if label not in class_weight]
        if (
            unknown and missing
        ):  # the names of classes that are absent, as from a part of the rows, do no harm
            raise ValueError(
                f"class_weight names {unknown!r}, which y does not have, and not {missing!r}, which it "
                f"has; its classes are {labels!r}"
            )
        weights = np.array([float(class_weight.get(label, 1.0)) for label in labels])
        if not (np.isfinite(weights) & (weights >= 0)).all():
            raise ValueError(f"class_weight={dict(class_weight)!r} must hold finite weights of 0 or above")
        return weights
    sums = np.bincount(codes, weights=s, minlength=K)
    # A class without weight is named by the caller; it must not become 0/0 here.
    return np.asarray(s.sum() / (K * np.where(sums > 0, sums, 1.0)), dtype=np.float64)


def check_device_prediction_data(estimator: Any, X: Any) -> DeviceMatrix:
    """Validate X (m, d), which lies on a GPU and stays there, whatever engine fitted the estimator."""
    matrix = device_matrix(estimator, load_backend("cupy"), X, least_rows=1)
    validate_data(estimator, matrix, reset=False, skip_check_array=True)
    return matrix


def check_prediction_data(estimator: Any, X: Any) -> Matrix | Csr:
    """Validate X (m, d) on the host against the fitted estimator.

    What is as an engine takes it is not looked at ten ways, for services ask for a row at a time; nor for NaN
    and infinity, which would take as long as to predict: they show in the logits.
    """
    if (
        type(X) is np.ndarray
        and X.ndim == 2
        and X.dtype in (np.float64, np.float32)
        and X.flags.c_contiguous
        and X.shape[0] > 0
        and X.shape[1] == getattr(estimator, "n_features_in_", None)
        and not hasattr(estimator, "feature_names_in_")
    ):
        plain: Matrix = X
        return plain
    checked = validate_data(
        estimator,
        X,
        reset=False,
        dtype=[np.float64, np.float32],
        order="C",
        accept_sparse="csr",
        accept_large_sparse=True,
    )
    if issparse(checked):
        return _canonical(checked)
    dense: Matrix = checked
    return dense
