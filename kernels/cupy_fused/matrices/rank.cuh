// Symmetric rank-k update: C = Σₖ uₖ uₖᵀ, of which the tiles on and below the diagonal are computed.
//
//  1. A block owns one EDGE × EDGE tile of C (blockIdx.x) and one chunk of the terms k (blockIdx.y).
//  2. STEP terms at a time are staged in shared memory, one strip of EDGE entries for the rows of the
//     tile and one for its columns; a tile on the diagonal needs one strip only. What an entry of uₖ
//     is, the Operand says, so that this file serves the Hessian and the Gram matrix alike.
//  3. A thread keeps MICRO × MICRO entries of the tile in registers: 2 MICRO loads from shared memory
//     feed MICRO² multiplications. The loads are 16 bytes wide. (The tile of matrices/tensor.cuh leaves
//     the multiplications to the tensor cores instead.)
//  4. The next strips are read into registers before the present ones are multiplied, and go to the
//     other of two stages after that: one barrier a step, and the read's latency is hidden.
//  5. float32 sums are added to a float64 tile in device memory every SPAN terms, which keeps them
//     short; float64 sums stay in registers to the end.
//
// Every sum has a fixed order and every partial tile one writer: the same launch gives the same bits.

constexpr int SPAN = 2048;  // terms in a float32 sum

template <class Shape>
struct ThreadTile;

// What a block computes: threads side by side, entries a thread, terms a step, and the type of a product.
template <typename SUM, int MICRO_, int SIDE_, int STEP_>
struct TileShape {
    using Sum = SUM;
    using Tile = ThreadTile<TileShape>;
    static constexpr int MICRO = MICRO_;
    static constexpr int SIDE = SIDE_;
    static constexpr int STEP = STEP_;
    static constexpr int THREADS = SIDE * SIDE;
    static constexpr int EDGE = MICRO * SIDE;
    static constexpr int WIDE = 16 / sizeof(Sum);  // entries in a 16-byte load
    static constexpr int PITCH = EDGE + WIDE;      // between terms in shared memory; off the banks' stride
    static constexpr int STRIP = STEP * PITCH;
    static_assert(MICRO % WIDE == 0 && SPAN % STEP == 0, "whole loads, and steps that end with a span");

    static __device__ __forceinline__ Sum rounded(Sum entry) { return entry; }  // as the products take it
};
// matrices/plan.py knows these numbers too.
using NarrowFloat32 = TileShape<float, 4, 8, 16>;
using NarrowFloat64 = TileShape<double, 4, 8, 8>;
using WideFloat32 = TileShape<float, 8, 16, 8>;
using WideFloat64 = TileShape<double, 4, 16, 8>;

template <typename Sum>
struct alignas(16) WideLoad {
    Sum of[16 / sizeof(Sum)];
};

// The entry of the tile's edge that is number `i` of thread `t`'s MICRO: neighbours own neighbouring
// 16 bytes, so that a warp's loads meet no bank twice.
template <class Shape>
__device__ __forceinline__ int edge_entry(int t, int i)
{
    return i / Shape::WIDE * (Shape::SIDE * Shape::WIDE) + t * Shape::WIDE + i % Shape::WIDE;
}

template <class Shape>
__device__ __forceinline__ void load_edge(const typename Shape::Sum* term, int t,
                                          typename Shape::Sum (&to)[Shape::MICRO])
{
    using Load = WideLoad<typename Shape::Sum>;
#pragma unroll
    for (int i = 0; i < Shape::MICRO; i += Shape::WIDE) {
        const Load load = *reinterpret_cast<const Load*>(term + edge_entry<Shape>(t, i));
#pragma unroll
        for (int e = 0; e < Shape::WIDE; ++e) to[i + e] = load.of[e];
    }
}

// A thread's MICRO × MICRO entries of the tile.
template <class Shape>
struct ThreadTile {
    using Sum = typename Shape::Sum;
    Sum entry[Shape::MICRO][Shape::MICRO] = {};

    // += Σ over the STEP terms in the two strips.
    __device__ __forceinline__ void multiply(const Sum* rows, const Sum* columns)
    {
#pragma unroll 2  // more costs registers that the tile needs
        for (int k = 0; k < Shape::STEP; ++k) {
            Sum u[Shape::MICRO];
            Sum v[Shape::MICRO];
            load_edge<Shape>(rows + k * Shape::PITCH, threadIdx.x / Shape::SIDE, u);
            load_edge<Shape>(columns + k * Shape::PITCH, threadIdx.x % Shape::SIDE, v);
#pragma unroll
            for (int i = 0; i < Shape::MICRO; ++i)
#pragma unroll
                for (int j = 0; j < Shape::MICRO; ++j) entry[i][j] += u[i] * v[j];
        }
    }

