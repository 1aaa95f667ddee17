// One row tile: into shared memory, times the vectors, and into the column sums. The whole block
// works on each of the three; dense/passes.cu puts the barriers between them.

constexpr int ROWS_AT_ONCE = 4;  // rows that share a load of w

// By how many elements `from` misses a 16-byte boundary. The copy in shared memory is shifted by as
// much, so that both sides of a 16-byte copy are aligned whatever d and the first row are.
template <typename T>
__device__ __forceinline__ int misalignment(const T* from)
{
    return static_cast<int>(reinterpret_cast<size_t>(from) % 16 / sizeof(T));
}

template <typename T>
__device__ __forceinline__ void start_tile_copy(T* stage, const T* from, int count)
{
    constexpr int WIDE = 16 / sizeof(T);
    const int thread = threadIdx.x;
    T* const to = stage + misalignment(from);
    const int head = min(count, (WIDE - misalignment(from)) % WIDE);
    const int wide_end = head + (count - head) / WIDE * WIDE;
    for (int k = head + thread * WIDE; k < wide_end; k += blockDim.x * WIDE) start_async_copy<16>(to + k, from + k);
    if (thread < head) start_async_copy<sizeof(T)>(to + thread, from + thread);
    if (wide_end + thread < count) start_async_copy<sizeof(T)>(to + wide_end + thread, from + wide_end + thread);
}

// dots[(k · warps_per_row + part) · tile_rows + row] = part of Σⱼ xⱼ vectorₖⱼ, one part per warp of a row.
template <typename T, int DOTS>
__device__ __forceinline__ void tile_dots(const T* tile, int rows, int tile_rows, int d, int lanes,
                                          const Vectors<DOTS>& vectors, double* dots)
{
    const int lane = threadIdx.x % lanes;
    const int group = threadIdx.x / lanes;
    const int groups = blockDim.x / lanes;
    const int part = lane / WARP;
    const int warps_per_row = lanes > WARP ? lanes / WARP : 1;
    const bool writes = lanes > WARP ? lane % WARP == 0 : lane == 0;

    int base = 0;
    for (; base + ROWS_AT_ONCE * groups <= rows; base += ROWS_AT_ONCE * groups) {
        const int row = base + group;
        double sum[ROWS_AT_ONCE][DOTS];
        dot_rows(tile + row * d, static_cast<int64>(groups) * d, d, lane, lanes, vectors, sum);
        if (writes)
            for (int r = 0; r < ROWS_AT_ONCE; ++r)
                for (int k = 0; k < DOTS; ++k)
                    dots[(k * warps_per_row + part) * tile_rows + row + r * groups] = sum[r][k];
    }
    for (; base < rows; base += groups) {
        const int row = base + group;
        double sum[1][DOTS];
        // A group without a row works on the last one, for the shuffles, and writes nothing.
        dot_rows(tile + min(row, rows - 1) * d, 0, d, lane, lanes, vectors, sum);
        if (writes && row < rows)
            for (int k = 0; k < DOTS; ++k) dots[(k * warps_per_row + part) * tile_rows + row] = sum[0][k];
    }
}

// sums[slot] += Σ factorᵢ Entry(xᵢⱼ) over the rows of the slot's group; slot = group · d + j.
template <class Entry, typename T>
__device__ __forceinline__ void add_tile_columns(const T* tile, const double* factors, int rows, int d, int slots,
                                                 double* sums)
{
    const int groups = slots / d;
    for (int slot = threadIdx.x; slot < slots; slot += blockDim.x) {
        const T* x = tile + slot;
        double sum = 0.0;
#pragma unroll 4
        for (int row = slot / d; row < rows; row += groups, x += slots) sum += factors[row] * Entry::of(*x);
        sums[slot] += sum;
    }
}
