"""SmolLM2-135M-Instruct from its GGUF file through transformers: model and tokenizer, both checked."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"

import gguf
import torch
from tokenizers import pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer

# GGUF's name of each block weight -> Hugging Face's.
BLOCK_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
OTHER_NAMES = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight"}


def load_model(path):
    """The dequantized model in f32, eager attention; see `check_weights`."""
    model = AutoModelForCausalLM.from_pretrained(
        path.parent, gguf_file=path.name, dtype=torch.float32, attn_implementation="eager"
    )
    check_weights(model, path)
    return model.eval().requires_grad_(False)


def check_weights(model, path):
    """Holds transformers' conversion against the `gguf` package's own dequantizer.

    GGUF stores the rows of q and k so that the two halves of a rotary pair lie
    next to each other; Hugging Face wants the first halves of all pairs first.
    """
    reader = gguf.GGUFReader(path)
    config = model.config
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    state = model.state_dict()
    unseen = set(state) - {"lm_head.weight"}
    for tensor in reader.tensors:
        weight = torch.from_numpy(gguf.dequantize(tensor.data, tensor.tensor_type).copy())
        name = OTHER_NAMES.get(tensor.name)
        if name is None:
            _, layer, kind, _ = tensor.name.split(".")
            name = f"model.layers.{layer}.{BLOCK_NAMES[kind]}.weight"
            if kind in heads:
                rows, columns = weight.shape
                pairs = rows // heads[kind] // 2
                weight = weight.view(heads[kind], pairs, 2, columns).transpose(1, 2)
                weight = weight.reshape(rows, columns)
        assert torch.equal(state[name], weight), f"{name}: transformers and gguf differ"
        unseen.remove(name)
    assert not unseen, f"not in the file: {sorted(unseen)}"
    assert state["lm_head.weight"].data_ptr() == state["model.embed_tokens.weight"].data_ptr()

    def field(key):
        return reader.get_field(f"llama.{key}").contents()

    assert config.rope_parameters == {
        "rope_type": "default",
        "rope_theta": field("rope.freq_base"),
    }
    assert config.rms_norm_eps == field("attention.layer_norm_rms_epsilon")


def load_tokenizer(path):
    """The tokenizer, with the pre-tokenizer that the model was trained with.

    transformers 5.23 ignores the file's `tokenizer.ggml.pre = "smollm"` and
    splits as GPT-2 does. SmolLM2's own tokenizer.json splits off every digit
    first, which changes the ids of runs of white space before a digit.
    """
    tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    return tokenizer
