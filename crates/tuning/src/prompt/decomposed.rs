//! The decomposed multitask prompt: `P̂_k = P* ∘ (u_k v_k)` with a shared
//! `P* ∈ R^{m×d}`, `u_k ∈ R^{m×r}`, `v_k ∈ R^{r×d}` (Wang et al., section 3).

use super::PromptMethod;
use crate::Parameter;
use crate::random::{generator, normal};

/// How a task's pair of vectors starts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum VectorInit {
    /// `u_k v_k` is one plus noise of about this size, so that `P̂_k` starts
    /// at `P*`.
    NearOne(f32),
    /// Both factors are noise of this size, so that `P̂_k` starts near zero
    /// (what the Hugging Face library does).
    NearZero(f32),
}

/// A shared prompt with one pair of factors per task.
#[derive(Clone, Debug)]
pub struct Decomposed {
    /// `P*` `[m, d]`, `u` `[tasks, m, r]`, `v` `[tasks, r, d]`.
    parameters: [Parameter; 3],
    length: usize,
    hidden_size: usize,
    rank: usize,
}

const SHARED: usize = 0;
const COLS: usize = 1;
const ROWS: usize = 2;

impl Decomposed {
    /// Fresh factors for `tasks` tasks of rank `rank` around `shared` (`[m, d]`).
    #[must_use]
    pub fn new(
        shared: Vec<f32>,
        hidden_size: usize,
        tasks: usize,
        rank: usize,
        init: VectorInit,
        seed: u64,
    ) -> Self {
        let length = shared.len() / hidden_size;
        let draw = |index: u64, count: usize, mean: f32, noise: f32| -> Vec<f32> {
            let mut random = generator(seed, "task vectors", index);
            (0..count)
                .map(|_| mean + noise * normal(&mut random))
                .collect()
        };
        let (mean, noise) = match init {
            // A sum of r products of factors of 1/√r is one.
            VectorInit::NearOne(noise) => (1.0 / (rank as f32).sqrt(), noise),
            VectorInit::NearZero(noise) => (0.0, noise),
        };
        let cols = draw(0, tasks * length * rank, mean, noise);
        let rows = draw(1, tasks * rank * hidden_size, mean, noise);
        Self::from_parts(shared, cols, rows, hidden_size, rank)
    }

    /// A decomposed prompt of given values: `shared` `[m, d]`, `cols`
    /// `[tasks, m, r]`, `rows` `[tasks, r, d]`.
    ///
    /// # Panics
    /// When the lengths don't fit each other.
    #[must_use]
    pub fn from_parts(
        shared: Vec<f32>,
        cols: Vec<f32>,
        rows: Vec<f32>,
        hidden_size: usize,
        rank: usize,
    ) -> Self {
        let length = shared.len() / hidden_size;
        let tasks = rows.len() / (rank * hidden_size);
        Decomposed {
            parameters: [
                Parameter::new("prompt_embeddings", vec![length, hidden_size], shared, 0.0),
                Parameter::new("prefix_task_cols", vec![tasks, length, rank], cols, 0.0),
                Parameter::new(
                    "prefix_task_rows",
                    vec![tasks, rank, hidden_size],
                    rows,
                    0.0,
                ),
            ],
            length,
            hidden_size,
            rank,
        }
    }

    /// Sets the peak learning rates of the shared prompt and of the vectors
    /// (0 freezes).
    #[must_use]
    pub fn with_rates(mut self, shared: f32, vectors: f32) -> Self {
        for (parameter, rate) in self.parameters.iter_mut().zip([shared, vectors, vectors]) {
            parameter.learning_rate = rate;
        }
        self
    }

    /// Number of tasks.
    #[must_use]
    pub fn tasks(&self) -> usize {
        self.parameters[COLS].shape[0]
    }

    /// Rank of the factors.
    #[must_use]
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// The shared prompt `P*`, `[m, d]`.
    #[must_use]
    pub fn shared(&self) -> &[f32] {
        &self.parameters[SHARED].value
    }

    /// A task's `u_k` (`[m, r]`) and `v_k` (`[r, d]`).
    #[must_use]
    pub fn vectors(&self, task: usize) -> (&[f32], &[f32]) {
        let (u, v) = (self.length * self.rank, self.rank * self.hidden_size);
        (
            &self.parameters[COLS].value[task * u..(task + 1) * u],
            &self.parameters[ROWS].value[task * v..(task + 1) * v],
        )
    }

    /// The metaprompt for one new task: the same `P*` with the mean of the
    /// given tasks' vectors.
    ///
    /// # Panics
    /// When `tasks` is empty.
    #[must_use]
    pub fn for_new_task(&self, tasks: &[usize]) -> Self {
        let mean = |pick: &dyn Fn(usize) -> Vec<f32>| -> Vec<f32> {
            let mut sum = pick(tasks[0]);
            for &task in &tasks[1..] {
                for (s, x) in sum.iter_mut().zip(pick(task)) {
                    *s += x;
                }
            }
            sum.iter().map(|s| s / tasks.len() as f32).collect()
        };
        let cols = mean(&|task| self.vectors(task).0.to_vec());
        let rows = mean(&|task| self.vectors(task).1.to_vec());
        Self::from_parts(
            self.shared().to_vec(),
            cols,
            rows,
            self.hidden_size,
            self.rank,
        )
    }

