"""Cross-validation and paths over C."""

from accel_logreg.model_selection.cv import LogisticRegressionCV
from accel_logreg.model_selection.paths import logistic_path

__all__ = ["LogisticRegressionCV", "logistic_path"]

LogisticRegressionCV.__module__ = __name__  # what pickles and skops files name it by
