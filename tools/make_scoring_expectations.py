#!/usr/bin/env python3
"""Expected scores by the field's reference implementations.

Writes small synthetic cases with the values that seqeval, scikit-learn,
rouge-score, torchmetrics and easse give them to crates/scoring/tests/fixtures/.
Developers only; the tests read the files and need no Python.

    pip install -r tools/requirements.txt
    python tools/make_scoring_expectations.py

easse isn't in the package index: install its sources (version 0.2.4,
github.com/feralvam/easse) with `pip install --no-deps`, or put them on
PYTHONPATH. Of its dependencies only sacrebleu and sacremoses are needed.
"""

import json
import pathlib
import random

import torch
from easse.sari import corpus_sari
from rouge_score import rouge_scorer
from seqeval.metrics import classification_report
from seqeval.scheme import IOB2
from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score
from torchmetrics.functional.retrieval import retrieval_reciprocal_rank
from torchmetrics.functional.text import squad

FIXTURES = pathlib.Path(__file__).parent.parent / "crates/scoring/tests/fixtures"
TYPES = ["drug", "effect", "dose"]


# What tokenizers and normalisers treat in their own ways.
ODD = [
    *["a", "the", "An", "A", "b", "Z", " ", " ", " ", " ", "the.", "th", "e", "x."],
    *["\u00e9", "\u00c9", "\u0130", "\u00df", "\ufb01", "\u00b2", "\u00bd", "\u2167", "\u2460"],
    *["\u0301", "\u0663", "\u4e2d", "\u03a3", "\u0391\u03a3", "\u2013", "\u2019"],
    *["\u00a0", "\u2003", "\u200b", "\x1c", "\x1f", "\x85", "\n", "\r\n", "\t"],
    *[".", ",", "-", "-\n", "_", "'", '"', "&", "&amp;", "&lt;", "<skipped>", "(", ")", "%"],
    *["3", "4.5", "1,000", "9-", "-9", ".5", "/", "@", "\\", "{", "~", "`", "$"],
]


def odd_text(rng, length):
    return "".join(rng.choice(ODD) for _ in range(rng.randrange(length)))


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


def token_scores(gold, predicted):
    """F1 over the types of tokens, by scikit-learn."""
    plain = [[tag[2:] or "O" for sentence in side for tag in sentence] for side in [gold, predicted]]
    occurring = sorted((set(plain[0]) | set(plain[1])) - {"O"})
    options = {"labels": occurring, "zero_division": 0}
    return {
        "token_f1": f1_score(*plain, average="micro", **options),
        "token_macro_f1": f1_score(*plain, average="macro", **options),
        "token_by_type": dict(zip(occurring, f1_score(*plain, average=None, **options))),
    }


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
                **token_scores(gold, predicted),
            }
        )
    return cases


