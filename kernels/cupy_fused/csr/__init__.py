"""Passes over compressed sparse rows."""
