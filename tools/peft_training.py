"""A training step as somebody who uses Hugging Face PEFT writes it, and its clock."""

import contextlib
import json
import statistics
import sys

import peft
import torch

from device_ceilings import mark, milliseconds, peak_memory

METHODS = ("prompt-tuning", "lora")
LEARNING_RATES = {"prompt-tuning": 0.01, "lora": 2e-4}


def set_checkpointing(base, enable):
    """After `wrap`, as Trainer does it: before, PEFT would set a second hook that stays in the base model.

    Newer versions of transformers call it activation checkpointing.
    """
    prefix = "activation" if hasattr(base, "activation_checkpointing_enable") else "gradient"
    if enable:
        getattr(base, f"{prefix}_checkpointing_enable")({"use_reentrant": False})
    else:
        getattr(base, f"{prefix}_checkpointing_disable")()


def wrap(base, method, arguments):
    """The base model with a fresh adapter, the same one each time."""
    torch.manual_seed(0)
    task = peft.TaskType.CAUSAL_LM
    if method == "lora":
        config = peft.LoraConfig(task_type=task, r=16, lora_alpha=32, target_modules="all-linear")
        return peft.get_peft_model(base, config, autocast_adapter_dtype=not arguments.lora_in_base_dtype)
    config = peft.PromptTuningConfig(task_type=task, num_virtual_tokens=arguments.virtual_tokens)
    model = peft.get_peft_model(base, config)
    embeddings = base.get_input_embeddings().weight
    tokens = torch.randint(len(embeddings), (arguments.virtual_tokens,), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        model.prompt_encoder["default"].embedding.weight.copy_(embeddings[tokens.to(embeddings.device)])
    return model


def unwrap(base, model):
    """Takes back all that `wrap` and `set_checkpointing` changed in the base model."""
    if model is not None and not model.active_peft_config.is_prompt_learning:
        model.unload()
    if hasattr(base, "peft_config"):
        del base.peft_config
    set_checkpointing(base, False)
    if hasattr(base, "_require_grads_hook"):
        base.disable_input_require_grads()
    base.requires_grad_(False)


class Training:
    """Steps on one batch."""

    def __init__(self, model, batch, learning_rate, arguments, device):
        self.model = model.train()
        self.batch, self.arguments, self.device = batch, arguments, device
        self.trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.AdamW(self.trained, lr=learning_rate, weight_decay=arguments.weight_decay)

    def step(self):
        precision = contextlib.nullcontext()
        if self.arguments.autocast:
            precision = torch.autocast(self.device.type, torch.bfloat16)
        with precision:
            loss = self.model(**self.batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.trained, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss.detach()

    def run(self, steps):
        """Milliseconds and losses of so many steps, and the peak of memory."""
        losses, marks = [], [mark(self.device)]
        for _ in range(steps):
            losses.append(self.step())
            marks.append(mark(self.device))
        times = milliseconds(marks, self.device)
        return times, [loss.item() for loss in losses], peak_memory(self.device)

    def run_rounds(self):
        """Runs what standard input asks for, to its end."""
        answer({"ready": True, "memory": peak_memory(self.device)})
        for line in sys.stdin:
            times, losses, memory = self.run(int(line))
            answer({"ms": times, "losses": losses, "memory": memory})

    def measure(self):
        """Warm-up and measured steps; returns what was measured."""
        _, first_losses, warmup_memory = self.run(self.arguments.warmup)
        times, losses, memory = self.run(self.arguments.steps)
        return {
            "trained_parameters": sum(parameter.numel() for parameter in self.trained),
            "median_ms": statistics.median(times),
            "least_ms": min(times),
            "most_ms": max(times),
            "memory_warmup": warmup_memory,
            "memory_step": memory,
            "first_losses": (first_losses + losses)[:3],
        }


def answer(result):
    print(json.dumps(result), flush=True)


def is_out_of_memory(error):
    """torch raises several kinds; cuBLAS's own failing allocation is another."""
    text = str(error)
    return any(sign in text for sign in ("out of memory", "ALLOC_FAILED", "can't allocate memory"))
