// Gradient descent, all steps in one cooperative launch, on an X that fits into the shared memory of all
// multiprocessors together. A program of its own, compiled when the first descent is asked for.
//
//  1. A block loads its slice of X̃ = (X, 1) once and keeps it; a step moves no X at all. The column of
//     ones makes the intercept one more weight.
//  2. Slices are columns or rows of X̃, whichever exchanges the shorter vector. Columns: every block
//     has a part of each row's z, and z (n) is summed over the blocks. Rows: every block has a part of
//     the gradient, and that (p) is summed, with the loss.
//  3. To sum is two barriers of the grid (Exchange): each block adds up its share of the entries and
//     goes on to what follows from them, the link or the step, so that the others read results. One
//     barrier would do if each block added up everything, but then the parts cross the chip as often
//     as there are blocks: 29 MB a step for 209 rows and 132 blocks.
//  4. Cost and norm of a step travel with the next step's sums and cost no barrier.
//
// Every sum has a fixed order and there are no atomics: the same launch gives the same bits. X is
// float32 or float64, every product and sum float64.
//
// Shared memory, in doubles: w[columns] · factors[rows] · sums[groups > 1: groups · columns] ·
// lines[4 · warps] · (to an even count) · the slice. descent/plan.py computes the same bytes.
constexpr int LINES = EXTRAS + 1;

template <typename T>
struct Layout {
    double* w;
    double* factors;
    double* sums;
    double* lines;
    T* x;

    __device__ __forceinline__ Layout(int rows, int columns, int pitch, int groups)
    {
        const int warps = blockDim.x / WARP;
        w = shared_memory();
        factors = w + columns;
        sums = factors + rows;
        lines = sums + (groups > 1 ? groups * columns : 0);
        const int doubles = static_cast<int>(lines - w) + LINES * warps;
        x = reinterpret_cast<T*>(w + (doubles + 1) / 2 * 2);
        expect_shared_bytes((doubles + 1) / 2 * 16 + rows * pitch * static_cast<int>(sizeof(T)));
        for (int k = threadIdx.x; k < LINES * warps; k += blockDim.x) lines[k] = 0.0;
    }
};

// What a step adds to ‖w‖² and ‖∇J‖² by one weight.
struct Squares {
    double w = 0.0;
    double gradient = 0.0;
};

struct Step {
    int64 d;
    double weight_sum;
    double learning_rate;
    double l2;
    int fit_intercept;

    // The new weight of column j from the old one and Σᵢ rᵢ x̃ᵢⱼ. The intercept has no penalty.
    __device__ __forceinline__ double weight(int64 j, double old, double sum, Squares& squares) const
    {
        double gradient = sum / weight_sum;
        if (j < d) {
            gradient += l2 * old;
            squares.w += old * old;
        } else if (!fit_intercept) {
            gradient = 0.0;
        }
        squares.gradient += gradient * gradient;
        return old - learning_rate * gradient;
    }
};

// Block b has columns [b · width, …) of X̃ and their weights.
template <typename T>
__device__ __forceinline__ void descend_by_columns(const T* __restrict__ X, const signed char* __restrict__ y,
                                                   const double* __restrict__ s, int n, const Step& rule, int64 steps,
                                                   int width, int pitch, int lanes, int groups, double* W,
                                                   double* costs, double* norms, double* parts, double* totals,
                                                   int64* arrived)
{
    const Layout<T> shared(n, width, pitch, groups);
    const int64 first = blockIdx.x * static_cast<int64>(width);
    const Slice<T> slice{shared.x, n, static_cast<int>(min(static_cast<int64>(width), rule.d + 1 - first)), pitch};
    slice.load(X, rule.d, 0, first);
    for (int j = threadIdx.x; j < slice.columns; j += blockDim.x) shared.w[j] = W[first + j];
    __syncthreads();

    Exchange exchange(parts, totals, arrived, n);
    double* const own = exchange.own();
    for (int64 step = 0; step < steps; ++step) {
        slice.dots(shared.w, lanes, [&](int row, double z) { own[row] = z; });
        publish_lines(shared.lines, EXTRAS, own + n);
        exchange.barrier();

        if (step > 0) exchange.record(step - 1, rule.weight_sum, rule.l2, costs, norms);
        double loss = 0.0;
        const bool took_part = exchange.add_up_share([&](int row, double z) {
            totals[row] = Gradient::row_factor(&z, y[row], s ? s[row] : 1.0, loss);
        });
        if (took_part) note(shared.lines, LOSS, loss);
        exchange.barrier();

        for (int row = threadIdx.x; row < n; row += blockDim.x) shared.factors[row] = read_published(totals + row);
        __syncthreads();
        Squares squares;
        slice.column_sums(shared.factors, groups, shared.sums, [&](int column, double sum) {
            shared.w[column] = rule.weight(first + column, shared.w[column], sum, squares);
        });
        if (warp_has_a_job(slice.columns, 1)) {
            note(shared.lines, SQUARED_W, squares.w);
            note(shared.lines, SQUARED_GRADIENT, squares.gradient);
        }
        __syncthreads();
    }
    publish_lines(shared.lines, EXTRAS, own + n);
    exchange.barrier();
    exchange.record(steps - 1, rule.weight_sum, rule.l2, costs, norms);
    for (int j = threadIdx.x; j < slice.columns; j += blockDim.x) W[first + j] = shared.w[j];
}

