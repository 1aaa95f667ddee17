// K columns on a CUDA device: K problems that share X, answered from one read of it.
//
// What a pass of dense/passes.cu does for one weight vector, this does for `columns` of them while a tile of X is
// in shared memory. The columns come in panels of WIDTH, a number that the compiler knows: a thread then holds
// the panel's sums in registers and uses every entry of X that it loads WIDTH times. Per tile and panel, with
// a barrier after each step:
//   dots   as in dense/passes.cu, WIDTH products a row (2 WIDTH with V); what is left to do is a sum across the
//          lanes of a row, which share the columns out while they add (fold)
//   link   one thread per row and column: the loss and r = s (a − y); the warp adds up its own columns'
//   sums   a thread owns (row group, feature) slots, as in dense/passes.cu, WIDTH sums each
// The tile is copied once for all panels, and the next one is on its way meanwhile.
//
// Sums are float64 and have a fixed order; there are no atomics. A block writes one partial answer a column.

// partials[block][column] = (Σ factorᵢ xᵢ, Σ factorᵢ, loss) over the block's chunk of rows.
//
// W and V are (panels · WIDTH, d + 1), zero where there is no column; Y[i · y_step + column] are labels, and
// s[i · s_step + column · s_own] weights. Shared memory, in doubles: sums[panels · WIDTH · slots] ·
// tails[2 · panels · WIDTH · warps] · (to an even count) · dots[DOTS · parts · tile_rows · WIDTH] · (to an even
// count) · the stages of dense/passes.cu. columns/plan.py computes the same number of bytes.
template <typename T, class Question, int WIDTH>
__device__ __forceinline__ void columns_pass(const T* __restrict__ X, const signed char* __restrict__ Y,
                                             const double* __restrict__ s, const double* __restrict__ W,
                                             const double* __restrict__ V, int64 n, int d, int columns,
                                             int64 y_step, int64 s_step, int s_own, int64 chunk_rows,
                                             int tile_rows, int lanes, int stages, double* __restrict__ partials)
{
    constexpr int DOTS = Question::DOTS;
    const int thread = threadIdx.x;
    const int threads = blockDim.x;
    const int warps = threads / WARP;
    const int parts = lanes > WARP ? lanes / WARP : 1;
    const int slots = d <= threads ? threads / d * d : d;
    const int panels = (columns + WIDTH - 1) / WIDTH;
    double* const sums = shared_memory();
    double* const tails = sums + panels * WIDTH * slots;
    const int before_dots = (panels * WIDTH * (slots + 2 * warps) + 1) / 2 * 2;
    double* const dots = sums + before_dots;
    const int before_stages = (before_dots + DOTS * parts * tile_rows * WIDTH + 1) / 2 * 2;
    char* const place = reinterpret_cast<char*>(sums + before_stages);
    expect_shared_bytes(before_stages * 8 + stages * stage_bytes<T>(tile_rows, d));

    const int64 first = blockIdx.x * chunk_rows;
    const int64 last = min(n, first + chunk_rows);
    const int k = thread % WIDTH;  // of the link; the tails' owners are the first WIDTH lanes of a warp

    // Each slot and each tail has one owner.
    for (int panel = 0; panel < panels; ++panel) {
        for (int slot = thread; slot < slots; slot += threads)
            for (int column = 0; column < WIDTH; ++column) sums[(panel * WIDTH + column) * slots + slot] = 0.0;
        if (thread % WARP < WIDTH)
            for (int kind = 0; kind < 2; ++kind)
                tails[((panel * warps + thread / WARP) * WIDTH + k) * 2 + kind] = 0.0;
    }

    const Tiles<T> tiles{X, first, last, tile_rows, d, stages, place};
    tiles.start();
    for (int64 tile = 0; tiles.has(tile); ++tile) {
        const T* const x = tiles.arrived(tile);
        const int rows = tiles.rows(tile);
        for (int panel = 0; panel < panels; ++panel) {
            const int64 offset = static_cast<int64>(panel) * WIDTH * (d + 1);
            const auto vectors = vectors_of<Question>(W + offset, V + (DOTS == 2 ? offset : 0));
            tile_panel_dots<WIDTH>(x, rows, tile_rows, d, lanes, vectors, dots);
            __syncthreads();

            const int column = panel * WIDTH + k;
            double loss = 0.0;
            double factor_sum = 0.0;
            for (int row = thread / WIDTH; row < rows; row += threads / WIDTH) {
                double factor = 0.0;
                if (column < columns) {
                    const int64 i = first + tile * tile_rows + row;
                    double dot[DOTS];
                    for (int q = 0; q < DOTS; ++q) {
                        dot[q] = vectors.of[q][k * (d + 1) + d];
                        for (int part = 0; part < parts; ++part)
                            dot[q] += dots[((q * parts + part) * tile_rows + row) * WIDTH + k];
                    }
                    const double weight = s ? s[i * s_step + column * s_own] : 1.0;
                    factor = Question::row_factor(dot, Y[i * y_step + column], weight, loss);
                }
                factor_sum += factor;
                dots[row * WIDTH + k] = factor;  // this place's dot product is used up
            }
            for (int distance = WIDTH; distance < WARP; distance *= 2) {  // lanes of the same column
                factor_sum += __shfl_xor_sync(WHOLE_WARP, factor_sum, distance);
                loss += __shfl_xor_sync(WHOLE_WARP, loss, distance);
            }
            if (thread % WARP < WIDTH) {
                double* const tail = tails + ((panel * warps + thread / WARP) * WIDTH + k) * 2;
                tail[0] += factor_sum;
                tail[1] += loss;
            }
            __syncthreads();

            add_tile_panel<WIDTH>(x, dots, rows, d, slots, sums + panel * WIDTH * slots);
            __syncthreads();  // the next dot products overwrite the factors, the next copy this stage
        }
    }

    double* const answers = partials + static_cast<int64>(blockIdx.x) * columns * (d + 2);
    for (int column = 0; column < columns; ++column) {
        double* const partial = answers + static_cast<int64>(column) * (d + 2);
        for (int j = thread; j < d; j += threads) {
            double total = 0.0;
            for (int slot = j; slot < slots; slot += d) total += sums[column * slots + slot];
            partial[j] = total;
        }
    }
    for (int place = thread; place < 2 * columns; place += threads) {
        const int column = place / 2;
        double total = 0.0;
        for (int warp = 0; warp < warps; ++warp)
            total += tails[((column / WIDTH * warps + warp) * WIDTH + column % WIDTH) * 2 + place % 2];
        answers[static_cast<int64>(column) * (d + 2) + d + place % 2] = total;
    }
}

