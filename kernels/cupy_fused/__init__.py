"""The formulas as CUDA kernels: a folder a program, with its source, its plan and its launches."""
