"""What else fits on a GPU. Each is checked for its answer before anybody times it.

A rival's file has ``load(name, xp)``, which gives a way to fit: ``way(X, y, l2) -> fit``, ``fit(tol) -> W``:
X (n, d) and y (n,) of 0 and 1, both in X's dtype, where the library has them; l2 = 1/(C n), the intercept
not penalised; W (p,) host float64 with the intercept last, so that a fit is over when it returns. What
``tol`` means is the library's own affair: tolerances are swept, and our evaluator says what each reached.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

from bench.problems.problem import Float64

Fit = Callable[[float], Float64]
Way = Callable[[Any, Any, float], Fit]

_NEWTON = (1e-2, 1e-3, 1e-4, 1e-5)  # of the largest entry of a step
_TORCH = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8)  # of the gradient, or of a Newton step
# Name → the file that has it, and the tolerances to sweep, the loosest first.
WAYS: dict[str, tuple[str, tuple[float, ...]]] = {
    "CuPy expressions, Newton": ("expressions", _NEWTON),
    "PyTorch, L-BFGS": ("torch_fits", _TORCH),
    "PyTorch, Newton": ("torch_fits", _TORCH),
    "PyTorch, Newton in TF32": ("torch_fits", _TORCH),
    "scikit-learn, array API, lbfgs": ("estimators", (1e-3, 1e-4, 1e-5, 1e-6, 1e-7)),
    "cuML, qn": ("estimators", (1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-10)),
}


class RivalUnavailableError(Exception):
    """A rival cannot run here, or not on this problem; the message says why."""


def way_of(name: str, xp: Any) -> tuple[Way, tuple[float, ...]]:
    """A way by its name, on arrays of ``xp``, and the tolerances to sweep, the loosest first.

    Raises
    ------
    RivalUnavailableError
        Its library is not installed, or does not do this.
    KeyError
        There is no such way.
    """
    file, tolerances = WAYS[name]
    return partial(_guarded, import_module(f"bench.rivals.{file}").load(name, xp)), tolerances


def require_right(call: Callable[[], Any], check: Callable[[Any], object]) -> None:
    """Try a rival once, so that one that fails or is wrong is left out and does not end the run.

    Raises
    ------
    RivalUnavailableError
        It does not come to the right answer; the message says what happened.
    """
    try:
        check(call())
    except Exception as error:
        said = " ".join(str(error).split())[:200]
        raise RivalUnavailableError(f"fails with {type(error).__name__}: {said}") from error


def _guarded(way: Way, X: Any, y: Any, l2: float) -> Fit:
    """A way whose warnings are its own affair, and whose failure is a reason to leave it out, not ours."""

    def guarded(call: Callable[..., Any], *arguments: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return call(*arguments)
            except RivalUnavailableError:
                raise
            except Exception as error:
                said = str(error).strip().partition("\n")[0]
                raise RivalUnavailableError(f"fails with {type(error).__name__}: {said}") from error

    fit = guarded(way, X, y, l2)
    return partial(guarded, fit)
