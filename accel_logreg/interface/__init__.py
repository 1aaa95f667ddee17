"""Plain data and the abstract classes between solvers and engines; stands on NumPy alone."""
