use super::*;
use crate::buffer::Pool;
use crate::finite_difference::{assert_gradient, numbers};
use crate::forest::{Call, Forest, Plan, Sight, TILE_ROWS};
use crate::layers::rotary::{Frequencies, Rotation};
use crate::layers::vector::dot;

/// Sizes of heads with and without whole units of 16.
const SHAPES: [Shape; 2] = [
    Shape {
        heads: 4,
        kv_heads: 2,
        head_dim: 6,
    },
    Shape {
        heads: 2,
        kv_heads: 1,
        head_dim: 16,
    },
];

/// A root with two children, one of them with a child: 3 + 4 + 2 + 2 rows.
const ROWS: usize = 11;

fn forest() -> (Forest, Call) {
    let mut forest = Forest::new();
    let root = forest.add(None, 3);
    let left = forest.add(Some(root), 4);
    let right = forest.add(Some(root), 2);
    let leaf = forest.add(Some(left), 2);
    let call = Call::nodes(&forest, &[root, left, right, leaf]);
    (forest, call)
}

/// No turn at all: attention is tested without rotation.
fn still(rows: usize, shape: Shape) -> Rotation {
    Rotation::new(&vec![0; rows], &Frequencies::still(shape.head_dim))
}

/// A store of `[rows, 2 · kv_heads · h]` rows, in memory that was used before.
fn store(pool: &Pool, shape: Shape, rows: &[f32]) -> KeysValues {
    let count = rows.len() / shape.key_value_width();
    pool.take(2_000).fill(f32::NAN);
    let mut store = KeysValues::default();
    store.reserve(pool, shape, count);
    let at: Vec<usize> = (0..count).collect();
    store.put(shape, &still(count, shape), rows, &at);
    store
}

/// Output and log-sum-exps.
fn attend(
    shape: Shape,
    plan: &Plan,
    sinks: Option<&[f32]>,
    q: &[f32],
    kv: &[f32],
) -> (Vec<f32>, Vec<f32>) {
    let pool = Pool::default();
    let store = store(&pool, shape, kv);
    let mut out = vec![f32::NAN; q.len()];
    let mut sums = vec![f32::NAN; plan.queries * shape.heads];
    let still = still(plan.queries, shape);
    forward(
        shape,
        plan,
        &still,
        &mut q.to_vec(),
        &store,
        sinks,
        &mut out,
        &mut sums,
    );
    (out, sums)
}

/// Attention of one row over the rows that it sees, in f64.
fn defined(
    shape: Shape,
    sinks: Option<&[f32]>,
    q: &[f32],
    kv: &[f32],
    row: usize,
    seen: &[usize],
) -> Vec<f64> {
    let (h, width) = (shape.head_dim, shape.key_value_width());
    let mut out = Vec::new();
    for head in 0..shape.heads {
        let kv_head = head / shape.group();
        let q = &q[row * shape.query_width() + head * h..][..h];
        let key = |r: usize| &kv[r * width + kv_head * h..][..h];
        let value = |r: usize| &kv[r * width + width / 2 + kv_head * h..][..h];
        let product = |a: &[f32], b: &[f32]| -> f64 {
            let terms = a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b));
            terms.sum()
        };
        let weights: Vec<f64> = seen
            .iter()
            .map(|&r| (product(q, key(r)) / (h as f64).sqrt()).exp())
            .collect();
        let sink = sinks.map_or(0.0, |sinks| f64::from(sinks[head]).exp());
        let total = weights.iter().sum::<f64>() + sink;
        out.extend((0..h).map(|i| {
            let terms = seen.iter().zip(&weights);
            terms
                .map(|(&r, w)| w / total * f64::from(value(r)[i]))
                .sum::<f64>()
        }));
    }
    out
}

#[test]
fn agrees_with_the_definition_token_by_token() {
    let (forest, call) = forest();
    let plan = Plan::new(&forest, &call, None, TILE_ROWS, Sight::default());
    // Rows seen by each row, written out by hand.
    let seen: [&[usize]; ROWS] = [
        &[0],
        &[0, 1],
        &[0, 1, 2],
        &[0, 1, 2, 3],
        &[0, 1, 2, 3, 4],
        &[0, 1, 2, 3, 4, 5],
        &[0, 1, 2, 3, 4, 5, 6],
        &[0, 1, 2, 7],
        &[0, 1, 2, 7, 8],
        &[0, 1, 2, 3, 4, 5, 6, 9],
        &[0, 1, 2, 3, 4, 5, 6, 9, 10],
    ];
    for shape in SHAPES {
        let q = numbers(ROWS * shape.query_width(), 1);
        let kv = numbers(ROWS * shape.key_value_width(), 2);
        let (got, _) = attend(shape, &plan, None, &q, &kv);
        for (row, seen) in seen.iter().enumerate() {
            let want = defined(shape, None, &q, &kv, row, seen);
            let got = &got[row * shape.query_width()..][..want.len()];
            for (got, want) in got.iter().zip(want) {
                assert!((f64::from(*got) - want).abs() < 1e-5);
            }
        }
    }
}

