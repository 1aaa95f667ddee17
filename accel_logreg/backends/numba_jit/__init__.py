"""The Numba engine: fused, threaded kernels compiled on first use."""
