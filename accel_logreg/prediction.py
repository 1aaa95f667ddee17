"""What a fitted classifier says of new rows; for X on a GPU it is said there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from importlib import import_module
from os import PathLike
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, issparse
from scipy.special import expit, log_expit
from sklearn.utils.validation import check_is_fitted

from accel_logreg.backends import BackendUnavailableError, load_backend
from accel_logreg.inputs.namespaces import like, namespace_of, to_numpy
from accel_logreg.inputs.training import check_device_prediction_data, check_finite, check_prediction_data
from accel_logreg.interface.arrays import Csr, Float64, Matrix, on_gpu
from accel_logreg.interface.device_matrix import Scores
from accel_logreg.interface.engine import Engine
from accel_logreg.sources import is_dask, is_source, open_source, source_of

# Of host X: NumPy reads float32 at a fraction of what a bus carries, as it widens it first. Reckoned, not
# measured.
WORTH_THE_BUS = 64 << 20
FEW_ENTRIES = 1 << 16  # of X, which no engine's threads and no BLAS's share out: no bound is set


Bound = Callable[[], AbstractContextManager[object]]  # on threads, while an engine answers


class LinearPrediction:
    """The methods of LogisticRegression that predict, from what ``fit`` has set."""

    coef_: Any  # (1, d) or (K, d): an array, or sparse
    intercept_: Float64
    classes_: NDArray[Any]
    backend_: str
    n_threads: int | None
    one_vs_rest_ = False  # whether each class has a sigmoid of its own, where there are three or more

    @property
    def n_nonzero_(self) -> int:
        """Features with a coefficient that is not 0, of any class."""
        return len(_used(self.coef_))

    def sparsify(self) -> Self:
        """Make ``coef_`` a scipy.sparse CSR matrix: what is 0 takes no memory, in a pickle neither.

        Of dense X (m, d) on the host, predictions then read the columns with a coefficient alone: whether
        there is a NaN in another is not looked at.
        """
        check_is_fitted(self)
        self.coef_ = csr_matrix(self.coef_)
        return self

    def densify(self) -> Self:
        """Make ``coef_`` an array again, as ``fit`` makes it."""
        check_is_fitted(self)
        self.coef_ = self.dense_coef()
        return self

    def dense_coef(self) -> Float64:
        """``coef_`` as an array, (1, d) or (K, d) float64, be it sparse, a list, or one row as (d,)."""
        coef = getattr(self.coef_, "toarray", lambda: self.coef_)()
        return np.atleast_2d(np.asarray(to_numpy(coef), dtype=np.float64))

    def weights(self) -> Float64:
        """W (d + 1,), or (d + 1, K) for K ≥ 3 classes, the intercepts last.

        ``coef_``, ``intercept_`` and ``classes_`` may have been set by hand: loaded, averaged, received.

        Raises
        ------
        ValueError
            Their shapes do not agree.
        """
        coef = self.dense_coef()
        two = len(coef) == 1
        intercept = np.ravel(to_numpy(self.intercept_))
        K, n_classes = len(coef), len(self.classes_)
        if coef.ndim != 2 or len(intercept) not in (1, K) or n_classes != (2 if two else K):
            raise ValueError(
                f"coef_ has shape {np.shape(self.coef_)}, intercept_ {np.shape(self.intercept_)} and "
                f"classes_ ({n_classes},), which do not agree. They must be (1, d), (1,) and (2,), or "
                "(K, d), (K,) and (K,) for K >= 3 classes"
            )
        if two:
            return np.append(coef[0], intercept)
        return np.vstack([coef.T, np.broadcast_to(intercept, K)])

    def decision_function(self, X: Any) -> Any:
        """z = X w + b for X (m, d): (m,) float64, positive for ``classes_[1]``; (m, K) for K ≥ 3 classes.

        The answer lives where X lives, here and below: an X on a GPU is read there, whichever engine
        fitted, and is answered by a torch tensor if it is one, else by a CuPy array. Where scikit-learn's
        ``array_api_dispatch`` is on, an X of another library on the host is answered in kind, in X's dtype.
        """
        return self._answer(X, lambda scores: scores.decision())

    def predict_proba(self, X: Any) -> Any:
        """Probability of each class, in the order of ``classes_``: (m, K) float64, where X lives.

        For three and more classes a softmax; of a model that was fitted one class against the rest, each
        class's sigmoid over the sum of all.
        """
        return self._answer(X, lambda scores: scores.probabilities(logarithm=False))

    def predict_log_proba(self, X: Any) -> Any:
        """Logarithm of ``predict_proba``, finite where the probability rounds to 0: (m, K) float64."""
        return self._answer(X, lambda scores: scores.probabilities(logarithm=True))

    def predict(self, X: Any) -> Any:
        """The more probable class of each row: (m,), labels from ``classes_``.

        Numbers and booleans live where X lives; strings and other objects, which a GPU does not know, come
        as a NumPy array.
        """
        return self._answer(X, lambda scores: scores.labels(np.asarray(self.classes_)))

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Accuracy of ``predict(X)`` against y (m,), with weights (m,) or None; each may lie on a GPU.

        Of X in parts, with y and weights as ``fit`` takes them: one read.
        """
        if is_source(X):
            return self._score_in_parts(X, y, sample_weight)
        predicted, y, s = to_numpy(self.predict(X)), to_numpy(y), to_numpy(sample_weight)
        plain = s is None and type(y) is np.ndarray and y.shape == predicted.shape and len(y) > 0
        if plain and y.dtype == predicted.dtype and y.dtype.kind in "iub":  # nothing that is to be looked at
            return float((y == predicted).mean())
        from sklearn.metrics import accuracy_score  # heavy, and seldom needed

        return float(accuracy_score(y, predicted, sample_weight=s))

    def _score_in_parts(self, X: Any, y: Any, sample_weight: Any) -> float:
        check_is_fitted(self)
        if is_dask(X):
            from sklearn.metrics import accuracy_score

            given = y, self.predict(X), sample_weight
            of = [values.compute() if is_dask(values) else values for values in given]
            return float(accuracy_score(of[0], of[1], sample_weight=of[2]))
        sourced = open_source(X, y, sample_weight, names=getattr(self, "feature_names_in_", None))
        assert sourced is not None
        y, s, first, right, total = sourced.y, sourced.sample_weight, 0, 0.0, 0.0
        if y is None or len(y) != sourced.X.shape[0]:
            has = "is None" if y is None else f"has {len(y)} labels"
            raise ValueError(f"y {has}; {sourced.X.where} has {sourced.X.shape[0]} rows")
        for part in sourced.X.through():
            rows = slice(first, first + part.shape[0])
            first = rows.stop
            weights = np.ones(part.shape[0]) if s is None else np.asarray(s[rows], dtype=np.float64)
            labels = self._host_scores(part).labels(np.asarray(self.classes_))
            right += float(weights @ (labels == np.asarray(y[rows])))
            total += float(weights.sum())
        return right / total

    def to_sklearn(self) -> Any:
        """A fitted scikit-learn model of the same predictions, which knows nothing of this package.

        A ``sklearn.linear_model.LogisticRegression``; where there is a sigmoid for each of three and more
        classes, a ``sklearn.multiclass.OneVsRestClassifier`` of them. Its parameters say the same problem,
        so that it can be cloned and fitted again: ``solver`` is lbfgs, saga with ``l1_ratio`` above 0, or
        liblinear where it is; ``tol``, there of the gradient, is the root of ours, and ``max_iter`` 10,000. A
        LogisticRegressionCV becomes a LogisticRegression with the C and the l1_ratio that were chosen.

        Warns
        -----
        UserWarning
            scikit-learn has no parameter for ``penalty_factor``, ``positive``, or weights of K classes in
            problems of one against the rest: the predictions are the same, another fit would not be.

        Raises
        ------
        sklearn.exceptions.NotFittedError
        ValueError
            ``coef_``, ``intercept_`` and ``classes_`` were set by hand, and their shapes do not agree.
        """
        return _export().to_sklearn(self)

    @classmethod
    def from_sklearn(cls, model: Any, **parameters: Any) -> Self:
        """The model that a scikit-learn LogisticRegression or LogisticRegressionCV is, fitted or not.

        What is fitted is copied, coefficients as float64. There is no ``gap_``, for which ``certified_gap(X,
        y, model.coef_, model.intercept_, C=model.C)`` is the judge: of the problem without a penalty on the
        intercept, which is not liblinear's. Of the parameters those that say the problem are taken;
        ``solver`` is "auto" or "liblinear", and ``tol``, which there is of the gradient, is squared.

        Parameters
        ----------
        model : sklearn.linear_model.LogisticRegression or LogisticRegressionCV
            A fitted LogisticRegressionCV counts as a LogisticRegression with the C that it chose.
            ``LogisticRegressionCV.from_sklearn`` takes a LogisticRegressionCV, and its parameters alone.
        **parameters
            In place of what ``model`` has, or of defaults: ``backend="numpy"``.

        Raises
        ------
        TypeError
            Another kind of model.
        ValueError
            A LogisticRegressionCV that has chosen no C, or one for each class; a softmax of two classes.
        """
        found: Self = _export().from_sklearn(cls, model, parameters)
        return found

    def to_onnx(
        self,
        path: str | PathLike[str] | None = None,
        *,
        dtype: Literal["float32", "float64"] = "float32",
        zipmap: bool = False,
        target_opset: int | None = None,
    ) -> Any:
        """The fitted model as an ONNX graph, by skl2onnx (``pip install "accel_logreg[export]"``).

        Its input is ``X``, (m, d) of ``dtype``; its outputs are ``label``, (m,) int64 or strings, and
        ``probabilities``, (m, K) of ``dtype``. In float32 it computes in float32.

        Parameters
        ----------
        path : path or None
            Where to write it as well, whole or not at all; an existing file is replaced.
        dtype : {"float32", "float64"}
        zipmap : bool
            Whether ``output_probability`` takes the place of ``probabilities``: a dict {label: probability}
            a row.
        target_opset : int or None
            The ONNX operator set to keep to, for older runtimes; None is the newest that skl2onnx knows.

        Returns
        -------
        onnx.ModelProto

        Raises
        ------
        ImportError
            skl2onnx is not installed, or cannot be imported.
        sklearn.exceptions.NotFittedError
        ValueError
            Another dtype, or labels that are neither strings nor whole numbers.
        OSError
            ``path`` cannot be written.
        """
        return _export().to_onnx(self, path, dtype=dtype, zipmap=zipmap, target_opset=target_opset)

    def _answer(self, X: Any, of: Callable[[Scores], Any]) -> Any:
        """For X in an array or on a GPU at once, for a source part by part, for Dask's lazily."""
        if not is_source(X):
            return of(self._scores(X))
        check_is_fitted(self)
        if not is_dask(X):
            return map(of, self._scores_in_parts(X))
        from accel_logreg.sources.dask_collections import lazily

        names, K = getattr(self, "feature_names_in_", None), len(self.classes_)
        none = self._of_logits(np.empty(0 if K == 2 else (0, K)), load_backend("numpy"), nullcontext)
        return lazily(X, names, lambda part: of(self._host_scores(part)), of(none))

    def _scores_in_parts(self, X: Any) -> Iterator[Scores]:
        source = source_of(X, getattr(self, "feature_names_in_", None))
        if source is not None:
            yield from map(self._host_scores, source.through())
            return
        for batch in X:
            yield self._scores(batch[0] if isinstance(batch, (tuple, list)) else batch)

    def _scores(self, X: Any) -> Scores:
        xp = None if type(X) is np.ndarray else namespace_of(X)
        if xp is not None:
            return ScoresLike(self._scores(to_numpy(X)), X, xp)
        if not hasattr(self, "coef_"):
            check_is_fitted(self)
        W = self.weights()
        if on_gpu(X):
            matrix = check_device_prediction_data(self, X)
            scores = matrix.scores(W, one_vs_rest=self.one_vs_rest_)
            if not scores.finite:
                check_finite(matrix, type(self).__name__)
            return scores
        return self._host_scores(check_prediction_data(self, X))

    def _host_scores(self, checked: Matrix | Csr) -> Scores:
        W = self.weights()
        if checked.shape[1] != len(W) - 1:
            raise ValueError(
                f"X has {checked.shape[1]} features, but {type(self).__name__} is expecting {len(W) - 1} "
                "features as input"
            )
        if issparse(self.coef_) and isinstance(checked, np.ndarray):
            used = _used(self.coef_)
            narrow: Any = np.ascontiguousarray(checked[:, used])
            checked, W = narrow, W[np.append(used, len(W) - 1)]
        engine = self._prediction_engine(checked)
        few = (checked.data.size if isinstance(checked, Csr) else checked.size) <= FEW_ENTRIES
        bound = nullcontext if few else partial(engine.threads, self.n_threads)
        with bound(), np.errstate(invalid="ignore", over="ignore"):
            z = engine.logits(checked, W)
        if not np.isfinite(z).all():  # or of a class without rows, whose intercept is -inf
            check_finite(checked, type(self).__name__)
        return self._of_logits(z, engine, bound)

    def _of_logits(self, z: Float64, engine: Engine, bound: Bound) -> Scores:
        return HostScores(z, engine, bound) if z.ndim == 1 else ClassScores(z, one_vs_rest=self.one_vs_rest_)

    def _prediction_engine(self, X: Matrix | Csr) -> Engine:
        """The engine that fitted, for X on the host; NumPy for one that is not here.

        A GPU only sees dense X of WORTH_THE_BUS bytes or more: less is answered by NumPy before a GPU, or
        its absence on the machine that serves, would have been found.
        """
        engine = getattr(self, "backend_", "numpy")  # of a model whose coefficients were set by hand
        if engine == "cupy" and not (isinstance(X, np.ndarray) and X.nbytes >= WORTH_THE_BUS):
            engine = "numpy"
        try:
            return load_backend(engine)
        except BackendUnavailableError:  # fitted with Numba or on a GPU elsewhere, serving here
            return load_backend("numpy")


