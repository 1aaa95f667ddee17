"""Arrays on a GPU, recognised without a GPU library, and brought to the host by their own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.cuda_host.played_arrays import (
    CPU,
    CUDA,
    CUDA_MANAGED,
    KINDS,
    ROCM,
    CupyLike,
    PlayedArray,
    TensorLike,
)

from accel_logreg.interface.arrays import on_gpu, shape_of, to_host

MEMORY = np.arange(6.0).reshape(3, 2)


class OnDevice:
    def __init__(self, device_type: int) -> None:
        self.device_type = device_type

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.device_type, 0


class OnNoKnownDevice:
    def __dlpack_device__(self) -> tuple[int, int]:
        raise ValueError("Unknown device type mps for Dlpack")


@pytest.mark.parametrize("kind", KINDS)
def test_arrays_on_a_gpu(kind: type[PlayedArray]) -> None:
    assert on_gpu(kind(MEMORY))
    assert on_gpu(kind(MEMORY, ordinal=3))
    assert shape_of(kind(MEMORY)) == (3, 2) or not hasattr(kind, "shape")


def test_sparse_matrices_of_cupy_speak_no_protocol() -> None:
    assert on_gpu(type("csr_matrix", (), {"__module__": "cupyx.scipy.sparse._csr"})())


def test_a_tensor_that_requires_grad() -> None:
    assert on_gpu(TensorLike(MEMORY, requires_grad=True))  # its other protocol raises


@pytest.mark.parametrize(
    ("device_type", "expected"), [(CPU, False), (CUDA, True), (CUDA_MANAGED, True), (ROCM, False)]
)
def test_dlpack_says_where(device_type: int, expected: bool) -> None:
    assert on_gpu(OnDevice(device_type)) is expected


@pytest.mark.parametrize(
    "X", [MEMORY, MEMORY[:, ::2], np.matrix, None, [[1.0]], "X", 1.0, OnNoKnownDevice()], ids=range(8)
)
def test_what_is_not_on_a_gpu(X: Any) -> None:
    assert not on_gpu(X)
    assert to_host(X) is X


@pytest.mark.parametrize("kind", KINDS)
def test_to_the_host(kind: type[PlayedArray]) -> None:
    host = to_host(kind(MEMORY))
    assert type(host) is np.ndarray
    np.testing.assert_array_equal(host, MEMORY)


def test_a_tensor_that_requires_grad_comes_to_the_host() -> None:
    np.testing.assert_array_equal(to_host(TensorLike(MEMORY, requires_grad=True)), MEMORY)


def test_a_series_is_asked_for_numpy_before_an_item_of_it() -> None:
    class SeriesLike(CupyLike):
        def get(self, _key: Any) -> Any:  # type: ignore[override]
            raise AssertionError("this is a look-up")

        def to_numpy(self) -> Any:
            return self.memory

    np.testing.assert_array_equal(to_host(SeriesLike(MEMORY)), MEMORY)


def test_what_has_no_way_to_the_host_is_named() -> None:
    with pytest.raises(
        TypeError, match=r"a .*PlayedDlpackOnly on a GPU cannot be copied to the host .*cupy\.asarray"
    ):
        to_host(type("PlayedDlpackOnly", (OnDevice, PlayedArray), {})(CUDA))
