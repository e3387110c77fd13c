"""Twenty steps of PEFT prompt tuning on `llama-gqa` and on `gpt-oss`, number by number.

    python tools/make_peft_trajectory.py      (after make_decoder_fixtures.py)

writes crates/tuning/tests/fixtures/peft-trajectory/{llama-gqa,gpt-oss}.safetensors.

Setting: 5 virtual tokens that start at the fixture's `prompt_embeddings`; loss =
mean negative log-likelihood over all target tokens of the batch; clip of the
gradient's global norm at 1.0 (`clip_grad_norm_`: scale by 1 / (norm + 1e-6)
when that is below one); torch.optim.AdamW with lr 0.01, betas 0.9 and 0.999,
eps 1e-8, weight decay 1e-5 (decoupled: the prompt is first multiplied by
1 - lr * decay); transformers' linear schedule with 2 warm-up steps of 20, so
that step s = 0..19 uses 0.01 * s / 2 for s < 2 and 0.01 * (20 - s) / 18 after.
Step 0 has rate zero: it moves the optimizer's moments and not the prompt.

Layout, with E examples in 20 batches one after the other and hidden size d:

    tokens           i64 [sum of example_lengths]   ids, one example after the other
    example_lengths  i64 [E]                        input + target tokens
    target_lengths   i64 [E]                        how many of its last tokens are targets
    batch_sizes      i64 [20]                       examples in each batch
    lr               f32 [20]
    loss             f32 [20]                       before the step's update
    grad             f32 [20, 5, d]                 of the prompt, before the clip
    grad_norm        f32 [20]                       before the clip
    prompts          f32 [21, 5, d]                 initial, then after each step
    exp_avg, exp_avg_sq  f32 [5, d]                 AdamW's moments after the last step

Computed in f64, rounded to f32. The script then does the same twice more: with
PEFT in f32, to know how far rounding goes, and by a hand loop that feeds one
example at a time without padding and applies AdamW's formulas itself.
"""

import os

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from peft import PromptTuningConfig, TaskType, get_peft_model
from safetensors.torch import load_file
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM, get_linear_schedule_with_warmup
from transformers.utils.logging import disable_progress_bar

from reference import BACKBONE_FIXTURES, TUNING_FIXTURES, relative_error, save

BACKBONES = ("llama-gqa", "gpt-oss")
STEPS, WARMUP = 20, 2
LR, BETA1, BETA2, EPS, DECAY, CLIP = 0.01, 0.9, 0.999, 1e-8, 1e-5, 1.0


def backbone(name, dtype):
    folder = BACKBONE_FIXTURES / name
    # torch's grouped products know no f64.
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype, attn_implementation="eager", experts_implementation="eager"
    )
    model.name_or_path = model.config.name_or_path = name
    return model.eval().requires_grad_(False)


def make_batches(generator):
    """Twenty batches of 1 to 4 examples (ids, target length), of different lengths."""

    def number(low, high):
        return int(torch.randint(low, high, (1,), generator=generator))

    batches = []
    for _ in range(STEPS):
        batch = []
        for _ in range(number(1, 5)):
            ids = torch.randint(3, 160, (number(6, 20),), generator=generator)
            batch.append((ids, number(1, 5)))
        batches.append(batch)
    return batches


def padded(batch):
    """A batch as transformers' models take it: right padding, mask, labels with -100."""
    longest = max(len(ids) for ids, _ in batch)
    input_ids = torch.zeros(len(batch), longest, dtype=torch.long)
    attention_mask = torch.zeros_like(input_ids)
    labels = torch.full_like(input_ids, -100)
    for row, (ids, targets) in enumerate(batch):
        input_ids[row, : len(ids)] = ids
        attention_mask[row, : len(ids)] = 1
        labels[row, len(ids) - targets : len(ids)] = ids[-targets:]
    return {"input_ids": input_ids, "attention_mask": attention_mask, "labels": labels}


