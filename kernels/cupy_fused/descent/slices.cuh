// Parts of gradient descent in one launch: a block's slice of X̃ in shared memory, and what the blocks
// tell each other. descent/descent.cu puts them together.

// ---- jobs for groups of threads ------------------------------------------------------------------------

// job(k, lane, first) for k < count: `lanes` neighbouring threads a job, a power of two up to a warp.
// `first` is true for one thread of each job. A warp without a job leaves at once; a group without one
// takes part in its warp's last, for the shuffles.
template <class Job>
__device__ __forceinline__ void deal(int count, int lanes, const Job& job)
{
    const int at_once = blockDim.x / lanes;
    const int lane = threadIdx.x % lanes;
    for (int base = threadIdx.x / WARP * (WARP / lanes); base < count; base += at_once) {
        const int k = base + threadIdx.x % WARP / lanes;
        job(min(k, count - 1), lane, lane == 0 && k < count);
    }
}

// Whether `deal` has a job for this warp; the same for all its lanes.
__device__ __forceinline__ bool warp_has_a_job(int count, int lanes)
{
    return static_cast<int>(threadIdx.x / WARP * (WARP / lanes)) < count;
}

// ---- a slice of X̃ = (X, 1) -----------------------------------------------------------------------------

// Rows and columns that a block keeps in shared memory, `pitch` elements from row to row.
template <typename T>
struct Slice {
    T* x;
    int rows;
    int columns;
    int pitch;

    __device__ __forceinline__ void load(const T* __restrict__ X, int64 d, int64 first_row, int64 first_column) const
    {
#pragma unroll 4
        for (int k = threadIdx.x; k < rows * columns; k += blockDim.x) {
            const int row = k / columns;
            const int column = k % columns;
            const int64 j = first_column + column;
            x[row * pitch + column] = j < d ? X[(first_row + row) * d + j] : T(1);
        }
    }

    // then(row, Σⱼ xⱼ wⱼ) by one thread a row.
    template <class Then>
    __device__ __forceinline__ void dots(const double* w, int lanes, const Then& then) const
    {
        const Vectors<1> vectors{{w}};
        deal(rows, lanes, [&](int row, int lane, bool first) {
            double sum[1][1];
            dot_rows(x + row * pitch, 0, columns, lane, lanes, vectors, sum);
            if (first) then(row, sum[0][0]);
        });
    }

    // then(column, Σᵢ factorᵢ xᵢ) by one thread a column: thread k < columns, or several times by each.
    // `groups`, a power of two, is how many threads share a column; sums[groups · columns] if it is not 1.
    template <class Then>
    __device__ __forceinline__ void column_sums(const double* factors, int groups, double* sums, const Then& then) const
    {
        if (groups == 1) {
            for (int column = threadIdx.x; column < columns; column += blockDim.x)
                then(column, column_sum(factors, 0, 1, column));
            return;
        }
        const int thread = threadIdx.x;
        const int group = thread / columns;
        double sum = 0.0;
        if (group < groups) sums[thread] = sum = column_sum(factors, group, groups, thread % columns);
        for (int half = groups / 2; half > 0; half /= 2) {
            __syncthreads();
            if (group < half) sums[thread] = sum += sums[thread + half * columns];
        }
        if (group == 0) then(thread, sum);
    }

    __device__ __forceinline__ double column_sum(const double* factors, int first, int step, int column) const
    {
        double sum = 0.0;
#pragma unroll 4
        for (int row = first; row < rows; row += step) sum += factors[row] * x[row * pitch + column];
        return sum;
    }
};

// ---- what the blocks tell each other -----------------------------------------------------------------

// A step's loss, ‖w‖² and ‖∇J‖² are known in parts, block by block, when its sums have been exchanged:
// they travel with the sums of the next step. Until then each warp's part stands in shared memory,
// lines[which · warps + warp], zero for a warp that has none.
enum { LOSS, SQUARED_W, SQUARED_GRADIENT, EXTRAS };

