"""Our fit beside the exact logistic regressions that people use: ``python -m bench.peers``, see README.md."""
