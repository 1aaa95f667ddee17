"""``accel-logreg profile``: where the time of a fit goes."""
