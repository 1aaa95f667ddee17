"""``LogisticRegression.summary``: a likelihood's maximum and covariance, refused where there is none."""

from __future__ import annotations

import copy
import math
import warnings
import weakref
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.utils.validation import _check_feature_names, _check_n_features, check_is_fitted

from accel_logreg.backends import resolve
from accel_logreg.fitting.binary import Fit
from accel_logreg.fitting.classes import SoftmaxFit
from accel_logreg.fitting.offset import OffsetFit, offset_fit
from accel_logreg.inference.result import Inference, quantile
from accel_logreg.inputs.parameters import check_parameters
from accel_logreg.inputs.training import TrainingData, check_training_data
from accel_logreg.interface.arrays import Csr, Float64, to_host
from accel_logreg.interface.engine import Engine
from accel_logreg.problem.likelihood import AliasedError, Likelihood
from accel_logreg.problem.offset import null_loss
from accel_logreg.sources import refuse_source

_COVARIANCES = ("classical", "HC0", "HC1", "cluster")
_NAMED = 10  # columns, in a message
_STEPS = 6  # of Newton's method from the model's coefficients, at most
# A step of so many standard errors, divided by √n, is about what standard errors change by, relatively: it
# is the rows' root mean square change of the logit. Of X of few entries another read costs nothing.
_SETTLED, _SETTLED_OF_FEW, _FEW_ENTRIES = 3e-6, 1e-10, 1 << 20
_OWN_DATA = 1e-4  # half the squared distance from the optimum, in standard errors, that rounding may leave
_UNKNOWN_GAP = 5e-3  # of coefficients that were not fitted here
_ANY_DATA = 0.25  # and beyond which data are not a model's, whatever its gap
_NOTED, _WARNED, _REFUSED = 0.1, 0.2, 0.5  # parameters a row
_FEW_GROUPS = 30


class Statistics:
    """The methods of LogisticRegression that say what is known of its coefficients."""

    def summary(
        self,
        X: Any = None,
        y: Any = None,
        sample_weight: Any = None,
        *,
        offset: Any = None,
        covariance: Literal["classical", "HC0", "HC1", "cluster"] | None = None,
        groups: Any = None,
        weights: Literal["frequency", "analytic"] = "frequency",
        confidence: float = 0.95,
    ) -> Inference:
        """Standard errors, tests and intervals of a model of ``C=float("inf")``; it prints as a table.

        The data are those of the fit: the arrays that were passed to it, if they are still there, for a model
        keeps weak references alone; or X, y, sample_weight and offset as ``fit`` takes them. One read of
        dense X finds the score and the information on Numba, two elsewhere; another the squares of scores for
        a robust covariance; three and more classes read X for each two of them. Coefficients move by a Newton
        step to the maximum of the likelihood, for ``tol=1e-8`` of the cost is not always little against a
        standard error.

        Parameters
        ----------
        covariance : {"classical", "HC0", "HC1", "cluster"} or None
            "classical" is the inverse information. "HC0" is the sandwich, right where the model is not quite;
            "HC1" is it times n/(n − k). "cluster" adds up the scores of each of G groups first, times
            G/(G − 1) (n − 1)/(n − k), as statsmodels has it. None is "cluster" where there
            are groups, "HC0" for analytic weights, else "classical".
        groups : (n,), of anything that sorts
        weights : {"frequency", "analytic"}
            What sample_weight means. "frequency": a row of weight 2 is two rows, so weights are whole
            numbers, and n their sum. "analytic": how much a row counts, as for sampling probabilities
            (Stata's pweights); n is the number of rows, the covariance a sandwich, whatever the weights'
            unit, and there is no likelihood: what is made of one is NaN. Of the fit's ``class_weight`` as
            well.
        confidence : float, default 0.95

        Returns
        -------
        Inference

        Raises
        ------
        ValueError
            The statistics would not be valid, and why: a penalty, separated classes, columns that others add
            up to, a parameter for every two rows or fewer (Sur and Candès 2019, PNAS 116: with k/n not small
            the estimate is biased and the classical standard errors are too small; a warning above 0.2); or
            the data are not the fit's.

        Examples
        --------
        >>> from accel_logreg import LogisticRegression
        >>> X, y = [[0.0]] * 10 + [[1.0]] * 10, [0] * 7 + [1] * 3 + [0] * 2 + [1] * 8
        >>> found = LogisticRegression(C=float("inf"), backend="numpy").fit(X, y).summary(X, y)
        >>> # Of a 2×2 table: the log odds ratio log(7·8/(3·2)), and √(1/7 + 1/3 + 1/2 + 1/8)
        >>> round(float(found.coef[1]), 4), round(float(found.standard_errors[1]), 4)
        (2.2336, 1.0494)
        """
        _check_options(covariance, groups, weights, confidence)
        _require_maximum_likelihood(self)
        if X is None:
            if y is not None or sample_weight is not None or offset is not None:
                raise ValueError("y, sample_weight or offset is given and X is not: pass X as well, or none")
            X, y, sample_weight, offset = _remembered(self)
        elif y is None:
            raise ValueError("X is given and y is not: pass both, summary(X, y), or neither")
        model: Any = copy.copy(self)  # the checks set attributes
        refuse_source(X, "summary")
        _check_n_features(model, X, reset=False)
        _check_feature_names(model, X, reset=False)
        engine = resolve(model.backend, X)
        try:
            data = check_training_data(copy.copy(model), engine, X, y, sample_weight, model.class_weight)
            with (
                engine.threads(_own_parameters(model)["n_threads"]),
                np.errstate(over="ignore", invalid="ignore"),
            ):
                return _Estimation(model, engine, data, weights, offset).inference(
                    covariance, groups, confidence
                )
        finally:
            engine.after_fit()


