// A pass over sparse X: sums over runs of nonzeros, and what is done with them row by row.

// Σ values[k] · vector[indices[k]] over each segment from starts[g] to starts[g + 1], `lanes` ≤ 32 threads
// each. A segment that is a whole run writes out[run] = Σ / divisor; a part of one writes its partial sum.
// targets says which; null is: segment g is run g.
template <class Entry, typename T>
__device__ __forceinline__ void segment_sums(const T* __restrict__ values, const int* __restrict__ indices,
                                             const int64* __restrict__ starts, const int64* __restrict__ targets,
                                             int64 segments, int64 runs, int lanes,
                                             const double* __restrict__ vector, double divisor,
                                             double* __restrict__ out, double* __restrict__ partials)
{
    const int lane = threadIdx.x % lanes;
    const int group = threadIdx.x / lanes;
    const int64 groups = blockDim.x / lanes;
    for (int64 base = blockIdx.x * groups; base < segments; base += gridDim.x * groups) {
        // A group without a segment works on the last one, for the shuffles, and writes nothing.
        const int64 segment = min(base + group, segments - 1);
        const int64 last = starts[segment + 1];
        double sum = 0.0;
#pragma unroll 4
        for (int64 k = starts[segment] + lane; k < last; k += lanes)
            sum += Entry::of(static_cast<double>(values[k])) * vector[indices[k]];
        sum = warp_reduce<Add>(sum, lanes);
        if (lane == 0 && base + group < segments) {
            const int64 target = targets ? targets[segment] : segment;
            if (target < runs)
                out[target] = sum / divisor;
            else
                partials[target - runs] = sum;
        }
    }
}

// out[targets[k]] = Σ partials[starts[k] … starts[k + 1]) / divisor, a warp each.
__device__ __forceinline__ void sum_partials(const double* __restrict__ partials, const int64* __restrict__ starts,
                                             const int64* __restrict__ targets, int64 sums, double divisor,
                                             double* __restrict__ out)
{
    const int lane = threadIdx.x % WARP;
    const int64 warps = blockDim.x / WARP;
    for (int64 k = blockIdx.x * warps + threadIdx.x / WARP; k < sums; k += gridDim.x * warps) {
        const int64 last = starts[k + 1];
        double sum = 0.0;
#pragma unroll 8
        for (int64 place = starts[k] + lane; place < last; place += WARP) sum += partials[place];
        sum = warp_reduce<Add>(sum, WARP);
        if (lane == 0) out[targets[k]] = sum / divisor;
    }
}

// factors[i] holds xᵢᵀ w and becomes rᵢ = sᵢ (aᵢ − yᵢ); curvatures[i] = sᵢ hᵢ. partials are two runs of a
// number a block: (Σ rᵢ of each, the loss of each).
__device__ __forceinline__ void link_gradient(const signed char* __restrict__ y, const double* __restrict__ s,
                                              const double* __restrict__ W, int64 n, int64 d,
                                              double* __restrict__ factors, double* __restrict__ curvatures,
                                              double* __restrict__ partials)
{
    const double b = W[d];
    double factor_sum = 0.0;
    double loss = 0.0;
    const int64 step = gridDim.x * static_cast<int64>(blockDim.x);
    for (int64 i = blockIdx.x * static_cast<int64>(blockDim.x) + threadIdx.x; i < n; i += step) {
        const double z = factors[i] + b;
        const double weight = s ? s[i] : 1.0;
        const double factor = Gradient::row_factor(&z, y[i], weight, loss);
        factor_sum += factor;
        factors[i] = factor;
        curvatures[i] = HessianDiagonal::row_factor(&z, 0.0, weight, loss);
    }
    factor_sum = block_reduce<Add>(factor_sum, shared_memory());
    loss = block_reduce<Add>(loss, shared_memory());
    if (threadIdx.x == 0) {
        partials[blockIdx.x] = factor_sum;
        partials[gridDim.x + blockIdx.x] = loss;
    }
}

// factors[i] holds xᵢᵀ v and becomes curvatures[i] (xᵢᵀ v + vd), or curvatures[i] itself where V is null;
// the sums as above, with no loss.
__device__ __forceinline__ void link_product(const double* __restrict__ curvatures, const double* __restrict__ V,
                                             int64 n, int64 d, double* __restrict__ factors,
                                             double* __restrict__ partials)
{
    double factor_sum = 0.0;
    const int64 step = gridDim.x * static_cast<int64>(blockDim.x);
    for (int64 i = blockIdx.x * static_cast<int64>(blockDim.x) + threadIdx.x; i < n; i += step) {
        const double factor = V ? curvatures[i] * (factors[i] + V[d]) : curvatures[i];
        factor_sum += factor;
        factors[i] = factor;
    }
    factor_sum = block_reduce<Add>(factor_sum, shared_memory());
    if (threadIdx.x == 0) {
        partials[blockIdx.x] = factor_sum;
        partials[gridDim.x + blockIdx.x] = 0.0;
    }
}
