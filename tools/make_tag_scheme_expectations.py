#!/usr/bin/env python3
"""The mentions that seqeval sees in random tag sequences.

Writes crates/corpus/tests/fixtures/tag-schemes.json: half of the sequences are
as their scheme wants them, in the other half any tag follows any other.
Developers only; the tests read the file and need no Python.

    pip install seqeval
    python tools/make_tag_scheme_expectations.py

seqeval isn't told the scheme, so it reads as conlleval does. It knows no `L`
and `U`: for BILOU it is asked about the same sequence with `E` and `S`.
"""

import json
import pathlib
import random

from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import BILOU, IOB1, IOB2, IOBES, Entities

FIXTURE = pathlib.Path(__file__).parent.parent / "crates/corpus/tests/fixtures/tag-schemes.json"
TYPES = ["drug", "Multi-tissue", "B"]
LETTERS = {"iob1": "BI", "iob2": "BI", "io": "I", "bioes": "BIES", "bilou": "BILU"}
STRICT = {"iob1": IOB1, "iob2": IOB2, "bioes": IOBES, "bilou": BILOU}
CASES = 24  # of each scheme, by the book or not, with prefixes and with suffixes


def letters(scheme, length, adjacent):
    """The letters of a mention of this length."""
    if scheme == "iob1":
        return "B" * adjacent + "I" * (length - adjacent)
    if scheme == "iob2":
        return "B" + "I" * (length - 1)
    if scheme == "io":
        return "I" * length
    begin, end, single = "BES" if scheme == "bioes" else "BLU"
    return single if length == 1 else begin + "I" * (length - 2) + end


def by_the_book(rng, scheme):
    tags, last = [], None
    while len(tags) < 10:
        kind = rng.choice([None, *TYPES])
        if kind is None:
            tags.append(("O", None))
        else:
            tags += [(x, kind) for x in letters(scheme, rng.randint(1, 3), kind == last)]
        last = kind
    return tags


def anything(rng, scheme):
    # Two types only, so that neighbours often share theirs.
    choices = [("O", None), *((x, kind) for x in LETTERS[scheme] for kind in TYPES[:2])]
    return [rng.choice(choices) for _ in range(rng.randint(1, 10))]


def spell(tags, suffix):
    def one(letter, kind):
        if kind is None:
            return letter
        return f"{kind}-{letter}" if suffix else f"{letter}-{kind}"

    return [one(*tag) for tag in tags]


def case(scheme, suffix, tags, right):
    known = [({"L": "E", "U": "S"}.get(letter, letter), kind) for letter, kind in tags]
    entities = [list(e) for e in get_entities(spell(known, suffix), suffix=suffix)]
    if right and scheme in STRICT:
        # What is by the book has one reading, lenient or strict.
        strict = Entities([spell(tags, suffix)], STRICT[scheme], suffix=suffix).entities[0]
        assert [[e.tag, e.start, e.end - 1] for e in strict] == entities, tags
    return {
        "scheme": "bioes" if scheme == "bilou" else scheme,
        "suffix": suffix,
        "tags": spell(tags, suffix),
        "entities": entities,
    }


def main():
    rng = random.Random(20260101)
    cases = []
    for scheme in LETTERS:
        for suffix in (False, True):
            for i in range(CASES):
                right = i % 2 == 0
                tags = by_the_book(rng, scheme) if right else anything(rng, scheme)
                cases.append(case(scheme, suffix, tags, right))
    lines = ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases)
    FIXTURE.parent.mkdir(exist_ok=True)
    FIXTURE.write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
