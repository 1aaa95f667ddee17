"""A fit with an offset: what differs from one without (binary.py)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from accel_logreg.fitting.binary import Fit
from accel_logreg.fitting.sparse import has_kinks
from accel_logreg.inputs.memory_size import memory_bytes
from accel_logreg.inputs.training import TrainingData
from accel_logreg.interface.arrays import Float64, to_host
from accel_logreg.interface.device_matrix import DeviceMatrix
from accel_logreg.interface.engine import Engine
from accel_logreg.interface.parted_matrix import PartedMatrix
from accel_logreg.problem.coordinates import Coordinates, sparse_scales, standardised
from accel_logreg.problem.objective import Objective
from accel_logreg.problem.offset import OffsetObjective, OffsetRows, with_column
from accel_logreg.solvers.choose import Choice
from accel_logreg.solvers.problem import NewtonProblem, Report, Solution

_SOLVERS = ("auto", "newton", "newton-cg", "lbfgs")


def offset_fit(data: TrainingData, parameters: Mapping[str, Any], offset: Any) -> Callable[..., OffsetFit]:
    """What makes a fit with this offset, which is checked: (n,) finite numbers, wherever they lie.

    Raises
    ------
    ValueError
        The offset is not allowed, or a fit with one is not what the parameters or the labels ask for.
    """
    n, found = data.X.shape[0], np.asarray(to_host(offset))
    if found.shape != (n,) or found.dtype.kind not in "biuf":
        raise ValueError(
            f"offset has shape {found.shape} and dtype {found.dtype}; it must be ({n},) numbers, one a row"
        )
    o: Float64 = found.astype(np.float64)
    if not np.isfinite(o).all():
        row = int(np.argmin(np.isfinite(o)))
        raise ValueError(f"offset[{row}] is {o[row]}; it must be finite. Leave the row out")
    why = ""
    if len(data.classes) > 2:
        why = f"y has {len(data.classes)} classes, and an offset is for two"
    elif isinstance(data.X, DeviceMatrix):
        why = "X lies on a GPU; pass a host array, for a fit with an offset copies it with a column more"
    elif isinstance(data.X, PartedMatrix):
        why = f"{data.X.where} is read in parts, and a fit with an offset copies X with a column more"
    elif has_kinks(parameters):
        why = "the penalty is not L2 alone; leave l1_ratio, penalty_factor and positive out"
    elif parameters["solver"] not in _SOLVERS:
        why = f"solver={parameters['solver']!r} knows of none; use one of {', '.join(map(repr, _SOLVERS))}"
    if why:
        raise ValueError(f"offset is given, and {why}")
    return partial(OffsetFit, offset=o)


class OffsetFit(Fit):
    """One fit of two classes whose logits have ``offset`` (n,) added. X is copied, with a column more."""

    rows: OffsetRows

    def __init__(
        self,
        engine: Engine,
        data: TrainingData,
        parameters: Mapping[str, Any],
        start: Float64 | None,
        report: Report,
        *,
        offset: Float64,
    ) -> None:
        self.offset = offset
        super().__init__(engine, data, parameters, start, report)

    def _objective(self, data: TrainingData) -> OffsetObjective:
        assert not isinstance(self.X, (DeviceMatrix, PartedMatrix))
        X, bound = with_column(self.X, self.offset), memory_bytes(self.parameters["max_memory"])
        rows = OffsetRows(self.engine.place(X, data.y, data.sample_weight, max_memory=bound))
        return OffsetObjective(rows, **self._penalty(data, rows))

    def _standardised(self) -> NewtonProblem:
        """In the columns' own spreads: at no weights an offset makes the rows' curvatures what they like."""
        if not self.objective.sparse:
            return standardised(self.objective)
        plain = Objective(
            self.rows.without(), l2=self.objective.l2, fit_intercept=self.objective.fit_intercept
        )
        return Coordinates(self.objective, *sparse_scales(plain, plain.trivial()[0], plain.l2))

    def _choice(self) -> Choice:
        """newton or newton-cg: among the rows nobody knows of an offset."""
        choice = super()._choice()
        names = [name for name in (choice.solver, *choice.others) if name != "newton-gram"]
        if choice.solver == names[0]:
            return replace(choice, others=tuple(names[1:]))
        return Choice(names[0], "an offset", choice.seconds, choice.reads, tuple(names[1:]))

    def _small_fit(self, max_iter: int) -> Solution | None:  # noqa: ARG002
        return None
