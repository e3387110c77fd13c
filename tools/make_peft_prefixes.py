"""Prefix tuning in PEFT's own on-disk format, and what it gives on each family.

    python tools/make_peft_prefixes.py      (after make_decoder_fixtures.py)

writes crates/tuning/tests/fixtures/peft-prefix/NAME/: `adapter_config.json` and
`adapter_model.safetensors` exactly as `PeftModel.save_pretrained` writes them, and
`expected.safetensors`:

    tokens     i64 [28]
    logits     f32 [12, 160]   at the last 12 tokens, behind the prefix
    generated  i64 [6]         what PEFT's `generate` continues the tokens with

NAME is the backbone's fixture; `projected` is `llama-gqa` with a prefix that an MLP
makes (`prefix_projection`), of which PEFT stores what comes out. The script holds
PEFT's logits against transformers' own behind a cache of the stored keys and
values, and PEFT's `generate` against its logits, token by token.
"""

import os

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from peft import PeftModel, PrefixTuningConfig, TaskType, get_peft_model
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, DynamicCache
from transformers.utils.logging import disable_progress_bar

from make_peft_adapters import write
from reference import BACKBONE_FIXTURES, TUNING_FIXTURES, relative_error, save

BACKBONES = ["llama-gqa", "llama-headdim", "mistral", "qwen2", "qwen3", "smollm3", "gpt-oss"]
POSITIONS = 5
TOKENS = 28
LABELS = 12
GENERATED = 6


def load(name):
    """The fixture backbone in f64, under a name that holds no local path."""
    extra = {"experts_implementation": "eager"} if name == "gpt-oss" else {}
    model = AutoModelForCausalLM.from_pretrained(
        BACKBONE_FIXTURES / name, dtype=torch.float64, attn_implementation="eager", **extra
    )
    model.name_or_path = model.config.name_or_path = name
    return model.eval()


def cache_of(stored, config):
    """The stored rows as transformers' cache: layer by layer keys, then values."""
    heads = config.num_attention_heads
    rows = stored.double().view(POSITIONS, config.num_layers, 2, heads, -1)
    # [layers, 2, batch 1, heads, positions, h]
    rows = rows.permute(1, 2, 3, 0, 4)[:, :, None]
    return DynamicCache([(keys, values) for keys, values in rows])


def finish(backbone, folder, tokens):
    """Reads the adapter from disk again and stores what PEFT makes of it."""
    stored = load_file(folder / "adapter_model.safetensors")
    for name, tensor in stored.items():
        print(f"  {name} {tensor.dtype} {tuple(tensor.shape)}")
    model = PeftModel.from_pretrained(load(backbone), folder).eval()
    cache = cache_of(stored["prompt_embeddings"], model.peft_config["default"])
    with torch.no_grad():
        logits = model(input_ids=tokens[None]).logits[0]
        behind = load(backbone)(input_ids=tokens[None], past_key_values=cache).logits[0]
        assert relative_error(logits, behind) < 1e-6
        # No token ends it: the fixture is as long for every backbone.
        whole = model.generate(
            input_ids=tokens[None], max_new_tokens=GENERATED, do_sample=False, eos_token_id=None
        )[0]
        for end in range(TOKENS, TOKENS + GENERATED):
            best = model(input_ids=whole[None, :end]).logits[0, -1].topk(2)
            assert best.indices[0] == whole[end] and best.values[0] - best.values[1] > 1e-3
    save(
        {"tokens": tokens, "logits": logits[-LABELS:], "generated": whole[TOKENS:]},
        folder / "expected.safetensors",
    )


def main():
    torch.set_num_threads(1)
    disable_progress_bar()
    generator = torch.Generator().manual_seed(34)
    for name in [*BACKBONES, "projected"]:
        print(name)
        backbone = "llama-gqa" if name == "projected" else name
        projected = name == "projected"
        config = PrefixTuningConfig(
            task_type=TaskType.CAUSAL_LM,
            num_virtual_tokens=POSITIONS,
            prefix_projection=projected,
            encoder_hidden_size=24 if projected else None,
        )
        model = get_peft_model(load(backbone), config).eval()
        with torch.no_grad():
            for _, values in sorted(model.prompt_encoder.named_parameters()):
                values.copy_(0.6 * torch.randn(values.shape, generator=generator))
        folder = TUNING_FIXTURES / "peft-prefix" / name
        folder.parent.mkdir(exist_ok=True)
        write(model, folder)
        tokens = torch.randint(3, 160, (TOKENS,), generator=generator)
        finish(backbone, folder, tokens)


if __name__ == "__main__":
    main()
