"""The tutorial's own tools: what the code blocks of its two pages measure and show with, and what runs them.

``python -m bench.tutorial`` runs every block of docs/from_loop_to_gpu.md and docs/why_vectorising_wins.md
at full size and writes the figures into the pages. The tests run the same blocks on small sizes.
"""

from __future__ import annotations

from bench.tutorial.measure import in_turns, show, size

__all__ = ["in_turns", "show", "size"]
