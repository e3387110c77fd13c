// The forest attention kernels for one HEAD_DIM, GROUP and SIGHT (-D options)
// against an f64 reference. An error is relative to the value plus the root mean square
// of all values of its output; results and gradients are bf16 and come from
// bf16 probabilities, hence the limits.
#include "emulator.h"
#include "ptx.h"
#include "common.cuh"
#include "attention.cuh"
#include "attention_rows.cuh"
#include "attention_sight.cuh"
#include "attention_sight_keys.cuh"
#include "attention_forward.cu"
#include "attention_backward_queries.cu"
#include "attention_backward_keys.cu"
#include "attention_backward_reduce.cu"
#include "attention_decode.cu"
#include "check.h"
#include "forest.h"

// Largest errors may be twelve times the root mean square error's limit.
struct Errors {
    Output largest, mean;
    Errors(const std::string& name, double limit)
        : largest{name, 12 * limit}, mean{"rms", limit} {}

    void compare(const Values& want, const Values& got) {
        if (want.empty()) return;
        double squares = 0, error_squares = 0;
        for (double w : want) squares += w * w;
        const double size = std::sqrt(squares / want.size()) + 1e-4;
        for (size_t i = 0; i < want.size(); i++) {
            const double error = std::fabs(got[i] - want[i]);
            error_squares += error * error;
            largest.add(error / (size + std::fabs(want[i])));
        }
        mean.add(std::sqrt(error_squares / want.size()) / size);
    }
    template <class T> void compare(const Values& want, const Buffer<T>& got) {
        Values values(want.size());
        for (size_t i = 0; i < want.size(); i++) values[i] = value(got[i]);
        compare(want, values);
    }
};

Errors out_errors("out", 4e-3), log_sum_errors("log_sums", 1e-6), decode_errors("out", 4e-3);
Errors delta_errors("deltas", 1e-2), dq_errors("dq", 1e-2);
Errors direct_keys("keys", 1e-2), direct_values("values", 1e-2);
Errors reduced_keys("keys", 1e-2), reduced_values("values", 1e-2);
Output strays{"gaps", 0};  // d_kv between and beside the gradients

// Rotary angles, one row for each row of activations.
struct Angles {
    Buffer<float> cos, sin;

    explicit Angles(int rows) : cos((size_t)rows * HEAD_DIM / 2), sin(cos.size()) {
        for (size_t i = 0; i < cos.size(); i++) {
            const double angle = 3 * normal();
            cos[i] = float(std::cos(angle));
            sin[i] = float(std::sin(angle));
        }
    }
    // Turns one head's gradient back by the angles of a row.
    void turn_back(double* x, int row) const {
        for (int i = 0; i < HEAD_DIM / 2; i++) {
            const size_t at = (size_t)row * HEAD_DIM / 2 + i;
            const double c = cos[at], s = sin[at], x1 = x[i], x2 = x[i + HEAD_DIM / 2];
            x[i] = x1 * c + x2 * s;
            x[i + HEAD_DIM / 2] = x2 * c - x1 * s;
        }
    }
};

void test_generation(const Forest& forest, bool with_sinks) {
    const Inputs inputs(forest);
    const Reference want(forest, inputs, with_sinks);
    Buffer<bf16> out(inputs.q.size());
    launch(dim3(forest.tiles.size(), forest.kv_heads), DECODE_THREADS, DECODE_BYTES,
           attention_decode, out, inputs.q, inputs.keys, inputs.values, Buffer<int4>(forest.tiles),
           Buffer<int2>(forest.ranges),
           forest.kv_heads WITH_SIGHT(, with_sinks ? (float*)inputs.sinks : nullptr));
    decode_errors.compare(want.out, out);
}

