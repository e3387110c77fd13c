#!/usr/bin/env python3
"""Makes the synthetic clinical corpora of `metaprompt quickstart`.

    python3 tools/make_quickstart_corpora.py            # writes them
    python3 tools/make_quickstart_corpora.py --check    # compares, writes nothing

Standard library only. The same bytes come out each time and on every Python 3:
each split of each task has its own seed. What is checked before anything is
written: no text twice, within or across splits; labels in equal numbers; no
single word and no length that gives a label away; sizes of files and of the whole.
"""

import argparse
import collections
import pathlib
import re
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from quickstart_corpora import (  # noqa: E402
    adverse_event, allergy_re, dialog_summ, draws, medication_ner, plan_nli, problem_ner, visit_qa, writers,
)

OUT = pathlib.Path(__file__).resolve().parent.parent / "examples" / "quickstart" / "corpora"

#: train, dev, test
SIZES = {"train": 400, "dev": 80, "test": 200}

#: task -> (module, writer, labels in the order of their turns; None without)
TASKS = {
    "qs-medication-ner": (medication_ner, writers.conll, None),
    "qs-adverse-event": (adverse_event, writers.gad_tsv, (1, 0)),
    "qs-visit-qa": (visit_qa, writers.pubmedqa_json, ("yes", "no", "yes", "no", "maybe")),
    "qs-plan-nli": (plan_nli, writers.pair_xml, plan_nli.LABELS),
    "qs-dialog-summ": (dialog_summ, writers.dialogue_csv, None),
    "qs-problem-ner": (problem_ner, writers.brat, None),
    "qs-allergy-re": (allergy_re, writers.marked_jsonl, allergy_re.LABELS),
}

FILE_LIMIT, TOTAL_LIMIT = 300_000, 1_000_000
#: how far the best rule of one word ("it is there, so this label, else that") or
#: of one length may get on the way from the majority class to perfect
SHORTCUT_LIMIT = 0.25


def content(example, labelled):
    """What a model reads of an example, without what it has to answer."""
    if labelled:
        example = example[0]
        return example if isinstance(example, str) else " ".join(example)
    return example[0]


def make(task, module, labels, split, seen):
    """The examples of one split; `seen` holds the texts of the task so far."""
    side = draws.TRAIN if split == "train" else draws.EVAL
    draw = draws.Draw(task, split)
    examples = []
    while len(examples) < SIZES[split]:
        words = draws.Words(draw, side)
        if labels:
            label = labels[len(examples) % len(labels)]
            example = (module.example(words, label), label)
        else:
            example = module.example(words)
        # Case and spacing don't make a text new.
        key = " ".join(content(example, labels).lower().split())
        if key not in seen:
            seen.add(key)
            examples.append(example)
    return draw.shuffled(examples)


def gain(inside, counts):
    """How far a rule that divides `counts` into `inside` and the rest gets."""
    total, majority = sum(counts.values()), max(counts.values())
    outside = counts - inside
    right = max(inside.values(), default=0) + max(outside.values(), default=0)
    return (right - majority) / (total - majority)


def shortcuts(examples):
    """(gain, rule) of the best rule of one word and of the best of one length."""
    counts = collections.Counter(label for _, label in examples)
    with_word, with_length = collections.defaultdict(collections.Counter), collections.defaultdict(collections.Counter)
    for example in examples:
        text = content(example, True)
        with_length[len(text)][example[1]] += 1
        for word in set(re.findall(r"[\w$@]+", text.lower())):
            with_word[word][example[1]] += 1
    by_word = max((gain(inside, counts), f"the word `{word}`") for word, inside in with_word.items())
    shorter, by_length = collections.Counter(), (0.0, "")
    for length in sorted(with_length):
        shorter += with_length[length]
        by_length = max(by_length, (gain(shorter, counts), f"a length up to {length}"))
    return by_word, by_length


def build():
    """All files as `{path: bytes}`, and a line of facts per task and split."""
    files, facts = {}, []
    for task, (module, writer, labels) in TASKS.items():
        seen, everything = set(), []
        for split in SIZES:
            examples = make(task, module, labels, split, seen)
            everything += examples
            size = sum(len(content(e, labels)) for e in examples) / len(examples)
            line = f"{task:18} {split:5} {len(examples):4} examples, {size:5.1f} characters"
            if labels:
                counts = collections.Counter(str(label) for _, label in examples)
                line += ", " + ", ".join(f"{k} {v}" for k, v in sorted(counts.items()))
            elif module is dialog_summ:
                line += f", summary {sum(len(e[1]) for e in examples) / len(examples):.1f} characters"
            else:
                kinds = collections.Counter(kind for e in examples for _, _, kind in e[1])
                line += ", " + ", ".join(f"{k} {v}" for k, v in sorted(kinds.items()))
                line += f", without any {sum(not e[1] for e in examples)}"
            facts.append(line)
            for path, data in writer(split, examples).items():
                files[f"{task}/{path}"] = data
        if labels:
            for share, rule in shortcuts(everything):
                facts.append(f"{task:18} best shortcut: {rule}, {share:.2f} of the way to perfect")
                if share > SHORTCUT_LIMIT:
                    sys.exit(f"{task}: {rule} gives the label away ({share:.2f})")
    for path, data in files.items():
        if len(data) > FILE_LIMIT:
            sys.exit(f"{path} has {len(data)} bytes, more than {FILE_LIMIT}")
    total = sum(map(len, files.values()))
    if total > TOTAL_LIMIT:
        sys.exit(f"the corpora have {total} bytes, more than {TOTAL_LIMIT}")
    facts.append(f"{len(files)} files, {total} bytes")
    return files, facts


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with the files on disk, write nothing")
    arguments = parser.parse_args()
    files, facts = build()
    print("\n".join(facts))
    on_disk = {p.relative_to(OUT).as_posix() for p in OUT.rglob("*") if p.is_file()}
    if arguments.check:
        wrong = sorted(
            (on_disk ^ set(files)) | {p for p in on_disk & set(files) if (OUT / p).read_bytes() != files[p]}
        )
        if wrong:
            sys.exit(f"{len(wrong)} files differ from what this script makes, the first is {wrong[0]}")
        print("the files on disk are what this script makes")
        return
    for path in on_disk - set(files):
        (OUT / path).unlink()
    for path, data in files.items():
        (OUT / path).parent.mkdir(parents=True, exist_ok=True)
        (OUT / path).write_bytes(data)


if __name__ == "__main__":
    main()
