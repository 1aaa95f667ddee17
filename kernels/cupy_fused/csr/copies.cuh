// Sparse X by columns, made from X by rows, and rows taken out.

// Entry k of X by columns is entry order[k] of X by rows, where `order` sorts the nonzeros by column and
// leaves those of one column in the order of their rows.
template <typename T>
__device__ __forceinline__ void transpose(const T* __restrict__ values, const int64* __restrict__ row_starts,
                                          const int64* __restrict__ order, int64 n, int64 nonzeros,
                                          T* __restrict__ values_out, int* __restrict__ rows_out)
{
    const int64 step = gridDim.x * static_cast<int64>(blockDim.x);
    for (int64 k = blockIdx.x * static_cast<int64>(blockDim.x) + threadIdx.x; k < nonzeros; k += step) {
        const int64 place = order[k];
        // The row that ends after `place` and begins at or before it: the first with row_starts[i + 1] > place.
        int64 low = 0;
        int64 high = n - 1;
        while (low < high) {
            const int64 middle = (low + high) / 2;
            if (row_starts[middle + 1] > place)
                high = middle;
            else
                low = middle + 1;
        }
        values_out[k] = values[place];
        rows_out[k] = static_cast<int>(low);
    }
}

// starts[j] = how many nonzeros are in columns before j, for j = 0 … d.
__device__ __forceinline__ void column_starts_of(const int* __restrict__ columns, const int64* __restrict__ order,
                                                 int64 nonzeros, int64 d, int64* __restrict__ starts)
{
    const int64 step = gridDim.x * static_cast<int64>(blockDim.x);
    for (int64 j = blockIdx.x * static_cast<int64>(blockDim.x) + threadIdx.x; j <= d; j += step) {
        int64 low = 0;
        int64 high = nonzeros;
        while (low < high) {
            const int64 middle = (low + high) / 2;
            if (columns[order[middle]] >= j)
                high = middle;
            else
                low = middle + 1;
        }
        starts[j] = low;
    }
}

// lengths[i] = nonzeros of row picked[i].
__device__ __forceinline__ void row_lengths_of(const int64* __restrict__ row_starts,
                                               const int64* __restrict__ picked, int64 m,
                                               int64* __restrict__ lengths)
{
    const int64 step = gridDim.x * static_cast<int64>(blockDim.x);
    for (int64 i = blockIdx.x * static_cast<int64>(blockDim.x) + threadIdx.x; i < m; i += step)
        lengths[i] = row_starts[picked[i] + 1] - row_starts[picked[i]];
}

// Row i of the copy, which begins at starts_out[i], is row picked[i]; y, s and factors as in gather_rows.
template <typename T>
__device__ __forceinline__ void gather_csr_rows(
    const T* __restrict__ values, const int* __restrict__ columns, const int64* __restrict__ row_starts,
    const signed char* __restrict__ y, const double* __restrict__ s, const int64* __restrict__ picked,
    const double* __restrict__ factors, const int64* __restrict__ starts_out, int64 m, int lanes,
    T* __restrict__ values_out, int* __restrict__ columns_out, signed char* __restrict__ y_out,
    double* __restrict__ s_out)
{
    const int lane = threadIdx.x % lanes;
    const int64 groups = blockDim.x / lanes;
    for (int64 i = blockIdx.x * groups + threadIdx.x / lanes; i < m; i += gridDim.x * groups) {
        const int64 row = picked[i];
        const int64 from = row_starts[row];
        const int64 to = starts_out[i];
        const int64 length = starts_out[i + 1] - to;
#pragma unroll 4
        for (int64 k = lane; k < length; k += lanes) {
            values_out[to + k] = values[from + k];
            columns_out[to + k] = columns[from + k];
        }
        if (lane == 0) {
            y_out[i] = y[row];
            if (s_out) s_out[i] = (s ? s[row] : 1.0) * factors[i];
        }
    }
}
