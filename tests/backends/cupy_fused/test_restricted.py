"""Some columns of X on the CuPy engine, kernels and expressions played on the host; streamed X; memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.csr_problems import sparse
from support.cuda_host.host_device import ONE_MULTIPROCESSOR, Driver, HostDevice
from support.cuda_host.play_engine import PlayedCupyBackend
from support.cuda_host.played_arrays import CupyLike
from support.cuda_host.queues import QueueingDevice
from support.cuda_host.strict_arrays import StrictArray
from support.interface_problems import assert_same_answers, assert_same_curvature, problem
from support.restricted_problems import check_classes, check_one_problem, check_reads, check_several_columns

from accel_logreg.backends.cupy_fused import placement
from accel_logreg.backends.cupy_fused.csr import upload_csr_rows
from accel_logreg.backends.cupy_fused.dense import CupyRows, upload_rows
from accel_logreg.backends.cupy_fused.device import staging
from accel_logreg.backends.cupy_fused.placement import OverlappedRows, place_rows
from accel_logreg.backends.cupy_fused.streamed import StreamedRows
from accel_logreg.backends.python_loop.dense import PythonRows
from accel_logreg.interface.answers import Rates, RowSample
from accel_logreg.interface.targets import Targets
from accel_logreg.kernels.cupy_fused.csr import launch as csr_kernels
from accel_logreg.kernels.cupy_fused.dense.launch import resident_bytes

pytest_plugins = ["support.cuda_host.fixtures"]
LAYOUTS = ["dense", "int64"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_one_problem(played_engine: PlayedCupyBackend, layout: str, dtype: Any, rng: Any) -> None:
    check_one_problem(played_engine, layout, dtype, True, rng)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_several_columns(played_engine: PlayedCupyBackend, layout: str, dtype: Any, rng: Any) -> None:
    check_several_columns(played_engine, layout, dtype, "own", 3, rng)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_classes(played_engine: PlayedCupyBackend, layout: str, dtype: Any, rng: Any) -> None:
    check_classes(played_engine, layout, dtype, "some 0", 3, rng)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("of", ["problem", "columns", "classes"])
def test_reads(played_engine: PlayedCupyBackend, layout: str, of: str, rng: Any) -> None:
    check_reads(played_engine, layout, of, rng)


def test_x_on_the_device_is_copied_there(played_engine: PlayedCupyBackend, dtype: Any, rng: Any) -> None:
    """On the one that it lies on."""
    X, y, s = problem(rng, 40, 6, dtype, True)
    columns, (W, V) = np.array([5, 0, 2]), rng.standard_normal((2, 4))
    restricted = played_engine.place(CupyLike(X, ordinal=1), y, s).restricted(columns)
    assert isinstance(restricted, CupyRows)
    assert restricted.data.device is played_engine._played[1]
    assert_same_answers(restricted, PythonRows(X[:, columns], y, s), W, V)


def test_x_that_is_still_on_its_way(
    driver: Driver, dtype: Any, rng: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placement, "OVERLAP_BYTES", 1)
    monkeypatch.setattr(staging, "PIECE_BYTES", 600)
    X, y, s = problem(rng, 90, 6, dtype, True)
    rows = place_rows(QueueingDevice(driver, ONE_MULTIPROCESSOR, lagging="both"), X, y, s)
    assert isinstance(rows, OverlappedRows)
    columns, (W, V) = np.array([5, 0, 2]), rng.standard_normal((2, 4))
    assert_same_answers(rows.restricted(columns), PythonRows(X[:, columns], y, s), W, V)


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize(("k", "kind"), [(1, CupyRows), (25, StreamedRows)])
def test_streamed_rows(
    driver: Driver, dtype: Any, rng: Any, weighted: bool, k: int, kind: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the device where there is room; on the host in several pieces, and with the rates of each place."""
    monkeypatch.setattr(staging, "LEAST_SHARE_BYTES", 100)
    X, y, s = problem(rng, 401, 28, dtype, weighted)
    memory = int(0.6 * resident_bytes(X.shape, X.itemsize, weighted, ONE_MULTIPROCESSOR))
    device = QueueingDevice(driver, ONE_MULTIPROCESSOR, memory=memory)
    rows, usual = StreamedRows(device, staging.HostRows.of(X, y, s)), Rates(1e-12, 2e-12, 3e-12, 4e-12, 5e-6)
    copy = resident_bytes((401, k), X.itemsize, True, ONE_MULTIPROCESSOR)
    device.memory = device.used + (copy + 200_000 if kind is CupyRows else int(0.8 * copy))
    targets = Targets(y.astype(np.int8), s)
    rows.placed(targets, usual)
    columns, (W, V) = rng.permutation(28)[:k], rng.standard_normal((2, k + 1)) / 5
    restricted, loop = rows.restricted(columns), PythonRows(X[:, columns], y, s)
    assert type(restricted) is kind
    assert rows.reads == pytest.approx(1.0)
    assert restricted.targets is targets
    if isinstance(restricted, StreamedRows):
        streamed = 1.0 - restricted.kept / 401
        assert restricted.rates.byte == pytest.approx(1e-12 + streamed / 25e9)
    else:
        assert restricted.rates == usual
    assert_same_answers(restricted, loop, W, V)
    assert rows.reads == restricted.reads == pytest.approx(1.0 + 2 * k / 28)
    centre, scale = rng.normal(size=k), 0.5 + rng.random(k)
    H = restricted.hessian(W, centre, scale, precision="float64")
    assert_same_curvature(H, loop.hessian(W, centre, scale), 1e-12)
    picked = RowSample(rng.integers(0, 401, 30), np.full(30, 0.5))
    assert_same_answers(restricted.sample(picked), loop.sample(picked), W, V)
    sample = rows.sample(picked).restricted(columns)
    assert_same_answers(sample, loop.sample(picked), W, V)
    assert not hasattr(sample, "rates")


