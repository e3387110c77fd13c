"""Next-token logits and tokenization of SmolLM2-135M-Instruct, from its GGUF file.

    python tools/make_smollm2_reference.py GGUF crates/backbone/tests/fixtures/smollm2-top20.safetensors

writes that file and `smollm2-prompts.json` beside it. Layout:

    tokens       i64 [sum of lengths]  ids of ten prompts, one after the other
    lengths      i64 [10]
    top_ids      i64 [10, 20]          ids of the 20 largest next-token logits, largest first
    top_logits   f32 [10, 20]          those logits
    logsumexp    f32 [10]              over the whole vocabulary, so that the rest counts too

`smollm2-prompts.json` is a list of `{"text", "ids"}`: the ten prompts in order,
then strings on which tokenizers go wrong. Special tokens in the text are parsed.
"""

import json
import sys
from pathlib import Path

import torch
from transformers.utils.logging import disable_progress_bar

from reference import relative_error, save
from smollm2 import load_model, load_tokenizer

TOP = 20

PROMPTS = [
    "The capital of France is",
    "Water boils at a temperature of",
    "The patient was started on metformin for type 2",
    "Chest X-ray shows no acute cardiopulmonary",
    "Question: Does aspirin reduce fever?\nAnswer:",
    "Allergies: penicillin (rash).  Medications: lisinopril 10 mg daily, atorvastatin 40 mg",
    "List the diseases in this sentence: She has asthma, gout and chronic kidney disease.\nDiseases:",
    "def add(a, b):\n    return a +",
    "<|im_start|>system\nYou are a careful clinical assistant.<|im_end|>\n"
    "<|im_start|>user\nIs insulin a hormone? Answer yes or no.<|im_end|>\n"
    "<|im_start|>assistant\n",
    "<|im_start|>user\nSummarize: 54-year-old man, two days of productive cough and fever of 38.9 °C, "
    "crackles at the right base, treated with amoxicillin.<|im_end|>\n<|im_start|>assistant\n",
]

HARD_TO_TOKENIZE = [
    "",
    " ",
    "   ",
    "\n",
    "\n\n1. First\n\n2. Second",
    "BP 120/80  mmHg,   3 days, p<0.05",
    "  2024-03-17\t14:05\r\n",
    "Dose:  5mg → 7½ mg, x² + 10³ cells/µl",
    "IL-2Rα, TNF-α and β2-microglobulin",
    "Don't, we'll, they've, I'M, it's 5's",
    "naïve café Ångström œdème",
    "e\u0301 is not \u00e9",
    "患者は発熱があります。",
    "рак лёгкого",
    "🙂 ok 👩‍⚕️",
    "a\u00a0b\u2009c\u200bd",
    "\u0663\u0664 arabic digits, \u216b roman, \u2460 circled",
    "http://example.org/a_b?c=1&d=%20",
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "trailing space ",
    "trailing spaces   ",
    "tabs\t\tand  \t mixed \n \n  lines",
    "<|im_end|>",
    "text<|im_start|>user\n<|im_end|> text <|endoftext|>",
    "<|im_start |> is not special, <b>nor this</b>",
    "[**2101-3-4**] Pt. s/p CABG x3, EF 35-40%",
    "snake_case camelCase UPPER 3D H2O CO2",
    "(((nested))) {braces} [brackets] \"quotes\" `ticks`",
    "\u0000\u0001\u001f control",
    "....!!!???---___***",
]


def greedy(model, tokenizer, question):
    """A short answer, for a person to see that the converted model is in its right mind."""
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": question}], tokenize=False, add_generation_prompt=True
    )
    ids = tokenizer(text, return_tensors="pt", add_special_tokens=False).input_ids
    out = model.generate(ids, max_new_tokens=24, do_sample=False)
    return tokenizer.decode(out[0, ids.shape[1] :])


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    source, target = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
    torch.set_num_threads(1)
    disable_progress_bar()
    model, tokenizer = load_model(source), load_tokenizer(source)
    print("greedy:", repr(greedy(model, tokenizer, "What is the capital of France?")))

    def encode(text):
        return tokenizer(text, add_special_tokens=False).input_ids

    ids = [torch.tensor(encode(text)) for text in PROMPTS]
    with torch.no_grad():
        logits = torch.stack([model(row[None]).logits[0, -1] for row in ids])
        model.double()
        exact = torch.stack([model(row[None]).logits[0, -1] for row in ids])
    print(f"f32 to f64: {relative_error(logits, exact):.1e}")
    top_logits, top_ids = exact.topk(TOP)
    gaps = (top_logits[:, :-1] - top_logits[:, 1:]).min()
    print(f"smallest gap between neighbours in a list: {gaps.item():.1e}")
    save(
        {
            "tokens": torch.cat(ids),
            "lengths": torch.tensor([len(row) for row in ids]),
            "top_ids": top_ids,
            "top_logits": top_logits,
            "logsumexp": exact.logsumexp(-1),
        },
        target,
    )
    for text, row in zip(PROMPTS, top_ids, strict=True):
        print(f"  …{text[-40:]!r} -> {tokenizer.decode(row[:1])!r}")

    rows = [{"text": text, "ids": encode(text)} for text in PROMPTS + HARD_TO_TOKENIZE]
    lines = ",\n".join(json.dumps(row, ensure_ascii=True) for row in rows)
    (target.parent / "smollm2-prompts.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
