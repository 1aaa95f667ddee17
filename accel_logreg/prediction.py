"""What a fitted binary classifier says of new rows; for X on a GPU it is said there."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_expit
from sklearn.utils.validation import check_is_fitted

from accel_logreg.backends import BackendUnavailableError, load_backend
from accel_logreg.inputs.training import check_finite, check_prediction_data
from accel_logreg.interface.arrays import Csr, Float64, Matrix, to_host
from accel_logreg.interface.device_matrix import DeviceMatrix, DeviceScores
from accel_logreg.interface.engine import Engine

# Of host X: NumPy reads float32 at a fraction of what a bus carries, as it widens it first. Reckoned, not
# measured.
WORTH_THE_BUS = 64 << 20


class LinearPrediction:
    """The methods of LogisticRegression that predict, from what ``fit`` has set."""

    coef_: Float64
    intercept_: Float64
    classes_: NDArray[Any]
    backend_: str
    n_threads: int | None

    def decision_function(self, X: Any) -> Any:
        """z = X w + b for X (m, d): (m,) float64, positive for ``classes_[1]``.

        The answer lives where X lives, here and below: an X on a GPU is read there, whichever engine
        fitted, and is answered by a torch tensor if it is one, else by a CuPy array.
        """
        z = self._scores(X)
        return z.decision() if isinstance(z, DeviceScores) else z

    def predict_proba(self, X: Any) -> Any:
        """Probability of each class, in the order of ``classes_``: (m, 2) float64, where X lives."""
        z = self._scores(X)
        if isinstance(z, DeviceScores):
            return z.probabilities(logarithm=False)
        return np.column_stack([expit(-z), expit(z)])

    def predict_log_proba(self, X: Any) -> Any:
        """Logarithm of ``predict_proba``, finite where the probability rounds to 0: (m, 2) float64."""
        z = self._scores(X)
        if isinstance(z, DeviceScores):
            return z.probabilities(logarithm=True)
        return np.column_stack([log_expit(-z), log_expit(z)])

    def predict(self, X: Any) -> Any:
        """The more probable class of each row: (m,), labels from ``classes_``.

        Numbers and booleans live where X lives; strings and other objects, which a GPU does not know, come
        as a NumPy array.
        """
        z = self._scores(X)
        if isinstance(z, DeviceScores):
            return z.labels(self.classes_)
        labels: NDArray[Any] = self.classes_[(z > 0).astype(np.intp)]
        return labels

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Accuracy of ``predict(X)`` against y (m,), with weights (m,) or None; each may lie on a GPU."""
        from sklearn.metrics import accuracy_score  # heavy, and seldom needed

        predicted = to_host(self.predict(X))
        return float(accuracy_score(to_host(y), predicted, sample_weight=to_host(sample_weight)))

    def _scores(self, X: Any) -> Float64 | DeviceScores:
        """z, on the host or where X lies."""
        check_is_fitted(self)
        checked = check_prediction_data(self, X)
        W = np.append(self.coef_[0], self.intercept_[0])
        if isinstance(checked, DeviceMatrix):
            scores = checked.scores(W)
            if not scores.finite:
                check_finite(checked, type(self).__name__)
            return scores
        backend = self._prediction_backend(checked)
        with backend.threads(self.n_threads):
            return backend.logits(checked, W)

    def _prediction_backend(self, X: Matrix | Csr) -> Engine:
        """The engine that fitted, for X on the host; NumPy for one that is not here.

        A GPU only sees dense X of WORTH_THE_BUS bytes or more: less is answered by NumPy before a GPU, or
        its absence on the machine that serves, would have been found.
        """
        engine = self.backend_
        if engine == "cupy" and (isinstance(X, Csr) or X.nbytes < WORTH_THE_BUS):
            engine = "numpy"
        try:
            return load_backend(engine)
        except BackendUnavailableError:  # fitted with Numba or on a GPU elsewhere, serving here
            return load_backend("numpy")
