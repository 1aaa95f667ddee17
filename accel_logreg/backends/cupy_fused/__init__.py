"""The CuPy engine: our own CUDA kernels on CuPy's memory."""
