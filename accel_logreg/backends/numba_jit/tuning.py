"""Tuned numbers of the Numba engine, and what measured each: two AVX-512 cores unless it says otherwise."""

from __future__ import annotations

import math

from accel_logreg.interface.answers import Rates
from accel_logreg.kernels.numba_jit.blocks import int8_products

# Below this many entries a second thread costs more than it saves: 30 µs to wake it and to hear from it,
# where a gradient over so many takes 80. Measured in turns, 20,000 x 20: 106 µs on one thread, 92 on two.
ENTRIES_PER_THREAD = 300_000
# Beyond two, chunks have so many entries each; up to sixteen of them, and of large X as many as have a
# million. As many as there are threads took 0.97 to 1.01 of the time, on two cores in turns, 0.4 to 400 MB,
# and left the bits of an answer to their number.
CHUNK_ENTRIES, CHUNKS, LEAF_ENTRIES, MOST_CHUNKS = 750_000, 16, 1 << 20, 256
# Entries for each number of a chunk's own sums, which are cleared, handed on and added up.
WORTH_OWN_SUMS = 256
# Rows for each chunk of a Hessian, which has a matrix of its own.
ROWS_A_MATRIX = 4096

# A tile of rows waits for BLAS in a quarter of a core's L2 cache, where that holds enough of them.
TILE_BYTES = 1 << 19
TILE_ROWS = 64, 256
TILE_COLUMNS = 512
MATRICES_BYTES = 1 << 30  # of sums, each thread's own
NARROW = 112  # unknowns up to which a rank-k update in registers beats BLAS's

# What one thread solves in a few milliseconds, from the L2 cache.
SMALL_ENTRIES = 200_000
SMALL_FEATURES = 100
# Nonzeros of a sparse fit that one thread makes in one call, and the reads after which it is given up.
SMALL_NONZEROS = 300_000
SMALL_READS = 2_000

# Entries from which a copy in 8 bits is worth making: below, X is in a cache.
LEAST_FOR_QUANTISED = 1_000_000

# K columns up to which going over the rows column by column beats a panel of eight.
FEW_COLUMNS = 3

# A softmax: the copy of a block of rows beside its logits, and between which numbers of rows.
CLASS_BLOCK_BYTES = 1 << 20
CLASS_BLOCK_ROWS = 64, 512
# Seconds of a row in a Hessian: for a block of two classes at least, with up to 16 unknowns each, and for an
# entry of the Hessian of all unknowns at once: 24,529 x 1 with 50 classes, 3,000 x 15 with 40.
CLASS_PAIR, CLASS_WHOLE = 2.5e-9, 3e-11
CLASS_TILE_ROWS = 96, 256  # of a Hessian: for products in registers, and for BLAS's
# The probabilities that a gradient keeps for the Hessian products there: as many bytes as X, or these.
PROBABILITIES_BYTES = 1 << 28

# K columns of sparse rows: a panel's width, and what each of its columns takes, of what a problem of its own
# does: 600 to 20,000 features, 64 columns, in turns. A panel that is not full takes as long as one that is.
CSR_PANELS = {8: 0.31, 16: 0.27, 32: 0.26}

# Sparse columns from which weights and gradient outgrow the L1 cache.
CSR_WORTH_SORTING = 2048
# A sparse row costs what about this many of its nonzeros do: its link, and a loop's end not foreseen.
CSR_ROW = 8
# Above this share of nonzeros BLAS multiplies rows faster, zeros and all, than kernels multiply nonzeros.
CSR_FULL = 0.2
CSR_TILE_ROWS = 256

# Passes at 31 GB/s, from 28 to 3072 features.
RATES = Rates(
    byte=1 / 31e9,
    entry=0.13e-9,
    tile_entry=0.4e-9,
    multiplication=1 / 150e9,
    call=10e-6,
    quantised_entry=0.032e-9,
    quantised_from=LEAST_FOR_QUANTISED,
    int8_multiplication=1 / 800e9,
    int8_tile_entry=0.6e-9,
    int8_from=NARROW + 1 if int8_products.available() else math.inf,
    sparse_entry=0.45e-9,
    pair=0.8e-9,
    compiled_entries=SMALL_NONZEROS,
)
