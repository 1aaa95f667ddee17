"""What is tried: every solver of every library, its parameters from loose to tight, and where it is left out.

A sweep is a tuple of groups, each from loose to tight; its entries go to the function of libraries.py as they
stand, and the table and the JSON print them. Solvers that penalise the intercept as the weight of a column
have a group for each value of that column: a larger one is nearer our objective and harder to solve.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.harness.process import ROOT
from bench.problems.problem import Problem

OURS = "accel_logreg"
MANY_COLUMNS = 5_000  # above it a d×d matrix is too large
Sweep = tuple[tuple[dict[str, Any], ...], ...]
TIGHT = {"tol": 1e-13}  # for a J* where the judge's own method would take too long
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
    classes : bool
        Whether it knows the softmax of three and more classes.
    alone : str
        What is also tried on one thread, because threads can get in each other's way: "BLAS", "all" of the
        solver, or empty for nothing. The faster is kept.
    environment : tuple of (name, value)
        Variables its process needs.
    loading : float
        Seconds that the import may take besides the first fit, and a compilation where there is one.
    penalty : str
        What it is compared on: "L2" alone, "L1" alone, "elastic net" with any share of L1, or "any".
    home : str
        The folder of another environment, beside this project's, that it runs in; empty for this one.
    """

    name: str
    fit: str
    sweep: Sweep
    module: str = ""
    convert: str = ""
    converts_by: tuple[str, ...] = ()
    refuses: Callable[[Problem], str] = _always
    classes: bool = False
    alone: str = ""
    environment: tuple[tuple[str, str], ...] = ()
    loading: float = 10.0
    penalty: str = "L2"
    home: str = ""

    @property
    def python(self) -> Path:
        """The interpreter of its own environment."""
        return ROOT / self.home / "bin" / "python"

    def suits(self, data: Problem) -> bool:
        """Whether it is compared on such a penalty at all."""
        return self.penalty == "any" or (self.penalty == "L2") == (data.l1 == 0.0)

    def left_out(self, data: Problem) -> str:
        """Why it is left out, empty if it is not."""
        if self.penalty == "L1" and data.l2 > 0.0:
            return "has no elastic net"
        if self.home and not self.python.exists():
            return f"there is no {self.home}; remedy: make {self.home}/.installed"
        return "has no softmax" if data.n_classes > 2 and not self.classes else self.refuses(data)


def _tolerances(name: str, *values: float, **fixed: Any) -> Sweep:
    """One group."""
    return (tuple({**fixed, name: value} for value in values),)


