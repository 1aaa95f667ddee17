"""python -m bench.gap_study: claimed gaps against true ones, over thousands of fits.

Every fit is judged by evaluator.py. Understated: the true (J − J*)/J* is above ``gap_``. Silent: it is above
tol, and nothing warned. At C=inf a linear program says whether a finite optimum exists, and the fit has to
say the same.
"""

from __future__ import annotations

import argparse
import math
import time
import warnings
from collections import Counter
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from scipy import sparse

from accel_logreg import LogisticRegression
from bench.gap_study.draw import drawn, real
from bench.gap_study.evaluator import Problem

_ROUNDING = 1e-15  # of J: what is below is not told from rounding of the coefficients
_SOLVERS = ("newton", "newton-cg", "newton-gram", "lbfgs")


@dataclass(frozen=True)
class Verdict:
    name: str
    settings: str
    solver: str
    kind: str
    claimed: float
    true: float
    warned: str
    fault: str
    seconds: float

    @property
    def ratio(self) -> float:
        return self.true / max(self.claimed, _ROUNDING)

    def __str__(self) -> str:
        return (
            f"{self.fault or 'true':12} {self.ratio:8.1e}  claimed {self.claimed:8.1e} ({self.kind}), true "
            f"{self.true:8.1e}  {self.solver:12} {self.seconds:6.2f} s  {self.name}: "
            f"{self.settings} {self.warned}"
        )


def judge(name: str, problem: Problem, settings: dict[str, Any], dtype: str, tol: float) -> Verdict:
    """One fit and what is to be said of its gap."""
    X = problem.X.astype(dtype)
    if dtype == "float32":  # the problem that is fitted is the rounded one
        problem = Problem(X.astype(np.float64), problem.y, problem.s, problem.C, problem.fit_intercept)
    began = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = LogisticRegression(C=problem.C, fit_intercept=problem.fit_intercept, tol=tol, **settings)
        model.fit(X, problem.y, problem.s)
    seconds = time.perf_counter() - began
    warned = "; ".join(f"{w.category.__name__}" for w in caught)
    true, claimed = problem.excess(model.coef_[0], model.intercept_[0]), float(model.gap_)
    uncertain = problem.optimum[2]
    fault = ""
    if math.isinf(problem.C) and problem.separates():
        fault = "" if warned else "no separation"
    elif not warned and true > tol + uncertain:
        fault = "silent"
    elif true > claimed + _ROUNDING + uncertain:
        fault = "understated"
    elif "Separation" in warned:
        fault = "false separation"
    elif warned:
        fault = "short" if true <= tol else "missed"
    where = f"X {problem.X.shape}{' CSR' if sparse.issparse(problem.X) else ''} {dtype}"
    text = f"{where} C={problem.C:.3g}{'' if problem.fit_intercept else ' no intercept'} " + " ".join(
        f"{k}={v}" for k, v in settings.items()
    )
    return Verdict(name, text, model.solver_, model.gap_kind_, claimed, true, warned, fault, seconds)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.gap_study", description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--problems", type=int, default=550)
    parser.add_argument("--tol", type=float, default=1e-8)
    parser.add_argument("--no-real", action="store_true", help="drawn problems only")
    parser.add_argument("--show", type=int, default=10, help="how many of the worst to print")
    options = parser.parse_args()
    verdicts = []
    problems = drawn(options.seed, options.problems)
    for i, (name, problem) in enumerate(problems if options.no_real else chain(problems, real())):
        random = np.random.default_rng([options.seed, i, 1])
        asked: list[tuple[dict[str, Any], str]] = [({}, "float64"), ({"backend": "numpy"}, "float64")]
        for solver in random.permutation(_SOLVERS)[:2].tolist():
            if solver == "newton-gram" and (math.isinf(problem.C) or problem.X.shape[0] > 1500):
                continue
            if solver == "newton" and problem.X.shape[1] > 600:
                continue
            backend = str(random.choice(["numpy", "numba"]))
            dtype = "float32" if random.random() < 0.3 and np.abs(problem.X).max() < 1e30 else "float64"
            asked.append(({"solver": solver, "backend": backend}, dtype))
        for settings, dtype in asked:
            try:
                verdict = judge(name, problem, settings, dtype, options.tol)
            except Exception as error:  # a fit that raises is a finding, too
                verdict = Verdict(name, str(settings), "", "", math.inf, math.nan, repr(error), "raised", 0.0)
            verdicts.append(verdict)
            if verdict.fault and options.show == 0:
                print(verdict, flush=True)
    _summary(verdicts, options.show)


def _summary(verdicts: list[Verdict], show: int) -> None:
    print(f"{len(verdicts)} fits")
    kinds = Counter((v.solver, v.kind) for v in verdicts)
    for fault in ("silent", "understated", "no separation", "false separation", "missed", "short", "raised"):
        found = [v for v in verdicts if v.fault == fault]
        by = Counter(v.solver for v in found)
        print(f"{fault:17} {len(found):5}   " + ", ".join(f"{k} {n}" for k, n in by.most_common()))
    print("ended: " + ", ".join(f"{s} {k} {n}" for (s, k), n in sorted(kinds.items())))
    order = {"silent": 5, "no separation": 4, "understated": 3, "raised": 2, "false separation": 1}
    for verdict in sorted(verdicts, key=lambda v: (-order.get(v.fault, 0), -v.ratio))[:show]:
        print(verdict)


if __name__ == "__main__":
    main()
