"""The formulas as compiled, fused, threaded CPU kernels."""
