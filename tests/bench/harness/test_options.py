"""pytest-benchmark's options do what they say, or are refused by name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.harness.measuring import QUICK
from bench.harness.options import REFUSED, budget_of

ROOT = Path(__file__).parents[3]
ONE = "bench_gradient[numpy-2000x28-float64]"


def test_what_is_not_given_changes_nothing() -> None:
    assert budget_of(["-q", "bench"], None, QUICK) is QUICK


def test_rounds_and_times_are_heeded() -> None:
    values = {"--benchmark-min-rounds": 200, "--benchmark-max-time": 0.5, "--benchmark-min-time": 0.01}
    budget = budget_of([f"{name}={value}" for name, value in values.items()], values.get, QUICK)
    assert (budget.fewest, budget.rarely, budget.sample, budget.seconds) == (200, 200, 0.01, 0.5)
    assert budget.each
    assert budget.most >= 200


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_for_these_is_refused_by_name(name: str) -> None:
    with pytest.raises(pytest.UsageError, match=f"^{name} does not go with these benchmarks: "):
        budget_of([f"{name}=1"], None, QUICK)


def run(tmp_path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    suite = ROOT / "bench" / "suites" / "bench_pass.py"
    where = [sys.executable, "-m", "pytest", str(suite), "-q", "-p", "no:cacheprovider"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([*where, *options], cwd=tmp_path, env=environment, capture_output=True, text=True)


@pytest.mark.slow
def test_in_a_folder_without_earlier_results(tmp_path: Path) -> None:
    """There is nothing to compare with; a histogram is drawn; iterations are the calls of a sample."""
    path = tmp_path / "run.json"
    options = ("-k", ONE, "--benchmark-compare", "--benchmark-min-rounds=9", "--benchmark-max-time=0.01")
    done = run(tmp_path, *options, f"--benchmark-json={path}", f"--benchmark-histogram={tmp_path / 'drawn'}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Can't compare. No benchmark files" in done.stdout + done.stderr
    (found,) = json.loads(path.read_text(encoding="utf-8"))["benchmarks"]
    stats: dict[str, Any] = found["stats"]
    assert stats["rounds"] == 9
    assert stats["iterations"] == found["extra_info"]["calls_a_sample"]
    assert list(tmp_path.glob("drawn*.svg"))


@pytest.mark.slow
def test_nothing_selected_is_no_traceback(tmp_path: Path) -> None:
    done = run(tmp_path, "-k", "nosuch", f"--benchmark-json={tmp_path / 'none.json'}")
    assert done.returncode == 5
    assert "Traceback" not in done.stdout + done.stderr