// Called by whole warps.
__device__ __forceinline__ void note(double* lines, int which, double value)
{
    value = warp_reduce<Add>(value, WARP);
    if (threadIdx.x % WARP == 0) lines[which * static_cast<int>(blockDim.x / WARP) + threadIdx.x / WARP] = value;
}

// to[which] = Σ over the warps. By the last threads of the block, which are idle where others are not.
__device__ __forceinline__ void publish_lines(const double* lines, int count, double* to)
{
    const int which = static_cast<int>(blockDim.x - 1 - threadIdx.x);
    const int warps = blockDim.x / WARP;
    if (which >= count) return;
    double sum = 0.0;
    for (int warp = 0; warp < warps; ++warp) sum += lines[which * warps + warp];
    to[which] = sum;
}

// Sums over the blocks, and what is made of them, in two moves with a barrier of the grid after each:
// a block writes its part of every sum; it adds up all parts of its share of the sums. Parts are
// written again after the second barrier, totals after the first, when everybody has read them.
struct Exchange {
    double* parts;   // (blocks, entries + EXTRAS)
    double* totals;  // (entries), what is made of the sums
    int64* arrived;
    int entries;
    int64 epoch = 0;

    __device__ __forceinline__ Exchange(double* parts_, double* totals_, int64* arrived_, int entries_)
        : parts(parts_), totals(totals_), arrived(arrived_), entries(entries_)
    {
    }

    __device__ __forceinline__ void barrier() { grid_barrier(arrived, ++epoch); }

    // This block's parts, the extras last.
    __device__ __forceinline__ double* own() const
    {
        return parts + blockIdx.x * static_cast<int64>(entries + EXTRAS);
    }

    // By `lanes` neighbouring threads; every one gets the sum. The reads of a batch are all under way at
    // once, the last batch's too: one after the other they would be most of a step's time.
    __device__ __forceinline__ double sum(int entry, int lane, int lanes) const
    {
        constexpr int BATCH = 8;
        const int blocks = gridDim.x;
        const int64 stride = entries + EXTRAS;
        double sum = 0.0;
#pragma unroll 1
        for (int base = lane; base < blocks; base += BATCH * lanes) {
            double part[BATCH];
#pragma unroll
            for (int k = 0; k < BATCH; ++k) {
                const int block = base + k * lanes;
                part[k] = 0.0;
                if (block < blocks) part[k] = read_published(parts + block * stride + entry);
            }
#pragma unroll
            for (int k = 0; k < BATCH; ++k) sum += part[k];
        }
        return warp_reduce<Add>(sum, lanes);
    }

    // then(entry, sum) by one thread an entry of this block's share. True for the warps that took part.
    template <class Then>
    __device__ __forceinline__ bool add_up_share(const Then& then) const
    {
        const int blocks = gridDim.x;
        int lanes = 1;
        while (lanes < WARP && lanes < blocks) lanes *= 2;
        const int share = (entries + blocks - 1) / blocks;
        const int begin = static_cast<int>(blockIdx.x) * share;
        const int count = min(share, entries - begin);
        deal(count, lanes, [&](int k, int lane, bool first) {
            const double total = sum(begin + k, lane, lanes);
            if (first) then(begin + k, total);
        });
        return warp_has_a_job(count, lanes);
    }

    // costs[step] = loss/S + l2/2 ‖w‖², norms[step] = ‖∇J‖₂, by the last warp of the last block.
    __device__ __forceinline__ void record(int64 step, double weight_sum, double l2, double* costs, double* norms) const
    {
        if (blockIdx.x != gridDim.x - 1 || threadIdx.x / WARP != blockDim.x / WARP - 1) return;
        const int lane = threadIdx.x % WARP;
        const double loss = sum(entries + LOSS, lane, WARP);
        const double squared_w = sum(entries + SQUARED_W, lane, WARP);
        const double squared_gradient = sum(entries + SQUARED_GRADIENT, lane, WARP);
        if (lane == 0) {
            costs[step] = loss / weight_sum + 0.5 * l2 * squared_w;
            norms[step] = sqrt(squared_gradient);
        }
    }
};
