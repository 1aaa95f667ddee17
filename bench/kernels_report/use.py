"""What each CUDA kernel takes of a multiprocessor, from its compiled code: no GPU is needed.

NVRTC compiles the programs as CuPy would. The assembler (ptxas -v) says in NVRTC's log how many registers
and how much shared memory a kernel has and what it spills; how much constant memory it takes, its parameters
included, is the size of its section in the compiled file, an ELF.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from accel_logreg.kernels.cupy_fused.programs import ARCHITECTURES, OPTIONS, PROGRAMS, Program
from accel_logreg.measure.table import Table

# What CuPy 14 adds to the options of a module.
CUPY_OPTIONS = ("-ftz=true", "--device-as-default-execution-space")
VERBOSE = "--ptxas-options=-v"
REGISTERS = 65_536  # of a multiprocessor, from compute capability 7.0 to 12.0
_ALLOCATED = 8  # registers a thread are given out by so many
_MOST_THREADS = {75: 1024, 86: 1536, 87: 1536, 88: 1536, 89: 1536, 110: 1536, 120: 1536, 121: 1536}

_ENTRY = re.compile(r"Compiling entry function '(\w+)' for 'sm_(\d+)\w?'")
_FRAME = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
_USED = re.compile(r"Used (\d+) registers")
_SHARED = re.compile(r"(\d+) bytes smem")
_SECTION_HEADER = struct.Struct("<IIQQQQIIQQ")  # of a 64-bit ELF


@dataclass(frozen=True)
class KernelUse:
    """One kernel for one compute capability.

    Attributes
    ----------
    architecture : int
        Compute capability × 10.
    registers : int
        Of a thread.
    shared : int
        Bytes of a block that are fixed; what a launch asks for comes on top.
    constant : int
        Bytes, the kernel's parameters and the driver's own included.
    local : int
        Bytes of a thread's stack frame, which lie in device memory.
    spill_stores, spill_loads : int
        Bytes moved to and from that frame because registers ran out, in each thread's code.
    """

    kernel: str
    architecture: int
    registers: int
    shared: int
    constant: int
    local: int
    spill_stores: int
    spill_loads: int

    @property
    def spills(self) -> int:
        return self.spill_stores + self.spill_loads

    @property
    def threads(self) -> int:
        """Threads that fit on a multiprocessor by their registers, in whole warps; 2048 at most."""
        given = -(-self.registers // _ALLOCATED) * _ALLOCATED
        return min(_MOST_THREADS.get(self.architecture, 2048), REGISTERS // (32 * given) * 32)


def kernel_uses(
    architectures: Sequence[int] = ARCHITECTURES, programs: Sequence[Program] = PROGRAMS
) -> list[KernelUse]:
    """Compile and read; by program, architecture and kernel.

    Raises
    ------
    ImportError
        CuPy, through which NVRTC is reached, or NVRTC itself is missing.
    ValueError
        NVRTC does not know an architecture.
    ArithmeticError
        A program does not compile, or the compiler's report is not understood.
    """
    nvrtc = _nvrtc()
    known = nvrtc.getSupportedArchs()
    for architecture in architectures:
        if architecture not in known:
            raise ValueError(
                f"compute capability {capability(architecture)} is unknown to NVRTC "
                f"{'.'.join(map(str, nvrtc.getVersion()))}, which knows {', '.join(map(capability, known))}"
            )
    return [
        use
        for program in programs
        for architecture in architectures
        for use in _uses_of(nvrtc, program, architecture)
    ]


def read_report(log: str, cubin: bytes, kernels: Sequence[str]) -> list[KernelUse]:
    """The compiler's log and the compiled file of one program, understood.

    Raises ArithmeticError where a kernel is not reported.
    """
    constants: dict[str, int] = {}
    for name, size in _constant_sections(cubin):  # several banks a kernel
        constants[name] = constants.get(name, 0) + size
    parts = _ENTRY.split(log)[1:]  # name, architecture, what follows; again and again
    uses = {}
    for name, architecture, text in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        frame, used, shared = _FRAME.search(text), _USED.search(text), _SHARED.search(text)
        if frame is None or used is None:
            continue
        fixed, constant = int(shared[1]) if shared else 0, constants.get(name, 0) + constants.get("", 0)
        uses[name] = KernelUse(
            name, int(architecture), int(used[1]), fixed, constant, *map(int, frame.groups())
        )
    lacking = [name for name in kernels if name not in uses]
    if lacking:
        raise ArithmeticError(
            f"this NVRTC's report says nothing of {', '.join(lacking)}; its log begins: {log[:200]!r}"
        )
    return [uses[name] for name in kernels]


def use_table(uses: Sequence[KernelUse]) -> Table:
    """A row a kernel; over several architectures the least and the most of everything."""
    kernels: dict[str, list[KernelUse]] = {}
    for use in uses:
        kernels.setdefault(use.kernel, []).append(use)
    figures = ("registers", "threads", "shared", "constant", "local", "spills")
    rows = tuple(
        (kernel, *(_range([getattr(use, figure) for use in alike]) for figure in figures))
        for kernel, alike in kernels.items()
    )
    capabilities = ", ".join(capability(a) for a in dict.fromkeys(use.architecture for use in uses))
    note = (
        "Threads: how many fit on a multiprocessor by their registers. The others are bytes: fixed shared "
        "memory of a block, constant memory with parameters, local memory of a thread, spilt there and back."
    )
    return Table(
        f"What each CUDA kernel takes on compute capability {capabilities}",
        ("kernel", *figures),
        rows,
        (note,),
    )


def capability(architecture: int) -> str:
    """90 is 9.0."""
    return f"{architecture // 10}.{architecture % 10}"


def _range(values: Sequence[int]) -> str:
    least, most = min(values), max(values)
    return str(least) if least == most else f"{least}–{most}"


def _nvrtc() -> Any:
    install = 'pip install "accel_logreg[cuda13]"'
    try:
        nvrtc = import_module("cupy_backends.cuda.libs.nvrtc")
    except ImportError as error:
        raise ImportError(
            f"kernels needs NVRTC, reached through CuPy, which is missing: {install}"
        ) from error
    try:
        nvrtc.getVersion()
    except Exception as error:  # RuntimeError, OSError or ImportError, by version of CuPy
        raise ImportError(f"NVRTC does not load ({error}): {install}") from error
    return nvrtc


def _uses_of(nvrtc: Any, program: Program, architecture: int) -> list[KernelUse]:
    handle = nvrtc.createProgram(program.text, program.files[-1], (), ())
    try:
        options = (*OPTIONS, *CUPY_OPTIONS, f"-arch=sm_{architecture}", VERBOSE)
        try:
            nvrtc.compileProgram(handle, options)
        except nvrtc.NVRTCError as error:
            raise ArithmeticError(
                f"{program.files[-1]} does not compile for {capability(architecture)}: {error}\n"
                f"{nvrtc.getProgramLog(handle)}"
            ) from error
        return read_report(nvrtc.getProgramLog(handle), nvrtc.getCUBIN(handle), program.kernels)
    finally:
        nvrtc.destroyProgram(handle)


def _constant_sections(cubin: bytes) -> Iterator[tuple[str, int]]:
    """(kernel, bytes) of each ``.nv.constant<bank>.<kernel>``; the kernel is "" for what all share."""
    (table,) = struct.unpack_from("<Q", cubin, 0x28)
    entry_size, count, names = struct.unpack_from("<HHH", cubin, 0x3A)
    headers = [_SECTION_HEADER.unpack_from(cubin, table + index * entry_size) for index in range(count)]
    strings = headers[names][4]
    for header in headers:
        start = strings + header[0]
        name = cubin[start : cubin.index(b"\0", start)].decode()
        match = re.fullmatch(r"\.nv\.constant\d+(?:\.(\w+))?", name)
        if match:
            yield match[1] or "", header[5]
