// A mixture of experts for one TILE_ROWS and PACKED (-D options): every kernel
// against an f64 reference that starts from what the kernel was given, so that
// an error shows where it is made.
#include "emulator.h"
#include "ptx.h"
#include "common.cuh"
#include "mxfp4.cuh"
#include "experts_gate.cuh"
#include "experts.cuh"
#include "experts_product.cu"
#include "experts_rows.cu"
#include "check.h"
#include "experts_weights.h"

// Rounding a value that is right to a few f32 units, or to a sum of them.
constexpr double ROUNDED = 0.502, SUMMED = 0.6;

Output chosen_error{"chosen", 0}, weight_error{"weights", 8}, places_error{"places", 0};
Output gate_up_error{"y", SUMMED}, activated_error{"activated", 1}, apart_error{"apart", 0};
Output down_error{"y", SUMMED}, stray_error{"strays", 0}, next_error{"next", 8};
Output da_error{"da", SUMMED}, dn_error{"dn", SUMMED};
Output d_gate_up_error{"d_gate_up", 1}, d_weight_error{"d_weights", 64};
Output dx_error{"dx", ROUNDED}, d_logit_error{"d_logits", 1};

struct Case {
    int rows, experts, active, d, f;
    double favour;  // of expert 1, and against expert 0
};

// Which entries stand where, made in the plain way.
struct Places {
    std::vector<int> tiles, entries, places;

    Places(const Buffer<int>& chosen, int experts, int tile_count) : places(chosen.size()) {
        for (int e = 0; e < experts; e++) {
            std::vector<int> own;
            for (size_t i = 0; i < chosen.size(); i++) {
                if (chosen[i] == e) own.push_back(i);
            }
            for (size_t i = 0; i < own.size(); i++) places[own[i]] = entries.size() + i;
            entries.insert(entries.end(), own.begin(), own.end());
            while (entries.size() % ROWS) entries.push_back(-1);
            tiles.resize(entries.size() / ROWS, e);
        }
        if ((int)tiles.size() > tile_count) emu::fail("more tiles than the bound");
        tiles.resize(tile_count, -1);
        entries.resize((size_t)tile_count * ROWS, -1);
    }
};

struct Layer {
    const Case c;
    const int entry_count, tile_count, place_count;
    Buffer<int> chosen, tiles, entries, places;
    Buffer<float> weights;

    explicit Layer(const Case& c)
        : c(c), entry_count(c.rows * c.active),
          tile_count((entry_count + std::min(c.experts, entry_count) * (ROWS - 1)) / ROWS),
          place_count(tile_count * ROWS), chosen(entry_count), tiles(tile_count),
          entries(place_count), places(entry_count), weights(entry_count) {}

    int token(int place) const { return entries[place] / c.active; }

    void route() {
        Buffer<float> logits(c.rows * c.experts);
        for (int i = 0; i < c.rows * c.experts; i++) {
            // Many are equal.
            logits[i] = float(std::round(4 * normal()) / 4);
            if (i % c.experts == 1) logits[i] += c.favour;
            if (i % c.experts == 0) logits[i] -= c.favour;
        }
        launch((c.rows + 3) / 4, ROUTE_THREADS, 0, experts_route, chosen, weights, logits, c.rows,
               c.experts, c.active);
        for (int row = 0; row < c.rows; row++) {
            const float* own = &logits[row * c.experts];
            std::vector<int> order(c.experts);
            for (int e = 0; e < c.experts; e++) order[e] = e;
            std::stable_sort(order.begin(), order.end(),
                             [&](int a, int b) { return own[a] > own[b]; });
            double sum = 0;
            for (int k = 0; k < c.active; k++) sum += exp(double(own[order[k]]) - own[order[0]]);
            for (int k = 0; k < c.active; k++) {
                const int i = row * c.active + k;
                chosen_error.same(chosen[i] == order[k]);
                weight_error.near(weights[i], exp(double(own[order[k]]) - own[order[0]]) / sum);
            }
        }
    }

    void group() {
        launch(c.experts, GROUP_THREADS, 0, experts_group, tiles, entries, places, chosen,
               entry_count, c.experts, ROWS, tile_count);
        const Places want(chosen, c.experts, tile_count);
        places_error.same(tiles == Buffer<int>(want.tiles));
        places_error.same(entries == Buffer<int>(want.entries));
        places_error.same(places == Buffer<int>(want.places));
    }

