"""The note that kernels are compiled: at the beginning, once, and never for what a cache gives."""

from __future__ import annotations

import sys

import pytest

from accel_logreg.measure.compiling import told_of_compiling


def test_told_when_it_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    numba = pytest.importorskip("numba", reason="needs Numba: pip install 'accel_logreg[numba]'")
    told: list[str] = []

    @numba.njit
    def double(x: float) -> float:
        return 2 * x

    with told_of_compiling(told.append):
        assert told == []
        double(1.0)
        double(1)  # another type: compiled as well, and not told again
        (sentence,) = told
    assert "compiling the kernels" in sentence
    with told_of_compiling(told.append):
        double(2.0)
    double(2j)
    assert len(told) == 1
    monkeypatch.setitem(sys.modules, "numba.core", None)
    with told_of_compiling(told.append):
        pass
