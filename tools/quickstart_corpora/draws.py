"""Seeded draws, and which names and frames each side of the split may use.

Every list (names and frames alike) is cut once into a common half and two
quarters: one that only training examples use, one that only development and
test examples use. So half of what a test example is made of was never seen in
training, whatever the size of the corpus.
"""

import hashlib
import random
import re

from . import drugs, findings

TRAIN, EVAL = "train", "eval"

_SLOT = re.compile(r"\{([a-z]+)(\d*)\}")


class Draw:
    """Draws that are the same on every Python: only `Random.random()` is used."""

    def __init__(self, *names):
        digest = hashlib.sha256("/".join(names).encode()).digest()
        self._random = random.Random(int.from_bytes(digest[:8], "big"))

    def below(self, n):
        return int(self._random.random() * n)

    def between(self, low, high):
        return low + self.below(high - low + 1)

    def one(self, items):
        return items[self.below(len(items))]

    def chance(self, p):
        return self._random.random() < p

    def shuffled(self, items):
        items = list(items)
        for i in range(len(items) - 1, 0, -1):
            j = self.below(i + 1)
            items[i], items[j] = items[j], items[i]
        return items


_parts = {}


def part(items, side):
    """The items that `side` (`TRAIN` or `EVAL`) may draw from."""
    items = tuple(items)
    if items not in _parts:
        order = Draw("part", *map(repr, items)).shuffled(items)
        half, quarter = len(order) // 2, len(order) * 3 // 4
        common = order[:half]
        _parts[items] = {
            TRAIN: tuple(common + order[half:quarter]),
            EVAL: tuple(common + order[quarter:]),
        }
    return _parts[items][side]


_LISTS = {
    "symptom": findings.SYMPTOMS,
    "dx": findings.DIAGNOSES,
    "effect": findings.EFFECTS,
    "allergic": findings.ALLERGIC,
    "allergen": findings.ALLERGENS,
    "medicine": findings.MEDICINES,
    "study": findings.STUDIES,
    "clinician": findings.CLINICIANS,
    "procedure": findings.PROCEDURES,
    "service": findings.SERVICES,
    "setting": findings.SETTINGS,
    "dur": findings.DURATIONS,
    "vital": findings.VITALS,
    "relative": findings.RELATIVES,
    "pill": tuple(name for name, _, routes, _ in drugs.DRUGS if "PO" in routes),
}

#: nouns for the patient, and what else may stand before a verb
_NOUNS = (
    "Pt", "Patient", "The patient", "{age}F", "{age}M", "{age} y/o woman", "{age} y/o man", "{age}-year-old man",
    "{age}-year-old woman", "This {age}-year-old", "{age}yo F", "{age}yo M",
)
_SUBJECTS = _NOUNS + ("She", "He", "She", "He")
_MIDDLE = ("pt", "she", "he", "the patient", "patient")

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)


class Words:
    """Fills the slots of one example; the same slot name gives the same words.

    `{drug}`, `{dose}`, `{route}` and `{freq}` belong together by their number
    (`{drug2}` goes with `{dose2}`). Two slots of one kind never get the same
    words in one example.
    """

    def __init__(self, draw, side):
        self.draw, self.side = draw, side
        self._slots = {}

    def fill(self, frame):
        """The frame with every slot filled; double spaces are closed up."""
        text = _SLOT.sub(lambda m: self.get(m.group(1), m.group(2)), frame)
        return re.sub(r" +(?=[,.;:)]|\])", "", re.sub(r" {2,}", " ", text)).strip()

    def avoid(self, text):
        """Keeps the words of `text` out of what is still to be drawn."""
        self._slots["avoid%d" % len(self._slots)] = text

    def get(self, kind, number=""):
        key = kind + number
        if key not in self._slots:
            self._slots[key] = self._fresh(kind, number)
        return self._slots[key]

    def _fresh(self, kind, number):
        if kind in ("drug", "dose", "route", "freq"):
            self._drug(number)
            return self._slots[kind + number]
        if kind == "age":
            return str(self.draw.between(18, 93))
        if kind in ("pt", "subject"):
            nouns = _NOUNS if kind == "pt" else _SUBJECTS
            return self.fill(self.draw.one(nouns).replace("{age}", "{age%s}" % number))
        if kind == "they":
            return self.draw.one(_MIDDLE)
        if kind == "day":
            return self.draw.one(_DAYS)
        if kind == "month":
            return self.draw.one(_MONTHS)
        if kind == "year":
            return str(self.draw.between(1998, 2023))
        if kind == "n":
            return str(self.draw.between(2, 9))
        return self._unused(part(_LISTS[kind], self.side))

    def _unused(self, items):
        """One of `items` that shares no word with what the example already has."""
        taken = {w for value in self._slots.values() for w in value.lower().split()}
        while True:
            item = self.draw.one(items)
            if not taken & set(item.lower().split()):
                return item

    def _drug(self, number):
        taken = {v for k, v in self._slots.items() if k.startswith("drug")}
        while True:
            name, doses, routes, times = self.draw.one(part(drugs.DRUGS, self.side))
            if name not in taken:
                break
        self._slots["drug" + number] = name
        self._slots["dose" + number] = self.draw.one(doses)
        self._slots["route" + number] = self.draw.one(routes)
        taken = {v for k, v in self._slots.items() if k.startswith("freq")}
        fresh = [t for t in part(times, self.side) if t not in taken]
        self._slots["freq" + number] = self.draw.one(fresh)


_MARK = re.compile(r"\[([A-Z][A-Za-z]*):([^\]]*)\]")


def marked(text):
    """Takes `[Type:words]` marks out; returns the plain text and the spans

    as `(start, end, type)` in characters of the plain text.
    """
    plain, spans, at = [], [], 0
    length = 0
    for m in _MARK.finditer(text):
        plain.append(text[at:m.start()])
        length += m.start() - at
        spans.append((length, length + len(m.group(2)), m.group(1)))
        plain.append(m.group(2))
        length += len(m.group(2))
        at = m.end()
    plain.append(text[at:])
    return "".join(plain), spans


def capital(text):
    """The text with its first letter in upper case (a mark's inside included)."""
    m = re.match(r"\[[A-Z][A-Za-z]*:", text)
    i = m.end() if m else 0
    return text[:i] + text[i:i + 1].upper() + text[i + 1:]
