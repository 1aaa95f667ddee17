"""Every CUDA program compiles for every architecture that we name, without a GPU."""

from __future__ import annotations

import re

import pytest

from accel_logreg.kernels.cupy_fused.programs import ARCHITECTURES, OPTIONS, PROGRAMS, Program

nvrtc = pytest.importorskip(
    "cupy_backends.cuda.libs.nvrtc",
    reason='CuPy is not installed, so NVRTC cannot be reached; pip install "cupy-cuda13x[ctk]"',
    exc_type=ImportError,
)
# What CuPy 14 adds to the options of a RawModule.
CUPY_OPTIONS = ("-ftz=true", "--device-as-default-execution-space")


def nvrtc_version() -> tuple[int, int]:
    try:
        version: tuple[int, int] = nvrtc.getVersion()
    except Exception as error:
        pytest.skip(f"NVRTC does not load: {error}")
    return version


def compiled(program_text: str, architecture: int) -> tuple[bytes, str]:
    """The cubin, and what the compiler had to say."""
    program = nvrtc.createProgram(program_text, "dense/passes.cu", (), ())
    try:
        options = (*OPTIONS, *CUPY_OPTIONS, f"-arch=sm_{architecture}")
        try:
            nvrtc.compileProgram(program, options)
        except nvrtc.NVRTCError as error:
            pytest.fail(f"{error} for {options}:\n{nvrtc.getProgramLog(program)}", pytrace=False)
        return nvrtc.getCUBIN(program), nvrtc.getProgramLog(program).strip("\0\n ")
    finally:
        nvrtc.destroyProgram(program)


def test_this_nvrtc_knows_every_architecture() -> None:
    version = nvrtc_version()
    if version < (13, 0):
        pytest.skip(f"NVRTC {version} is older than CUDA 13 and need not know all of {ARCHITECTURES}")
    assert set(ARCHITECTURES) <= set(nvrtc.getSupportedArchs())


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.files[-1])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_compiles_with_every_entry_point(architecture: int, program: Program) -> None:
    version = nvrtc_version()
    if architecture not in nvrtc.getSupportedArchs():
        pytest.skip(f"NVRTC {version} does not know compute capability {architecture / 10}")
    cubin, log = compiled(program.text, architecture)
    assert log == ""
    entry_points = {name.decode() for name in re.findall(rb"\0\.text\.(\w+)", cubin)}
    assert entry_points == set(program.kernels)