class _Estimation:
    """The data of a model, seen from its coefficients."""

    def __init__(self, model: Any, engine: Engine, data: TrainingData, weights: str, offset: Any) -> None:
        self._model, self._data, self._weights = model, data, weights
        if not np.array_equal(data.classes, model.classes_):
            raise ValueError(
                f"y has the classes {data.classes.tolist()} and the model {model.classes_.tolist()}: pass "
                "the data of the fit"
            )
        self._s = self._checked_weights()
        self._total = float(len(data.y)) if self._s is None else float(self._s.sum())
        self._n = round(self._total)
        if self._s is not None and weights == "analytic":
            self._n = int(np.count_nonzero(self._s))
        names = getattr(model, "feature_names_in_", None)
        self._features = (
            [f"x{j}" for j in range(data.X.shape[1])] if names is None else [str(x) for x in names]
        )
        parameters = _own_parameters(model)
        kind: Callable[..., Fit] = Fit if len(data.classes) == 2 else SoftmaxFit
        if offset is not None:
            kind = offset_fit(data, {**parameters, "solver": "auto"}, offset)
        fit = kind(engine, data, parameters, None, lambda _line: None)
        self._offset = fit.offset if isinstance(fit, OffsetFit) else None
        self._refuse_many_parameters()
        columns = fit.columns
        if columns is not None and columns.used is not None:
            self._refuse_aliased(np.delete(np.arange(columns.d), columns.used).tolist(), "hold zeros alone")
        shift = None if columns is None else columns.shift
        none = np.zeros(len(data.y), dtype=np.int8)
        self._likelihood = Likelihood(
            fit.objective, _rows_of(fit), lambda c: engine.place(fit.X, none, c), shift, self._offset
        )

    def _checked_weights(self) -> Float64 | None:
        """As they were given, times the classes'; None where all are 1."""
        s, frequency = self._data.sample_weight, self._weights == "frequency"
        if frequency and self._model.class_weight is not None:
            raise ValueError(
                f"class_weight={self._model.class_weight!r} multiplies the likelihood's terms, which then "
                "counts no rows: pass weights='analytic' for standard errors by a sandwich, or fit without "
                "class_weight"
            )
        if s is None:
            return None
        s = s * self._data.weight_unit
        if frequency and (s != np.rint(s)).any():
            row = int(np.argmax(s != np.rint(s)))
            raise ValueError(
                f"sample_weight[{row}] is {float(s[row])!r}, and frequency weights count rows: whole "
                "numbers. Sampling weights and others that do not count are weights='analytic'"
            )
        return s

    def _refuse_many_parameters(self) -> None:
        parameters = len(self._features) + bool(self._model.fit_intercept)
        self._share = parameters / self._n
        if self._share >= _REFUSED:
            raise ValueError(
                f"{self._n} rows and {parameters} parameters a class: with a parameter for "
                "every two rows or fewer a maximum of the likelihood says nothing, and where classes are "
                "not separated that is luck. Use fewer features or more rows; C=1.0 and cross-validation "
                "for predictions"
            )

    def _refuse_aliased(self, columns: list[int], what: str) -> None:
        some = ", ".join(repr(self._features[j]) for j in columns[:_NAMED])
        more = f" and {len(columns) - _NAMED} more" * (len(columns) > _NAMED)
        raise ValueError(
            f"X has columns that {what}: {some}{more}. Such coefficients are not determined, and have no "
            "standard errors (R says NA). Drop these columns"
        )

    def inference(self, covariance: str | None, groups: Any, confidence: float) -> Inference:
        likelihood, n, frequency = self._likelihood, self._n, self._weights == "frequency"
        covariance = covariance or ("cluster" if groups is not None else "classical" if frequency else "HC0")
        codes = None if groups is None else self._group_codes(groups)
        n_groups = None
        if codes is not None:
            n_groups = len(np.unique(codes if self._s is None else codes[self._s > 0.0]))
            if n_groups < 2:
                raise ValueError(
                    "groups has one group: a covariance by clusters needs two, and 30 to be trusted"
                )
        u, inverse, value, distance = self._maximum()
        if covariance == "classical":
            V = inverse / self._total
        else:
            k = likelihood.n_parameters
            factor = n / (n - k) if covariance == "HC1" else 1.0
            if n_groups is not None:
                factor = n_groups / (n_groups - 1.0) * (n - 1.0) / (n - k)
            s = np.ones(len(self._data.y)) if self._s is None else self._s
            once = covariance == "cluster" or not frequency  # a frequency's rows are so many scores
            meat = likelihood.meat(u, s if once else np.sqrt(s), codes)
            V = inverse @ (meat * (factor / self._total**2)) @ inverse
        B, (Q, q) = likelihood.outward(), u.shape
        of_X = np.einsum("ij,ajbk,lk->aibl", B, V.reshape(Q, q, Q, q), B, optimize=True).reshape(V.shape)
        theta = u @ B.T
        null = -math.log(likelihood.n_classes)
        if likelihood.first:
            shares = likelihood.rows.targets.label_shares()
            null = float(shares @ np.log(shares))
        if self._offset is not None:
            null = -null_loss(self._data.y, self._s, self._offset, fit_intercept=bool(likelihood.first))
        own = "(intercept)" if "intercept" in self._features else "intercept"
        return Inference(
            names=(own,) * likelihood.first + tuple(self._features),
            fit_intercept=bool(likelihood.first),
            classes=self._model.classes_,
            coef=theta[0] if Q == 1 else theta,
            covariance=of_X,
            covariance_type=covariance,
            weights=self._weights,
            n=n,
            n_groups=n_groups,
            log_likelihood=-n * value if frequency else math.nan,
            null_log_likelihood=n * null if frequency else math.nan,
            confidence=confidence,
            distance=distance,
            notes=self._notes(distance, n_groups),
            _model=self._model,
            _origin=likelihood.origin,
            _scale=likelihood.scale,
            _standardised=(u, V),
        )

    def _maximum(self) -> tuple[Float64, Float64, float, float]:
        """u, the inverse of the mean information there, the mean loss, and the way from the model's u."""
        likelihood, model = self._likelihood, self._model
        coef = model.dense_coef()
        b = np.broadcast_to(model.intercept_, len(coef))
        u = start = likelihood.inward(*((coef, b) if len(coef) == 1 else (coef[1:] - coef[0], b[1:] - b[0])))
        few = likelihood.rows.entries * len(u) <= _FEW_ENTRIES
        settled = (_SETTLED_OF_FEW if few else _SETTLED) * math.sqrt(self._n)
        for _ in range(_STEPS):
            value, gradient = likelihood.score(u)
            if not np.isfinite(gradient).all():
                self._data.check_finite()
                raise ValueError(
                    "the values of X are too large: sums over its rows overflow float64. Scale X down"
                )
            H = likelihood.information(u)
            try:
                inverse = likelihood.inverse(H)
            except AliasedError as error:
                features = [j - likelihood.first for j in error.parameters]
                self._refuse_aliased(features, "those before them and the intercept add up to")
            step = -inverse @ gradient
            decrement = -float(gradient @ step) * self._n  # squared, in standard errors
            if u is start:
                self._refuse_other_data(value, decrement)
            u, value = u + step.reshape(u.shape), value - 0.5 * decrement / self._n
            if math.sqrt(max(decrement, 0.0)) <= settled:
                break
        moved = (u - start).ravel()
        return u, inverse, value, math.sqrt(float(moved @ H @ moved) * self._n)

    def _refuse_other_data(self, value: float, decrement: float) -> None:
        gap = float(getattr(self._model, "gap_", math.nan))  # NaN of one that was not fitted here
        limit = _UNKNOWN_GAP if math.isnan(gap) else min(_ANY_DATA, _OWN_DATA + 4.0 * gap * value * self._n)
        if 0.5 * decrement <= limit:
            return
        raise ValueError(
            "these are not the data that the model is the maximum likelihood estimate of, or its fit ended "
            f"early: its coefficients are {math.sqrt(decrement):.3g} standard errors from the optimum, and "
            f"its relative gap is {gap:.2g}. Pass the X, y, sample_weight and offset of the fit, unchanged; "
            "or fit again, with tol=1e-16"
        )

    def _group_codes(self, groups: Any) -> NDArray[np.intp]:
        n, found = len(self._data.y), np.asarray(to_host(groups))
        if found.shape != (n,):
            raise ValueError(f"groups has shape {found.shape}; it must be ({n},), the group of each row")
        missing = found != found if found.dtype.kind != "O" else np.array([_missing(x) for x in found])
        if missing.any():
            raise ValueError(f"groups[{int(np.argmax(missing))}] is missing; every row needs a group")
        try:
            codes: NDArray[np.intp] = np.unique(found, return_inverse=True)[1].astype(np.intp)
        except TypeError as error:
            raise ValueError(
                f"groups cannot be sorted ({error}): pass numbers or strings, of one kind"
            ) from None
        return codes

    def _notes(self, distance: float, n_groups: int | None) -> tuple[str, ...]:
        notes = []
        if self._share > _NOTED:
            notes.append(
                f"{self._share:.2g} parameters a row: with so few rows estimates tend to be too large and "
                "standard errors too small (Sur and Candès 2019)"
            )
        if self._share > _WARNED:
            warnings.warn(notes[-1], UserWarning, stacklevel=4)
        if n_groups is not None and n_groups < _FEW_GROUPS:
            notes.append(
                f"{n_groups} groups: standard errors by so few are too small (Cameron and Miller 2015)"
            )
        if distance > 0.01:
            notes.append(
                f"the model's own coefficients are {distance:.2g} standard errors from these: fit with "
                "tol=1e-16 for equal ones"
            )
        return tuple(notes)


