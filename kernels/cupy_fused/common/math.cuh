// The arithmetic that the kernels share: what each question asks of a row, sums over a warp and a block,
// and rows times vectors. Placed between the machine and the kernels.

constexpr unsigned WHOLE_WARP = 0xffffffffu;
constexpr int WARP = 32;

// ---- what differs between the questions: dot products per row, the row's factor, the entry it multiplies

struct AsItIs {
    static __device__ __forceinline__ double of(double x) { return x; }
};

struct Squared {
    static __device__ __forceinline__ double of(double x) { return x * x; }
};

// The gradient Σ rᵢ x̃ᵢ with rᵢ = sᵢ (aᵢ − yᵢ), x̃ = (x, 1), and the loss Σ sᵢ ℓᵢ.
struct Gradient {
    static constexpr int DOTS = 1;
    using Entry = AsItIs;

    static __device__ __forceinline__ double row_factor(const double* dot, double y, double s, double& loss)
    {
        const double sign = 1.0 - 2.0 * y;
        const double m = sign * dot[0];  // minus the margin: no digit of a − y is lost where a rounds to 1
        const double e = exp(-fabs(m));
        loss += s * (fmax(m, 0.0) + log1p(e));
        return s * sign * (m >= 0.0 ? 1.0 : e) / (1.0 + e);
    }
};

// The Hessian times V: Σ sᵢ hᵢ (x̃ᵢᵀ V) x̃ᵢ with hᵢ = aᵢ (1 − aᵢ) = e / (1 + e)².
struct HessianProduct {
    static constexpr int DOTS = 2;
    using Entry = AsItIs;

    static __device__ __forceinline__ double row_factor(const double* dot, double, double s, double&)
    {
        const double e = exp(-fabs(dot[0]));
        return s * e / ((1.0 + e) * (1.0 + e)) * dot[1];
    }
};

// The diagonal of the Hessian: Σ sᵢ hᵢ x̃ᵢⱼ².
struct HessianDiagonal {
    static constexpr int DOTS = 1;
    using Entry = Squared;

    static __device__ __forceinline__ double row_factor(const double* dot, double, double s, double&)
    {
        const double e = exp(-fabs(dot[0]));
        return s * e / ((1.0 + e) * (1.0 + e));
    }
};

// ---- sums over a warp and a block ----------------------------------------------------------------

struct Add {
    static __device__ __forceinline__ double of(double a, double b) { return a + b; }
};

struct Largest {
    static __device__ __forceinline__ double of(double a, double b) { return fmax(a, b); }
};

// Over `width` neighbouring lanes (a power of two); every lane gets the result.
template <class Operation>
__device__ __forceinline__ double warp_reduce(double value, int width)
{
    for (int distance = width / 2; distance > 0; distance /= 2)
        value = Operation::of(value, __shfl_xor_sync(WHOLE_WARP, value, distance));
    return value;
}

// Over the block; thread 0 gets the result. `scratch` holds one double per warp.
template <class Operation>
__device__ double block_reduce(double value, double* scratch)
{
    value = warp_reduce<Operation>(value, WARP);
    __syncthreads();  // an earlier call's scratch has been read
    if (threadIdx.x % WARP == 0) scratch[threadIdx.x / WARP] = value;
    __syncthreads();
    if (threadIdx.x == 0)
        for (int warp = 1; warp < static_cast<int>(blockDim.x) / WARP; ++warp)
            value = Operation::of(value, scratch[warp]);
    return value;
}

// ---- rows times vectors --------------------------------------------------------------------------

template <int DOTS>
struct Vectors {
    const double* of[DOTS];  // (d + 1) each, the intercept last
};

template <class Question>
__device__ __forceinline__ Vectors<Question::DOTS> vectors_of(const double* W, const double* V)
{
    if constexpr (Question::DOTS == 1)
        return {{W}};
    else
        return {{W, V}};
}

// Σⱼ xⱼ wⱼ for ROWS rows that lie `row_step` elements apart, by `lanes` threads of which this one is
// `lane`. The sum is complete over the warp's share of the row; all 32 lanes of a warp must call.
template <int ROWS, int DOTS, typename T>
__device__ __forceinline__ void dot_rows(const T* row, int64 row_step, int64 d, int lane, int lanes,
                                         const Vectors<DOTS>& vectors, double (&sum)[ROWS][DOTS])
{
    for (int r = 0; r < ROWS; ++r)
        for (int k = 0; k < DOTS; ++k) sum[r][k] = 0.0;
#pragma unroll 4
    for (int64 j = lane; j < d; j += lanes)
        for (int r = 0; r < ROWS; ++r) {
            const double x = row[r * row_step + j];
            for (int k = 0; k < DOTS; ++k) sum[r][k] += x * vectors.of[k][j];
        }
    for (int r = 0; r < ROWS; ++r)
        for (int k = 0; k < DOTS; ++k) sum[r][k] = warp_reduce<Add>(sum[r][k], lanes < WARP ? lanes : WARP);
}
