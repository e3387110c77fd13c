"""LLaMA models with random weights and batches of drawn examples, for measuring speed and memory."""

import json

import torch
import transformers

SHAPES = {
    "llama-3.1-8b": dict(
        hidden_size=4096, intermediate_size=14336, num_hidden_layers=32, num_attention_heads=32,
        num_key_value_heads=8, vocab_size=128256, rms_norm_eps=1e-5, tie_word_embeddings=False,
        max_position_embeddings=131072,
        rope_parameters=dict(rope_type="llama3", rope_theta=500000.0, factor=8.0, low_freq_factor=1.0,
                             high_freq_factor=4.0, original_max_position_embeddings=8192),
    ),
    "smollm2-135m": dict(
        hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9,
        num_key_value_heads=3, vocab_size=49152, rms_norm_eps=1e-5, tie_word_embeddings=True,
        max_position_embeddings=8192, rope_parameters=dict(rope_type="default", rope_theta=100000.0),
    ),
    "tiny": dict(
        hidden_size=256, intermediate_size=512, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, vocab_size=1024, rms_norm_eps=1e-5, tie_word_embeddings=False,
        max_position_embeddings=8192, rope_parameters=dict(rope_type="default", rope_theta=10000.0),
    ),
}


def build_model(shape, dtype, device):
    """The base model with random weights, made on the device: no checkpoint is read."""
    config = transformers.LlamaConfig(
        **SHAPES[shape], use_cache=False, bos_token_id=None, eos_token_id=None, pad_token_id=None
    )
    with torch.device(device):
        model = transformers.AutoModelForCausalLM.from_config(
            config, dtype=dtype, attn_implementation="sdpa"
        )
    generator = torch.Generator(device).manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.fill_(1.0)
            else:
                parameter.normal_(std=0.02, generator=generator)
    return model.requires_grad_(False)


def draw_examples(count, length, targets, shared_prefix, vocabulary):
    """Examples of `length` tokens, `targets` of them targets, that begin with the same `shared_prefix` tokens.

    x <- 6364136223846793005 x + 1442695040888963407 mod 2^64, starting from x = 1;
    token = (x >> 33) mod vocabulary; the shared prefix is drawn first, once.
    """
    state = 1

    def draw(number):
        nonlocal state
        tokens = []
        for _ in range(number):
            state = (6364136223846793005 * state + 1442695040888963407) % 2**64
            tokens.append((state >> 33) % vocabulary)
        return tokens

    prefix = draw(shared_prefix)
    examples = []
    for _ in range(count):
        tokens = prefix + draw(length - shared_prefix)
        examples.append({"context": tokens[:-targets], "target": tokens[-targets:]})
    return examples


def load_examples(path, count, vocabulary):
    """The first `count` examples of `{"examples": [{"context": [ids], "target": [ids]}]}`."""
    examples = json.loads(path.read_text())["examples"][:count]
    if len(examples) < count:
        raise SystemExit(f"{path}: {len(examples)} examples where {count} are needed")
    if any(not 0 <= token < vocabulary for example in examples for token in example["context"] + example["target"]):
        raise SystemExit(f"{path}: a token outside the vocabulary of {vocabulary}")
    return examples


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
