"""Prompt adapters in PEFT's own on-disk format, and what they give on `llama-gqa`.

    python tools/make_peft_adapters.py      (after make_decoder_fixtures.py)

writes crates/tuning/tests/fixtures/{peft-prompt,peft-mpt,peft-p-mlp,peft-p-lstm,peft-lora}/:
`adapter_config.json` and `adapter_model.safetensors` exactly as `PeftModel.save_pretrained` writes them,
and `expected.safetensors`:

    tokens   i64 [12]
    prompts  f32 [tasks, 5, 48]        the materialised soft prompt of each task
    logits   f32 [tasks, 12, 160]      at every token behind that prompt

`peft-prompt` has one task. For `peft-mpt` a task's prompt is
`prompt_embeddings * (prefix_task_cols[task] @ prefix_task_rows[task])`; the
script holds what PEFT computes against this formula. `peft-p-mlp` and `peft-p-lstm`
are P-tuning with either encoder: PEFT stores the prompt that comes out of it, and
no encoder. `peft-lora` has no prompts:
its `expected.safetensors` holds `tokens` and `logits` [12, 160], and those of the
model with the adapter merged into its weights are asserted to be equal.
"""

import os
import shutil

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from peft import (
    LoraConfig,
    MultitaskPromptTuningConfig,
    PeftModel,
    PromptEncoderConfig,
    PromptTuningConfig,
    TaskType,
    get_peft_model,
    get_peft_model_state_dict,
)
from safetensors.torch import load_file
from transformers import LlamaForCausalLM
from transformers.utils.logging import disable_progress_bar

from reference import BACKBONE_FIXTURES, TUNING_FIXTURES, relative_error, save

BACKBONE = "llama-gqa"
VIRTUAL_TOKENS = 5
TASKS = 3
RANKS = 1
TOKENS = 12


def backbone():
    """The fixture backbone in f64, under a name that holds no local path."""
    model = LlamaForCausalLM.from_pretrained(
        BACKBONE_FIXTURES / BACKBONE, dtype=torch.float64, attn_implementation="eager"
    )
    model.name_or_path = model.config.name_or_path = BACKBONE
    return model.eval()


def write(model, folder):
    """PEFT's own writer, less the model card (a form with nothing filled in)."""
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder)
    (folder / "README.md").unlink()
    for file in folder.iterdir():
        file.chmod(0o644)


def task_logits(model, tokens, task):
    """Logits [T, vocab] behind the prompt of `task` (None: the adapter has one prompt)."""
    extra = {} if task is None else {"task_ids": torch.tensor([task])}
    with torch.no_grad():
        return model(input_ids=tokens[None], **extra).logits[0, VIRTUAL_TOKENS:]


def finish(folder, tokens, tasks, formula):
    """Reads the adapter from disk again and stores what PEFT makes of it."""
    stored = load_file(folder / "adapter_model.safetensors")
    for name, tensor in stored.items():
        print(f"  {name} {tensor.dtype} {tuple(tensor.shape)}")
    model = PeftModel.from_pretrained(backbone(), folder).eval()
    prompts, logits = [], []
    for task in tasks:
        ids = None if task is None else torch.tensor([task])
        prompt = model.get_prompt(1, task_ids=ids)[0].detach()
        assert relative_error(prompt, formula(stored, task)) < 1e-6
        prompts.append(prompt)
        logits.append(task_logits(model, tokens, task))
    save(
        {"tokens": tokens, "prompts": torch.stack(prompts), "logits": torch.stack(logits)},
        folder / "expected.safetensors",
    )


def main():
    torch.set_num_threads(1)
    disable_progress_bar()
    generator = torch.Generator().manual_seed(21)
    tokens = torch.randint(3, 160, (TOKENS,), generator=generator)

    def normal(*shape):
        return torch.randn(shape, generator=generator)

    folder = TUNING_FIXTURES / "peft-prompt"
    print(folder.name)
    config = PromptTuningConfig(
        task_type=TaskType.CAUSAL_LM, num_virtual_tokens=VIRTUAL_TOKENS, prompt_tuning_init="RANDOM"
    )
    model = get_peft_model(backbone(), config)
    encoder = model.prompt_encoder["default"]
    with torch.no_grad():
        encoder.embedding.weight.copy_(0.4 * normal(VIRTUAL_TOKENS, 48))
    write(model, folder)
    finish(folder, tokens, [None], lambda stored, _: stored["prompt_embeddings"])

    folder = TUNING_FIXTURES / "peft-mpt"
    print(folder.name)
    config = MultitaskPromptTuningConfig(
        task_type=TaskType.CAUSAL_LM,
        num_virtual_tokens=VIRTUAL_TOKENS,
        prompt_tuning_init="RANDOM",
        num_tasks=TASKS,
        num_ranks=RANKS,
    )
    model = get_peft_model(backbone(), config)
    encoder = model.prompt_encoder["default"]
    with torch.no_grad():
        encoder.embedding.weight.copy_(0.4 * normal(VIRTUAL_TOKENS, 48))
        encoder.prefix_task_cols.copy_(1 + 0.3 * normal(TASKS, VIRTUAL_TOKENS, RANKS))
        encoder.prefix_task_rows.copy_(1 + 0.3 * normal(TASKS, RANKS, 48))
    write(model, folder)

    def formula(stored, task):
        factor = stored["prefix_task_cols"][task] @ stored["prefix_task_rows"][task]
        return stored["prompt_embeddings"] * factor

    finish(folder, tokens, range(TASKS), formula)

    folder = TUNING_FIXTURES / "peft-lora"
    print(folder.name)
    config = LoraConfig(
        task_type=TaskType.CAUSAL_LM,
        r=3,
        lora_alpha=5,
        lora_dropout=0.1,
        target_modules=["q_proj", "v_proj", "o_proj", "up_proj", "down_proj"],
    )
    model = get_peft_model(backbone(), config).float()
    with torch.no_grad():
        for _, values in sorted(get_peft_model_state_dict(model).items()):
            values.copy_(0.2 * normal(*values.shape))
    write(model, folder)
    model = PeftModel.from_pretrained(backbone(), folder).eval()
    with torch.no_grad():
        logits = model(input_ids=tokens[None]).logits[0]
        merged = model.merge_and_unload()(input_ids=tokens[None]).logits[0]
    assert relative_error(merged, logits) < 1e-6
    save({"tokens": tokens, "logits": logits}, folder / "expected.safetensors")

    for encoder in ["mlp", "lstm"]:
        folder = TUNING_FIXTURES / f"peft-p-{encoder}"
        print(folder.name)
        config = PromptEncoderConfig(
            task_type=TaskType.CAUSAL_LM,
            num_virtual_tokens=VIRTUAL_TOKENS,
            encoder_reparameterization_type=encoder.upper(),
            encoder_hidden_size=20,
        )
        model = get_peft_model(backbone(), config).eval()
        with torch.no_grad():
            for _, values in sorted(model.prompt_encoder.named_parameters()):
                values.copy_(0.4 * normal(*values.shape))
        write(model, folder)
        finish(folder, tokens, [None], lambda stored, _: stored["prompt_embeddings"])


if __name__ == "__main__":
    main()
