"""Gradient descent in one cooperative launch."""
