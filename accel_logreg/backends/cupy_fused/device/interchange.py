"""Arrays of other libraries as CuPy's, and CuPy's as theirs, in the same memory.

DLPack and the CUDA array interface carry the streams: what the producer has under way is waited for,
on the device (DLPack) or by the host (CUDA array interface with a stream), before a kernel here reads it.
"""

from __future__ import annotations

import sys
from typing import Any, Protocol

from accel_logreg.backends.cupy_fused.device.cuda import cuda_device
from accel_logreg.kernels.cupy_fused.launching import Device


class Interchange(Protocol):
    """How arrays of the caller become the device's own, and go back. The tests have one without a GPU."""

    def adopt(self, X: Any) -> tuple[Device, Any]:
        """The device that X lies on, and X as an array of that device in the same memory.

        Raises
        ------
        TypeError
            X does not give its memory away.
        """

    def hand_over(self, array: Any, like: Any) -> Any:
        """``array`` as what ``like`` is: a torch tensor for a torch tensor, a CuPy array for all others."""


class CupyInterchange:
    """``Interchange`` by CuPy. torch is not imported; whoever passes a tensor has imported it."""

    def adopt(self, X: Any) -> tuple[Device, Any]:
        import cupy

        array = X if isinstance(X, cupy.ndarray) else _adopted(cupy, X)
        if array.size and array.data.ptr % array.itemsize:
            raise TypeError(
                f"the {array.dtype} entries of X begin at address {array.data.ptr:#x}, no multiple of their "
                f"{array.itemsize} bytes, where a GPU cannot read them. Pass a copy of X"
            )
        return cuda_device(int(array.device.id)), array

    def hand_over(self, array: Any, like: Any) -> Any:
        torch = sys.modules.get("torch")
        if torch is not None and isinstance(like, torch.Tensor):
            with array.device:  # CuPy's current stream, which torch is told to wait for, is a device's
                return torch.from_dlpack(array)
        return array


def _adopted(cupy: Any, X: Any) -> Any:
    # The coefficients do not depend on X in autograd's sense: a fit looks at values alone.
    X = X.detach() if getattr(X, "requires_grad", False) else X
    try:
        if hasattr(X, "__dlpack_device__"):
            return cupy.from_dlpack(X)
        pointer = X.__cuda_array_interface__["data"][0]
        # An array of another device than the current one would be copied to it.
        attributes = cupy.cuda.runtime.pointerGetAttributes(pointer) if pointer else None
        with cupy.cuda.Device(None if attributes is None else attributes.device):
            return cupy.asarray(X)
    except Exception as error:  # every library has its own
        raise TypeError(
            f"X is a {type(X).__module__}.{type(X).__name__} of dtype {getattr(X, 'dtype', 'unknown')} on a "
            f"GPU that does not give its memory away: {error}. Pass a dense array of float32 or float64: "
            "X.float() for a torch tensor of another dtype, X.to_dense() for a sparse one"
        ) from error
