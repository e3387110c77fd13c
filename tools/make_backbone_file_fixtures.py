"""Writes the small model files that crates/backbone/tests/files_*.rs read, with what they must give.

    python tools/make_backbone_file_fixtures.py

Needs torch, transformers 5, gguf, safetensors and numpy. The files go to
crates/backbone/tests/fixtures/files/ and have less than 1 MB together:

- one GGUF per storage type, a random one-layer LLaMA whose rows of 256 values fit every block size;
- sharded/, a checkpoint of transformers in bf16 shards, with its own config.json;
- expected.json: for each file and tensor (Hugging Face's name) the shape and the SHA-256 of its f32
  values, little-endian and row-major, as transformers itself loads them from the same file.

The GGUF tools of Python quantize the simple types; for the K types they only unpack, so those files
hold random blocks with scales that keep the values finite, which exercises every bit of a block.
"""

import hashlib
import json
import pathlib

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Q
from transformers import LlamaConfig, LlamaForCausalLM

OUT = pathlib.Path(__file__).resolve().parent.parent / "crates/backbone/tests/fixtures/files"
HIDDEN, FF, HEADS, KV_HEADS, HEAD_DIM, VOCAB = 256, 32, 2, 1, 4, 12

SIMPLE = [Q.F16, Q.BF16, Q.Q8_0, Q.Q4_0, Q.Q4_1, Q.Q5_0, Q.Q5_1]
# Bytes of the half-precision scales within a block.
K_SCALES = {Q.Q2_K: (80, 82), Q.Q3_K: (108,), Q.Q4_K: (0, 2), Q.Q5_K: (0, 2), Q.Q6_K: (208,)}


def shapes(full):
    q, kv = HEADS * HEAD_DIM, KV_HEADS * HEAD_DIM
    table = {
        "token_embd.weight": (VOCAB, HIDDEN),
        "output_norm.weight": (HIDDEN,),
        "blk.0.attn_norm.weight": (HIDDEN,),
        "blk.0.ffn_norm.weight": (HIDDEN,),
        "blk.0.attn_q.weight": (q, HIDDEN),
        "blk.0.attn_k.weight": (kv, HIDDEN),
        "blk.0.attn_v.weight": (kv, HIDDEN),
        "blk.0.attn_output.weight": (HIDDEN, q),
        "blk.0.ffn_gate.weight": (FF, HIDDEN),
        "blk.0.ffn_up.weight": (FF, HIDDEN),
        "blk.0.ffn_down.weight": (HIDDEN, FF),
    }
    if full:
        table["output.weight"] = (VOCAB, HIDDEN)
        table["blk.0.attn_q.bias"] = (q,)
        table["blk.0.attn_k.bias"] = (kv,)
        table["blk.0.attn_v.bias"] = (kv,)
        table["blk.0.attn_output.bias"] = (HIDDEN,)
    return table


