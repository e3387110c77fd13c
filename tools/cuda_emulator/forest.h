// Forests of segments, how their queries and keys are cut into work for the
// attention kernels, and what attention over them should give, in f64. Follows
// the kernels' header comments; include attention_backward_keys.cu first.
#pragma once
#include "check.h"

using Values = std::vector<double>;

struct Node {
    int parent, length;  // parent -1: a root
    int store = 0;       // its first row in the store of keys and values
    int packed = 0;      // the same without the store's gaps
    int position = 0;    // of its first row: the rows of all nodes above
};

// Which of a node's positions are queries.
using Select = std::function<std::vector<int>(int node, int length)>;

// A query sees the last `size` positions up to its own, and the first `pinned`.
struct Window {
    static constexpr int NONE = 1 << 20;
    int size = NONE, pinned = 0;
};

struct Forest {
    std::vector<Node> nodes;
    int kv_heads, store_rows = 3, packed_rows = 0;
    Window window;
    // Keys that a query sees, counted from the first of its tile's last range,
    // and of those before, where they begin.
    std::vector<int> query_node, query_position, visible, hidden;
    bool windowed = false;  // whether any query has keys behind its window
    std::vector<int4> tiles;
    std::vector<int2> ranges;
    struct Part {  // of a node, as a range of a tile
        int node, first, end, number;
    };
    std::vector<std::vector<Part>> tile_parts;

    Forest(std::vector<Node> from, int kv_heads, const Select& select, int tile_queries,
           Window window = {})
        : nodes(std::move(from)), kv_heads(kv_heads), window(window) {
        std::vector<int> order;
        for (Node& node : nodes) {
            node.packed = packed_rows;
            packed_rows += node.length;
            if (node.parent >= 0) {
                node.position = nodes[node.parent].position + nodes[node.parent].length;
            }
            order.push_back(order.size());
        }
        // Anywhere in the store, with gaps.
        std::shuffle(order.begin(), order.end(), random_bits);
        for (int n : order) {
            nodes[n].store = store_rows;
            store_rows += nodes[n].length + random_bits() % 3;
        }
        for (int n = 0; n < (int)nodes.size(); n++) {
            const std::vector<int> positions = select(n, nodes[n].length);
            for (int first = 0; first < (int)positions.size(); first += tile_queries) {
                add_tile(n, positions, first, min(tile_queries, positions.size() - first));
            }
        }
    }

    int queries() const { return visible.size(); }
    int heads() const { return kv_heads * GROUP; }

    // The nodes above one, the root first.
    std::vector<int> above(int node) const {
        std::vector<int> path;
        for (int n = nodes[node].parent; n >= 0; n = nodes[n].parent) path.insert(path.begin(), n);
        return path;
    }

    bool sees(int query, int position) const {
        const int own = query_position[query];
        return position <= own && (position > own - window.size || position < window.pinned);
    }

  private:
    void add_tile(int node, const std::vector<int>& offsets, int first, int count) {
        int4 tile = {queries(), count, (int)ranges.size(), 0};
        for (int i = first; i < first + count; i++) {
            query_node.push_back(node);
            query_position.push_back(nodes[node].position + offsets[i]);
        }
        // Positions in the pinned prefix, and those in the first query's window.
        std::vector<int> path = above(node);
        path.push_back(node);
        const int end = query_position.back() + 1;
        const int begin = max(query_position[tile.x] + 1 - window.size, 0);
        const int from[2] = {0, max(begin, min(window.pinned, end))};
        const int to[2] = {min(window.pinned, end), end};
        std::vector<Part> parts;
        int number = 0;
        for (int i = 0; i < 2; i++) {
            for (int n : path) {
                const int start = nodes[n].position;
                const int a = max(from[i] - start, 0);
                const int b = min(to[i] - start, nodes[n].length);
                if (a >= b) continue;
                parts.push_back({n, a, b, number});
                ranges.push_back({nodes[n].store + a, nodes[n].store + b});
                number += b - a;
            }
        }
        tile.w = ranges.size() - tile.z;
        tiles.push_back(tile);
        tile_parts.push_back(parts);
        const int cut = from[1] - to[0];  // positions between the two
        const int context = parts.back().number;
        for (int i = tile.x; i < tile.x + count; i++) {
            const int seen = query_position[i] + 1, hides = seen - window.size;
            visible.push_back((seen <= to[0] ? seen : seen - cut) - context);
            hidden.push_back((hides > to[0] ? hides - cut : 0) - context);
            windowed |= hides > to[0];
        }
    }
};

