"""Whether every claimed gap is true: drawn problems and real data, judged in extended precision."""
