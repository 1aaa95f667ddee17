"""What else fits on a GPU: one library a file. Each is checked for its answer before anybody times it.

A rival's ``fits`` names its ways to fit, each a function ``way(X, y, l2) -> fit``, with ``fit(tol) -> W``:
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

from bench.problems.dense import Float64

Fit = Callable[[float], Float64]
Way = Callable[[Any, Any, float], Fit]

_FILES = ("expressions", "torch_fits", "scikit_learn", "cuml_fits")
WAYS = (
    "CuPy expressions, Newton",
    "PyTorch, L-BFGS",
    "PyTorch, Newton",
    "PyTorch, Newton in TF32",
    "scikit-learn, array API, lbfgs",
    "cuML, qn",
)


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
    for file in _FILES:
        module = import_module(f"bench.rivals.{file}")
        if name in module.WAYS:
            return partial(_guarded, module.load(name, xp)), module.TOLERANCES
    raise KeyError(name)


def require_right(name: str, call: Callable[[], Any], check: Callable[[Any], object]) -> None:
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
        raise RivalUnavailableError(f"{name} fails with {type(error).__name__}: {said}") from error


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
