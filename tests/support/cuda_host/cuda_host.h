// Plays the part of CUDA that the kernels use, on the host: one block after the other (all in turns where
// the launch is cooperative), each thread of a block a fiber of its own, so that barriers and shuffles really meet. It stands in for
// kernels/cupy_fused/common/machine.cuh and the CUDA compiler's own words, and is stricter than a device:
//
//  - shared memory is a fresh allocation of exactly the bytes of the launch, full of NaN, so that the
//    address sanitizer sees an overrun and an answer shows an element that was never written;
//  - a barrier must be reached by every thread of the block, at the same line; a shuffle by every lane
//    of the warp, at the same line and distance, with the whole-warp mask; a barrier of the grid by
//    every thread of every block of a cooperative launch, in the same epoch;
//  - asynchronous copies land as late as they may (at the wait) or as early (at the start), and
//    warps run in ascending or descending order, each as far as it gets alone, and so do the blocks of
//    a cooperative launch: an answer that depends on any of it is wrong.

#pragma once

#include "grid.h"

#define __global__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __syncthreads() host::barrier(__LINE__)
#define __shfl_xor_sync(mask, value, distance) host::shuffle_xor(mask, value, distance, __LINE__)

typedef long long int64;
using std::min;

// ---- the machine, as kernels/cupy_fused/common/machine.cuh declares it --------------------------------------

inline double* shared_memory() { return host::shared; }

inline void expect_shared_bytes(int bytes)
{
    if (static_cast<size_t>(bytes) != host::shared_size)
        host::fail("the kernel lays out %d bytes of shared memory, the launch gives %zu", bytes, host::shared_size);
}

template <int BYTES>
void start_async_copy(void* to, const void* from)
{
    static_assert(BYTES == 4 || BYTES == 8 || BYTES == 16, "the copy unit knows these sizes only");
    if (reinterpret_cast<uintptr_t>(to) % BYTES || reinterpret_cast<uintptr_t>(from) % BYTES)
        host::fail("a copy of %d bytes that is not aligned to them", BYTES);
    const host::Copy copy{to, from, BYTES};
    if (host::late_copies)
        host::current().groups.back().push_back(copy);
    else
        host::perform({copy});
}

inline void close_copy_group() { host::current().groups.emplace_back(); }

template <int NEWEST>
void wait_for_copies_but()
{
    auto& groups = host::current().groups;  // the last one is open and is not waited for
    while (groups.size() > NEWEST + 1) {
        host::perform(groups.front());
        groups.erase(groups.begin());
    }
}

// ---- a cooperative grid ------------------------------------------------------------------------------

#define grid_barrier(arrived, epoch) host::grid_barrier(arrived, epoch, __LINE__)

inline double read_published(const double* from) { return *from; }

// ---- tensor cores ----------------------------------------------------------------------------------

#define multiply_tf32(c, a, b) host::multiply_tf32(c, a, b, __LINE__)

inline float round_to_tf32(float value)
{
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    if (std::isfinite(value)) bits = (bits + 0x1000) & ~0x1fffu;  // half a unit up, in magnitude
    std::memcpy(&value, &bits, sizeof bits);
    return value;
}
