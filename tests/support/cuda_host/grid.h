// Runs the blocks of a grid one after the other, or all of them in turns where the launch is cooperative.

#pragma once

#include "block.h"

namespace host {

inline void begin(Block& block, Dimensions index, size_t shared_bytes)
{
    block.index = index;
    if (shared_bytes && posix_memalign(&block.shared, 16, shared_bytes)) fail("no memory");
    if (shared_bytes) std::memset(block.shared, 0xff, shared_bytes);  // NaN as float and as double
    for (Fiber& fiber : block.fibers) {
        if (!fiber.begun) {
            getcontext(&fiber.context);
            fiber.context.uc_stack.ss_sp = fiber.stack.get();
            fiber.context.uc_stack.ss_size = Fiber::STACK_BYTES;
            fiber.context.uc_link = nullptr;
            makecontext(&fiber.context, fiber_main, 0);
        }
        fiber.state = State::ready;
        fiber.groups.resize(1);
        fiber.groups[0].clear();
    }
}

// Runs a block to its end, or to a barrier of the grid at which all its threads wait; true at its end.
inline bool run_block(Block& block)
{
    fibers.swap(block.fibers);
    blockIdx = block.index;
    shared = static_cast<double*>(block.shared);
    const unsigned threads = static_cast<unsigned>(fibers.size());
    bool stopped = false;
    while (!stopped) {
        for (unsigned warp = 0; warp < threads; warp += 32) run_warp(descending ? threads - 32 - warp : warp);
        stopped = all_are(State::done) || all_are(State::at_grid_barrier);
        if (!stopped) open_barrier();
    }
    const bool done = fibers[0].state == State::done;
    if (done) {
        std::free(block.shared);
        block.shared = nullptr;
    }
    shared = nullptr;
    fibers.swap(block.fibers);
    return done;
}

// ---- a grid ----------------------------------------------------------------------------------------

// Opens the barrier of the grid at which every thread of every block waits.
inline void open_grid_barrier(std::vector<Block>& blocks, unsigned count)
{
    const long long epoch = blocks[0].fibers[0].epoch;
    for (unsigned block = 0; block < count; ++block)
        for (Fiber& fiber : blocks[block].fibers) {
            blockIdx = blocks[block].index;
            threadIdx.x = static_cast<unsigned>(&fiber - blocks[block].fibers.data());
            if (fiber.epoch != epoch) fail("epochs %lld and %lld of the grid's barrier met", epoch, fiber.epoch);
            fiber.state = State::ready;
        }
}

// A cooperative launch: every block runs as far as it gets without the others, in turns.
inline void run_together(std::vector<Block>& blocks, unsigned count, size_t shared_bytes)
{
    for (unsigned x = 0; x < count; ++x) begin(blocks[x], {x, 0, 0}, shared_bytes);
    for (unsigned ended = 0; ended == 0;) {
        for (unsigned turn = 0; turn < count; ++turn)
            ended += run_block(blocks[descending ? count - 1 - turn : turn]);
        if (ended == 0)
            open_grid_barrier(blocks, count);
        else if (ended < count)
            fail("a block has ended where others wait at the grid's barrier: not all of them reach it");
    }
}

inline void run_grid(Dimensions grid, unsigned threads, size_t shared_bytes, std::function<void()> body)
{
    if (threads == 0 || threads > 1024 || threads % 32) fail("a block of %u threads", threads);
    if (cooperative && grid.y != 1) fail("a cooperative grid of two dimensions");
    gridDim = grid;
    blockDim = {threads, 1, 1};
    kernel = std::move(body);
    shared_size = shared_bytes;
    static std::map<unsigned, std::vector<Block>> kept;  // of earlier launches: stacks take time to get
    std::vector<Block>& blocks = kept[threads];
    blocks.resize(std::max<size_t>(blocks.size(), cooperative ? grid.x : 1));
    for (Block& block : blocks) block.fibers.resize(threads);
    if (cooperative) {
        run_together(blocks, grid.x, shared_bytes);
        return;
    }
    for (unsigned y = 0; y < grid.y; ++y)
        for (unsigned x = 0; x < grid.x; ++x) {
            begin(blocks[0], {x, y, 0}, shared_bytes);
            if (!run_block(blocks[0])) fail("the end was not reached");
        }
}

}  // namespace host
