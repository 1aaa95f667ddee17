// Kernels of cooperative launches with one fault each, as in broken.cuh.

// Reads what another block writes: right in one order of the blocks.
extern "C" __global__ void missing_grid_barrier(double* out, long long*)
{
    double* const mine = out + blockIdx.x * blockDim.x;
    mine[threadIdx.x] = 1.0 + blockIdx.x;
    __syncthreads();
    if (blockIdx.x > 0) mine[threadIdx.x] = read_published(out + threadIdx.x);
}

extern "C" __global__ void diverging_grid_barrier(double* out, long long* arrived)
{
    if (blockIdx.x == 0) grid_barrier(arrived, 1);
    out[blockIdx.x * blockDim.x + threadIdx.x] = 0.0;
}

// Some threads of a block are at the grid's barrier, the others at the block's.
extern "C" __global__ void torn_grid_barrier(double* out, long long* arrived)
{
    if (threadIdx.x < 32)
        grid_barrier(arrived, 1);
    else
        __syncthreads();
    out[blockIdx.x * blockDim.x + threadIdx.x] = 0.0;
}

// A device lets every block through the second barrier at once: they are all said to have come.
extern "C" __global__ void repeated_epoch(double* out, long long* arrived)
{
    grid_barrier(arrived, 1);
    grid_barrier(arrived, 1);
    out[blockIdx.x * blockDim.x + threadIdx.x] = 0.0;
}
