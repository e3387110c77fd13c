//! The output head at labelled rows on the GPU.

use super::backend::Cuda;
use super::buffer::{Arg, Buffer, Grid};
use super::matmul::{Direction, Numbers};
use super::tensor::{Linear, Tensor, row_grid};
use crate::compute::Computed;
use crate::layers::head::{Distillation, Label, LabelLosses};

/// Bytes of logits that exist at the same time.
const LOGITS_BYTES: usize = 512 << 20;

/// Losses of labels, still on the device.
pub(crate) struct DeviceLosses {
    nll: Buffer<f32>,
    divergence: Option<Buffer<f32>>,
    squares: Option<Buffer<f32>>,
    labels: usize,
    hidden_size: usize,
}

/// Labels as arrays.
struct Arrays {
    tokens: Buffer<i32>,
    weights: Buffer<f32>,
}

impl Cuda {
    fn chunk_rows(output: &Linear) -> usize {
        // A multiple that keeps each chunk's first gradient aligned.
        (LOGITS_BYTES / (4 * output.outputs))
            .max(1)
            .next_multiple_of(64)
    }

    fn label_arrays(&self, labels: &[Label]) -> Computed<Arrays> {
        let tokens: Vec<i32> = labels.iter().map(|l| l.token.cast_signed()).collect();
        let weights: Vec<f32> = labels.iter().map(|l| l.weight).collect();
        Ok(Arrays {
            tokens: self.device.upload(&tokens)?,
            weights: self.device.upload(&weights)?,
        })
    }

    /// f32 logits of all rows of `x`.
    pub(crate) fn logits_of(&self, output: &Linear, x: &Tensor) -> Computed<Buffer<f32>> {
        let logits = self.device.alloc(x.rows * output.outputs)?;
        self.product(
            Direction::Forward,
            output,
            x,
            logits.address(),
            Numbers::Full,
            None,
        )?;
        Ok(logits)
    }

    pub(crate) fn losses_at(
        &self,
        output: &Linear,
        hidden: &Tensor,
        labels: &[Label],
        distillation: Option<Distillation<'_>>,
        gradient: bool,
    ) -> Computed<(DeviceLosses, Option<Tensor>)> {
        let (device, d, vocabulary) = (&self.device, output.inputs, output.outputs);
        let count = labels.len();
        let fits = |l: &Label| l.row < hidden.rows && (l.token as usize) < vocabulary;
        assert!(labels.iter().all(fits), "labels within rows and vocabulary");
        let teachers = distillation.map_or(count * d, |t| t.teacher.len());
        assert_eq!(teachers, count * d, "a teacher's state for each label");
        let nll: Buffer<f32> = device.alloc(count)?;
        let with_teacher = |len| distillation.map(|_| device.alloc::<f32>(len)).transpose();
        let (divergence, squares) = (with_teacher(count)?, with_teacher(count)?);
        let teacher = distillation.map(|t| device.upload(t.teacher)).transpose()?;
        let arrays = self.label_arrays(labels)?;
        let d_rows: Option<Buffer<f32>> = gradient.then(|| device.alloc(count * d)).transpose()?;
        let chunk = Self::chunk_rows(output);
        for (index, labels) in labels.chunks(chunk).enumerate() {
            let (first, rows) = (index * chunk, labels.len());
            let of_rows: Vec<usize> = labels.iter().map(|l| l.row).collect();
            let logits = self.logits_of(output, &self.gather_rows(hidden, &of_rows)?)?;
            let d_logits = gradient
                .then(|| self.tensor(rows, vocabulary))
                .transpose()?;
            let at = |buffer: &Buffer<f32>| Arg::Address(buffer.address() + 4 * first as u64);
            let d_logits_at = d_logits.as_ref().map_or(Arg::Address(0), Arg::from);
            let tokens = Arg::Address(arrays.tokens.address() + 4 * first as u64);
            match (distillation, &teacher, &divergence) {
                (Some(t), Some(teacher), Some(divergence)) => {
                    let teacher = self.to_half(teacher, first * d, rows, d)?;
                    let teacher_logits = self.logits_of(output, &teacher)?;
                    let args = [
                        at(&nll),
                        at(divergence),
                        d_logits_at,
                        (&logits).into(),
                        (&teacher_logits).into(),
                        tokens,
                        at(&arrays.weights),
                        t.temperature.into(),
                        t.weight.into(),
                        vocabulary.into(),
                    ];
                    let grid = Grid::new(rows, 512).moving(10 * rows * vocabulary);
                    device.launch("distillation", grid, &args)?;
                }
                _ => {
                    let args = [
                        at(&nll),
                        d_logits_at,
                        (&logits).into(),
                        tokens,
                        at(&arrays.weights),
                        vocabulary.into(),
                    ];
                    let grid = Grid::new(rows, 512).moving(6 * rows * vocabulary);
                    device.launch("cross_entropy", grid, &args)?;
                }
            }
            if let (Some(d_logits), Some(d_rows)) = (&d_logits, &d_rows) {
                let to = d_rows.address() + 4 * (first * d) as u64;
                self.product(
                    Direction::Backward,
                    output,
                    d_logits,
                    to,
                    Numbers::Full,
                    None,
                )?;
            }
        }
        // The hidden states' error is needed without a gradient as well.
        let d_hidden = match (&d_rows, &teacher) {
            (None, None) => None,
            _ => Some(self.collect(
                hidden,
                labels,
                d_rows.as_ref(),
                &arrays,
                teacher.as_ref().zip(squares.as_ref()),
                distillation.map_or(0.0, |t| t.hidden_weight),
            )?),
        };
        let losses = DeviceLosses {
            nll,
            divergence,
            squares,
            labels: count,
            hidden_size: d,
        };
        Ok((losses, d_hidden.filter(|_| gradient)))
    }

