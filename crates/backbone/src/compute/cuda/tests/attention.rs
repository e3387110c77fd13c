//! Attention over forests: all rows, some, and single ones as in generation.

use super::{HALF, assert_near, cuda, random, tensor, values};
use crate::compute::cuda::Cuda;
use crate::compute::{Backend, Cpu, Kind, Wanted};
use crate::forest::{Call, Forest, NodeId, Sight, Span};
use crate::layers::attention::Shape;
use crate::layers::rotary::Frequencies;

/// A prompt of `lengths[0]` rows, an instruction below it, examples below that,
/// and a second tree.
fn forest(lengths: &[usize]) -> (Forest, Call) {
    let mut forest = Forest::new();
    let root = forest.add(None, lengths[0]);
    let other = forest.add(None, lengths[1]);
    let mut nodes = vec![root, other];
    let instruction = forest.add(Some(root), lengths[2]);
    nodes.push(instruction);
    for (i, &length) in lengths[3..].iter().enumerate() {
        let parent: NodeId = [instruction, other, *nodes.last().unwrap_or(&root)][i % 3];
        nodes.push(forest.add(Some(parent), length));
    }
    let call = Call::nodes(&forest, &nodes);
    (forest, call)
}

/// One layer's attention over a forest.
struct Case {
    shape: Shape,
    kind: Kind,
    sinks: Option<Vec<f32>>,
    forest: Forest,
    call: Call,
    /// `[T, 2·kv_heads·h]`.
    keys_values: Vec<f32>,
    /// `[T, heads·h]`, of which fewer queries take the first.
    queries: Vec<f32>,
    d_values: Vec<f32>,
}

impl Case {
    fn new(shape: Shape, lengths: &[usize], sight: Sight, sinks: bool) -> Self {
        let (forest, call) = forest(lengths);
        let rows = call.rows();
        let half = 0..shape.head_dim / 2;
        Case {
            shape,
            kind: Kind {
                sight,
                frequencies: Frequencies {
                    inverse: half.map(|i| 0.7f32.powi(i as i32)).collect(),
                    magnitude: 1.0,
                },
                sinks,
            },
            sinks: sinks.then(|| random(shape.heads, 4)),
            forest,
            call,
            keys_values: random(rows * shape.key_value_width(), 1),
            queries: random(rows * shape.query_width(), 2),
            d_values: random(rows * shape.query_width(), 3),
        }
    }

    fn store<B: Backend>(&self, b: &B, layout: &B::Layout) -> B::KeysValues {
        let mut store = B::KeysValues::default();
        b.reserve(&mut store, self.shape, self.call.rows())
            .expect("it fits");
        let rows = tensor(b, &self.keys_values, self.shape.key_value_width());
        b.store_keys_values(self.shape, layout, &rows, &mut store)
            .expect("it runs");
        store
    }

    fn first_rows<B: Backend>(&self, b: &B, rows: &[f32], count: usize) -> B::Tensor {
        let width = self.shape.query_width();
        tensor(b, &rows[..count * width], width)
    }

    fn sinks<B: Backend>(&self, b: &B) -> Option<B::Vector> {
        let sinks = self.sinks.clone()?;
        Some(b.vector(sinks).expect("it fits"))
    }

    /// Values, and the gradients of the queries and of the keys and values.
    fn train<B: Backend>(&self, b: &B, selected: Option<&[usize]>, wanted: usize) -> Vec<Vec<f32>> {
        let (shape, kind) = (self.shape, &self.kind);
        let (forest, call) = (&self.forest, &self.call);
        let queries = selected.map_or(call.rows(), <[usize]>::len);
        let mut layout = b.layout(shape, forest, call, kind).expect("it runs");
        if let Some(selected) = selected {
            layout = b
                .select(&layout, shape, forest, call, selected, kind)
                .expect("it runs");
        }
        let (store, sinks) = (self.store(b, &layout), self.sinks(b));
        let x = self.first_rows(b, &self.queries, queries);
        let (out, kept) = b
            .attend(shape, &layout, x, &store, sinks.as_ref())
            .expect("it runs");
        let wanted = Wanted {
            queries: if selected.is_some() { queries } else { wanted },
            rows: wanted,
        };
        let d = self.first_rows(b, &self.d_values, queries);
        let (dq, d_kv) = b
            .attend_backward(shape, &layout, kept, &store, &d, wanted)
            .expect("it runs");
        vec![values(b, &out), values(b, &dq), values(b, &d_kv)]
    }

