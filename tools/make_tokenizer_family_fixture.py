"""Writes crates/backbone/tests/fixtures/files/tokenizer_families.json.

    python tools/make_tokenizer_family_fixture.py

One small byte-level vocabulary, trained here without any splitting so that its merges run across
spaces, digits and punctuation, and the ids that each family's pre-tokenizer then gives on texts
which tell the families apart. The references are transformers' own classes where it has one
(GPT-2, Qwen2), and for LLaMA 3 and SmolLM the parts that their tokenizer.json files name.
"""

import json
import pathlib

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import GPT2Tokenizer, Qwen2Tokenizer
from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS

OUT = pathlib.Path(__file__).resolve().parent.parent / "crates/backbone/tests/fixtures/files/tokenizer_families.json"

TEXTS = [
    "BP 120/80 mmHg, HR 72.",
    "don't DON'T we'Ll it's",
    "line one\n\n  line two\r\n\tthree  ",
    "  12  345  6789",
    "naïve café cafe\u0301 μg ½ ² Ⅷ",
    "患者は発熱 38.5℃",
    "a.b,c;d!!\n\n?? --- (x)\n",
    "unreachable xyzzy, xyzzy",
    "\u00a0nbsp\u3000wide\u200bzero",
    "<|end|> is text and  <|start|>",
    "",
    " ",
    "\n",
    "😀👍🏽 ok",
]

TRAINING = [
    "the patient's blood pressure was 120/80 mmHg and don't forget it's 38.5 degrees\n\n",
    "line one\n\n  line two\r\n\tthree 12 345 6789 !!\n\n?? --- (x)\n",
    "naïve café μg ½ DON'T we'll BP HR 72. don't it's 120/80 38.5  12  345",
]


def main():
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=420, initial_alphabet=alphabet, show_progress=False)
    trained.train_from_iterator(TRAINING * 3, trainer)
    model = json.loads(trained.to_str())["model"]
    merges = [tuple(pair) for pair in model["merges"]]
    tokens = sorted(model["vocab"], key=model["vocab"].get)
    # No merge leads to this one: only a model that takes whole pieces first finds it.
    tokens += ["Ġxyzzy", "<|start|>", "<|end|>"]
    vocab = {token: index for index, token in enumerate(tokens)}
    types = [1] * (len(tokens) - 2) + [3, 3]

    def assembled(pre_tokenizer, normalizer=None, ignore_merges=False):
        tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges, ignore_merges=ignore_merges))
        tokenizer.pre_tokenizer = pre_tokenizer
        if normalizer is not None:
            tokenizer.normalizer = normalizer
        return tokenizer

    def split(name):
        expression = Regex(GGUF_PRE_TOKENIZER_SPLITS[name])
        return pre_tokenizers.Sequence([
            pre_tokenizers.Split(expression, behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ])

    smollm = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
    ])
    references = {
        "gpt-2": GPT2Tokenizer(vocab=vocab, merges=merges).backend_tokenizer,
        "qwen2": Qwen2Tokenizer(vocab=vocab, merges=merges).backend_tokenizer,
        "llama-bpe": assembled(split("llama-bpe"), ignore_merges=True),
        "smollm": assembled(smollm),
    }
    ids = {}
    for name, reference in references.items():
        reference.encode_special_tokens = True
        ids[name] = [reference.encode(text, add_special_tokens=False).ids for text in TEXTS]
        assert max(max(row, default=0) for row in ids[name]) < len(tokens) - 2, name
    for first in ids:
        for second in ids:
            assert first == second or ids[first] != ids[second], (first, second)
    OUT.write_text(json.dumps({
        "tokens": tokens, "types": types, "merges": [" ".join(pair) for pair in merges], "texts": TEXTS, "ids": ids,
    }, ensure_ascii=True) + "\n")
    print({name: sum(map(len, rows)) for name, rows in ids.items()}, OUT.stat().st_size)


if __name__ == "__main__":
    main()
