// A row tile times a panel of WIDTH weight vectors, and into the panel's column sums. The whole block works on
// each step; columns/columns.cu puts the barriers between them.
//
// Vectors are (columns, d + 1), one after the other, so that neighbouring lanes, which take neighbouring
// entries of a row, read neighbouring entries of every vector. Factors are (tile_rows, WIDTH): a row's lie side
// by side, and a thread that sums a column of X takes two of them with one 16-byte load.

struct alignas(16) Pair {
    double of[2];
};

// Which of WIDTH values the lane holds after fold(): its low bits, reversed.
template <int WIDTH>
__device__ __forceinline__ int folded_column(int lane)
{
    int column = 0;
    for (int distance = 1, half = WIDTH / 2; half > 0; distance *= 2, half /= 2)
        if (lane & distance) column += half;
    return column;
}

// Sums COUNT values over `lanes` neighbouring lanes, COUNT ≤ lanes ≤ 32, both powers of two. Each step two lanes
// share the values out: each gives the half that it does not keep. That is COUNT − 1 exchanges and one for
// every further step, where COUNT separate sums would take log₂ lanes each. All 32 lanes must call.
template <int COUNT>
__device__ __forceinline__ double fold(const double (&value)[COUNT], int lane, int lanes, int distance = 1)
{
    if constexpr (COUNT == 1) {
        double sum = value[0];
        for (; distance < lanes; distance *= 2) sum += __shfl_xor_sync(WHOLE_WARP, sum, distance);
        return sum;
    } else {
        const bool upper = lane & distance;
        double kept[COUNT / 2];
#pragma unroll
        for (int k = 0; k < COUNT / 2; ++k) {
            const double given = upper ? value[k] : value[COUNT / 2 + k];
            const double mine = upper ? value[COUNT / 2 + k] : value[k];
            kept[k] = mine + __shfl_xor_sync(WHOLE_WARP, given, distance);
        }
        return fold(kept, lane, lanes, 2 * distance);
    }
}

// ROWS rows, groups · d elements apart, times every vector of the panel: `lanes` threads a row, of which this
// one is `lane`. Writes the parts of its warp to dots, row after row; `writes` says for how many rows.
template <int ROWS, int WIDTH, int DOTS, typename T>
__device__ __forceinline__ void panel_dot_rows(const T* x, int row_step, int d, int lane, int lanes,
                                               const Vectors<DOTS>& panels, double* dots, int dots_step,
                                               int which_step, int writes)
{
    double sum[ROWS][DOTS][WIDTH];
#pragma unroll
    for (int r = 0; r < ROWS; ++r)
#pragma unroll
        for (int q = 0; q < DOTS; ++q)
#pragma unroll
            for (int k = 0; k < WIDTH; ++k) sum[r][q][k] = 0.0;
    for (int j = lane; j < d; j += lanes) {
        double entry[ROWS];
#pragma unroll
        for (int r = 0; r < ROWS; ++r) entry[r] = x[r * row_step + j];
#pragma unroll
        for (int q = 0; q < DOTS; ++q)
#pragma unroll
            for (int k = 0; k < WIDTH; ++k) {
                const double w = panels.of[q][k * (d + 1) + j];
#pragma unroll
                for (int r = 0; r < ROWS; ++r) sum[r][q][k] += entry[r] * w;
            }
    }
    const int width = lanes < WARP ? lanes : WARP;
    const int column = folded_column<WIDTH>(lane);
#pragma unroll
    for (int r = 0; r < ROWS; ++r)
#pragma unroll
        for (int q = 0; q < DOTS; ++q) {
            const double total = fold(sum[r][q], lane, width);
            if (lane % width < WIDTH && r < writes) dots[r * dots_step + q * which_step + column] = total;
        }
}

// dots[((q · parts + part) · tile_rows + row) · WIDTH + k] = part of Σⱼ xⱼ vectorₖⱼ of W (q = 0) or V (q = 1),
// one part per warp of a row.
template <int WIDTH, int DOTS, typename T>
__device__ __forceinline__ void tile_panel_dots(const T* tile, int rows, int tile_rows, int d, int lanes,
                                                const Vectors<DOTS>& panels, double* dots)
{
    constexpr int ROWS = WIDTH * DOTS > 8 ? 2 : ROWS_AT_ONCE;  // so that the sums fit in registers
    const int lane = threadIdx.x % lanes;
    const int group = threadIdx.x / lanes;
    const int groups = blockDim.x / lanes;
    const int parts = lanes > WARP ? lanes / WARP : 1;
    const int which_step = parts * tile_rows * WIDTH;
    double* const part = dots + lane / WARP * tile_rows * WIDTH;
    int base = 0;
    for (; base + ROWS * groups <= rows; base += ROWS * groups)
        panel_dot_rows<ROWS, WIDTH>(tile + (base + group) * d, groups * d, d, lane, lanes, panels,
                                    part + (base + group) * WIDTH, groups * WIDTH, which_step, ROWS);
    for (; base < rows; base += groups) {
        const int row = base + group;
        // A group without a row works on the last one, for the shuffles, and writes nothing.
        panel_dot_rows<1, WIDTH>(tile + min(row, rows - 1) * d, 0, d, lane, lanes, panels, part + row * WIDTH, 0,
                                 which_step, row < rows ? 1 : 0);
    }
}

// sums[k · slots + slot] += Σ factorᵢₖ xᵢⱼ over the rows of the slot's group; slot = group · d + j.
template <int WIDTH, typename T>
__device__ __forceinline__ void add_tile_panel(const T* tile, const double* factors, int rows, int d, int slots,
                                               double* sums)
{
    const int groups = slots / d;
    for (int slot = threadIdx.x; slot < slots; slot += blockDim.x) {
        const T* x = tile + slot;
        double sum[WIDTH] = {};
#pragma unroll 2
        for (int row = slot / d; row < rows; row += groups, x += slots) {
            const double entry = *x;
            if constexpr (WIDTH == 1) {
                sum[0] += factors[row] * entry;
            } else {
                const Pair* const pairs = reinterpret_cast<const Pair*>(factors + row * WIDTH);
#pragma unroll
                for (int k = 0; k < WIDTH; k += 2) {
                    const Pair pair = pairs[k / 2];
                    sum[k] += pair.of[0] * entry;
                    sum[k + 1] += pair.of[1] * entry;
                }
            }
        }
#pragma unroll
        for (int k = 0; k < WIDTH; ++k) sums[k * slots + slot] += sum[k];
    }
}
