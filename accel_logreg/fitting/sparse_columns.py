"""Many fits with exact zeros of one X: each penalty starts where the one before it ended, with the same
columns at hand, and all folds or classes are asked about in the same reads.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from accel_logreg.fitting.binary import costs_of, l2_of
from accel_logreg.fitting.columns import ColumnFits, ColumnFitter, OneVsRestFit, with_weight
from accel_logreg.fitting.sparse import (
    NAME,
    check_factor,
    elastic_net,
    fit_of,
    largest_strength,
    small_solution,
)
from accel_logreg.inputs.parameters import check_parameters
from accel_logreg.interface.arrays import Float64
from accel_logreg.interface.columns import ColumnRows
from accel_logreg.interface.parts import Parts, PartTargets
from accel_logreg.interface.targets import Targets
from accel_logreg.problem.composite import Composite
from accel_logreg.problem.coordinates import Coordinates, root_mean_squares, standardised
from accel_logreg.problem.objective import Objective
from accel_logreg.solvers.problem import Budget, History, Solution, require_finite
from accel_logreg.solvers.proximal import Reached
from accel_logreg.solvers.working_sets import WorkingSet, from_sample, solution_of, solving

_MAX_ITER = 200
_MOST_BYTES = 1 << 31  # of copied columns and of labels at a time: more sequences go one block after another
_COMPILED = 200_000  # entries of dense X up to which fits inside the engine, one by one, are quickest
_COPIED = 0.25  # of X, about, that the columns at hand of a sequence take

Asking = Generator[Float64, tuple[float, Float64], None]


@dataclass
class _Sequence:
    """Fits of the same rows and labels, from the strongest penalty to the weakest."""

    smooth: Coordinates
    least_share: float
    columns: NDArray[np.intp]
    strengths: Float64
    start: Float64 | None


class SparseColumnFitter(ColumnFitter):
    """As ``ColumnFitter``, for penalties with kinks. One column alone is asked by itself."""

    starts_help = False
    _compacts = True
    _shares = False
    _scales: tuple[Float64, Float64] | None = None  # of X's columns

    def _suited(self) -> bool:
        check_factor(self.parameters, self.data.X.shape[1])
        return True

    def solve(
        self,
        Cs: Float64,
        *,
        Y: NDArray[np.int8] | None = None,
        parts: Parts | None = None,
        start: Float64 | None = None,
        tol: float | None = None,
        exact: bool = True,  # noqa: ARG002
        prove: bool = False,  # noqa: ARG002
    ) -> ColumnFits:
        Cs = np.asarray(Cs, dtype=np.float64)
        tol = self.tol if tol is None else tol
        fits = ColumnFits.none(self.data.X.shape[1], len(Cs), start)
        alone = np.isinf(Cs) | (self.rows is None)  # without a penalty, or where columns do not fit a device
        self.reads_by_themselves = 0.0
        for k in np.flatnonzero(alone).tolist():
            W = None if start is None else start[:, k].copy()
            self._alone(k, float(Cs[k]), Y, parts, W, tol, fits)
        if self.rows is None:
            return replace(fits, reads=self.reads_by_themselves)
        began, budget = self.rows.reads, self._budget(tol)
        groups = [
            group
            for group in _groups(Cs, Y, parts, np.flatnonzero(~alone))
            if not self._small(group, Cs, Y, parts, start, budget, fits)
        ]
        n = self.data.X.shape[0]
        room = max(1, int(_MOST_BYTES / (_COPIED * self.data.X.nbytes + 9 * n)))
        for first in range(0, len(groups), room):
            some = groups[first : first + room]
            rows = self._rows_of([int(group[0]) for group in some], Y, parts)
            sequences = [self._sequence(rows, i, Cs[k], k, start) for i, k in enumerate(some)]
            self._side_by_side(sequences, rows, budget, fits)
        return replace(fits, reads=self.rows.reads - began + self.reads_by_themselves)

    def _alone(
        self,
        k: int,
        C: float,
        Y: NDArray[np.int8] | None,
        parts: Parts | None,
        start: Float64 | None,
        tol: float,
        fits: ColumnFits,
    ) -> None:
        """One of them, as a single fit would be."""
        parameters = {**self.parameters, "C": C, "tol": tol}
        check_parameters(parameters)
        fit = fit_of(2, parameters)(self.engine, self._column(k, Y, parts), parameters, start, self.report)
        found, _ = fit.solve()
        _record(fits, k, found, found.W)
        fits.trouble[k] = self.trouble_of(found)
        self.reads_by_themselves += fit.objective.reads

    def _small(
        self,
        columns: NDArray[np.intp],
        Cs: Float64,
        Y: NDArray[np.int8] | None,
        parts: Parts | None,
        start: Float64 | None,
        budget: Budget,
        fits: ColumnFits,
    ) -> bool:
        """Whether the engine's own loop has made these fits, each from the one before."""
        if self.entries > _COMPILED or self.columns is not None:
            return False
        data = with_weight(self._column(int(columns[0]), Y, parts))
        rows = self.engine.place(data.X, data.y, data.sample_weight)
        ones, W = np.ones(rows.n_features), Objective(rows, fit_intercept=self.fit_intercept).trivial()[0]
        W = W if start is None else start[:, columns[0]].copy()
        for k in columns.tolist():
            l2 = l2_of(float(Cs[k]), data.weight_unit, rows.weight_sum)
            net = elastic_net(self.parameters, l2, ones)
            found = small_solution(
                self.engine, rows, net, W, self.fit_intercept, budget.tol, self.parameters["max_iter"]
            )
            if found is None:
                return False
            W = found.W
            _record(fits, k, found, W)
        self.reads_by_themselves += rows.reads
        return True

    def largest_strength(self) -> float:
        """The smallest λ under which all penalised weights are 0 at the optimum, of all rows."""
        rows = self._rows_of([0], None, None)
        sequence = self._sequence(rows, 0, np.ones(1), np.zeros(1, dtype=np.intp), None)
        return largest_strength(
            lambda strength: self._problem_of(sequence, strength),
            sequence.smooth.trivial()[0],
            self._budget(self.tol),
        )

    def _problem_of(self, sequence: _Sequence, strength: float) -> Composite:
        smooth = sequence.smooth
        net = elastic_net(self.parameters, strength, smooth.scales[1], self._used)
        return Composite(smooth, net, sequence.least_share)

    def _budget(self, tol: float) -> Budget:
        assert self.rows is not None
        max_iter, seed = self.parameters["max_iter"], self.parameters["random_state"]
        return Budget(
            tol=tol,
            max_iter=_MAX_ITER if max_iter is None else max_iter,
            costs=costs_of(self.rows),
            random_state=0 if seed is None else seed,
            report=self.report,
        )

    @property
    def _used(self) -> NDArray[np.intp] | None:
        return None if self.columns is None else self.columns.used

    def _rows_of(self, columns: list[int], Y: NDArray[np.int8] | None, parts: Parts | None) -> ColumnRows:
        """Rows of one column a sequence, over the X that is placed."""
        assert self.rows is not None
        s = self.data.sample_weight
        if Y is None:
            y = np.repeat(np.asarray(self.data.y, dtype=np.int8)[:, np.newaxis], len(columns), axis=1)
        else:
            y = Y[:, columns]
        y = np.ascontiguousarray(y)
        return self.rows.around(
            Targets(y, s) if parts is None else PartTargets(y, s, parts.only(np.array(columns)))
        )

    def _sequence(
        self, rows: ColumnRows, i: int, Cs: Float64, columns: NDArray[np.intp], start: Float64 | None
    ) -> _Sequence:
        of_one = rows.problem(i)
        objective = Objective(of_one, fit_intercept=self.fit_intercept)
        if self._scales is None:
            sparse = objective.sparse
            self._scales = root_mean_squares(objective) if sparse else standardised(objective).scales
        smooth = Coordinates(objective, *self._scales)
        unit, S = self.data.weight_unit, of_one.weight_sum
        strengths = np.array([l2_of(C, unit, S) for C in Cs.tolist()])
        first = None
        if start is not None:
            W = start[:, columns[0]]
            first = smooth.coordinates(W if self.columns is None else self.columns.inward(W))
        share = float(of_one.targets.label_shares().min())
        return _Sequence(smooth, share, columns, strengths, first)

    def _side_by_side(
        self, sequences: list[_Sequence], rows: ColumnRows, budget: Budget, fits: ColumnFits
    ) -> None:
        """All of them side by side: what they ask at a time is answered by one read."""
        asking = {i: self._path(sequence, budget, fits) for i, sequence in enumerate(sequences)}
        questions = {i: next(path) for i, path in asking.items()}
        while questions:
            answers = self._answers(sequences, rows, questions)
            for i, answer in answers.items():
                try:
                    questions[i] = asking[i].send(answer)
                except StopIteration:
                    del questions[i]

    def _answers(
        self, sequences: list[_Sequence], rows: ColumnRows, questions: dict[int, Float64]
    ) -> dict[int, tuple[float, Float64]]:
        if len(questions) == 1 or not rows.shared_reads:
            return {i: sequences[i].smooth.value_grad(U) for i, U in questions.items()}
        of = np.array(list(questions))
        W = np.column_stack([sequences[i].smooth.original(U) for i, U in questions.items()])
        losses, gradients = (rows if len(of) == rows.n_columns else rows.only(of)).loss_grad(W)
        if not self.fit_intercept:
            gradients[-1] = 0.0
        return {
            i: (float(losses[k]), sequences[i].smooth.pulled_back(np.ascontiguousarray(gradients[:, k])))
            for k, i in enumerate(questions)
        }

    def _path(self, sequence: _Sequence, budget: Budget, fits: ColumnFits) -> Asking:
        """One sequence's fits, asking for the loss and its gradient over all columns at what it yields."""
        smooth = sequence.smooth
        held, reached = WorkingSet.none(), None
        for k, strength in zip(sequence.columns.tolist(), sequence.strengths.tolist(), strict=True):
            problem = self._problem_of(sequence, strength)
            if reached is None:
                U = smooth.trivial()[0] if sequence.start is None else sequence.start
                if len(sequence.columns) == 1 and sequence.start is None:
                    U = from_sample(problem, U, budget)
                loss, gradient = yield U
                require_finite(loss, gradient)
                reached = Reached(U, loss, gradient)
            history = History()
            reached = yield from solving(problem, reached, budget, history, held)
            found = solution_of(problem, reached, budget, history)
            W = smooth.original(found.W)
            _record(fits, k, found, W if self.columns is None else self.columns.outward(W))


def _record(fits: ColumnFits, k: int, found: Solution, W: Float64) -> None:
    fits.W[:, k], fits.trouble[k] = W, found.trouble
    fits.gap[k], fits.kind[k] = found.gap, str(found.gap_kind)
    fits.n_iter[k], fits.cost[k] = found.n_iter, found.history.cost[-1]


class SparseOneVsRestFit(OneVsRestFit):
    """Each of K classes against the rest, with exact zeros."""

    fitter_type = SparseColumnFitter
    solver = NAME


def _groups(
    Cs: Float64, Y: NDArray[np.int8] | None, parts: Parts | None, columns: NDArray[np.intp]
) -> list[NDArray[np.intp]]:
    """These columns by labels and rows, each group from the smallest C to the largest."""
    if Y is not None or len(columns) == 0:
        return [np.array([k]) for k in columns]
    rows = np.zeros(len(Cs), dtype=np.intp)
    if parts is not None:
        rows = np.unique(parts.times, axis=1, return_inverse=True)[1].ravel()
    order = columns[np.lexsort([Cs[columns], rows[columns]])]
    return np.split(order, np.flatnonzero(np.diff(rows[order])) + 1)
