"""What is estimated is enough: problems of any shape on devices of any size, and an account of every byte.

Kernels are not run here, so hundreds of problems take seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from support.cuda_host.host_device import NO_DRIVER
from support.cuda_host.queues import QueueingDevice

from accel_logreg.backends.cupy_fused.device.stream_plan import (
    hessian_block_bytes,
    planned_bytes,
    stream_bytes,
)
from accel_logreg.backends.cupy_fused.placement import place_rows
from accel_logreg.interface.answers import RowSample
from accel_logreg.interface.rows import Rows
from accel_logreg.kernels.cupy_fused.dense.plan import Limits

LIMITS = (
    Limits(1, 100 << 10, 100 << 10),
    Limits(3, 2 << 10, 2 << 10),  # no tile fits: two reads
    Limits(2, 6 << 10, 40 << 10),
    Limits(16, 227 << 10, 228 << 10),
)


# A matrix may be too large for all that there is; one of these is not, where the plan knew of room for it.
PROMISED = ("hessian", "precise hessian", "hessian of picked")


@dataclass
class IdleDevice(QueueingDevice):
    """Takes memory and does nothing with it."""

    def launch(self, *_: Any) -> None:
        pass

    def download(self, array: Any) -> Any:
        return np.ones_like(array)


@pytest.mark.parametrize("seed", range(3))
def test_no_question_takes_more_than_there_is(seed: int) -> None:
    rng = np.random.default_rng(seed)
    kinds = set()
    for _ in range(60):
        device, X, s = _any_problem(rng)
        try:
            rows = place_rows(device, X, np.ones(len(X)), s)
        except MemoryError:
            assert device.most == 0
            continue
        kinds.add(type(rows).__name__)
        for name, ask in _questions(rows, rng).items():
            try:
                ask()
            except MemoryError:
                assert name in (*PROMISED, "gram", "hessian of a sample"), name
                assert name not in PROMISED or not _promised(device, X, s)
            assert device.most <= device.memory, (name, type(rows), X.shape, device.limits)
    assert kinds == {"CupyRows", "StreamedRows"}


def _any_problem(rng: np.random.Generator) -> tuple[IdleDevice, Any, Any]:
    n, d = int(np.exp(rng.uniform(0, 7.5))), int(np.exp(rng.uniform(0, 5)))
    X = rng.random((n, d)).astype(("f4", "f8")[rng.integers(2)])
    s = rng.random(n) + 0.1 if rng.random() < 0.5 else None
    memory = int(X.nbytes * np.exp(rng.uniform(-2, 2.5))) + int(rng.integers(0, 60_000))
    return IdleDevice(NO_DRIVER, LIMITS[rng.integers(4)], memory=memory), X, s


def _questions(rows: Rows, rng: np.random.Generator) -> dict[str, Callable[[], object]]:
    n, d = rows.n_rows, rows.n_features
    W, zeros, ones = np.zeros(d + 1), np.zeros(d), np.ones(d)
    half = RowSample(rng.integers(0, n, -(-n // 2)), np.full(-(-n // 2), 0.5))
    few = RowSample(rng.integers(0, n, -(-n // 40)), np.full(-(-n // 40), 0.5))
    return {
        "loss_grad": lambda: rows.loss_grad(W),
        "hessian_product": lambda: rows.hessian_product(W, W),
        "hessian_diagonal": lambda: rows.hessian_diagonal(W),
        "combination": lambda: rows.combination(np.zeros(n)),
        "largest_entry": rows.largest_entry,
        "hessian": lambda: rows.hessian(W, zeros, ones),
        "precise hessian": lambda: rows.hessian(W, zeros, ones, precision="float64"),
        "hessian of picked": lambda: rows.hessian(W, zeros, ones, sample=half),
        "gram": lambda: rows.gram(zeros),
        "hessian of a sample": lambda: rows.sample(few).hessian(W, zeros, ones),
    }


def _promised(device: IdleDevice, X: Any, s: Any) -> bool:
    """Whether the plan knew that a Hessian can be had beside the parts."""
    d, itemsize = X.shape[1], X.itemsize
    parts = stream_bytes(1, d, itemsize, s is not None, device.limits)
    return hessian_block_bytes(1, d, itemsize, device.limits) <= planned_bytes(device.memory) - parts
