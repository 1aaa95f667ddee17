// Kernels without a tile: the two reads that answer for rows too long for shared memory, prediction,
// and the range of X.

// ---- rows too long for shared memory: two reads ----------------------------------------------------

// First read: factors[i] for every row, a warp per row; partials[block] = (Σ factorᵢ, loss).
template <typename T, class Question>
__device__ __forceinline__ void row_factors(const T* __restrict__ X, const signed char* __restrict__ y,
                                            const double* __restrict__ s, const double* __restrict__ W,
                                            const double* __restrict__ V, int64 n, int64 d,
                                            double* __restrict__ factors, double* __restrict__ partials)
{
    constexpr int DOTS = Question::DOTS;
    const auto vectors = vectors_of<Question>(W, V);
    const int lane = threadIdx.x % WARP;
    const int warps = blockDim.x / WARP;
    double loss = 0.0;
    double factor_sum = 0.0;
    for (int64 i = blockIdx.x * static_cast<int64>(warps) + threadIdx.x / WARP; i < n;
         i += gridDim.x * static_cast<int64>(warps)) {
        double sum[1][DOTS];
        dot_rows(X + i * d, 0, d, lane, WARP, vectors, sum);
        if (lane == 0) {
            for (int k = 0; k < DOTS; ++k) sum[0][k] += vectors.of[k][d];
            const double factor = Question::row_factor(sum[0], y[i], s ? s[i] : 1.0, loss);
            factor_sum += factor;
            factors[i] = factor;
        }
    }
    factor_sum = block_reduce<Add>(factor_sum, shared_memory());
    loss = block_reduce<Add>(loss, shared_memory());
    if (threadIdx.x == 0) {
        partials[2 * static_cast<int64>(blockIdx.x)] = factor_sum;
        partials[2 * static_cast<int64>(blockIdx.x) + 1] = loss;
    }
}

// Second read: partials[chunk][j] = Σ factorᵢ Entry(xᵢⱼ) over the chunk blockIdx.y, a thread per column.
template <class Entry, typename T>
__device__ __forceinline__ void column_sums(const T* __restrict__ X, const double* __restrict__ factors, int64 n,
                                            int64 d, int64 chunk_rows, double* __restrict__ partials)
{
    const int64 j = blockIdx.x * static_cast<int64>(blockDim.x) + threadIdx.x;
    if (j >= d) return;
    const int64 first = blockIdx.y * chunk_rows;
    const int64 last = min(n, first + chunk_rows);
    double sum = 0.0;
#pragma unroll 8
    for (int64 i = first; i < last; ++i) sum += factors[i] * Entry::of(X[i * d + j]);
    partials[blockIdx.y * d + j] = sum;
}

// ---- prediction and range --------------------------------------------------------------------------

// z[i] = Σⱼ xᵢⱼ wⱼ + b for m rows, `lanes` ≤ 32 threads per row.
template <typename T>
__device__ __forceinline__ void logits(const T* __restrict__ X, const double* __restrict__ W, int64 m, int64 d,
                                       int lanes, double* __restrict__ z)
{
    const Vectors<1> vectors{{W}};
    const int group = threadIdx.x / lanes;
    const int64 groups = blockDim.x / lanes;
    for (int64 base = blockIdx.x * groups; base < m; base += gridDim.x * groups) {
        const int64 i = min(base + group, m - 1);
        double sum[1][1];
        dot_rows(X + i * d, 0, d, threadIdx.x % lanes, lanes, vectors, sum);
        if (threadIdx.x % lanes == 0 && base + group < m) z[i] = sum[0][0] + W[d];
    }
}

// partials[block] = max |x| over the block's share of `count` elements.
template <typename T>
__device__ __forceinline__ void largest_entry(const T* __restrict__ X, int64 count, double* __restrict__ partials)
{
    double largest = 0.0;
    const int64 step = gridDim.x * static_cast<int64>(blockDim.x);
#pragma unroll 4
    for (int64 k = blockIdx.x * static_cast<int64>(blockDim.x) + threadIdx.x; k < count; k += step)
        largest = fmax(largest, fabs(static_cast<double>(X[k])));
    largest = block_reduce<Largest>(largest, shared_memory());
    if (threadIdx.x == 0) partials[blockIdx.x] = largest;
}
