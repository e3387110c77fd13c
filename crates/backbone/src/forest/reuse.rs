//! How rows come back: an answer that is finished, a batch that is done.

use super::{Forest, Mark, Node, NodeId, Span};

impl Forest {
    /// Whether a node of `capacity` tokens can be added without
    /// [`Forest::rows`] going past `most`.
    #[must_use]
    pub fn fits(&self, capacity: usize, most: usize) -> bool {
        self.rows.fits(capacity, most)
    }

    /// Has [`Forest::rows`] count so many more rows than are in use now, until
    /// the next [`Forest::truncate`]: the store grows once, not node by node.
    pub fn expect(&mut self, more: usize) {
        self.expected = self.rows.end() + more;
    }

    /// Divides a node after its first `len` tokens, so that others can continue
    /// these: they become a new node, which is returned, and `node` keeps the
    /// rest below it. No row moves.
    ///
    /// # Panics
    /// When either part would have no token.
    pub fn split(&mut self, node: NodeId, len: usize) -> NodeId {
        let lower = &mut self.nodes[node.0];
        assert!(0 < len && len < lower.len, "a part would be empty");
        let upper = Node {
            capacity: len,
            len,
            children: 1,
            ..lower.clone()
        };
        let id = NodeId(self.nodes.len());
        let lower = &mut self.nodes[node.0];
        lower.parent = Some(id);
        lower.start += len;
        lower.capacity -= len;
        lower.len -= len;
        lower.position += len;
        self.nodes.push(upper);
        id
    }

    /// Gives back the rows of a node and of those ancestors below `root` that
    /// nothing else continues.
    ///
    /// # Panics
    /// When something continues the node.
    pub fn release(&mut self, node: NodeId, root: Option<NodeId>) {
        assert_eq!(self.nodes[node.0].children, 0, "a node is still continued");
        let mut at = Some(node);
        while let Some(node) = at.filter(|&n| Some(n) != root && self.nodes[n.0].children == 0) {
            at = self.nodes[node.0].parent;
            self.drop_node(node);
        }
    }

    /// A node that ends at `position` on the path from `root` to `leaf`, for
    /// another sequence to continue; the one that goes on there is divided.
    ///
    /// # Panics
    /// When the position is not between the ends of `root` and `leaf`.
    pub fn until(&mut self, leaf: NodeId, root: Option<NodeId>, position: usize) -> Option<NodeId> {
        let end = root.map_or(0, |root| self.end_position(root));
        assert!(
            end <= position && position < self.end_position(leaf),
            "the position is not on the path"
        );
        if position == end {
            return root;
        }
        let mut at = leaf;
        loop {
            let node = &self.nodes[at.0];
            match node.parent {
                Some(parent) if node.position > position => at = parent,
                parent if node.position == position => return parent,
                _ => return Some(self.split(at, position - node.position)),
            }
        }
    }

    /// The tokens from `position` on of the path to `leaf`, from the root down.
    #[must_use]
    pub fn spans_from(&self, leaf: NodeId, position: usize) -> Vec<Span> {
        let mut spans = Vec::new();
        let mut at = Some(leaf);
        while let Some(node) = at.filter(|&n| self.end_position(n) > position) {
            let offset = position.saturating_sub(self.position(node));
            spans.push(Span {
                node,
                offset,
                len: self.range(node).len() - offset,
            });
            at = self.nodes[node.0].parent;
        }
        spans.reverse();
        spans
    }

    /// The present nodes, for [`Forest::truncate`].
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark {
            nodes: self.nodes.len(),
        }
    }

    /// Forgets every node added after `mark`.
    pub fn truncate(&mut self, mark: Mark) {
        for node in (mark.nodes..self.nodes.len()).rev() {
            if !self.nodes[node].released {
                self.drop_node(NodeId(node));
            }
        }
        self.nodes.truncate(mark.nodes);
        self.expected = 0;
    }

    fn drop_node(&mut self, node: NodeId) {
        let node = &mut self.nodes[node.0];
        node.released = true;
        let (rows, parent) = (node.start..node.start + node.capacity, node.parent);
        self.rows.give_back(rows);
        if let Some(parent) = parent {
            self.nodes[parent.0].children -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_divided_node_is_still_the_same_path() {
        let mut forest = Forest::new();
        let root = forest.add(None, 5);
        let leaf = forest.reserve(Some(root), 10);
        forest.grow(leaf, 7);
        let rows: Vec<usize> = forest.range(leaf).collect();
        assert_eq!(forest.until(leaf, Some(root), 5), Some(root));
        let upper = forest.until(leaf, Some(root), 8).expect("a node");
        assert_eq!(forest.until(leaf, Some(root), 8), Some(upper));
        let middle = forest.until(leaf, Some(root), 10).expect("a node");
        let first = forest.until(leaf, Some(root), 6).expect("a node");
        let path = [first, upper, middle, leaf];
        assert_eq!(path.map(|n| forest.position(n)), [5, 6, 8, 10]);
        let again: Vec<usize> = path.iter().flat_map(|&n| forest.range(n)).collect();
        assert_eq!(again, rows, "no row moved");
        assert_eq!(forest.ancestors(leaf), vec![0..10]);
        // Its room is where it was.
        forest.grow(leaf, 3);
        assert_eq!((forest.range(leaf), forest.rows()), (10..15, 15));
        let spans = |from| -> Vec<_> {
            let spans = forest.spans_from(leaf, from).into_iter();
            spans.map(|s| (s.node, s.offset, s.len)).collect()
        };
        assert_eq!(spans(14), [(leaf, 4, 1)]);
        assert_eq!(spans(9), [(middle, 1, 1), (leaf, 0, 5)]);
        assert_eq!(spans(5).len(), 4);
    }

    #[test]
    fn rows_come_back_when_nothing_continues_them() {
        let mut forest = Forest::new();
        let root = forest.add(None, 5);
        let mark = forest.mark();
        let a = forest.add(Some(root), 10);
        let shared = forest.until(a, Some(root), 9);
        let b = forest.add(shared, 6);
        assert_eq!(forest.rows(), 21);
        forest.release(a, Some(root));
        assert!(
            !forest.fits(7, 21) && forest.fits(6, 21),
            "4 shared rows stay"
        );
        forest.release(b, Some(root));
        assert_eq!(forest.rows(), 5);
        let c = forest.add(Some(root), 4);
        assert_eq!((forest.range(c), forest.position(c)), (5..9, 5));
        forest.until(c, Some(root), 7);
        forest.expect(20);
        assert_eq!(forest.rows(), 29);
        forest.add(Some(root), 25);
        assert_eq!(forest.rows(), 34);
        forest.truncate(mark);
        assert_eq!(forest.rows(), 5);
        forest.release(root, None);
        assert_eq!(forest.rows(), 0);
    }

    #[test]
    #[should_panic(expected = "still continued")]
    fn what_is_continued_stays() {
        let mut forest = Forest::new();
        let root = forest.add(None, 5);
        forest.add(Some(root), 1);
        forest.release(root, None);
    }
}
