"""`qs-plan-nli`: does a plan support a statement? (XML pairs)

Statements say that something will happen; they are drawn first and alike for the
three labels, so a statement alone says nothing about its label. An entailed one
meets a premise by which it happens, a contradicted one a premise by which it
doesn't, a neutral one a premise about another thing or one that leaves it open.
"""

from .draws import capital, part

#: per kind of thing: it happens, it doesn't, it is open, statements
DRUG = (
    (
        "start {drug} {dose}", "begin {drug} {freq}", "add {drug} {dose} {freq}", "initiate {drug} for {dx}",
        "new Rx for {drug}", "{drug} added today", "continue {drug} {dose}", "refill {drug}", "stay on {drug} {freq}",
        "increase {drug} to {dose}", "titrate {drug} up to {dose}", "lower {drug} to {dose}", "resume {drug}",
        "give {drug} {dose} {route}", "{drug} {dose} {freq} for {dur}", "keep {drug} at {dose}",
    ),
    (
        "stop {drug}", "discontinue {drug} after {effect}", "d/c {drug}", "{drug} is no longer needed", "avoid {drug}",
        "{drug} stopped by {clinician}", "hold {drug}", "no {drug} because of {effect}", "{drug} cancelled",
        "do not give {drug}", "{drug} contraindicated", "taken off {drug}", "{drug} declined", "no more {drug}",
        "withhold {drug}, {vital}", "never {drug} again",
    ),
    (
        "discuss {drug} next visit", "ask {clinician} about {drug}", "consider {drug}", "check cost of {drug}",
        "leaflet on {drug} given", "decide on {drug} in {dur}",
    ),
    (
        "The patient will take {drug}.", "{drug} is part of the treatment.", "{drug} is to be given.",
        "The patient is treated with {drug}.", "The plan includes taking {drug}.", "{drug} will be used.",
        "There is an active order for {drug}.", "{drug} goes on the medication list.",
    ),
)
TEST = (
    (
        "order {procedure}", "schedule {procedure} in {dur}", "{procedure} on {day}", "book {procedure}",
        "will get {procedure}", "send for {procedure}", "arrange {procedure}", "repeat {procedure} in {dur}",
        "proceed with {procedure}", "{procedure} today",
    ),
    (
        "no need for {procedure}", "cancel {procedure}", "{procedure} declined", "no {procedure}", "skip {procedure}",
        "{procedure} not indicated", "{procedure} refused", "do not repeat {procedure}", "stop yearly {procedure}",
        "avoid {procedure}",
    ),
    (
        "discuss {procedure} next visit", "ask {clinician} about {procedure}", "consider {procedure}",
        "check cost of {procedure}", "decide on {procedure} in {dur}", "leaflet on {procedure} given",
    ),
    (
        "{procedure} is planned.", "The patient will have {procedure}.", "{procedure} is going to be done.",
        "The plan includes {procedure}.", "{procedure} will take place.", "There is an order for {procedure}.",
    ),
)
REFERRAL = (
    (
        "refer to {service}", "{service} consult for {dx}", "send to {service} in {dur}", "needs {service} follow-up",
        "place {service} referral", "see {service} on {day}", "book {service} visit", "{service} to see in {dur}",
        "continue with {service}", "involve {service}",
    ),
    (
        "no {service} referral", "does not need {service}", "cancel {service} visit", "declines {service}",
        "{service} visit refused", "{service} not required", "stop {service} visits", "no need for {service}",
        "avoid {service} for now", "{service} consult cancelled",
    ),
    (
        "discuss {service} referral next visit", "ask {clinician} about {service}", "consider {service} visit",
        "check cost of {service} visit", "decide on {service} in {dur}", "leaflet on {service} given",
    ),
    (
        "The patient will see {service}.", "A referral to {service} is made.", "{service} is being involved.",
        "A visit with {service} is planned.", "The plan includes {service}.", "{service} will see the patient.",
    ),
)
FAMILIES = {"drug": DRUG, "procedure": TEST, "service": REFERRAL}
LABELS = ("entailment", "contradiction", "neutral")


def _other(frame):
    """The frame about another thing of its kind."""
    return frame.replace("}", "5}")


def example(words, label):
    """(premise, hypothesis) whose relation is `label`."""
    draw = words.draw
    kind = draw.one(("drug", "drug", "procedure", "service"))
    happens, not_happens, left_open, statements = FAMILIES[kind]
    hypothesis = words.fill(draw.one(part(statements, words.side)))
    if label == "entailment":
        premise = draw.one(part(happens, words.side))
    elif label == "contradiction":
        premise = draw.one(part(not_happens, words.side))
    elif draw.chance(0.6):
        premise = _other(draw.one(part(draw.one((happens, not_happens)), words.side)))
    else:
        premise = draw.one(part(left_open, words.side))
    parts = [words.fill(premise)]
    if draw.chance(0.25):
        # A second line of the plan, about a thing of another kind.
        aside = FAMILIES[draw.one([k for k in FAMILIES if k != kind])]
        parts.append(words.fill(_other(draw.one(part(draw.one(aside[:2]), words.side)))))
    text = "; ".join(draw.shuffled(parts)) + "."
    if draw.chance(0.4):
        head = draw.one(("{dx7}:", "{pt7}:", "Today:", "A/P {dx7}:", "{vital7},"))
        text = words.fill(head) + " " + text
    return capital(text), capital(hypothesis)