# ---- memory, and CuPy's arrays ---------------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
def test_copies_larger_than_the_device_are_refused(one_device: HostDevice, layout: str) -> None:
    X, y = np.ones((400, 10)), np.ones(400)
    rows: Any = (
        upload_rows(one_device, X, y, None)
        if layout == "dense"
        else upload_csr_rows(one_device, sparse(X), y, None)
    )
    # Of sparse X too little to find the columns, and to keep them.
    for memory in (1000, 25_000 if layout == "dense" else 110_000):
        one_device.memory = memory
        with pytest.raises(MemoryError, match=r"A copy of 9 columns needs .*Pass fewer rows"):
            rows.restricted(np.arange(9))
    assert rows.reads == 0


def test_expressions_ask_only_what_cupy_answers(rng: Any) -> None:
    X = sparse((rng.random((6, 9)) < 0.4) * rng.random((6, 9)))
    names = np.array([-1, 2, -1, 0, -1, -1, 3, 1, -1], np.int32)
    before = np.full(len(X.data) + 1, 7)
    there = map(StrictArray, (X.indices, X.indptr.astype(np.int64), names))
    columns, kept, starts = csr_kernels.renamed(*there, StrictArray(before))
    assert columns[kept].get().dtype == np.int32
    np.testing.assert_array_equal(columns[kept].get(), names[X.indices][names[X.indices] >= 0])
    counts = [(names[X.indices[lo:hi]] >= 0).sum() for lo, hi in zip(X.indptr, X.indptr[1:], strict=False)]
    np.testing.assert_array_equal(starts.get(), np.cumsum([0, *counts]))


@pytest.mark.gpu
@pytest.mark.parametrize("layout", LAYOUTS)
def test_on_the_device(gpu: Any, layout: str, dtype: Any, rng: Any) -> None:
    X, y, s = problem(rng, 100_003, 57, dtype, True)
    X[rng.random(X.shape) < 0.7] = 0.0
    columns, (W, V) = rng.permutation(57)[:20], rng.standard_normal((2, 21)) / 4
    at, alone = (X, X[:, columns].copy()) if layout == "dense" else (sparse(X), sparse(X[:, columns]))
    assert_same_answers(gpu.place(at, y, s).restricted(columns), gpu.place(alone, y, s), W, V, 1e-10)