// Block b has rows [b · height, …) of X̃, and all weights.
template <typename T>
__device__ __forceinline__ void descend_by_rows(const T* __restrict__ X, const signed char* __restrict__ y,
                                                const double* __restrict__ s, int64 n, const Step& rule, int64 steps,
                                                int height, int pitch, int lanes, int groups, double* W,
                                                double* costs, double* norms, double* parts, double* totals,
                                                int64* arrived)
{
    const int p = static_cast<int>(rule.d) + 1;
    const Layout<T> shared(height, p, pitch, groups);
    const int64 first = blockIdx.x * static_cast<int64>(height);
    const Slice<T> slice{shared.x, static_cast<int>(min(static_cast<int64>(height), n - first)), p, pitch};
    slice.load(X, rule.d, first, 0);
    for (int j = threadIdx.x; j < p; j += blockDim.x) shared.w[j] = W[j];
    __syncthreads();

    // Entry p is the loss. The line of its part stands before the extras', and so does the entry.
    Exchange exchange(parts, totals, arrived, p + 1);
    double* const own = exchange.own();
    double* const extras = shared.lines + blockDim.x / WARP;
    for (int64 step = 0; step < steps; ++step) {
        double loss = 0.0;
        slice.dots(shared.w, lanes, [&](int row, double z) {
            const int64 i = first + row;
            shared.factors[row] = Gradient::row_factor(&z, y[i], s ? s[i] : 1.0, loss);
        });
        if (warp_has_a_job(slice.rows, lanes)) note(shared.lines, 0, loss);
        __syncthreads();
        slice.column_sums(shared.factors, groups, shared.sums, [&](int column, double sum) { own[column] = sum; });
        publish_lines(shared.lines, LINES, own + p);
        exchange.barrier();

        if (step > 0) exchange.record(step - 1, rule.weight_sum, rule.l2, costs, norms);
        double total_loss = 0.0;
        Squares squares;
        const bool took_part = exchange.add_up_share([&](int entry, double sum) {
            if (entry == p)
                total_loss = sum;
            else
                totals[entry] = rule.weight(entry, shared.w[entry], sum, squares);
        });
        if (took_part) {
            note(extras, LOSS, total_loss);
            note(extras, SQUARED_W, squares.w);
            note(extras, SQUARED_GRADIENT, squares.gradient);
        }
        exchange.barrier();

        for (int j = threadIdx.x; j < p; j += blockDim.x) shared.w[j] = read_published(totals + j);
        __syncthreads();
    }
    publish_lines(shared.lines, LINES, own + p);
    exchange.barrier();
    exchange.record(steps - 1, rule.weight_sum, rule.l2, costs, norms);
    if (blockIdx.x == 0)
        for (int j = threadIdx.x; j < p; j += blockDim.x) W[j] = shared.w[j];
}

// W (p,) is read and written; costs, norms (steps,); steps ≥ 1. The workspace is that of Exchange.
#define DESCEND(NAME, T, BODY, N)                                                                                  \
    extern "C" __global__ void __launch_bounds__(1024)                                                             \
        NAME(const T* X, const signed char* y, const double* s, int64 n, int64 d, double weight_sum,               \
             double learning_rate, double l2, int fit_intercept, int64 steps, int extent, int pitch, int lanes,    \
             int groups, double* W, double* costs, double* norms, double* parts, double* totals, int64* arrived)   \
    {                                                                                                              \
        const Step rule{d, weight_sum, learning_rate, l2, fit_intercept};                                          \
        BODY<T>(X, y, s, static_cast<N>(n), rule, steps, extent, pitch, lanes, groups, W, costs, norms, parts,     \
                totals, arrived);                                                                                  \
    }

#define FOR_DTYPE(DTYPE, T)                                                                                        \
    DESCEND(descend_by_columns_##DTYPE, T, descend_by_columns, int)                                                \
    DESCEND(descend_by_rows_##DTYPE, T, descend_by_rows, int64)

FOR_DTYPE(float32, float)
FOR_DTYPE(float64, double)
#undef FOR_DTYPE
