// Logistic regression on a CUDA device: the formulas of python_loop/dense.py, one read of X per answer.
// Answers that are matrices come from matrices/matrices.cu.
//
// The ideas, from the plainest version to this one; each removes the largest cost of the one before.
//
//  1. Two matrix-vector products, z = X w and then g = Xᵀ r. X is read twice from device memory, and
//     at 2 operations per element that read IS the running time.
//  2. One pass over row tiles. A tile is copied to shared memory once; z, the link and g all come
//     from that copy. Bytes moved per gradient: n d sizeof(T) for X, n for y, 8 n for s if there are
//     weights, and 8 (d + 2) per block written and read again for the partial sums.
//  3. Persistent blocks. The grid fills the card once; a block walks down its own chunk of rows and
//     keeps its d sums in shared memory until the end, so partial sums are per block, not per tile.
//  4. Copies beside arithmetic. A tile is one contiguous piece of X, so it moves in 16-byte copies
//     whatever d is, and the next tile is on its way while this one is used (stages = 2).
//
// Per tile, with a barrier after each step:
//   copy   16-byte copies, all of them in flight at once; a head and a tail of single elements
//   dots   `lanes` neighbouring threads own a row: part of a warp for small d, a warp, or several
//          warps where a tile has few rows; 4 rows at a time share each load of w
//   link   one thread per row: loss and r = s (a − y), from e = exp(−|z|), safe for any z
//   sums   a thread owns (row group, column) slots: d ≤ threads gives threads/d groups, so that few
//          columns still keep all threads busy; neighbouring threads read neighbouring elements
//
// X is float32 or float64; every product and sum is float64. There are no atomics, and every sum
// has a fixed order: the same launch gives the same bits. Offsets into X are 64-bit. A row that does
// not fit in shared memory takes the two-read kernels (row_factors, column_sums) instead.
// CuPy compiles with -ftz=true: float32 entries below 1.2e-38 in magnitude count as 0.

// ---- the fused pass: partials[block] = (Σ factorᵢ Entry(xᵢ), Σ factorᵢ, loss) over the block's chunk
//
// Shared memory, in doubles: sums[slots] · dots[DOTS · warps_per_row · tile_rows] · scratch[warps] ·
// (to an even count) · stages × (tile_rows · d elements, and 16 bytes for the shift, to 16 bytes).
// dense/plan.py computes the same number of bytes.
template <typename T, class Question>
__device__ __forceinline__ void fused_pass(const T* __restrict__ X, const signed char* __restrict__ y,
                                           const double* __restrict__ s, const double* __restrict__ W,
                                           const double* __restrict__ V, int64 n, int d, int64 chunk_rows,
                                           int tile_rows, int lanes, int stages, double* __restrict__ partials)
{
    constexpr int DOTS = Question::DOTS;
    const int thread = threadIdx.x;
    const int threads = blockDim.x;
    const int parts = lanes > WARP ? lanes / WARP : 1;
    const int slots = d <= threads ? threads / d * d : d;
    double* const sums = shared_memory();
    double* const dots = sums + slots;
    double* const scratch = dots + DOTS * parts * tile_rows;
    const int before_stages = (slots + DOTS * parts * tile_rows + threads / WARP + 1) / 2 * 2;
    char* const place = reinterpret_cast<char*>(sums + before_stages);
    expect_shared_bytes(before_stages * 8 + stages * stage_bytes<T>(tile_rows, d));

    const auto vectors = vectors_of<Question>(W, V);
    const int64 first = blockIdx.x * chunk_rows;
    const int64 last = min(n, first + chunk_rows);
    double loss = 0.0;
    double factor_sum = 0.0;

    for (int slot = thread; slot < slots; slot += threads) sums[slot] = 0.0;  // each slot has one owner

    const Tiles<T> tiles{X, first, last, tile_rows, d, stages, place};
    tiles.start();
    for (int64 tile = 0; tiles.has(tile); ++tile) {
        const T* const x = tiles.arrived(tile);
        const int rows = tiles.rows(tile);
        tile_dots(x, rows, tile_rows, d, lanes, vectors, dots);
        __syncthreads();

        for (int row = thread; row < rows; row += threads) {
            const int64 i = first + tile * tile_rows + row;
            double dot[DOTS];
            for (int k = 0; k < DOTS; ++k) {
                dot[k] = vectors.of[k][d];
                for (int part = 0; part < parts; ++part) dot[k] += dots[(k * parts + part) * tile_rows + row];
            }
            const double factor = Question::row_factor(dot, y[i], s ? s[i] : 1.0, loss);
            factor_sum += factor;
            dots[row] = factor;  // this row's first dot product is used up
        }
        __syncthreads();

        add_tile_columns<typename Question::Entry>(x, dots, rows, d, slots, sums);
        __syncthreads();  // the next copy overwrites this stage, the next dot products the factors
    }

    double* const partial = partials + blockIdx.x * (static_cast<int64>(d) + 2);
    for (int j = thread; j < d; j += threads) {
        double total = 0.0;
        for (int slot = j; slot < slots; slot += d) total += sums[slot];
        partial[j] = total;
    }
    factor_sum = block_reduce<Add>(factor_sum, scratch);
    loss = block_reduce<Add>(loss, scratch);
    if (thread == 0) {
        partial[d] = factor_sum;
        partial[d + 1] = loss;
    }
}

