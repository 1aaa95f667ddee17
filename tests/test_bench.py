"""The benchmark runner, end to end on one small group."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from accel_logreg import available_backends

ROOT = Path(__file__).parent.parent


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench.run", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_one_group_is_measured_and_written(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    result = run("--output", str(path), "-k", "gradient and 2000x28 and float64")
    assert result.returncode == 0, result.stdout + result.stderr
    document = json.loads(path.read_text())
    assert document["read_bandwidth_bytes_per_second"] > 0
    records = [entry for entry in document["benchmarks"] if entry["shape"] == [2000, 28]]
    assert {entry["engine"] for entry in records} == set(available_backends())
    for entry in records:
        assert entry["group"] == "gradient 2000x28 float64"
        assert entry["median_seconds"] > 0
        assert entry["dtype"] == "float64"
        assert entry["gigabytes_per_second"] == pytest.approx(448e-6 / entry["median_seconds"])
        assert entry["engine"] in result.stdout


def test_nothing_selected_says_so(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    result = run("--output", str(path), "-k", "no_such_benchmark")
    assert result.returncode != 0
    assert "no benchmark finished; nothing was written" in result.stderr
    assert "Traceback" not in result.stdout + result.stderr
    assert not path.exists()


def test_gpu_run_without_a_gpu_says_why() -> None:
    if "cupy" in available_backends():
        pytest.skip("there is a GPU here; make gpu runs its benchmarks")
    result = run("--gpu")
    assert result.returncode == 1
    assert result.stderr.startswith("backend='cupy' cannot run here")
