//! Sequences in, forest out: common prefixes become shared nodes.

use super::{Call, Forest, NodeId};
use std::ops::Range;

/// One sequence to pack.
#[derive(Clone, Copy, Debug)]
pub struct Path<'a> {
    /// Node (already computed) that the sequence continues, if any.
    pub parent: Option<NodeId>,
    /// Soft prompt before the tokens: an index into the caller's prompts.
    pub prompt: Option<usize>,
    /// The token ids.
    pub tokens: &'a [u32],
}

/// What a packed row's embedding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// A vocabulary entry.
    Token(u32),
    /// Virtual token `index` of soft prompt `prompt`.
    Soft {
        /// Index into the caller's prompts.
        prompt: usize,
        /// Virtual token, counted from 0.
        index: usize,
    },
}

/// Sequences packed into new nodes of a forest.
#[derive(Clone, Debug)]
pub struct Packed {
    /// The call that computes the new nodes.
    pub call: Call,
    /// The embedding of every call row.
    pub inputs: Vec<Input>,
    /// Call rows `0..soft_rows` are virtual tokens, the rest are tokens.
    pub soft_rows: usize,
    paths: Vec<PackedPath>,
}

#[derive(Clone, Debug)]
struct PackedPath {
    /// Call rows of the path's tokens, in order, as runs.
    runs: Vec<Range<usize>>,
    leaf: Option<NodeId>,
}

impl Packed {
    /// Call row of token `index` of sequence `path`.
    ///
    /// # Panics
    /// When the sequence is shorter than that.
    #[must_use]
    pub fn row(&self, path: usize, index: usize) -> usize {
        let mut left = index;
        for run in &self.paths[path].runs {
            if left < run.len() {
                return run.start + left;
            }
            left -= run.len();
        }
        panic!("token {index} is past the end of packed sequence {path}");
    }

    /// The node that ends exactly where sequence `path` ends (its own parent
    /// when the sequence added nothing); `None` for an empty sequence without
    /// a parent.
    #[must_use]
    pub fn leaf(&self, path: usize) -> Option<NodeId> {
        self.paths[path].leaf
    }
}

/// Packs `paths` below their parents, sharing soft prompts (by index) and
/// common token prefixes. `prompt_lengths[p]` is the number of virtual tokens
/// of prompt `p`. Soft prompts come first in the packing, so the rows that
/// want a gradient are the first ones.
#[must_use]
pub fn pack(forest: &mut Forest, prompt_lengths: &[usize], paths: &[Path<'_>]) -> Packed {
    let mut order: Vec<usize> = (0..paths.len()).collect();
    // Sequences below the same parent and prompt become neighbours, and among
    // them those with a common prefix do.
    order.sort_by(|&a, &b| {
        let key = |i: usize| (paths[i].parent, paths[i].prompt, paths[i].tokens);
        key(a).cmp(&key(b)).then(a.cmp(&b))
    });

    let mut packer = Packer {
        forest,
        paths,
        nodes: Vec::new(),
        inputs: Vec::new(),
        packed: vec![
            PackedPath {
                runs: Vec::new(),
                leaf: None
            };
            paths.len()
        ],
    };
    let groups: Vec<&[usize]> = order
        .chunk_by(|&a, &b| (paths[a].parent, paths[a].prompt) == (paths[b].parent, paths[b].prompt))
        .collect();
    let mut roots = Vec::with_capacity(groups.len());
    for group in &groups {
        let Path { parent, prompt, .. } = paths[group[0]];
        roots.push(match prompt {
            Some(prompt) => Some(packer.soft(parent, prompt, prompt_lengths[prompt])),
            None => parent,
        });
    }
    let soft_rows = packer.inputs.len();
    for (group, root) in groups.iter().zip(roots) {
        packer.grow(group, 0, root, &[]);
    }
    let call = Call::nodes(packer.forest, &packer.nodes);
    Packed {
        call,
        inputs: packer.inputs,
        soft_rows,
        paths: packer.packed,
    }
}

struct Packer<'f, 'p> {
    forest: &'f mut Forest,
    paths: &'p [Path<'p>],
    nodes: Vec<NodeId>,
    inputs: Vec<Input>,
    packed: Vec<PackedPath>,
}

impl Packer<'_, '_> {
    fn soft(&mut self, parent: Option<NodeId>, prompt: usize, len: usize) -> NodeId {
        let node = self.forest.add(parent, len);
        self.nodes.push(node);
        self.inputs
            .extend((0..len).map(|index| Input::Soft { prompt, index }));
        node
    }

