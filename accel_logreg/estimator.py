"""LogisticRegression: parameters, fit, predict. Wiring and nothing else."""

from __future__ import annotations

import math
import re
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from os import PathLike
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Tags

from accel_logreg.backends import resolve
from accel_logreg.backends.first_use import Work, compiled, note
from accel_logreg.fitting.binary import Fit
from accel_logreg.fitting.columns import OneVsRestFit
from accel_logreg.fitting.offset import offset_fit
from accel_logreg.fitting.sparse import fit_of, has_kinks
from accel_logreg.fitting.sparse_columns import SparseOneVsRestFit
from accel_logreg.inference.summary import Statistics, remember
from accel_logreg.inputs.callbacks import CallbackSupport, as_task, has_callbacks
from accel_logreg.inputs.liblinear import inward, outward, with_constant
from accel_logreg.inputs.memory_size import memory_bytes
from accel_logreg.inputs.parameters import check_parameters
from accel_logreg.inputs.training import TrainingData, check_training_data
from accel_logreg.interface.answers import Separation
from accel_logreg.interface.arrays import Float64
from accel_logreg.interface.engine import Engine
from accel_logreg.interface.parted_matrix import FitInterruptedError, SourceError
from accel_logreg.prediction import LinearPrediction
from accel_logreg.solvers.problem import GapKind, History, Solution
from accel_logreg.sources import Sourced, open_source
from accel_logreg.sources.source import Source

_NAMED = 10  # columns, in a warning
_AT_LEAST = 1e-8  # where tol=0 asks for what rounding allows: a gap that is worth a warning
_VERSION = "_accel_logreg_version"  # in a pickle: the version that wrote it


class SeparationWarning(ConvergenceWarning):
    """No penalty, and no finite optimum: a direction separates the classes, perfectly or in part.

    With C=inf, or along features whose ``penalty_factor`` is 0.

    Along it no row's loss grows and some rows' losses fall towards 0 for ever (Albert and Anderson 1984).
    What does not take part in the direction is at its optimum.

    Attributes
    ----------
    direction : (d + 1,) float64
        The intercept last.
    columns : list of int
        The columns that the direction is made of.
    perfect : bool
        Whether it moves every row; else some stay, and the cost has a limit above 0.
    """

    def __init__(self, found: Separation | str, names: Any = None, *, unpenalised: bool = False) -> None:
        """``unpenalised``: whether it is along features with a ``penalty_factor`` of 0."""
        if isinstance(found, str):  # a copy, from a pickle
            super().__init__(found)
            return
        self.direction, self.perfect = found.W, found.perfect
        self.columns: list[int] = found.columns.tolist()
        shown = [repr(names[j]) if names is not None else str(j) for j in self.columns[:_NAMED]]
        some = ", ".join(shown) + (f" and {len(self.columns) - _NAMED} more" * (len(self.columns) > _NAMED))
        named = f"column{'s' * (len(self.columns) != 1)} {some}" if self.columns else "the intercept"
        one = "s" * (len(self.columns) < 2)
        why, remedy = "C=inf", "Use a finite C, for example C=1.0"
        if unpenalised:
            why, remedy = "their penalty_factor is 0", "Give them a penalty_factor above 0"
        if self.perfect:
            what = (
                f"the classes are perfectly separated and {why}: the cost falls towards 0 as the "
                f"coefficients of {named} grow, so no finite optimum exists. {remedy}"
            )
        else:
            what = (
                f"the classes are separated in part (quasi-separation) and {why}: {named} move{one} "
                f"{found.n_apart} of {found.n_rows} rows to their own side for ever, so no finite optimum "
                f"exists for them; the other coefficients are at theirs. {remedy}, or drop the columns"
            )
        super().__init__(what)