    /// `u v` of a task, `[m, d]`.
    fn scale(&self, task: usize) -> Vec<f32> {
        let (u, v) = self.vectors(task);
        let mut scale = vec![0.0; self.length * self.hidden_size];
        for (u, row) in u
            .chunks_exact(self.rank)
            .zip(scale.chunks_exact_mut(self.hidden_size))
        {
            for (&u, v) in u.iter().zip(v.chunks_exact(self.hidden_size)) {
                for (s, &v) in row.iter_mut().zip(v) {
                    *s += u * v;
                }
            }
        }
        scale
    }
}

impl PromptMethod for Decomposed {
    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn parameters_mut(&mut self) -> &mut [Parameter] {
        &mut self.parameters
    }

    fn prompt(&self, task: usize) -> Vec<f32> {
        self.shared()
            .iter()
            .zip(self.scale(task))
            .map(|(p, s)| p * s)
            .collect()
    }

    /// `dP* += dP̂ ∘ (u v)`; with `W = dP̂ ∘ P*`: `du += W vᵀ`, `dv += uᵀ W`.
    fn backward_add(&mut self, task: usize, d_prompt: &[f32]) {
        let (r, d) = (self.rank, self.hidden_size);
        let scale = self.scale(task);
        let w: Vec<f32> = d_prompt
            .iter()
            .zip(self.shared())
            .map(|(g, p)| g * p)
            .collect();
        let (u, v) = self.vectors(task);
        let (mut du, mut dv) = (vec![0.0; u.len()], vec![0.0; v.len()]);
        for (i, w) in w.chunks_exact(d).enumerate() {
            for k in 0..r {
                du[i * r + k] = w
                    .iter()
                    .zip(&v[k * d..(k + 1) * d])
                    .map(|(w, v)| w * v)
                    .sum();
                for (dv, w) in dv[k * d..(k + 1) * d].iter_mut().zip(w) {
                    *dv += u[i * r + k] * w;
                }
            }
        }
        let add = |sum: &mut [f32], x: &[f32]| sum.iter_mut().zip(x).for_each(|(s, x)| *s += x);
        for ((sum, g), s) in self.parameters[SHARED]
            .gradient
            .iter_mut()
            .zip(d_prompt)
            .zip(scale)
        {
            *sum += g * s;
        }
        add(&mut self.parameters[COLS].gradient[task * du.len()..], &du);
        add(&mut self.parameters[ROWS].gradient[task * dv.len()..], &dv);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_at_the_shared_prompt_to_the_noise() {
        let shared: Vec<f32> = (0..12).map(|i| i as f32 - 5.5).collect();
        for rank in [1, 3] {
            let prompt = Decomposed::new(shared.clone(), 4, 2, rank, VectorInit::NearOne(1e-3), 7);
            for task in 0..2 {
                for (got, want) in prompt.prompt(task).iter().zip(&shared) {
                    assert!(
                        (got - want).abs() < 0.02 * want.abs(),
                        "{got} is not near {want}"
                    );
                }
            }
            assert_ne!(
                prompt.prompt(0),
                prompt.prompt(1),
                "tasks differ by their noise"
            );
        }
        let zero = Decomposed::new(shared, 4, 1, 1, VectorInit::NearZero(1e-3), 7);
        assert!(zero.prompt(0).iter().all(|p| p.abs() < 1e-4));
    }

    #[test]
    fn gradients_agree_with_differences() {
        let numbers = |n: usize, seed| {
            let mut random = generator(seed, "test", 0);
            (0..n).map(|_| normal(&mut random)).collect::<Vec<f32>>()
        };
        let (m, d, r) = (3, 5, 2);
        let mut prompt = Decomposed::from_parts(
            numbers(m * d, 1),
            numbers(2 * m * r, 2),
            numbers(2 * r * d, 3),
            d,
            r,
        );
        let d_prompt = numbers(m * d, 4);
        prompt.backward_add(1, &d_prompt);
        let loss = |p: &Decomposed| -> f64 {
            p.prompt(1)
                .iter()
                .zip(&d_prompt)
                .map(|(a, b)| f64::from(a * b))
                .sum()
        };
        for which in 0..3 {
            for i in 0..prompt.parameters[which].value.len() {
                let mut shifted = prompt.clone();
                shifted.parameters[which].value[i] += 1e-2;
                let up = loss(&shifted);
                shifted.parameters[which].value[i] -= 2e-2;
                let difference = (up - loss(&shifted)) / 2e-2;
                let gradient = f64::from(prompt.parameters[which].gradient[i]);
                assert!(
                    (difference - gradient).abs() < 2e-3,
                    "{which} {i}: {difference} {gradient}"
                );
            }
        }
    }

    #[test]
    fn a_new_task_starts_from_the_mean_vectors() {
        let prompt = Decomposed::from_parts(
            vec![1.0; 4],
            vec![1.0, 2.0, 3.0, 4.0],
            vec![1.0, 1.0, 3.0, 5.0],
            2,
            1,
        );
        let new = prompt.for_new_task(&[0, 1]);
        assert_eq!(new.vectors(0), (&[2.0, 3.0][..], &[2.0, 3.0][..]));
        assert_eq!(new.prompt(0), [4.0, 6.0, 6.0, 9.0]);
    }
}
