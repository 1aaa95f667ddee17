"""Tuned numbers of the kernels and what each trades, as chosen on two AVX-512 cores (AMD EPYC).

Those by which the engine chooses among kernels stand in accel_logreg/backends/numba_jit/tuning.py.
"""

from __future__ import annotations

# How far in front of the rows being read memory is asked for: bytes, or a whole group of rows where that is
# more. What asking ahead brings is measured in numba_jit/dense.py, versions 2 and 5.
AHEAD = 16_384
# Bytes of a row up to which two groups of rows are needed to hide the link's latency.
TWO_GROUPS_TO = 1600

# Rows ahead, where picked ones lie all over X, and up to how many bytes: no hardware foresees short rows.
PICKED_AHEAD, PICKED_SHORT = 16, 2048
# Rows ahead where they are weighed for products of 8 bits, which takes longer.
WEIGHED_AHEAD = 6

# Rows, and groups of rows in 8 bits, that are summed in float32 before float64 takes over.
ROWS_PER_SUM, GROUPS_PER_SUM = 8192, 256

# K columns: at most so many bytes and rows of a block's float64 copy, which stays in the L1 cache.
PANEL_BLOCK_BYTES, PANEL_BLOCK_ROWS = 1 << 15, 64

# Sparse rows in a block, and its entries: about 100 KB, which wait in the L2 cache at worst.
CSR_BLOCK_ROWS, CSR_BLOCK_ENTRIES = 128, 8192
CSR_AHEAD = 256  # entries

# Columns that are rounded to 8 bits at a time: what is known of them stays in the L1 cache.
ROUNDED_TOGETHER = 256
# Side of the squares in which a triangle is copied to the other one.
MIRRORED = 32
# K columns of sparse rows: rows in a block, whose logits stay in the L1 cache beside their nonzeros.
CSR_PANEL_ROWS = 32