// ---- entry points: names are <kernel>_<dtype>; programs.py reads them from here by pattern -----------

#define FUSED_PASS(NAME, T, QUESTION)                                                                              \
    extern "C" __global__ void __launch_bounds__(1024)                                                             \
        NAME(const T* X, const signed char* y, const double* s, const double* W, const double* V, int64 n, int d,  \
             int64 chunk_rows, int tile_rows, int lanes, int stages, double* partials)                             \
    {                                                                                                              \
        fused_pass<T, QUESTION>(X, y, s, W, V, n, d, chunk_rows, tile_rows, lanes, stages, partials);              \
    }

#define ROW_FACTORS(NAME, T, QUESTION)                                                                             \
    extern "C" __global__ void __launch_bounds__(256)                                                              \
        NAME(const T* X, const signed char* y, const double* s, const double* W, const double* V, int64 n,         \
             int64 d, double* factors, double* partials)                                                           \
    {                                                                                                              \
        row_factors<T, QUESTION>(X, y, s, W, V, n, d, factors, partials);                                          \
    }

#define COLUMN_SUMS(NAME, T, ENTRY)                                                                                \
    extern "C" __global__ void __launch_bounds__(256)                                                              \
        NAME(const T* X, const double* factors, int64 n, int64 d, int64 chunk_rows, double* partials)              \
    {                                                                                                              \
        column_sums<ENTRY>(X, factors, n, d, chunk_rows, partials);                                                \
    }

#define FOR_DTYPE(DTYPE, T)                                                                                        \
    FUSED_PASS(gradient_##DTYPE, T, Gradient)                                                                      \
    FUSED_PASS(hessian_product_##DTYPE, T, HessianProduct)                                                         \
    FUSED_PASS(hessian_diagonal_##DTYPE, T, HessianDiagonal)                                                       \
    ROW_FACTORS(gradient_factors_##DTYPE, T, Gradient)                                                             \
    ROW_FACTORS(hessian_factors_##DTYPE, T, HessianProduct)                                                        \
    ROW_FACTORS(hessian_diagonal_factors_##DTYPE, T, HessianDiagonal)                                              \
    COLUMN_SUMS(column_sums_##DTYPE, T, AsItIs)                                                                    \
    COLUMN_SUMS(column_square_sums_##DTYPE, T, Squared)                                                            \
    extern "C" __global__ void __launch_bounds__(256) logits_##DTYPE(                                              \
        const T* X, const double* W, int64 m, int64 d, int lanes, double* z)                                       \
    {                                                                                                              \
        logits<T>(X, W, m, d, lanes, z);                                                                           \
    }                                                                                                              \
    extern "C" __global__ void __launch_bounds__(256) largest_entry_##DTYPE(                                       \
        const T* X, int64 count, double* partials)                                                                 \
    {                                                                                                              \
        largest_entry<T>(X, count, partials);                                                                      \
    }

FOR_DTYPE(float32, float)
FOR_DTYPE(float64, double)
#undef FOR_DTYPE

// out[j] = Σ partials[row][j] / weight_sum. 32 columns a block, the rows dealt to its warps: reads are
// whole lines, and the order of every sum depends on `rows` alone.
extern "C" __global__ void __launch_bounds__(512)
    reduce_partials(const double* partials, int64 rows, int64 columns, double weight_sum, double* out)
{
    double* const sums = shared_memory();  // (warps, 32)
    const int lane = threadIdx.x % WARP;
    const int warps = blockDim.x / WARP;
    const int64 j = blockIdx.x * static_cast<int64>(WARP) + lane;
    double sum = 0.0;
    if (j < columns)
        for (int64 row = threadIdx.x / WARP; row < rows; row += warps) sum += partials[row * columns + j];
    sums[threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.x < WARP && j < columns) {
        for (int warp = 1; warp < warps; ++warp) sum += sums[warp * WARP + lane];
        out[j] = sum / weight_sum;
    }
}

// One step of gradient descent from the answer of a pass, by one block: answer = (dw, db, loss).
//   dw ← dw + l2 w;  costs[step] = loss + l2/2 ‖w‖²;  norms[step] = ‖(dw, db)‖₂;  (w, b) ← (w, b) − α (dw, db)
extern "C" __global__ void __launch_bounds__(1024)
    gradient_descent_step(const double* answer, int64 d, double learning_rate, double l2, int fit_intercept,
                          int64 step, double* W, double* costs, double* norms)
{
    double squared_w = 0.0;
    double squared_gradient = 0.0;
    for (int64 j = threadIdx.x; j < d; j += blockDim.x) {
        const double w = W[j];
        const double dw = answer[j] + l2 * w;
        squared_w += w * w;
        squared_gradient += dw * dw;
        W[j] = w - learning_rate * dw;
    }
    squared_w = block_reduce<Add>(squared_w, shared_memory());
    squared_gradient = block_reduce<Add>(squared_gradient, shared_memory());
    if (threadIdx.x == 0) {
        const double db = fit_intercept ? answer[d] : 0.0;
        costs[step] = answer[d + 1] + 0.5 * l2 * squared_w;
        norms[step] = sqrt(squared_gradient + db * db);
        W[d] -= learning_rate * db;
    }
}
