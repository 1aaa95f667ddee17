"""Who may import whom: the layers of the house, read from the source."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "accel_logreg"

# Room → the rooms it may import besides itself. An engine's folder is a room, in backends/ and in kernels/.
# "public" is accel_logreg itself, the names that a user has.
ENGINES = ("python_loop", "numpy_vectorised", "numba_jit", "cupy_fused")
ALLOWED = {
    "interface": set(),
    **{f"kernels.{engine}": set() for engine in ENGINES},
    # The loop's error for a centre beside sparse rows is every engine's.
    **{
        f"backends.{engine}": {
            "interface", "backends.blas_threads", f"kernels.{engine}", "kernels.python_loop",
        } for engine in ENGINES
    },
    # With K classes CuPy's arrays run through NumPy's expressions.
    "backends.cupy_fused": {
        "interface", "backends.blas_threads", "kernels.cupy_fused", "kernels.python_loop",
        "kernels.numpy_vectorised",
    },
    "backends.parted": {"interface"},
    "sources": {"interface", "backends", "backends.parted", "measure"},
    "backends.blas_threads": set(),
    "backends.first_use": set(),
    "backends": {"interface", "backends.first_use", *(f"backends.{engine}" for engine in ENGINES)},
    "problem": {"interface"},
    "solvers": {"interface"},
    "inputs": {"interface", "backends", "sources"},
    "fitting": {"interface", "inputs", "problem", "solvers"},
    "prediction": {"interface", "inputs", "backends", "sources"},
    "inference": {"interface", "inputs", "backends", "fitting", "problem", "sources"},
    "estimator": {
        "interface", "inputs", "backends", "backends.first_use", "fitting", "inference", "prediction",
        "solvers", "sources",
    },
    "model_selection": {
        "interface", "inputs", "backends", "backends.first_use", "estimator", "fitting", "prediction",
        "solvers", "sources",
    },
    "drop_in": {"interface", "inputs", "estimator", "model_selection"},
    "patch": {"backends", "drop_in"},
    "certify": {"interface", "inputs", "backends", "estimator", "fitting"},
    "gradient_check": {"interface", "inputs", "backends", "estimator", "kernels.python_loop"},
    "probe": {"interface", "inputs", "estimator"},
    "files": {"estimator", "inputs"},
    "measure": {"backends", "kernels.numba_jit"},
    "doctor": {"backends", "backends.cupy_fused", "measure", "kernels.numba_jit"},
    "lesson": {
        "public", "backends", "interface", "problem", "files", "measure",
        "kernels.python_loop", "kernels.numpy_vectorised", "kernels.numba_jit",
    },
    "profile": {"public", "backends", "backends.blas_threads", "interface", "measure"},
    "evaluation": {"measure"},
    "cli": {
        "public", "files", "measure", "doctor", "evaluation", "lesson", "profile", "sources",
    },
    "__init__": {
        "backends", "certify", "estimator", "gradient_check", "files", "inference", "interface",
        "model_selection", "patch", "probe", "solvers",
    },
    "__main__": {"cli"},
}  # fmt: skip
# Room → the distributions it may import. Those that are not named are not restricted.
DISTRIBUTIONS = {
    "interface": {"numpy"},
    "kernels.python_loop": set(),
    "kernels.numpy_vectorised": {"numpy"},
    "kernels.numba_jit": {"numpy", "numba", "llvmlite", "scipy"},
    "kernels.cupy_fused": {"numpy", "cupy", "cupy_backends"},
    "backends.python_loop": {"numpy"},
    "backends.numpy_vectorised": {"numpy", "scipy"},
    "backends.numba_jit": {"numpy", "numba"},
    "backends.cupy_fused": {"numpy", "cupy", "cupy_backends", "scipy"},
    "backends.parted": {"numpy", "scipy", "dask", "distributed"},
    "sources": {"numpy", "scipy", "pyarrow", "dask", "distributed"},
    "problem": {"numpy", "scipy", "sklearn"},
    "solvers": {"numpy", "scipy"},
    "fitting": {"numpy", "scipy"},
    "inputs": {"numpy", "scipy", "sklearn"},
}
FILES = (
    sorted(PACKAGE.rglob("*.py", recurse_symlinks=True))
    if sys.version_info >= (3, 13)
    else sorted(path for top in (PACKAGE, PACKAGE / "kernels") for path in top.rglob("*.py"))
)


def room_of(path: Path) -> str:
    """accel_logreg/backends/numba_jit/csr.py → backends.numba_jit; accel_logreg/fitting.py → fitting."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    inside = parts[0] in ("backends", "kernels") and parts[1] != "__init__"
    return ".".join(parts[:2]) if inside else parts[0]


