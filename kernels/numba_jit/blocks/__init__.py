"""Blocks of rows in vector registers: the inner loops, in LLVM's language."""
