#!/usr/bin/env python3
"""Scores of real predictions against the field's reference implementations.

    metaprompt evaluate TASK … --answers answers.jsonl --json > scores.json
    python tools/check_scores.py answers.jsonl scores.json

Computes every number again that a reference has a definition of (scikit-learn
for labels and for lists of mentions and relations, seqeval where mentions are
flat and stand between blanks, rouge-score, torchmetrics for SQuAD, easse for
SARI where it is installed) and fails where one differs by more than 1e-6.
"""

import json
import sys
from collections import defaultdict

CLAIMS = {"not-in-text", "repeated", "unknown-type", "unknown-concept"}


def listed(answer):
    """The distinct mentions or relations of an answer, as keys."""
    if "entities" in answer:
        spans = lambda e: tuple((s["start"], s["end"]) for s in e["spans"])
        return {(e["kind"], spans(e)) for e in answer["entities"]}
    return {json.dumps(r, sort_keys=True) for r in answer["relations"]}


def lists(cases):
    """Micro precision, recall and F1: an item is one column of an indicator."""
    from sklearn.metrics import precision_recall_fscore_support

    gold, predicted = [], []
    for case in cases:
        right, said = listed(case["gold"]["answer"]), listed(case["predicted"]["answer"])
        for item in right | said:
            gold.append(int(item in right))
            predicted.append(int(item in said))
        claims = [u for u in case["predicted"].get("unusable", []) if u["reason"] in CLAIMS]
        gold += [0] * len(claims)
        predicted += [1] * len(claims)
    kind = "entity" if "entities" in cases[0]["gold"]["answer"] else "relation"
    p, r, f, _ = precision_recall_fscore_support(
        gold, predicted, average="binary", zero_division=0
    )
    return {f"{kind}-f1": f, f"{kind}-precision": p, f"{kind}-recall": r}


def tagged(text, answer):
    """IOB2 tags of blank-separated tokens; None where mentions don't fit."""
    starts, ends, at = {}, {}, 0
    for i, token in enumerate(text.split(" ")):
        starts[at], ends[at + len(token.encode())] = i, i
        at += len(token.encode()) + 1
    tags = ["O"] * len(starts)
    for kind, spans in sorted(listed(answer), key=lambda e: e[1]):
        if len(spans) > 1 or spans[0][0] not in starts or spans[0][1] not in ends:
            return None
        first, last = starts[spans[0][0]], ends[spans[0][1]]
        if any(tag != "O" for tag in tags[first : last + 1]):
            return None
        tags[first : last + 1] = [f"B-{kind}"] + [f"I-{kind}"] * (last - first)
    return tags


def sequences(cases):
    """seqeval on the cases that it can hold, and our definition on the same."""
    from seqeval.metrics import f1_score
    from seqeval.scheme import IOB2

    fit = []
    for case in cases:
        pair = [tagged(case["source"], case[side]["answer"]) for side in ("gold", "predicted")]
        if None not in pair:
            fit.append((case, *pair))
    if not fit:
        return
    theirs = f1_score([g for _, g, _ in fit], [p for _, _, p in fit], mode="strict", scheme=IOB2)
    bare = [{**c, "predicted": {**c["predicted"], "unusable": []}} for c, _, _ in fit]
    ours = lists(bare)["entity-f1"]
    print(f"  seqeval on {len(fit)} of {len(cases)} cases: {theirs:.6f}, as a list {ours:.6f}")
    assert abs(theirs - ours) < 1e-6


def labels(cases):
    from sklearn.metrics import accuracy_score, f1_score

    gold = [c["gold"]["answer"]["label"] for c in cases]
    predicted = [c["predicted"]["answer"]["label"] or "(none)" for c in cases]
    names = sorted(set(gold) | set(predicted) - {"(none)"})
    macro = f1_score(gold, predicted, labels=names, average="macro", zero_division=0)
    return {"accuracy": accuracy_score(gold, predicted), "macro-f1": macro}


def texts(cases):
    from rouge_score import rouge_scorer
    from torchmetrics.functional.text import squad

    names = ["rouge1", "rouge2", "rougeL", "rougeLsum"]
    scorer = rouge_scorer.RougeScorer(names, use_stemmer=True)
    sums = defaultdict(float)
    pairs = [(c["gold"]["answer"]["text"], c["predicted"]["answer"]["text"]) for c in cases]
    for gold, predicted in pairs:
        for name, score in scorer.score(gold, predicted).items():
            sums[name] += score.fmeasure / len(pairs)
    found = dict(zip(["rouge-1", "rouge-2", "rouge-l", "rouge-lsum"], (sums[n] for n in names)))
    answers = [{"prediction_text": p, "id": str(i)} for i, (_, p) in enumerate(pairs)]
    asked = [
        {"answers": {"answer_start": [0], "text": [g]}, "id": str(i)}
        for i, (g, _) in enumerate(pairs)
    ]
    both = squad(answers, asked)
    found["exact-match"], found["token-f1"] = float(both["exact_match"]) / 100, float(both["f1"]) / 100
    try:
        from easse.sari import corpus_sari

        sources = [c["source"] or "" for c in cases]
        found["sari"] = corpus_sari(sources, [p for _, p in pairs], [[g for g, _ in pairs]]) / 100
    except ImportError:
        print("  easse isn't installed: SARI isn't checked")
    return found


def main(answers, scores):
    cases = [json.loads(line) for line in open(answers, encoding="utf-8")]
    ours = {s["name"]: s["value"] for s in json.load(open(scores))["scores"]["scores"]}
    kind = next(iter(cases[0]["gold"]["answer"]))
    check = {"entities": lists, "relations": lists, "label": labels, "text": texts}[kind]
    print(f"{answers}: {len(cases)} cases of {kind}")
    if kind == "entities":
        sequences(cases)
    worst = 0.0
    for name, theirs in check(cases).items():
        if name not in ours:
            continue
        worst = max(worst, abs(theirs - ours[name]))
        print(f"  {name:<18} {ours[name]:.6f}  reference {theirs:.6f}")
    # torchmetrics counts in f32.
    assert worst < 1e-6, f"differs by {worst}"


if __name__ == "__main__":
    main(*sys.argv[1:])