// Gradients of keys and values, by the kernel for items and the one that adds
// their partial sums.
void test_key_gradients(const Forest& forest, const Inputs& inputs, const Reference& reference,
                        const Buffer<float>& log_sums, const Buffer<float>& deltas, int split) {
    const int kv_heads = forest.kv_heads, width = kv_heads * HEAD_DIM;
    // Rows may be wider than the gradients, with a gap between keys and values.
    const int values_offset = width + 8, row_stride = 2 * width + 24;
    const KeyWork work(forest, split);
    const Angles angles(forest.store_rows);
    const Buffer<int> hidden(forest.hidden);
    const Buffer<float> partial_keys((size_t)work.slot_count * width * BLOCK_KEYS);
    const Buffer<float> partial_values(partial_keys.size());
    const Buffer<bf16> d_kv((size_t)forest.store_rows * row_stride);
    launch(dim3(work.items.size(), kv_heads), THREADS, BACKWARD_KEYS_BYTES, attention_backward_keys,
           d_kv, partial_keys, partial_values, inputs.q, inputs.keys, inputs.values, inputs.d_out,
           log_sums, deltas, Buffer<int4>(forest.tiles), Buffer<int>(forest.visible),
           Buffer<int4>(work.items), Buffer<Entry>(work.entries), Buffer<int>(work.slots),
           angles.cos, angles.sin, forest.queries(), kv_heads, row_stride,
           values_offset WITH_SIGHT(, forest.windowed ? (int*)hidden : nullptr));
    launch(dim3(work.blocks.size(), kv_heads), REDUCE_THREADS, 0, attention_backward_reduce, d_kv,
           partial_keys, partial_values, angles.cos, angles.sin, Buffer<int4>(work.blocks),
           kv_heads, row_stride, values_offset);

    std::vector<bool> used(d_kv.size());
    Values want[4], got[4];  // directly written keys and values, then reduced ones
    for (const Node& node : forest.nodes) {
        for (int i = 0; i < node.length; i++) {
            const int row = node.store + i, packed = node.packed + i;
            Values keys(&reference.d_keys[(size_t)packed * width],
                        &reference.d_keys[(size_t)packed * width] + width);
            for (int h = 0; h < kv_heads; h++) angles.turn_back(&keys[h * HEAD_DIM], row);
            const int part = work.reduced[packed] ? 2 : 0;
            for (int j = 0; j < width; j++) {
                const size_t key = (size_t)row * row_stride + j, other = key + values_offset;
                want[part].push_back(keys[j]);
                got[part].push_back(value(d_kv[key]));
                want[part + 1].push_back(reference.d_values[(size_t)packed * width + j]);
                got[part + 1].push_back(value(d_kv[other]));
                used[key] = used[other] = true;
            }
        }
    }
    direct_keys.compare(want[0], got[0]);
    direct_values.compare(want[1], got[1]);
    reduced_keys.compare(want[2], got[2]);
    reduced_values.compare(want[3], got[3]);
    for (size_t i = 0; i < used.size(); i++) strays.same(used[i] || d_kv[i] == 0xffff);
}

void test_training(const Forest& forest, bool with_sinks, int split) {
    const Inputs inputs(forest);
    Reference want(forest, inputs, with_sinks);
    const Buffer<int4> tiles(forest.tiles);
    const Buffer<int2> ranges(forest.ranges);
    const Buffer<int> visible(forest.visible), all_hidden(forest.hidden);
    int* hidden = forest.windowed ? (int*)all_hidden : nullptr;
    float* sinks = with_sinks ? (float*)inputs.sinks : nullptr;
    const int queries = forest.queries(), kv_heads = forest.kv_heads;
    const int pinned = forest.window.pinned;
    const dim3 grid(forest.tiles.size(), kv_heads);

    Buffer<bf16> out(inputs.q.size()), dq(inputs.q.size());
    Buffer<float> log_sums(want.log_sums.size()), deltas(want.log_sums.size());
    launch(grid, THREADS, FORWARD_BYTES, attention_forward, out, log_sums, inputs.q, inputs.keys,
           inputs.values, tiles, ranges, visible, queries,
           kv_heads WITH_SIGHT(, hidden, pinned, sinks));
    out_errors.compare(want.out, out);
    log_sum_errors.compare(want.log_sums, log_sums);

    const Angles angles(queries);
    launch(grid, THREADS, BACKWARD_QUERIES_BYTES, attention_backward_queries, dq, deltas, inputs.q,
           inputs.keys, inputs.values, out, inputs.d_out, log_sums, tiles, ranges, visible,
           angles.cos, angles.sin, queries, kv_heads WITH_SIGHT(, hidden, pinned));
    for (int row = 0; row < queries * forest.heads(); row++) {
        angles.turn_back(&want.dq[(size_t)row * HEAD_DIM], row / forest.heads());
    }
    delta_errors.compare(want.deltas, deltas);
    dq_errors.compare(want.dq, dq);
    test_key_gradients(forest, inputs, want, log_sums, deltas, split);
}

