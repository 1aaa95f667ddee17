"""Where scikit-learn's own tests fail with our classes in place: each difference, with its reason.

Keys are the beginnings of tests' names in their modules.
"""

_STEPS = "counts or repeats the steps of SAG or lbfgs; ours is the optimum, whatever the steps"
_INEXACT = "compares digits that scikit-learn's own tolerance leaves open; ours are the optimum's"
_MORE = "expects a refusal of what is solved here"

DIFFERENCES = {
    "linear_model/tests/test_logistic.py": {
        "test_liblinear_dual_random_state": "expects another answer from another seed; the optimum has none",
        "test_logistic_cv_multinomial_score[neg_log_loss": _INEXACT,
        "test_LogisticRegression_elastic_net_objective[0.1-100.0]": (
            "compares by the mean of the losses where both models were fitted to their sum"
        ),
        "test_large_sparse_matrix": f"{_MORE}: indices of 64 bits",
        "test_liblinear_with_large_values": f"{_MORE}: values above 1e30",
        "test_logistic_regression_callback_fitted_estimator[True": _STEPS,
        "test_newton_cholesky_fallback_to_lbfgs": "expects newton-cholesky to fail on a singular Hessian",
    },
    "linear_model/tests/test_sag.py": {
        "test_": _STEPS,
    },
}
