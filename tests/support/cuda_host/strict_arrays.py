"""Arrays that mix with no NumPy array and know only what CuPy's arrays know, around NumPy memory.

What CuPy answers is looked up in CuPy, which can be imported without a GPU. So NumPy's functions on these
arrays are found out where CuPy's would be the first to complain.
"""

from __future__ import annotations

from typing import Any

import cupy
import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.typing import NDArray


class StrictArray(NDArrayOperatorsMixin):
    def __init__(self, memory: NDArray[Any]) -> None:
        self._memory = memory

    def get(self) -> NDArray[Any]:
        """The memory itself."""
        return self._memory

    def __array__(self, *_: Any, **__: Any) -> NDArray[Any]:
        raise TypeError("Implicit conversion to a NumPy array is not allowed.")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if method != "__call__" or not hasattr(cupy, ufunc.__name__) or options.keys() - {"out", "dtype"}:
            raise TypeError(f"CuPy has no {ufunc.__name__}.{method} with {set(options)}")
        return _wrapped(getattr(ufunc, method)(*_unwrapped(inputs), **options))

    def __array_function__(self, function: Any, _types: Any, inputs: Any, options: Any) -> Any:
        if not hasattr(cupy, function.__name__):
            raise TypeError(f"CuPy has no {function.__name__}")
        return _wrapped(function(*_unwrapped(inputs), **options))

    def __getattr__(self, name: str) -> Any:
        if not hasattr(cupy.ndarray, name):
            raise AttributeError(f"CuPy's arrays have no {name}")
        found = getattr(self._memory, name)
        if not callable(found):
            return _wrapped(found)
        return lambda *inputs, **options: _wrapped(found(*_unwrapped(inputs), **options))

    def __getitem__(self, index: Any) -> Any:
        return _wrapped(self._memory[_memory(index)])

    def __setitem__(self, index: Any, value: Any) -> None:
        self._memory[_memory(index)] = _memory(value)

    def __len__(self) -> int:
        return len(self._memory)


def _unwrapped(inputs: Any) -> list[Any]:
    return [_memory(value) for value in inputs]


def _memory(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        raise TypeError("Unsupported type <class 'numpy.ndarray'>")
    if isinstance(value, list | tuple):
        return type(value)(map(_memory, value))
    return value._memory if isinstance(value, StrictArray) else value


def _wrapped(value: Any) -> Any:
    """NumPy's scalars too: CuPy's are arrays."""
    return StrictArray(np.asarray(value)) if isinstance(value, np.ndarray | np.generic) else value
