"""Arrays that say they lie on a GPU, around NumPy memory, and what adopts them without one.

Each kind knows only what its model knows: CuPy's arrays refuse ``numpy.asarray``, torch's tensors refuse
their CUDA array interface while they require grad, and so on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from support.cuda_host.host_device import HostDevice

CUDA, CUDA_MANAGED, ROCM, CPU = 2, 13, 10, 1  # DLDeviceType


class PlayedArray:
    """What all of them have. ``memory`` is the NumPy array underneath, ``ordinal`` the device's number."""

    def __init__(self, memory: NDArray[Any], ordinal: int = 0) -> None:
        self.memory, self.ordinal = memory, ordinal

    def __array__(self, *_: Any, **__: Any) -> NDArray[Any]:
        raise TypeError("Implicit conversion to a NumPy array is not allowed.")


class _WithDlpack(PlayedArray):
    device_type = CUDA

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.device_type, self.ordinal

    def __dlpack__(self, **_: Any) -> Any:
        return self.memory.__dlpack__()


class _WithInterface(PlayedArray):
    stream: int | None = None

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        interface = dict(self.memory.__array_interface__)
        return interface | {"version": 3, "stream": self.stream}


class CupyLike(_WithDlpack, _WithInterface):
    """cupy.ndarray: both protocols, ``get``."""

    @property
    def shape(self) -> tuple[int, ...]:
        return self.memory.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.memory.dtype

    def get(self) -> NDArray[Any]:
        return self.memory.copy()


class TensorLike(_WithDlpack):
    """torch.Tensor on a CUDA device."""

    def __init__(self, memory: NDArray[Any], ordinal: int = 0, requires_grad: bool = False) -> None:
        super().__init__(memory, ordinal)
        self.requires_grad = requires_grad

    @property
    def shape(self) -> tuple[int, ...]:
        return self.memory.shape

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        raise RuntimeError("Can't get __cuda_array_interface__ on Variable that requires grad.")

    def __dlpack__(self, **options: Any) -> Any:
        if self.requires_grad:
            raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
        return super().__dlpack__(**options)

    def detach(self) -> Self:
        return type(self)(self.memory, self.ordinal)

    def cpu(self) -> Self:
        return self

    def numpy(self) -> NDArray[Any]:
        return self.memory.copy()


class NumbaLike(_WithInterface):
    """numba.cuda's device arrays: the CUDA array interface alone, ``copy_to_host``."""

    def copy_to_host(self) -> NDArray[Any]:
        return self.memory.copy()


class JaxLike(_WithDlpack):
    """A jax.Array: DLPack, immutable, and numpy.asarray copies it."""

    def __array__(self, *_: Any, **__: Any) -> NDArray[Any]:
        return self.memory.copy()


KINDS = (CupyLike, TensorLike, NumbaLike, JaxLike)


class HostInterchange:
    """``Interchange`` among these, in the same memory.

    device_of : the HostDevice with a number
    """

    def __init__(self, device_of: Callable[[int], HostDevice]) -> None:
        self._device_of = device_of

    def adopt(self, X: Any) -> tuple[HostDevice, NDArray[Any]]:
        assert isinstance(X, PlayedArray), f"{type(X)} is not on a GPU"
        source = X.detach() if getattr(X, "requires_grad", False) else X
        protocol = _Capsule(source) if hasattr(source, "__dlpack__") else _Interface(source)
        array = np.from_dlpack(protocol) if isinstance(protocol, _Capsule) else np.asarray(protocol)
        return self._device_of(X.ordinal), array

    def hand_over(self, array: NDArray[Any], like: Any) -> PlayedArray:
        return (TensorLike if isinstance(like, TensorLike) else CupyLike)(array, like.ordinal)


class _Capsule:
    """DLPack with the device that the memory is really on, so that NumPy takes it."""

    def __init__(self, array: Any) -> None:
        self._array = array

    def __dlpack_device__(self) -> tuple[int, int]:
        return CPU, 0

    def __dlpack__(self, **_: Any) -> Any:
        return self._array.__dlpack__()


class _Interface:
    def __init__(self, array: Any) -> None:
        self.__array_interface__ = {
            key: value for key, value in array.__cuda_array_interface__.items() if key != "stream"
        }
        self._array = array