class LogisticRegression(LinearPrediction, Statistics, CallbackSupport, ClassifierMixin, BaseEstimator):
    """Exact logistic regression, of two classes and of thousands, on one of four engines.

    Minimises J(w, b) = (1/S) Σ sᵢ ℓ(zᵢ, yᵢ) + λ/2 ‖w‖², with z = X w + b,
    ℓ(z, y) = log(1 + e^z) − y z, S = Σ sᵢ and λ = 1/(C S). This is scikit-learn's objective divided
    by C S: the same optimum. The intercept b is not penalised.

    For K ≥ 3 classes w is (d, K), z has an entry a class, and ℓ(z, y) = log Σₖ e^zₖ − z_y, the softmax's
    (multinomial) loss; or, with ``multi_class="ovr"``, there are K problems of one class against the rest.

    Whatever scikit-learn's class takes is taken, in its order; docs/coming-from-scikit-learn.md goes through
    the arguments one by one.

    Parameters
    ----------
    penalty : {"l1", "l2", "elasticnet", None}, default "deprecated"
        As in scikit-learn, which has deprecated it: ``l1_ratio`` and ``C`` say it all.
    backend : {"auto", "python", "numpy", "numba", "cupy"}, default "auto"
        The engine. "auto" takes cupy for an X on a GPU, else numba, or numpy where numba cannot load, and as
        long as numba's kernels for such a fit are not compiled and numpy makes it before they would be. A
        named engine that cannot run raises; it never falls back.
    solver : {"auto", "newton", "newton-cg", "newton-gram", "lbfgs", "gradient-descent"}, default "auto"
        "auto" takes what is predicted to be quickest of the first three; ``verbose=1`` says which and
        why. All but the last stop by ``tol`` and find the same optimum. The penalty of all but one is L2.

        - "newton": nested random samples, then all rows, preconditioned by a Hessian of some of
          them; for up to a few thousand unknowns, of all classes together.
        - "newton-cg": conjugate gradients on Hessian products; many rows and many features, sparse X,
          many classes. On numba, dense X is copied in 8 bits for that, or in float32 for three and more
          classes, and exact gradients correct the course.
        - "newton-gram": Newton's method among the rows, through the matrix of their inner
          products; far fewer rows than features, finite C.
        - "prox-newton": for ``l1_ratio`` above 0, ``penalty_factor`` and ``positive``, where "auto" takes it
          and the others cannot: Newton's method on the columns whose coefficient is not 0, and a
          gradient of all columns that proves it.
        - "lbfgs": the plain baseline.
        - "gradient-descent": the lesson's ``max_iter`` steps of fixed length, the whole loop inside the
          engine; among the rows where that is quicker, with the same iterates up to rounding.
        - "newton-cholesky", "sag", "saga": scikit-learn's names. They mean "auto", for the penalties that
          they have there. "liblinear" as well, and it penalises the intercept as liblinear does: X is copied
          with a column of ``intercept_scaling``.
    C : float, default 1.0
        Inverse strength of the L2 penalty, above 0; ``float("inf")`` is no penalty.
    l1_ratio : float or None, default 0.0
        From 0 or None, the L2 penalty λ/2 ‖w‖², to 1, the L1 penalty λ‖w‖₁, by which coefficients become
        exactly 0:
        λ (l1_ratio ‖w‖₁ + (1 − l1_ratio)/2 ‖w‖²), the elastic net. The largest C under which all of them
        are 0 is where ``logistic_path(X, y, l1_ratio=…)`` starts.
    penalty_factor : (d,) or None, default None
        Times λ for each feature, as in glmnet, but not rescaled: 0 leaves a feature without a penalty.
    positive : bool, default False
        Whether coefficients may not be negative; the intercept may.
    multi_class : {"auto", "multinomial", "ovr"}, default "auto"
        For three and more classes: one softmax ("auto", "multinomial"), or each class against the rest, all
        of them in the same reads of X ("ovr", what OneVsRestClassifier finds). Two classes have one model.
    tol : float, default 1e-8
        Bound on the relative suboptimality (J − J*)/J*, see ``gap_``. It is of the cost, whose minimum is
        flat: coefficients then are right to about its root, 1e-8 to four digits or five. For coefficients to
        eight digits pass ``tol=1e-16``, or 0, which is what rounding allows: a step or two more.
        scikit-learn's tol bounds the gradient, whose square the cost goes by: its 1e-4 is about 1e-8 here.
    max_iter : int or None, default None
        Iterations; None is 200 for the Newton solvers, 10,000 for lbfgs and 1,000 for gradient-descent. 0
        leaves the coefficients where the fit would start.
    fit_intercept : bool, default True
    dual, intercept_scaling : bool and float, default False and 1.0
        For ``solver="liblinear"``. The dual problem has the same optimum, so that ``dual`` changes nothing.
    learning_rate : float or "auto", default "auto"
        Step length of gradient-descent. "auto" is 1/L, L the largest curvature of J, from a power
        iteration; any rate below 2/L decreases J.
    class_weight : None, "balanced" or dict, default None
        Multiplies the sample weights. "balanced" gives all classes the same total weight. Of a dict that has
        all classes of y further ones are left aside.
    warm_start : bool, default False
        Start from the last fit's coefficients instead of zero.
    random_state : int, RandomState or None, default None
        Seeds the samples of rows and the power iteration's start; None means seed 0, so fits are
        reproducible.
    n_threads : int or None, default None
        Bound on the threads of Numba and BLAS inside ``fit``, given back after. None takes ``n_jobs`` where
        that is above 0, else all.
    n_jobs : int or None, default None
        scikit-learn's, which has no effect there any more.
    max_memory : int, str or None, default None
        How much of a GPU's memory the fit may take, in bytes or as "8GB" or "512MiB"; None is what is
        free. Host X, dense, for which that is not enough stays where it is, but for the rows that fit, and
        the others are sent to the GPU anew at every read: the same optimum, at the pace of the bus. The
        engines other than cupy read an X that is in host memory there, and copy none of it.
        For X in files, data sets or batches how much of the host's memory the fit may take; None is half of
        what is free. What fits stays, the rest is read anew at every read; the answer is the same to the bit.
    spool : path or None, default None
        A folder for such an X, decoded, from the first read on, where decoding takes longer than the disk:
        Parquet, Zarr, batches. The file has no name, and vanishes with the fit.
    verbose : int, default 0
        1 prints which solver runs and why, its progress, and the predicted and the real reads of X.

    Attributes
    ----------
    coef_ : (1, d) float64, or (K, d) for K ≥ 3 classes
        A softmax's rows sum to 0: the same added to all classes changes no probability. Not with
        ``l1_ratio`` above 0, ``penalty_factor`` or ``positive``, where the zeros are worth more.
    intercept_ : (1,) float64, or (K,)
        A softmax's sum to 0. Minus infinity for a class that had no weight; of two classes, infinity in
        favour of the other.
    classes_ : (K,)
        The labels, sorted.
    one_vs_rest_ : bool
        Whether each class has a sigmoid of its own.
    n_iter_ : (1,) int32
    n_nonzero_ : int
        Features with a coefficient that is not 0, of any class. ``sparsify`` keeps these alone.
    n_features_in_ : int
    feature_names_in_ : (d,) of str, only when X has column names
    backend_, solver_ : str
        What ran.
    source_ : str, only when X was read in parts
        What X is, what stayed in memory, how often it was read and how much came from where it lies.
    gap_ : float
        Relative suboptimality (J − J*)/J* reached, of "ovr" the largest of all classes'; inf where there is
        no optimum.
    gap_kind_ : {"certified", "estimated"}
        "certified": ``gap_`` is an upper bound, by the exact Hessian or by strong convexity, rounding
        included (docs/certificates.md). Always so for up to about a hundred features, for "prox-newton", by a
        duality gap, and wherever it costs little. "estimated": half the squared Newton decrement, with a
        margin for what it was made of.
    history_ : dict of (steps,) arrays
        "cost" (J in nats), "gradient_norm" (‖∇J‖₂), "seconds" (since the solver began) and "reads"
        (reads of X so far, a pass over a tenth of the rows being a tenth of a read), one entry a step
        or iteration over all rows.

    Warns
    -----
    SeparationWarning
        C=inf, or features have a ``penalty_factor`` of 0, and a direction separates the classes, perfectly or
        in part: no finite optimum exists. The warning names the columns. Collinear and constant columns are
        no reason: they get the shortest coefficients.
    ConvergenceWarning
        ``gap_`` is above ``tol``; the message gives both, and a remedy. Gradient descent makes the steps that
        it is asked for, and says so wherever they end above.

    Raises
    ------
    BackendUnavailableError
        The named engine cannot run here; the message gives the reason and the remedy.
    DivergenceError
        ``learning_rate`` is too long; the message suggests one.
    MemoryError
        What has to be on the GPU, or in memory beside X in parts, is more than ``max_memory``, or than is
        free; the message gives the sizes.
    FitInterruptedError
        X in parts could not be read any more, or changed; it carries the weights so far. ``SourceError``,
        where there are none yet.
    ValueError, TypeError
        A parameter or the data are not allowed. The estimator is left as it was, also by Ctrl-C.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.preprocessing import scale
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> model = LogisticRegression(backend="numpy").fit(scale(X), y)
    >>> round(float(model.score(scale(X), y)), 3)
    0.988
    >>> model.gap_ <= 1e-8
    True
    """

    def __init__(
        self,
        penalty: str | None = "deprecated",
        *,
        C: float = 1.0,
        l1_ratio: float | None = 0.0,
        dual: bool = False,
        tol: float = 1e-8,
        fit_intercept: bool = True,
        intercept_scaling: float = 1.0,
        class_weight: dict[Any, float] | Literal["balanced"] | None = None,
        random_state: int | np.random.RandomState | None = None,
        solver: str = "auto",
        max_iter: int | None = None,
        verbose: int = 0,
        warm_start: bool = False,
        n_jobs: int | None = None,
        backend: str = "auto",
        multi_class: str = "auto",
        penalty_factor: ArrayLike | None = None,
        positive: bool = False,
        learning_rate: float | Literal["auto"] = "auto",
        n_threads: int | None = None,
        max_memory: int | str | None = None,
        spool: str | PathLike[str] | None = None,
    ) -> None:
        self.penalty = penalty
        self.C = C
        self.l1_ratio = l1_ratio
        self.dual = dual
        self.tol = tol
        self.fit_intercept = fit_intercept
        self.intercept_scaling = intercept_scaling
        self.class_weight = class_weight
        self.random_state = random_state
        self.solver = solver
        self.max_iter = max_iter
        self.verbose = verbose
        self.warm_start = warm_start
        self.n_jobs = n_jobs
        self.backend = backend
        self.multi_class = multi_class
        self.penalty_factor = penalty_factor
        self.positive = positive
        self.learning_rate = learning_rate
        self.n_threads = n_threads
        self.max_memory = max_memory
        self.spool = spool

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, *, offset: Any = None) -> Self:
        """Fit to X (n, d), float32 or float64 (other numbers become float64), and labels y (n,).

        X is an array, a data frame or a scipy.sparse matrix; C-contiguous arrays and CSR matrices of
        float32 or float64 are read where they are, without a copy.

        X may be larger than memory: paths of .npy, .npz, .parquet, .feather or .arrow files, a numpy.memmap,
        a zarr.Array, a pyarrow.dataset.Dataset, a Dask array or data frame, or batches (X, y) or (X, y,
        sample_weight) that can be gone through again, with y None. y and sample_weight may then be paths of
        .npy files or, of tables, columns by name. It is read in parts, three to six times
        (docs/larger-than-memory.md, docs/dask.md).

        X may lie on a GPU: a CuPy array, a torch CUDA tensor, or any array with DLPack or
        ``__cuda_array_interface__``, on whichever device. C-contiguous float32 and float64 are read in
        place; another layout is copied on the device, float16 becomes float32 there, and any other dtype
        is a TypeError. A tensor that requires grad is read as its detached values. y and the weights are
        n small numbers: they come to the host from wherever they are. ``coef_`` and all else that is
        learnt is on the host: what was fitted on a GPU pickles, and serves without one.

        Where scikit-learn's ``array_api_dispatch`` is on, X, y and the weights may be arrays of another
        library on the host, torch's CPU tensors for one. ``coef_`` is NumPy's float64 whatever X was, for
        these are the numbers that ``gap_`` is proven of; answers to such an X are in its library and dtype.

        sample_weight (n,) of 0 or above: weight 2 equals the row twice, weight 0 the row left out.

        offset (n,) is added to the logits, z = X w + b + offset, as for exposures: of two classes, under the
        L2 penalty or none, X on the host. X is copied for it, in its dtype. Predictions know none; the
        logits of new rows with one are ``decision_function(X) + offset``.
        """
        if has_callbacks(self):
            as_task(self, lambda: self._fit(X, y, sample_weight, offset), X, y, sample_weight)
        else:
            self._fit(X, y, sample_weight, offset)
        return self

    def _fit(self, X: Any, y: Any, sample_weight: Any, offset: Any) -> None:
        before = vars(self).copy()
        backend: Engine | None = None
        source: Source | None = None
        given = X, y, sample_weight, offset
        try:
            parameters = check_parameters(vars(self))
            sourced = self._sourced(parameters, X, y, sample_weight)
            if sourced is not None:
                source = sourced.X
                source.begin_fit()
                X, y, sample_weight = source, sourced.y, sourced.sample_weight
            backend, work = self._engine(parameters, X, y)
            solution, solver, data = self._solve(backend, parameters, X, y, sample_weight, offset)
        except BaseException as error:  # Ctrl-C included: a fit that did not finish did not happen
            self.__dict__ = before
            _let_go(error)
            if source is not None and source.latest is not None:
                _tell_so_far(error, source.latest)
            raise
        finally:
            if backend is not None:
                backend.after_fit()
            if source is not None:
                source.end_fit()
        if work is not None:
            note(work.kind)
        self.__dict__.pop("source_", None)
        if source is not None:
            self.source_ = str(source)
            if self.verbose:
                print(self.source_)
        W = _by_class(solution.W, data)
        self.coef_ = W[:, :-1].copy()
        self.intercept_: Float64 = W[:, -1].copy()
        self.classes_: NDArray[Any] = data.classes
        self.one_vs_rest_ = data.one_vs_rest
        self.n_iter_: NDArray[np.int32] = np.array([solution.n_iter], dtype=np.int32)
        self.backend_ = backend.name
        self.solver_ = solver
        self.gap_ = solution.gap
        self.gap_kind_ = str(solution.gap_kind)
        self.history_ = solution.history.arrays()
        self._fitted_to = remember(*given)  # for summary()
        self.__dict__.pop("_separated", None)
        if solution.separation is not None:
            names = getattr(self, "feature_names_in_", None)
            unpenalised = not math.isinf(parameters["C"])
            warning = SeparationWarning(solution.separation, names, unpenalised=unpenalised)
            self._separated = str(warning)
            warnings.warn(warning, stacklevel=3)
        elif solution.trouble and (self.tol > 0 or solution.gap > _AT_LEAST):
            warnings.warn(solution.trouble, ConvergenceWarning, stacklevel=3)

    def _sourced(self, parameters: dict[str, Any], X: Any, y: Any, sample_weight: Any) -> Sourced | None:
        """X as a source where it does not lie in memory."""
        bound = memory_bytes(parameters["max_memory"])
        found = open_source(X, y, sample_weight, max_memory=bound, spool=self.spool)
        if found is not None and isinstance(self.random_state, (int, np.integer)):
            found.X.seed = int(self.random_state)
        return found

    def _engine(self, parameters: dict[str, Any], X: Any, y: Any) -> tuple[Engine, Work | None]:
        """The engine, and the kind of fit whose kernels it then has compiled, if it is numba."""
        if self.backend not in ("auto", "numba"):
            return resolve(self.backend, X), None
        work = Work.of(X, y, kinks=has_kinks(parameters))
        engine = resolve(self.backend, X, work)
        if engine.name != "numba":
            return engine, None
        if self.verbose and work is not None and not compiled(work.kind):
            print("compiling the kernels of such fits, once: some seconds")
        return engine, work

    def _solve(
        self, backend: Engine, parameters: dict[str, Any], X: Any, y: Any, sample_weight: Any, offset: Any
    ) -> tuple[Solution, str, _Classes]:
        """The solution, the solver that found it, and the classes; nothing else of the fit outlives this."""
        data = check_training_data(self, backend, X, y, sample_weight, self.class_weight, least_classes=1)
        start = self._warm_start(data, parameters)
        one_vs_rest = self.multi_class == "ovr" and data.n_classes > 2
        kinks = has_kinks(parameters)
        found = _Classes(data.classes, data.present, one_vs_rest, one_vs_rest or kinks)
        with_offset = None if offset is None else offset_fit(data, parameters, offset)
        intercept = len(data.classes) > 2 or bool(parameters["fit_intercept"])
        if (data.n_classes == 1 and intercept) or parameters["max_iter"] == 0:
            data.check_finite()
            return _unsolved(data, start, intercept), "none", found
        penalised = parameters["solver"] == "liblinear" and bool(parameters["fit_intercept"])
        constant = float(parameters["intercept_scaling"])
        if parameters["solver"] == "liblinear":
            data, parameters = with_constant(data, parameters)
            start = inward(start, constant) if penalised and not one_vs_rest else None
        kind: Callable[..., Fit | OneVsRestFit] = with_offset or fit_of(len(data.classes), parameters)
        if one_vs_rest:
            kind = SparseOneVsRestFit if kinks else OneVsRestFit
        if offset is not None:
            kind = offset_fit(data, vars(self), offset)
        try:
            # NaN and infinity in an X that nobody has looked at yet are named below.
            with np.errstate(over="ignore", invalid="ignore"):
                fit = kind(backend, data, parameters, start, print if self.verbose else _quiet)
                solution, solver = fit.solve()
        except FloatingPointError as error:
            _let_go(error)
            data.check_finite()
            raise ValueError(
                "the values of X are too large: sums over its rows overflow float64. Scale X down"
            ) from None
        if penalised:
            solution = replace(solution, W=outward(solution.W, self.n_features_in_, constant))
        return solution, solver, found

    def _warm_start(self, data: TrainingData, parameters: dict[str, Any]) -> Float64 | None:
        """The last fit's W, (p,) or (K p,)."""
        if not (self.warm_start and hasattr(self, "coef_")):
            return None
        n_features = data.X.shape[1]
        coef = self.dense_coef()
        if coef.shape[1] != n_features:
            raise ValueError(
                f"warm_start=True, but X has {n_features} features and the last fit had "
                f"{coef.shape[1]}; pass the same features or set warm_start=False"
            )
        if len(self.classes_) != len(data.classes):
            raise ValueError(
                f"warm_start=True, but y has {len(data.classes)} classes and the last fit had "
                f"{len(self.classes_)}; pass the same classes or set warm_start=False"
            )
        b = np.broadcast_to(self.intercept_, len(coef)) if self.fit_intercept else np.zeros(len(coef))
        W = np.column_stack([coef, b])
        if data.present is not None:
            W = W[data.present]
        if len(W) > 1 and not self.one_vs_rest_:
            W[~np.isfinite(W)] = 0.0  # of a class that had no weight
            if not has_kinks(parameters):
                W = W - W.mean(axis=0)
        return W.ravel()

    def __getstate__(self) -> dict[str, Any]:
        state = {**super().__getstate__(), _VERSION: _version()}
        state.pop("_fitted_to", None)  # the data are not the model's to keep
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Parameters that an older version lacked get their defaults; a newer version's pickle warns."""
        state = dict(state)
        version = str(state.pop(_VERSION, "0"))
        super().__setstate__({**type(self)().get_params(), **state})
        if _release(version) > _release(_version()):
            warnings.warn(
                f"this model was pickled by accel_logreg {version} and is read by {_version()}, which may "
                f"not know all of it. Remedy: pip install 'accel_logreg>={version}'",
                UserWarning,
                stacklevel=2,
            )

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        each = getattr(self, "multi_class", None) == "ovr"  # which a LogisticRegressionCV has not
        tags.classifier_tags.multi_class = self.solver != "liblinear" or each
        return tags


