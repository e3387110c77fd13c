"""The tiny decoders of make_decoder_fixtures.py: what each differs by."""

from dataclasses import dataclass

import torch

# hidden 48 = 6 query heads of 8; 2 key/value heads, so 3 query heads share one.
LLAMA = dict(
    model_type="llama",
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

# In 64 positions these frequencies turn 10.2, 4.1, 1.6 and 0.6 times.
YARN_ROPE = {
    "rope_type": "yarn",
    "rope_theta": 40.0,
    "factor": 4.0,
    "beta_fast": 8.0,
    "beta_slow": 1.0,
    "original_max_position_embeddings": 64,
}


# Sequences of 40 are much longer than the window: the prompt has left it.
WINDOW = 8


def relative(model_type, **changes):
    """A smaller shape without the fields that only LLaMA has."""
    rest = {k: v for k, v in LLAMA.items() if k not in ("attention_bias", "mlp_bias")}
    smaller = dict(hidden_size=32, intermediate_size=48, max_position_embeddings=256, pad_token_id=0)
    return {**rest, **smaller, "model_type": model_type, **changes}


GPT_OSS = relative(
    "gpt_oss",
    intermediate_size=32,
    num_attention_heads=4,
    num_local_experts=8,
    sliding_window=WINDOW,
    # Low enough that a part of the gates and up values lies beyond it.
    swiglu_limit=1.0,
    rope_parameters={**YARN_ROPE, "truncate": False},
    tie_word_embeddings=False,
)


@dataclass
class Variant:
    seed: int
    config: dict
    length: int = 40
    storage: torch.dtype = torch.float32
    shard_size: str | None = None
    # config.json is rewritten in the spelling of transformers 4 (`rope_theta` and
    # `rope_scaling`), as published checkpoints from before transformers 5 have it.
    legacy_rope: bool = False
    # config.json keeps its spelling and has the older one beside it.
    legacy_beside: bool = False
    # The experts' weights are stored as MXFP4 blocks and scales.
    mxfp4: bool = False


VARIANTS = {
    "llama-gqa": Variant(11, LLAMA),
    # A large epsilon, so that an implementation with another one is caught.
    "llama-untied": Variant(
        12,
        LLAMA
        | dict(
            tie_word_embeddings=False,
            rms_norm_eps=1e-2,
            rope_parameters={"rope_type": "default", "rope_theta": 500.0},
        ),
        legacy_rope=True,
    ),
    "llama-rope-llama3": Variant(
        13, LLAMA | dict(rope_parameters=LLAMA3_ROPE), length=60, legacy_beside=True
    ),
    "llama-biases": Variant(
        14, LLAMA | dict(attention_bias=True, mlp_bias=True), legacy_rope=True
    ),
    "llama-headdim": Variant(15, LLAMA | dict(head_dim=12)),
    "llama-bf16-sharded": Variant(
        16, LLAMA | dict(tie_word_embeddings=False), storage=torch.bfloat16, shard_size="40KB"
    ),
    "llama-f16": Variant(17, LLAMA, storage=torch.float16),
    # Three windows reach over the whole sequence, so that the prompt gets a gradient.
    "mistral": Variant(
        21, relative("mistral", sliding_window=2 * WINDOW), storage=torch.bfloat16
    ),
    # The first layer sees everything, the other two their windows.
    "qwen2": Variant(
        22,
        relative(
            "qwen2", use_sliding_window=True, sliding_window=WINDOW, max_window_layers=1
        ),
        storage=torch.bfloat16,
    ),
    "qwen3": Variant(
        23,
        relative("qwen3", attention_bias=True, rope_parameters=YARN_ROPE),
        storage=torch.bfloat16,
        legacy_rope=True,
    ),
    # Every second layer has no positions, and a window.
    "smollm3": Variant(
        24,
        relative(
            "smollm3",
            num_hidden_layers=4,
            no_rope_layer_interval=2,
            use_sliding_window=True,
            sliding_window=WINDOW,
            mlp_bias=True,
        ),
        storage=torch.bfloat16,
    ),
    "gpt-oss": Variant(
        25,
        GPT_OSS | dict(num_experts_per_tok=2, swiglu_alpha=1.5),
        storage=torch.bfloat16,
    ),
    "gpt-oss-mxfp4": Variant(
        26,
        GPT_OSS | dict(num_hidden_layers=12, num_experts_per_tok=4),
        storage=torch.bfloat16,
        legacy_rope=True,
        mxfp4=True,
    ),
}
