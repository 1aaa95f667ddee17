"""The NumPy engine: whole-array expressions, block by block."""