    // Compares a product's rows of places with sums over `depth` of x times w.
    template <class Row, class Weight>
    void compare(Output& error, const Buffer<bf16>& y, int columns, int depth, Row x, Weight w,
                 const float* bias) {
        for (int place = 0; place < place_count; place++) {
            const int entry = entries[place];
            for (int j = 0; j < columns; j++) {
                const bf16 got = y[(size_t)place * columns + j];
                if (entry < 0) {
                    stray_error.same(got == 0xffff);
                    continue;
                }
                const int expert = chosen[entry];
                double sum = bias ? bias[expert * columns + j] : 0, size = fabs(sum);
                const bf16* row = x(place);
                for (int k = 0; k < depth; k++) {
                    const double term = value(row[k]) * w(expert, j, k);
                    sum += term;
                    size += fabs(term);
                }
                error.near(got, sum, std::max(1e-30, 0.02 * size));
            }
        }
    }
};

double sigmoid(double x) { return 1 / (1 + exp(-x)); }

void test_layer(const Case& c) {
    Layer layer(c);
    layer.route();
    layer.group();
    const int rows = c.rows, d = c.d, f = c.f, places = layer.place_count;
    const float alpha = 1.702f, limit = 7.0f;
    const ExpertWeights gate_up(c.experts, 2 * f, d), down(c.experts, d, f);
    const auto gate_up_bias = random_f32(c.experts * 2 * f, 3);
    const auto down_bias = random_f32(c.experts * d, 1);
    const dim3 to_gate_up((2 * f + COLUMNS - 1) / COLUMNS, layer.tile_count);
    const dim3 to_d((d + COLUMNS - 1) / COLUMNS, layer.tile_count);
    const dim3 to_f((f + COLUMNS - 1) / COLUMNS, layer.tile_count);
    bf16* const none = nullptr;

    const auto x = random_bf16(rows * d, 1.5);
    const auto of_token = [&](const Buffer<bf16>& from) {
        return [&](int place) { return &from[(size_t)layer.token(place) * d]; };
    };
    Buffer<bf16> g(places * 2 * f), a(places * f), g_alone(g), a_alone(a);
    const auto forward = [&](bf16* y, bf16* activated) {
        launch(to_gate_up, THREADS, PRODUCT_BYTES, experts_forward, y, activated, x,
               gate_up.values(), gate_up.scales(), gate_up_bias, layer.tiles, layer.entries,
               c.active, d, 2 * f, alpha, limit);
    };
    forward(g, a);
    forward(g_alone, none);
    forward(none, a_alone);
    apart_error.same(g == g_alone && a == a_alone);
    layer.compare(gate_up_error, g, 2 * f, d, of_token(x), gate_up.by_row(), gate_up_bias);
    for (int i = 0; i < places * f; i++) {
        if (layer.entries[i / f] < 0) {
            stray_error.same(a[i] == 0xffff);
            continue;
        }
        const double gate = std::min(value(g[2 * i]), double(limit));
        const double up = std::clamp(value(g[2 * i + 1]), -double(limit), double(limit));
        activated_error.near(a[i], (up + 1) * gate * sigmoid(alpha * gate));
    }

    Buffer<bf16> y(places * d);
    launch(to_d, THREADS, PRODUCT_BYTES, experts_forward, y, none, a, down.values(), down.scales(),
           down_bias, layer.tiles, layer.entries, 0, f, d, alpha, limit);
    layer.compare(down_error, y, d, f, [&](int place) { return &a[(size_t)place * f]; },
                  down.by_row(), down_bias);

    const auto stream = random_f32(rows * d);
    Buffer<float> next(rows * d);
    const int row_threads = std::min(256, (d / 8 + 31) / 32 * 32);
    launch(rows, row_threads, 0, experts_combine, next, stream, y, layer.weights, layer.places,
           rows, c.active, d);
    for (int i = 0; i < rows * d; i++) {
        double sum = stream[i], size = fabs(sum);
        for (int k = 0; k < c.active; k++) {
            const int entry = i / d * c.active + k;
            const double term = layer.weights[entry] *
                                value(y[(size_t)layer.places[entry] * d + i % d]);
            sum += term;
            size += fabs(term);
        }
        next_error.near(next[i], sum, size);
    }

    // The backward pass.
    const auto dy = random_bf16(rows * d);
    Buffer<bf16> da(places * f);
    launch(to_f, THREADS, PRODUCT_BYTES, experts_backward, da, dy, down.values(), down.scales(),
           layer.tiles, layer.entries, c.active, d, f);
    layer.compare(da_error, da, f, d, of_token(dy), down.by_column(), nullptr);

    const auto bias_products = random_f32(rows * c.experts, 5);
    Buffer<bf16> dg(g);
    Buffer<float> d_weights(layer.entry_count);
    launch(places, 128, 0, experts_gate_backward, dg, d_weights, da, layer.entries, layer.chosen,
           layer.weights, bias_products, c.active, c.experts, f, alpha, limit);
    for (int place = 0; place < places; place++) {
        const int entry = layer.entries[place];
        if (entry < 0) {
            for (int i = 0; i < 2 * f; i++) stray_error.same(dg[place * 2 * f + i] == 0xffff);
            continue;
        }
        double product = bias_products[entry / c.active * c.experts + layer.chosen[entry]];
        double size = fabs(product);
        for (int i = place * f; i < (place + 1) * f; i++) {
            const double gate = value(g[2 * i]), up = value(g[2 * i + 1]), v = value(da[i]);
            const double lg = std::min(gate, double(limit)), s = sigmoid(alpha * lg);
            const double lu = std::clamp(up, -double(limit), double(limit));
            const double w = layer.weights[entry] * v;
            const double d_gate = w * (lu + 1) * s * (1 + alpha * lg * (1 - s));
            // The last factor crosses zero near alpha gate = -1.28.
            d_gate_up_error.near(dg[2 * i], gate > limit ? 0 : d_gate,
                                 std::max(1e-30, 1e-3 * fabs(w * (lu + 1) * s)));
            d_gate_up_error.near(dg[2 * i + 1], fabs(up) > limit ? 0 : w * lg * s);
            product += v * (lu + 1) * lg * s;
            size += fabs(v * (lu + 1) * lg * s);
        }
        d_weight_error.near(d_weights[entry], product, size);
    }

    Buffer<bf16> dn(places * d), dx(rows * d), d_logits(rows * c.experts);
    launch(to_d, THREADS, PRODUCT_BYTES, experts_backward, dn, dg, gate_up.values(),
           gate_up.scales(), layer.tiles, layer.entries, 0, 2 * f, d);
    layer.compare(dn_error, dn, d, 2 * f, [&](int place) { return &dg[(size_t)place * 2 * f]; },
                  gate_up.by_column(), nullptr);
    launch(rows, row_threads, 0, experts_combine_backward, dx, dn, layer.places, rows, c.active, d);
    for (int i = 0; i < rows * d; i++) {
        double sum = 0, size = 0;
        for (int k = 0; k < c.active; k++) {
            const int place = layer.places[i / d * c.active + k];
            sum += value(dn[(size_t)place * d + i % d]);
            size += fabs(value(dn[(size_t)place * d + i % d]));
        }
        dx_error.near(dx[i], sum, 1e-3 * size);
    }
    launch((rows + 3) / 4, ROUTE_THREADS, 0, experts_route_backward, d_logits, d_weights,
           layer.weights, layer.chosen, rows, c.experts, c.active);
    for (int row = 0; row < rows; row++) {
        double mean = 0, size = 0;
        std::vector<double> want(c.experts);
        for (int i = row * c.active; i < (row + 1) * c.active; i++) {
            mean += layer.weights[i] * d_weights[i];
            size += fabs(layer.weights[i] * d_weights[i]);
        }
        for (int i = row * c.active; i < (row + 1) * c.active; i++) {
            want[layer.chosen[i]] = layer.weights[i] * (d_weights[i] - mean);
        }
        for (int e = 0; e < c.experts; e++) {
            d_logit_error.near(d_logits[row * c.experts + e], want[e], std::max(1e-30, 1e-3 * size));
        }
    }
}

