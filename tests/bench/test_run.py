"""The benchmark runner, end to end on one small group."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support import bench_documents, command_line

from accel_logreg import available_backends
from accel_logreg.measure.machine import describe
from accel_logreg.profile.ceilings import Ceilings
from bench import run as run_module
from bench.report import results_file

ROOT = Path(__file__).parents[2]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench.run", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_one_group_is_measured_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """All of a run but what the machine can do and the page, which have tests of their own."""
    path = tmp_path / "results.json"
    known = Ceilings(1e10, "reading a large array", {"float32": 2e11, "float64": 1e11})
    monkeypatch.setattr(run_module, "host_ceilings", lambda *_: known)
    monkeypatch.setattr(run_module, "report", lambda *_: "report: here")
    arguments = ["--output", str(path), "-k", "gradient and 2000x28 and float64"]
    monkeypatch.setattr(sys, "argv", ["bench.run", *arguments])
    status = run_module.main()
    printed = capfd.readouterr()
    assert status == 0, printed.out + printed.err
    assert f"written: {path}\nreport: here\n" in printed.out
    document = results_file.read(path)
    assert document.mode == "quick"
    assert document.ceilings["read bandwidth"] == 1e10
    assert document.noise["relative"] > 0
    assert "noise: " in printed.out
    records = document.records
    assert {record.engine for record in records} == set(available_backends())
    assert len(document.skipped) == 4 - len(records)
    for record in records:
        assert record.name.startswith("bench_pass.py::bench_gradient[")
        assert (record.suite, record.group) == ("pass", "gradient 2000x28 float64")
        assert (record.shape, record.dtype) == ((2000, 28), "float64")
        assert record.reads == (2 if record.engine == "python" else 1)  # the loop goes over X twice
        assert record.bytes_moved == 448_000 * record.reads
        assert 5 <= len(record.seconds) <= 60
        assert record.interval[0] <= record.median_seconds <= record.interval[1]
        assert record.rate == pytest.approx(record.bytes_moved / record.median_seconds)
        assert record.engine in printed.out


@pytest.mark.slow
def test_a_file_of_plain_pytest_is_a_document_too(tmp_path: Path) -> None:
    """And bench.compare takes it: the same benchmark of two runs."""
    paths = [tmp_path / "a.json", tmp_path / "b.json"]
    options = ["-q", "-k", "gradient and 2000x28-float64 and numpy", "--benchmark-max-time=0.05"]
    selected = [sys.executable, "-m", "pytest", "bench/suites/bench_pass.py", *options]
    command = [*selected, f"--benchmark-json={paths[0]}"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    document = results_file.read(paths[0])
    (record,) = document.records
    assert record.name == "bench_pass.py::bench_gradient[numpy-2000x28-float64]"
    assert (record.group, record.shape, record.bytes_moved) == (
        "gradient 2000x28 float64",
        (2000, 28),
        448_000,
    )
    assert record.params == {"engine": "numpy", "shape": "2000x28", "dtype": "float64"}
    assert document.machine["cpu_id"] == describe().cpu_id
    assert document.noise["relative"] > 0
    assert document.command.startswith("pytest bench/suites/bench_pass.py -q -k")
    results_file.write(document, paths[1])
    assert results_file.read(paths[1]) == document
    compared = command_line.run("compare", *paths)
    assert compared.exit_code == 0
    assert "No slow-down beyond the thresholds among 1" in " ".join(compared.stdout.split())


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


def test_where_no_page_can_be_written_that_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "bench.report.page", None)  # as if it could not be imported
    said = run_module.report(bench_documents.document(), tmp_path, None)
    assert said.startswith("no report was written: ")
    assert "pip install '.[lab]'" in said


def test_a_page_is_written_and_its_place_said(tmp_path: Path) -> None:
    said = run_module.report(bench_documents.document(), tmp_path / "report", None)
    assert said == f"report: {tmp_path / 'report/bench.html'}"
    assert "<html" in (tmp_path / "report" / "bench.html").read_text(encoding="utf-8")
