"""Many fits of one X: columns placed in an engine → objectives → coordinates → one solver for all of them.

What the solvers for columns are not made for (few rows or many features of dense X, small sparse X, no
penalty), and what they leave short of tol, is fitted one by one as a single fit would be, from where there is
something to start from.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_logreg.fitting.binary import Fit, costs_of, l2_of
from accel_logreg.inputs.memory_size import memory_bytes
from accel_logreg.inputs.training import TrainingData
from accel_logreg.interface.answers import Separation
from accel_logreg.interface.arrays import Csr, Float64
from accel_logreg.interface.columns import ColumnRows
from accel_logreg.interface.engine import Engine
from accel_logreg.interface.parted_matrix import PartedMatrix
from accel_logreg.interface.parts import Parts, PartTargets
from accel_logreg.interface.sampling import Sampler
from accel_logreg.interface.targets import Targets
from accel_logreg.problem.columns import ColumnProblem
from accel_logreg.problem.coordinates import standardised
from accel_logreg.problem.csr_columns import CsrColumns
from accel_logreg.problem.leave_one_out import leave_one_out as of_one
from accel_logreg.problem.sparse_columns import SparseColumnProblem
from accel_logreg.solvers.columns import ColumnSolution, solve_columns
from accel_logreg.solvers.columns_cg import solve_columns_cg
from accel_logreg.solvers.problem import GapKind, History, Report, Solution, relative_gap

_MOST_ITERATIONS = 60
_MOST_FEATURES = 2048
_FEWEST_ROWS = 5  # a feature, from which columns are quicker: measured with 40 to 600 features
_MOST_BYTES = 1 << 29  # of labels, weights and factors at a time; more columns go in several blocks
_VECTORS = 12  # of p, that conjugate gradients hold for a column
_RARE = 0.1  # share of the weight below which a class is drawn more often than it occurs
_COMPILED = 30_000  # entries of dense X up to which fits inside the engine, one by one, are quickest
_COLD = 1 << 18  # entries of X up to which a start is not worth what ``Engine.small_fit`` spares
_MOST_STEPS = 200  # of such a fit
_CLOSE = 2.0  # times as many rows as are asked about: neighbours that are read with them


@dataclass(frozen=True)
class ColumnFits:
    """K fits.

    W : (p, K) float64, the intercept last
    gap : (K,) float64, bounds on or estimates of the relative suboptimality (J − J*)/J*
    kind : (K,) of str, "certified" or "estimated"
    n_iter : (K,) int64
    cost : (K,) float64, J in nats per unit weight
    reads : of X, by all columns together
    trouble : (K,) of str, why a column stopped short; empty where it did not
    """

    W: Float64
    gap: Float64
    kind: NDArray[np.str_]
    n_iter: NDArray[np.int64]
    cost: Float64
    reads: float
    trouble: list[str]

    @classmethod
    def none(cls, d: int, K: int, W: Float64 | None = None) -> ColumnFits:
        """K fits to be made, from W where given."""
        W = np.zeros((d + 1, K)) if W is None else W.copy()
        far, kind = np.full(K, math.inf), np.full(K, str(GapKind.ESTIMATED))
        return cls(W, far, kind, np.zeros(K, dtype=np.int64), far.copy(), 0.0, [""] * K)

    @classmethod
    def joined(cls, found: list[ColumnFits]) -> ColumnFits:
        """Their columns side by side."""

        def beside(name: str) -> NDArray[Any]:
            return np.concatenate([getattr(fits, name) for fits in found], axis=-1)

        return cls(
            beside("W"), beside("gap"), beside("kind"), beside("n_iter"), beside("cost"),
            sum(fits.reads for fits in found), [trouble for fits in found for trouble in fits.trouble],
        )  # fmt: skip


class ColumnFitter:
    """X in one engine, and fits of columns over it.

    Parameters
    ----------
    data : TrainingData
        X and the weights of its rows; its y is that of columns that bring none.
    parameters : of LogisticRegression, but for C
    codes : (n,) intp, optional
        Classes, where columns will be one class against the rest each.
    """

    def __init__(
        self,
        engine: Engine,
        data: TrainingData,
        parameters: Mapping[str, Any],
        report: Report,
        codes: NDArray[np.intp] | None = None,
    ) -> None:
        self.engine, self.data, self.report = engine, data, report
        self.parameters = {**parameters, "warm_start": False}
        self.tol = float(parameters["tol"])
        self.separation: Separation | None = None
        self.fit_intercept = bool(parameters["fit_intercept"])
        seed = parameters["random_state"]
        seed = 0 if seed is None else seed
        self.random = seed if isinstance(seed, np.random.RandomState) else np.random.RandomState(seed)
        n, d = data.X.shape
        self.entries = len(data.X.data) if isinstance(data.X, Csr) else n * d
        if isinstance(data.X, PartedMatrix):
            self.entries = data.X.entries
        self.rows: ColumnRows | None = None
        self.columns: CsrColumns | None = None
        X: Any = data.X
        if isinstance(data.X, Csr) and self._compacts:
            self.columns = CsrColumns.of(data.X, fit_intercept=self.fit_intercept)
            X = self.columns.X
        if self._suited():
            bound = memory_bytes(parameters["max_memory"])
            y = data.y if codes is None else codes == 0
            try:
                rows = engine.place(X, np.asarray(y)[:, np.newaxis], data.sample_weight, max_memory=bound)
            except MemoryError:  # a single fit can do with less
                rows = None
            assert rows is None or isinstance(rows, ColumnRows)
            if rows is not None and (rows.shared_reads or not rows.sparse or not self._shares):
                self.rows = rows
        self._sampler = self._sampler_of(codes, d * data.X.dtype.itemsize)

    _shares = True  # whether columns are worth asking only where they share reads

    @property
    def _compacts(self) -> bool:
        """Whether sparse columns are looked at for those that store nothing or lie far from zero."""
        return self.entries > self.engine.rates.compiled_entries

    def _suited(self) -> bool:
        """Whether X is asked for many columns at once."""
        n, d = self.data.X.shape
        if isinstance(self.data.X, PartedMatrix) and self.data.X.sparse:
            return False
        if isinstance(self.data.X, Csr):
            return self.columns is not None and self.columns.shift is None
        return bool(d <= _MOST_FEATURES and n >= _FEWEST_ROWS * d)

    def _sampler_of(self, codes: NDArray[np.intp] | None, row_bytes: int) -> Sampler:
        s = self.data.sample_weight
        if codes is None:
            return Sampler([(self.data.y, s)], row_bytes)
        # A row's importance is that to all columns together, each with half of it on either side.
        sums = np.bincount(codes, s)
        share = sums / sums.sum()
        if s is None and share.min() >= _RARE:
            return Sampler([(codes == 0, None)], row_bytes)
        rest = 0.5 / (1.0 - share)
        importance = (0.5 / share - rest + rest.sum())[codes]
        return Sampler([(np.ones(len(codes)), importance if s is None else importance * s)], row_bytes)

    def solve(
        self,
        Cs: Float64,
        *,
        Y: NDArray[np.int8] | None = None,
        parts: Parts | None = None,
        start: Float64 | None = None,
        tol: float | None = None,
        exact: bool = True,
        prove: bool = False,
    ) -> ColumnFits:
        """A column for each of Cs (K,), with labels Y (n, K), or y where None, on its parts of the rows.

        start : (p, K), where the columns begin
        tol : the relative suboptimality to stop at; None is the parameter's
        exact : whether a column that is left short of it is fitted again, by itself
        prove : whether certified gaps are worth as much again
        """
        Cs, tol = np.asarray(Cs, dtype=np.float64), self.tol if tol is None else tol
        fits = self._solve_compiled(Cs, Y, parts, tol)
        if fits is None:
            fits = self._solve_blocks(Cs, Y, parts, start, tol, prove)
        short = np.flatnonzero(~(fits.gap <= tol))
        if not exact or len(short) == 0:
            return fits
        # From strong penalties to weak ones: each starts where the one before it ended.
        last: Float64 | None = None
        for k in short[np.argsort(Cs[short], kind="stable")]:
            known = fits.W[:, k] if np.isfinite(fits.gap[k]) or start is not None else last
            if math.isinf(fits.gap[k]) and self.entries <= _COLD:
                known = None
            parameters = {**self.parameters, "C": float(Cs[k]), "tol": tol}
            fit = Fit(self.engine, self._column(k, Y, parts), parameters, known, self.report)
            solution, _ = fit.solve()
            fits.W[:, k], fits.gap[k], fits.kind[k] = solution.W, solution.gap, str(solution.gap_kind)
            fits.n_iter[k] += solution.n_iter
            fits.cost[k] = solution.history.cost[-1]
            fits.trouble[k] = self.trouble_of(solution)
            fits = replace(fits, reads=fits.reads + fit.objective.reads)
            last = solution.W if Y is None and parts is None else None
        return fits

    def trouble_of(self, solution: Solution) -> str:
        """Why it stopped short; and a direction that separates is kept, for a warning that names columns."""
        if solution.separation is None:
            return solution.trouble
        self.separation = solution.separation
        return "its classes are separated and C=inf, so no finite optimum exists. Use a finite C"

    def _column(self, k: int, Y: NDArray[np.int8] | None, parts: Parts | None) -> TrainingData:
        s = self.data.sample_weight
        if parts is not None:
            s = np.ascontiguousarray(parts.only(slice(k, k + 1)).weights(s)[:, 0])
        y = self.data.y if Y is None else np.ascontiguousarray(Y[:, k])
        return replace(self.data, y=y, sample_weight=s)

    @property
    def _compiled(self) -> bool:
        """Whether fits of dense X may go inside the engine, one by one."""
        if isinstance(self.data.X, PartedMatrix):
            return False
        return self.rows is not None and not self.rows.sparse and self.entries <= _COMPILED

    @property
    def starts_help(self) -> bool:
        """Whether ``solve`` makes use of a start."""
        if self._compiled:
            return self.engine.rates.compiled_entries == 0.0
        return self.rows is not None or self.entries > _COLD

    def _solve_compiled(
        self, Cs: Float64, Y: NDArray[np.int8] | None, parts: Parts | None, tol: float
    ) -> ColumnFits | None:
        """Fits of a small dense X inside the engine; None where it offers none."""
        if self.rows is None or not self._compiled:
            return None
        fits = ColumnFits.none(self.rows.n_features, len(Cs))
        reads, penalised = 0.0, np.flatnonzero(np.isfinite(Cs))
        for k in penalised:
            data = with_weight(self._column(int(k), Y, parts))
            rows = self.engine.place(data.X, data.y, data.sample_weight)
            l2 = l2_of(float(Cs[k]), data.weight_unit, rows.weight_sum)
            run = self.engine.small_fit(rows, l2, self.fit_intercept, tol, _MOST_STEPS)
            if run is None and k == penalised[0]:
                return None
            if run is not None:
                fits.W[:, k], fits.cost[k], fits.n_iter[k] = run.W, run.costs[-1], len(run.costs) - 1
                fits.gap[k], fits.kind[k] = relative_gap(run.bound, fits.cost[k]), str(GapKind.CERTIFIED)
            reads += rows.reads
        return replace(fits, reads=reads)

    def _solve_blocks(
        self,
        Cs: Float64,
        Y: NDArray[np.int8] | None,
        parts: Parts | None,
        start: Float64 | None,
        tol: float,
        prove: bool,
    ) -> ColumnFits:
        n, d = self.data.X.shape
        fits = ColumnFits.none(d, len(Cs), start)
        able = np.flatnonzero(np.isfinite(Cs))  # without a penalty, whether there is an optimum is a question
        # A path over sparse X alone is quicker one by one, each from the last: half the reads of each.
        alone = Y is None and parts is None and self.rows is not None and self.rows.sparse
        if self.rows is None or len(able) == 0 or alone:
            return fits
        began = self.rows.reads
        column_bytes = n * (4 if parts is None else 20) + 8 * (d + 1) ** 2
        if self.rows.sparse:
            column_bytes = 9 * n + _VECTORS * 8 * (d + 1)
        blocks = np.array_split(able, -(-len(able) * column_bytes // _MOST_BYTES))
        for k in blocks:
            problem = self._problem(Cs[k], None if Y is None else Y[:, k], parts and parts.only(k))
            if isinstance(problem, SparseColumnProblem):
                assert self.columns is not None
                W = None if start is None else self.columns.inward(start[:, k])
                before = None if Y is not None else _before(Cs[k], None if parts is None else parts.only(k))
                found = solve_columns_cg(
                    problem, W, tol, _MOST_ITERATIONS, self.report, before=before, prove=prove
                )
                fits.W[:, k] = self.columns.outward(found.U)
            else:
                U = None if start is None else problem.coordinates(start[:, k])
                found = self._run(problem, U, tol, prove)
                fits.W[:, k] = problem.original(found.U)
            fits.gap[k] = found.gap
            fits.kind[k[found.certified]] = str(GapKind.CERTIFIED)
            fits.n_iter[k], fits.cost[k] = found.n_iter, found.value
        return replace(fits, reads=self.rows.reads - began)

    def _problem(
        self, Cs: Float64, Y: NDArray[np.int8] | None, parts: Parts | None
    ) -> ColumnProblem | SparseColumnProblem:
        assert self.rows is not None
        data = self.data
        if Y is None:
            Y = np.repeat(np.asarray(data.y, dtype=np.int8)[:, np.newaxis], len(Cs), axis=1)
        Y, s = np.ascontiguousarray(Y), data.sample_weight
        rows = self.rows.around(Targets(Y, s) if parts is None else PartTargets(Y, s, parts))
        l2 = [
            l2_of(C, data.weight_unit, S) for C, S in zip(Cs.tolist(), rows.weight_sum.tolist(), strict=True)
        ]
        if rows.sparse:
            return SparseColumnProblem(rows, np.array(l2), fit_intercept=self.fit_intercept)
        return ColumnProblem(
            rows, np.array(l2), fit_intercept=self.fit_intercept, s=data.sample_weight, parts=parts,
            sampler=self._sampler,
        )  # fmt: skip

    def _run(self, problem: ColumnProblem, U: Float64 | None, tol: float, prove: bool) -> ColumnSolution:
        of = problem, U, tol, _MOST_ITERATIONS, costs_of(problem.rows), self.random, self.report
        with np.errstate(over="ignore", invalid="ignore"):
            return solve_columns(*of, prove=prove)

    def logits(self, W: Float64, rows: NDArray[np.intp]) -> Float64:
        """z of these rows for W (p, K): (m, K)."""
        X, K = self.data.X, W.shape[1]
        if isinstance(X, PartedMatrix):
            return X.logits(self.engine, W, rows)
        bound = memory_bytes(self.parameters["max_memory"])
        if isinstance(X, Csr):
            first, stop = int(rows.min()), int(rows.max()) + 1
            lo, hi = int(X.indptr[first]), int(X.indptr[stop])
            indptr = X.indptr[first : stop + 1] - X.indptr[first]
            near = Csr(X.data[lo:hi], X.indices[lo:hi], indptr, (stop - first, X.shape[1]))
            return np.take(self.engine.logits(near, W), rows - first, axis=0)
        if self.rows is None:  # rows that do not come in columns: one after the other
            every = self.engine.place(X, self.data.y, None, max_memory=bound)
            return np.column_stack([every.logits(W[:, k].copy())[rows] for k in range(K)])
        placed, first, stop = self.rows, int(rows.min()), int(rows.max()) + 1
        if isinstance(X, np.ndarray) and stop - first <= _CLOSE * len(rows):
            some = self.engine.place(X[first:stop], self.data.y[first:stop, np.newaxis], max_memory=bound)
            assert isinstance(some, ColumnRows)
            placed, rows = some, rows - first
        y = np.repeat(placed.targets.y, K, axis=1)
        return np.take(placed.around(Targets(y, None)).logits(W), rows, axis=0)


def with_weight(data: TrainingData) -> TrainingData:
    """Dense data without the rows of weight 0, which would be read for nothing."""
    X, s = data.X, data.sample_weight
    if s is None or s.all() or not isinstance(X, np.ndarray):
        return data
    held = np.flatnonzero(s)
    s = s[held]
    return replace(data, X=X[held], y=data.y[held], sample_weight=None if (s == 1.0).all() else s)


def _before(Cs: Float64, parts: Parts | None) -> NDArray[np.intp]:
    """The column of the next smaller C on the same rows, (K,); −1 where there is none."""
    rows = np.zeros(len(Cs), dtype=np.intp)
    if parts is not None:
        rows = np.unique(parts.times, axis=1, return_inverse=True)[1].ravel()
    before = np.full(len(Cs), -1)
    order = np.lexsort([Cs, rows])
    for last, k in pairwise(order):
        if rows[last] == rows[k] and Cs[last] < Cs[k]:
            before[k] = last
    return before


class OneVsRestFit:
    """Each of K classes against the rest: K binary fits with the same λ, all classes in each read of X."""

    fitter_type: type[ColumnFitter] = ColumnFitter
    solver = "columns"  # the name of what "auto" takes

    def __init__(
        self,
        engine: Engine,
        data: TrainingData,
        parameters: Mapping[str, Any],
        start: Float64 | None,
        report: Report,
    ) -> None:
        """``start`` (K p,) or None, class by class. A solver that is named fits class after class."""
        self.engine, self.data, self.parameters, self.report = engine, data, parameters, report
        self.start = None if start is None else start.reshape(data.n_classes, -1).T
        self.codes = data.y.astype(np.intp)
        first_against_rest = replace(data, y=(self.codes == 0).astype(np.int8), present=None)
        self.fitter = self.fitter_type(engine, first_against_rest, parameters, report, self.codes)

    def solve(self) -> tuple[Solution, str]:
        """W (K p,), class by class, with the largest gap of all classes; and the solver's name."""
        history = History()
        solver = self.parameters["solver"]
        together = solver in ("auto", self.solver)
        fits = self._fits() if together else self._one_by_one()
        worst = int(fits.gap.argmax())
        certified = (fits.kind == str(GapKind.CERTIFIED)).all()
        history.append(float(fits.cost.mean()), math.nan, fits.reads)
        trouble = fits.trouble[worst]
        if trouble:
            trouble = f"class {self.data.classes[worst]!r} against the rest: {trouble}"
        kind = GapKind.CERTIFIED if certified else GapKind.ESTIMATED
        how = int(fits.n_iter.max()), fits.gap[worst], kind, history, trouble, self.fitter.separation
        solution = Solution(fits.W.T.ravel(), *how)
        return solution, self.solver if together else solver

    def _fits(self) -> ColumnFits:
        K, codes, fitter = self.data.n_classes, self.codes, self.fitter
        found = []
        width = max(1, _MOST_BYTES // (4 * len(codes)))
        with self.engine.threads(self.parameters["n_threads"]):
            for first in range(0, K, width):
                classes = np.arange(first, min(first + width, K))
                Y = (codes[:, np.newaxis] == classes).astype(np.int8)
                start = None if self.start is None else np.ascontiguousarray(self.start[:, classes])
                Cs = np.full(len(classes), float(self.parameters["C"]))
                found.append(fitter.solve(Cs, Y=Y, start=start, prove=True))
        return found[0] if len(found) == 1 else ColumnFits.joined(found)

    def _one_by_one(self) -> ColumnFits:
        fits = ColumnFits.none(self.data.X.shape[1], self.data.n_classes)
        reads = 0.0
        for k in range(self.data.n_classes):
            one = replace(self.data, y=(self.data.y == k).astype(np.int8), present=None)
            start = None if self.start is None else self.start[:, k].copy()
            fit = Fit(self.engine, one, self.parameters, start, self.report)
            found, _ = fit.solve()
            fits.W[:, k], fits.gap[k], fits.kind[k] = found.W, found.gap, str(found.gap_kind)
            fits.cost[k], fits.n_iter[k] = found.history.cost[-1], found.n_iter
            fits.trouble[k] = self.fitter.trouble_of(found)
            reads += fit.objective.reads
        return replace(fits, reads=reads)


def leave_one_out(
    engine: Engine, data: TrainingData, parameters: Mapping[str, Any], Cs: Float64, W: Float64
) -> Float64:
    """Every row's logit without the row, approximately: (n, K), for W (p, K), the optima of Cs (K,).

    Raises
    ------
    ValueError
        There are more features than a Hessian is made for, or one is singular.
    """
    n, d = data.X.shape
    if isinstance(data.X, PartedMatrix):
        raise ValueError(
            f"cv='loo' needs a number for every row and C, and {data.X.where} is read in parts; use cv=5"
        )
    if d > _MOST_FEATURES:
        raise ValueError(
            f"cv='loo' needs a Hessian of all {d} features, and is made for {_MOST_FEATURES} at most; "
            "use cv=5"
        )
    Z = np.empty((n, len(Cs)))
    for k, C in enumerate(Cs.tolist()):
        fit = Fit(engine, data, {**parameters, "C": C}, W[:, k], lambda _line: None)
        assert fit.start is not None
        try:
            Z[:, k] = of_one(fit.objective, standardised(fit.objective), fit.start, partial(_some_rows, fit))
        except np.linalg.LinAlgError as error:
            raise ValueError(f"cv='loo' with C={C:g}: {error}; use a smaller C, or cv=5") from None
    return Z


def _some_rows(fit: Fit, start: int, stop: int) -> Float64:
    """These rows of X as the fit holds it, dense."""
    X = fit.X
    if not isinstance(X, Csr):
        taken = fit.rows.take(np.arange(start, stop), slice(0, fit.rows.n_features))
        return np.asarray(taken, dtype=np.float64)
    part = slice(int(X.indptr[start]), int(X.indptr[stop]))
    dense = np.zeros((stop - start, X.shape[1]))
    row = np.repeat(np.arange(stop - start), np.diff(X.indptr[start : stop + 1]))
    dense[row, X.indices[part]] = X.data[part]
    return dense
