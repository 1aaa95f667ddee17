"""What a kernel takes: the compiler's report understood, and a program whose use is known compiled."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from accel_logreg.kernels.cupy_fused.programs import ARCHITECTURES, Program
from bench.kernels_report import use as kernel_use
from bench.kernels_report.use import KernelUse, kernel_uses, read_report, use_table

pytest_plugins = ["support.nvrtc"]

LOG = """ptxas info    : 0 bytes gmem, 400 bytes cmem[3]
ptxas info    : Compiling entry function 'spill' for 'sm_75'
ptxas info    : Function properties for spill
ptxas         .     160 bytes stack frame, 184 bytes spill stores, 180 bytes spill loads
ptxas info    : Used 64 registers, used 0 barriers, 160 bytes cumulative stack size, 364 bytes cmem[0]
ptxas info    : Compile time = 7.868 ms
ptxas info    : Compiling entry function 'k' for 'sm_90a'
ptxas info    : Function properties for k
ptxas         .     0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 22 registers, used 1 barriers, 1200 bytes smem
"""
# Known by construction: 300 floats of shared memory, 100 of constant memory, an array in local memory.
KNOWN = r"""
__constant__ float table[100];
extern "C" __global__ void known(float* out, int n) {
  __shared__ float shared[300];
  shared[threadIdx.x] = table[threadIdx.x % 100];
  __syncthreads();
  float local[64];
  for (int i = 0; i < 64; i++) local[i] = shared[i] + n;
  out[threadIdx.x] = local[n % 64] + shared[299 - threadIdx.x];
}
"""


def elf(sections: dict[str, int]) -> bytes:
    """An ELF with nothing but section headers of these names and sizes."""
    names = b"\0"
    headers = b""
    header = struct.Struct("<IIQQQQIIQQ")
    for name, size in sections.items():
        headers += header.pack(len(names), 1, 0, 0, 0, size, 0, 0, 0, 0)
        names += name.encode() + b"\0"
    table = 64 + len(names) + 8
    headers += header.pack(0, 3, 0, 0, 64, len(names), 0, 0, 0, 0)  # the names themselves, last
    head = bytearray(64)
    struct.pack_into("<Q", head, 0x28, table)
    struct.pack_into("<HHH", head, 0x3A, header.size, len(sections) + 1, len(sections))
    return bytes(head) + names + bytes(8) + headers


def test_the_report_is_understood() -> None:
    cubin = elf(
        {
            ".text.k": 999,
            ".nv.constant0.k": 376,
            ".nv.constant0.spill": 364,
            ".nv.constant2.k": 8,
            ".nv.constant3": 400,
        }
    )
    k, spill = read_report(LOG, cubin, ("k", "spill"))
    assert k == KernelUse("k", 90, 22, 1200, 784, 0, 0, 0)
    assert spill == KernelUse("spill", 75, 64, 0, 764, 160, 184, 180)
    assert (spill.spills, spill.threads) == (364, 1024)
    assert replace(k, registers=128).threads == 512
    assert replace(k, registers=33).threads == 1632  # given out as 40
    assert k.threads == 2048


def test_a_report_that_is_not_understood_is_an_error() -> None:
    with pytest.raises(ArithmeticError, match=r"says nothing of missing; its log begins: .ptxas info"):
        read_report(LOG, elf({}), ("k", "missing"))
    with pytest.raises(ArithmeticError, match="says nothing of k"):
        read_report("", elf({}), ("k",))


def test_the_table_has_a_row_a_kernel() -> None:
    k = KernelUse("k", 90, 22, 1200, 784, 0, 0, 0)
    table = use_table(
        [k, replace(k, architecture=120, registers=30, spill_loads=8), replace(k, kernel="other")]
    )
    assert table.title.endswith("9.0, 12.0")
    assert table.rows[0] == ("k", "22–30", "1536–2048", "1200", "784", "0", "0–8")
    assert table.rows[1] == ("other", "22", "2048", "1200", "784", "0", "0")


# ---- with NVRTC ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", [75, 90, 120])
def test_a_kernel_whose_use_is_known(nvrtc: Any, architecture: int, tmp_path: Path) -> None:
    if architecture not in nvrtc.getSupportedArchs():
        pytest.skip(f"this NVRTC does not know compute capability {architecture / 10}")
    (tmp_path / "known.cu").write_text(KNOWN)
    (use,) = kernel_uses([architecture], [Program((str(tmp_path / "known.cu"),))])
    assert use.architecture == architecture
    assert use.shared == 1200
    assert 412 <= use.constant <= 412 + 1200  # the table and 12 bytes of parameters, and the driver's own
    assert use.spills == 0
    assert 8 <= use.registers <= 128


def test_an_architecture_that_nvrtc_does_not_know(nvrtc: Any) -> None:
    with pytest.raises(ValueError, match=r"compute capability 1.0 is unknown to NVRTC .*, which knows .*9.0"):
        kernel_uses([10])
    assert 90 in nvrtc.getSupportedArchs()


def test_a_program_that_does_not_compile(nvrtc: Any, tmp_path: Path) -> None:
    (tmp_path / "nonsense.cu").write_text("nonsense")
    with pytest.raises(ArithmeticError, match=r"does not compile for 9.0: .*NVRTC_ERROR_COMPILATION"):
        kernel_uses([90], [Program((str(tmp_path / "nonsense.cu"),))])
    assert nvrtc


def test_without_nvrtc(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_name: str) -> None:
        raise ImportError

    monkeypatch.setattr(kernel_use, "import_module", missing)
    with pytest.raises(ImportError, match=r'kernels needs NVRTC.*pip install "accel_logreg\[cuda13\]"'):
        kernel_uses()


# ---- the command --------------------------------------------------------------------------------------


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command_line = pytest.importorskip("support.command_line")
    from bench.kernels_report import __main__ as cli_kernels

    asked: list[tuple[int, ...]] = []

    def uses(architectures: tuple[int, ...]) -> list[KernelUse]:
        asked.append(architectures)
        calm = KernelUse("calm", 90, 32, 0, 400, 0, 0, 0)
        return [calm, replace(calm, kernel="busy", local=8, spill_stores=8, spill_loads=16)]

    monkeypatch.setattr(cli_kernels, "kernel_uses", uses)
    result = command_line.run("kernels", "--json-file", tmp_path / "k.json")
    assert result.exit_code == 0
    assert "busy on 9.0 spills most: 24 bytes in the code of each thread." in result.stdout
    assert [use["spills"] for use in json.loads((tmp_path / "k.json").read_text())] == [0, 24]
    assert (
        command_line.run("kernels", "--arch", "9.0", "--arch", "sm_120", "--most-spills", 24).exit_code == 0
    )
    message = command_line.refused("kernels", "--arch", "90", "--most-spills", 23, code=1)
    assert "busy on 9.0 spills 24 bytes, more than --most-spills 23" in message
    assert asked == [ARCHITECTURES, (90, 120), (90,)]
    assert "--arch 'new' is not a compute capability" in command_line.refused("kernels", "--arch", "new")
