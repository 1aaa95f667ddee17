"""pytest plugin: scikit-learn's tests with our classes in place; what differs told apart from what fails."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from accel_logreg import drop_in
from accel_logreg.patch import patch_sklearn
from tests.in_scikit_learn.differences import DIFFERENCES

FITS = "accel_logreg_fits"  # what a worker tells of them
_fits: Counter[tuple[str, str]] = Counter()
_met: set[tuple[str, str]] = set()


def pytest_configure() -> None:
    patch_sklearn(backend="numba")  # what "auto" takes follows from what is compiled here already


def difference(nodeid: str) -> tuple[str, str] | None:
    """The module and the beginning of a test's name under which a difference of it is known."""
    path, _, name = nodeid.partition("::")
    for module, known in DIFFERENCES.items():
        if path.endswith(module):
            return next(((module, start) for start in known if name.startswith(start)), None)
    return None


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: Any, call: Any) -> Any:
    outcome = yield
    report = outcome.get_result()
    known = difference(f"{item.path.as_posix()}::{item.name}")
    if known is not None and call.when == "call" and report.failed:
        report.outcome = "skipped"
        report.wasxfail = DIFFERENCES[known[0]][known[1]]


def pytest_sessionfinish(session: Any) -> None:
    if hasattr(session.config, "workeroutput"):  # a worker: counts are told to the controller
        session.config.workeroutput[FITS] = [[*key, count] for key, count in drop_in.fits.items()]
    else:
        _fits.update(drop_in.fits)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    for name, what, count in getattr(node, "workeroutput", {}).get(FITS, []):
        _fits[name, what] += count


def pytest_terminal_summary(terminalreporter: Any) -> None:
    say = terminalreporter.write_line
    differ: Counter[str] = Counter()
    for report in terminalreporter.stats.get("xfailed", []):
        differ[str(report.wasxfail)] += 1
    passed = len(terminalreporter.stats.get("passed", [])) + len(terminalreporter.stats.get("xpassed", []))
    failed = len(terminalreporter.stats.get("failed", []))
    known = {reason for tests in DIFFERENCES.values() for reason in tests.values()}
    ours = {reason: count for reason, count in differ.items() if reason in known}
    of = passed + failed + sum(ours.values())
    say("")
    say(f"with our classes in scikit-learn's place: {passed} of {of} tests pass ({passed / max(of, 1):.1%})")
    for reason, count in ours.items():
        say(f"  {count:5} differ: {reason}")
    say(f"  {failed:5} fail without a reason that is known")
    drop_in.fits.clear()
    drop_in.fits.update(_fits)
    from accel_logreg.patch import patch_report

    say(patch_report())
