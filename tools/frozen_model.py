"""Frozen models, with random weights or from files, and what they are called with, for measuring speed and memory."""

import torch
import transformers

from drawn_examples import SHAPES


def build_model(shape, dtype, device):
    """The base model with random weights, made on the device: no checkpoint is read."""
    settings = {"model_type": "llama"} | SHAPES[shape]
    config = transformers.AutoConfig.for_model(
        **settings, use_cache=False, bos_token_id=None, eos_token_id=None, pad_token_id=None
    )
    # gpt-oss's sinks are in no fused attention that torch itself has.
    attention = "eager" if settings["model_type"] == "gpt_oss" else "sdpa"
    with torch.device(device):
        model = transformers.AutoModelForCausalLM.from_config(
            config, dtype=dtype, attn_implementation=attention
        )
    generator = torch.Generator(device).manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.fill_(1.0)
            else:
                parameter.normal_(std=0.02, generator=generator)
    return model.requires_grad_(False)


def open_model(path, dtype, device):
    """The base model of a Hugging Face directory, or of a GGUF file (dequantized; needs the gguf package)."""
    folder, named = (path, {}) if path.is_dir() else (path.resolve().parent, {"gguf_file": path.name})
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype, attn_implementation="sdpa", **named
    )
    model.config.use_cache = False
    return model.to(device).requires_grad_(False)


def make_batch(examples, device):
    """What the model is called with: ids, mask and labels, padded on the right."""
    longest = max(len(example["context"]) + len(example["target"]) for example in examples)
    ids, mask, labels = [], [], []
    for example in examples:
        context, target = example["context"], example["target"]
        length = len(context) + len(target)
        padding = longest - length
        ids.append(context + target + [0] * padding)
        mask.append([1] * length + [0] * padding)
        labels.append([-100] * len(context) + target + [-100] * padding)
    batch = {"input_ids": ids, "attention_mask": mask, "labels": labels}
    return {name: torch.tensor(rows, device=device) for name, rows in batch.items()}
