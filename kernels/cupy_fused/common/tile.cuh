// A block's rows, tile by tile through shared memory; and one tile times the vectors, and into the column
// sums. The whole block works on each; dense/passes.cu puts the barriers between them.

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

// Bytes of one stage: a tile, and 16 for its shift, to a multiple of 16.
template <typename T>
__device__ __forceinline__ int stage_bytes(int tile_rows, int d)
{
    return (tile_rows * d * static_cast<int>(sizeof(T)) + 16 + 15) / 16 * 16;
}

// Rows first to last of X (n, d), a tile at a time in shared memory at `place`, which holds `stages` of
// them: with two, the next one arrives while one is used.
template <typename T>
struct Tiles {
    const T* X;
    int64 first, last;
    int tile_rows, d, stages;
    char* place;

    __device__ __forceinline__ bool has(int64 tile) const { return tile * tile_rows < last - first; }
    __device__ __forceinline__ int rows(int64 tile) const
    {
        return static_cast<int>(min(static_cast<int64>(tile_rows), last - first - tile * tile_rows));
    }
    __device__ __forceinline__ const T* source(int64 tile) const { return X + (first + tile * tile_rows) * d; }
    __device__ __forceinline__ T* stage(int64 tile) const
    {
        return reinterpret_cast<T*>(place + tile % stages * stage_bytes<T>(tile_rows, d));
    }
    __device__ __forceinline__ void start_copy(int64 tile) const
    {
        if (has(tile)) start_tile_copy(stage(tile), source(tile), rows(tile) * d);
        close_copy_group();  // also when empty: the wait below counts groups
    }
    __device__ __forceinline__ void start() const
    {
        for (int tile = 0; tile < stages - 1; ++tile) start_copy(tile);
    }
    // Where a tile lies, once it is there. A barrier must be between the use of the one before and this.
    __device__ __forceinline__ const T* arrived(int64 tile) const
    {
        start_copy(tile + stages - 1);
        if (stages == 2)
            wait_for_copies_but<1>();
        else
            wait_for_copies_but<0>();
        __syncthreads();
        return stage(tile) + misalignment(source(tile));
    }
};

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
