"""What the fixture scripts share: where fixtures live, and how a reference run is made.

A reference run takes one sequence of token ids, the last N of which are the
targets, optionally behind a soft prompt, and yields what `metaprompt backbone
probe` writes: `hidden`, `logits`, `loss`, `input_grad`.
"""

from pathlib import Path

import torch
from safetensors.torch import save_file

ROOT = Path(__file__).resolve().parent.parent
BACKBONE_FIXTURES = ROOT / "crates/backbone/tests/fixtures"
TUNING_FIXTURES = ROOT / "crates/tuning/tests/fixtures"


def reference_run(model, tokens, target_count, prompt=None):
    """Runs `model` (any LLaMA for causal language modelling) on one sequence.

    tokens: [T] integer ids; the last `target_count` of them are the targets.
    prompt: [m, d] soft prompt put before them, or None (m = 0).
    Returns, in the model's own precision:
      hidden     [m + T, d]  final hidden states after the last norm
      logits     [N, vocab]  at the N positions that predict the targets
      loss       []          mean negative log-likelihood of the N targets
      input_grad [m + T, d]  d loss / d input embedding, the prompt's rows first
    """
    embedding = model.get_input_embeddings()
    inputs = embedding(tokens).detach()
    if prompt is not None:
        inputs = torch.cat([prompt.to(inputs.dtype), inputs])
    inputs.requires_grad_(True)
    hidden = model.model(inputs_embeds=inputs[None], use_cache=False).last_hidden_state[0]
    # The last position predicts a token that we don't have.
    logits = model.lm_head(hidden[-target_count - 1 : -1])
    loss = torch.nn.functional.cross_entropy(logits, tokens[-target_count:])
    (input_grad,) = torch.autograd.grad(loss, inputs)
    return {"hidden": hidden, "logits": logits, "loss": loss, "input_grad": input_grad}


def relative_error(a, b):
    """Largest absolute difference over the largest absolute value of `b`."""
    a, b = a.double(), b.double()
    return ((a - b).abs().max() / b.abs().max()).item()


def save(tensors, path):
    """Writes safetensors: floating point as f32, integers as i64, all contiguous."""
    ready = {}
    for name, tensor in tensors.items():
        kind = torch.float32 if tensor.is_floating_point() else torch.int64
        ready[name] = tensor.detach().to(kind).contiguous().clone()
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(ready, path)
    path.chmod(0o644)  # safetensors makes its files readable by their owner only
