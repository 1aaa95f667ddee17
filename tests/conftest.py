"""Shared fixtures. ``backend`` runs a test on every engine; a missing one is a skip that says why."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

from accel_logreg.backends import BACKENDS, BackendUnavailableError, load_backend
from accel_logreg.backends.base import Backend

# A GPU machine's Python may lack rich; the engines are tested there all the same.
_TERMINAL_TESTS = [
    "test_cli.py",
    "test_cli_train.py",
    "test_cli_predict.py",
    "test_report.py",
    "test_speedup.py",
]
collect_ignore = [] if find_spec("rich") else _TERMINAL_TESTS


def pytest_report_header() -> str | None:
    if not collect_ignore:
        return None
    return f"rich is not installed, so these are left out: {', '.join(collect_ignore)}"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require-gpu", action="store_true", help="a test that needs a GPU and finds none fails"
    )


def _engine(name: str, config: pytest.Config) -> Backend:
    try:
        return load_backend(name)
    except BackendUnavailableError as error:
        if name == "cupy" and config.getoption("--require-gpu"):
            pytest.fail(f"--require-gpu: {error}", pytrace=False)
        if name == "cupy":
            pytest.skip(str(error))
        raise  # the CPU engines are part of the development set: a missing one is a defect


@pytest.fixture(
    params=[pytest.param(name, marks=pytest.mark.gpu if name == "cupy" else ()) for name in BACKENDS]
)
def backend(request: pytest.FixtureRequest) -> Backend:
    """Each engine in turn."""
    return _engine(request.param, request.config)


@pytest.fixture
def gpu(request: pytest.FixtureRequest) -> Backend:
    """The CuPy engine, or a skip with the reason."""
    return _engine("cupy", request.config)


@pytest.fixture(params=["float64", "float32"])
def dtype(request: pytest.FixtureRequest) -> type[np.floating]:
    return np.dtype(request.param).type


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20260)
