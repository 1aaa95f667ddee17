"""What is known of coefficients: standard errors, tests, intervals, and the table of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_matrix
from scipy.special import chdtrc, expit, ndtr, ndtri

from accel_logreg.inference.table import CoefficientTable, Section
from accel_logreg.inputs.training import check_finite, check_prediction_data
from accel_logreg.interface.arrays import Csr, Float64, to_host
from accel_logreg.interface.classes import rest, softmax
from accel_logreg.problem.likelihood import blocks, standardised_rows

_NAMED = 10  # coefficients, in a message


class ChiSquared(NamedTuple):
    """A statistic that is χ²-distributed with ``df`` degrees of freedom if the hypothesis holds."""

    statistic: float
    df: int
    p_value: float


class Interval(NamedTuple):
    """An estimate with its confidence interval; arrays of the same shape."""

    estimate: Float64
    lower: Float64
    upper: Float64


def _chi2(statistic: float, df: int) -> ChiSquared:
    return ChiSquared(statistic, df, float(chdtrc(df, max(statistic, 0.0))))


@dataclass(frozen=True, repr=False, eq=False)
class Inference(CoefficientTable):
    """What is known of a model's coefficients, once it has no penalty. It prints as a table.

    q parameters a class: the intercept first, where there is one, then the features. Of two classes the
    coefficients are of ``classes[1]`` against ``classes[0]``, and arrays are (q,). Of K ≥ 3 they are of each
    class against the first, ``coef_[k] − coef_[0]``, and arrays are (K − 1, q).

    Attributes
    ----------
    names : tuple of q str
        "intercept", or "(intercept)" where a feature is called so; then ``feature_names_in_``, or x0, x1, ….
    fit_intercept : bool
    classes : (K,)
    coef : (q,) or (K − 1, q) float64
        The maximum likelihood estimate: the model's coefficients and a Newton step from there. ``distance``
        is its length.
    covariance : (k, k) float64, k = coef.size
        Of ``coef.ravel()``. "classical" is the inverse of the observed information, Σ sᵢ hᵢ xᵢxᵢᵀ; the others
        are a sandwich of the scores' squares between two of these (Huber 1967, White 1982).
    covariance_type : {"classical", "HC0", "HC1", "cluster"}
    weights : {"frequency", "analytic"}
    n : int
        Rows that count: the sum of frequency weights, else the rows whose weight is not 0.
    n_groups : int or None
    log_likelihood, null_log_likelihood : float
        In nats, here and of the model with an intercept alone, or with nothing where there is no intercept.
        NaN with analytic weights, which have no likelihood.
    confidence : float
        Of the intervals, where no other is asked for.
    distance : float
        How far the model's own coefficients are from ``coef``, in standard errors (the length of the Newton
        steps in the metric of the information, at least any coefficient's own).
    notes : tuple of str
        What to know before these figures are believed.
    """

    names: tuple[str, ...]
    fit_intercept: bool
    classes: NDArray[Any]
    coef: Float64
    covariance: Float64
    covariance_type: str
    weights: str
    n: int
    n_groups: int | None
    log_likelihood: float
    null_log_likelihood: float
    confidence: float
    distance: float
    notes: tuple[str, ...]
    _model: Any  # a copy, of which new rows are checked by
    _origin: Float64
    _scale: Float64
    _standardised: tuple[Float64, Float64]  # u and its covariance, in which nothing cancels

    @property
    def n_parameters(self) -> int:
        return self.coef.size

    @property
    def standard_errors(self) -> Float64:
        """As ``coef``."""
        return np.asarray(np.sqrt(np.diag(self.covariance))).reshape(self.coef.shape)

    @property
    def z(self) -> Float64:
        """coef / standard_errors, as ``coef``: standard normal where a coefficient is 0."""
        return self.coef / self.standard_errors

    @property
    def p_values(self) -> Float64:
        """Of z, two-sided, as ``coef``."""
        return np.asarray(2.0 * ndtr(-np.abs(self.z)))

    def intervals(self, confidence: float | None = None) -> Interval:
        """coef ± z(confidence) standard errors (Wald), each as ``coef``."""
        reach = quantile(self.confidence if confidence is None else confidence) * self.standard_errors
        return Interval(self.coef, self.coef - reach, self.coef + reach)

    def odds_ratios(self, confidence: float | None = None) -> Interval:
        """e^coef and e^ of its interval's ends, each as ``coef``: by what the odds multiply a unit of a
        feature.

        The intercept's are the odds where all features are 0.
        """
        with np.errstate(over="ignore"):
            return Interval(*map(np.exp, self.intervals(confidence)))

    @property
    def df_residual(self) -> int:
        return self.n - self.n_parameters

    @property
    def aic(self) -> float:
        """−2 log L + 2k (Akaike 1974)."""
        return -2.0 * self.log_likelihood + 2.0 * self.n_parameters

    @property
    def bic(self) -> float:
        """−2 log L + k log n (Schwarz 1978)."""
        return -2.0 * self.log_likelihood + self.n_parameters * math.log(self.n)

    @property
    def likelihood_ratio_test(self) -> ChiSquared:
        """2 (log L − log L₀), of all features' coefficients being 0. NaN with analytic weights."""
        return _chi2(2.0 * (self.log_likelihood - self.null_log_likelihood), self._slopes().size)

    @property
    def pseudo_r2(self) -> dict[str, float]:
        """By name: "mcfadden" 1 − log L/log L₀, "mcfadden_adjusted" 1 − (log L − k)/log L₀, "cox_snell"
        1 − (L₀/L)^(2/n), and "nagelkerke", that divided by its largest value 1 − L₀^(2/n).
        """
        here, null = self.log_likelihood, self.null_log_likelihood
        cox_snell = -math.expm1(2.0 * (null - here) / self.n)
        return {
            "mcfadden": 1.0 - here / null,
            "mcfadden_adjusted": 1.0 - (here - self.n_parameters) / null,
            "cox_snell": cox_snell,
            "nagelkerke": cox_snell / -math.expm1(2.0 * null / self.n),
        }

    def wald_test(self, R: Any = None, r: ArrayLike = 0.0) -> ChiSquared:
        """Of the linear hypothesis R θ = r: (Rθ − r)ᵀ(R V Rᵀ)⁻¹(Rθ − r), χ² with R's rank.

        Parameters
        ----------
        R : (k,) or (h, k) numbers for ``coef.ravel()``; or a name or names of ``names``; or None
            Names are the hypothesis that these coefficients, of all classes, are 0; None that all features'
            are.
        r : a number, or (h,)

        Raises
        ------
        ValueError
            R has another shape, an unknown name, or rows that depend on each other, exactly or by V: a
            clustered covariance has at most the rank of its number of groups.
        """
        k = self.n_parameters
        if R is None:
            R = np.eye(k)[self._slopes()]
        R = [R] if isinstance(R, str) else R
        if not isinstance(R, np.ndarray) and any(isinstance(name, str) for name in R):
            R = np.eye(k)[self._places(list(R))]
        R = np.atleast_2d(np.asarray(R, dtype=np.float64))
        right: Float64 = np.asarray(r, dtype=np.float64)
        if R.ndim != 2 or R.shape[1] != k or len(R) == 0 or right.shape not in ((), (1,), (len(R),)):
            raise ValueError(
                f"R has shape {R.shape} and r {right.shape}; R must be (h, {k}), a column for each of "
                f"coef.ravel(), and r a number or (h,). Names do as well: wald_test({self.names[-1]!r})"
            )
        off, V = R @ self.coef.ravel() - right, R @ self.covariance @ R.T
        size = np.sqrt(np.diag(V))
        size[size == 0.0] = 1.0
        values, vectors = np.linalg.eigh(V / size / size[:, np.newaxis])
        if not values[0] > 1e-12 * len(values):
            raise ValueError(
                f"the {len(R)} rows of R depend on each other, or the covariance ({self.covariance_type}) "
                "has not their rank: leave out rows that follow from others; of clusters there must be more "
                "than rows"
            )
        along = vectors.T @ (off / size)
        return _chi2(float(along @ (along / values)), len(R))

    def _slopes(self) -> NDArray[np.intp]:
        """The features' places in ``coef.ravel()``."""
        return np.flatnonzero(
            np.tile(np.arange(len(self.names)) >= self.fit_intercept, self.n_parameters // len(self.names))
        )

    def _places(self, names: list[Any]) -> NDArray[np.intp]:
        unknown = [name for name in names if name not in self.names]
        if unknown:
            some = ", ".join(self.names[:_NAMED])
            raise ValueError(f"no coefficient is called {unknown[0]!r}; there are {some}")
        q = len(self.names)
        which = np.array([self.names.index(name) for name in names])
        return np.ravel(np.arange(self.n_parameters // q)[:, np.newaxis] * q + which)

    def predict(self, X: Any, confidence: float | None = None, *, offset: ArrayLike = 0.0) -> Interval:
        """Probabilities of rows X (m, d) with confidence intervals of the mean, on the host.

        offset is a number or (m,), added to the logits of two classes.

        Of two classes each is (m,), the probability of ``classes[1]``; of K ≥ 3 (m, K). The interval is
        symmetric for the logit log(a/(1 − a)), whose variance the delta method gives, so that its ends are
        probabilities. No m × m matrix is made.
        """
        reach = quantile(self.confidence if confidence is None else confidence)
        checked: Any = check_prediction_data(self._model, to_host(X))
        check_finite(checked, type(self._model).__name__)
        if isinstance(checked, Csr):
            checked = csr_matrix((checked.data, checked.indices, checked.indptr), shape=checked.shape)
        u, V = self._standardised
        K, m = len(u) + 1, checked.shape[0]
        added = np.asarray(to_host(offset), dtype=np.float64)
        if added.shape not in ((), (m,)) or (K > 2 and added.any()):
            raise ValueError(f"offset has shape {added.shape}; it must be a number or ({m},), of two classes")
        added = np.broadcast_to(added, m)
        a, errors, z = np.empty((m, K)), np.empty((m, K)), np.empty((m, K))
        for some in blocks(m, u.size):
            part = checked[some]
            part = part.toarray() if isinstance(checked, csr_matrix) else part
            x = standardised_rows(part, self._origin, self._scale, intercept=self.fit_intercept)
            logits = np.column_stack([np.zeros(len(x)), x @ u.T + added[some, np.newaxis]])
            a[some] = softmax(logits)
            left = rest(a[some])
            with np.errstate(divide="ignore"):
                z[some] = np.log(a[some]) - np.log(left)
            for k in range(K):
                # The logit's derivative by the classes' logits: e − a of the others, a share of them.
                g = -a[some, 1:] / left[:, k, np.newaxis]
                if k:
                    g[:, k - 1] = 1.0
                T = (g[:, :, np.newaxis] * x[:, np.newaxis]).reshape(len(x), -1)
                errors[some, k] = np.sqrt(np.einsum("ij,ij->i", T @ V, T))
        found = Interval(a, expit(z - reach * errors), expit(z + reach * errors))
        return found if K > 2 else Interval(*(part[:, 1] for part in found))

    # What the table shows.

    def title(self) -> str:
        kind = (
            "Logistic regression"
            if self.coef.ndim == 1
            else f"Multinomial logistic regression, {len(self.classes)} classes"
        )
        what = f": {self.classes[1]!s} against {self.classes[0]!s}" if self.coef.ndim == 1 else ""
        return f"{kind}{what}, maximum likelihood"

    def facts(self) -> list[tuple[str, str]]:
        wald = self._test_or_none()
        found = [("rows", f"{self.n:,}"), ("parameters", f"{self.n_parameters:,}")]
        clusters = f", {self.n_groups:,} groups" if self.n_groups is not None else ""
        found += [("covariance", self.covariance_type + clusters), ("weights", self.weights)]
        if wald is not None:
            found.append((f"Wald χ²({wald.df})", f"{wald.statistic:.4g}, p {_p(wald.p_value, '= ')}"))
        if self.weights == "analytic":
            return found
        ratio = self.likelihood_ratio_test
        if self.covariance_type == "classical":  # the others doubt the likelihood
            found.append((f"LR χ²({ratio.df})", f"{ratio.statistic:.4g}, p {_p(ratio.p_value, '= ')}"))
        return [
            *found,
            ("log-likelihood", f"{self.log_likelihood:.5g}"),
            ("of the null model", f"{self.null_log_likelihood:.5g}"),
            ("AIC, BIC", f"{self.aic:.5g}, {self.bic:.5g}"),
            ("McFadden's R²", f"{self.pseudo_r2['mcfadden']:.4g}"),
        ]

    def _test_or_none(self) -> ChiSquared | None:
        """The Wald test of all features, where the covariance has the rank for it."""
        try:
            return self.wald_test()
        except ValueError:
            return None

    def header(self) -> list[str]:
        tail = 0.5 * (1.0 - self.confidence)
        return ["", "coefficient", "std. error", "z", "P>|z|", f"[{tail:.4g}", f"{1.0 - tail:.4g}]"]

    def sections(self) -> list[Section]:
        figures = [
            np.atleast_2d(x)
            for x in (self.coef, self.standard_errors, self.z, self.p_values, *self.intervals()[1:])
        ]
        found = []
        for k, rows in enumerate(zip(*figures, strict=True)):
            heading = "" if self.coef.ndim == 1 else f"{self.classes[k + 1]!s} against {self.classes[0]!s}"
            lines = [
                [name, f"{b:.4g}", f"{se:.4g}", f"{z:.2f}", _p(p), f"{low:.4g}", f"{high:.4g}"]
                for name, b, se, z, p, low, high in zip(self.names, *rows, strict=True)
            ]
            found.append(Section(heading, lines))
        return found

    def columns(self) -> dict[str, Any]:
        interval, odds = self.intervals(), self.odds_ratios()
        of_all = {
            "coefficient": self.coef,
            "standard_error": self.standard_errors,
            "z": self.z,
            "p_value": self.p_values,
            "lower": interval.lower,
            "upper": interval.upper,
            "odds_ratio": odds.estimate,
            "odds_ratio_lower": odds.lower,
            "odds_ratio_upper": odds.upper,
        }
        return {name: values.ravel() for name, values in of_all.items()}

    def index(self) -> tuple[list[str], list[Any]]:
        if self.coef.ndim == 1:
            return ["name"], list(self.names)
        return ["class", "name"], [(c, name) for c in self.classes[1:].tolist() for name in self.names]

    def to_dict(self) -> dict[str, Any]:
        """All figures as Python's own types, as json.dumps takes them: a NaN or an infinity is None."""
        names, places = self.index()
        table = {name: list(map(_finite, values.tolist())) for name, values in self.columns().items()}
        single = {"n": self.n, "n_parameters": self.n_parameters, "n_groups": self.n_groups}
        single |= {
            name: _finite(getattr(self, name))
            for name in ("log_likelihood", "null_log_likelihood", "aic", "bic", "confidence", "distance")
        }
        tests = {"likelihood_ratio_test": self.likelihood_ratio_test, "wald_test": self._test_or_none()}
        return {
            "classes": self.classes.tolist(),
            "covariance_type": self.covariance_type,
            "weights": self.weights,
            **single,
            **{
                name: test and {a: _finite(b) for a, b in test._asdict().items()}
                for name, test in tests.items()
            },
            "pseudo_r2": {name: _finite(value) for name, value in self.pseudo_r2.items()},
            "index_names": names,
            "index": places,
            "coefficients": table,
            "covariance": [list(map(_finite, row)) for row in self.covariance.tolist()],
            "notes": list(self.notes),
        }


def quantile(confidence: float) -> float:
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence={confidence!r} must be between 0 and 1, for example 0.95")
    return float(ndtri(0.5 + 0.5 * confidence))


def _finite(x: Any) -> Any:
    return None if isinstance(x, float) and not math.isfinite(x) else x


def _p(p: float, equals: str = "") -> str:
    return "<0.0001" if p < 1e-4 else f"{equals}{p:.4f}"
