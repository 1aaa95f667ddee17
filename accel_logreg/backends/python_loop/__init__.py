"""The reference engine: loops over lists of floats."""
