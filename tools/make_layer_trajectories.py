"""Ten steps of LoRA with PEFT, and of full fine-tuning with transformers, number by number.

    python tools/make_layer_trajectories.py      (after make_decoder_fixtures.py)

writes crates/tuning/tests/fixtures/lora-trajectory/{llama-gqa,qwen3,gpt-oss}.safetensors
and crates/tuning/tests/fixtures/full-trajectory/{llama-gqa,llama-untied,llama-biases,qwen3}.safetensors.

Setting, but for what is trained, that of make_peft_trajectory.py: the loss is the
mean negative log-likelihood over all target tokens of the batch, clipped at 1.0
by the global norm, AdamW (betas 0.9 and 0.999, eps 1e-8, decay 1e-5) with 2
warm-up steps of 10 and a linear decay to zero. LoRA: rank 4, alpha 8, all linear
layers (gpt-oss: those of attention), lr 0.01, and a B that does not start at zero,
so that A has a gradient from the first step on. Full: lr 0.001.

    tokens           i64 [sum of example_lengths]   ids, one example after the other
    example_lengths  i64 [E]                        input + target tokens
    target_lengths   i64 [E]                        how many of its last tokens are targets
    batch_sizes      i64 [10]                       examples in each batch
    loss, grad_norm  f32 [10]                       before the step's update, before the clip
    initial.NAME, final.NAME, grad.NAME             before the first and after the last step,
                                                    and before the clip of the first step

NAME is PEFT's in an adapter file, or the checkpoint's. For full fine-tuning there
is no `initial` (the fixture has it), and but for `llama-gqa` only the norm of each
gradient and of each final tensor (`grad_norms`, `final_norms` in the order of the
sorted names) with a few whole tensors.

Computed in f64, rounded to f32; the same in f32 says how far rounding goes.
"""

import os

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from peft import LoraConfig, TaskType, get_peft_model, get_peft_model_state_dict
from transformers import get_linear_schedule_with_warmup
from transformers.utils.logging import disable_progress_bar

from make_peft_trajectory import BETA1, BETA2, CLIP, DECAY, EPS, backbone, make_batches, padded
from reference import TUNING_FIXTURES, relative_error, save

LORA_BACKBONES = ("llama-gqa", "qwen3", "gpt-oss")
FULL_BACKBONES = ("llama-gqa", "llama-untied", "llama-biases", "qwen3")
STEPS, WARMUP = 10, 2
RANK, ALPHA = 4, 8
LORA_LR, FULL_LR = 0.01, 0.001
WHOLE = ("model.norm.weight", "lm_head.weight")


def lora(name, dtype):
    """A PEFT model whose A and B are the same in every precision."""
    config = LoraConfig(
        task_type=TaskType.CAUSAL_LM,
        r=RANK,
        lora_alpha=ALPHA,
        lora_dropout=0.0,
        target_modules="all-linear",
    )
    model = get_peft_model(backbone(name, dtype), config).to(dtype)
    generator = torch.Generator().manual_seed(41)
    trained = {}
    for key, parameter in sorted(get_peft_model_state_dict(model).items()):
        values = 0.1 * torch.randn(parameter.shape, generator=generator)
        with torch.no_grad():
            parameter.copy_(values)
        trained[key] = parameter
    # The state dict holds detached views: find the parameters themselves.
    named = {n.replace(".default", ""): p for n, p in model.named_parameters() if p.requires_grad}
    assert named.keys() == trained.keys(), sorted(named.keys() ^ trained.keys())[:4]
    assert all(torch.equal(named[n], trained[n]) for n in named)
    return model, named


def full(name, dtype):
    model = backbone(name, dtype).requires_grad_(True)
    return model, dict(model.named_parameters())


def loop(model, trained, lr, batches):
    """Training as users of both libraries run it: right padding, mask, labels with -100."""
    parameters = [trained[name] for name in sorted(trained)]
    optimizer = torch.optim.AdamW(
        parameters, lr=lr, betas=(BETA1, BETA2), eps=EPS, weight_decay=DECAY
    )
    schedule = get_linear_schedule_with_warmup(optimizer, WARMUP, STEPS)
    log = {f"initial.{name}": p.detach().clone() for name, p in trained.items()}
    losses, norms = [], []
    for step, batch in enumerate(batches):
        optimizer.zero_grad()
        loss = model(**padded(batch)).loss
        loss.backward()
        losses.append(loss.detach())
        if step == 0:
            log |= {f"grad.{name}": p.grad.clone() for name, p in trained.items()}
        norms.append(torch.nn.utils.clip_grad_norm_(parameters, CLIP))
        optimizer.step()
        schedule.step()
    log |= {f"final.{name}": p.detach().clone() for name, p in trained.items()}
    return log | {"loss": torch.stack(losses), "grad_norm": torch.stack(norms)}


def without_most(name, log):
    """Norms in place of the tensors of a full trajectory, less a few."""
    kept = {n: t for n, t in log.items() if not n.startswith("initial.")}
    if name == "llama-gqa":
        return kept
    for kind in ("grad", "final"):
        names = sorted(n for n in kept if n.startswith(f"{kind}."))
        kept[f"{kind}_norms"] = torch.stack([kept[n].double().norm() for n in names])
        for n in names:
            matrix = kept[n].ndim == 2 and not n.endswith("k_proj.weight")
            if n.removeprefix(f"{kind}.") not in WHOLE and (".layers.1." not in n or matrix):
                del kept[n]
    return kept


def write(kind, name, make, lr):
    print(kind, name)
    batches = make_batches(torch.Generator().manual_seed(31))[:STEPS]
    reference = loop(*make(name, torch.float64), lr, batches)
    single = loop(*make(name, torch.float32), lr, batches)
    worst = {}
    for key, tensor in single.items():
        group = key.split(".")[0]
        worst[group] = max(worst.get(group, 0.0), relative_error(tensor, reference[key]))
    print("  f32 to f64", {group: f"{error:.1e}" for group, error in worst.items()})
    print("  losses", [round(value, 4) for value in reference["loss"].tolist()])
    print("  gradient norms", [round(value, 3) for value in reference["grad_norm"].tolist()])
    if kind == "full":
        reference = without_most(name, reference)
    examples = [example for batch in batches for example in batch]
    save(
        reference
        | {
            "tokens": torch.cat([ids for ids, _ in examples]),
            "example_lengths": torch.tensor([len(ids) for ids, _ in examples]),
            "target_lengths": torch.tensor([targets for _, targets in examples]),
            "batch_sizes": torch.tensor([len(batch) for batch in batches]),
        },
        TUNING_FIXTURES / f"{kind}-trajectory" / f"{name}.safetensors",
    )


def main():
    torch.set_num_threads(1)
    disable_progress_bar()
    for name in LORA_BACKBONES:
        write("lora", name, lora, LORA_LR)
    for name in FULL_BACKBONES:
        write("full", name, full, FULL_LR)


if __name__ == "__main__":
    main()
