// The kernels that work row by row (norm.cu, head_norm.cu, rotary.cu, swiglu.cu, rows.cu)
// against f64 references. Errors are in units of the last place.
#include "emulator.h"
#include "common.cuh"
#include "check.h"
namespace norm {
#include "norm.cu"
}
namespace head_norm {
#include "head_norm.cu"
}
namespace rotary {
#include "rotary.cu"
}
namespace gate {
#include "swiglu.cu"
}
namespace moves {
#include "rows.cu"
}

// Rounding a value that is right to a few f32 units.
constexpr double ROUNDED = 0.502;

int round_up_32(int x) { return (x + 31) / 32 * 32; }
int row_threads(int d) { return std::min(256, round_up_32(d / 8)); }

void test_norm() {
    Output y_error{"y", ROUNDED}, copy_error{"copy", 0};
    Output dx_error{"dx", 16}, dx_copy_error{"dx_copy", 0};
    bf16* const none = nullptr;
    const float eps = 1e-5f;
    for (int d : {8, 16, 264, 576, 1000, 2048, 8192, 8200, 16384}) {
        for (int rows : {1, 3}) {
            const int threads = round_up_32((d + 31) / 32);
            const auto x = random_f32(rows * d, 3), w = random_f32(d);
            Buffer<bf16> y(rows * d), y_alone(rows * d), copy(rows * d);
            launch(rows, threads, 0, norm::rms_norm, y, copy, x, w, eps, rows, d);
            launch(rows, threads, 0, norm::rms_norm, y_alone, none, x, w, eps, rows, d);
            y_error.same(y == y_alone);

            const auto dx_before = random_f32(rows * d);
            const auto dy = random_bf16(rows * d);
            Buffer<float> dx(dx_before);
            Buffer<bf16> dx_copy(rows * d);
            launch(rows, threads, 0, norm::rms_norm_backward_add, dx, dx_copy, dy, copy, w, eps,
                   rows, d);
            for (int r = 0; r < rows; r++) {
                double squares = 0, copy_squares = 0, product = 0;
                for (int j = 0; j < d; j++) {
                    const int i = r * d + j;
                    squares += value(x[i]) * value(x[i]);
                    copy_squares += value(copy[i]) * value(copy[i]);
                    product += value(dy[i]) * w[j] * value(copy[i]);
                }
                const double scale = 1 / sqrt(squares / d + eps);
                const double s = 1 / sqrt(copy_squares / d + eps);
                for (int j = 0; j < d; j++) {
                    const int i = r * d + j;
                    y_error.near(y[i], x[i] * scale * w[j]);
                    copy_error.same(copy[i] == emu::round_to_bf16(x[i]));
                    const double g = s * value(dy[i]) * w[j];
                    const double c = product * s * s * s / d * value(copy[i]);
                    dx_error.near(dx[i], dx_before[i] + g - c,
                                  fabs(dx_before[i]) + fabs(g) + fabs(c));
                    dx_copy_error.same(dx_copy[i] == emu::round_to_bf16(dx[i]));
                }
            }
        }
    }
    report("rms_norm", {y_error, copy_error});
    report("rms_norm_backward_add", {dx_error, dx_copy_error});
}

void test_head_norm() {
    Output y_error{"y", ROUNDED}, dx_error{"dx", 2}, behind{"behind", 0};
    const float eps = 1e-6f;
    const int rows = 3;
    for (int h : {8, 24, 64, 128, 256}) {
        for (int heads : {1, 9, 20}) {
            const int width = (heads + heads / 2) * h;
            const auto x = random_bf16(rows * width, 3), dy = random_bf16(rows * width);
            const auto w = random_f32(h);
            Buffer<bf16> y(rows * width), dx(dy);
            launch(rows, 256, 0, head_norm::head_norm, y, x, w, eps, rows, width, heads, h);
            launch(rows, 256, 0, head_norm::head_norm_backward, dx, x, w, eps, rows, width, heads,
                   h);
            for (int r = 0; r < rows; r++) {
                for (int head = 0; head < heads; head++) {
                    const int first = r * width + head * h;
                    double squares = 0, product = 0;
                    for (int j = 0; j < h; j++) {
                        squares += value(x[first + j]) * value(x[first + j]);
                        product += value(dy[first + j]) * w[j] * value(x[first + j]);
                    }
                    const double s = 1 / sqrt(squares / h + eps);
                    for (int j = 0; j < h; j++) {
                        const double v = value(x[first + j]);
                        y_error.near(y[first + j], v * s * w[j]);
                        const double g = s * value(dy[first + j]) * w[j];
                        const double c = product * s * s * s / h * v;
                        dx_error.near(dx[first + j], g - c, fabs(g) + fabs(c));
                    }
                }
                for (int i = r * width + heads * h; i < (r + 1) * width; i++) {
                    behind.same(y[i] == x[i] && dx[i] == dy[i]);
                }
            }
        }
    }
    report("head_norm", {y_error, behind});
    report("head_norm_backward", {dx_error});
}

