// Inner products of rows, and rows taken out: what there is besides passes and the Hessian.

template <typename T>
struct GramInputs {
    const T* X;
    const double* centre;
    int64 n;
    int64 d;
};

// (X − c)(X − c)ᵀ = Σₖ uₖ uₖᵀ with uₖ = column k of X − c. An operand is EDGE neighbouring rows; threads
// lie along a row, where the elements do, and turn it into columns on the way to shared memory.
template <class Shape, typename T>
struct GramOperand {
    using Sum = typename Shape::Sum;
    using Inputs = GramInputs<T>;
    static constexpr int ROWS_AT_A_TIME = Shape::THREADS / Shape::STEP;
    static constexpr int SHARE = Shape::EDGE / ROWS_AT_A_TIME;
    static_assert(ROWS_AT_A_TIME * Shape::STEP == Shape::THREADS && SHARE * ROWS_AT_A_TIME == Shape::EDGE,
                  "each thread has the same number of elements");

    int64 row;  // the first of this thread's
    double centre;
    T x[SHARE];

    __device__ __forceinline__ GramOperand(const Inputs&, int64 first_row)
        : row(first_row + threadIdx.x / Shape::STEP), centre(0.0)
    {
    }

    // A column past the end is 0 − 0. A row past the end gives entries that nobody reads.
    __device__ __forceinline__ void fetch(const Inputs& in, int64 first, int64 last)
    {
        const int64 column = first + threadIdx.x % Shape::STEP;
        centre = column < last ? in.centre[column] : 0.0;
#pragma unroll
        for (int k = 0; k < SHARE; ++k) {
            const int64 i = row + k * ROWS_AT_A_TIME;
            x[k] = column < last && i < in.n ? in.X[i * in.d + column] : T(0);
        }
    }

    __device__ __forceinline__ void place(Sum* strip) const
    {
#pragma unroll
        for (int k = 0; k < SHARE; ++k)
            strip[threadIdx.x % Shape::STEP * Shape::PITCH + threadIdx.x / Shape::STEP + k * ROWS_AT_A_TIME] =
                static_cast<Sum>(x[k]) - static_cast<Sum>(centre);
    }
};

// Row i of X_out, y_out and s_out is row picked[i] of X, y and s, its weight times factors[i]. s null is
// ones; s_out null is not written. `lanes` ≤ 32 threads a row.
template <typename T>
__device__ __forceinline__ void gather_rows(const T* __restrict__ X, const signed char* __restrict__ y,
                                            const double* __restrict__ s, const int64* __restrict__ picked,
                                            const double* __restrict__ factors, int64 m, int64 d, int lanes,
                                            T* __restrict__ X_out, signed char* __restrict__ y_out,
                                            double* __restrict__ s_out)
{
    const int lane = threadIdx.x % lanes;
    const int64 groups = blockDim.x / lanes;
    for (int64 i = blockIdx.x * groups + threadIdx.x / lanes; i < m; i += gridDim.x * groups) {
        const int64 row = picked[i];
#pragma unroll 4
        for (int64 j = lane; j < d; j += lanes) X_out[i * d + j] = X[row * d + j];
        if (lane == 0) {
            y_out[i] = y[row];
            if (s_out) s_out[i] = (s ? s[row] : 1.0) * factors[i];
        }
    }
}
