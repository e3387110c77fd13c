"""Tiny random checkpoints of every family of decoders, and what transformers computes
with them.

    python tools/make_decoder_fixtures.py [NAME ...]

writes crates/backbone/tests/fixtures/NAME/, all of decoder_variants.py without names
(layout: the README.md there), and mxfp4.safetensors.
Every value follows from the seeds there. Reference values are computed in f64
(transformers keeps its own f32 islands: norm statistics, softmax, rotary
angles) and rounded to f32; the script fails if a plain f32 run differs by more
than a tenth of the tolerance that the Rust tests use, because then a fixture
would test rounding luck.
"""

import json
import math
import shutil
import sys

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM, Mxfp4Config
from transformers.integrations.mxfp4 import convert_moe_packed_tensors
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
from transformers.utils.logging import disable_progress_bar

from decoder_variants import LLAMA3_ROPE, VARIANTS, YARN_ROPE
from reference import BACKBONE_FIXTURES, reference_run, relative_error, save

TOLERANCE = 1e-4
PROMPT_LENGTH = 5
TARGET_COUNT = 6
# What transformers may choose for speed, it must not choose here.
EAGER = dict(attn_implementation="eager", experts_implementation="eager")


def build(variant):
    """A model whose every parameter is drawn from the variant's seed."""
    config = AutoConfig.for_model(**variant.config)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32, **EAGER).eval()
    generator = torch.Generator().manual_seed(variant.seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if name.endswith("norm.weight"):
                parameter.copy_(1.0 + 0.2 * noise)
            elif "embed_tokens" in name or "lm_head" in name or "router" in name:
                parameter.copy_(0.4 * noise)
            elif name.endswith("bias"):
                parameter.copy_(0.3 * noise)
            elif name.endswith("sinks"):
                parameter.copy_(1.5 * noise)
            else:
                parameter.copy_(0.2 * noise)
    return model.requires_grad_(False), generator


def save_packed(model, folder, generator):
    """Stores the model with experts of random MXFP4 blocks and scales, in the layout of
    the published gpt-oss checkpoints, and gives the model those experts."""

    def random_bytes(below, shape):
        return torch.randint(below, shape, generator=generator, dtype=torch.uint8)

    stored = {}
    with torch.no_grad():
        for name, parameter in model.state_dict().items():
            if not name.endswith(("experts.gate_up_proj", "experts.down_proj")):
                stored[name] = parameter.contiguous()
                continue
            count, inputs, outputs = parameter.shape
            # Scales of 2^-5 to 2^-3, times values of about 2.9.
            shape = (count, outputs, inputs // 32)
            blocks, scales = random_bytes(256, (*shape, 16)), 122 + random_bytes(3, shape)
            stored[f"{name}_blocks"], stored[f"{name}_scales"] = blocks, scales
            parameter.copy_(convert_moe_packed_tensors(blocks, scales, dtype=torch.float32))
    folder.mkdir(parents=True, exist_ok=True)
    save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads(model.config.to_json_string())
    config["architectures"] = [type(model).__name__]
    config["quantization_config"] = {
        "modules_to_not_convert": [
            "model.layers.*.self_attn",
            "model.layers.*.mlp.router",
            "model.embed_tokens",
            "lm_head",
        ],
        "quant_method": "mxfp4",
    }
    text = json.dumps(config, indent=2, sort_keys=True) + "\n"
    (folder / "config.json").write_text(text)


def legacy_config(text):
    """The same configuration in the spelling of transformers 4."""
    config = json.loads(text)
    rope = config.pop("rope_parameters")
    config["rope_theta"] = rope.pop("rope_theta")
    config["rope_scaling"] = None if rope["rope_type"] == "default" else rope
    config["torch_dtype"] = config.pop("dtype")
    return json.dumps(config, indent=2, sort_keys=True) + "\n"


def check_rope_branches():
    """All branches of the long-context rules must be reached, or fixtures show little."""
    for rope in [LLAMA3_ROPE, YARN_ROPE, YARN_ROPE | {"truncate": False}]:
        config = AutoConfig.for_model(
            **VARIANTS["llama-gqa"].config | dict(rope_parameters=dict(rope))
        )
        frequencies, _ = ROPE_INIT_FUNCTIONS[rope["rope_type"]](config)
        plain = rope["rope_theta"] ** (-torch.arange(4) / 4)
        kept = (frequencies / plain - 1 / rope["factor"]) / (1 - 1 / rope["factor"])
        branches = ["kept" if k > 0.999 else "divided" if k < 0.001 else "blended" for k in kept]
        assert set(branches) == {"kept", "divided", "blended"}, (rope, kept)


def describe(model, tokens):
    """How far from trivial a model is: spread of its logits, entropy of its attention, and
    for experts the share of each and of values beyond their limit."""
    chosen, beyond = [], []
    hooks = []
    for name, module in model.named_modules():
        if name.endswith("mlp.router"):
            hooks.append(module.register_forward_hook(lambda m, i, out: chosen.append(out[2])))
        if name.endswith("mlp.experts"):
            gate = module._apply_gate

            def watched(gate_up, gate=gate, limit=module.limit):
                beyond.append((gate_up.abs() > limit).float().mean())
                return gate(gate_up)

            module._apply_gate = watched
    with torch.no_grad():
        out = model(tokens[None], output_attentions=True)
    for hook in hooks:
        hook.remove()
    last = torch.stack(out.attentions)[:, 0, :, -1]
    entropy = -(last * last.clamp_min(1e-12).log()).sum(-1) / math.log(len(tokens))
    text = (
        f"logit std {out.logits.std().item():.2f}, attention entropy {entropy.mean().item():.2f}"
    )
    if chosen:
        counts = torch.bincount(torch.cat(chosen).flatten())
        shares = counts / counts.sum()
        text += f", share of an expert {shares.min():.2f} to {shares.max():.2f}"
        text += f", beyond the limit {torch.stack(beyond).mean():.2f}"
        for module in model.modules():
            module.__dict__.pop("_apply_gate", None)
    return text


def store(name, variant):
    """Writes the checkpoint and loads it again: the reference is of the files, not of
    what was in memory."""
    folder = BACKBONE_FIXTURES / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    model, generator = build(variant)
    size, vocabulary = model.config.hidden_size, model.config.vocab_size
    tokens = torch.randint(3, vocabulary, (variant.length,), generator=generator)
    prompt = 0.4 * torch.randn(PROMPT_LENGTH, size, generator=generator)

    model = model.to(variant.storage)
    packing = {}
    if variant.mxfp4:
        save_packed(model, folder, generator)
        packing = dict(quantization_config=Mxfp4Config(dequantize=True))
    else:
        shards = {"max_shard_size": variant.shard_size} if variant.shard_size else {}
        model.save_pretrained(folder, **shards)
    (folder / "generation_config.json").unlink(missing_ok=True)
    config_path = folder / "config.json"
    if variant.legacy_rope:
        config_path.write_text(legacy_config(config_path.read_text()))
    if variant.legacy_beside:
        (folder / "config.legacy.json").write_text(legacy_config(config_path.read_text()))

    single = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **EAGER, **packing)
    single = single.float().requires_grad_(False).eval()
    for key, value in model.state_dict().items():
        assert torch.equal(value.float(), single.state_dict()[key]), key
    assert single.config.rope_parameters == model.config.rope_parameters
    older = folder / "config.legacy.json"
    if older.exists():
        rope = type(single.config)(**json.loads(older.read_text())).rope_parameters
        assert rope == single.config.rope_parameters, rope
    return folder, single, tokens, prompt


def make(name, variant):
    folder, single, tokens, prompt = store(name, variant)
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


def make_unpacked():
    """Random MXFP4 bytes and scales, and the values that transformers unpacks them to."""
    generator = torch.Generator().manual_seed(31)
    blocks = torch.randint(0, 256, (2, 8, 4, 16), generator=generator, dtype=torch.uint8)
    scales = torch.randint(60, 190, (2, 8, 4), generator=generator, dtype=torch.uint8)
    values = convert_moe_packed_tensors(blocks, scales, dtype=torch.float32)
    path = BACKBONE_FIXTURES / "mxfp4.safetensors"
    save_file({"blocks": blocks, "scales": scales, "values": values}, path)
    path.chmod(0o644)
    assert torch.equal(load_file(path)["values"], values)


def main():
    torch.set_num_threads(1)
    disable_progress_bar()
    check_rope_branches()
    names = sys.argv[1:] or VARIANTS
    for name in names:
        make(name, VARIANTS[name])
    make_unpacked()


if __name__ == "__main__":
    main()