def remember(*data: Any) -> tuple[Any, ...] | None:
    """Weak references to a fit's X, y, weights and offset; None where one of them, a list say, allows "
    "none."""
    try:
        return tuple(None if part is None else weakref.ref(part) for part in data)
    except TypeError:
        return None


def _remembered(model: Any) -> list[Any]:
    kept = getattr(model, "_fitted_to", None)
    data = [] if kept is None else [None if part is None else part() for part in kept]
    if kept is None or any(part is not None and x is None for part, x in zip(kept, data, strict=True)):
        raise ValueError(
            "the data of the fit are gone: a model keeps weak references alone, none to lists, and none in "
            "a pickle or a copy. Pass them: summary(X, y), with sample_weight and offset where the fit had "
            "them"
        )
    return data


def _missing(x: Any) -> bool:
    return x is None or type(x).__name__ == "NAType" or bool(x != x)


def _rows_of(fit: Fit) -> Any:
    """What hands out rows of X as they are held, dense, on the host."""
    X, rows = fit.X, fit.rows
    if isinstance(X, Csr):
        matrix = csr_matrix((X.data, X.indices, X.indptr), shape=X.shape)
        return lambda which: matrix[which].toarray()
    return lambda which: rows.take(which, slice(0, rows.n_features))


def _check_options(covariance: Any, groups: Any, weights: Any, confidence: Any) -> None:
    if covariance is not None and covariance not in _COVARIANCES:
        raise ValueError(
            f"covariance={covariance!r} is not known; allowed are {', '.join(map(repr, _COVARIANCES))}"
        )
    if weights not in ("frequency", "analytic"):
        raise ValueError(f"weights={weights!r} is not known; allowed are 'frequency' and 'analytic'")
    if (groups is not None and covariance not in (None, "cluster")) or (
        groups is None and covariance == "cluster"
    ):
        there = "without groups" if groups is None else "with groups"
        raise ValueError(
            f"covariance={covariance!r} {there}: clusters are covariance='cluster' and groups=, a group a row"
        )
    if covariance == "classical" and weights == "analytic":
        raise ValueError(
            "covariance='classical' takes weights for counts of rows, which analytic weights are not: use "
            "'HC0', the default with them, 'HC1' or 'cluster'"
        )
    quantile(confidence)


