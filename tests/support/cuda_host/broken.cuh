// Kernels with one fault each: what the host check must notice, or it would prove nothing.

extern "C" __global__ void past_shared_memory(double* out)
{
    shared_memory()[threadIdx.x + 1] = 1.0;  // the last thread writes one double too far
    __syncthreads();
    out[threadIdx.x] = shared_memory()[threadIdx.x];
}

extern "C" __global__ void past_the_end(double* out) { out[threadIdx.x + 1] = 1.0; }

// Reads its neighbour's element: right in one order of the threads, not yet written in the other.
extern "C" __global__ void missing_barrier(double* out)
{
    shared_memory()[threadIdx.x] = threadIdx.x;
    out[threadIdx.x] = shared_memory()[(threadIdx.x + 1) % blockDim.x];
}

extern "C" __global__ void diverging_barrier(double* out)
{
    if (threadIdx.x < 32) __syncthreads();
    out[threadIdx.x] = 0.0;
}

extern "C" __global__ void diverging_shuffle(double* out)
{
    double value = 0.0;
    if (threadIdx.x % 32 < 16) value = __shfl_xor_sync(0xffffffffu, value, 1);
    out[threadIdx.x] = value;
}

extern "C" __global__ void copy_without_wait(const double* X, double* out)
{
    start_async_copy<8>(shared_memory() + threadIdx.x, X + threadIdx.x);
    close_copy_group();
    __syncthreads();
    out[threadIdx.x] = shared_memory()[threadIdx.x];
}

extern "C" __global__ void misaligned_copy(const double* X, double* out)
{
    start_async_copy<16>(shared_memory(), X + 1);
    close_copy_group();
    wait_for_copies_but<0>();
    out[threadIdx.x] = shared_memory()[0];
}

extern "C" __global__ void unrounded_factor(double* out)
{
    float c[4] = {};
    const float a[4] = {1.0f, 1.0f + 0x1p-11f, 1.0f, 1.0f};
    const float b[2] = {1.0f, 1.0f};
    multiply_tf32(c, a, b);
    out[threadIdx.x] = c[0];
}

// Two doubles with one load, from an address that is aligned to one.
extern "C" __global__ void misaligned_pair(double* out)
{
    shared_memory()[threadIdx.x] = 1.0;
    shared_memory()[threadIdx.x + blockDim.x] = 1.0;
    __syncthreads();
    out[threadIdx.x] = reinterpret_cast<const Pair*>(shared_memory() + 1)->of[threadIdx.x % 2];
}

// A panel's factors are still being added up where the next panel's dot products take their place.
extern "C" __global__ void overwritten_factors(double* out)
{
    double* const factors = shared_memory();
    double sum = 0.0;
    for (int panel = 0; panel < 2; ++panel) {
        factors[threadIdx.x] = panel + 1.0;
        __syncthreads();
        for (unsigned row = 0; row < blockDim.x; ++row) sum += factors[row];
    }
    factors[blockDim.x + threadIdx.x] = sum;
    out[threadIdx.x] = sum;
}