    // Moves the entries to the partial tile in device memory and starts again from zero.
    __device__ __forceinline__ void empty(bool first, double* __restrict__ partial)
    {
#pragma unroll
        for (int i = 0; i < Shape::MICRO; ++i)
#pragma unroll
            for (int j = 0; j < Shape::MICRO; ++j) {
                double* const to = partial + edge_entry<Shape>(threadIdx.x / Shape::SIDE, i) * Shape::EDGE +
                                   edge_entry<Shape>(threadIdx.x % Shape::SIDE, j);
                *to = first ? entry[i][j] : *to + entry[i][j];
                entry[i][j] = 0;
            }
    }
};

// Tile number t of the lower triangle, counted row by row: t = row (row + 1) / 2 + column.
struct TilePlace {
    int row;
    int column;

    __device__ __forceinline__ explicit TilePlace(int64 t)
    {
        row = static_cast<int>((sqrt(8.0 * static_cast<double>(t) + 1.0) - 1.0) / 2.0);
        column = static_cast<int>(t - row * (row + 1LL) / 2);
    }
};

// partials[slice][tile] = Σ uₖ uₖᵀ over the slice's terms, (EDGE, EDGE) float64 row by row. An Operand
// is made for one strip of indices; fetch() reads STEP terms from device memory, place() writes them,
// finished, to shared memory.
template <class Shape, class Operand, class Inputs>
__device__ __forceinline__ void rank_update(const Inputs& inputs, int64 terms, int64 chunk_terms,
                                            double* __restrict__ partials)
{
    using Sum = typename Shape::Sum;
    constexpr int STAGE = 2 * Shape::STRIP;
    Sum* const stages = reinterpret_cast<Sum*>(shared_memory());
    expect_shared_bytes(2 * STAGE * static_cast<int>(sizeof(Sum)));

    const TilePlace place(blockIdx.x);
    const bool diagonal = place.row == place.column;
    const int64 first = blockIdx.y * chunk_terms;
    const int64 last = min(terms, first + chunk_terms);
    double* const partial =
        partials + (blockIdx.y * static_cast<int64>(gridDim.x) + blockIdx.x) * (Shape::EDGE * Shape::EDGE);

    typename Shape::Tile tile;
    Operand rows(inputs, place.row * static_cast<int64>(Shape::EDGE));
    Operand columns(inputs, place.column * static_cast<int64>(Shape::EDGE));
    bool nothing_moved = true;

    rows.fetch(inputs, first, last);
    if (!diagonal) columns.fetch(inputs, first, last);
    int stage = 0;
    int summed = 0;
    for (int64 term = first; term < last; term += Shape::STEP, stage ^= 1) {
        Sum* const strips = stages + stage * STAGE;
        rows.place(strips);
        if (!diagonal) columns.place(strips + Shape::STRIP);
        __syncthreads();  // and the strips of the step before are used up: they are overwritten next
        const int64 next = term + Shape::STEP;
        if (next < last) {
            rows.fetch(inputs, next, last);
            if (!diagonal) columns.fetch(inputs, next, last);
        }
        tile.multiply(strips, diagonal ? strips : strips + Shape::STRIP);
        summed += Shape::STEP;
        if (next >= last || (sizeof(Sum) < sizeof(double) && summed == SPAN)) {
            tile.empty(nothing_moved, partial);
            nothing_moved = false;
            summed = 0;
        }
    }
}

// The whole symmetric matrix (size, size) from the tiles of its lower triangle, divided by
// normaliser = (S, scale): entry / scale² / S. In that order it does not overflow; null is (1, 1).
__device__ __forceinline__ void mirror_tiles_of(const double* __restrict__ tiles, int64 size, int edge,
                                                const double* __restrict__ normaliser, double* __restrict__ out)
{
    const int64 step = gridDim.x * static_cast<int64>(blockDim.x);
#pragma unroll 1
    for (int64 k = blockIdx.x * static_cast<int64>(blockDim.x) + threadIdx.x; k < size * size; k += step) {
        const int64 i = k / size;
        const int64 j = k % size;
        if (j > i) continue;
        const int64 row = i / edge;
        const int64 tile = row * (row + 1) / 2 + j / edge;
        double entry = tiles[(tile * edge + i % edge) * edge + j % edge];
        if (normaliser) entry = entry / normaliser[1] / normaliser[1] / normaliser[0];
        out[k] = entry;
        out[j * size + i] = entry;
    }
}