// ---- entry points: names are <question>_columns<width>_<dtype>; read from here by pattern (programs.py) --

#define COLUMNS_PASS(NAME, T, QUESTION, WIDTH)                                                                     \
    extern "C" __global__ void __launch_bounds__(512)                                                              \
        NAME(const T* X, const signed char* Y, const double* s, const double* W, const double* V, int64 n, int d,  \
             int columns, int64 y_step, int64 s_step, int s_own, int64 chunk_rows, int tile_rows, int lanes,       \
             int stages, double* partials)                                                                         \
    {                                                                                                              \
        columns_pass<T, QUESTION, WIDTH>(X, Y, s, W, V, n, d, columns, y_step, s_step, s_own, chunk_rows,          \
                                         tile_rows, lanes, stages, partials);                                      \
    }

#define FOR_WIDTH(WIDTH, DTYPE, T)                                                                                 \
    COLUMNS_PASS(gradient_columns##WIDTH##_##DTYPE, T, Gradient, WIDTH)                                            \
    COLUMNS_PASS(hessian_product_columns##WIDTH##_##DTYPE, T, HessianProduct, WIDTH)

FOR_WIDTH(1, float32, float)
FOR_WIDTH(4, float32, float)
FOR_WIDTH(8, float32, float)
FOR_WIDTH(1, float64, double)
FOR_WIDTH(4, float64, double)
FOR_WIDTH(8, float64, double)
#undef FOR_WIDTH
