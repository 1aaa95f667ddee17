"""linear_probe: how well labels can be read off embeddings by a linear model, by C, on rows held out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import train_test_split
from sklearn.utils import _safe_indexing

from accel_logreg.estimator import LogisticRegression
from accel_logreg.inputs.namespaces import to_numpy
from accel_logreg.interface.arrays import Float64, on_gpu, to_host

_BLOCK = 1 << 22  # entries of X, or of its probabilities, that are held at a time

Progress = Callable[[Sequence[float]], Iterable[float]]


@dataclass(frozen=True)
class ProbePoint:
    """A fit at one C, and how it did on the rows held out."""

    C: float
    accuracy: float  # on the rows held out
    log_loss: float  # there, mean −log a of the true class, in nats
    cost: float  # J on the rows it was trained on, in nats
    gap: float  # (J − J*)/J*, as the estimator's ``gap_``
    gap_kind: str
    reads: float  # of X
    seconds: float  # of the fit


@dataclass(frozen=True)
class ProbeResult:
    """What ``linear_probe`` found; ``str()`` is a table."""

    points: tuple[ProbePoint, ...]  # from the strongest penalty to the weakest
    best: ProbePoint  # of the highest accuracy; of equal ones, that of the strongest penalty
    model: LogisticRegression  # at the best C
    refitted: bool  # whether the model has seen the rows held out as well
    n_train: int
    n_held_out: int

    COLUMNS = ("C", "held-out accuracy", "log loss", "training cost", "gap", "reads", "seconds")

    def rows(self) -> list[tuple[str, ...]]:
        """The table's cells, a row for each C; the best is marked."""
        return [
            (
                f"{p.C:g}{' *' if p is self.best else ''}", f"{p.accuracy:.4f}", f"{p.log_loss:.4f}",
                f"{p.cost:.5g}", f"{p.gap:.0e}{'' if p.gap_kind == 'certified' else ' est.'}",
                f"{p.reads:.1f}", f"{p.seconds:.3g}",
            ) for p in self.points
        ]  # fmt: skip

    def __str__(self) -> str:
        cells = [self.COLUMNS, *self.rows()]
        widths = [max(len(row[j]) for row in cells) for j in range(len(self.COLUMNS))]
        lines = ["  ".join(f"{cell:<{w}}" for cell, w in zip(row, widths, strict=True)) for row in cells]
        return "\n".join(line.rstrip() for line in lines)

    def plot(self, ax: Any = None) -> Any:
        """Held-out accuracy, and log loss on a second axis, by log C, on matplotlib axes, which are returned.

        Needs the extra "lab".
        """
        if ax is None:
            try:
                import matplotlib.pyplot as plt
            except ImportError:
                raise ImportError("a plot needs matplotlib: pip install 'accel_logreg[lab]'") from None
            ax = plt.subplots(layout="constrained")[1]
        Cs = [p.C for p in self.points]
        loss = ax.twinx()
        lines = [
            *ax.plot(Cs, [p.accuracy for p in self.points], "o-", color="#0072B2", label="accuracy"),
            *loss.plot(Cs, [p.log_loss for p in self.points], "s--", color="#D55E00", label="log loss"),
        ]
        lines.append(ax.axvline(self.best.C, color="0.6", lw=1.0, zorder=0, label=f"best C, {self.best.C:g}"))
        ax.set(xscale="log", xlabel="C (log scale)", ylabel=f"accuracy on {self.n_held_out:,} rows held out")
        ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_formatter("")
        loss.set_ylabel("log loss there, nats")
        ax.legend(handles=lines, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False)
        return ax


