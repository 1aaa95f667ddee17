"""Solvers among the rows, for fewer rows than features."""
