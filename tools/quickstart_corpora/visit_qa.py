"""`qs-visit-qa`: a question about a visit, answered yes, no or maybe (JSON).

A fifth of the contexts states a second thing whose answer is drawn apart, so a
cue may belong to what isn't asked.
A family is (asserted, denied, left open, questions), all about one slot.
"""

from .draws import capital, part

SYMPTOM = (
    (
        "reports {symptom}", "c/o {symptom} for {dur}", "{symptom} since {day}", "positive for {symptom}",
        "{symptom} got worse this week", "came in for {symptom}", "has {symptom} at night", "{symptom} persists",
        "bothered by {symptom}", "{symptom} noted on exam",
    ),
    (
        "denies {symptom}", "no {symptom}", "{symptom} has resolved", "negative for {symptom}", "without {symptom}",
        "{symptom} not present", "free of {symptom}", "never had {symptom}", "{symptom} gone since {day}",
    ),
    (
        "possible {symptom}, hard to tell", "unsure about {symptom}", "?{symptom}", "{symptom} could not be assessed",
        "unclear whether {symptom} is present", "{symptom} suspected by {relative}", "may have {symptom}",
        "equivocal for {symptom}",
    ),
    (
        "Does the patient have {symptom}?", "Is {symptom} present?", "Any {symptom}?", "Is there {symptom} now?",
        "Is the patient suffering from {symptom}?", "Does {symptom} bother the patient?",
    ),
)

DIAGNOSIS = (
    (
        "h/o {dx}", "known {dx}", "{dx} confirmed by {clinician}", "PMH {dx}", "{dx} diagnosed in {year}",
        "treated for {dx}", "{dx}, stable", "lives with {dx}",
    ),
    (
        "no h/o {dx}", "{dx} ruled out", "not {dx} per {clinician}", "{dx} excluded in {year}", "never had {dx}",
        "no evidence of {dx}", "screened negative for {dx}", "without {dx}",
    ),
    (
        "possible {dx}", "{dx} suspected", "?{dx}", "workup for {dx} pending", "{dx} cannot be excluded",
        "unclear h/o {dx}", "awaiting results for {dx}", "{dx} on the differential",
    ),
    (
        "Does the patient have {dx}?", "Is there {dx}?", "Is {dx} established?", "Has {dx} been diagnosed?",
        "Is the patient known to have {dx}?", "Is {dx} part of the history?",
    ),
)

MEDICATION = (
    (
        "takes {drug} {freq}", "on {drug} {dose}", "continues {drug}", "{drug} started on {day}",
        "{drug} refilled",
        "{drug} dose increased", "adherent with {drug}", "uses {drug} every day",
    ),
    (
        "stopped {drug} in {month}", "not taking {drug}", "{drug} discontinued", "declined {drug}",
        "off {drug} since {day}",
        "{drug} was never started", "ran out of {drug} {dur} ago", "no longer on {drug}",
    ),
    (
        "unsure if still on {drug}", "{drug} on an old list, not confirmed", "may be taking {drug}", "?{drug} at home",
        "{relative} thinks {drug} was stopped", "use of {drug} unclear", "{drug} intake not verified",
        "cannot recall {drug}",
    ),
    (
        "Is the patient taking {drug}?", "Is {drug} a current medication?", "Does the patient use {drug}?",
        "Is {drug} being taken?", "Is the patient on {drug} now?", "Still on {drug}?",
    ),
)

PROCEDURE = (
    (
        "{procedure} done on {day}", "had {procedure} in {month}", "{procedure} completed", "recent {procedure}",
        "{procedure} was normal", "got {procedure} in {year}", "{procedure} reviewed today",
    ),
    (
        "declined {procedure}", "{procedure} cancelled", "{procedure} not done", "never had {procedure}",
        "{procedure} scheduled for next week", "missed {procedure}", "{procedure} refused",
    ),
    (
        "{procedure} elsewhere?, no records", "unsure if {procedure} was done", "may have had {procedure}",
        "{procedure} mentioned, not documented", "cannot recall {procedure}", "?{procedure} in {year}",
        "no record either way of {procedure}",
    ),
    (
        "Has {procedure} been done?", "Was {procedure} performed?", "Did the patient have {procedure}?",
        "Is {procedure} complete?", "Did {procedure} take place?", "Has the patient had {procedure}?",
    ),
)

FAMILIES = {"symptom": SYMPTOM, "dx": DIAGNOSIS, "drug": MEDICATION, "procedure": PROCEDURE}
LABELS = ("yes", "no", "maybe")

#: share of contexts with a second fact; the others have an aside or nothing
OTHER_FACT = 0.2
_ASIDES = ("", "", "{vital9}", "{vital9}", "seen in {setting9}", "{service9} visit", "review in {dur9}", "{day9} visit")


def _renumbered(frame, n):
    return frame if n == 0 else frame.replace("}", "%d}" % (n + 1))


def example(words, label):
    """(context, question) whose answer is `label`."""
    draw = words.draw
    facts, question = [], ""
    kinds = draw.shuffled(FAMILIES)[:2 if draw.chance(OTHER_FACT) else 1]
    for n, kind in enumerate(kinds):
        family = FAMILIES[kind]
        # The distractor's answer is drawn apart from the asked one's.
        answer = label if n == 0 else draw.one(LABELS)
        frame = draw.one(part(family[LABELS.index(answer)], words.side))
        facts.append(words.fill(_renumbered(frame, n)))
        if n == 0:
            question = words.fill(draw.one(part(family[3], words.side)))
    if len(facts) == 1:
        facts.append(words.fill(draw.one(part(_ASIDES, words.side))))
    text = words.fill("{pt}:") + " " + "; ".join(draw.shuffled(f for f in facts if f)) + "."
    return capital(text), question
