"""The lesson's formulas, one number at a time. Read ``dense.py`` first."""