int main(int argc, char** argv) {
    emu::catch_stray_accesses();
    emu::chance.seed(argc > 1 ? atoi(argv[1]) : 1);
    const Case cases[] = {
        {1, 8, 2, 96, 64, 0},
        // Expert 1 has every row, expert 0 none.
        {150, 8, 2, 96, 64, 100},
        {37, 32, 4, 160, 96, 0},
        {5, 4, 4, 32, 32, 0},
        {2, 160, 3, 32, 64, 0},
        // More depths than any buffer holds, and half of one.
        {3, 3, 1, 1120, 608, 0},
    };
    for (const Case& c : cases) test_layer(c);
    if (PACKED) test_unpacking();
    const std::string sizes = " " + std::to_string(TILE_ROWS) + (PACKED ? " mxfp4" : " bf16");
    report("experts_route" + sizes, {chosen_error, weight_error});
    report("experts_group" + sizes, {places_error});
    report("experts_forward" + sizes, {gate_up_error, activated_error, apart_error, stray_error});
    report("experts_forward (down)" + sizes, {down_error});
    report("experts_combine" + sizes, {next_error});
    report("experts_backward (down)" + sizes, {da_error});
    report("experts_gate_backward" + sizes, {d_gate_up_error, d_weight_error});
    report("experts_backward" + sizes, {dn_error});
    report("experts_combine_backward" + sizes, {dx_error});
    report("experts_route_backward" + sizes, {d_logit_error});
    return failures > 0;
}