def _require_maximum_likelihood(model: Any) -> None:
    """Raise ValueError where the coefficients are no maximum of a likelihood, with the reason."""
    check_is_fitted(model)
    chosen = hasattr(model, "C_")
    C = model.C_ if chosen else _own_parameters(model)["C"]
    if chosen or not math.isinf(C):
        penalty = "a C that was chosen by cross-validation" if chosen else f"C={C!r}"
        raise ValueError(
            f"{penalty} is a penalty: the estimate is biased, and z, p and intervals would not mean what "
            "they say. For these fit LogisticRegression(C=float('inf')), its features chosen by other data"
        )
    if model.one_vs_rest_:
        raise ValueError(
            "multi_class='ovr' fits a model for each class, none of which knows the others: fit each to y "
            "== class for its statistics, or use multi_class='multinomial'"
        )
    separated = getattr(model, "_separated", "")
    if separated:
        raise ValueError(f"the likelihood has no maximum, so nothing has a standard error: {separated}")
    if math.isinf(getattr(model, "gap_", math.nan)):
        raise ValueError(
            "no maximum of the likelihood is known (gap_ is inf): max_iter=0, or separated classes"
        )
    if np.isinf(model.intercept_).any():
        raise ValueError("a class has no weight, so that an intercept is infinite: leave it out of the fit")


def _own_parameters(model: Any) -> dict[str, Any]:
    """What its fit went by: scikit-learn's in our terms, of which the fit has warned."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return check_parameters(vars(model))