int main(int argc, char** argv) {
    emu::catch_stray_accesses();
    emu::chance.seed(argc > 1 ? atoi(argv[1]) : 1);
    const Select all = [](int, int length) {
        std::vector<int> positions(length);
        for (int i = 0; i < length; i++) positions[i] = i;
        return positions;
    };
    const Select some = [](int node, int length) {
        std::vector<int> positions;
        for (int i = 0; i < length && node > 0; i++) {
            if (random_bits() % 3 == 0) positions.push_back(i);
        }
        return positions;
    };
    const Select last = [](int node, int length) {
        return node > 0 ? std::vector<int>{length - 1} : std::vector<int>{};
    };
    struct Case {
        std::vector<Node> nodes;
        int kv_heads;
        Select select;
        int split;
        Window window = {};
        bool with_sinks = false;
    };
    const Case cases[] = {
        {{{-1, 100}, {0, 30}, {1, 65}, {1, 64}, {1, 63}, {0, 1}, {0, 131}}, 2, all, 2},
        // Many short nodes in one block of keys.
        {{{-1, 1}, {0, 1}, {1, 7}, {2, 63}, {3, 1}, {4, 3}, {5, 64}, {6, 2}, {7, 33}, {8, 17}},
         1, all, 3},
        {{{-1, 17}, {0, 9}, {0, 150}, {2, 5}, {2, 70}}, 2, some, MAX_ENTRIES},
        {{{-1, 1}}, 3, all, MAX_ENTRIES},
        {{{-1, 200}, {0, 70}}, 2, all, 3},
        {{{-1, 300}}, 1, all, 1},
        // Sinks; windows, with and without a prefix that stays visible.
        {{{-1, 40}, {0, 90}, {0, 1}}, 2, all, 2, {}, true},
        {{{-1, 300}, {0, 30}, {1, 129}}, 1, all, 2, {128, 0}, true},
        {{{-1, 20}, {0, 130}, {1, 65}, {1, 3}, {0, 1}}, 2, all, 3, {33, 20}, true},
        {{{-1, 150}, {0, 70}}, 1, all, 2, {20, 70}},
        // A warp with a single key in its first block (where GROUP is 1).
        {{{-1, 200}}, 1, all, 2, {34, 0}},
        {{{-1, 200}, {0, 100}}, 2, some, 2, {50, 11}, true},
        {{{-1, 7}, {0, 9}, {1, 63}, {2, 1}, {3, 40}}, 1, all, MAX_ENTRIES, {1, 3}, true},
    };
    for (const Case& c : cases) {
        if (SIGHT == 0 && (c.window.size < c.window.NONE || c.with_sinks)) continue;
        const Forest forest(c.nodes, c.kv_heads, c.select, BLOCK_M / GROUP, c.window);
        test_training(forest, c.with_sinks, c.split);
    }
    const std::vector<Node> answers = {{-1, 100}, {0, 30}, {1, 65}, {1, 1},
                                       {0, 5},    {-1, 1}, {5, 3},  {1, 400}};
    test_generation(Forest(answers, 2, last, 1), false);
    if (SIGHT == 1) test_generation(Forest(answers, 2, last, 1, {128, 10}), true);

    const std::string pair = " " + std::to_string(HEAD_DIM) + " " + std::to_string(GROUP) +
                             (SIGHT ? " with windows and sinks" : "");
    report("attention_forward" + pair, {out_errors.largest, out_errors.mean,
                                        log_sum_errors.largest, log_sum_errors.mean});
    report("attention_backward_queries" + pair,
           {delta_errors.largest, delta_errors.mean, dq_errors.largest, dq_errors.mean});
    report("attention_backward_keys" + pair, {direct_keys.largest, direct_keys.mean,
                                              direct_values.largest, direct_values.mean, strays});
    report("attention_backward_reduce" + pair, {reduced_keys.largest, reduced_keys.mean,
                                                reduced_values.largest, reduced_values.mean});
    report("attention_decode" + pair, {decode_errors.largest, decode_errors.mean});
    return failures > 0;
}
