"""A question to rows that are a sum over parts: what each part is asked, alone, wherever it lies."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from accel_logreg.backends.parted.tree import TreeSum
from accel_logreg.interface.arrays import Csr, Float64, Matrix
from accel_logreg.interface.engine import Engine
from accel_logreg.interface.rows import Rows
from accel_logreg.interface.targets import Targets


@dataclass(frozen=True)
class Question:
    """What rows are asked for; it may be asked in another process, and twice.

    name : the field's word for it, which a dashboard shows
    means : of Rows, arrays that are means over the rows, their last axis K if any is
    most : of Rows, a number of which the largest counts; asked after ``means``
    """

    name: str
    means: Callable[[Rows], tuple[Any, ...]] = lambda _rows: ()
    most: Callable[[Rows], float] = lambda _rows: 0.0


@dataclass(frozen=True)
class Term:
    """A part's answer: its means times its share of the weight, one after the other, and the number."""

    values: Float64
    shapes: list[tuple[int, ...]]
    most: float


def answer(engine: Engine, X: Matrix | Csr, targets: Targets, share: Any, question: Question) -> Term | None:
    """What one part answers; None without weight."""
    if not np.any(share > 0.0):
        return None
    rows = engine.place_targets(X, targets)
    with np.errstate(invalid="ignore"):
        means = [np.asarray(mean) * share for mean in question.means(rows)]
    if np.any(share == 0.0):  # of some columns: a mean of nothing
        means = [np.where(share > 0.0, mean, 0.0) for mean in means]
    values = np.concatenate([mean.ravel() for mean in means]) if means else np.empty(0)
    return Term(values, [mean.shape for mean in means], float(question.most(rows)))


def added(terms: Iterable[Term | None]) -> tuple[tuple[Any, ...], float]:
    """The means over all parts, whose terms come in their order, and the largest number of all."""
    shapes: list[tuple[int, ...]] = []
    total, most = TreeSum(), 0.0
    for term in terms:
        if term is None:
            total.add(np.zeros(1))  # it is broadcast over the others
            continue
        shapes, most = term.shapes, max(most, term.most)
        total.add(term.values)
    if not shapes:
        return (), most
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    pieces = np.split(total.total(), ends[:-1])
    return tuple(piece.reshape(shape) for piece, shape in zip(pieces, shapes, strict=True)), most
