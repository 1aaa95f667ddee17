"""Every CUDA program compiles for the oldest and the newest architecture that we name, without a GPU."""

from __future__ import annotations

import re
from typing import Any

import pytest

from accel_logreg.kernels.cupy_fused.columns import plan as columns_plan
from accel_logreg.kernels.cupy_fused.dense import plan as dense_plan
from accel_logreg.kernels.cupy_fused.programs import (
    ARCHITECTURES,
    COLUMNS,
    OPTIONS,
    PASSES,
    PROGRAMS,
    Program,
)
from bench.kernels_report.use import CUPY_OPTIONS, VERBOSE, read_report

pytest_plugins = ["support.nvrtc"]

HOPPER = 90
# The others are compiled to machine code as well, but without the optimisations, which take most of the time.
QUICKLY = "--Ofast-compile=max"


def compiled(nvrtc: Any, text: str, options: tuple[str, ...]) -> tuple[bytes, str]:
    """The cubin, and what the compiler had to say."""
    program = nvrtc.createProgram(text, "program.cu", (), ())
    try:
        try:
            nvrtc.compileProgram(program, (*OPTIONS, *CUPY_OPTIONS, *options))
        except nvrtc.NVRTCError as error:
            pytest.fail(f"{error} for {options}:\n{nvrtc.getProgramLog(program)}", pytrace=False)
        return nvrtc.getCUBIN(program), nvrtc.getProgramLog(program).strip("\0\n ")
    finally:
        nvrtc.destroyProgram(program)


def test_this_nvrtc_knows_every_architecture(nvrtc: Any) -> None:
    if nvrtc.getVersion() < (13, 0):
        pytest.skip(f"NVRTC {nvrtc.getVersion()} is older than CUDA 13 and need not know all")
    assert set(ARCHITECTURES) <= set(nvrtc.getSupportedArchs())


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.files[-1])
@pytest.mark.parametrize("architecture", sorted({ARCHITECTURES[0], HOPPER, ARCHITECTURES[-1]}))
def test_compiles_with_every_entry_point(nvrtc: Any, architecture: int, program: Program) -> None:
    if architecture not in nvrtc.getSupportedArchs():
        pytest.skip(f"this NVRTC does not know compute capability {architecture / 10}")
    quickly = architecture != HOPPER and nvrtc.getVersion() >= (13, 0)
    options = (QUICKLY,) if quickly else (VERBOSE,)
    cubin, log = compiled(nvrtc, program.text, (*options, f"-arch=sm_{architecture}"))
    assert [line for line in log.splitlines() if not line.startswith("ptxas ")] == []
    assert "warning" not in log
    # Constant bank 0 is a kernel's parameters; functions that were not inlined have none.
    entry_points = {name.decode() for name in re.findall(rb"\0\.nv\.constant0\.(\w+)", cubin)}
    assert entry_points == set(program.kernels)
    if architecture == HOPPER:
        uses = read_report(log, cubin, program.kernels)
        for use in uses:
            if use.kernel in program.large_shared_memory and program in THREADS:
                assert use.threads >= THREADS[program]
            if program is COLUMNS:
                assert use.spills == 0, "a panel's sums are to stay in registers"


# Of a multiprocessor: the plans count on so many, and so on so few registers a thread.
THREADS = {
    PASSES: dense_plan.THREADS_PER_MULTIPROCESSOR,
    COLUMNS: columns_plan.THREADS_PER_MULTIPROCESSOR,
}
