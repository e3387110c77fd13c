//! A forest of token segments: the shape of every batch and of every cache.
//!
//! A node is a run of consecutive tokens (or the virtual tokens of a soft
//! prompt). A token attends causally to its own node and to every token of the
//! node's ancestors, so whatever examples share (a prompt, an instruction, a
//! passage under several questions) is one node, computed once.
//!
//! A node's keys and values lie in consecutive *rows* of the key/value store
//! of the model; `row` always means such a store row. A token's
//! *position* (for the rotary embedding) is its depth on the path from the
//! root, so a sequence gets the same positions packed or alone.

mod pack;
mod plan;
mod reuse;
mod rows;

use rows::Rows;
use std::ops::Range;

pub use pack::{Input, Packed, Path, pack};
pub(crate) use plan::{Plan, Sight, TILE_ROWS, Tile};

/// Index of a node in its [`Forest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(usize);

#[derive(Clone, Debug)]
struct Node {
    parent: Option<NodeId>,
    start: usize,
    capacity: usize,
    len: usize,
    position: usize,
    children: usize,
    /// Whether its rows were given back: nothing may name it any more.
    released: bool,
}

/// The nodes and the store rows that they hold.
#[derive(Clone, Debug, Default)]
pub struct Forest {
    nodes: Vec<Node>,
    rows: Rows,
    expected: usize,
}

/// A mark to which a forest can be cut back ([`Forest::truncate`]).
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    nodes: usize,
}

impl Forest {
    /// An empty forest.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Store rows that there has to be room for: all of the nodes', taken or
    /// reserved, are below.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows.end().max(self.expected)
    }

    /// Adds a full node of `len` tokens below `parent`.
    pub fn add(&mut self, parent: Option<NodeId>, len: usize) -> NodeId {
        let node = self.reserve(parent, len);
        self.nodes[node.0].len = len;
        node
    }

    /// Adds an empty node with room for `capacity` tokens (generation fills it
    /// with [`Forest::grow`]).
    pub fn reserve(&mut self, parent: Option<NodeId>, capacity: usize) -> NodeId {
        let position = parent.map_or(0, |p| self.end_position(p));
        if let Some(parent) = parent {
            self.nodes[parent.0].children += 1;
        }
        self.nodes.push(Node {
            parent,
            start: self.rows.take(capacity).start,
            capacity,
            len: 0,
            position,
            children: 0,
            released: false,
        });
        NodeId(self.nodes.len() - 1)
    }

    /// Makes the next `tokens` tokens of a reserved node exist.
    ///
    /// # Panics
    /// When the node has no room for them.
    pub fn grow(&mut self, node: NodeId, tokens: usize) {
        let node = &mut self.nodes[node.0];
        node.len += tokens;
        assert!(
            node.len <= node.capacity,
            "a reserved node outgrew its room"
        );
    }

    /// Rows of a node's tokens.
    #[must_use]
    pub fn range(&self, node: NodeId) -> Range<usize> {
        let node = &self.nodes[node.0];
        node.start..node.start + node.len
    }

    /// Depth of a node's first token on the path from its root.
    #[must_use]
    pub fn position(&self, node: NodeId) -> usize {
        self.nodes[node.0].position
    }

    /// Depth that the token after a node's last would have.
    #[must_use]
    pub fn end_position(&self, node: NodeId) -> usize {
        self.nodes[node.0].position + self.nodes[node.0].len
    }

    /// Row ranges of all ancestors of a node, from the root down, adjacent
    /// ones merged.
    #[must_use]
    pub fn ancestors(&self, node: NodeId) -> Vec<Range<usize>> {
        let mut chain = Vec::new();
        let mut at = self.nodes[node.0].parent;
        while let Some(id) = at {
            chain.push(self.range(id));
            at = self.nodes[id.0].parent;
        }
        let mut merged: Vec<Range<usize>> = Vec::with_capacity(chain.len());
        for range in chain.into_iter().rev().filter(|r| !r.is_empty()) {
            match merged.last_mut() {
                Some(last) if last.end == range.start => last.end = range.end,
                _ => merged.push(range),
            }
        }
        merged
    }
}

/// Consecutive tokens of one node that a call computes.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// The node.
    pub node: NodeId,
    /// First token within the node.
    pub offset: usize,
    /// How many tokens.
    pub len: usize,
}

/// What one forward pass computes: the tokens of `spans`, packed in their
/// order into a `[T, d]` matrix. "Call row" means a row of that matrix.
#[derive(Clone, Debug)]
pub struct Call {
    /// The spans, in packing order.
    pub spans: Vec<Span>,
}

impl Call {
    /// A call over the whole of the given nodes.
    #[must_use]
    pub fn nodes(forest: &Forest, nodes: &[NodeId]) -> Self {
        let spans = nodes
            .iter()
            .map(|&node| Span {
                node,
                offset: 0,
                len: forest.range(node).len(),
            })
            .collect();
        Call { spans }
    }

    /// Rows of the packed matrix.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.spans.iter().map(|s| s.len).sum()
    }

    /// Store row of every call row.
    #[must_use]
    pub fn store_rows(&self, forest: &Forest) -> Vec<usize> {
        self.spans
            .iter()
            .flat_map(|s| {
                let start = forest.range(s.node).start + s.offset;
                start..start + s.len
            })
            .collect()
    }

    /// Position of every call row.
    #[must_use]
    pub fn positions(&self, forest: &Forest) -> Vec<usize> {
        self.spans
            .iter()
            .flat_map(|s| {
                let start = forest.position(s.node) + s.offset;
                start..start + s.len
            })
            .collect()
    }
}