void test_rotary() {
    Output cos_error{"cos", 2}, sin_error{"sin", 2}, turned{"q", 1};
    Output keys_error{"keys", 1}, values_error{"values", 0};
    const std::vector<int> positions = {0, 1, 777, 131071, 40000}, store_rows = {4, 0, 8, 7, 2};
    const int rows = positions.size(), store = 9;
    for (int h : {8, 24, 64, 72, 80, 128, 256}) {
        for (int heads : {1, 3, 32}) {
            const int half = h / 2, width = heads * h;
            Buffer<float> frequencies(half), cos(rows * half), sin(rows * half);
            for (int i = 0; i < half; i++) {
                frequencies[i] = float(pow(500000.0, -double(i) / half));
            }
            const float magnitude = h == 64 ? 1.25f : 1.0f;
            const int blocks = (rows * half + 127) / 128;
            if (magnitude == 1.0f) {
                launch(blocks, 128, 0, rotary::rotation_table, cos, sin, Buffer<int>(positions),
                       frequencies, rows, half);
            } else {
                launch(blocks, 128, 0, rotary::stretched_rotation_table, cos, sin,
                       Buffer<int>(positions), frequencies, magnitude, rows, half);
            }
            for (int i = 0; i < rows * half; i++) {
                const double angle = float(positions[i / half]) * frequencies[i % half];
                cos_error.near(cos[i], magnitude * ::cos(angle), 1e-3);
                sin_error.near(sin[i], magnitude * ::sin(angle), 1e-3);
            }

            const auto before = random_bf16(rows * width);
            Buffer<bf16> q(before);
            launch(rows, row_threads(width), 0, rotary::rotate_queries, q, cos, sin, rows, heads,
                   h);
            const auto want = [&](const bf16* head, int row, int j) {
                const int i = j % half;
                const double c = cos[row * half + i], s = sin[row * half + i];
                const double x1 = value(head[i]), x2 = value(head[i + half]);
                return j < half ? x1 * c - x2 * s : x2 * c + x1 * s;
            };
            for (int i = 0; i < rows * width; i++) {
                turned.near(q[i], want(before + i / h * h, i / width, i % h), 1e-3);
            }

            const auto kv = random_bf16(rows * 2 * width);
            Buffer<bf16> keys(store * width), values(store * width);
            launch(rows, row_threads(width), 0, rotary::store_keys_values, keys, values, kv, cos,
                   sin, Buffer<int>(store_rows), rows, heads, h);
            std::vector<int> row_of(store, -1);
            for (int r = 0; r < rows; r++) row_of[store_rows[r]] = r;
            for (int i = 0; i < store * width; i++) {
                const int row = row_of[i / width], column = i % width;
                if (row < 0) {
                    values_error.same(keys[i] == 0xffff && values[i] == 0xffff);
                    continue;
                }
                const bf16* from = kv + row * 2 * width;
                keys_error.near(keys[i], want(from + column / h * h, row, i % h), 1e-3);
                values_error.same(values[i] == from[width + column]);
            }
        }
    }
    report("rotation_table", {cos_error, sin_error});
    report("rotate_queries", {turned});
    report("store_keys_values", {keys_error, values_error});
}

void test_swiglu() {
    Output forward{"a", ROUNDED}, d_gate{"dg", 1}, d_up{"du", ROUNDED}, in_place{"in place", 0};
    const float special[] = {0, -0.0f, 88, -88, 100, -100, 1e4, -1e4, 1e30f, -1e30f, 0.001f, -20};
    for (int f : {8, 64, 1000, 1536, 8200}) {
        for (int rows : {1, 3}) {
            const auto x = random_bf16(rows * 2 * f, 4), da = random_bf16(rows * f);
            for (int i = 0; i < std::min(f, 12); i++) x[i] = emu::round_to_bf16(special[i]);
            Buffer<bf16> a(rows * f), d(rows * 2 * f), over(x);
            const dim3 grid(rows, (f / 8 + 255) / 256);
            launch(grid, 256, 0, gate::swiglu, a, x, rows, f);
            launch(grid, 256, 0, gate::swiglu_backward, d, x, da, rows, f);
            launch(grid, 256, 0, gate::swiglu_backward, over, over, da, rows, f);
            in_place.same(d == over);
            for (int i = 0; i < rows * f; i++) {
                const int gate = i / f * 2 * f + i % f, up = gate + f;
                const double g = value(x[gate]), u = value(x[up]), v = value(da[i]);
                const double s = 1 / (1 + exp(-g));
                forward.near(a[i], g * s * u);
                // 1 + g (1 - s) crosses zero near g = -1.28.
                d_gate.near(d[gate], v * u * s * (1 + g * (1 - s)),
                            std::max(1e-30, 1e-3 * fabs(v * u * s)));
                d_up.near(d[up], v * g * s);
            }
        }
    }
    report("swiglu", {forward});
    report("swiglu_backward", {d_gate, d_up, in_place});
}

