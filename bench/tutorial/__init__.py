"""What runs the tutorial; what its blocks measure and show with is accel_logreg/lesson/tutorial.py.

``python -m bench.tutorial`` runs every block of docs/from_loop_to_gpu.md and docs/why_vectorising_wins.md
at full size and writes the figures into the pages. The tests run the same blocks on small sizes.
"""