def linear_probe(
    X: Any,
    y: ArrayLike,
    *,
    Cs: int | Sequence[float] = 9,
    held_out: float = 0.2,
    X_test: Any = None,
    y_test: ArrayLike | None = None,
    refit: bool = True,
    random_state: int = 0,
    progress: Progress = iter,
    **parameters: Any,
) -> ProbeResult:
    """Fit ``LogisticRegression`` for each C, and score it on rows held out.

    X is read as it is: nothing is scaled, and no part of it copied. Rows held out have a weight of 0 in the
    fits, which leaves them out exactly. Each fit starts from the one before, from strong to weak penalty.

    Parameters
    ----------
    X : (n, d), as ``LogisticRegression.fit`` takes it; best C-contiguous float32 or float64
    y : (n,) of K ≥ 2 classes
    Cs : int or sequence of float
        Finite numbers above 0, or how many of them from 1e-4 to 1e4, at equal ratios.
    held_out : float
        The share of the rows to score on, every class alike; a class of one row is trained on.
    X_test, y_test : (m, d), (m,)
        Rows to score on instead; X is then trained on whole.
    refit : bool
        Whether ``model`` is fitted to all rows of X at the best C, those held out as well.
    random_state : int
        Of the split and of the model.
    progress : function of the Cs that iterates over them
        Such as ``tqdm.tqdm`` or ``rich.progress.track``.
    **parameters
        Of ``LogisticRegression``, but for C and warm_start.

    Raises
    ------
    ValueError, TypeError
        A parameter or the data are not allowed.
    """
    grid = _grid(Cs)
    X, X_test = (rows if on_gpu(rows) else to_numpy(rows) for rows in (X, X_test))
    labels: NDArray[Any] = np.asarray(to_numpy(y))
    if labels.ndim != 1 or len(labels) != X.shape[0]:
        raise ValueError(f"y has shape {labels.shape}; it must be ({X.shape[0]},), a label for each row of X")
    if (X_test is None) != (y_test is None):
        raise ValueError("X_test and y_test go together: pass both, or neither and held_out")
    weights: NDArray[np.bool_] | None = None
    if X_test is None:
        held, asked = _held_out(labels, held_out, random_state), X
        weights = np.ones(len(labels), dtype=np.bool_)
        weights[held] = False
        truth = labels[held]
    else:
        asked, truth = X_test, np.asarray(to_numpy(y_test))
        if truth.shape != (asked.shape[0],) or asked.shape[1] != X.shape[1]:
            raise ValueError(
                f"X_test has shape {tuple(asked.shape)} and y_test {truth.shape}; they must be (m, "
                f"{X.shape[1]}) and (m,), columns as X has"
            )
        unknown = np.setdiff1d(truth, labels)
        if len(unknown):
            raise ValueError(
                f"y_test has the class {unknown.tolist()[0]!r}, which y has not; leave its rows out"
            )
        held = np.arange(len(truth))
    model = LogisticRegression(warm_start=True, random_state=random_state, **parameters)
    points: list[ProbePoint] = []
    best, best_model = None, model
    for C in progress(grid):
        began = time.perf_counter()
        model.set_params(C=C).fit(X, labels, weights)
        seconds = time.perf_counter() - began
        last = {name: float(values[-1]) for name, values in model.history_.items()}
        scores = _scores(model, asked, held, truth)
        points.append(
            ProbePoint(C, *scores, last["cost"], model.gap_, model.gap_kind_, last["reads"], seconds)
        )
        if best is None or points[-1].accuracy > best.accuracy:
            best, best_model = points[-1], copy(model)
    assert best is not None
    again = refit and weights is not None
    if again:
        best_model.fit(X, labels)
    best_model.set_params(warm_start=False)
    n_train = len(labels) if weights is None else int(np.count_nonzero(weights))
    return ProbeResult(tuple(points), best, best_model, again, n_train, len(truth))


def _grid(Cs: int | Sequence[float]) -> list[float]:
    """From strong to weak penalty, each once."""
    if isinstance(Cs, int | np.integer):
        if isinstance(Cs, bool) or Cs < 1:
            raise ValueError(
                f"Cs={Cs!r} must be a count of at least 1, or numbers above 0 such as [0.01, 1.0]"
            )
        return [1.0] if Cs == 1 else np.logspace(-4.0, 4.0, int(Cs)).tolist()
    grid = np.asarray(Cs)
    if grid.ndim != 1 or grid.size == 0 or grid.dtype.kind not in "iuf":
        raise ValueError(f"Cs={Cs!r} must be a count, or one or more numbers above 0 such as [0.01, 1.0]")
    wrong = grid[~(np.isfinite(grid) & (grid > 0))]
    if len(wrong):
        raise ValueError(
            f"Cs holds {float(wrong[0])!r}; each must be finite and above 0. For no penalty use "
            "LogisticRegression(C=float('inf'))"
        )
    ordered: list[float] = np.unique(grid.astype(np.float64)).tolist()
    return ordered


def _held_out(y: NDArray[Any], share: float, random_state: int) -> NDArray[np.intp]:
    """Rows, in order, of every class alike by scikit-learn's split; each class keeps a row to train on."""
    if not 0.0 < share < 1.0:
        raise ValueError(f"held_out={share!r} must be a share of the rows between 0 and 1, such as 0.2")
    _, first, codes, counts = np.unique(y, return_index=True, return_inverse=True, return_counts=True)
    several = np.flatnonzero(counts[codes] > 1)
    K, n, m = int(np.count_nonzero(counts > 1)), int(np.ceil(share * len(several))), len(several)
    if not 0 < K <= n <= m - K:
        raise ValueError(
            f"held_out={share} of {m} rows is {n}, and {m - n} are left to train on; each must be at least "
            f"{K}, the classes of two rows and more. Choose another share, or pass X_test and y_test"
        )
    held: NDArray[np.intp] = train_test_split(
        several, test_size=n, stratify=codes[several], random_state=random_state
    )[1]
    lost = np.setdiff1d(codes, np.delete(codes, held))
    return np.setdiff1d(held, first[lost])


def _scores(
    model: LogisticRegression, X: Any, rows: NDArray[np.intp], y: NDArray[Any]
) -> tuple[float, float]:
    """Accuracy, and mean −log a of the true class, on these rows of X, whose labels are y."""
    own = np.searchsorted(model.classes_, y)
    right = loss = 0.0
    for part in _blocks(len(rows), max(X.shape[1], len(model.classes_))):
        log_a: Float64 = to_host(model.predict_log_proba(_safe_indexing(X, rows[part])))
        right += float(np.count_nonzero(log_a.argmax(axis=1) == own[part]))
        loss -= float(np.take_along_axis(log_a, own[part, np.newaxis], axis=1).sum())
    return right / len(rows), loss / len(rows)


def _blocks(n: int, width: int) -> Iterator[slice]:
    step = max(1, _BLOCK // width)
    return (slice(first, first + step) for first in range(0, n, step))
