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
    if data.size <= MANY_COLUMNS:
        return ""
    return f"builds a Hessian of {data.size}² entries, {8e-9 * data.size**2:.1f} GB"


def _no_sparse(data: Problem) -> str:
    return "falls back to scikit-learn for sparse X" if data.is_sparse else ""


def _no_coordinates(data: Problem) -> str:
    if data.d > MANY_COLUMNS:
        return f"one-thread coordinate descent over d={data.d} columns takes minutes"
    return ""


_HERE = "bench.peers.libraries:"
_COMPILING = 30.0  # seconds


_USUAL = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-8)


def _of(library: str, name: str, sweep: Sweep, module: str, /, fit: str = "", **options: Any) -> Solver:
    """A solver of a library that has several: it is told which by the parameter "solver"."""
    groups = tuple(tuple({"solver": name, **entry} for entry in group) for group in sweep)
    where = _HERE + (fit or module)
    return Solver(f"{library} {name}", where, groups, module, **{"alone": "BLAS", **options})


def _scikit_learn(name: str, sweep: Sweep | None = None, **options: Any) -> Solver:
    sweep = sweep or _tolerances("tol", *_USUAL)
    return _of("scikit-learn", name, sweep, "sklearn.linear_model", fit="scikit_learn", **options)


def _sklearnex(name: str, **options: Any) -> Solver:
    sweep, module = _tolerances("mean_tol", *_USUAL), "sklearnex.linear_model"
    return _of("sklearnex", name, sweep, module, fit="scikit_learn_intelex", refuses=_no_sparse, **options)


def _glum(name: str, **options: Any) -> Solver:
    return _of("glum", name, _tolerances("gradient_tol", *_USUAL), "glum", **options)


def _snap_ml(name: str, *, dual: bool) -> Solver:
    sweep = _columns(1e-2, 1e-3, 1e-4, 1e-5, 1e-6, dual=dual)
    convert = "" if dual else _HERE + "convert_snap_ml"
    return Solver(name, _HERE + "snap_ml", sweep, "snapml", convert, ("column",), alone="all")


def _skglm(name: str, sweep: Sweep, **options: Any) -> Solver:
    convert = _HERE + "convert_skglm"
    return _of("skglm", name, sweep, "skglm", convert=convert, loading=_COMPILING, **options)


# In the order of the first look, where there is no stronger guess: the slowest last.
_TABLE = (
    Solver(OURS, _HERE + "ours", _tolerances("tol", 1e-3, 1e-6, 1e-8), "accel_logreg", loading=_COMPILING),
    _scikit_learn("newton-cholesky", refuses=_no_hessian),
    _scikit_learn("newton-cg"),
    _scikit_learn("lbfgs"),
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
    _scikit_learn("sag"),
    _scikit_learn("saga"),
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
