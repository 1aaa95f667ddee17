"""scikit-learn's callbacks, from 1.9 on. A fit is one task to them: a handful of reads is all it makes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self


class CallbackSupport:
    """What scikit-learn's CallbackSupportMixin adds to an estimator, loaded when it is asked for."""

    def set_callbacks(self, *callbacks: Any) -> Self:
        """Callbacks that each ``fit`` tells when it begins and ends, such as sklearn.callback.ProgressBar().

        Raises
        ------
        TypeError
            What is passed is no callback.
        ImportError
            scikit-learn is older than 1.9.
        """
        from sklearn.callback import CallbackSupportMixin

        CallbackSupportMixin.set_callbacks(self, *callbacks)
        return self


def has_callbacks(model: Any) -> bool:
    """Whether a model has some; what scikit-learn's meta-estimators hand on without any says nothing."""
    return bool(getattr(model, "_skl_callbacks", None))


def as_task(model: Any, fit: Callable[[], object], X: Any, y: Any, sample_weight: Any) -> None:
    """``fit()`` between ``on_fit_task_begin`` and ``on_fit_task_end`` of the model's callbacks.

    The second gets the model as fitted, if it asks for it; a fit that raises has no end, but the teardown.
    """
    from sklearn.callback import CallbackSupportMixin, with_callbacks

    metadata = None if sample_weight is None else {"sample_weight": sample_weight}
    told = {"X": X, "y": y, "metadata": metadata}

    def told_of(model: Any) -> None:
        task = CallbackSupportMixin._init_callback_context(model)
        task.call_on_fit_task_begin(estimator=model, **told)
        fit()
        task.call_on_fit_task_end(estimator=model, **told, reconstruction_attributes={})

    with_callbacks(told_of)(model)
