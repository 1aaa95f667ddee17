"""Arrays of other libraries on the host, by the array API standard, where scikit-learn dispatches by it.

That is inside ``sklearn.config_context(array_api_dispatch=True)``: torch's tensors and array-api-strict's
arrays are read as NumPy arrays of the same memory, and answers go back to where X came from. Without it they
are converted as scikit-learn converts them. Arrays on a GPU have a path of their own (device.py).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn import get_config
from sklearn.utils._array_api import _convert_to_numpy, _is_numpy_namespace, get_namespace

from accel_logreg.interface.arrays import on_gpu, to_host


def namespace_of(X: Any) -> Any:
    """The array namespace of X, None for what is NumPy's, on a GPU, no array, or not to be dispatched on."""
    if type(X) is np.ndarray or not get_config()["array_api_dispatch"] or on_gpu(X):
        return None
    if not (hasattr(X, "__array_namespace__") or hasattr(X, "__dlpack__")):  # frames, sparse matrices, lists
        return None
    xp, compliant = get_namespace(X)
    return xp if compliant and not _is_numpy_namespace(xp) else None


def to_numpy(array: Any) -> Any:
    """A NumPy array of an array on a GPU, or of another namespace; anything else as it is."""
    if type(array) is np.ndarray:  # the usual case, for which single rows do not wait
        return array
    xp = namespace_of(array)
    if xp is None:
        return to_host(array)
    array = array.detach() if hasattr(array, "detach") else array  # a tensor that requires grad
    return _convert_to_numpy(array, xp)


def like(X: Any, xp: Any, answer: Any) -> Any:
    """An answer as an array of X's namespace and on its device; floating-point numbers in X's dtype.

    Strings and other objects, which no other namespace knows, stay a NumPy array.
    """
    if answer.dtype.kind not in "biuf":
        return answer
    as_X = answer.dtype.kind == "f" and xp.isdtype(X.dtype, "real floating")
    return xp.asarray(answer, dtype=X.dtype if as_X else None, device=X.device)
