"""Python values and arrays ↔ what strict JSON can hold."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

KINDS = "biufU"  # bool, integers, floats, fixed-width strings: nothing that would need a pickle


def encode(value: Any) -> Any:
    """A scalar, or a dict of scalars, as JSON.

    JSON has neither infinities nor keys that are not strings: C=inf becomes {"float": "inf"}, and a
    dict such as class_weight becomes {"pairs": [[key, value], …]}.

    Raises
    ------
    ValueError
        Anything else.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}
    if isinstance(value, dict):
        return {"pairs": [[encode(key), encode(item)] for key, item in value.items()]}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ValueError(f"a model file cannot hold {value!r} of type {type(value).__name__}")


def decode(value: Any) -> Any:
    """The inverse of ``encode``; ValueError for what it never writes."""
    if isinstance(value, dict):
        match value:
            case {"float": str(text)} if len(value) == 1:
                return float(text)
            case {"pairs": list(pairs)} if len(value) == 1:
                return {decode(key): decode(item) for key, item in pairs}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ValueError(f"{value!r} is not a value of a model file")


def encode_array(array: NDArray[Any]) -> dict[str, Any]:
    """dtype, shape and the values in C order."""
    return {
        "dtype": array.dtype.str,
        "shape": list(array.shape),
        "values": [encode(value) for value in array.ravel().tolist()],
    }


def decode_array(stored: Any) -> NDArray[Any]:
    """The inverse of ``encode_array``; KeyError, TypeError or ValueError for what it never writes."""
    dtype = np.dtype(stored["dtype"])
    if dtype.kind not in KINDS:
        raise ValueError(f"dtype {stored['dtype']!r} is not allowed")
    values = [decode(value) for value in stored["values"]]
    return np.array(values, dtype=dtype).reshape(stored["shape"])
