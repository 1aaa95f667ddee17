"""Launches the kernels of columns/columns.cu: K problems that share an X in device memory.

n rows, d features, p = d + 1 with the intercept last. W, V and every answer are host float64 (p, K). A
question is one copy to the device, two launches for as many columns as one read serves, and one copy back.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from accel_logreg.kernels.cupy_fused.columns.plan import ColumnsPlan, columns_shared_bytes, plan_columns_pass
from accel_logreg.kernels.cupy_fused.dense.launch import (
    GRADIENT,
    HESSIAN_PRODUCT,
    Float64,
    Question,
    reduce_partials,
)
from accel_logreg.kernels.cupy_fused.dense.plan import Limits
from accel_logreg.kernels.cupy_fused.launching import Device


class ColumnsPlans:
    """How both questions are cut for one shape."""

    def __init__(self, gradient: ColumnsPlan, product: ColumnsPlan) -> None:
        self._plans = {GRADIENT.dots: gradient, HESSIAN_PRODUCT.dots: product}

    def of(self, question: Question) -> ColumnsPlan:
        return self._plans[question.dots]

    def all(self) -> list[ColumnsPlan]:
        return list(self._plans.values())


def plan_questions(n: int, d: int, n_columns: int, itemsize: int, limits: Limits) -> ColumnsPlans | None:
    """None where a row is too long for shared memory."""
    gradient = plan_columns_pass(n, d, n_columns, itemsize, GRADIENT.dots, limits)
    product = plan_columns_pass(n, d, n_columns, itemsize, HESSIAN_PRODUCT.dots, limits)
    return None if gradient is None or product is None else ColumnsPlans(gradient, product)


class ResidentColumns:
    """X (n, d) on the device with Y (n, K) int8, and s None, (n,) or (n, K), which are copied to it."""

    def __init__(
        self,
        device: Device,
        X: Any,
        Y: NDArray[np.int8],
        s: Float64 | None,
        weight_sums: Float64,
        plans: ColumnsPlans,
    ) -> None:
        self.device, self.X, self.plans = device, X, plans
        self.n, self.d = int(X.shape[0]), int(X.shape[1])
        self.n_columns = Y.shape[1]
        self.dtype = np.dtype(X.dtype)
        self.weight_sums = weight_sums
        self._Y = device.upload(Y.reshape(-1))
        self._s = None if s is None else device.upload(s.reshape(-1))
        self._own_weights = s is not None and s.ndim == 2
        self._partials = device.empty(max(plan.cut.blocks * plan.kept for plan in plans.all()) * (self.d + 2))

    def ask(self, question: Question, *vectors: Float64) -> Float64:
        """(K, d + 2): every column's sums, the factors' sum, and the loss, each divided by the column's S."""
        plan = self.plans.of(question)
        panels = [self.device.upload(_panels(W, plan.padded)) for W in vectors]
        answer = self.device.empty(self.n_columns * (self.d + 2))
        for first, columns in plan.passes():
            self._launch(question, plan, panels, first, columns)
            size = columns * (self.d + 2)
            out = answer[first * (self.d + 2) : first * (self.d + 2) + size]
            reduce_partials(self.device, self._partials, plan.cut.blocks, size, 1.0, out)
        host = self.device.download(answer).reshape(self.n_columns, self.d + 2)
        return host / self.weight_sums[:, np.newaxis]

    def _launch(
        self, question: Question, plan: ColumnsPlan, panels: list[Any], first: int, columns: int
    ) -> None:
        cut, p, K = plan.cut, self.d + 1, self.n_columns
        W, V = (*(panel[first * p :] for panel in panels), None)[:2]
        s = self._s if self._s is None or not self._own_weights else self._s[first:]
        steps = (
            (np.int64(K), np.int64(K), np.int32(1))
            if self._own_weights
            else (np.int64(K), np.int64(1), np.int32(0))
        )
        sizes = np.int64(self.n), np.int32(self.d), np.int32(columns)
        tiles = np.int64(cut.chunk_rows), np.int32(cut.tile_rows), np.int32(cut.lanes), np.int32(cut.stages)
        args = (self.X, self._Y[first:], s, W, V, *sizes, *steps, *tiles, self._partials)
        shared = columns_shared_bytes(
            cut.threads,
            self.d,
            plan.width,
            columns,
            self.dtype.itemsize,
            question.dots,
            cut.tile_rows,
            cut.lanes,
            cut.stages,
        )
        kernel = f"{question.fused}_columns{plan.width}_{self.dtype.name}"
        self.device.launch(kernel, (cut.blocks,), cut.threads, shared, args)


def loss_grad(data: ResidentColumns, W: Float64) -> tuple[Float64, Float64]:
    """Every column's J (K,), and its gradient (p, K)."""
    answer = data.ask(GRADIENT, W)
    return answer[:, -1].copy(), np.ascontiguousarray(answer[:, :-1].T)


def hessian_product(data: ResidentColumns, W: Float64, V: Float64) -> Float64:
    """Every column's Hessian at W times V, (p, K)."""
    return np.ascontiguousarray(data.ask(HESSIAN_PRODUCT, W, V)[:, :-1].T)


def _panels(W: Float64, padded: int) -> Float64:
    """W (p, K) as (padded, p), flat, zero where there is no column."""
    panels = np.zeros((padded, W.shape[0]))
    panels[: W.shape[1]] = W.T
    return panels.reshape(-1)
