"""What solvers are made of: factors, line search, the memory of L-BFGS."""
