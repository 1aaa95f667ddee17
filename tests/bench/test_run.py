"""The benchmark runner, end to end on one small group."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support import bench_documents

from accel_logreg import available_backends
from accel_logreg.profile.ceilings import Ceilings
from bench import run as run_module
from bench.report import document as bench_document

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
    assert printed.out.endswith(f"written: {path}\nreport: here\n")
    document = bench_document.read(path)
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
