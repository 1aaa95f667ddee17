"""X on a real GPU: CuPy arrays, torch tensors, other libraries' arrays, several devices, memory."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from support.same_fit import same_fit

from accel_logreg import LogisticRegression, release_memory
from accel_logreg.interface.engine import Engine

pytestmark = pytest.mark.gpu

SOLVERS = ["auto", "newton", "newton-cg", "lbfgs", "gradient-descent"]
METHODS = ["decision_function", "predict_proba", "predict_log_proba", "predict"]


@pytest.fixture
def cupy(gpu: Engine) -> Any:
    assert gpu.name == "cupy"
    return pytest.importorskip("cupy", reason="CuPy is not installed", exc_type=ImportError)


@pytest.fixture
def torch(gpu: Engine) -> Any:
    assert gpu.name == "cupy"
    torch = pytest.importorskip("torch", reason="torch is not installed", exc_type=ImportError)
    if not torch.cuda.is_available():
        pytest.skip("this torch has no CUDA")
    return torch


@pytest.fixture
def problem(rng: np.random.Generator, dtype: Any) -> tuple[Any, Any]:
    X = rng.normal(size=(20_011, 29)).astype(dtype)
    return X, (X[:, 0] + rng.normal(size=len(X)) > 0).astype(np.int64)


@pytest.mark.parametrize("solver", SOLVERS)
def test_the_answer_is_that_of_x_on_the_host_to_the_bit(
    cupy: Any, problem: tuple[Any, Any], solver: str
) -> None:
    X, y = problem
    parameters = {"solver": solver, "max_iter": 20 if solver == "gradient-descent" else None}
    on_host = LogisticRegression(backend="cupy", **parameters).fit(X, y)
    on_device = LogisticRegression(**parameters).fit(cupy.asarray(X), y)
    assert on_device.backend_ == "cupy"
    assert same_fit(on_device, on_host)


def test_cupy_arrays_are_read_in_place_and_answered_by_cupy_arrays(
    cupy: Any, gpu: Engine, problem: tuple[Any, Any]
) -> None:
    X, y = cupy.asarray(problem[0]), cupy.asarray(problem[1])
    assert gpu.place(X, problem[1].astype(np.float64), None).data.X is X  # type: ignore[attr-defined]
    s = cupy.linspace(0.5, 2.0, len(y))
    model = LogisticRegression().fit(X, y, s)
    for method in METHODS:
        there, here = getattr(model, method)(X), getattr(model, method)(problem[0])
        assert isinstance(there, cupy.ndarray)
        assert there.dtype == here.dtype
        np.testing.assert_allclose(there.get(), here, rtol=1e-11, atol=1e-12)
    assert model.score(X, y, s) == pytest.approx(model.score(problem[0], problem[1], s.get()))
    assert pickle.loads(pickle.dumps(model)).score(*problem) == model.score(*problem)


def test_strided_and_half_precision_are_copied(cupy: Any, problem: tuple[Any, Any]) -> None:
    X, y = problem
    expected = LogisticRegression().fit(cupy.asarray(X), y)
    assert same_fit(LogisticRegression().fit(cupy.asfortranarray(cupy.asarray(X)), y), expected)
    wider = cupy.empty((len(X), 2 * X.shape[1]), X.dtype)
    wider[:, ::2] = cupy.asarray(X)
    assert same_fit(LogisticRegression().fit(wider[:, ::2], y), expected)
    half = cupy.asarray(X).astype(cupy.float16)
    expected = LogisticRegression().fit(half.astype(cupy.float32), y)
    assert same_fit(LogisticRegression().fit(half, y), expected)
    with pytest.raises(TypeError, match="dtype int64 on a GPU"):
        LogisticRegression().fit(cupy.asarray(X).astype(cupy.int64), y)


@pytest.mark.parametrize(
    "classes", [np.array([False, True]), np.array([1, 7], np.uint8), np.array([-1.0, 1.0])]
)
def test_labels_of_any_number(cupy: Any, problem: tuple[Any, Any], classes: Any) -> None:
    X, y = problem
    model = LogisticRegression().fit(cupy.asarray(X), cupy.asarray(classes[y]))
    predicted = model.predict(cupy.asarray(X))
    assert predicted.dtype == classes.dtype
    np.testing.assert_array_equal(predicted.get(), model.predict(X))


def test_labels_of_strings_come_to_the_host(cupy: Any, problem: tuple[Any, Any]) -> None:
    X, y = problem
    model = LogisticRegression().fit(cupy.asarray(X), np.array(["no", "yes"])[y])
    predicted = model.predict(cupy.asarray(X))
    assert type(predicted) is np.ndarray
    np.testing.assert_array_equal(predicted, model.predict(X))


@pytest.mark.parametrize(("value", "name"), [(np.nan, "NaN"), (np.inf, "infinity")])
def test_what_is_not_finite_is_named(cupy: Any, problem: tuple[Any, Any], value: float, name: str) -> None:
    X, y = problem
    model = LogisticRegression().fit(cupy.asarray(X), y)
    X[12_345, 6] = value
    for solver in SOLVERS:
        with pytest.raises(ValueError, match=f"Input X contains {name}"):
            LogisticRegression(solver=solver).fit(cupy.asarray(X), y)
    with pytest.raises(ValueError, match=f"Input X contains {name}"):
        model.predict_proba(cupy.asarray(X))


def test_tensors(torch: Any, problem: tuple[Any, Any]) -> None:
    X, y = problem
    tensor, labels = torch.from_numpy(X).cuda(), torch.from_numpy(y).cuda()
    model = LogisticRegression().fit(tensor.requires_grad_(), labels)
    assert same_fit(model, LogisticRegression(backend="cupy").fit(X, y))
    for method in METHODS:
        there, here = getattr(model, method)(tensor), getattr(model, method)(X)
        assert isinstance(there, torch.Tensor)
        assert there.device == tensor.device
        np.testing.assert_allclose(there.cpu().numpy(), here, rtol=1e-11, atol=1e-12)
    assert model.score(tensor, labels) == model.score(X, y)
    with pytest.raises(TypeError, match=r"bfloat16.*X\.float\(\)"):
        model.predict(tensor.detach().bfloat16())


def test_a_tensor_that_another_stream_is_still_writing(torch: Any, problem: tuple[Any, Any]) -> None:
    X, y = problem
    expected = LogisticRegression(backend="cupy").fit(X, y)
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        tensor = torch.zeros(X.shape, dtype=torch.from_numpy(X).dtype, device="cuda")
        torch.cuda._sleep(200_000_000)  # cycles
        tensor.copy_(torch.from_numpy(X).cuda())
        model = LogisticRegression().fit(tensor, y)
    assert same_fit(model, expected)


def test_the_cuda_array_interface_alone_with_a_stream(cupy: Any, problem: tuple[Any, Any]) -> None:
    class InterfaceOnly:
        def __init__(self, array: Any, stream: Any) -> None:
            self._array = array
            self.__cuda_array_interface__ = dict(array.__cuda_array_interface__) | {
                "stream": stream.ptr,
                "data": (array.data.ptr, True),
            }

    X, y = problem
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        array = cupy.zeros(X.shape, X.dtype)
        array.set(X, stream=stream)
    given = InterfaceOnly(array, stream)
    model = LogisticRegression().fit(given, y)
    assert same_fit(model, LogisticRegression(backend="cupy").fit(X, y))
    assert isinstance(model.predict(given), cupy.ndarray)


def test_another_device(cupy: Any, problem: tuple[Any, Any]) -> None:
    if cupy.cuda.runtime.getDeviceCount() < 2:
        pytest.skip("this machine has one CUDA device")
    X, y = problem
    with cupy.cuda.Device(1):
        there = cupy.asarray(X)
    model = LogisticRegression().fit(there, y)
    assert model.predict(there).device.id == 1
    assert cupy.cuda.runtime.getDevice() == 0
    assert same_fit(model, LogisticRegression(backend="cupy").fit(X, y))


def test_memory_goes_back_to_the_driver(cupy: Any) -> None:
    release_memory()
    y = np.arange(1_000_000) % 2
    X = np.random.default_rng(0).normal(size=(len(y), 40)).astype(np.float32)  # 160 MB
    kept = cupy.get_default_memory_pool()
    cupy.empty(64 << 20, cupy.uint8)  # freed at once: the caller's pool keeps it
    cached = kept.free_bytes()
    LogisticRegression(backend="cupy", max_iter=3, tol=1.0).fit(
        X[:1000], y[:1000]
    )  # all that is lazy is loaded
    free, _ = cupy.cuda.runtime.memGetInfo()
    LogisticRegression(backend="cupy").fit(X, y)
    after, _ = cupy.cuda.runtime.memGetInfo()
    assert after >= free - (64 << 20)
    assert kept.free_bytes() == cached
    release_memory()
    assert kept.free_bytes() == 0


def test_an_allocator_of_the_callers_is_used(cupy: Any, problem: tuple[Any, Any]) -> None:
    X, y = problem
    pool = cupy.cuda.MemoryPool()
    with cupy.cuda.using_allocator(pool.malloc):
        model = LogisticRegression(backend="cupy").fit(X, y)
    assert pool.total_bytes() >= X.nbytes
    assert pool.used_bytes() == 0
    assert same_fit(model, LogisticRegression(backend="cupy").fit(X, y))


def test_too_large_is_a_memory_error_with_the_remedy(cupy: Any, problem: tuple[Any, Any]) -> None:
    X, y = problem
    release_memory()
    pool = cupy.get_default_memory_pool()
    pool.set_limit(size=pool.total_bytes() + X.nbytes // 2)
    try:
        with pytest.raises(MemoryError, match=r"backend='numba'"):
            LogisticRegression(backend="cupy").fit(X, y)
    finally:
        pool.set_limit(size=0)
