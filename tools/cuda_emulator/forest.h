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
};

// Which of a node's positions are queries.
using Select = std::function<std::vector<int>(int node, int length)>;

struct Forest {
    std::vector<Node> nodes;
    int kv_heads, store_rows = 3, packed_rows = 0;
    std::vector<int> query_node, visible, tile_node;
    std::vector<int4> tiles;
    std::vector<int2> ranges;

    Forest(std::vector<Node> from, int kv_heads, const Select& select, int tile_queries)
        : nodes(std::move(from)), kv_heads(kv_heads) {
        std::vector<int> order;
        for (Node& node : nodes) {
            node.packed = packed_rows;
            packed_rows += node.length;
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

    bool is_above(int node, int below) const {
        const std::vector<int> path = above(below);
        return std::find(path.begin(), path.end(), node) != path.end();
    }

  private:
    void add_tile(int node, const std::vector<int>& positions, int first, int count) {
        int4 tile = {queries(), count, (int)ranges.size(), 0};
        for (int i = first; i < first + count; i++) {
            visible.push_back(positions[i] + 1);
            query_node.push_back(node);
        }
        for (int n : above(node)) {
            ranges.push_back({nodes[n].store, nodes[n].store + nodes[n].length});
        }
        ranges.push_back({nodes[node].store, nodes[node].store + visible.back()});
        tile.w = ranges.size() - tile.z;
        tiles.push_back(tile);
        tile_node.push_back(node);
    }
};

struct Inputs {
    Buffer<bf16> q, d_out, keys, values;

    explicit Inputs(const Forest& forest)
        : q(random_bf16((size_t)forest.queries() * forest.heads() * HEAD_DIM, 1.5)),
          d_out(random_bf16(q.size())),
          keys(random_bf16((size_t)forest.store_rows * forest.kv_heads * HEAD_DIM, 1.5)),
          values(random_bf16(keys.size())) {
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

    Reference(const Forest& forest, const Inputs& inputs)
        : out(inputs.q.size()), log_sums((size_t)forest.heads() * forest.queries()),
          deltas(log_sums.size()), dq(inputs.q.size()),
          d_keys((size_t)forest.packed_rows * forest.kv_heads * HEAD_DIM), d_values(d_keys.size()) {
        for (int query = 0; query < forest.queries(); query++) {
            const int node = forest.query_node[query];
            std::vector<int2> seen;  // {store row, packed row}
            const auto see = [&](const Node& from, int count) {
                for (int i = 0; i < count; i++) seen.push_back({from.store + i, from.packed + i});
            };
            for (int n : forest.above(node)) see(forest.nodes[n], forest.nodes[n].length);
            see(forest.nodes[node], forest.visible[query]);
            for (int head = 0; head < forest.heads(); head++) {
                attend(forest, inputs, query, head, seen);
            }
        }
    }

  private:
    void attend(const Forest& forest, const Inputs& inputs, int query, int head,
                const std::vector<int2>& seen) {
        const int kv_head = head / GROUP;
        const double scale = 1 / std::sqrt((double)HEAD_DIM);
        const size_t at = ((size_t)query * forest.heads() + head) * HEAD_DIM;
        const size_t statistic = (size_t)head * forest.queries() + query;
        const auto start = [&](int row) {
            return ((size_t)row * forest.kv_heads + kv_head) * HEAD_DIM;
        };
        Values p(seen.size()), dp(seen.size());
        double total = 0, delta = 0;
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

// How the blocks of store rows are cut into work items for the backward pass.
struct KeyWork {
    std::vector<int4> items, blocks;
    std::vector<int> slots;
    std::vector<int2> entries;
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
        std::vector<int2> list;
        for (int t = 0; t < (int)forest.tiles.size(); t++) {
            const int4 tile = forest.tiles[t];
            if (forest.is_above(n, forest.tile_node[t])) {
                list.push_back({t, -1});
            } else if (forest.tile_node[t] == n && forest.visible[tile.x + tile.y - 1] > key) {
                list.push_back({t, node.store});
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
