"""Fits, from checked data to a solution: of two classes, more, many columns, with exact zeros, an offset."""
