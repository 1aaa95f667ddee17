// The Hessian in the coordinates x̂ = ((x − centre)/scale, 1): H = Σ uᵢ uᵢᵀ / S with uᵢ = √(sᵢ hᵢ) x̂ᵢ.
//
// First one read of the rows for the roots √(sᵢ hᵢ), then the rank-k update of matrices/rank.cuh.
// Between the two the roots are multiplied by the power of two that brings the largest into [1, 2): h is
// 1e-80 at z = 184, and weights may be anything, while float32 ends at 1e-38 and 3e38. No digit changes.

// roots[i] = √(wᵢ hᵢ) of the m rows that are picked, wᵢ = s × factor; partials[block] = (Σ wᵢ, max root).
// picked null is all rows in order, s and factors null are ones. `lanes` ≤ 32 threads a row.
template <typename T>
__device__ __forceinline__ void hessian_roots(const T* __restrict__ X, const double* __restrict__ s,
                                              const int64* __restrict__ picked, const double* __restrict__ factors,
                                              const double* __restrict__ W, int64 m, int64 d, int lanes,
                                              double* __restrict__ roots, double* __restrict__ partials)
{
    const Vectors<1> vectors{{W}};
    const int lane = threadIdx.x % lanes;
    const int64 groups = blockDim.x / lanes;
    double weight_sum = 0.0;
    double largest = 0.0;
    for (int64 base = blockIdx.x * groups; base < m; base += gridDim.x * groups) {
        const int64 i = base + threadIdx.x / lanes;
        // A group without a row works on the last one, for the shuffles, and writes nothing.
        const int64 row = picked ? picked[min(i, m - 1)] : min(i, m - 1);
        double sum[1][1];
        dot_rows(X + row * d, 0, d, lane, lanes, vectors, sum);
        if (lane == 0 && i < m) {
            const double weight = (s ? s[row] : 1.0) * (factors ? factors[i] : 1.0);
            const double e = exp(-fabs(sum[0][0] + W[d]));
            const double root = sqrt(weight * e) / (1.0 + e);
            roots[i] = root;
            weight_sum += weight;
            largest = fmax(largest, root);
        }
    }
    weight_sum = block_reduce<Add>(weight_sum, shared_memory());
    largest = block_reduce<Largest>(largest, shared_memory());
    if (threadIdx.x == 0) {
        partials[2 * static_cast<int64>(blockIdx.x)] = weight_sum;
        partials[2 * static_cast<int64>(blockIdx.x) + 1] = largest;
    }
}

// normaliser = (S, scale) from the `blocks` partials of hessian_roots, scaled[i] = roots[i] × scale.
// Every block works them out for itself: a few hundred numbers, and one launch less.
template <typename Sum>
__device__ __forceinline__ void scale_roots(const double* __restrict__ roots, const double* __restrict__ partials,
                                            int64 m, int blocks, Sum* __restrict__ scaled,
                                            double* __restrict__ normaliser)
{
    double* const scratch = shared_memory();  // one double a warp
    double weight_sum = 0.0;
    double largest = 0.0;
    for (int block = threadIdx.x; block < blocks; block += blockDim.x) {
        weight_sum += partials[2 * block];
        largest = fmax(largest, partials[2 * block + 1]);
    }
    weight_sum = block_reduce<Add>(weight_sum, scratch);
    largest = block_reduce<Largest>(largest, scratch);
    __syncthreads();
    if (threadIdx.x == 0) {
        scratch[0] = largest > 0.0 ? ldexp(1.0, -ilogb(largest)) : 1.0;  // no curvature at all: H = 0
        if (blockIdx.x == 0) {
            normaliser[0] = weight_sum;
            normaliser[1] = scratch[0];
        }
    }
    __syncthreads();
    const double scale = scratch[0];
    const int64 step = gridDim.x * static_cast<int64>(blockDim.x);
    for (int64 i = blockIdx.x * static_cast<int64>(blockDim.x) + threadIdx.x; i < m; i += step)
        scaled[i] = static_cast<Sum>(roots[i] * scale);
}

