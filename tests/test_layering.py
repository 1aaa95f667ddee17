"""Who may import whom: the layers of the house, read from the source."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "accel_logreg"

# Room → the rooms and distributions it may import, besides itself and the standard library.
ALLOWED = {
    "kernels": {"numpy", "numba", "llvmlite", "cupy", "cupy_backends"},
    "backends": {
        "device_arrays",
        "kernels",
        "numpy",
        "scipy",
        "threadpoolctl",
        "numba",
        "cupy",
        "cupy_backends",
    },
    "solvers": {"numpy", "scipy"},
    "objective": {"backends", "numpy", "sklearn"},
    "validation": {
        "backends",
        "device_arrays",
        "device_checks",
        "labels",
        "memory_size",
        "numpy",
        "scipy",
        "sklearn",
    },
    "device_checks": {"backends", "device_arrays", "numpy", "sklearn"},
    "device_arrays": {"numpy"},
    "labels": {"numpy", "sklearn"},
    "memory_size": set(),
    "sampling": {"backends", "numpy"},
    "rough": {"backends", "objective"},
    "standardise": {"backends", "objective", "rough", "numpy"},
    "fitting": {
        "backends",
        "memory_size",
        "objective",
        "sampling",
        "solvers",
        "standardise",
        "validation",
        "numpy",
        "sklearn",
    },
    "estimator": {"backends", "fitting", "prediction", "solvers", "validation", "numpy", "sklearn"},
    "prediction": {"backends", "device_arrays", "validation", "numpy", "scipy", "sklearn"},
    "gradient_check": {"backends", "device_arrays", "estimator", "kernels", "validation", "numpy"},
    "model_file": {"estimator", "atomic", "model_codec", "numpy", "sklearn"},
    "model_codec": {"numpy"},
    "atomic": set(),
    "images": {"numpy", "PIL"},
}
# The laboratory and the command line stand outside: they use what a user can, and the measured subjects.
OUTSIDE = {"public", "backends", "kernels", "objective", "atomic", "images", "model_file"}
THIRD_PARTY_OUTSIDE = {
    "numpy", "scipy", "sklearn", "threadpoolctl", "numba", "llvmlite", "cupy", "cupy_backends",
    "typer", "click", "rich", "matplotlib", "PIL", "jinja2", "pyarrow", "skimage",
}  # fmt: skip


def room_of(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imports_of(path: Path) -> set[str]:
    """Rooms ("backends") and distributions ("numpy") that a file imports, at any depth."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
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
                inside = len(parts) > 1 and (
                    (PACKAGE / parts[1]).is_dir() or (PACKAGE / f"{parts[1]}.py").is_file()
                )
                found.add(parts[1] if inside else "public")
            elif parts[0] not in sys.stdlib_module_names:
                found.add(parts[0])
    return found


FILES = sorted(p for p in PACKAGE.rglob("*.py") if p.name != "__init__.py" or p.parent != PACKAGE)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_imports_only_what_it_may(path: Path) -> None:
    room = room_of(path)
    allowed = ALLOWED.get(room)
    if allowed is None:
        rooms = {p.stem for p in PACKAGE.glob("*.py")} - set(ALLOWED) | {"lab"}
        allowed = OUTSIDE | THIRD_PARTY_OUTSIDE | rooms
    assert imports_of(path) - allowed - {room} == set()


def test_solvers_use_only_linear_algebra_and_minimisers_of_scipy() -> None:
    for path in (PACKAGE / "solvers").glob("*.py"):
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
        "import sys, sklearn.utils; before = set(sys.modules); import accel_logreg; "
        f"print([m for m in {heavy!r} if m in set(sys.modules) - before])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert result.stdout.strip() == "[]", result.stdout + result.stderr


def test_public_names_are_what_all_says() -> None:
    import accel_logreg

    defined = {
        name
        for name, value in vars(accel_logreg).items()
        if not name.startswith("_") and (callable(value) or isinstance(value, type))
    }
    assert defined == set(accel_logreg.__all__)
    for name in accel_logreg.__all__:
        assert getattr(accel_logreg, name).__doc__, f"{name} has no docstring"
