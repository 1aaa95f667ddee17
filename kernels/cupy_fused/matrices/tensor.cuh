// The tile of a rank-k update on the tensor cores: products of TF32 numbers, which are float32 with 10
// bits after the leading one instead of 23, summed in float32. From compute capability 8.0.
//
//  1. Entries are rounded to TF32 on their way to shared memory, once, to nearest: the tensor cores
//     would cut the bits off, always towards zero, and make every product too small.
//  2. What comes out is then the Gram matrix of the rounded entries, so it stays positive semidefinite
//     but for the rounding of the sums. With u (1 + δ), |δ| ≤ 2⁻¹¹, an entry is wrong by no more than
//     (2⁻¹⁰ + 2⁻²²) √(Hⱼⱼ Hₖₖ), by Cauchy and Schwarz. Small eigenvalues fare better: where the
//     diagonal is 1 and the errors of n rows are independent, λ moves by about 2⁻¹¹ √(λ / n) and 2⁻²⁴.
//  3. Tensor cores cut their sums off as well, so that a long one drifts. Only the terms of one step are
//     summed there; the step's sum is added to the entry by an ordinary, rounded addition.
//  4. A warp owns 32 × 32 entries of the tile, 2 × 4 fragments: 16 loads from shared memory, each from
//     another bank in every lane, feed 8 instructions of 16 · 8 · 8 multiplications.
struct TensorTile {
    static constexpr int EDGE = 128;
    static constexpr int STEP = 16;
    static constexpr int PITCH = EDGE + 8;  // 4 terms by 8 neighbouring entries then meet no bank twice
    static constexpr int DOWN = 2;          // fragments of 16 rows a warp
    static constexpr int ACROSS = 4;        // fragments of 8 columns a warp
    static constexpr int WARPS_ACROSS = EDGE / (8 * ACROSS);

    float entry[DOWN][ACROSS][4] = {};

    static __device__ __forceinline__ int first_row() { return threadIdx.x / WARP / WARPS_ACROSS * (16 * DOWN); }
    static __device__ __forceinline__ int first_column() { return threadIdx.x / WARP % WARPS_ACROSS * (8 * ACROSS); }

    // += Σ over the STEP terms in the two strips. Which lane holds what is said at multiply_tf32.
    __device__ __forceinline__ void multiply(const float* rows, const float* columns)
    {
        const int major = threadIdx.x % WARP / 4;
        const int minor = threadIdx.x % WARP % 4;
        const float* u = rows + minor * PITCH + first_row() + major;
        const float* v = columns + minor * PITCH + first_column() + major;
        float sum[DOWN][ACROSS][4] = {};
#pragma unroll
        for (int k = 0; k < STEP; k += 8, u += 8 * PITCH, v += 8 * PITCH) {
            float b[ACROSS][2];
#pragma unroll
            for (int j = 0; j < ACROSS; ++j) {
                b[j][0] = v[8 * j];
                b[j][1] = v[8 * j + 4 * PITCH];
            }
#pragma unroll
            for (int i = 0; i < DOWN; ++i) {
                const float a[4] = {u[16 * i], u[16 * i + 8], u[16 * i + 4 * PITCH], u[16 * i + 8 + 4 * PITCH]};
#pragma unroll
                for (int j = 0; j < ACROSS; ++j) multiply_tf32(sum[i][j], a, b[j]);
            }
        }
#pragma unroll
        for (int i = 0; i < DOWN; ++i)
#pragma unroll
            for (int j = 0; j < ACROSS; ++j)
#pragma unroll
                for (int k = 0; k < 4; ++k) entry[i][j][k] += sum[i][j][k];
    }

    // Moves the entries to the partial tile in device memory and starts again from zero.
    __device__ __forceinline__ void empty(bool first, double* __restrict__ partial)
    {
        const int major = threadIdx.x % WARP / 4;
        const int minor = threadIdx.x % WARP % 4;
#pragma unroll
        for (int i = 0; i < DOWN; ++i)
#pragma unroll
            for (int j = 0; j < ACROSS; ++j)
#pragma unroll
                for (int k = 0; k < 4; ++k) {
                    const int row = first_row() + 16 * i + major + k / 2 * 8;
                    const int column = first_column() + 8 * j + 2 * minor + k % 2;
                    double* const to = partial + row * EDGE + column;
                    *to = first ? entry[i][j][k] : *to + entry[i][j][k];
                    entry[i][j][k] = 0.0f;
                }
    }
};

// matrices/plan.py knows these numbers too.
struct TensorFloat32 {
    using Sum = float;
    using Tile = TensorTile;
    static constexpr int THREADS = 512;
    static constexpr int EDGE = Tile::EDGE;
    static constexpr int STEP = Tile::STEP;
    static constexpr int PITCH = Tile::PITCH;
    static constexpr int STRIP = STEP * PITCH;
    static_assert(THREADS / WARP * (16 * Tile::DOWN) * (8 * Tile::ACROSS) == EDGE * EDGE, "the warps cover the tile");

    static __device__ __forceinline__ float rounded(float entry) { return round_to_tf32(entry); }
};
