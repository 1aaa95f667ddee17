"""What we ask of CuPy is there in the installed version, with the arguments that we pass. No GPU needed.

Attributes that hang on a module are read from our source, calls and their arguments included. Methods of
CuPy's objects are listed below, as no name in the source says what they belong to; each entry must occur.
CuPy's compiled functions have no signature that ``inspect`` reads: the first line of their docstring is one.
"""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("cupy", reason="CuPy is not installed", exc_type=ImportError)

ROOT = Path(__file__).parents[3]
FILES = sorted(
    path for folder in ("kernels", "accel_logreg", "bench") for path in (ROOT / folder).rglob("*.py")
)
# What a name at the head of a chain stands for in our source.
HEADS = {
    "cupy": "cupy",
    "_cupy": "cupy",
    "runtime": "cupy.cuda.runtime",
    "_cuda": "cupy.cuda",
    "nvrtc": "cupy_backends.cuda.libs.nvrtc",
    "linalg": "cupy._core._routines_linalg",
}
# The object that a method belongs to, the method, how many positional arguments, keywords.
METHODS = [
    ("cupy.RawModule", "compile", 0, ()),
    ("cupy.RawModule", "get_function", 1, ()),
    ("cupy.RawKernel", "max_dynamic_shared_size_bytes", None, ()),
    ("cupy.RawKernel", "preferred_shared_memory_carveout", None, ()),
    ("cupy.RawKernel", "kernel", None, ()),
    ("cupy.ndarray", "set", 1, ()),
    ("cupy.ndarray", "get", 0, ("out",)),
    ("cupy.ndarray", "view", 1, ()),
    ("cupy.ndarray", "reshape", 2, ()),
    ("cupy.ndarray", "flags", None, ()),
    ("cupy.ndarray", "data", None, ()),
    ("cupy.ndarray", "device", None, ()),
    ("cupy.cuda.MemoryPointer", "copy_from_host_async", 3, ()),
    ("cupy.cuda.MemoryPointer", "copy_from_device_async", 2, ()),
    ("cupy.cuda.MemoryPointer", "ptr", None, ()),
    ("cupy.cuda.Stream", "wait_event", 1, ()),
    ("cupy.cuda.Stream", "synchronize", 0, ()),
    ("cupy.cuda.Stream", "done", None, ()),
    ("cupy.cuda.Stream", "null", None, ()),
    ("cupy.cuda.Event", "record", 1, ()),
    ("cupy.cuda.Event", "synchronize", 0, ()),
    ("cupy.cuda.Device", "synchronize", 0, ()),
    ("cupy.cuda.Device", "compute_capability", None, ()),
    ("cupy.cuda.Device", "attributes", None, ()),
    ("cupy.cuda.Device", "id", None, ()),
    ("cupy.cuda.MemoryPool", "malloc", 1, ()),
    ("cupy.cuda.MemoryPool", "free_bytes", 0, ()),
    ("cupy.cuda.MemoryPool", "used_bytes", 0, ()),
    ("cupy.cuda.MemoryPool", "total_bytes", 0, ()),
    ("cupy.cuda.MemoryPool", "get_limit", 0, ()),
    ("cupy.cuda.MemoryPool", "free_all_blocks", 0, ()),
    ("cupy.cuda.PinnedMemoryPool", "free_all_blocks", 0, ()),
    ("cupy.random.Generator", "standard_normal", 1, ("dtype",)),
    ("cupy.random.Generator", "random", 1, ("dtype",)),
]


@dataclass(frozen=True)
class Use:
    """A chain of attributes as it stands in the source, and the arguments if it is called."""

    chain: str
    where: str
    positional: int | None = None
    keywords: tuple[str, ...] = ()


def chain_of(node: ast.AST) -> list[str] | None:
    """["cupy", "cuda", "Event"] of ``self._cupy.cuda.Event``; None of anything else."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.insert(0, node.attr)
        node = node.value
    if isinstance(node, ast.Name):
        names.insert(0, node.id)
    elif not names:
        return None
    if names[:1] == ["self"]:
        names = names[1:]
    return names if len(names) > 1 and names[0] in HEADS else None


def uses_in(path: Path) -> Iterator[Use]:
    text = path.read_text()
    if not any(head in text for head in ("cupy", "_cuda")):
        return
    tree = ast.parse(text)
    numpy_linalg = re.search(r"^from scipy import linalg|^from numpy import linalg", text, re.M)
    inner: set[int] = set()
    for node in ast.walk(tree):
        called = node.func if isinstance(node, ast.Call) else node
        names = chain_of(called)
        if names is None or id(called) in inner or (names[0] == "linalg" and numpy_linalg):
            continue
        inner |= {id(part) for part in ast.walk(called)}
        chain, where = ".".join([HEADS[names[0]], *names[1:]]), f"{path.relative_to(ROOT)}:{called.lineno}"  # type: ignore[attr-defined]
        if isinstance(node, ast.Call):
            keywords = tuple(keyword.arg for keyword in node.keywords if keyword.arg)
            yield Use(chain, where, len(node.args), keywords)
        else:
            yield Use(chain, where)


USES = sorted({use for path in FILES for use in uses_in(path)}, key=lambda use: (use.chain, use.where))


def found(chain: str) -> Any:
    """What a chain of names leads to: modules are imported on the way."""
    names = chain.split(".")
    thing: Any = import_module(names[0])
    for k, name in enumerate(names[1:], 2):
        if not hasattr(thing, name):
            import_module(".".join(names[:k]))
        thing = getattr(thing, name)
    return thing


@cache
def signature_of(thing: Any) -> inspect.Signature | None:
    """By ``inspect``, or from the first line of a compiled function's docstring; None where neither says."""
    line = (inspect.getdoc(thing) or "").partition("\n")[0].replace("\\", "")
    written = re.fullmatch(r"[\w.]+\((?P<arguments>.*)\)(?: -> .*)?", line)
    if written:
        # Cython's "int x=-1" and "size_t size" are no Python; the last word is the name.
        arguments = re.sub(r"\b[\w.]+ (?=\w+\s*(?:[,=]|$))", "", written["arguments"])
        function, scope = ast.parse(f"def f({arguments}): ..."), dict[str, Any]()
        for node in ast.walk(function):
            if isinstance(node, ast.arguments):  # what a default is may need names that are not here
                node.defaults = [ast.Constant(None) for _ in node.defaults]
                node.kw_defaults = [given and ast.Constant(None) for given in node.kw_defaults]
        exec(compile(ast.fix_missing_locations(function), "docstring", "exec"), scope)
        return inspect.signature(scope["f"])
    try:
        return inspect.signature(thing)
    except (TypeError, ValueError):
        return None


