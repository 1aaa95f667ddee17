"""K classes on the CuPy engine, kernels and CuPy's expressions played on the host; and its memory."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support.class_problems import (
    LAYOUTS,
    SHAPES,
    WEIGHTS,
    Formulas,
    assert_near,
    assert_same_answers,
    check_every_question,
    class_problem,
    placed,
)
from support.csr_problems import sparse
from support.cuda_host.host_device import NO_DRIVER, HostDevice
from support.cuda_host.play_engine import PlayedCupyBackend
from support.cuda_host.played_arrays import CupyLike
from support.cuda_host.strict_arrays import StrictArray

from accel_logreg.backends.cupy_fused import classes
from accel_logreg.backends.cupy_fused.classes import CupyClasses, upload_classes
from accel_logreg.backends.cupy_fused.device.cuda import CudaDevice, DeviceMemory
from accel_logreg.backends.python_loop.engine import PythonEngine
from accel_logreg.interface.answers import RowSample
from accel_logreg.interface.engine import Engine
from accel_logreg.interface.targets import ClassTargets
from accel_logreg.kernels.cupy_fused.dense.plan import Limits
from accel_logreg.kernels.numpy_vectorised import classes as kernels

pytest_plugins = ["support.cuda_host.fixtures"]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_answers_equal_the_loop(
    played_engine: PlayedCupyBackend, shape: Any, weights: str, layout: str, dtype: Any, rng: Any
) -> None:
    n, d, K = shape
    X, y, s = class_problem(rng, n, d, K, dtype, weights)
    W, V = rng.standard_normal((2, d + 1, K)) / np.sqrt(d)
    rows = placed(played_engine, X, y, s, K, layout)
    assert_same_answers(rows, placed(PythonEngine(), X, y, s, K), W, V)
    times = K if layout == "csr" else 1
    assert rows.reads == (5 * times if layout == "csr" else 4)
    assert_near(rows.logits(W), np.c_[X.astype(np.float64), np.ones(n)] @ W)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("weights", WEIGHTS)
def test_every_question_is_the_formulas(
    played_engine: PlayedCupyBackend, layout: str, weights: str, dtype: Any, rng: Any
) -> None:
    check_every_question(played_engine, layout, weights, 3, dtype, rng)


def test_blocks_of_rows_add_up(
    played_engine: PlayedCupyBackend, dtype: Any, rng: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y, s = class_problem(rng, 50, 7, 3, dtype, "some 0")
    W, V = rng.standard_normal((2, 8, 3))
    monkeypatch.setattr(classes, "BLOCK_BYTES", 4 * 1024)
    rows, whole = placed(played_engine, X, y, s, 3), Formulas(X, y, s, 3)
    assert isinstance(rows, CupyClasses)
    sizes = [block.stop - block.start for block, _ in rows._blocks()]
    assert sizes == ([14] * 3 + [8] if dtype is np.float64 else [11] * 4 + [6])
    assert all(part.dtype == np.float64 for _, part in rows._blocks())
    assert_same_answers(rows, whole, W, V, 1e-11)
    assert_near(rows.logits(W), whole.x @ W)


def test_x_on_the_device_is_read_where_it_lies(
    played_engine: PlayedCupyBackend, dtype: Any, rng: Any
) -> None:
    X, y, s = class_problem(rng, 40, 5, 3, dtype, "some 0")
    W, V = rng.standard_normal((2, 6, 3))
    rows = played_engine.place(CupyLike(X, ordinal=1), y, s, n_classes=3)
    assert isinstance(rows, CupyClasses)
    assert_same_answers(rows, Formulas(X, y, s, 3), W, V, 1e-11)
    assert np.shares_memory(classes._matrix(rows._of_x), X)
    assert rows._device is played_engine._played[1]
    assert_near(played_engine.logits(CupyLike(X), W), Formulas(X, y, s, 3).x @ W)


# ---- memory ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
def test_no_room_is_named_before_anything_is_copied(layout: str, dtype: Any, rng: Any) -> None:
    device = HostDevice(NO_DRIVER, Limits(1, 100 << 10, 100 << 10))
    X, y, s = class_problem(rng, 40, 5, 3, dtype, "some 0")
    device.memory, copied = 2 * X.nbytes, []
    device.upload = copied.append  # type: ignore[assignment, method-assign]
    wanted = r"X of shape \(40, 5\) and dtype float\d\d with 3 classes needs .* are free. .*fewer rows"
    with pytest.raises(MemoryError, match=wanted):
        upload_classes(device, X if layout == "dense" else sparse(X), ClassTargets(y, s, 3))
    assert copied == []


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_is_asked_for_is_enough(played_engine: PlayedCupyBackend, layout: str, rng: Any) -> None:
    """Of the arrays that the engine makes; what an expression takes on its way is in the estimate alone."""
    X, y, s = class_problem(rng, 400, 5, 3, np.float64, "some 0")
    device, W = played_engine._device, rng.standard_normal((6, 3))
    rows = placed(played_engine, X, y, s, 3, layout)
    rows.loss_grad(W)
    rows.hessian_product(W, W)
    rows.hessian_diagonal(W)
    rows.logits(W)
    most = device.most
    del rows
    at = X if layout == "dense" else sparse(X)
    device.memory = most
    with pytest.raises(MemoryError, match="3 classes needs"):
        played_engine.place(at, y, s, n_classes=3)
    device.memory = 1 << 40
    with pytest.raises(MemoryError, match="3 classes needs"):
        played_engine.place(at, y, s, n_classes=3, max_memory=most)
    assert device.used == 0


def test_x_on_the_device_is_not_counted(played_engine: PlayedCupyBackend, rng: Any) -> None:
    X, y, _ = class_problem(rng, 600, 1000, 3, np.float64)
    played_engine._device.memory = X.nbytes // 2
    rows = played_engine.place(CupyLike(X), y, None, n_classes=3)
    assert rows.weight_sum == 600.0
    with pytest.raises(MemoryError, match="with 3 classes needs"):
        played_engine.place(X, y, None, n_classes=3)
    played_engine._device.memory = 20_000
    with pytest.raises(
        MemoryError, match=r"3 classes over X of shape \(600, 1000\).* beside X itself|A fit of"
    ):
        played_engine.place(CupyLike(X), y, None, n_classes=3)


def test_samples_stay_on_the_device(played_engine: PlayedCupyBackend, rng: Any) -> None:
    X, y, s = class_problem(rng, 40, 5, 3, np.float32, "some 0")
    rows, loop = placed(played_engine, X, y, s, 3), placed(PythonEngine(), X, y, s, 3)
    picked, W = RowSample(np.arange(3, 30), np.full(27, 0.5)), rng.standard_normal((6, 3))
    sample = rows.sample(picked)
    assert isinstance(sample, CupyClasses)
    assert_same_answers(sample, loop.sample(picked), W, W, 1e-11)


# ---- CuPy's arrays, which mix with no others -------------------------------------------------------------


@pytest.mark.parametrize("K", [3, 11])
def test_kernels_ask_only_what_cupy_answers(K: int, rng: Any) -> None:
    """Every function and method is one of CuPy's by that name, and no NumPy array meets one of CuPy's."""
    X, y, s = class_problem(rng, 30, 4, K, np.float64, "some 0")
    W, V = rng.standard_normal((2, 5, K))
    assert s is not None
    x, labels, weights, w, v, every = map(StrictArray, (X, y, s, W, V, np.arange(K, dtype=np.int32)))
    Y = kernels.one_hot(labels, every)
    loss, gradient = kernels.loss_grad(x, Y, weights, w[:-1], w[-1])
    product = kernels.hessian_product(x, weights, w[:-1], w[-1], v[:-1], v[-1])
    expected_loss, expected = Formulas(X, y, s, K).loss_grad(W)
    assert isinstance(loss, StrictArray)
    assert float(loss.get()) / s.sum() == pytest.approx(expected_loss, rel=1e-12)
    assert_near(gradient.get() / s.sum(), expected)
    assert_near(product.get() / s.sum(), Formulas(X, y, s, K).hessian_product(W, V), 1e-11)


def test_strict_arrays_refuse_what_cupy_refuses() -> None:
    array = StrictArray(np.ones((2, 3)))
    for wrong in (
        lambda: array + np.ones(3),
        lambda: np.add(np.ones(3), array),
        lambda: np.where(np.ones((2, 3), bool), array, 0.0),
        lambda: np.asarray(array),
        lambda: array.newbyteorder(),
        lambda: np.add(array, 1.0, order="F"),
    ):
        with pytest.raises((TypeError, AttributeError)):
            wrong()


def test_expressions_run_on_the_device_in_the_engines_memory() -> None:
    """``using_allocator`` is given one that does not ask itself, and puts the old one back."""
    asked: list[Any] = []
    default = SimpleNamespace(malloc=lambda size: ("default", size), get_limit=lambda: 0)
    current = [default.malloc]

    class Using:
        def __init__(self, allocator: Any) -> None:
            self._allocator = allocator

        def __enter__(self) -> None:
            current.append(self._allocator)

        def __exit__(self, *_: Any) -> None:
            current.pop()

    class NoHeadersError(Exception):
        pass

    pool = SimpleNamespace(malloc=lambda size: asked.append(size) or ("engine", size))
    cupy = SimpleNamespace(
        get_default_memory_pool=lambda: default,
        cuda=SimpleNamespace(
            MemoryPool=lambda: pool,
            get_allocator=lambda: current[-1],
            using_allocator=Using,
            compiler=SimpleNamespace(CompileException=NoHeadersError),
        ),
    )
    device = CudaDevice.__new__(CudaDevice)
    device._cupy, device._device, device.memory = cupy, nullcontext(), DeviceMemory(cupy)
    with device.expressions():
        assert current[-1](5) == ("engine", 5)
        assert device.memory.malloc(7) == ("engine", 7)
    assert current == [default.malloc]
    for error in (NoHeadersError("cuda_fp16.h"), ImportError("libcublas.so.13")):
        wanted = pytest.raises(RuntimeError, match=r"headers or cuBLAS are missing.*accel_logreg\[cuda13\]")
        with wanted, device.expressions():
            raise error
    assert current == [default.malloc]


@pytest.mark.gpu
@pytest.mark.parametrize("layout", LAYOUTS)
def test_large_problems_on_the_device(gpu: Engine, layout: str, dtype: Any, rng: Any) -> None:
    """Several blocks of rows, the same bits again."""
    X, y, s = class_problem(rng, 300_007, 57, 11, dtype, "some 0")
    W, V = rng.standard_normal((2, 58, 11)) / 8
    rows, formulas = placed(gpu, X, y, s, 11, layout), Formulas(X, y, s, 11)
    loss, gradient = rows.loss_grad(W)
    expected_loss, expected = formulas.loss_grad(W)
    assert loss == pytest.approx(expected_loss, rel=1e-11)
    assert_near(gradient, expected, 1e-9)
    again = placed(gpu, X, y, s, 11, layout)
    np.testing.assert_array_equal(again.loss_grad(W)[1], gradient)
    np.testing.assert_array_equal(again.hessian_product(W, V), rows.hessian_product(W, V))
