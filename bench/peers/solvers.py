"""What is tried: every solver of every library, its parameters from loose to tight, and where it is left out.

A sweep is a tuple of groups, each from loose to tight; its entries go to the function of libraries.py as they
stand, and the table and the JSON print them. Solvers that penalise the intercept as the weight of a column
have a group for each value of that column: a larger one is nearer our objective and harder to solve.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bench.problems.problem import Problem

OURS = "accel_logreg"
MANY_COLUMNS = 5_000  # above it a d×d matrix is too large
Sweep = tuple[tuple[dict[str, Any], ...], ...]
DEFAULT = {"tol": 1e-8}  # our estimator's own default: the run that is compared


def _always(_data: Problem) -> str:
    return ""


@dataclass(frozen=True)
class Solver:
    """One line of the comparison.

    name : str
    fit : str
        "module:function", called in a process of its own.
    module : str
        The library's, which that function imports.
    sweep : tuple of groups
        Parameters, in each group loosest first.
    convert : str
        "module:function" that brings X to the library's own format, timed apart; empty for none.
    converts_by : tuple of str
        The parameters that a conversion depends on.
    refuses : function
        Problem → why this solver is left out there; empty if it is not.
    alone : str
        What is also tried on one thread, because threads can get in each other's way: "BLAS", "all" of the
        solver, or empty for nothing. The faster is kept.
    environment : tuple of (name, value)
        Variables its process needs.
    loading : float
        Seconds that the import may take besides the first fit, and a compilation where there is one.
    """

    name: str
    fit: str
    sweep: Sweep
    module: str = ""
    convert: str = ""
    converts_by: tuple[str, ...] = ()
    refuses: Callable[[Problem], str] = _always
    alone: str = ""
    environment: tuple[tuple[str, str], ...] = ()
    loading: float = 10.0


def _tolerances(name: str, *values: float, **fixed: Any) -> Sweep:
    """One group."""
    return (tuple({**fixed, name: value} for value in values),)


def _columns(*tolerances: float, **fixed: Any) -> Sweep:
    """A group for each value of the intercept's column; the looser half is not worth repeating."""
    tight = tolerances[len(tolerances) // 2 :]
    return (
        _tolerances("tol", *tolerances, **fixed, column=1.0)
        + _tolerances("tol", *tight, **fixed, column=10.0)
        + _tolerances("tol", *tight, **fixed, column=100.0)
    )


def _no_hessian(data: Problem) -> str:
    if data.d <= MANY_COLUMNS:
        return ""
    return f"builds a d×d Hessian, {8e-9 * data.d**2:.1f} GB for d={data.d}"


def _no_sparse(data: Problem) -> str:
    return "falls back to scikit-learn for sparse X" if data.is_sparse else ""


def _no_coordinates(data: Problem) -> str:
    if data.d > MANY_COLUMNS:
        return f"one-thread coordinate descent over d={data.d} columns takes minutes"
    return ""


_HERE = "bench.peers.libraries:"
_COMPILING = 30.0  # seconds


def _scikit_learn(name: str, sweep: Sweep, **options: Any) -> Solver:
    groups = tuple(tuple({"solver": name, **entry} for entry in group) for group in sweep)
    return Solver(
        f"scikit-learn {name}",
        _HERE + "scikit_learn",
        groups,
        "sklearn.linear_model",
        alone="BLAS",
        **options,
    )


def _sklearnex(name: str, **options: Any) -> Solver:
    sweep = _tolerances("mean_tol", *_USUAL, solver=name)
    fit = _HERE + "scikit_learn_intelex"
    return Solver(
        f"sklearnex {name}", fit, sweep, "sklearnex.linear_model", refuses=_no_sparse, alone="BLAS", **options
    )


def _glum(name: str, **options: Any) -> Solver:
    sweep = _tolerances("gradient_tol", *_USUAL, solver=name)
    return Solver(f"glum {name}", _HERE + "glum", sweep, "glum", alone="BLAS", **options)


def _snap_ml(name: str, *, dual: bool) -> Solver:
    sweep = _columns(1e-2, 1e-3, 1e-4, 1e-5, 1e-6, dual=dual)
    convert = "" if dual else _HERE + "convert_snap_ml"
    return Solver(
        name, _HERE + "snap_ml", sweep, "snapml", convert=convert, converts_by=("column",), alone="all"
    )


def _skglm(name: str, sweep: Sweep, **options: Any) -> Solver:
    groups = tuple(tuple({"solver": name, **entry} for entry in group) for group in sweep)
    convert = _HERE + "convert_skglm"
    return Solver(
        f"skglm {name}",
        _HERE + "skglm",
        groups,
        "skglm",
        convert=convert,
        alone="BLAS",
        loading=_COMPILING,
        **options,
    )


_USUAL = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-8)
# In the order of the first look, where there is no stronger guess: the slowest last.
_TABLE = (
    Solver(OURS, _HERE + "ours", _tolerances("tol", 1e-3, 1e-6, 1e-8), "accel_logreg", loading=_COMPILING),
    _scikit_learn("newton-cholesky", _tolerances("tol", *_USUAL), refuses=_no_hessian),
    _scikit_learn("newton-cg", _tolerances("tol", *_USUAL)),
    _scikit_learn("lbfgs", _tolerances("tol", *_USUAL)),
    _sklearnex("lbfgs"),
    _sklearnex("newton-cg", environment=(("SKLEARNEX_PREVIEW", "1"),)),
    _glum("irls-ls", refuses=_no_hessian),
    _glum("lbfgs"),
    _snap_ml("snapml primal", dual=False),
    Solver(
        "liblinear-multicore",
        _HERE + "liblinear_multicore",
        _tolerances("tol", 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6),
        "liblinear.liblinearutil",
        convert=_HERE + "convert_liblinear",
        alone="all",
    ),
    _skglm("LBFGS", _columns(1e-3, 1e-4, 1e-5, 1e-6, 1e-7), converts_by=("solver", "column")),
    _skglm("ProxNewton", _tolerances("tol", *_USUAL), converts_by=("solver",), refuses=_no_coordinates),
    _scikit_learn("liblinear", _columns(1e-1, 1e-2, 1e-3, 1e-4, 1e-6)),
    _snap_ml("snapml dual", dual=True),
    _scikit_learn("sag", _tolerances("tol", *_USUAL)),
    _scikit_learn("saga", _tolerances("tol", *_USUAL)),
)
SOLVERS: dict[str, Solver] = {solver.name: solver for solver in _TABLE}


def since(sweep: Sweep, entry: Mapping[str, Any]) -> Sweep:
    """The sweep from the first entry that has these parameters."""
    for i, group in enumerate(sweep):
        for j, parameters in enumerate(group):
            if entry.items() <= parameters.items():
                return (group[j:], *sweep[i + 1 :])
    raise ValueError(f"{dict(entry)} is in no entry of the sweep {sweep}; take one that is")


def named(names: list[str]) -> list[Solver]:
    """The solvers of these names in the table's order, ours always among them; all for no names."""
    for name in names:
        if name not in SOLVERS:
            raise ValueError(
                f"solver {name!r} is not known; choose from {', '.join(map(repr, SOLVERS))}, "
                "or leave --solver out"
            )
    return [solver for name, solver in SOLVERS.items() if not names or name in names or name == OURS]
