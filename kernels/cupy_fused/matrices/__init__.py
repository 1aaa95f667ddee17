"""Hessians, Gram matrices, samples of rows."""
