"""PyTorch: its own L-BFGS over autograd, and Newton's method written by hand.

float32 products are float32 unless the way says TF32: PyTorch's global setting is set for each fit and
given back.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np

from bench.problems.problem import Float64
from bench.rivals import Fit, RivalUnavailableError, Way

MOST_STEPS = 300
MEMORY = 10


def load(name: str, xp: Any) -> Way:
    """A way by its name; ``xp`` says whether X lies on a GPU."""
    try:
        torch = import_module("torch")
    except ImportError as error:
        raise RivalUnavailableError(f"PyTorch is not installed ({error})") from None
    if xp.__name__ != "numpy" and not torch.cuda.is_available():
        raise RivalUnavailableError(f"PyTorch {torch.__version__} sees no CUDA device")
    if name == "PyTorch, L-BFGS":
        return partial(lbfgs, torch)
    if name == "PyTorch, Newton":
        return partial(newton, torch, "highest")
    return partial(newton, torch, "high")


@contextmanager
def precision(torch: Any, name: str) -> Iterator[None]:
    """float32 products in float32 ("highest") or in TF32 ("high")."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(name)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def lbfgs(torch: Any, X: Any, y: Any, l2: float) -> Fit:
    """torch.optim.LBFGS with its strong Wolfe line search; the gradient by autograd."""
    X, y = torch.from_dlpack(X), torch.from_dlpack(y)  # in the same memory
    loss_of = torch.nn.functional.binary_cross_entropy_with_logits

    def fit(tol: float) -> Float64:
        w = torch.zeros(X.shape[1], dtype=X.dtype, device=X.device, requires_grad=True)
        b = torch.zeros((), dtype=X.dtype, device=X.device, requires_grad=True)
        optimiser = torch.optim.LBFGS(
            [w, b],
            lr=1.0,
            max_iter=MOST_STEPS,
            tolerance_grad=tol,
            tolerance_change=0.0,
            history_size=MEMORY,
            line_search_fn="strong_wolfe",
        )

        def closure() -> Any:
            optimiser.zero_grad()
            loss = loss_of(X @ w + b, y) + 0.5 * l2 * (w @ w)
            loss.backward()
            return loss

        with precision(torch, "highest"):
            optimiser.step(closure)
        return _weights(w, b)

    return fit


def newton(torch: Any, matmul_precision: str, X: Any, y: Any, l2: float) -> Fit:
    """Newton's method from zero; the system is solved on the device in float64."""
    X, y = torch.from_dlpack(X), torch.from_dlpack(y)  # in the same memory
    n, d = X.shape

    def fit(tol: float) -> Float64:
        W = torch.zeros(d + 1, dtype=torch.float64, device=X.device)
        penalty = torch.full((d + 1,), l2, dtype=torch.float64, device=X.device)
        penalty[-1] = 0.0
        with torch.no_grad(), precision(torch, matmul_precision):
            for _ in range(MOST_STEPS):
                a = torch.sigmoid(X @ W[:-1].to(X.dtype) + W[-1].to(X.dtype))
                residual, h = (a - y) / n, a * (1.0 - a) / n
                scaled = X * h[:, None]
                H = torch.empty((d + 1, d + 1), dtype=torch.float64, device=X.device)
                H[:-1, :-1] = X.T @ scaled
                H[:-1, -1] = H[-1, :-1] = scaled.sum(dim=0)
                H[-1, -1] = h.sum()
                gradient = torch.cat([X.T @ residual, residual.sum()[None]]).to(torch.float64)
                step = torch.linalg.solve(H + torch.diag(penalty), gradient + penalty * W)
                W -= step
                if float(step.abs().max()) <= tol:
                    break
        return _weights(W[:-1], W[-1])

    return fit


def _weights(w: Any, b: Any) -> Float64:
    W: Float64 = np.append(w.detach().cpu().numpy(), float(b.detach())).astype(np.float64)
    return W
