// Runs CUDA kernels on the CPU, one block at a time, every thread a fiber with a
// stack of its own, so that the kernels' sources compile and run unchanged where
// there is no GPU. Built to find mistakes, so it is stricter than a GPU and
// deliberately irregular:
//
// * A thread runs until it meets others: at a barrier, or at an operation of its
//   warp (shuffle, __syncwarp, tensor product). Between two meetings, the lanes
//   of a warp run one after the other, and which warp runs next is drawn by
//   `chance`; a missing barrier so shows as a wrong result.
// * All 32 lanes of a warp have to come to the same meeting, and all warps of a
//   block to the same barrier; anything else ends the program.
// * Dynamic shared memory is NaN at first and has a guard zone behind it. Static
//   __shared__ arrays keep what an earlier block left in them.
// * Device memory (Buffer) is NaN at first and ends at a page that cannot be
//   touched.
//
// Defines EMULATE, with which the kernels leave out their PTX; ptx.h has the
// twins of it. x86-64 only.
#pragma once
#define EMULATE
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <cmath>
#include <algorithm>
#include <functional>
#include <random>
#include <vector>
#include <sys/mman.h>
#include <unistd.h>

// --- The language -----------------------------------------------------------

#define __device__
#define __global__
// Static storage, and allowed behind `extern`. A block runs on one OS thread.
#define __shared__ thread_local
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))

struct alignas(8) int2 { int x, y; };
struct int3 { int x, y, z; };
struct alignas(16) int4 { int x, y, z, w; };
struct alignas(8) uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
inline int2 make_int2(int x, int y) { return {x, y}; }
inline int3 make_int3(int x, int y, int z) { return {x, y, z}; }
inline int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

struct dim3 {
    unsigned x, y, z;
    dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};
inline dim3 threadIdx, blockIdx, blockDim, gridDim;

inline int min(int a, int b) { return a < b ? a : b; }
inline int max(int a, int b) { return a > b ? a : b; }

template <class To, class From> inline To same_bits(From from) {
    static_assert(sizeof(To) == sizeof(From));
    To to;
    memcpy(&to, &from, sizeof to);
    return to;
}
inline float __uint_as_float(unsigned x) { return same_bits<float>(x); }
inline float __int_as_float(int x) { return same_bits<float>(x); }
inline unsigned __float_as_uint(float x) { return same_bits<unsigned>(x); }

inline unsigned __byte_perm(unsigned low, unsigned high, unsigned selector) {
    const uint64_t bytes = uint64_t(high) << 32 | low;
    unsigned result = 0;
    for (int i = 0; i < 4; i++) {
        result |= unsigned(bytes >> 8 * (selector >> 4 * i & 7) & 255) << 8 * i;
    }
    return result;
}

inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
inline float __fmul_rn(float a, float b) { return a * b; }
// As documented: a power of two, and zero for divisors beyond 2^126.
inline float __expf(float x) { return exp2f(x * 1.44269504f); }
inline float __fdividef(float a, float b) { return fabsf(b) > 0x1p126f ? a * 0.0f : a / b; }

// Dynamic shared memory, under the two names that the kernels give it.
inline constexpr int SHARED_BYTES = 227 << 10;  // of a block at most (sm_90)
inline constexpr int GUARD_BYTES = 4096;
alignas(128) thread_local unsigned char shared[SHARED_BYTES + GUARD_BYTES];
alignas(128) thread_local float partial[(SHARED_BYTES + GUARD_BYTES) / 4];

// --- Threads ----------------------------------------------------------------

// Saves the running fiber's registers and stack in *save and goes on with `to`.
extern "C" void emulator_switch(void** save, void* to);
asm(R"(
.text
.globl emulator_switch
emulator_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
)");

