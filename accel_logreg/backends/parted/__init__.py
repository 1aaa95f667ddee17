"""Rows that are a sum over parts, whatever engine answers for each part."""