def _export() -> Any:
    return import_module("accel_logreg.files.export")  # needed seldom, and its room imports this one


def _used(coef: Any) -> NDArray[np.intp]:
    """Columns of coef (K, d), an array or sparse, that are not 0."""
    return np.unique(coef.nonzero()[1]).astype(np.intp)


class ScoresLike(Scores):
    """Answers to the host's copy of an X of another array library, as arrays of that library."""

    finite = True

    def __init__(self, scores: Scores, X: Any, xp: Any) -> None:
        self._scores, self._as_X = scores, partial(like, X, xp)

    def decision(self) -> Any:
        return self._as_X(self._scores.decision())

    def probabilities(self, *, logarithm: bool) -> Any:
        return self._as_X(self._scores.probabilities(logarithm=logarithm))

    def labels(self, classes: NDArray[Any]) -> Any:
        return self._as_X(self._scores.labels(classes))


class HostScores(Scores):
    """z (m,) on the host, of an X that is finite."""

    finite = True

    def __init__(self, z: Float64, engine: Engine, bound: Bound) -> None:
        self._z, self._engine, self._bound = z, engine, bound

    def decision(self) -> Float64:
        return self._z

    def probabilities(self, *, logarithm: bool) -> Float64:
        with self._bound():
            found = self._engine.probabilities(self._z, logarithm=logarithm)
        if found is not None:
            return found
        of = log_expit if logarithm else expit
        return np.column_stack([of(-self._z), of(self._z)])

    def labels(self, classes: NDArray[Any]) -> NDArray[Any]:
        return classes[(self._z > 0).astype(np.intp)]


class ClassScores(Scores):
    """z (m, K) of three and more classes, on the host, of an X that is finite. Answers take z's place."""

    finite = True

    def __init__(self, z: Float64, *, one_vs_rest: bool) -> None:
        self._z, self._one_vs_rest = z, one_vs_rest

    def decision(self) -> Float64:
        return self._z

    def probabilities(self, *, logarithm: bool) -> Float64:
        z = self._z
        if self._one_vs_rest:
            log_expit(z, out=z)
        step = max(1, FEW_ENTRIES // z.shape[1])  # a part at a time, which stays in the cache
        for first in range(0, len(z), step):
            part = z[first : first + step]
            part -= part.max(axis=1, keepdims=True)
            if logarithm:
                part -= np.log(np.exp(part).sum(axis=1, keepdims=True))
            else:
                np.exp(part, out=part)
                part /= part.sum(axis=1, keepdims=True)
        return z

    def labels(self, classes: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(classes[self._z.argmax(axis=1)])
