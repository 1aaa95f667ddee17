"""The mathematics between rows and solvers: the objective, its coordinates, samples of rows."""
