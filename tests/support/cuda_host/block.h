// The threads of a block, each a fiber of its own, and where they wait for each other; grid.h runs the
// blocks. Which faults it notices is said in cuda_host.h.

#pragma once

#include <algorithm>
#include <cmath>
#include <csetjmp>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <ucontext.h>
#include <unistd.h>
#include <vector>

#if defined(__has_feature)  // clang's way to ask; GCC defines the macro itself
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

struct Dimensions {
    unsigned x = 1, y = 1, z = 1;
};
inline Dimensions gridDim, blockDim, blockIdx, threadIdx;

namespace host {

[[noreturn]] inline void fail(const char* format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    std::fprintf(stderr, "cuda_host: ");
    std::vfprintf(stderr, format, arguments);
    std::fprintf(stderr, " [block (%u, %u), thread %u]\n", blockIdx.x, blockIdx.y, threadIdx.x);
    std::fflush(stderr);
    _exit(1);
}

enum class State { ready, at_barrier, at_grid_barrier, at_shuffle, done };

constexpr int TENSOR_PRODUCT = -1;

struct Copy {
    void* to;
    const void* from;
    int bytes;
};

struct Fiber {
    static constexpr size_t STACK_BYTES = 64 << 10;
    std::unique_ptr<char[]> stack{new char[STACK_BYTES]};
    ucontext_t context;
    void* fake_stack = nullptr;
    jmp_buf place;
    bool begun = false;
    State state = State::done;
    int line = 0;      // of the barrier or shuffle that it waits at
    long long epoch = 0;  // of the grid's barrier that it waits at
    double value = 0;  // given to a shuffle, and received from it
    int distance = 0;  // of the shuffle; TENSOR_PRODUCT where the warp multiplies fragments
    float* product = nullptr;
    const float* factors[2] = {};
    std::vector<std::vector<Copy>> groups;  // closed ones, oldest first, and the open one last
};

// A block that has begun, with its place in the grid.
struct Block {
    std::vector<Fiber> fibers;
    Dimensions index;
    void* shared = nullptr;
};

inline std::vector<Fiber> fibers;  // of the block that runs
inline ucontext_t scheduler;
inline jmp_buf scheduler_place;
inline void* scheduler_fake_stack = nullptr;
inline const void* scheduler_stack = nullptr;
inline size_t scheduler_stack_bytes = 0;
inline std::function<void()> kernel;
inline double* shared = nullptr;
inline size_t shared_size = 0;
inline bool late_copies = true;
inline bool descending = false;
inline bool cooperative = false;

inline Fiber& current() { return fibers[threadIdx.x]; }

// ---- switching between the stacks of threads and that of the scheduler -----------------------------

inline void run_thread()
{
    kernel();
    Fiber& fiber = current();
    for (const auto& group : fiber.groups)
        if (late_copies && !group.empty()) fail("a thread ended with copies that it never waited for");
    fiber.state = State::done;
}

#if defined(__SANITIZE_ADDRESS__)  // the sanitizer must be told which stack comes next

inline void to_scheduler(Fiber& fiber)
{
    __sanitizer_start_switch_fiber(fiber.state == State::done ? nullptr : &fiber.fake_stack, scheduler_stack,
                                   scheduler_stack_bytes);
    swapcontext(&fiber.context, &scheduler);
    __sanitizer_finish_switch_fiber(fiber.fake_stack, &scheduler_stack, &scheduler_stack_bytes);
}

inline void to_fiber(unsigned thread)
{
    threadIdx.x = thread;
    Fiber& fiber = fibers[thread];
    __sanitizer_start_switch_fiber(&scheduler_fake_stack, fiber.stack.get(), Fiber::STACK_BYTES);
    swapcontext(&scheduler, &fiber.context);
    __sanitizer_finish_switch_fiber(scheduler_fake_stack, nullptr, nullptr);
}

inline void fiber_main()
{
    __sanitizer_finish_switch_fiber(nullptr, &scheduler_stack, &scheduler_stack_bytes);
    run_thread();
    to_scheduler(current());
}

#else  // jumps, which leave the signal mask alone: swapcontext is two calls to the system

inline void to_scheduler(Fiber& fiber)
{
    if (_setjmp(fiber.place) == 0) _longjmp(scheduler_place, 1);
}

inline void to_fiber(unsigned thread)
{
    threadIdx.x = thread;
    Fiber& fiber = fibers[thread];
    if (_setjmp(scheduler_place) != 0) return;
    if (fiber.begun) _longjmp(fiber.place, 1);
    fiber.begun = true;
    setcontext(&fiber.context);
}

inline void fiber_main()
{
    for (;;) {  // for every block that the fiber serves
        run_thread();
        to_scheduler(current());
    }
}

#endif

inline void wait(State state, int line)
{
    Fiber& fiber = current();
    fiber.state = state;
    fiber.line = line;
    to_scheduler(fiber);
}

// ---- what the kernels call -----------------------------------------------------------------------

inline void barrier(int line) { wait(State::at_barrier, line); }

inline void grid_barrier(long long* arrived, long long epoch, int line)
{
    if (!cooperative) fail("a barrier of the grid in a launch that is not cooperative");
    Fiber& fiber = current();
    fiber.epoch = epoch;
    wait(State::at_grid_barrier, line);
    if (threadIdx.x != 0) return;
    // A device would not wait for a block that is said to have come already.
    if (arrived[blockIdx.x] >= epoch) fail("epoch %lld of the grid's barrier, after %lld", epoch, arrived[blockIdx.x]);
    arrived[blockIdx.x] = epoch;
}

inline double shuffle_xor(unsigned mask, double value, int distance, int line)
{
    if (mask != 0xffffffffu) fail("line %d: shuffle with mask %08x, not the whole warp", line, mask);
    current().value = value;
    current().distance = distance;
    wait(State::at_shuffle, line);
    return current().value;
}

// A factor must be rounded already: a device would cut its low bits off in silence.
inline void require_tf32(float value, int line)
{
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    if (bits & 0x1fff && std::isfinite(value)) fail("line %d: %a is no TF32 number", line, value);
}

inline void multiply_tf32(float* c, const float* a, const float* b, int line)
{
    for (int k = 0; k < 4; ++k) require_tf32(a[k], line);
    for (int k = 0; k < 2; ++k) require_tf32(b[k], line);
    Fiber& fiber = current();
    fiber.product = c;
    fiber.factors[0] = a;
    fiber.factors[1] = b;
    fiber.distance = TENSOR_PRODUCT;
    wait(State::at_shuffle, line);
}

inline void perform(const std::vector<Copy>& group)
{
    for (const Copy& copy : group) std::memcpy(copy.to, copy.from, copy.bytes);
}

// ---- one block -------------------------------------------------------------------------------------

inline bool all_are(State state)
{
    return std::all_of(fibers.begin(), fibers.end(), [=](const Fiber& f) { return f.state == state; });
}

// What the lanes of a warp hold of A (16, 8), B (8, 8) and C (16, 8), as PTX lays out mma.m16n8k8 for
// .tf32: C += A B, the products exact and the sum cut off towards zero, as tensor cores do.
inline void multiply_fragments(Fiber* lanes)
{
    float A[16][8], B[8][8];
    for (int lane = 0; lane < 32; ++lane) {
        const int major = lane / 4, minor = lane % 4;
        for (int k = 0; k < 4; ++k) A[major + k % 2 * 8][minor + k / 2 * 4] = lanes[lane].factors[0][k];
        for (int k = 0; k < 2; ++k) B[minor + k * 4][major] = lanes[lane].factors[1][k];
    }
    for (int lane = 0; lane < 32; ++lane)
        for (int k = 0; k < 4; ++k) {
            const int row = lane / 4 + k / 2 * 8, column = lane % 4 * 2 + k % 2;
            double sum = lanes[lane].product[k];
            for (int i = 0; i < 8; ++i) sum += static_cast<double>(A[row][i]) * B[i][column];
            const float nearest = static_cast<float>(sum);
            const bool too_large = std::fabs(static_cast<double>(nearest)) > std::fabs(sum);
            lanes[lane].product[k] = too_large ? std::nextafter(nearest, 0.0f) : nearest;
        }
}

// Exchanges the values of a warp whose lanes all wait at a shuffle; false if they do not.
inline bool shuffle(Fiber* lanes)
{
    if (!std::all_of(lanes, lanes + 32, [](const Fiber& f) { return f.state == State::at_shuffle; })) return false;
    double values[32] = {};
    for (int lane = 0; lane < 32; ++lane) {
        if (lanes[lane].line != lanes[0].line || lanes[lane].distance != lanes[0].distance)
            fail("different shuffles met: lines %d and %d", lanes[0].line, lanes[lane].line);
        if (lanes[0].distance != TENSOR_PRODUCT) values[lane] = lanes[lane ^ lanes[0].distance].value;
    }
    if (lanes[0].distance == TENSOR_PRODUCT) multiply_fragments(lanes);
    for (int lane = 0; lane < 32; ++lane) {
        lanes[lane].value = values[lane];
        lanes[lane].state = State::ready;
    }
    return true;
}

// Runs one warp as far as it gets without the others: to a barrier or its end, through its shuffles.
inline void run_warp(unsigned first)
{
    do {
        for (unsigned lane = 0; lane < 32; ++lane) {
            const unsigned thread = first + (descending ? 31 - lane : lane);
            if (fibers[thread].state == State::ready) to_fiber(thread);
        }
    } while (shuffle(&fibers[first]));
}

inline const char* what_it_does(State state)
{
    switch (state) {
    case State::done: return "a thread has ended";
    case State::at_shuffle: return "a thread waits at a shuffle";
    case State::at_grid_barrier: return "a thread waits at the grid's barrier";
    default: return "a thread waits at the block's barrier";
    }
}

// Opens the barrier of the block at which every thread of it waits.
inline void open_barrier()
{
    for (Fiber& fiber : fibers) {
        threadIdx.x = static_cast<unsigned>(&fiber - fibers.data());
        if (fiber.state != State::at_barrier)
            fail("%s where others wait, line %d: not all of them reach it", what_it_does(fiber.state), fiber.line);
        if (fiber.line != fibers[0].line) fail("barriers at lines %d and %d met", fibers[0].line, fiber.line);
        fiber.state = State::ready;
    }
}

}  // namespace host
