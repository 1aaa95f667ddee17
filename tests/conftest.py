"""Shared fixtures. ``backend`` runs a test on every engine; a missing one is a skip that says why."""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from importlib.util import find_spec
from unittest.mock import MagicMock

import numpy as np
import pytest

from accel_logreg.backends import BACKENDS, BackendUnavailableError, load_backend
from accel_logreg.interface.engine import Engine

# A GPU machine's Python may lack rich and hypothesis; the engines are tested there all the same.
_NEED_RICH = ["lesson/test_report.py", "lesson/test_study.py"]
collect_ignore = [] if find_spec("rich") else _NEED_RICH
_COMPILES = re.compile(
    r"tests/(backends/numba_jit|interface|kernels/numba_jit|problem|robustness|solvers|test_)"
)
if not find_spec("hypothesis"):
    without = MagicMock()  # whatever is taken from it, strategies and their unions too, is another of these
    without.settings = lambda **_: lambda test: test
    without.given = lambda **_: pytest.mark.skip("hypothesis is not installed")
    sys.modules |= {"hypothesis": without, "hypothesis.strategies": without.strategies}


def pytest_report_header() -> list[str]:
    return [f"rich is not installed, so these are left out: {name}" for name in collect_ignore]


def pytest_configure(config: pytest.Config) -> None:
    config.option.reportchars = config.option.reportchars.replace("a", "fExX")  # skips: see below
    os.environ.pop("PYTEST_XDIST_WORKER", None)  # a pytest that a test starts is no worker of ours


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What compiles most for Numba comes last.

    Two processes start at the two ends of the first and of the second half, so one of them compiles for
    Numba while the other emulates CUDA and draws pages, instead of both compiling the same kernels.
    """
    items.sort(key=lambda item: bool(_COMPILES.match(item.nodeid)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Every reason to skip once, with its number of tests: a missing GPU skips hundreds for one reason."""
    reasons = Counter(report.longrepr[2] for report in terminalreporter.getreports("skipped"))
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"{count} skipped: {reason.removeprefix('Skipped: ')}")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require-gpu", action="store_true", help="a test that needs a GPU and finds none fails"
    )


def _engine(name: str, config: pytest.Config) -> Engine:
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
def backend(request: pytest.FixtureRequest) -> Engine:
    """Each engine in turn."""
    return _engine(request.param, request.config)


@pytest.fixture
def gpu(request: pytest.FixtureRequest) -> Engine:
    """The CuPy engine, or a skip with the reason."""
    return _engine("cupy", request.config)


@pytest.fixture(params=["float64", "float32"])
def dtype(request: pytest.FixtureRequest) -> type[np.floating]:
    return np.dtype(request.param).type


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20260)