/// Long enough for several blocks of keys and several tiles, with borders that
/// lie anywhere in the panels of keys.
#[test]
fn long_paths_agree_with_the_definition() {
    let mut forest = Forest::new();
    let root = forest.add(None, 555);
    let aside = forest.add(Some(root), 13);
    let branch = forest.add(Some(root), 600);
    let leaf = forest.add(Some(branch), 77);
    let call = Call::nodes(&forest, &[root, aside, branch, leaf]);
    let plan = Plan::new(&forest, &call, None, TILE_ROWS, Sight::default());
    let shape = SHAPES[0];
    let rows = 555 + 13 + 600 + 77;
    // Scores far apart make a running maximum that moves.
    let q: Vec<f32> = numbers(rows * shape.query_width(), 3)
        .iter()
        .map(|v| v * 8.0)
        .collect();
    let kv = numbers(rows * shape.key_value_width(), 4);
    let (got, _) = attend(shape, &plan, None, &q, &kv);
    for row in [0, 300, 554, 560, 568, 700, 1_167, 1_168, 1_244] {
        let seen: Vec<usize> = match row {
            0..568 => (0..=row).collect(),
            _ => (0..555).chain(568..=row).collect(),
        };
        let want = defined(shape, None, &q, &kv, row, &seen);
        let got = &got[row * shape.query_width()..][..want.len()];
        for (got, want) in got.iter().zip(want) {
            assert!(
                (f64::from(*got) - want).abs() < 1e-4,
                "row {row}: {got}, not {want}"
            );
        }
    }
}

/// Windows shorter and longer than blocks and tiles, rows that stay visible
/// beyond them, and sinks.
#[test]
fn windows_and_sinks_agree_with_the_definition() {
    let mut forest = Forest::new();
    let root = forest.add(None, 700);
    let aside = forest.add(Some(root), 13);
    let leaf = forest.add(Some(root), 90);
    let call = Call::nodes(&forest, &[root, aside, leaf]);
    let path: Vec<usize> = (0..700).chain(713..803).collect();
    let shape = SHAPES[0];
    let rows = 803;
    let q: Vec<f32> = numbers(rows * shape.query_width(), 5)
        .iter()
        .map(|v| v * 4.0)
        .collect();
    let kv = numbers(rows * shape.key_value_width(), 6);
    let sinks = [0.3, -2.0, 4.0, 1.0];
    for (window, pinned) in [(1, 0), (7, 0), (40, 5), (128, 100), (600, 33), (900, 5)] {
        let sight = Sight {
            window: Some(window),
            pinned,
        };
        for sinks in [None, Some(&sinks[..])] {
            let plan = Plan::new(&forest, &call, None, TILE_ROWS, sight);
            let (got, _) = attend(shape, &plan, sinks, &q, &kv);
            for row in [0, 1, 6, 32, 39, 40, 127, 300, 699, 713, 714, 760, 802] {
                let position = path.iter().position(|&r| r == row).expect("on the path");
                let near = |at: usize| at < pinned || at + window > position;
                let seen: Vec<usize> = (0..=position)
                    .filter(|&at| near(at))
                    .map(|at| path[at])
                    .collect();
                let want = defined(shape, sinks, &q, &kv, row, &seen);
                let got = &got[row * shape.query_width()..][..want.len()];
                for (got, want) in got.iter().zip(want) {
                    assert!(
                        (f64::from(*got) - want).abs() < 1e-4,
                        "{sight:?}, row {row}: {got}, not {want}"
                    );
                }
            }
        }
    }
}

#[test]
fn backward_is_the_derivative_for_all_rows_and_for_selected_queries() {
    let (forest, call) = forest();
    let sights = [(None, 0), (Some(3), 0), (Some(2), 2)];
    let sights = sights.map(|(window, pinned)| Sight { window, pinned });
    let selections = [(None, ROWS), (Some(vec![2, 4, 8, 10]), ROWS), (None, 3)];
    for shape in SHAPES {
        for (selected, wanted) in &selections {
            for sight in sights {
                // A tile of few rows has keys outside of every window.
                let tile = if sight.window.is_some() { 2 } else { TILE_ROWS };
                let plan = Plan::new(&forest, &call, selected.as_deref(), tile, sight);
                let sinks = sight.window.map(|_| vec![0.5; shape.heads]);
                check_gradients(shape, &plan, sinks.as_deref(), *wanted);
            }
        }
    }
}

fn check_gradients(shape: Shape, plan: &Plan, sinks: Option<&[f32]>, wanted: usize) {
    let (width, kv_width) = (shape.query_width(), shape.key_value_width());
    let q = numbers(plan.queries * width, 1);
    let kv = numbers(ROWS * kv_width, 2);
    let d_out = numbers(plan.queries * width, 4);
    let loss = |q: &[f32], kv: &[f32]| dot(&attend(shape, plan, sinks, q, kv).0, &d_out);
    let pool = Pool::default();
    let (_, log_sums) = attend(shape, plan, sinks, &q, &kv);
    let queries = if wanted < ROWS { wanted } else { plan.queries };
    let mut dq = vec![f32::NAN; queries * width];
    let mut d_kv = vec![f32::NAN; wanted * kv_width];
    let of = Backward {
        pool: &pool,
        shape,
        plan,
        q: &q,
        store: &store(&pool, shape, &kv),
        log_sums: &log_sums,
        d_out: &d_out,
        query_rotation: &still(plan.queries, shape),
        rotation: &still(ROWS, shape),
    };
    backward(&of, &mut dq, &mut d_kv);
    let put = |x: &[f32], part: &[f32]| [part, &x[part.len()..]].concat();
    assert_gradient(&q[..dq.len()], &dq, |part| loss(&put(&q, part), &kv));
    assert_gradient(&kv[..d_kv.len()], &d_kv, |part| loss(&q, &put(&kv, part)));
}
