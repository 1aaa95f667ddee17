"""The CUDA programs: which files make the text of one, and which kernels it exports.

CuPy keys its cache of compiled kernels by the text it is given and would not notice a changed #include,
so the text is put together here. The kernels' names are read from it: there is no second list to keep.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

OPTIONS = ("-std=c++17",)
ARCHITECTURES = (75, 80, 86, 89, 90, 100, 120)  # compute capabilities × 10 that the tests compile for

# Macros whose kernels keep as much of X in shared memory as there is room for. Above 48 KB a kernel must
# opt in; and its plan counts on shared memory, not on first-level cache, when it fills a multiprocessor.
LARGE_SHARED_MEMORY = ("FUSED_PASS", "COLUMNS_PASS", "DESCEND")
MACHINE = "common/machine.cuh"

_ENTRY = re.compile(r'extern "C" __global__ void\s+(?:__launch_bounds__\([^)]*\)\s+)?([\w#]+)\(')
_MACRO = re.compile(r"^#define (\w+)\(([^)]*)\)(.*)\n", re.MULTILINE)
_CALL = re.compile(r"\b([A-Z_]+)\(([^()]*)\)")
_Macros = dict[str, tuple[list[str], str]]  # name → parameters, body


@dataclass(frozen=True)
class Program:
    """Source files, in the order in which they make one text."""

    files: tuple[str, ...]

    @cached_property
    def text(self) -> str:
        """The program's whole text, in ASCII.

        Its comments are not, and CuPy writes the text to a file in the encoding of the locale. What stands
        in for a letter is no question mark: two of them and a bracket are a trigraph, of which NVRTC warns.
        """
        text = "\n".join(map(_read, self.files))
        return "".join(letter if letter.isascii() else "_" for letter in text)

    @cached_property
    def _entry_points(self) -> dict[str, str]:
        """Each kernel, and the macro that makes it, "" where it is written out."""
        text = self.text.replace("\\\n", " ")
        macros = {name: (_split(parameters), body) for name, parameters, body in _MACRO.findall(text)}
        return dict(_expanded(_MACRO.sub("", text), macros, ""))

    @property
    def kernels(self) -> tuple[str, ...]:
        """The names of the entry points, in their order in the text."""
        return tuple(self._entry_points)

    @property
    def large_shared_memory(self) -> tuple[str, ...]:
        """Those of the kernels that LARGE_SHARED_MEMORY is about."""
        return tuple(name for name, macro in self._entry_points.items() if macro in LARGE_SHARED_MEMORY)

    @cached_property
    def cooperative(self) -> bool:
        """Whether the blocks of a launch wait for each other, so that all must be there at once."""
        return any("grid_barrier(" in _read(name) for name in self.files if name != MACHINE)


def _program(*files: str, tiles: bool = False) -> Program:
    common = (MACHINE, "common/math.cuh", *(("common/tile.cuh",) if tiles else ()))
    return Program((*common, *files))


PASSES = _program("dense/plain.cuh", "dense/passes.cu", tiles=True)
MATRICES = _program(
    *(f"matrices/{name}" for name in ("rank.cuh", "tensor.cuh", "hessian.cuh", "gram.cuh", "matrices.cu"))
)
COLUMNS = _program("columns/panel.cuh", "columns/columns.cu", tiles=True)
DESCENT = _program("descent/slices.cuh", "descent/descent.cu")
PREDICTIONS = _program("predict/predict.cu")
SPARSE = _program("csr/passes.cuh", "csr/copies.cuh", "csr/matrices.cuh", "csr/csr.cu")
PROGRAMS = (PASSES, MATRICES, COLUMNS, DESCENT, PREDICTIONS, SPARSE)


def program_of(kernel: str) -> Program:
    """The program that exports this kernel."""
    return next(program for program in PROGRAMS if kernel in program.kernels)


def _read(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def _split(listed: str) -> list[str]:
    return [entry.strip() for entry in listed.split(",")]


def _expanded(text: str, macros: _Macros, macro: str) -> Iterator[tuple[str, str]]:
    """The kernels in ``text``, which ``macro`` has made, and in what the macros that it calls make."""
    for name in _ENTRY.findall(text):
        yield name, macro
    for called, arguments in _CALL.findall(text):
        if called in macros:
            parameters, body = macros[called]
            for parameter, argument in zip(parameters, _split(arguments), strict=True):
                body = re.sub(rf"(?:##)?\b{parameter}\b(?:##)?", argument, body)
            yield from _expanded(body, macros, called)
