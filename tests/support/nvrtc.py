"""NVRTC, through CuPy. A test file asks for it with ``pytest_plugins = ["support.nvrtc"]``."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(scope="session")
def nvrtc() -> Any:
    """CuPy's module of it, or a skip with the reason."""
    module = pytest.importorskip(
        "cupy_backends.cuda.libs.nvrtc",
        reason='CuPy is not installed, so NVRTC cannot be reached; pip install "cupy-cuda13x[ctk]"',
        exc_type=ImportError,
    )
    try:
        module.getVersion()
    except Exception as error:
        pytest.skip(f"NVRTC does not load: {error}")
    return module
