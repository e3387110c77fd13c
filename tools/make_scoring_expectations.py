#!/usr/bin/env python3
"""Expected scores by the field's reference implementations.

Writes small synthetic cases with the values that seqeval, scikit-learn and
rouge-score give them to crates/scoring/tests/fixtures/. Developers only; the
tests read the files and need no Python.

    pip install seqeval scikit-learn rouge-score
    python tools/make_scoring_expectations.py
"""

import json
import pathlib
import random

from rouge_score import rouge_scorer
from seqeval.metrics import classification_report
from seqeval.scheme import IOB2
from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score

FIXTURES = pathlib.Path(__file__).parent.parent / "crates/scoring/tests/fixtures"
TYPES = ["drug", "effect", "dose"]


def spans(tags):
    """[type, first token, one past the last token] of every IOB2 entity."""
    found, start = [], None
    for i, tag in enumerate([*tags, "O"]):
        if start is not None and not tag.startswith("I-"):
            found.append([tags[start][2:], start, i])
            start = None
        if tag.startswith("B-"):
            start = i
    return found


def random_tags(rng, length):
    tags = []
    while len(tags) < length:
        if rng.random() < 0.4:
            kind = rng.choice(TYPES)
            tags += [f"B-{kind}"] + [f"I-{kind}"] * rng.randrange(3)
        else:
            tags.append("O")
    return tags[:length]


def disturb(rng, tags):
    """A prediction that is often, not always, right."""
    out = []
    for kind, start, end in spans(tags):
        draw = rng.random()
        if draw < 0.15:
            continue
        if draw < 0.3:
            kind = rng.choice(TYPES)
        elif draw < 0.45:
            end = min(len(tags), end + 1)
        elif draw < 0.6 and end - start > 1:
            start += 1
        out.append((kind, start, end))
    predicted = ["O"] * len(tags)
    for kind, start, end in out:
        if all(tag == "O" for tag in predicted[start:end]):
            predicted[start:end] = [f"B-{kind}"] + [f"I-{kind}"] * (end - start - 1)
    for i, tag in enumerate(predicted):
        if tag == "O" and rng.random() < 0.05:
            predicted[i] = f"B-{rng.choice(TYPES)}"
    # An I- that lost its beginning to a neighbour would be another entity.
    for i, tag in enumerate(predicted):
        before = predicted[i - 1][2:] if i else ""
        if tag.startswith("I-") and before != tag[2:]:
            predicted[i] = f"B-{tag[2:]}"
    return predicted


def entity_cases(rng):
    cases = []
    for size in [1, 5, 40]:
        gold = [random_tags(rng, rng.randrange(1, 25)) for _ in range(size)]
        predicted = [disturb(rng, tags) for tags in gold]
        report = classification_report(
            gold, predicted, mode="strict", scheme=IOB2, output_dict=True, zero_division=0
        )
        cases.append(
            {
                "gold": [spans(tags) for tags in gold],
                "predicted": [spans(tags) for tags in predicted],
                "precision": report["micro avg"]["precision"],
                "recall": report["micro avg"]["recall"],
                "f1": report["micro avg"]["f1-score"],
                "macro_f1": report["macro avg"]["f1-score"],
                "by_type": {
                    kind: report[kind]["f1-score"] for kind in TYPES if kind in report
                },
            }
        )
    return cases


def label_cases(rng):
    cases = []
    labels = ["effect", "int", "mechanism", "false"]
    positives = labels[:3]
    for size, unanswered in [(1, 0.0), (7, 0.0), (200, 0.0), (200, 0.2), (30, 1.0)]:
        gold = rng.choices(labels, [3, 1, 2, 9], k=size)
        predicted = [
            None
            if rng.random() < unanswered
            else (label if rng.random() < 0.6 else rng.choice(labels))
            for label in gold
        ]
        # scikit-learn wants one type of label; "?" is none of `seen`.
        shown = [label or "?" for label in predicted]
        seen = sorted((set(gold) | set(shown)) - {"?"})
        options = {"average": "micro", "labels": positives, "zero_division": 0}
        cases.append(
            {
                "gold": gold,
                "predicted": predicted,
                "accuracy": accuracy_score(gold, shown),
                "macro_f1": f1_score(
                    gold, shown, labels=seen, average="macro", zero_division=0
                ),
                "relation_f1": f1_score(gold, shown, **options),
                "relation_precision": precision_score(gold, shown, **options),
                "relation_recall": recall_score(gold, shown, **options),
            }
        )
    return cases


def rouge_cases(rng):
    pairs = [
        ("The patient denies chest pain.", "Patient denied any chest pains."),
        ("No known drug allergies.", ""),
        ("", "None."),
        ("?!", "..."),
        ("He takes 81 mg aspirin daily.", "He takes aspirin 81mg, daily."),
        ("Café-au-lait spots; temperature 38.5°C", "Cafe au lait spots at 38.5 C"),
        ("β-blockers were stopped", "beta-blockers were stopping"),
        ("HTN, DM2, CKD.\nFollow-up in 2 weeks.", "htn dm2\nfollow up in two weeks"),
        ("running runs ran runner easily", "run running runners ease"),
        ("don't can't won't", "do not cannot will not"),
        ("same same same", "same"),
        ("ÉTAT général ALTÉRÉ", "etat general altere"),
        ("under_scored id_7 x", "under scored id 7 x"),
    ]
    words = (
        "the a patient was is has had with without pain fever cough chronic acute bilateral "
        "hypertension diabetes taking started stopped increases increased denied denies reports "
        "medications medication daily twice 10 mg 2.5 mother's father's surgeries surgery"
    ).split()
    for _ in range(60):
        reference = [rng.choice(words) for _ in range(rng.randrange(1, 40))]
        answer = [w for w in reference if rng.random() < 0.7]
        answer += [rng.choice(words) for _ in range(rng.randrange(10))]
        if rng.random() < 0.5:
            rng.shuffle(answer)
        pairs.append((" ".join(reference), " ".join(answer)))
    scorer = rouge_scorer.RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=True)
    return [
        {
            "reference": reference,
            "answer": answer,
            **{
                name: score.fmeasure
                for name, score in scorer.score(reference, answer).items()
            },
        }
        for reference, answer in pairs
    ]


def main():
    rng = random.Random(7)
    FIXTURES.mkdir(parents=True, exist_ok=True)
    for name, cases in [
        ("entities", entity_cases(rng)),
        ("labels", label_cases(rng)),
        ("rouge", rouge_cases(rng)),
    ]:
        path = FIXTURES / f"{name}.json"
        path.write_text(json.dumps(cases, ensure_ascii=False, indent=1) + "\n")
        print(f"{path}: {len(cases)} cases")


if __name__ == "__main__":
    main()
