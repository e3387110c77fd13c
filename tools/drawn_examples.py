"""What both sides of a timing are given: shapes of models and token sequences. Needs no package."""

import json

SHAPES = {
    "llama-3.1-8b": dict(
        hidden_size=4096, intermediate_size=14336, num_hidden_layers=32, num_attention_heads=32,
        num_key_value_heads=8, vocab_size=128256, rms_norm_eps=1e-5, tie_word_embeddings=False,
        max_position_embeddings=131072,
        rope_parameters=dict(rope_type="llama3", rope_theta=500000.0, factor=8.0, low_freq_factor=1.0,
                             high_freq_factor=4.0, original_max_position_embeddings=8192),
    ),
    "gpt-oss-20b": dict(
        model_type="gpt_oss", hidden_size=2880, intermediate_size=2880, num_hidden_layers=24, num_attention_heads=64,
        num_key_value_heads=8, head_dim=64, vocab_size=201088, rms_norm_eps=1e-5, tie_word_embeddings=False,
        max_position_embeddings=131072, sliding_window=128, num_local_experts=32, num_experts_per_tok=4,
        attention_bias=True,
        rope_parameters=dict(rope_type="yarn", rope_theta=150000.0, factor=32.0, beta_fast=32.0, beta_slow=1.0,
                             truncate=False, original_max_position_embeddings=4096),
    ),
    "smollm2-135m": dict(
        hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9,
        num_key_value_heads=3, vocab_size=49152, rms_norm_eps=1e-5, tie_word_embeddings=True,
        max_position_embeddings=8192, rope_parameters=dict(rope_type="default", rope_theta=100000.0),
    ),
    "tiny": dict(
        hidden_size=256, intermediate_size=512, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, vocab_size=1024, rms_norm_eps=1e-5, tie_word_embeddings=False,
        max_position_embeddings=8192, rope_parameters=dict(rope_type="default", rope_theta=10000.0),
    ),
}
# Shapes whose weights are each side's own: too many to pass from one to the other.
LARGE = ("llama-3.1-8b", "gpt-oss-20b")


def draw_numbers(seed):
    """x <- 6364136223846793005 x + 1442695040888963407 mod 2^64 from x = seed + 1: x >> 33, again and again."""
    state = seed + 1
    while True:
        state = (6364136223846793005 * state + 1442695040888963407) % 2**64
        yield state >> 33


def draw_lengths(least, most, count, seed):
    """Lengths from `least` to `most`, both included."""
    return [least + number % (most - least + 1) for number, _ in zip(draw_numbers(seed), range(count))]


def draw_examples(lengths, targets, shared_prefix, vocabulary, seed=0):
    """Examples of these `lengths`, their last `targets` tokens targets, that begin with the same `shared_prefix` tokens."""
    numbers = draw_numbers(seed)

    def draw(count):
        return [next(numbers) % vocabulary for _ in range(count)]

    prefix = draw(shared_prefix)
    examples = []
    for length in lengths:
        tokens = prefix + draw(length - shared_prefix)
        examples.append({"context": tokens[:-targets], "target": tokens[-targets:]})
    return examples


def load_examples(path, vocabulary):
    """The examples of `{"examples": [{"context": [ids], "target": [ids]}]}`."""
    examples = json.loads(path.read_text())["examples"]
    if not examples:
        raise SystemExit(f"{path}: no examples")
    if any(not 0 <= token < vocabulary for example in examples for token in example["context"] + example["target"]):
        raise SystemExit(f"{path}: a token outside the vocabulary of {vocabulary}")
    return examples
