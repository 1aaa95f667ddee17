// Matrices of sparse rows. A Hessian: some rows at a time are made dense and go through the rank-k update of
// matrices/rank.cuh. A Gram matrix: BATCH rows at a time are made dense, side by side, and meet every row.

constexpr int BATCH = WARP;  // dense rows of a Gram matrix's batch, a lane each

template <typename T>
__device__ __forceinline__ void fill_zeros(int64 count, T* __restrict__ out)
{
    const int64 step = gridDim.x * static_cast<int64>(blockDim.x);
    for (int64 k = blockIdx.x * static_cast<int64>(blockDim.x) + threadIdx.x; k < count; k += step) out[k] = T(0);
}

// Nonzero j of row i, which is row picked[i], or first + i where picked is null, goes to
// dense[i · row_step + j · column_step]; a zero goes there where `clear` is set.
template <typename T>
__device__ __forceinline__ void scatter_rows(const T* __restrict__ values, const int* __restrict__ columns,
                                             const int64* __restrict__ row_starts, const int64* __restrict__ picked,
                                             int64 first, int64 m, int lanes, int64 row_step, int64 column_step,
                                             int clear, T* __restrict__ dense)
{
    const int lane = threadIdx.x % lanes;
    const int64 groups = blockDim.x / lanes;
    for (int64 i = blockIdx.x * groups + threadIdx.x / lanes; i < m; i += gridDim.x * groups) {
        const int64 row = picked ? picked[i] : first + i;
        const int64 last = row_starts[row + 1];
        for (int64 k = row_starts[row] + lane; k < last; k += lanes)
            dense[i * row_step + columns[k] * column_step] = clear ? T(0) : values[k];
    }
}

// roots[i] = √(curvature × factor) of the m rows that are picked; partials[block] = (Σ wᵢ, max root), as
// hessian_roots has them. picked null is all rows in order, s and factors null are ones.
__device__ __forceinline__ void roots_of_curvatures(const double* __restrict__ curvatures,
                                                    const double* __restrict__ s, const int64* __restrict__ picked,
                                                    const double* __restrict__ factors, int64 m,
                                                    double* __restrict__ roots, double* __restrict__ partials)
{
    double weight_sum = 0.0;
    double largest = 0.0;
    const int64 step = gridDim.x * static_cast<int64>(blockDim.x);
    for (int64 i = blockIdx.x * static_cast<int64>(blockDim.x) + threadIdx.x; i < m; i += step) {
        const int64 row = picked ? picked[i] : i;
        const double factor = factors ? factors[i] : 1.0;
        const double root = sqrt(curvatures[row] * factor);
        roots[i] = root;
        weight_sum += (s ? s[row] : 1.0) * factor;
        largest = fmax(largest, root);
    }
    weight_sum = block_reduce<Add>(weight_sum, shared_memory());
    largest = block_reduce<Largest>(largest, shared_memory());
    if (threadIdx.x == 0) {
        partials[2 * static_cast<int64>(blockIdx.x)] = weight_sum;
        partials[2 * static_cast<int64>(blockIdx.x) + 1] = largest;
    }
}

// total[j] ← Σ over slices of partials[slice][j], and what was in total unless `first`.
__device__ __forceinline__ void add_slices_to(const double* __restrict__ partials, int64 slices, int64 size,
                                              int first, double* __restrict__ total)
{
    const int64 step = gridDim.x * static_cast<int64>(blockDim.x);
    for (int64 j = blockIdx.x * static_cast<int64>(blockDim.x) + threadIdx.x; j < size; j += step) {
        double sum = first ? 0.0 : total[j];
        for (int64 slice = 0; slice < slices; ++slice) sum += partials[slice * size + j];
        total[j] = sum;
    }
}

// out[k][i] = out[i][k] = xₖᵀ xᵢ for the rows i of a batch, dense (d, BATCH), and all rows k ≥ i; a warp a
// row k. A lane's products follow each other in one sum, so that nothing but k and i decides its bits.
template <typename T>
__device__ __forceinline__ void gram_batch(const T* __restrict__ values, const int* __restrict__ columns,
                                           const int64* __restrict__ row_starts, const T* __restrict__ dense,
                                           int64 first, int64 n, double* __restrict__ out)
{
    const int64 i = first + threadIdx.x % BATCH;
    const int64 warps = blockDim.x / WARP;
    for (int64 k = first + blockIdx.x * warps + threadIdx.x / WARP; k < n; k += gridDim.x * warps) {
        const int64 last = row_starts[k + 1];
        double sum = 0.0;
#pragma unroll 4
        for (int64 place = row_starts[k]; place < last; ++place)
            sum += static_cast<double>(values[place]) * dense[columns[place] * static_cast<int64>(BATCH) + i - first];
        if (i <= k) {
            out[k * n + i] = sum;
            out[i * n + k] = sum;
        }
    }
}