void test_embed() {
    Output x_error{"x", 0};
    const std::vector<int> inputs = {0, 16, -1, -4, 3, 3, -2, 5, -3};
    const int rows = inputs.size();
    for (int d : {8, 264, 576, 4096}) {
        const auto table = random_bf16(17 * d);
        const auto prompts = random_f32(4 * d);
        Buffer<float> x(rows * d);
        launch(rows, row_threads(d), 0, moves::embed, x, Buffer<int>(inputs), table, prompts, rows,
               d);
        for (int i = 0; i < rows * d; i++) {
            const int input = inputs[i / d], j = i % d;
            x_error.same(x[i] == (input >= 0 ? from_bf16_bits(table[input * d + j])
                                             : prompts[-(input + 1) * d + j]));
        }
    }
    report("embed", {x_error});
}

// Rows of either width: f32 rows travel as twice as many bf16 values.
template <class T> void test_moves(const Buffer<T>& x, int d, Output& gathered, Output& scattered) {
    const std::vector<int> rows = {8, 0, 3, 7}, source = {1, -1, -1, 2, -1, -1, -1, 3, 0};
    const int width = d * int(sizeof(T) / sizeof(bf16)), count = rows.size(), total = source.size();
    Buffer<T> few(count * d), all(total * d);
    const auto halves = [](const Buffer<T>& y) { return (bf16*)(T*)y; };
    launch(count, row_threads(width), 0, moves::gather_rows, halves(few), halves(x),
           Buffer<int>(rows), count, width);
    launch(total, row_threads(width), 0, moves::scatter_rows, halves(all), halves(few),
           Buffer<int>(source), total, width);
    for (int i = 0; i < count * d; i++) gathered.same(few[i] == x[rows[i / d] * d + i % d]);
    for (int i = 0; i < total * d; i++) {
        const int row = source[i / d];
        scattered.same(all[i] == (row < 0 ? T(0) : few[row * d + i % d]));
    }
}

void test_rows() {
    Output gathered{"y", 0}, scattered{"y", 0}, added{"y", ROUNDED}, bias_error{"y", ROUNDED};
    Output stream_error{"y", 0};
    const int total = 9, count = 4;
    const std::vector<int> rows = {8, 0, 3, 7};
    for (int d : {8, 264, 576, 4096}) {
        const auto x = random_bf16(total * d), few = random_bf16(count * d);
        const auto stream = random_f32(total * d), bias = random_f32(d);
        test_moves(x, d, gathered, scattered);
        test_moves(stream, d, gathered, scattered);

        Buffer<bf16> sum(x), biased(x);
        Buffer<float> biased_stream(stream);
        launch(count, row_threads(d), 0, moves::add_rows, sum, few, Buffer<int>(rows), count, d);
        launch(total, row_threads(d), 0, moves::add_bias, biased, bias, total, d);
        launch(total, row_threads(d), 0, moves::add_bias_to_stream, biased_stream, bias, total, d);
        for (int i = 0; i < total * d; i++) {
            const int at = std::find(rows.begin(), rows.end(), i / d) - rows.begin();
            added.near(sum[i], value(x[i]) + (at < count ? value(few[at * d + i % d]) : 0));
            bias_error.near(biased[i], value(x[i]) + bias[i % d], 1e-6);
            stream_error.same(biased_stream[i] == stream[i] + bias[i % d]);
        }
    }
    report("gather_rows", {gathered});
    report("scatter_rows", {scattered});
    report("add_rows", {added});
    report("add_bias", {bias_error});
    report("add_bias_to_stream", {stream_error});
}

void test_to_bf16() {
    Output y_error{"y", 0};
    for (int n : {0, 1, 7, 8, 9, 2047, 2048, 2049, 100003}) {
        for (int grid : {1, 3, 60}) {
            const auto x = random_f32(n);
            Buffer<bf16> y(n);
            launch(grid, 256, 0, moves::to_bf16, y, x, n);
            for (int i = 0; i < n; i++) y_error.same(y[i] == emu::round_to_bf16(x[i]));
        }
    }
    report("to_bf16", {y_error});
}

void test_from_bf16() {
    Output y_error{"y", 0};
    for (int n : {0, 8, 2048, 100000}) {
        for (int grid : {1, 60}) {
            const auto x = random_bf16(n);
            Buffer<float> y(n);
            launch(grid, 256, 0, moves::from_bf16, y, x, n);
            for (int i = 0; i < n; i++) y_error.same(y[i] == value(x[i]));
        }
    }
    report("from_bf16", {y_error});
}

int main(int argc, char** argv) {
    emu::catch_stray_accesses();
    emu::chance.seed(argc > 1 ? atoi(argv[1]) : 1);
    test_norm();
    test_head_norm();
    test_rotary();
    test_swiglu();
    test_embed();
    test_rows();
    test_to_bf16();
    test_from_bf16();
    return failures > 0;
}
