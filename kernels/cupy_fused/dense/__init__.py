"""Passes over dense X."""
