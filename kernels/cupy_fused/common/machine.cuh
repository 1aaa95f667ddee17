// What the kernels ask of the machine. The loader puts this text in front of every program's;
// tests/support/cuda_host/cuda_host.h answers the same questions on the host, where the kernels are
// checked without a GPU. There is nothing else in the kernels that differs between the two.

typedef long long int64;

// The block's dynamic shared memory, 16-byte aligned; the launch gives its size.
__device__ __forceinline__ double* shared_memory()
{
    extern __shared__ uint4 bytes_of_block[];
    return reinterpret_cast<double*>(bytes_of_block);
}

// States how many bytes of it the kernel lays out. The host check holds that against the launch; on a
// device it costs nothing.
__device__ __forceinline__ void expect_shared_bytes(int) {}

// Copies of 4, 8 or 16 aligned bytes from device to shared memory that run beside the arithmetic:
// start some, close the group, and wait until all but the newest groups have landed. Each thread
// waits for its own copies, so a __syncthreads() must follow before another thread reads them.
// From compute capability 8.0 this is the asynchronous copy unit, and a whole tile is in flight
// without passing through registers; before that it is an ordinary load and store.
template <int BYTES>
__device__ __forceinline__ void start_async_copy(void* to, const void* from)
{
    static_assert(BYTES == 4 || BYTES == 8 || BYTES == 16, "the copy unit knows these sizes only");
#if __CUDA_ARCH__ >= 800
    const unsigned address = static_cast<unsigned>(__cvta_generic_to_shared(to));
    if constexpr (BYTES == 16)  // .cg leaves the first-level cache to W: X is used once
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(address), "l"(from) : "memory");
    else
        asm volatile("cp.async.ca.shared.global [%0], [%1], %2;" ::"r"(address), "l"(from), "n"(BYTES) : "memory");
#else
    if constexpr (BYTES == 16)
        *static_cast<uint4*>(to) = *static_cast<const uint4*>(from);
    else if constexpr (BYTES == 8)
        *static_cast<double*>(to) = *static_cast<const double*>(from);
    else
        *static_cast<float*>(to) = *static_cast<const float*>(from);
#endif
}

__device__ __forceinline__ void close_copy_group()
{
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

template <int NEWEST>
__device__ __forceinline__ void wait_for_copies_but()
{
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.wait_group %0;" ::"n"(NEWEST) : "memory");
#endif
}

// ---- a cooperative grid: all of its blocks are on the device at once ---------------------------------

// Every block waits until all have come; what they wrote before it, all of them read after it, through
// read_published. arrived[blocks] is zero before the launch, and `epoch` is larger with every barrier.
//
// Each block says in a place of its own that it has come, and looks for itself at everybody's: no
// atomics, and one crossing of the chip where a counter that somebody watches takes two.
__device__ __forceinline__ void grid_barrier(int64* arrived, int64 epoch)
{
    __syncthreads();
    if (gridDim.x == 1) return;
    if (threadIdx.x == 0) {
        asm volatile("fence.acq_rel.gpu;" ::: "memory");  // after the barrier: for all that the block has written
        asm volatile("st.relaxed.gpu.global.s64 [%0], %1;" ::"l"(arrived + blockIdx.x), "l"(epoch) : "memory");
    }
    for (unsigned block = threadIdx.x; block < gridDim.x; block += blockDim.x) {
        int64 seen;
        do {
            asm volatile("ld.relaxed.gpu.global.s64 %0, [%1];" : "=l"(seen) : "l"(arrived + block) : "memory");
        } while (seen < epoch);
    }
    if (threadIdx.x < gridDim.x) asm volatile("fence.acq_rel.gpu;" ::: "memory");
    __syncthreads();
}

// What another block wrote before the last grid_barrier: read where all blocks see the same.
__device__ __forceinline__ double read_published(const double* from)
{
    double value;
    asm volatile("ld.relaxed.gpu.global.f64 %0, [%1];" : "=d"(value) : "l"(from) : "memory");
    return value;
}

// ---- tensor cores, from compute capability 8.0 -------------------------------------------------------

// To the nearest TF32 number, ties away from zero: 10 bits after the leading one.
__device__ __forceinline__ float round_to_tf32(float value)
{
#if __CUDA_ARCH__ >= 800
    unsigned bits;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(value));
    return __uint_as_float(bits);
#else
    return value;
#endif
}

// C += A B by a whole warp, with A (16, 8), B (8, 8) of TF32 numbers and C (16, 8) of float32.
// Lane l = 4 major + minor holds a = A[major, minor], A[major + 8, minor], A[major, minor + 4],
// A[major + 8, minor + 4]; b = B[minor, major], B[minor + 4, major]; and c = C[major, 2 minor],
// C[major, 2 minor + 1], C[major + 8, 2 minor], C[major + 8, 2 minor + 1].
__device__ __forceinline__ void multiply_tf32(float (&c)[4], const float (&a)[4], const float (&b)[2])
{
#if __CUDA_ARCH__ >= 800
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
                 "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(__float_as_uint(a[0])), "r"(__float_as_uint(a[1])), "r"(__float_as_uint(a[2])),
                   "r"(__float_as_uint(a[3])), "r"(__float_as_uint(b[0])), "r"(__float_as_uint(b[1])));
#else
    __trap();  // the plan asks for them only where they are
#endif
}