def require_arguments(thing: Any, positional: int, keywords: tuple[str, ...], *, bound: bool) -> None:
    """It can be called so. ``bound``: it is a function of a class, whose first parameter is the object."""
    signature = signature_of(thing)
    if signature is None:
        return
    parameters = list(signature.parameters.values())
    if bound and parameters and parameters[0].name == "self":
        signature = signature.replace(parameters=parameters[1:])
    signature.bind(*range(positional), **dict.fromkeys(keywords))


def test_the_source_was_read() -> None:
    chains = {use.chain for use in USES}
    assert {"cupy.RawModule", "cupy.cuda.Event", "cupy.cuda.runtime.memGetInfo"} <= chains
    assert "cupy_backends.cuda.libs.nvrtc.getVersion" in chains
    assert len(chains) > 35


@pytest.mark.parametrize("use", USES, ids=lambda use: f"{use.chain} at {use.where}")
def test_what_we_use_is_there(use: Use) -> None:
    thing = found(use.chain)
    if use.positional is not None:
        require_arguments(thing, use.positional, use.keywords, bound=inspect.isclass(thing))


@pytest.mark.parametrize(("owner", "method", "positional", "keywords"), METHODS, ids=lambda value: str(value))
def test_methods_of_its_objects_are_there(
    owner: str, method: str, positional: int | None, keywords: tuple[str, ...]
) -> None:
    thing = getattr(found(owner), method)
    assert any(re.search(rf"\.{method}\b", path.read_text()) for path in FILES), (
        f"{method} is not used any more"
    )
    if positional is not None:
        assert callable(thing)
        require_arguments(thing, positional, keywords, bound=True)


def test_the_check_notices_what_is_not_there() -> None:
    with pytest.raises((AttributeError, ImportError)):
        found("cupy.cuda.no_such_thing")
    with pytest.raises(TypeError):
        require_arguments(found("cupy.cuda.Event"), 0, ("no_such_keyword",), bound=True)
    with pytest.raises(TypeError):
        require_arguments(found("cupy.cuda.alloc_pinned_memory"), 2, (), bound=False)
    with pytest.raises(TypeError):
        require_arguments(found("cupy.cuda.MemoryPointer.copy_from_host_async"), 4, (), bound=True)


def test_the_docstrings_that_matter_are_read() -> None:
    """Where there is no signature the test above would let everything pass."""
    compiled = [
        "cupy.RawModule", "cupy.cuda.Device", "cupy.cuda.alloc_pinned_memory", "cupy.cuda.get_elapsed_time",
        "cupy.cuda.MemoryPointer.copy_from_host_async", "cupy.ndarray.set", "cupy.ndarray.get",
        "cupy.cuda.MemoryPool.malloc", "cupy.cuda.runtime.deviceGetAttribute", "cupy.cuda.nvtx.RangePush",
    ]  # fmt: skip
    assert [name for name in compiled if signature_of(found(name)) is None] == []


LAUNCH = """
import sys
import numpy as np
from cupy.cuda import Function

start = Function.__new__(Function)
arguments = (np.int64(0), np.int32(1), np.float64(2.0), np.int64(3))
try:
    start((1,), (32,), arguments, shared_mem=0, **{sys.argv[1]: True})
except TypeError as error:
    sys.exit(f"TypeError: {error}")
except Exception as error:  # no driver here, or no such kernel there
    print(type(error).__name__)
"""


@pytest.mark.parametrize(
    ("keyword", "accepted"), [("enable_cooperative_groups", True), ("no_such_keyword", False)]
)
def test_a_cooperative_launch_takes_what_we_pass(keyword: str, accepted: bool) -> None:
    """``Function`` hides its arguments: a launch of no kernel, in a process of its own, comes so far."""
    command = [sys.executable, "-c", LAUNCH, keyword]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ("TypeError" not in result.stderr) is accepted, result.stderr
    assert (result.returncode == 0) is accepted, result.stderr


def test_a_plain_launch_takes_what_we_pass() -> None:
    assert "shared_mem=0" in (inspect.getdoc(found("cupy.RawKernel").__call__) or "")
