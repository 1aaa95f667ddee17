"""The assembly report: what a disassembly shows is counted, and a kernel that is not right is named."""

from __future__ import annotations

import llvmlite.binding as llvm
import pytest

from bench.kernels_report.assembly import Kernel, count, report

LISTING = """
    vfmadd231pd  (%rax), %zmm1, %zmm2
    vfnmadd213ps %ymm1, %ymm2, %ymm3
    vfmadd231sd  (%rax), %xmm1, %xmm2
    vmulpd       %zmm1, %zmm2, %zmm3
    callq        *exp@GOTPCREL(%rip)
    callq        NRT_Allocate
"""


def test_count() -> None:
    assert count(LISTING) == ({"zmm": 1, "ymm": 1}, 1)
    more = LISTING + "\n vaddpd 64(%rbp,%rcx,8), %zmm1, %zmm1\n vcmpltpd %zmm1, %zmm2, %k1"
    assert count(more, plain=True) == ({"zmm": 3, "ymm": 1}, 1)


def test_report_fails_for_narrow_vectors_library_calls_and_gathers(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(llvm, "get_host_cpu_features", lambda: {"avx512f": True, "avx2": True})
    assert report([Kernel("good", "float64", {"zmm": 4, "ymm": 1}, 0)]) == 0
    assert report([Kernel("narrow", "float64", {"ymm": 4}, 0)]) == 1
    assert report([Kernel("slow", "float64", {"zmm": 4}, 2)]) == 1
    assert report([Kernel("gathering", "float64", {"zmm": 4}, 0, 5)]) == 1
    output = capsys.readouterr().out
    assert "ok    good" in output
    assert "FAIL  narrow" in output
    assert "5 gathers" in output
    assert "2 calls to a math library" in output