    /// Sums the labels' gradients by hidden row, in label order, and adds the
    /// hidden states' error.
    fn collect(
        &self,
        hidden: &Tensor,
        labels: &[Label],
        d_rows: Option<&Buffer<f32>>,
        arrays: &Arrays,
        teacher: Option<(&Buffer<f32>, &Buffer<f32>)>,
        factor: f32,
    ) -> Computed<Tensor> {
        let (device, d) = (&self.device, hidden.columns);
        let mut order: Vec<i32> = (0..labels.len() as i32).collect();
        order.sort_by_key(|&label| labels[label as usize].row);
        let mut begin = vec![0i32; hidden.rows + 1];
        labels.iter().for_each(|label| begin[label.row + 1] += 1);
        for row in 0..hidden.rows {
            begin[row + 1] += begin[row];
        }
        let zeros;
        let d_rows = if let Some(d_rows) = d_rows {
            d_rows
        } else {
            zeros = device.upload(&vec![0.0f32; labels.len() * d])?;
            &zeros
        };
        let (begin, order) = (device.upload(&begin)?, device.upload(&order)?);
        let d_hidden = self.tensor(hidden.rows, d)?;
        let null = Arg::Address(0);
        let args = [
            (&d_hidden).into(),
            teacher.map_or(null, |(_, squares)| squares.into()),
            d_rows.into(),
            hidden.into(),
            teacher.map_or(null, |(teacher, _)| teacher.into()),
            (&begin).into(),
            (&order).into(),
            (&arrays.weights).into(),
            factor.into(),
            d.into(),
        ];
        let grid = row_grid(hidden.rows, d).moving(4 * labels.len() * d);
        device.launch("collect_label_gradients", grid, &args)?;
        Ok(d_hidden)
    }

    pub(crate) fn download_losses(&self, losses: &DeviceLosses) -> Computed<LabelLosses> {
        let read = |buffer: &Option<Buffer<f32>>| match buffer {
            Some(buffer) => self.device.download(buffer, losses.labels),
            None => Ok(Vec::new()),
        };
        let mut hidden = read(&losses.squares)?;
        hidden
            .iter_mut()
            .for_each(|square| *square /= losses.hidden_size as f32);
        Ok(LabelLosses {
            nll: self.device.download(&losses.nll, losses.labels)?,
            divergence: read(&losses.divergence)?,
            hidden,
        })
    }

    pub(crate) fn log_likelihood_at(
        &self,
        output: &Linear,
        hidden: &Tensor,
        labels: &[Label],
    ) -> Computed<Vec<f32>> {
        let (losses, _) = self.losses_at(output, hidden, labels, None, false)?;
        let mut nll = self.device.download(&losses.nll, labels.len())?;
        nll.iter_mut().for_each(|x| *x = -*x);
        Ok(nll)
    }

    pub(crate) fn most_likely_tokens(
        &self,
        output: &Linear,
        hidden: &Tensor,
    ) -> Computed<Vec<u32>> {
        let mut tokens = Vec::with_capacity(hidden.rows);
        let chunk = Self::chunk_rows(output);
        let mut first = 0;
        while first < hidden.rows {
            let rows = chunk.min(hidden.rows - first);
            let part;
            let some = if rows == hidden.rows {
                hidden
            } else {
                let rows: Vec<usize> = (first..first + rows).collect();
                part = self.gather_rows(hidden, &rows)?;
                &part
            };
            let logits = self.logits_of(output, some)?;
            let best: Buffer<i32> = self.device.alloc(rows)?;
            let args = [(&best).into(), (&logits).into(), output.outputs.into()];
            let grid = Grid::new(rows, 512).moving(4 * rows * output.outputs);
            self.device.launch("argmax", grid, &args)?;
            let best = self.device.download(&best, rows)?;
            tokens.extend(best.into_iter().map(i32::cast_unsigned));
            first += rows;
        }
        Ok(tokens)
    }
}
