// What is said of an X that stays on the device, after its logits: probabilities, labels, whether all is
// finite, and a few of its rows. Beside the logits these are small, and each is one kernel that strides
// over its work.

__device__ __forceinline__ int64 first_of_thread() { return blockIdx.x * static_cast<int64>(blockDim.x) + threadIdx.x; }
__device__ __forceinline__ int64 threads_of_grid() { return gridDim.x * static_cast<int64>(blockDim.x); }

// out[i] = (1 − a, a) with a = 1 / (1 + e⁻ᶻ), or their logarithms, which are finite where a rounds to 0.
extern "C" __global__ void __launch_bounds__(256)
    probabilities(const double* z, int64 m, int logarithm, double* out)
{
    for (int64 i = first_of_thread(); i < m; i += threads_of_grid()) {
        const double e = exp(-fabs(z[i]));
        const double likelier = logarithm ? -log1p(e) : 1.0 / (1.0 + e);
        const double other = logarithm ? -log1p(e) - fabs(z[i]) : e / (1.0 + e);
        out[2 * i] = z[i] > 0.0 ? other : likelier;
        out[2 * i + 1] = z[i] > 0.0 ? likelier : other;
    }
}

// The `bytes` low bytes of `high` where z > 0, else of `low`: labels of any dtype, a thread a byte.
extern "C" __global__ void __launch_bounds__(256)
    labels(const double* z, int64 m, int64 low, int64 high, int bytes, signed char* out)
{
    for (int64 k = first_of_thread(); k < m * bytes; k += threads_of_grid())
        out[k] = static_cast<signed char>(((z[k / bytes] > 0.0 ? high : low) >> (8 * (k % bytes))) & 0xff);
}

// partials[block] = how many entries of the block's share are NaN or infinite.
extern "C" __global__ void __launch_bounds__(256) not_finite(const double* z, int64 count, double* partials)
{
    double found = 0.0;
    for (int64 k = first_of_thread(); k < count; k += threads_of_grid()) found += z[k] - z[k] == 0.0 ? 0.0 : 1.0;
    found = block_reduce<Add>(found, shared_memory());
    if (threadIdx.x == 0) partials[blockIdx.x] = found;
}

// out[i] = X[rows[i]] for m rows of d entries.
template <typename T>
__device__ __forceinline__ void take_rows(const T* __restrict__ X, const int64* __restrict__ rows, int64 m, int64 d,
                                          T* __restrict__ out)
{
    for (int64 k = first_of_thread(); k < m * d; k += threads_of_grid()) out[k] = X[rows[k / d] * d + k % d];
}

extern "C" __global__ void __launch_bounds__(256)
    take_rows_float32(const float* X, const int64* rows, int64 m, int64 d, float* out)
{
    take_rows(X, rows, m, d, out);
}

extern "C" __global__ void __launch_bounds__(256)
    take_rows_float64(const double* X, const int64* rows, int64 m, int64 d, double* out)
{
    take_rows(X, rows, m, d, out);
}
