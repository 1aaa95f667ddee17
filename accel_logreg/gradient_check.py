"""check_gradient: every engine's gradient against the backward graph and central differences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from accel_logreg.backends import BACKENDS, available_backends, load_backend
from accel_logreg.estimator import LogisticRegression
from accel_logreg.inputs.training import check_training_data
from accel_logreg.interface.arrays import Float64, to_host
from accel_logreg.interface.rows import Rows
from accel_logreg.kernels.python_loop import classes as python_classes
from accel_logreg.kernels.python_loop import dense as python_loop

_DIFFERENCES = 50  # entries of the gradient checked by differences; each costs four passes
_STEP = 1e-3


@dataclass(frozen=True)
class EngineError:
    """Largest errors of one engine's gradient, relative to the gradient's largest entry.

    error_backward_graph : against da, dz, dw, db composed row by row in the Python loop
    error_central_differences : against five-point differences of the engine's own loss
    """

    backend: str
    dtype: str
    error_backward_graph: float
    error_central_differences: float


@dataclass(frozen=True)
class GradientCheck:
    """What ``check_gradient`` found, an EngineError an engine; ``str()`` is a table."""

    engines: list[EngineError]
    n_rows: int
    n_features: int

    @property
    def largest(self) -> float:
        """The largest relative error of all."""
        return max(max(e.error_backward_graph, e.error_central_differences) for e in self.engines)

    def __str__(self) -> str:
        head = f"{'engine':8} {'dtype':8} {'backward graph':>15} {'central differences':>20}"
        lines = [
            f"{e.backend:8} {e.dtype:8} {e.error_backward_graph:15.2e} {e.error_central_differences:20.2e}"
            for e in self.engines
        ]
        return "\n".join(
            [f"largest relative error of the gradient, X ({self.n_rows}, {self.n_features})", head, *lines]
        )


def check_gradient(
    X: Any,
    y: Any,
    *,
    backend: str | None = None,
    sample_weight: ArrayLike | None = None,
    random_state: int = 0,
    verbose: bool = True,
) -> GradientCheck:
    """Compare gradients at a random point where |z| stays below about 5, and print the errors.

    Parameters
    ----------
    X : (n, d) float32 or float64; from a GPU it is copied to the host, where every engine can take it
    y : (n,) of two classes, or of more for the gradient of the softmax
    backend : an engine's name, or None for every engine that can run here
    sample_weight : (n,), optional
    random_state : int
        Seeds the point, and the entries checked by differences when d is large.
    verbose : bool
        False prints nothing; the result's ``str()`` is the table.

    Raises
    ------
    BackendUnavailableError
        ``backend`` is named and cannot run here.
    """
    names = available_backends() if backend is None else [backend]
    if backend is not None and backend not in BACKENDS:
        raise ValueError(f"backend={backend!r} is unknown; allowed: None, {', '.join(map(repr, BACKENDS))}")
    engine = load_backend(names[0])  # any: X is on the host
    data = check_training_data(LogisticRegression(), engine, to_host(X), y, sample_weight, None)
    if not isinstance(data.X, np.ndarray):
        raise TypeError("check_gradient takes a dense X; pass X.toarray(), or some of its rows")
    generator = np.random.default_rng(random_state)
    K = data.n_classes if len(data.classes) > 2 else None
    W = generator.standard_normal((data.X.shape[1] + 1, *(() if K is None else (K,))))
    largest_row = float(np.sqrt(np.einsum("ij,ij->i", data.X, data.X, dtype=np.float64).max()))
    W[:-1] *= 1.0 / max(largest_row, 1.0)  # zᵢ ~ N(0, ≤ 2): a and 1 − a keep their digits in da
    s = [1.0] * len(data.y) if data.sample_weight is None else data.sample_weight.tolist()
    backward = _backward_graph if K is None else _backward_graph_of_classes
    expected = backward(data.X.tolist(), data.y.tolist(), s, W)
    entries = generator.permutation(W.size)[:_DIFFERENCES]
    # A difference step changes z by about 1e-3 whatever the scale of the column.
    steps = np.full(W.shape, _STEP / max(largest_row, 1e-300))
    steps[-1] = _STEP
    engines = []
    for name in names:
        engine = load_backend(name)
        with engine.threads(None):
            rows = engine.place(data.X, data.y, data.sample_weight, n_classes=K)
            _, gradient = rows.loss_grad(W)
            differences = np.array([_five_point(rows, W, j, steps.flat[j]) for j in entries])
        scale = float(np.abs(expected).max()) or 1.0
        engines.append(
            EngineError(
                name,
                str(data.X.dtype),
                float(np.abs(gradient - expected).max()) / scale,
                float(np.abs(differences - gradient.ravel()[entries]).max()) / scale,
            )
        )
    result = GradientCheck(engines, *data.X.shape)
    if verbose:
        print(result)
    return result


def _backward_graph(X: list[list[float]], y: list[float], s: list[float], W: Float64) -> Float64:
    """dw and db by the chain rule as the lesson draws it: dz = da · a(1 − a), then dw, db."""
    *w, b = W.tolist()
    dz = []
    for row, label in zip(X, y, strict=True):
        a = python_loop.sigmoid(python_loop.linear(row, w, b))
        dz.append(python_loop.backward_da(a, label) * a * (1.0 - a))
    return np.array([*python_loop.backward_dw(X, dz, s), python_loop.backward_db(dz, s)])


def _backward_graph_of_classes(X: list[list[float]], y: list[int], s: list[float], W: Float64) -> Float64:
    """The same for W (p, K): da, back through the softmax to dz, then each class's dw and db."""
    w, b = W[:-1].T.tolist(), W[-1].tolist()
    slopes = []
    for row, label in zip(X, y, strict=True):
        a = python_classes.softmax(python_classes.logits(row, w, b))
        slopes.append(python_classes.backward_softmax(a, python_classes.backward_da(a, label)))
    dzs = np.transpose(slopes).tolist()
    dw = [python_loop.backward_dw(X, dz, s) for dz in dzs]
    return np.array([*np.transpose(dw), [python_loop.backward_db(dz, s) for dz in dzs]])


def _five_point(rows: Rows, W: Float64, j: int, h: float) -> float:
    """∂J/∂Wⱼ ≈ (8 (J₊₁ − J₋₁) − (J₊₂ − J₋₂)) / 12h, error O(h⁴)."""

    def loss(k: int) -> float:
        moved = W.copy()
        moved.flat[j] += k * h
        return float(rows.loss_grad(moved)[0])

    return (8.0 * (loss(1) - loss(-1)) - (loss(2) - loss(-2))) / (12.0 * h)