namespace emu {

inline constexpr int MAX_THREADS = 1024;
inline constexpr size_t STACK_BYTES = 128 << 10;

inline std::mt19937 chance(1);

enum State { READY, AT_MEETING, AT_BARRIER, DONE };

// An asynchronous copy to shared memory that has not happened yet.
struct Copy {
    void* to;
    const void* from;  // null: zeros
    int bytes, group;
};

struct Lane {
    void* stack;
    State state;
    void (*meeting)(Lane* warp);  // what the warp does once all lanes are here
    unsigned in[6], out[4];       // what a lane brings and takes away
    float sum[4];                 // both
    std::vector<Copy> copies;
    int closed_groups;
};

inline Lane lanes[MAX_THREADS];
inline int now;  // the thread that runs
inline void* scheduler;
inline std::function<void()> body;
inline int shared_bytes;

[[noreturn]] inline void fail(const char* what) {
    fflush(stdout);
    fprintf(stderr, "emulator: %s (block %u %u, thread %d)\n", what, blockIdx.x, blockIdx.y, now);
    exit(1);
}

inline void pause(State state) {
    lanes[now].state = state;
    emulator_switch(&lanes[now].stack, scheduler);
}

// Waits for the other lanes of the warp; then `action` is done once for all.
inline void meet(void (*action)(Lane* warp)) {
    lanes[now].meeting = action;
    pause(AT_MEETING);
}

inline void fiber() {
    body();
    if (!lanes[now].copies.empty()) fail("a thread ends with copies under way");
    pause(DONE);
}

inline void start_threads(int count) {
    static unsigned char* const stacks = (unsigned char*)mmap(
        nullptr, STACK_BYTES * MAX_THREADS, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    for (int i = 0; i < count; i++) {
        // What emulator_switch pops: six registers, then the address to go to.
        void** top = (void**)(stacks + STACK_BYTES * (i + 1)) - 2;
        *top = (void*)fiber;
        lanes[i].stack = top - 6;
        lanes[i].state = READY;
        lanes[i].copies.clear();
        lanes[i].closed_groups = 0;
    }
}

// Lets every lane of a warp run to its next stop, which must be the same one.
inline State advance(int warp) {
    Lane* own = lanes + 32 * warp;
    const bool descending = chance() % 2;
    for (int i = 0; i < 32; i++) {
        now = 32 * warp + (descending ? 31 - i : i);
        threadIdx.x = now;
        emulator_switch(&scheduler, lanes[now].stack);
    }
    for (int i = 1; i < 32; i++) {
        if (own[i].state != own[0].state) fail("the lanes of a warp part");
        if (own[0].state == AT_MEETING && own[i].meeting != own[0].meeting) {
            fail("the lanes of a warp meet in different operations");
        }
    }
    const State state = own[0].state;
    if (state == AT_MEETING) own[0].meeting(own);
    return state;
}

inline void run_block(int warps) {
    memset(shared, 0xff, shared_bytes + GUARD_BYTES);
    memset(partial, 0xff, shared_bytes + GUARD_BYTES);
    start_threads(32 * warps);
    std::vector<State> states(warps, READY);
    std::vector<int> ready;
    for (;;) {
        ready.clear();
        for (int i = 0; i < warps; i++) {
            if (states[i] == READY) ready.push_back(i);
        }
        if (!ready.empty()) {
            const int warp = ready[chance() % ready.size()];
            for (int left = 1 + chance() % 200; left > 0 && states[warp] == READY; left--) {
                const State state = advance(warp);
                if (state != AT_MEETING) states[warp] = state;
            }
            continue;
        }
        const int done = std::count(states.begin(), states.end(), DONE);
        if (done == warps) break;
        if (done > 0) fail("some warps ended, others wait at a barrier");
        std::fill(states.begin(), states.end(), READY);
    }
    for (int i = shared_bytes; i < shared_bytes + GUARD_BYTES; i++) {
        if (shared[i] != 0xff || ((unsigned char*)partial)[i] != 0xff) {
            fail("a write behind the shared memory");
        }
    }
}

template <class... Parameters, class... Arguments>
void launch(dim3 grid, int threads, int bytes, void (*kernel)(Parameters...),
            const Arguments&... arguments) {
    if (threads <= 0 || threads > MAX_THREADS || threads % 32) fail("no such block size");
    if (bytes < 0 || bytes > SHARED_BYTES) fail("too much shared memory");
    body = [&] { kernel(arguments...); };
    shared_bytes = bytes;
    gridDim = grid;
    blockDim = dim3(threads);
    for (unsigned y = 0; y < grid.y; y++) {
        for (unsigned x = 0; x < grid.x; x++) {
            blockIdx = dim3(x, y);
            run_block(threads / 32);
        }
    }
}

// --- Device memory ----------------------------------------------------------

inline void catch_stray_accesses() {
    signal(SIGSEGV, [](int) {
        static const char text[] = "emulator: an access outside of all buffers\n";
        if (write(2, text, sizeof text - 1)) {}
        _exit(1);
    });
}

template <class T> class Buffer {
    static constexpr size_t PAGE = 4096;
    unsigned char* mapping;
    size_t mapped, count;
    T* first;

  public:
    explicit Buffer(size_t count) : count(count) {
        const size_t used = (count * sizeof(T) + 15) / 16 * 16;
        mapped = (used + PAGE - 1) / PAGE * PAGE + PAGE;
        mapping = (unsigned char*)mmap(nullptr, mapped + PAGE, PROT_READ | PROT_WRITE,
                                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (mapping == MAP_FAILED) fail("no memory for a buffer");
        mprotect(mapping + mapped, PAGE, PROT_NONE);
        memset(mapping, 0xff, mapped);
        first = (T*)(mapping + mapped - used);
    }
    Buffer(const std::vector<T>& from) : Buffer(from.size()) {
        std::copy(from.begin(), from.end(), first);
    }
    Buffer(const Buffer& from) : Buffer(from.count) {
        std::copy(from.first, from.first + count, first);
    }
    Buffer& operator=(const Buffer&) = delete;
    ~Buffer() {
        for (unsigned char* p = mapping; p < mapping + mapped; p++) {
            const bool inside = p >= (unsigned char*)first && p < (unsigned char*)(first + count);
            if (!inside && *p != 0xff) fail("a write next to a buffer");
        }
        munmap(mapping, mapped + PAGE);
    }
    T& operator[](size_t i) const {
        if (i >= count) fail("the test leaves a buffer");
        return first[i];
    }
    operator T*() const { return first; }
    size_t size() const { return count; }
    bool operator==(const Buffer& other) const {
        return count == other.count && memcmp(first, other.first, count * sizeof(T)) == 0;
    }
};

// --- Meetings ---------------------------------------------------------------

inline unsigned shuffle(unsigned mask, unsigned value, int from) {
    if (mask != 0xffffffffu) fail("only whole warps meet");
    Lane& own = lanes[now];
    own.in[0] = value;
    own.in[1] = from & 31;
    meet([](Lane* warp) {
        for (int i = 0; i < 32; i++) warp[i].out[0] = warp[warp[i].in[1]].in[0];
    });
    return own.out[0];
}

// Rounded to nearest even; NaN is 0x7fff, as from cvt.rn.
inline unsigned short round_to_bf16(float x) {
    const unsigned bits = __float_as_uint(x);
    if ((bits & 0x7fffffff) > 0x7f800000) return 0x7fff;
    return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

}  // namespace emu

inline void __syncthreads() { emu::pause(emu::AT_BARRIER); }
inline void __syncwarp() { emu::meet([](emu::Lane*) {}); }

template <class T> inline T __shfl_sync(unsigned mask, T value, int from) {
    return same_bits<T>(emu::shuffle(mask, same_bits<unsigned>(value), from));
}
template <class T> inline T __shfl_xor_sync(unsigned mask, T value, int bits) {
    return __shfl_sync(mask, value, emu::now % 32 ^ bits);
}

inline unsigned __ballot_sync(unsigned mask, bool value) {
    if (mask != 0xffffffffu) emu::fail("only whole warps meet");
    emu::Lane& own = emu::lanes[emu::now];
    own.in[0] = value;
    emu::meet([](emu::Lane* warp) {
        unsigned set = 0;
        for (int i = 0; i < 32; i++) set |= warp[i].in[0] << i;
        for (int i = 0; i < 32; i++) warp[i].out[0] = set;
    });
    return own.out[0];
}
inline int __popc(unsigned x) { return __builtin_popcount(x); }
// Threads run one after the other between their meetings.
inline int atomicAdd(int* at, int value) {
    const int before = *at;
    *at += value;
    return before;
}

// The twin of the only PTX in common.cuh.
inline unsigned bf16_pair(float low, float high) {
    return emu::round_to_bf16(low) | (unsigned)emu::round_to_bf16(high) << 16;
}