def random_blocks(kind, shape, random):
    block, size = gguf.GGML_QUANT_SIZES[kind]
    rows = np.frombuffer(random.bytes(shape[0] * shape[1] // block * size), np.uint8).reshape(-1, size).copy()
    for at in K_SCALES[kind]:
        scale = random.uniform(0.001, 0.02, len(rows)).astype(np.float16)
        rows[:, at : at + 2] = scale.view(np.uint8).reshape(-1, 2)
    return rows.reshape(shape[0], -1)


def write_gguf(path, kind, full, random):
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name(f"tiny {kind.name}")
    writer.add_context_length(128)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(1)
    writer.add_feed_forward_length(FF)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_key_length(HEAD_DIM)
    writer.add_value_length(HEAD_DIM)
    writer.add_rope_dimension_count(HEAD_DIM)
    writer.add_rope_freq_base(50_000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(VOCAB)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([chr(ord("a") + i) for i in range(VOCAB)])
    writer.add_token_types([3] + [1] * (VOCAB - 1))
    writer.add_token_merges([])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    if full:
        writer.add_tensor("rope_freqs.weight", np.array([1.0, 8.0], np.float32))
    for name, shape in shapes(full).items():
        values = random.normal(0, 0.5, shape).astype(np.float32)
        block = gguf.GGML_QUANT_SIZES[kind][0]
        if len(shape) == 1 or shape[1] % block or kind == Q.F32:
            writer.add_tensor(name, values)
        elif kind in K_SCALES:
            writer.add_tensor(name, random_blocks(kind, shape, random), raw_dtype=kind)
        else:
            writer.add_tensor(name, gguf.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def by_hand(path):
    """The tensors of a GGUF file by the gguf package, q and k rows put back by hand."""
    named = {
        "attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
        "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "ffn_norm": "post_attention_layernorm",
        "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
    }
    top = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight",
           "output.weight": "lm_head.weight"}
    tensors = {}
    for tensor in gguf.GGUFReader(path).tensors:
        if tensor.name == "rope_freqs.weight":
            continue
        shape = [int(n) for n in tensor.shape[::-1]]
        values = gguf.dequantize(tensor.data, tensor.tensor_type).reshape(shape)
        if tensor.name in top:
            tensors[top[tensor.name]] = values
            continue
        _, layer, part, suffix = tensor.name.split(".")
        if part in ("attn_q", "attn_k"):
            heads = HEADS if part == "attn_q" else KV_HEADS
            pairs = values.reshape(heads, HEAD_DIM // 2, 2, -1)
            values = pairs.swapaxes(1, 2).reshape(shape)
        tensors[f"model.layers.{layer}.{named[part]}.{suffix}"] = values
    return tensors


def summary(tensors):
    def one(values):
        values = np.ascontiguousarray(values, dtype="<f4")
        return {"shape": list(values.shape), "sha256": hashlib.sha256(values.tobytes()).hexdigest()}

    return {name: one(values) for name, values in sorted(tensors.items())}


def main():
    random = np.random.default_rng(7)
    torch.manual_seed(7)
    OUT.mkdir(parents=True, exist_ok=True)
    expected = {}
    for kind in SIMPLE + list(K_SCALES):
        full = kind == Q.F16
        path = OUT / f"{kind.name.lower()}.gguf"
        write_gguf(path, kind, full, random)
        tensors = by_hand(path)
        expected[path.name] = summary(tensors)
        if not full:
            # transformers has no biases in a GGUF LLaMA, so the full file is by hand alone.
            model = LlamaForCausalLM.from_pretrained(OUT, gguf_file=path.name, dtype=torch.float32)
            loaded = {name: value.numpy() for name, value in model.state_dict().items() if name != "lm_head.weight"}
            assert loaded.keys() == tensors.keys(), path
            for name, values in loaded.items():
                assert np.array_equal(values, tensors[name]), (path, name, np.abs(values - tensors[name]).max())
            print(path.name, "equal to transformers'")
    config = LlamaConfig(
        vocab_size=24, hidden_size=12, intermediate_size=20, num_hidden_layers=2, num_attention_heads=6,
        num_key_value_heads=2, head_dim=4, max_position_embeddings=512, rms_norm_eps=1e-5, attention_bias=True,
        mlp_bias=True, tie_word_embeddings=False, bos_token_id=1, eos_token_id=[2, 3],
        rope_parameters={"rope_type": "llama3", "rope_theta": 500_000.0, "factor": 8.0, "low_freq_factor": 1.0,
                         "high_freq_factor": 4.0, "original_max_position_embeddings": 64},
    )
    model = LlamaForCausalLM(config).to(torch.bfloat16)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.5)
    model.save_pretrained(OUT / "sharded", max_shard_size="3KB")
    tensors = {name: value.float().numpy() for name, value in model.state_dict().items()}
    expected["sharded"] = summary(tensors)
    (OUT / "expected.json").write_text(json.dumps(expected, indent=0) + "\n")


if __name__ == "__main__":
    main()
