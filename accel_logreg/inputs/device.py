"""An X that lies on a GPU checked as scikit-learn checks one on the host, without bringing it there."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_array, check_consistent_length
from sklearn.utils.validation import validate_data

from accel_logreg.interface.arrays import shape_of
from accel_logreg.interface.device_matrix import DeviceMatrix
from accel_logreg.interface.engine import Engine


def check_device_data(estimator: Any, backend: Engine, X: Any, y: Any) -> tuple[DeviceMatrix, Any]:
    """X as ``backend`` reads it where it lies, and y checked beside it; nothing of X comes to the host."""
    matrix = device_matrix(estimator, backend, X, least_rows=2)
    validate_data(estimator, matrix, y, skip_check_array=True)  # names and number of the features
    y = validate_data(estimator, "no_validation", y)
    check_consistent_length(matrix, y)
    return matrix, y


def device_matrix(estimator: Any, backend: Engine, X: Any, least_rows: int) -> DeviceMatrix:
    """X as ``backend`` reads it where it lies; scikit-learn's errors for a shape that is not (n, d)."""
    shape = shape_of(X)
    if shape is not None and len(shape) < 2:
        raise ValueError(
            f"Expected 2D array, got {len(shape)}D array instead: X on the GPU has shape {shape}. Reshape it "
            "with X.reshape(-1, 1) if it is a single feature, or X.reshape(1, -1) if it is a single sample"
        )
    if shape is not None and (len(shape) > 2 or shape[0] < least_rows or shape[1] < 1):
        # scikit-learn says what is wrong with such a shape; it needs no data for that.
        stand_in = np.broadcast_to(0.0, shape)
        check_array(stand_in, ensure_min_samples=least_rows, estimator=estimator, input_name="X")
    return backend.adopt(X)