    /// Adds the part of `group` (sorted, equal up to `depth`) after `depth`
    /// below `parent`. The recursion is as deep as the number of branchings on
    /// one path, at most the number of sequences.
    fn grow(
        &mut self,
        group: &[usize],
        depth: usize,
        parent: Option<NodeId>,
        runs: &[Range<usize>],
    ) {
        let first = self.paths[group[0]].tokens;
        let last = self.paths[group[group.len() - 1]].tokens;
        let common = first.iter().zip(last).take_while(|(a, b)| a == b).count();
        let mut runs = runs.to_vec();
        let mut parent = parent;
        if common > depth {
            let node = self.forest.add(parent, common - depth);
            let start = self.inputs.len();
            self.nodes.push(node);
            self.inputs
                .extend(first[depth..common].iter().map(|&t| Input::Token(t)));
            runs.push(start..self.inputs.len());
            parent = Some(node);
        }
        // Sorted order puts the sequences that end here first.
        let ended = group
            .iter()
            .take_while(|&&i| self.paths[i].tokens.len() == common)
            .count();
        for &path in &group[..ended] {
            self.packed[path] = PackedPath {
                runs: runs.clone(),
                leaf: parent,
            };
        }
        let paths = self.paths;
        for branch in
            group[ended..].chunk_by(|&a, &b| paths[a].tokens[common] == paths[b].tokens[common])
        {
            self.grow(branch, common, parent, &runs);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(prompt: Option<usize>, tokens: &[u32]) -> Path<'_> {
        Path {
            parent: None,
            prompt,
            tokens,
        }
    }

    #[test]
    fn common_prefixes_are_packed_once_and_rows_lead_back_to_their_tokens() {
        let sequences: [&[u32]; 5] = [&[1, 2, 3, 4], &[1, 2, 5], &[1, 2], &[9], &[1, 2, 3, 4]];
        let paths: Vec<Path<'_>> = sequences.iter().map(|s| path(Some(0), s)).collect();
        let mut forest = Forest::new();
        let packed = pack(&mut forest, &[3], &paths);
        // 3 virtual tokens, [1 2], [3 4], [5], [9].
        assert_eq!(packed.soft_rows, 3);
        assert_eq!(packed.inputs.len(), 3 + 2 + 2 + 1 + 1);
        let positions = packed.call.positions(&forest);
        for (p, sequence) in sequences.iter().enumerate() {
            for (j, &token) in sequence.iter().enumerate() {
                let row = packed.row(p, j);
                assert_eq!(packed.inputs[row], Input::Token(token));
                assert_eq!(positions[row], 3 + j, "position is the depth on the path");
            }
        }
        assert_eq!(
            packed.leaf(0),
            packed.leaf(4),
            "equal sequences end in one node"
        );
        assert_eq!(packed.leaf(2).map(|n| forest.end_position(n)), Some(5));
    }

    #[test]
    fn sequences_of_different_prompts_share_nothing() {
        let mut forest = Forest::new();
        let paths = [
            path(Some(0), &[1, 2]),
            path(Some(1), &[1, 2]),
            path(None, &[1, 2]),
        ];
        let packed = pack(&mut forest, &[2, 4], &paths);
        assert_eq!(packed.inputs.len(), 2 + 4 + 3 * 2);
        assert_eq!(packed.soft_rows, 6);
        let positions = packed.call.positions(&forest);
        let depths: Vec<usize> = (0..3).map(|p| positions[packed.row(p, 0)]).collect();
        assert_eq!(depths, [2, 4, 0]);
    }

    #[test]
    fn a_pinned_parent_is_continued() {
        let mut forest = Forest::new();
        let pinned = forest.add(None, 5);
        let mark = forest.mark();
        let tokens = [7, 8];
        let paths = [Path {
            parent: Some(pinned),
            prompt: None,
            tokens: &tokens,
        }];
        let packed = pack(&mut forest, &[], &paths);
        assert_eq!(packed.call.positions(&forest), [5, 6]);
        assert_eq!(packed.call.store_rows(&forest), [5, 6]);
        let leaf = packed.leaf(0).expect("the path has tokens");
        assert_eq!(forest.ancestors(leaf), vec![0..5]);
        forest.truncate(mark);
        assert_eq!(forest.rows(), 5);
    }
}
