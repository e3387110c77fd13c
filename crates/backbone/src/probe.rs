//! One sequence through the model, everything written down: how anyone can
//! hold a checkpoint against another implementation.

use crate::compute::ComputeError;
use crate::forest::{Forest, Path, pack};
use crate::layers::head::Label;
use crate::model::{Model, Outputs, Pass, Work};

/// What [`probe`] measures. Positions count the soft prompt first.
#[derive(Clone, Debug)]
pub struct Probe {
    /// Final hidden states after the last norm at every position, `[P, d]`.
    pub hidden: Vec<f32>,
    /// Logits at the positions that predict the targets, `[labels, vocabulary]`.
    pub logits: Vec<f32>,
    /// Mean negative log-likelihood of the targets.
    pub loss: f32,
    /// Gradient of that loss at every input embedding, `[P, d]`.
    pub input_grad: Vec<f32>,
}

/// Why a sequence can't be probed.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// A token id is outside the vocabulary.
    #[error(
        "token {index} has id {id}, but the vocabulary has {vocabulary} entries; check that the ids come from this backbone's tokenizer"
    )]
    Token {
        /// Index in the sequence.
        index: usize,
        /// Its id.
        id: u32,
        /// Size of the vocabulary.
        vocabulary: usize,
    },
    /// The number of labels doesn't fit the sequence.
    #[error(
        "{labels} labels asked for, but a sequence of {tokens} tokens {behind} can have 1 to {most}"
    )]
    Labels {
        /// Labels asked for.
        labels: usize,
        /// Tokens of the sequence.
        tokens: usize,
        /// Whether a prompt stands before it.
        behind: &'static str,
        /// Largest number possible.
        most: usize,
    },
    /// The soft prompt's width is not the model's.
    #[error(
        "the soft prompt holds {values} values, not a multiple of the backbone's hidden size {hidden}; it was made for another backbone"
    )]
    Prompt {
        /// Values in the prompt.
        values: usize,
        /// The model's hidden size.
        hidden: usize,
    },
    /// The sequence is longer than the model's context.
    #[error(
        "the sequence has {tokens} positions with its prompt, but the backbone's context is {context}"
    )]
    TooLong {
        /// Positions asked for.
        tokens: usize,
        /// Positions the model was made for.
        context: usize,
    },
    /// The processor could not do it.
    #[error(transparent)]
    Compute(#[from] ComputeError),
}

/// Runs `tokens`, optionally behind a soft prompt (`[m, d]`), with the last
/// `labels` tokens as targets.
///
/// # Errors
/// When tokens, prompt or labels don't fit the model or each other.
pub fn probe(
    model: &Model,
    tokens: &[u32],
    labels: usize,
    prompt: Option<&[f32]>,
) -> Result<Probe, ProbeError> {
    let config = model.config();
    let d = config.hidden_size;
    if let Some((index, &id)) = tokens
        .iter()
        .enumerate()
        .find(|&(_, &id)| id as usize >= config.vocab_size)
    {
        return Err(ProbeError::Token {
            index,
            id,
            vocabulary: config.vocab_size,
        });
    }
    let virtual_tokens = match prompt {
        Some(p) if p.is_empty() || p.len() % d != 0 => {
            return Err(ProbeError::Prompt {
                values: p.len(),
                hidden: d,
            });
        }
        Some(p) => p.len() / d,
        None => 0,
    };
    let positions = virtual_tokens + tokens.len();
    if positions > config.max_positions {
        return Err(ProbeError::TooLong {
            tokens: positions,
            context: config.max_positions,
        });
    }
    // The first position of all has nothing before it that could predict it.
    let most = if virtual_tokens > 0 {
        tokens.len()
    } else {
        tokens.len().saturating_sub(1)
    };
    if labels == 0 || labels > most {
        let behind = if virtual_tokens > 0 {
            "behind a soft prompt"
        } else {
            "without a soft prompt"
        };
        return Err(ProbeError::Labels {
            labels,
            tokens: tokens.len(),
            behind,
            most,
        });
    }

    let mut forest = Forest::new();
    let path = Path {
        parent: None,
        prompt: prompt.map(|_| 0),
        tokens,
    };
    let packed = pack(&mut forest, &[virtual_tokens], &[path]);
    let prompts = [prompt.unwrap_or_default()];
    let work = |outputs| Work {
        pass: Pass {
            forest: &forest,
            call: &packed.call,
            outputs,
        },
        inputs: &packed.inputs,
        prompts: &prompts,
    };

    let first = tokens.len() - labels;
    let labels: Vec<Label> = (first..tokens.len())
        .map(|t| Label {
            row: virtual_tokens + t - 1,
            token: tokens[t],
            weight: 1.0 / labels as f32,
        })
        .collect();
    let rows: Vec<usize> = labels.iter().map(|label| label.row).collect();
    let mut runner = model.runner();
    runner.run(work(Outputs::All))?;
    let hidden = runner.hidden()?;
    runner.run(work(Outputs::Rows(&rows)))?;
    let logits = runner.logits()?;
    drop(runner);
    let (losses, input_grad) = model.gradients(work(Outputs::All), &labels, None, positions)?;
    let loss = losses.nll.iter().map(|&l| f64::from(l)).sum::<f64>() / labels.len() as f64;
    Ok(Probe {
        hidden,
        logits,
        loss: loss as f32,
        input_grad,
    })
}
