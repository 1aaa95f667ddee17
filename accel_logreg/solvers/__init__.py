"""One solver a file, host float64 only. A solver sees the objective through solvers/problem.py."""
