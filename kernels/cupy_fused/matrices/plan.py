"""How a symmetric rank-k update is cut into tiles and slices, from numbers alone, and what it takes.

The sizes of a tile are those of the ``TileShape``s in matrices/rank.cuh and of ``TensorFloat32`` in
matrices/tensor.cuh; the host check of the kernels
holds the bytes of shared memory against each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from accel_logreg.kernels.cupy_fused.dense.plan import RESERVED_BYTES, Limits, narrow_lanes, plain_blocks

LARGEST_TILES_BYTES = 256 << 20  # of partial tiles, beyond one slice
# What it costs a block to begin and to add its tile to the others', in terms that it could have summed.
SLICE_OVERHEAD = 100


@dataclass(frozen=True)
class TileShape:
    """One instance of the kernel: a block of ``threads`` for ``edge`` × ``edge`` entries.

    itemsize : bytes of a product
    step : terms staged at a time
    blocks : at once on a multiprocessor, by its registers
    price : of an entry, relative to the shape with the most entries a thread; by data sheets, not measured
    padding : bytes between the terms in shared memory
    """

    name: str
    itemsize: int
    edge: int
    threads: int
    step: int
    blocks: int
    price: float
    padding: int = 16

    @property
    def shared_bytes(self) -> int:
        """Two stages of two strips."""
        return 4 * self.step * (self.edge * self.itemsize + self.padding)

    def tiles(self, size: int) -> int:
        """Tiles on and below the diagonal of a matrix of this size."""
        strips = -(-size // self.edge)
        return strips * (strips + 1) // 2


NARROW_FLOAT32 = TileShape("narrow", 4, 32, 64, 16, 8, 2.0)
WIDE_FLOAT32 = TileShape("wide", 4, 128, 256, 8, 2, 1.0)
TENSOR_FLOAT32 = TileShape("tensor", 4, 128, 512, 16, 1, 0.6, padding=32)
NARROW_FLOAT64 = TileShape("narrow", 8, 32, 64, 8, 8, 2.0)
WIDE_FLOAT64 = TileShape("wide", 8, 64, 256, 8, 2, 1.0)


@dataclass(frozen=True)
class RankPlan:
    """One update by ``tiles`` × ``slices`` blocks.

    chunk_terms : terms in a slice, a whole number of steps; the last slice may be shorter
    """

    shape: TileShape
    tiles: int
    slices: int
    chunk_terms: int

    @property
    def tiles_size(self) -> int:
        """Entries of one slice's tiles."""
        return self.tiles * self.shape.edge**2

    @property
    def workspace_bytes(self) -> int:
        """Float64 tiles of all slices, and their sum where there are several."""
        return 8 * self.tiles_size * (self.slices + (self.slices > 1))


@lru_cache(maxsize=256)
def plan_rank_update(
    size: int, terms: int, shapes: tuple[TileShape, ...], most_bytes: int, limits: Limits
) -> RankPlan:
    """Cut a (size, size) matrix that is a sum of ``terms`` rank-one terms.

    The shape is the one whose tiles hold the fewest entries, those past the matrix's edge counted. The
    slices are as many as finish first when the device runs its fill of blocks at a time, but their tiles
    take no more than ``most_bytes``, if one slice's do not.
    """
    shape = min(shapes, key=lambda s: s.tiles(size) * s.edge**2 * s.price)
    tiles = shape.tiles(size)
    fitting = limits.shared_per_multiprocessor // (shape.shared_bytes + RESERVED_BYTES)
    at_once = max(1, min(shape.blocks, fitting)) * limits.multiprocessors
    most = max(1, min(at_once, -(-terms // shape.step), most_bytes // (8 * tiles * shape.edge**2) - 1))
    slices = min(
        range(1, most + 1), key=lambda s: -(-tiles * s // at_once) * (-(-terms // s) + SLICE_OVERHEAD)
    )
    steps = -(-terms // (slices * shape.step))
    chunk_terms = steps * shape.step
    return RankPlan(shape, tiles, -(-terms // chunk_terms), chunk_terms)


def plan_hessian(p: int, rows: int, precise: bool, limits: Limits) -> RankPlan:
    """(p, p) from rows; products in float64 if precise, on the tensor cores if wide and there are any."""
    wide = TENSOR_FLOAT32 if limits.tf32 else WIDE_FLOAT32
    shapes = (NARROW_FLOAT64, WIDE_FLOAT64) if precise else (NARROW_FLOAT32, wide)
    return plan_rank_update(p, rows, shapes, LARGEST_TILES_BYTES, limits)


def plan_gram(n: int, d: int, limits: Limits) -> RankPlan:
    """(n, n) from columns."""
    return plan_rank_update(n, d, (WIDE_FLOAT64,), LARGEST_TILES_BYTES, limits)


def row_blocks(rows: int, d: int, limits: Limits) -> int:
    """Blocks of a kernel that strides over rows with ``narrow_lanes`` threads each."""
    return plain_blocks(rows * narrow_lanes(d), limits)


def hessian_bytes(d: int, rows: int, picked: bool, precise: bool, limits: Limits) -> int:
    """Device memory that ``hessian`` takes beside the rows themselves."""
    p = d + 1
    plan = plan_hessian(p, rows, precise, limits)
    roots = rows * (8 + plan.shape.itemsize + (16 if picked else 0)) + 16 * row_blocks(rows, d, limits)
    return roots + 8 * (3 * d + 3) + plan.workspace_bytes + 8 * p * p


def gram_bytes(n: int, d: int, limits: Limits) -> int:
    """Device memory that ``gram`` takes beside the rows themselves."""
    return 8 * d + plan_gram(n, d, limits).workspace_bytes + 8 * n * n
