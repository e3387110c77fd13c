"""Tiny random LLaMA checkpoints, and what Hugging Face transformers computes with them.

    python tools/make_llama_fixtures.py

writes crates/backbone/tests/fixtures/llama-*/ (layout: the README.md there).
Every value follows from the seeds below. Reference values are computed in f64
(transformers keeps its own f32 islands: norm statistics, softmax, rotary
angles) and rounded to f32; the script fails if a plain f32 run differs by more
than a tenth of the tolerance that the Rust tests use, because then a fixture
would test rounding luck.
"""

import json
import math
import shutil

import torch
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.utils.logging import disable_progress_bar

from reference import BACKBONE_FIXTURES, reference_run, relative_error, save

TOLERANCE = 1e-4
PROMPT_LENGTH = 5
TARGET_COUNT = 6

# hidden 48 = 6 query heads of 8; 2 key/value heads, so 3 query heads share one.
BASE = dict(
    hidden_size=48,
    intermediate_size=80,
    num_hidden_layers=3,
    num_attention_heads=6,
    num_key_value_heads=2,
    head_dim=8,
    vocab_size=160,
    max_position_embeddings=128,
    rms_norm_eps=1e-5,
    rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
    tie_word_embeddings=True,
    attention_bias=False,
    mlp_bias=False,
    bos_token_id=1,
    eos_token_id=2,
)

# Base 40 over 4 frequencies gives wavelengths 6.3, 15.8, 39.7 and 99.9; with the
# limits 32 / 4 = 8 and 32 / 1 = 32 they fall into all three branches of the rule.
LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 40.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}

# name -> (seed, configuration changes, sequence length, storage type, shard size)
VARIANTS = {
    "llama-gqa": (11, {}, 40, torch.float32, None),
    # A large epsilon, so that an implementation with another one is caught.
    "llama-untied": (
        12,
        dict(
            tie_word_embeddings=False,
            rms_norm_eps=1e-2,
            rope_parameters={"rope_type": "default", "rope_theta": 500.0},
        ),
        40,
        torch.float32,
        None,
    ),
    "llama-rope-llama3": (13, dict(rope_parameters=LLAMA3_ROPE), 60, torch.float32, None),
    "llama-biases": (14, dict(attention_bias=True, mlp_bias=True), 40, torch.float32, None),
    "llama-headdim": (15, dict(head_dim=12), 40, torch.float32, None),
    "llama-bf16-sharded": (16, dict(tie_word_embeddings=False), 40, torch.bfloat16, "40KB"),
    "llama-f16": (17, {}, 40, torch.float16, None),
}

# Published checkpoints made before transformers 5 spell the rotary settings as
# `rope_theta` + `rope_scaling`; these fixtures are rewritten that way.
LEGACY_ROPE = {"llama-untied", "llama-biases"}
# This one keeps its own spelling and has the older one beside it.
LEGACY_BESIDE = {"llama-rope-llama3"}


def build(seed, changes):
    """A model whose every parameter is drawn from `seed`."""
    config = LlamaConfig(**{**BASE, **changes})
    config._attn_implementation = "eager"
    model = LlamaForCausalLM(config).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if name.endswith("norm.weight"):
                parameter.copy_(1.0 + 0.2 * noise)
            elif "embed_tokens" in name or "lm_head" in name:
                parameter.copy_(0.4 * noise)
            elif name.endswith("bias"):
                parameter.copy_(0.3 * noise)
            else:
                parameter.copy_(0.2 * noise)
    return model.requires_grad_(False), generator


def legacy_config(text):
    """The same configuration in the spelling of transformers 4."""
    config = json.loads(text)
    rope = config.pop("rope_parameters")
    config["rope_theta"] = rope.pop("rope_theta")
    config["rope_scaling"] = None if rope["rope_type"] == "default" else rope
    config["torch_dtype"] = config.pop("dtype")
    return json.dumps(config, indent=2, sort_keys=True) + "\n"


