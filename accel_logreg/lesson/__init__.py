"""``accel-logreg speedup``: the lesson's claim, measured on every engine of this machine."""
