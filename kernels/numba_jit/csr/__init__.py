"""Kernels for compressed sparse rows."""