def imports_of(path: Path) -> tuple[set[str], set[str]]:
    """Rooms and distributions that a file imports, at any depth, for type checkers included."""
    rooms, distributions = set(), set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] == "accel_logreg":
                rooms.add(_room_of_module(parts))
            elif parts[0] not in sys.stdlib_module_names:
                distributions.add(parts[0])
    return rooms, distributions


def _room_of_module(parts: list[str]) -> str:
    file = PACKAGE.joinpath(*parts[1:])
    if file.is_dir() and len(parts) > 1:
        return room_of(file / "__init__.py")
    while len(parts) > 1 and not file.with_suffix(".py").is_file():
        parts, file = parts[:-1], file.parent
        if file.is_dir() and file != PACKAGE:
            return room_of(file / "__init__.py")
    return room_of(file.with_suffix(".py")) if len(parts) > 1 else "public"


@pytest.mark.parametrize("room", sorted({room_of(path) for path in FILES}))
def test_a_room_imports_only_what_it_may(room: str) -> None:
    for path in FILES:
        if room_of(path) == room:
            rooms, distributions = imports_of(path)
            assert rooms - ALLOWED[room] - {room} == set(), path
            assert distributions - DISTRIBUTIONS.get(room, distributions) == set(), path


def test_rooms_stand_on_each_other_without_a_circle() -> None:
    TopologicalSorter(ALLOWED | {"public": {"__init__"}}).prepare()


def test_files_import_each_other_without_a_circle() -> None:
    """A room's __init__.py is not counted: it loads the room's files where they are first needed."""
    modules = {_module_of(path): path for path in FILES if path.name != "__init__.py"}
    graph = {name: _modules_imported(path) & modules.keys() for name, path in modules.items()}
    TopologicalSorter(graph).prepare()


def _module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def _modules_imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            found |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def test_packages_are_those_of_the_tree() -> None:
    """setuptools lists every package, because kernels/ lies beside accel_logreg/ and not in it."""
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    there = {".".join(path.parent.relative_to(ROOT).parts) for path in FILES}
    there |= {
        f"accel_logreg.{'.'.join(path.parent.relative_to(ROOT).parts)}"
        for path in ROOT.glob("kernels/**/*.cuh")
    }
    assert set(listed) == there | {"accel_logreg.kernels"}


def test_solvers_use_only_linear_algebra_and_minimisers_of_scipy() -> None:
    for path in (PACKAGE / "solvers").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("scipy"):
                assert node.module in (
                    "scipy.linalg",
                    "scipy.linalg.blas",
                    "scipy.linalg.lapack",
                    "scipy.optimize",
                ), path


def test_kernels_folder_is_no_package_of_its_own() -> None:
    assert not (ROOT / "kernels" / "__init__.py").exists()
    assert (PACKAGE / "kernels").is_symlink()
    assert (PACKAGE / "kernels").readlink() == Path("../kernels")


def test_import_loads_no_engine_and_no_extra() -> None:
    heavy = [
        "numba",
        "llvmlite",
        "cupy",
        "typer",
        "rich",
        "matplotlib",
        "PIL",
        "jinja2",
        "pyarrow",
        "skimage",
    ]
    # What scikit-learn itself loads, pandas and pyarrow where they are installed, is not ours.
    code = (
        "import sys; import accel_logreg; assert 'sklearn' not in sys.modules, 'sklearn'; "
        "import sklearn.utils; before = set(sys.modules); accel_logreg.LogisticRegression; "
        f"print([m for m in {heavy!r} if m in set(sys.modules) - before])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert result.stdout.strip() == "[]", result.stdout + result.stderr


def test_public_names_are_what_all_says() -> None:
    """Each is found where __init__.py looks for it, is in dir(), and says what it is."""
    import accel_logreg

    assert set(accel_logreg.__all__) == set(accel_logreg._HOME)
    assert set(accel_logreg.__all__) <= set(dir(accel_logreg))
    for name in accel_logreg.__all__:
        value = getattr(accel_logreg, name)
        assert value.__name__ == name
        assert value.__doc__, f"{name} has no docstring"
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = accel_logreg.nothing
