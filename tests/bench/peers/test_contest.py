"""The comparison with peers: its contest, its processes and its command.

Only scikit-learn is needed here; solvers that fail are played by a module written for the occasion.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.peers_samples import result_of, small

from accel_logreg.measure import machine
from bench.harness.process import Process
from bench.judge import optimum
from bench.peers import report, results, shapes, solvers
from bench.peers.__main__ import main
from bench.peers.contest import Contest, Pace
from bench.peers.results import Run
from bench.peers.solvers import DEFAULT, OURS, SOLVERS, Solver, since
from bench.peers.station import Sampling, Station
from bench.peers.worker import Request, Task

# No test ends because a machine is slow: what has to finish may take this long.
PATIENT = Pace(1e9, rounds=2, shortest=600.0, longest=600.0, sampling=Sampling(3, 0.01, 0.0))

FAKES = """
import time

def raises(X, y, parameters, threads):
    raise ArithmeticError("no luck with tol=%g" % parameters["tol"])

def hangs(X, y, parameters, threads):
    time.sleep(3600)

def dies(X, y, parameters, threads):
    import os
    print("out of luck", flush=True)
    os._exit(3)
"""


def test_a_quick_run_begins_where_the_strong_peers_arrive() -> None:
    for shape in shapes.SHAPES.values():
        for name, entry in shape.strong.items():
            first, *_ = since(SOLVERS[name].sweep, entry)
            assert entry.items() <= first[0].items()
            assert len(entry) == len(first[0].keys() - {"solver", "dual"})  # nothing is left to chance
    sweep = SOLVERS["snapml primal"].sweep
    begun = since(sweep, {"column": 10.0, "tol": 1e-5})
    assert begun == (sweep[1][1:], sweep[2])
    assert since(sweep, sweep[0][0]) == sweep
    with pytest.raises(ValueError, match=r"\{'tol': 0.7\} is in no entry of the sweep"):
        since(sweep, {"tol": 0.7})


@pytest.mark.parametrize(("known", "tried"), [(True, [1e-4]), (False, [1e-2, 1e-3, 1e-4])])
def test_the_pace_says_where_a_strong_peers_sweep_begins(known: bool, tried: list[float]) -> None:
    class Instant(Station):
        """Fits that take no time and come as near as their tolerance says, without a process."""

        def cold(self, *_: object) -> tuple[float, str]:
            return 0.1, ""

        def measure(self, _solver: Solver, run: Run, _limit: float) -> Run:
            run.seconds.append(0.1)
            run.values.append(0.5 * (1.0 + run.parameters["tol"] * 1e-2))
            return run

    data = small("float64")
    result = result_of(data)
    peer = Solver("a", "", (tuple({"tol": tol} for tol in (1e-2, 1e-3, 1e-4, 1e-5)),))
    station = Instant(result, data, Path(), Sampling())
    pace = replace(PATIENT, rounds=1, stop=1e-6, known=known)
    Contest(station, [peer], {"a": {"tol": 1e-4}}, pace, lambda _line: None).run()
    assert [run.parameters["tol"] for run in result.runs] == tried


@pytest.fixture
def fakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fake_peers.py").write_text(FAKES)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.slow
@pytest.mark.usefixtures("fakes")
def test_a_contest_end_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = small("float64")
    data.save(tmp_path)
    result = result_of(data, optimum.solve(data))
    sweep = ({"tol": 1e-2}, {"tol": 1e-4})
    entrants = [
        SOLVERS[OURS],
        replace(SOLVERS["scikit-learn newton-cholesky"], alone=""),
        Solver("raising", "fake_peers:raises", (sweep,)),
        Solver("dying", "fake_peers:dies", (sweep,)),
        Solver("missing", "no_such_library:fit", (sweep,)),
        Solver("unfit", "fake_peers:raises", (sweep,), refuses=lambda data: f"does not do d={data.d}"),
    ]
    lines: list[str] = []
    with Station(result, data, tmp_path, PATIENT.sampling) as station:
        Contest(station, entrants, {}, PATIENT, lines.append).run()
    ours = result.ours
    assert ours is not None
    assert ours.suboptimality is not None
    assert ours.suboptimality <= 1e-8
    assert len(ours.seconds) == 2
    assert not ours.scouting
    assert ours.reads is not None
    peer = result.best_peer(1e-6)
    assert peer is not None
    assert peer.solver == "scikit-learn newton-cholesky"
    troubles = {run.solver: run.trouble for run in result.runs if run.trouble}
    assert troubles["raising"].startswith("ArithmeticError: no luck with tol=0.01 (fake_peers.py:")
    assert troubles["dying"] == "its process ended with status 3: out of luck"
    assert "no_such_library" in troubles["missing"]
    assert result.left_out == {"unfit": "does not do d=7"}
    printed = report.table(result)
    assert all(solver.name in printed for solver in entrants)
    assert report.row(result).ratio == peer.median / ours.median
    # Every run survives the way to the file and back, and has a line of it.
    path = tmp_path / "results.json"
    results.write(path, [result], machine.describe())
    assert results.read(path) == [result]
    assert json.loads(path.read_text())["machine"]["usable_cores"] >= 1
    assert sum('"solver"' in line for line in path.read_text().splitlines()) == len(result.runs)
    drawn = report.save_plots([result], tmp_path / "pictures")
    assert drawn == [tmp_path / "pictures" / "tiny.svg"]
    assert drawn[0].read_bytes().startswith(b"<svg")
    # And the command prints the same from the file.
    capsys.readouterr()
    assert main(["--read", str(path)]) == 0
    out = capsys.readouterr().out
    assert printed in out
    assert report.text([result]) in out


@pytest.mark.usefixtures("fakes")
def test_a_fit_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    data = small("float64")
    data.save(tmp_path)
    hanging = Solver("hanging", "fake_peers:hangs", (({"tol": 1e-2},),), loading=0.0)
    with Station(result_of(data), data, tmp_path, PATIENT.sampling) as station:
        assert station.cold(hanging, {"tol": 1e-2}, 0.1) == (0.0, "did not finish in 0.1 s")


@pytest.mark.slow
def test_the_command_measures_prints_and_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("accel_logreg.measure.machine.read_bandwidth", lambda: 1e10)
    monkeypatch.setattr(Station, "compiling", lambda *_: 12.5)
    pace = replace(PATIENT, rounds=1, stop=1e-2)
    monkeypatch.setattr("bench.peers.contest._pace", lambda *_: pace)
    path = tmp_path / "found" / "peers.json"
    arguments = ["--shape", "1000x20-float64", "--solver", "scikit-learn newton-cg", "--output", str(path)]
    assert main([*arguments, "--markdown", "--plots", str(tmp_path)]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("| shape | ours |")
    assert "| 1000x20-float64 |" in printed.out
    assert f"written: {path}" in printed.err
    (result,) = results.read(path)
    assert result.compile_seconds == 12.5
    assert result.optimum.how == "our Newton, float64"
    assert {run.solver for run in result.runs} == {OURS, "scikit-learn newton-cg"}
    assert (tmp_path / "1000x20-float64.svg").exists()


def test_a_worker_tells_of_warnings_and_reuses_a_conversion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "peer_with_format.py").write_text(
        "import warnings\n"
        "from bench.peers.libraries import Answer\n"
        "def convert(X, y, p): return (X * p['column'], len(y))\n"
        "def fit(X, y, p, threads):\n"
        "    warnings.warn('did not converge\\nmore words')\n"
        "    return Answer(X[0][0], X[1] + threads)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    data = small("float64")
    data.save(tmp_path)
    task = Task("peer_with_format:fit", "peer_with_format:convert", ("column",))
    with Process("bench.peers.worker:Worker", task) as process:
        first = process.ask(
            Request(str(tmp_path), {"column": 2.0, "tol": 0.1}, threads=5, calls=4, seconds=1e9), 600.0
        )
        assert first.trouble == ""
        assert first.conversion_seconds is not None
        assert len(first.seconds) == 4
        assert first.warnings == ("did not converge",)
        np.testing.assert_array_equal(first.W, [*(2.0 * data.X[0]), data.n + 5])
        if sys.platform == "linux":
            assert first.peak_bytes is not None
            assert first.peak_bytes >= 0
        same = process.ask(Request(str(tmp_path), {"column": 2.0, "tol": 0.2}, threads=1), 600.0)
        assert same.conversion_seconds is None
        other = process.ask(Request(str(tmp_path), {"column": 3.0, "tol": 0.2}, threads=1, calls=0), 600.0)
        assert other.conversion_seconds is not None
        assert other.seconds == ()
    assert not process.alive


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--shape", "7x7"], "shape '7x7' is not known; choose from 1e6x28-float64, "),
        (["--solver", "libsvm"], "solver 'libsvm' is not known; choose from 'accel_logreg', "),
        (["--shrink", "0"], "--shrink 0 must be at least 1"),
        (["--read", "no-such-file.json"], "No such file or directory: 'no-such-file.json'"),
    ],
)
def test_wrong_arguments_are_named(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert words in capsys.readouterr().err


def test_ours_takes_part_always_and_as_it_comes() -> None:
    assert [solver.name for solver in solvers.named(["scikit-learn sag"])] == [OURS, "scikit-learn sag"]
    from accel_logreg import LogisticRegression

    assert LogisticRegression().tol == DEFAULT["tol"]
    assert any(entry == DEFAULT for group in SOLVERS[OURS].sweep for entry in group)