def peft_loop(name, dtype, initial, batches):
    """PEFT as its users run it: right padding, attention mask, labels with -100."""
    config = PromptTuningConfig(
        task_type=TaskType.CAUSAL_LM,
        num_virtual_tokens=len(initial),
        prompt_tuning_init="RANDOM",
    )
    model = get_peft_model(backbone(name, dtype), config).to(dtype)
    prompt = model.prompt_encoder["default"].embedding.weight
    assert [p for p in model.parameters() if p.requires_grad] == [prompt]
    with torch.no_grad():
        prompt.copy_(initial)
    optimizer = torch.optim.AdamW(
        [prompt], lr=LR, betas=(BETA1, BETA2), eps=EPS, weight_decay=DECAY
    )
    schedule = get_linear_schedule_with_warmup(optimizer, WARMUP, STEPS)

    log = {"lr": [], "loss": [], "grad": [], "grad_norm": [], "prompts": [prompt.detach().clone()]}
    for batch in batches:
        optimizer.zero_grad()
        loss = model(**padded(batch)).loss
        loss.backward()
        log["lr"].append(torch.tensor(optimizer.param_groups[0]["lr"], dtype=torch.float64))
        log["loss"].append(loss.detach())
        log["grad"].append(prompt.grad.clone())
        log["grad_norm"].append(torch.nn.utils.clip_grad_norm_([prompt], CLIP))
        optimizer.step()
        schedule.step()
        log["prompts"].append(prompt.detach().clone())
    state = optimizer.state[prompt]
    result = {name: torch.stack(values) for name, values in log.items()}
    return result | {"exp_avg": state["exp_avg"], "exp_avg_sq": state["exp_avg_sq"]}


def hand_loop(name, initial, batches):
    """The same from the formulas, in f64, without PEFT, padding or an optimizer object."""
    model = backbone(name, torch.float64)
    embedding = model.get_input_embeddings()
    prompt = initial.double()
    first, second = torch.zeros_like(prompt), torch.zeros_like(prompt)
    losses, prompts = [], [prompt]
    for step, batch in enumerate(batches):
        lr = LR * (step / WARMUP if step < WARMUP else (STEPS - step) / (STEPS - WARMUP))
        count = sum(targets for _, targets in batch)
        variable = prompt.clone().requires_grad_(True)
        total = 0.0
        for ids, targets in batch:
            inputs = torch.cat([variable, embedding(ids)])
            logits = model(inputs_embeds=inputs[None]).logits[0, -targets - 1 : -1]
            total = total + cross_entropy(logits, ids[-targets:], reduction="sum")
        loss = total / count
        (grad,) = torch.autograd.grad(loss, variable)
        grad = grad * min(1.0, CLIP / (grad.norm().item() + 1e-6))
        first = BETA1 * first + (1 - BETA1) * grad
        second = BETA2 * second + (1 - BETA2) * grad**2
        mean = first / (1 - BETA1 ** (step + 1))
        spread = (second / (1 - BETA2 ** (step + 1))).sqrt()
        prompt = prompt * (1 - lr * DECAY) - lr * mean / (spread + EPS)
        losses.append(loss.detach())
        prompts.append(prompt)
    return {
        "loss": torch.stack(losses),
        "prompts": torch.stack(prompts),
        "exp_avg": first,
        "exp_avg_sq": second,
    }


def main():
    torch.set_num_threads(1)
    disable_progress_bar()
    for name in BACKBONES:
        write_trajectory(name)


def write_trajectory(backbone_name):
    print(backbone_name)
    batches = make_batches(torch.Generator().manual_seed(31))
    initial = load_file(BACKBONE_FIXTURES / backbone_name / "prompt.safetensors")["prompt_embeddings"]

    reference = peft_loop(backbone_name, torch.float64, initial, batches)
    by_hand = hand_loop(backbone_name, initial, batches)
    single = peft_loop(backbone_name, torch.float32, initial, batches)
    for name, tensor in by_hand.items():
        difference = relative_error(tensor, reference[name])
        # Not 1e-12: transformers keeps softmax and norms in f32 even in an f64 model.
        assert difference < 1e-5, f"{name}: hand loop and PEFT differ by {difference:.1e}"
        print(f"{name}: hand loop to PEFT {difference:.1e}")
    for name, tensor in single.items():
        print(f"{name}: f32 to f64 {relative_error(tensor, reference[name]):.1e}")
    print("losses", [round(value, 4) for value in reference["loss"].tolist()])
    print("gradient norms", [round(value, 3) for value in reference["grad_norm"].tolist()])

    examples = [example for batch in batches for example in batch]
    save(
        reference
        | {
            "tokens": torch.cat([ids for ids, _ in examples]),
            "example_lengths": torch.tensor([len(ids) for ids, _ in examples]),
            "target_lengths": torch.tensor([targets for _, targets in examples]),
            "batch_sizes": torch.tensor([len(batch) for batch in batches]),
        },
        TUNING_FIXTURES / "peft-trajectory" / f"{backbone_name}.safetensors",
    )


if __name__ == "__main__":
    main()
