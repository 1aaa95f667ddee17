"""The lesson's formulas on whole arrays."""