struct Inputs {
    Buffer<bf16> q, d_out, keys, values;
    Buffer<float> sinks;

    explicit Inputs(const Forest& forest)
        : q(random_bf16((size_t)forest.queries() * forest.heads() * HEAD_DIM, 1.5)),
          d_out(random_bf16(q.size())),
          keys(random_bf16((size_t)forest.store_rows * forest.kv_heads * HEAD_DIM, 1.5)),
          values(random_bf16(keys.size())), sinks(random_f32(forest.heads(), 3)) {
        // Rows of the store that belong to nobody are NaN.
        std::vector<bool> used(forest.store_rows);
        for (const Node& node : forest.nodes) {
            for (int i = 0; i < node.length; i++) used[node.store + i] = true;
        }
        const size_t width = forest.kv_heads * HEAD_DIM;
        for (size_t i = 0; i < keys.size(); i++) {
            if (!used[i / width]) keys[i] = values[i] = 0x7fff;
        }
    }
};

// Results in the layouts of the kernels, but gradients of keys and values by
// packed rows, and no gradient turned back yet.
struct Reference {
    Values out, log_sums, deltas, dq, d_keys, d_values;

    Reference(const Forest& forest, const Inputs& inputs, bool with_sinks)
        : out(inputs.q.size()), log_sums((size_t)forest.heads() * forest.queries()),
          deltas(log_sums.size()), dq(inputs.q.size()),
          d_keys((size_t)forest.packed_rows * forest.kv_heads * HEAD_DIM), d_values(d_keys.size()) {
        for (int query = 0; query < forest.queries(); query++) {
            std::vector<int> path = forest.above(forest.query_node[query]);
            path.push_back(forest.query_node[query]);
            std::vector<int2> seen;  // {store row, packed row}
            for (int n : path) {
                const Node& node = forest.nodes[n];
                for (int i = 0; i < node.length; i++) {
                    if (forest.sees(query, node.position + i)) {
                        seen.push_back({node.store + i, node.packed + i});
                    }
                }
            }
            for (int head = 0; head < forest.heads(); head++) {
                attend(forest, inputs, query, head, seen, with_sinks);
            }
        }
    }

  private:
    void attend(const Forest& forest, const Inputs& inputs, int query, int head,
                const std::vector<int2>& seen, bool with_sinks) {
        const int kv_head = head / GROUP;
        const double scale = 1 / std::sqrt((double)HEAD_DIM);
        const size_t at = ((size_t)query * forest.heads() + head) * HEAD_DIM;
        const size_t statistic = (size_t)head * forest.queries() + query;
        const auto start = [&](int row) {
            return ((size_t)row * forest.kv_heads + kv_head) * HEAD_DIM;
        };
        Values p(seen.size()), dp(seen.size());
        double total = with_sinks ? std::exp((double)inputs.sinks[head]) : 0, delta = 0;
        for (size_t j = 0; j < seen.size(); j++) {
            const size_t key = start(seen[j].x);
            double score = 0;
            for (int i = 0; i < HEAD_DIM; i++) {
                score += value(inputs.q[at + i]) * value(inputs.keys[key + i]);
            }
            p[j] = std::exp(score * scale);
            total += p[j];
        }
        for (size_t j = 0; j < seen.size(); j++) {
            const size_t key = start(seen[j].x);
            p[j] /= total;
            for (int i = 0; i < HEAD_DIM; i++) {
                out[at + i] += p[j] * value(inputs.values[key + i]);
                dp[j] += value(inputs.d_out[at + i]) * value(inputs.values[key + i]);
            }
            delta += p[j] * dp[j];
        }
        for (size_t j = 0; j < seen.size(); j++) {
            const size_t key = start(seen[j].x), packed = start(seen[j].y);
            const double ds = p[j] * (dp[j] - delta) * scale;
            for (int i = 0; i < HEAD_DIM; i++) {
                dq[at + i] += ds * value(inputs.keys[key + i]);
                d_keys[packed + i] += ds * value(inputs.q[at + i]);
                d_values[packed + i] += p[j] * value(inputs.d_out[at + i]);
            }
        }
        log_sums[statistic] = std::log(total);
        deltas[statistic] = delta;
    }
};