def check_llama3_branches():
    """All three branches of the rule must be reached, or the fixture shows little."""
    half, rope = BASE["head_dim"] // 2, LLAMA3_ROPE
    original = rope["original_max_position_embeddings"]
    seen = set()
    for i in range(half):
        wavelength = 2 * math.pi * rope["rope_theta"] ** (i / half)
        if wavelength < original / rope["high_freq_factor"]:
            seen.add("kept")
        elif wavelength > original / rope["low_freq_factor"]:
            seen.add("divided")
        else:
            seen.add("blended")
    assert seen == {"kept", "divided", "blended"}, seen


def describe(model, tokens):
    """How far from trivial a model is: spread of its logits, entropy of its attention."""
    with torch.no_grad():
        out = model(tokens[None], output_attentions=True)
    last = torch.stack(out.attentions)[:, 0, :, -1]
    entropy = -(last * last.clamp_min(1e-12).log()).sum(-1) / math.log(len(tokens))
    return f"logit std {out.logits.std().item():.2f}, attention entropy {entropy.mean().item():.2f}"


def make(name, seed, changes, length, storage, shard_size):
    folder = BACKBONE_FIXTURES / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    model, generator = build(seed, changes)
    tokens = torch.randint(3, BASE["vocab_size"], (length,), generator=generator)
    prompt = 0.4 * torch.randn(PROMPT_LENGTH, BASE["hidden_size"], generator=generator)

    model = model.to(storage)
    model.save_pretrained(folder, **({"max_shard_size": shard_size} if shard_size else {}))
    (folder / "generation_config.json").unlink(missing_ok=True)
    config_path = folder / "config.json"
    if name in LEGACY_ROPE:
        config_path.write_text(legacy_config(config_path.read_text()))
    if name in LEGACY_BESIDE:
        (folder / "config.legacy.json").write_text(legacy_config(config_path.read_text()))

    # From disk again: the reference is of the files, not of what was in memory.
    load = dict(dtype=torch.float32, attn_implementation="eager")
    single = LlamaForCausalLM.from_pretrained(folder, **load).requires_grad_(False).eval()
    for key, value in model.state_dict().items():
        assert torch.equal(value.float(), single.state_dict()[key]), key
    assert single.config.rope_parameters == model.config.rope_parameters
    if (folder / "config.legacy.json").exists():
        older = LlamaConfig(**json.loads((folder / "config.legacy.json").read_text()))
        assert older.rope_parameters == single.config.rope_parameters, older.rope_parameters

    stored = {"tokens": tokens, "labels": torch.tensor([TARGET_COUNT])}
    runs = {"plain": None, "prompted": prompt}
    f32 = {key: reference_run(single, tokens, TARGET_COUNT, value) for key, value in runs.items()}
    summary = describe(single, tokens)
    double = single.double()
    worst = 0.0
    for key, value in runs.items():
        for tensor, reference in reference_run(double, tokens, TARGET_COUNT, value).items():
            worst = max(worst, relative_error(f32[key][tensor], reference))
            stored[f"{key}.{tensor}"] = reference
    assert worst < TOLERANCE / 10, f"{name}: f32 and f64 differ by {worst:.1e}"
    save(stored, folder / "reference.safetensors")
    save({"prompt_embeddings": prompt}, folder / "prompt.safetensors")
    (folder / "tokens.json").write_text(json.dumps(tokens.tolist()) + "\n")

    for file in folder.iterdir():
        file.chmod(0o644)  # safetensors makes its files readable by their owner only
    size = sum(file.stat().st_size for file in folder.iterdir())
    losses = ", ".join(f"{key} loss {stored[f'{key}.loss'].item():.4f}" for key in runs)
    print(f"{name}: {size / 1000:.0f} kB, {losses}, {summary}, f32 to f64 {worst:.1e}")


def main():
    torch.set_num_threads(1)
    disable_progress_bar()
    check_llama3_branches()
    for name, variant in VARIANTS.items():
        make(name, *variant)


if __name__ == "__main__":
    main()