def relation_cases(rng):
    """Relations of concepts, one list per document, by scikit-learn: every
    triple that is in either list is an answer that is right or wrong."""
    cases = []
    types = ["causes", "treats"]
    for size in [1, 6, 30]:
        gold, predicted = [], []
        for _ in range(size):
            every = [
                [kind, f"C{head}", f"D{tail}"]
                for kind in types
                for head in range(3)
                for tail in range(3)
            ]
            right = [triple for triple in every if rng.random() < 0.2]
            found = [t for t in every if rng.random() < (0.7 if t in right else 0.1)]
            # Said twice counts once.
            predicted.append(found + found[:1])
            gold.append(right)
        seen = [
            (document, *triple)
            for document in range(size)
            for triple in sorted({tuple(t) for t in gold[document] + predicted[document]})
        ]
        sides = [
            [kind if [kind, head, tail] in side[document] else "none" for document, kind, head, tail in seen]
            for side in [gold, predicted]
        ]
        occurring = sorted((set(sides[0]) | set(sides[1])) - {"none"})
        options = {"labels": occurring, "zero_division": 0}
        cases.append(
            {
                "gold": gold,
                "predicted": predicted,
                "f1": f1_score(*sides, average="micro", **options),
                "precision": precision_score(*sides, average="micro", **options),
                "recall": recall_score(*sides, average="micro", **options),
                "macro_f1": f1_score(*sides, average="macro", **options),
                "by_type": dict(zip(occurring, f1_score(*sides, average=None, **options))),
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
    for _ in range(30):
        # Several lines, some of them empty or moved.
        lines = [
            " ".join(rng.choice(words) for _ in range(rng.randrange(9)))
            for _ in range(rng.randrange(1, 7))
        ]
        answer = [
            " ".join(w for w in line.split() if rng.random() < 0.8)
            for line in rng.sample(lines, rng.randrange(1, len(lines) + 1))
        ]
        pairs.append(("\n".join(lines), rng.choice(["\n", "\n\n", " "]).join(answer)))
    for _ in range(40):
        reference = odd_text(rng, 50)
        answer = reference[rng.randrange(1 + len(reference)) :] + odd_text(rng, 20)
        pairs.append((reference, answer))
    scorer = rouge_scorer.RougeScorer(
        ["rouge1", "rouge2", "rougeL", "rougeLsum"], use_stemmer=True
    )
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


def squad_cases(rng):
    """Exact match and F1 of single answers, some with several right ones."""
    cases = [
        (["The Heart"], "heart"),
        (["the"], "a"),
        (["None."], ""),
        (["..."], "the"),
        (["95%"], "95 %"),
        (["anti-PD-1"], "anti PD 1"),
        (["A.N. other"], "an other"),
        (["x\u00a0 the\ty"], "x y"),
        (["caf\u00e9 the"], "Caf\u00c9"),
        (["10\u00b2 cells"], "the 10\u00b2 cells a\u00b2"),
        (["\u2018a\u2019 b"], "\u2018\u2019 b"),
        (["i\u0307 the\u0301 n"], "\u0130 the n"),
        (["p\x1fq"], "p q"),
        (["one two", "two three", "four"], "three, two"),
        (["a_b a b"], "a_b b"),
        (["to be or not to be"], "be be be or"),
    ]
    words = "the a an virus viruses of in 2 days, (days) fever; IL-6 Il 6 no".split()
    for _ in range(60):
        right = [
            " ".join(rng.choice(words) for _ in range(rng.randrange(1, 8)))
            for _ in range(rng.choice([1, 1, 2, 3]))
        ]
        answer = [w.upper() if rng.random() < 0.2 else w for w in rng.choice(right).split()]
        answer = [w for w in answer if rng.random() < 0.8]
        cases.append((right, " ".join(answer)))
    for _ in range(60):
        right = [odd_text(rng, 10) for _ in range(rng.choice([1, 2]))]
        cases.append((right, odd_text(rng, 10) if rng.random() < 0.5 else right[-1].upper()))
    out = []
    for right, answer in cases:
        scores = squad(
            {"prediction_text": answer, "id": "1"},
            {"answers": {"answer_start": [0] * len(right), "text": right}, "id": "1"},
        )
        out.append(
            {
                "right": right,
                "answer": answer,
                "exact_match": scores["exact_match"].item() / 100,
                "f1": scores["f1"].item() / 100,
            }
        )
    return out


def ranking_cases(rng):
    """Questions with candidates and their confidences, all different."""
    cases = []
    for size in [1, 5, 30]:
        questions, ranks = [], []
        for _ in range(size):
            count = rng.randrange(1, 12)
            right = [rng.random() < 0.3 for _ in range(count)]
            confidences = [round(rng.gauss(float(r), 1.0), 6) for r in right]
            assert len(set(confidences)) == count
            questions.append({"right": right, "confidences": confidences})
            if any(right):
                # torchmetrics takes what isn't above 0 for not found.
                probabilities = torch.sigmoid(torch.tensor(confidences))
                rank = retrieval_reciprocal_rank(probabilities, torch.tensor(right))
                ranks.append(rank.item())
        cases.append(
            {"questions": questions, "mrr": sum(ranks) / len(ranks) if ranks else 0.0}
        )
    return cases


def sari_cases(rng):
    """Corpora of sources, right texts and answers. easse wants the same number
    of right texts for every source."""
    corpora = [
        [
            (
                "About 95 species are currently accepted.",
                ["About 95 species are currently known.", "About 95 species are now accepted."],
                "About 95 you now get in.",
            )
        ],
        [("Same text.", ["Same text."], "Same text.")],
        [("", ["Something new."], "Something"), ("All gone.", [""], "")],
        [
            (
                "R&amp;D costs: $1,000.50 (2-fold), e.g. hyper-\ntension &lt; 3-4.",
                ["Costs were 1,000.50 dollars; tension &lt; 3."],
                "R&D costs were $1,000.50, it's \"2 fold\".",
            )
        ],
    ]
    words = (
        "the a of patients Patients treatment treatments trials trial, evidence. evidence low "
        "low-quality found no 2.5 95% CI (RR) pain pain, risk may reduce increase was were"
    ).split()
    for size, texts in [(1, 1), (8, 1), (8, 3), (25, 1)]:
        corpus = []
        for _ in range(size):
            source = [rng.choice(words) for _ in range(rng.randrange(4, 40))]

            def rewrite():
                kept = [w for w in source if rng.random() < 0.7]
                return " ".join(w if rng.random() < 0.8 else rng.choice(words) for w in kept)

            corpus.append((" ".join(source), [rewrite() for _ in range(texts)], rewrite()))
        corpora.append(corpus)
    for _ in range(25):
        source = odd_text(rng, 40)
        right = [source[: rng.randrange(1 + len(source))] + odd_text(rng, 9) for _ in range(2)]
        answer = source[rng.randrange(1 + len(source)) :] + odd_text(rng, 9)
        corpora.append([(source, right, answer)])
    return [
        {
            "examples": [
                {"source": source, "right": right, "answer": answer}
                for source, right, answer in corpus
            ],
            "sari": corpus_sari(
                [source for source, _, _ in corpus],
                [answer for _, _, answer in corpus],
                [list(texts) for texts in zip(*(right for _, right, _ in corpus))],
            )
            / 100,
        }
        for corpus in corpora
    ]


def main():
    rng = random.Random(7)
    FIXTURES.mkdir(parents=True, exist_ok=True)
    for name, cases in [
        ("entities", entity_cases(rng)),
        ("labels", label_cases(rng)),
        ("rouge", rouge_cases(rng)),
        ("relations", relation_cases(rng)),
        ("squad", squad_cases(rng)),
        ("ranking", ranking_cases(rng)),
        ("sari", sari_cases(rng)),
    ]:
        path = FIXTURES / f"{name}.json"
        lines = [json.dumps(case, ensure_ascii=False) for case in cases]
        path.write_text("[\n" + ",\n".join(lines) + "\n]\n")
        print(f"{path}: {len(cases)} cases")


if __name__ == "__main__":
    main()
