"""What a caller passes, checked once: parameters, X, y and weights."""