@dataclass(frozen=True)
class _Classes:
    """What an estimator keeps of the labels."""

    classes: NDArray[Any]
    present: NDArray[np.intp] | None
    one_vs_rest: bool
    free_sum: bool  # whether the classes' weights may have any sum


def _unsolved(data: TrainingData, start: Float64 | None, fit_intercept: bool) -> Solution:
    """No step is to be made: where the fit starts; or one class alone has weight, and is always right."""
    d, history = data.X.shape[1], History()
    if data.present is not None and data.n_classes == 1 and fit_intercept:
        W = np.zeros(d + 1)
        if len(data.classes) == 2:
            W[-1] = math.inf if data.present[0] else -math.inf
        return Solution(W, 0, 0.0, GapKind.CERTIFIED, history)
    W = np.zeros((1 if len(data.classes) == 2 else data.n_classes) * (d + 1)) if start is None else start
    trouble = "max_iter=0: the coefficients are where the fit would start; raise max_iter"
    return Solution(W, 0, math.inf, GapKind.ESTIMATED, history, trouble=trouble)


def _by_class(W: Float64, data: _Classes) -> Float64:
    """A solution as (1, p), or (K, p): what sums to 0 over the classes does so exactly, and classes without
    weight have a probability of 0.
    """
    if len(data.classes) == 2:
        return W[np.newaxis]
    W = W.reshape(len(data.classes) if data.present is None else len(data.present), -1)
    W = W.copy()
    if not data.free_sum:
        W -= W.mean(axis=0)
    elif not data.one_vs_rest:
        W[:, -1] -= W[:, -1].mean()
    if data.present is None:
        return W
    every = np.zeros((len(data.classes), W.shape[1]))
    every[:, -1] = -np.inf
    every[data.present] = W
    return every


def _version() -> str:
    return str(import_module("accel_logreg").__version__)  # that package imports this one


def _release(version: str) -> tuple[int, ...]:
    """Major and minor: what a format may change with."""
    return tuple(map(int, re.findall(r"\d+", version)[:2]))


def _quiet(_line: str) -> None:
    pass


def _tell_so_far(error: BaseException, W: Float64) -> None:
    """Where X failed under way, raise what carries the weights so far; else they go with the error."""
    if isinstance(error, SourceError):
        raise FitInterruptedError(
            f"the fit was interrupted: {error}. Its weights so far are this error's W, intercept last: set "
            "coef_ and intercept_ from them, and fit with warm_start=True to go on from there",
            W,
        ) from error
    error.add_note(f"the fit's weights so far, of {W.size} unknowns, are in this exception's W")
    error.W = W  # type: ignore[attr-defined]


def _let_go(error: BaseException) -> None:
    """Drop what the frames that raised hold: a GPU's memory would stay taken for as long as the traceback."""
    traceback.clear_frames(error.__traceback__)