// The rows from `first` to `end` of the item that begins with row `key` of a node,
// as an entry of a tile.
inline Entry make_entry(const Forest& forest, int tile, const Forest::Part& part, int key,
                        int first, int end) {
    const std::vector<Forest::Part>& parts = forest.tile_parts[tile];
    const int number = part.number + key - part.first;  // of the item's first row
#if SIGHT
    const int pinned = min(max(forest.window.pinned - number, 0), end);
    return {tile, number - parts.back().number, first | end << 8 | pinned << 16};
#else
    const bool own = part.node == parts.back().node;
    return {tile, own ? forest.nodes[part.node].store : -1};
#endif
}

// How the blocks of store rows are cut into work items for the backward pass.
struct KeyWork {
    std::vector<int4> items, blocks;
    std::vector<int> slots;
    std::vector<Entry> entries;
    int slot_count = 0;
    std::vector<bool> reduced;  // packed rows that attention_backward_reduce writes

    // At most `split` tiles to an item.
    KeyWork(const Forest& forest, int split) : reduced(forest.packed_rows) {
        struct Item {
            int4 item;
            int slot;
        };
        std::vector<Item> made;
        for (int n = 0; n < (int)forest.nodes.size(); n++) {
            const Node& node = forest.nodes[n];
            for (int key = 0; key < node.length; key += BLOCK_KEYS) {
                const int count = min(BLOCK_KEYS, node.length - key), first = node.store + key;
                const std::vector<int4> parts = cut(forest, n, key, count, split);
                const bool alone = parts.size() == 1;
                if (!alone) {
                    blocks.push_back({first, count, slot_count, (int)parts.size()});
                    for (int i = 0; i < count; i++) reduced[node.packed + key + i] = true;
                }
                for (const int4& part : parts) made.push_back({part, alone ? -1 : slot_count++});
            }
        }
        std::shuffle(made.begin(), made.end(), random_bits);
        for (const Item& item : made) {
            items.push_back(item.item);
            slots.push_back(item.slot);
        }
    }

  private:
    std::vector<int4> cut(const Forest& forest, int n, int key, int count, int split) {
        const Node& node = forest.nodes[n];
        std::vector<Entry> list;
        for (int t = 0; t < (int)forest.tiles.size(); t++) {
            for (const Forest::Part& part : forest.tile_parts[t]) {
                const int from = max(part.first, key), to = min(part.end, key + count);
                if (part.node == n && from < to) {
                    list.push_back(make_entry(forest, t, part, key, from - key, to - key));
                }
            }
        }
        // Rows that nobody sees: one item without entries, or none at all.
        std::vector<int4> parts;
        if (list.empty() && n % 2 == 0) {
            parts.push_back({node.store + key, count, (int)entries.size(), 0});
        }
        for (size_t from = 0; from < list.size(); from += split) {
            const int length = min(split, list.size() - from);
            parts.push_back({node.store + key, count, (int)entries.size(), length});
            entries.insert(entries.end(), list.begin() + from, list.begin() + from + length);
        }
        return parts;
    }
};