    /// Values of every node's last row.
    fn generate<B: Backend>(&self, b: &B) -> Vec<Vec<f32>> {
        let (shape, kind) = (self.shape, &self.kind);
        let last = |span: &Span| Span {
            node: span.node,
            offset: span.offset + span.len - 1,
            len: 1,
        };
        let call = Call {
            spans: self.call.spans.iter().map(last).collect(),
        };
        let whole = b.layout(shape, &self.forest, &self.call, kind);
        let (store, sinks) = (self.store(b, &whole.expect("it runs")), self.sinks(b));
        let layout = b.layout(shape, &self.forest, &call, kind);
        let x = self.first_rows(b, &self.queries, call.rows());
        let (out, _) = b
            .attend(shape, &layout.expect("it runs"), x, &store, sinks.as_ref())
            .expect("it runs");
        vec![values(b, &out)]
    }

    /// Compares both backends.
    fn check(&self, cuda: &Cuda) {
        let rows = self.call.rows();
        let what = format!(
            "attention {:?} {:?}, sinks {}, {rows} rows",
            self.shape,
            self.kind.sight,
            self.sinks.is_some()
        );
        let compare = |what: &str, got: Vec<Vec<f32>>, want: Vec<Vec<f32>>| {
            assert_eq!(got.len(), want.len());
            for (part, (got, want)) in got.iter().zip(&want).enumerate() {
                assert_near(&format!("{what} [{part}]"), got, want, HALF);
            }
        };
        let cpu = Cpu::default();
        let some: Vec<usize> = (0..rows).filter(|r| r % 7 == 3 || r + 1 == rows).collect();
        let prompt = self.call.spans[0].len;
        for (selected, wanted) in [(None, rows), (None, prompt), (Some(&*some), rows)] {
            compare(
                &format!("{what}, {:?} selected", selected.map(<[usize]>::len)),
                self.train(cuda, selected, wanted),
                self.train(&cpu, selected, wanted),
            );
        }
        let generated = (self.generate(cuda), self.generate(&cpu));
        compare(&format!("{what}, last rows"), generated.0, generated.1);
    }
}

fn shape(heads: usize, kv_heads: usize, head_dim: usize) -> Shape {
    Shape {
        heads,
        kv_heads,
        head_dim,
    }
}

const LENGTHS: [usize; 9] = [100, 7, 30, 64, 65, 1, 200, 33, 129];

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn cuda_attention() {
    let shapes = [
        (6, 2, 8),
        (4, 4, 16),
        (9, 3, 64),
        (8, 2, 128),
        (8, 1, 80),
        (2, 2, 256),
    ];
    for (heads, kv_heads, head_dim) in shapes {
        let cuda = cuda();
        for lengths in [&[3, 1, 1, 1], LENGTHS.as_slice()] {
            let shape = shape(heads, kv_heads, head_dim);
            Case::new(shape, lengths, Sight::default(), false).check(&cuda);
        }
    }
}

#[test]
#[ignore = "needs an NVIDIA GPU"]
fn cuda_attention_with_windows_and_sinks() {
    for (heads, kv_heads, head_dim) in [(64, 8, 64), (6, 2, 8), (4, 4, 16), (2, 2, 256)] {
        let cuda = cuda();
        let windows = [
            (None, 0),
            (Some(128), 0),
            (Some(33), 100),
            (Some(5), 3),
            (Some(70), 20),
        ];
        for (window, pinned) in windows {
            let sight = Sight { window, pinned };
            let shape = shape(heads, kv_heads, head_dim);
            Case::new(shape, &LENGTHS, sight, true).check(&cuda);
            Case::new(shape, &LENGTHS, sight, false).check(&cuda);
        }
    }
}
