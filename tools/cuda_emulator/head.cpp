// The output head's kernels (head.cu) against f64 references. Errors are in
// units of the last place; those of losses count from 10 up, of which they are
// differences.
#include "emulator.h"
#include "common.cuh"
#include "check.h"
#include "head.cu"

double log_sum_exp(const float* x, int count, double factor) {
    double top = -INFINITY, sum = 0;
    for (int j = 0; j < count; j++) top = std::max(top, x[j] * factor);
    for (int j = 0; j < count; j++) sum += exp(x[j] * factor - top);
    return top + log(sum);
}

void test_losses() {
    Output nll_error{"nll", 8}, gradient_error{"d_logits", 0.6};
    Output soft_nll_error{"nll", 8}, divergence_error{"divergence", 32};
    Output soft_gradient_error{"d_logits", 0.6}, column_error{"column", 0};
    const float temperature = 2.5f, factor = 0.9f;
    bf16* const none = nullptr;
    for (int V : {1, 3, 8, 15, 23, 4096, 4097, 12301, 49152, 128257}) {
        for (double spread : {1.0, 12.0}) {
            const int labels = V > 20000 ? 3 : 9;
            const auto x = random_f32(size_t(labels) * V, spread);
            const Buffer<float> t(x);  // the teacher: in row 0, the student
            for (size_t i = V; i < t.size(); i++) t[i] += float(0.5 * normal());
            // Rows whose maximum moves with every value, and never.
            std::sort(x + V, x + 2 * V);
            std::sort(x + 2 * V, x + 3 * V, std::greater<float>());
            Buffer<int> tokens(labels), columns(labels);
            for (int i = 0; i < labels; i++) {
                tokens[i] = i == 0 ? 0 : i == 1 ? V - 1 : int(random_bits() % V);
            }
            const auto weights = random_f32(labels);
            for (int i = 0; i < labels; i++) weights[i] = fabsf(weights[i]);

            Buffer<float> nll(labels), nll_alone(labels), soft_nll(labels), soft_nll_alone(labels);
            Buffer<float> divergence(labels), divergence_alone(labels);
            Buffer<bf16> d(x.size()), soft_d(x.size());
            launch(labels, 512, 0, cross_entropy, nll, d, x, tokens, weights, V);
            launch(labels, 512, 0, cross_entropy, nll_alone, none, x, tokens, weights, V);
            launch(labels, 512, 0, distillation, soft_nll, divergence, soft_d, x, t, tokens,
                   weights, temperature, factor, V);
            launch(labels, 512, 0, distillation, soft_nll_alone, divergence_alone, none, x, t,
                   tokens, weights, temperature, factor, V);
            launch(labels, 512, 0, argmax, columns, x, V);
            nll_error.same(nll == nll_alone);
            soft_nll_error.same(soft_nll == soft_nll_alone);
            divergence_error.same(divergence == divergence_alone && divergence[0] == 0.0f);

            for (int label = 0; label < labels; label++) {
                const float *s = x + size_t(label) * V, *u = t + size_t(label) * V;
                const double tau = temperature, w = weights[label];
                const double total = log_sum_exp(s, V, 1), total_s = log_sum_exp(s, V, 1 / tau);
                const double total_t = log_sum_exp(u, V, 1 / tau);
                double kl = 0;
                for (int j = 0; j < V; j++) {
                    const size_t at = size_t(label) * V + j;
                    const double hot = j == tokens[label], p = exp(s[j] - total) - hot;
                    const double p_s = exp(s[j] / tau - total_s), p_t = exp(u[j] / tau - total_t);
                    kl += p_t * (u[j] / tau - total_t - s[j] / tau + total_s);
                    gradient_error.near(d[at], w * p, std::max(1e-35, 1e-3 * w * (p + 2 * hot)));
                    soft_gradient_error.near(soft_d[at], w * (p + factor * tau * (p_s - p_t)),
                                             1e-2 * w * (fabs(p) + factor * tau * (p_s + p_t)));
                }
                nll_error.near(nll[label], total - s[tokens[label]], 10);
                soft_nll_error.near(soft_nll[label], total - s[tokens[label]], 10);
                divergence_error.near(divergence[label], kl * tau * tau, 10);
                column_error.same(columns[label] == std::max_element(s, s + V) - s);
            }
        }
    }
    report("cross_entropy", {nll_error, gradient_error});
    report("distillation", {soft_nll_error, divergence_error, soft_gradient_error});

    // Ties, infinities and NaN.
    for (int V : {1, 14, 700, 5001}) {
        const int labels = 8;
        Buffer<float> x(labels * V);
        Buffer<int> columns(labels);
        for (int i = 0; i < labels * V; i++) {
            const float rows[] = {-INFINITY, NAN, 1, float(random_bits() % 5)};
            x[i] = rows[std::min(i / V, 3)];
        }
        launch(labels, 512, 0, argmax, columns, x, V);
        for (int label = 0; label < labels; label++) {
            const float* row = x + label * V;
            const int want = label < 3 ? 0 : std::max_element(row, row + V) - row;
            column_error.same(columns[label] == want);
        }
    }
    report("argmax", {column_error});
}

void test_collect() {
    Output sum_error{"d_hidden", 0.6}, squares_error{"squares", 16};
    const std::vector<int> begin = {0, 1, 1, 4, 4, 4, 6}, order = {3, 0, 5, 1, 4, 2};
    const int rows = 6, labels = 6;
    const float factor = 37.0f;
    float* const none = nullptr;
    for (int d : {8, 264, 576, 2048, 4104}) {
        const auto d_rows = random_f32(labels * d), teacher = random_f32(labels * d);
        const auto weights = random_f32(labels);
        const auto hidden = random_bf16(rows * d);
        Buffer<bf16> with(rows * d), without(rows * d);
        Buffer<float> squares(labels), unused(labels);
        const int threads = std::min(256, (d / 8 + 31) / 32 * 32);
        launch(rows, threads, 0, collect_label_gradients, with, squares, d_rows, hidden, teacher,
               Buffer<int>(begin), Buffer<int>(order), weights, factor, d);
        launch(rows, threads, 0, collect_label_gradients, without, unused, d_rows, hidden, none,
               Buffer<int>(begin), Buffer<int>(order), weights, factor, d);
        std::vector<double> want_squares(labels);
        for (int i = 0; i < rows * d; i++) {
            const int row = i / d, j = i % d;
            double plain = 0, full = 0, size = 0;
            for (int k = begin[row]; k < begin[row + 1]; k++) {
                const int label = order[k];
                const double difference = value(hidden[i]) - teacher[label * d + j];
                const double slope = 2 * double(factor) * weights[label] / d * difference;
                plain += d_rows[label * d + j];
                full += d_rows[label * d + j] + slope;
                size += fabs(d_rows[label * d + j]) + fabs(slope);
                want_squares[label] += difference * difference;
            }
            sum_error.near(with[i], full, 1e-3 * size);
            sum_error.near(without[i], plain, 1e-3 * size);
        }
        for (int label = 0; label < labels; label++) {
            squares_error.near(squares[label], want_squares[label]);
            squares_error.same(unused[label] != unused[label]);  // still NaN
        }
    }
    report("collect_label_gradients", {sum_error, squares_error});
}

int main(int argc, char** argv) {
    emu::catch_stray_accesses();
    emu::chance.seed(argc > 1 ? atoi(argv[1]) : 1);
    test_losses();
    test_collect();
    return failures > 0;
}