// One column of x̂: (x − centre)/scale, rounded to Sum after the subtraction, so that the digits which
// a large mean takes from float32 are gone before it. With inverse = 0 it is the constant `offset`.
template <typename T, typename Sum>
struct Coordinate {
    double centre;
    double inverse;
    double offset;

    __device__ __forceinline__ Coordinate(double centre_, double inverse_, double offset_)
        : centre(centre_), inverse(inverse_), offset(offset_)
    {
    }
    __device__ __forceinline__ Sum of(T x) const
    {
        return static_cast<Sum>((static_cast<double>(x) - centre) * inverse + offset);
    }
};

// float32 throughout, with the centre in two parts: where x − high cancels, it is exact.
template <>
struct Coordinate<float, float> {
    float high;
    float low;
    float inverse;
    float offset;

    __device__ __forceinline__ Coordinate(double centre, double inverse_, double offset_)
        : high(static_cast<float>(centre)), low(static_cast<float>(centre - static_cast<float>(centre))),
          inverse(static_cast<float>(inverse_)), offset(static_cast<float>(offset_))
    {
    }
    __device__ __forceinline__ float of(float x) const { return ((x - high) - low) * inverse + offset; }
};

template <typename T, typename Sum>
struct HessianInputs {
    const T* X;
    const int64* picked;
    const Sum* roots;
    const double* centre;
    const double* inverse;  // 1/scale
    int64 d;
};

// EDGE neighbouring columns of x̂, of which column d is the 1 and those after it are 0. Each thread
// keeps to one column; neighbouring threads read neighbouring elements of a row.
template <class Shape, typename T>
struct HessianOperand {
    using Sum = typename Shape::Sum;
    using Inputs = HessianInputs<T, Sum>;
    static constexpr int ROWS_AT_A_TIME = Shape::THREADS / Shape::EDGE;
    static constexpr int SHARE = Shape::STEP / ROWS_AT_A_TIME;
    static_assert(ROWS_AT_A_TIME * Shape::EDGE == Shape::THREADS && SHARE * ROWS_AT_A_TIME == Shape::STEP,
                  "each thread has the same number of elements");

    int64 source;  // the column of X that is read: some column, where x̂ has a constant
    Coordinate<T, Sum> coordinate;
    T x[SHARE];
    Sum root[SHARE];

    __device__ __forceinline__ HessianOperand(const Inputs& in, int64 first_column)
        : HessianOperand(in, first_column + threadIdx.x % Shape::EDGE, in.d)
    {
    }
    __device__ __forceinline__ HessianOperand(const Inputs& in, int64 column, int64 d)
        : source(min(column, d - 1)),
          coordinate(column < d ? in.centre[column] : 0.0, column < d ? in.inverse[column] : 0.0,
                     column == d ? 1.0 : 0.0)
    {
    }

    // No branches, so that all reads are under way at once: past the last row it is read again, times 0.
    __device__ __forceinline__ void fetch(const Inputs& in, int64 first, int64 last)
    {
#pragma unroll
        for (int k = 0; k < SHARE; ++k) {
            const int64 i = first + threadIdx.x / Shape::EDGE + k * ROWS_AT_A_TIME;
            const int64 inside = min(i, last - 1);
            root[k] = i < last ? in.roots[inside] : Sum(0);
            x[k] = in.X[(in.picked ? in.picked[inside] : inside) * in.d + source];
        }
    }

    __device__ __forceinline__ void place(Sum* strip) const
    {
#pragma unroll
        for (int k = 0; k < SHARE; ++k)
            strip[(threadIdx.x / Shape::EDGE + k * ROWS_AT_A_TIME) * Shape::PITCH + threadIdx.x % Shape::EDGE] =
                Shape::rounded(coordinate.of(x[k]) * root[k]);
    }
};