def _columns(*tolerances: float, least: float = 1.0, **fixed: Any) -> Sweep:
    """A group for each value of the intercept's column; the looser half is not worth repeating."""
    tight = tolerances[len(tolerances) // 2 :]
    return (
        _tolerances("tol", *tolerances, **fixed, column=least)
        + _tolerances("tol", *tight, **fixed, column=10.0 * least)
        + _tolerances("tol", *tight, **fixed, column=100.0 * least)
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


_HERE, _L1 = "bench.peers.libraries:", "bench.peers.libraries_l1:"
_COMPILING = 30.0  # seconds


_USUAL = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-8)


def _of(library: str, name: str, sweep: Sweep, module: str, /, fit: str = "", **options: Any) -> Solver:
    """A solver of a library that has several: it is told which by the parameter "solver"."""
    groups = tuple(tuple({"solver": name, **entry} for entry in group) for group in sweep)
    where = _HERE + (fit or module)
    return Solver(f"{library} {name}", where, groups, module, **{"alone": "BLAS", **options})


def _scikit_learn(name: str, sweep: Sweep | None = None, **options: Any) -> Solver:
    sweep = sweep or _tolerances("tol", *_USUAL)
    options = {"classes": True, **options}
    return _of("scikit-learn", name, sweep, "sklearn.linear_model", fit="scikit_learn", **options)


def _sklearnex(name: str, **options: Any) -> Solver:
    sweep, module = _tolerances("mean_tol", *_USUAL), "sklearnex.linear_model"
    options = {"classes": True, "refuses": _no_sparse, **options}
    return _of("sklearnex", name, sweep, module, fit="scikit_learn_intelex", **options)


def _glum(name: str, **options: Any) -> Solver:
    return _of("glum", name, _tolerances("gradient_tol", *_USUAL), "glum", **options)


def _snap_ml(name: str, *, dual: bool) -> Solver:
    sweep = _columns(1e-2, 1e-3, 1e-4, 1e-5, 1e-6, dual=dual)
    convert = "" if dual else _HERE + "convert_snap_ml"
    return Solver(name, _HERE + "snap_ml", sweep, "snapml", convert, ("column",), alone="all")


def _skglm(name: str, sweep: Sweep, **options: Any) -> Solver:
    convert = _HERE + "convert_skglm"
    return _of("skglm", name, sweep, "skglm", convert=convert, loading=_COMPILING, **options)


def _l1_columns(*tolerances: float, **fixed: Any) -> Sweep:
    """Larger columns: of value c they cost |b|/c with an L1 penalty, and not (b/c)²."""
    return _columns(*tolerances, least=100.0, **fixed)


def _l1(name: str, module: str, sweep: Sweep, /, fit: str = "", **options: Any) -> Solver:
    """A solver with an L1 part; "elastic net" unless it says otherwise."""
    return Solver(name, _L1 + (fit or module), sweep, module, **{"penalty": "elastic net", **options})


def _no_saga(data: Problem) -> str:
    return f"takes minutes for {len(data.Cs)} penalties" if data.Cs else ""


# In the order of the first look, where there is no stronger guess: the slowest last.
_TABLE = (
    Solver(
        OURS,
        _HERE + "ours",
        _tolerances("tol", 1e-3, 1e-6, 1e-8),
        "accel_logreg",
        loading=_COMPILING,
        classes=True,
        penalty="any",
    ),
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
    _scikit_learn("liblinear", _columns(1e-1, 1e-2, 1e-3, 1e-4, 1e-6), classes=False),
    _snap_ml("snapml dual", dual=True),
    _scikit_learn("sag"),
    _scikit_learn("saga"),
    _l1(
        "adelie",
        "adelie",
        _tolerances("tol", 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-10, 1e-12),
        convert=_L1 + "in_columns",
        alone="all",
        home=".venv-adelie",
    ),
    _l1("glum irls-cd", "glum", _tolerances("gradient_tol", *_USUAL), alone="BLAS"),
    _l1(
        "skglm ProxNewton L1",
        "skglm",
        _tolerances("tol", *_USUAL),
        convert=_L1 + "in_columns",
        loading=_COMPILING,
        alone="BLAS",
    ),
    _l1(
        "celer",
        "celer",
        _l1_columns(1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8),
        convert=_L1 + "convert_celer",
        converts_by=("column",),
        alone="BLAS",
        penalty="L1",
    ),
    _l1(
        "liblinear-multicore L1",
        "liblinear.liblinearutil",
        _tolerances("tol", 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8),
        fit="liblinear_multicore",
        convert=_HERE + "convert_liblinear",
        alone="all",
        penalty="L1",
    ),
    _l1(
        "scikit-learn liblinear L1",
        "sklearn.linear_model",
        _l1_columns(1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, solver="liblinear"),
        fit="scikit_learn",
        penalty="L1",
    ),
    _l1(
        "snapml L1",
        "snapml",
        _l1_columns(1e-2, 1e-3, 1e-4, 1e-5, 1e-6),
        fit="snap_ml",
        convert=_HERE + "convert_snap_ml",
        converts_by=("column",),
        alone="all",
        penalty="L1",
    ),
    _l1(
        "scikit-learn saga L1",
        "sklearn.linear_model",
        _tolerances("tol", *_USUAL, solver="saga"),
        fit="scikit_learn",
        refuses=_no_saga,
    ),
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
