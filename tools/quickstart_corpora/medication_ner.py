"""`qs-medication-ner`: drugs, doses and frequencies in a sentence (CoNLL, IOB2).

Left untagged on purpose, as distractors: routes, durations, laboratory values,
vital signs, and problems.
"""

from .draws import capital, marked, part

_D, _S, _F = "[Drug:{drug}]", "[Dose:{dose}]", "[Frequency:{freq}]"
_D2, _S2, _F2 = "[Drug:{drug2}]", "[Dose:{dose2}]", "[Frequency:{freq2}]"

ONE = (
    f"started {_D} {_S} {{route}} {_F} for {{dx}}",
    f"start {_D} {_S} {{route}} {_F}",
    f"continue {_D} {_S} {{route}} {_F}",
    f"{{subject}} takes {_D} {_S} {_F} for {{dx}}",
    f"{{subject}} is on {_D} {_S} {_F}",
    f"{_D} {_S} {{route}} {_F}, {{vital}}",
    f"{_D} {_S} {{route}} {_F} x {{dur}}",
    f"increased {_D} to {_S} {_F}",
    f"decrease {_D} to {_S} {{route}} {_F} given {{vital}}",
    f"refill {_D} {_S} {_F}, seen at {{setting}}",
    f"home meds: {_D} {_S} {_F}",
    f"{{vital}}; {_D} raised to {_S} {_F}",
    f"{{dx}} managed with {_D} {_S} {_F}",
    f"{{symptom}} for {{dur}}, given {_D} {_S}",
    f"given one dose of {_D} {_S} {{route}} on arrival",
    f"prescribed {_D} {_S} {_F} for {{dur}}",
    f"hold {_D} until {{vital}} is rechecked",
    f"stopped {_D} because of {{effect}}",
    f"allergic reaction to {_D} {{dur}} ago",
    f"{{subject}} ran out of {_D} {{dur}} ago",
    f"resume {_D} {_S} {{route}} {_F} after {{procedure}}",
    f"missed several doses of {_D}, normally {_S} {_F}",
    f"{_D} {_F} for {{symptom}}",
    f"takes {_D} {_F} but unsure of the dose",
    f"dose of {_D} is now {_S} {_F}",
    f"trial of {_D} {_S} {{route}} {_F}, recheck in {{dur}}",
    f"tolerating {_D} {_S} {_F}, {{vital}}",
    f"{{pt}} with {{dx}}, {_D} {_S} {{route}} {_F} added",
    f"discharge on {_D} {_S} {_F}",
    f"{_S} of {_D} {_F} controls the {{symptom}}",
    f"restarted {_D} at {_S} {_F} on {{day}}",
    f"Rx: {_D} {_S} {{route}} {_F}, no refills",
    f"titrate {_D} to {_S} {_F} over {{dur}}",
    f"last dose of {_D} {_S} was {{day}}",
    f"{{clinician}} suggests {_D} {_S} {_F}",
    f"{{vital}} on {_D} {_S} {_F}",
)

TWO = (
    f"switch {_D} to {_D2} {_S2} {_F2}",
    f"meds: {_D} {_S} {_F}, {_D2} {_S2} {_F2}",
    f"on {_D} {_S} and {_D2} {_S2}",
    f"stop {_D}, start {_D2} {_S2} {{route2}} {_F2}",
    f"{{subject}} takes {_D} {_F} and {_D2} {_F2}",
    f"{_D} held, {_D2} {_S2} {_F2} continued",
    f"added {_D} {_S} {_F} to {_D2}",
    f"{_D} failed, now on {_D2} {_S2} {_F2}",
    f"{_D} {_S} {_F}; {_D2} {_S2} {_F2}",
    f"{{dx}}: {_D} {_S} {_F} plus {_D2} {_S2}",
    f"both {_D} and {_D2} were refilled",
    f"replace {_D} {_S} with {_D2} {_S2}",
    f"given {_D} {_S} then {_D2} {_S2} in the {{setting}}",
    f"taper {_D}, keep {_D2} {_S2} {_F2}",
)

NONE = (
    "{subject} takes no regular medications",
    "{vital}, {vital2}, no changes to medications",
    "repeat {procedure} in {dur}",
    "{subject} stopped all tablets {dur} ago",
    "medication list reviewed, {procedure} on {day}",
    "no drugs given in the {setting}, {vital}",
    "refer to {service} for {dx}",
    "{symptom} daily for {dur}, {vital}",
    "{dx} stable, diet only, {vital}",
    "checks BP twice daily at home, {vital}",
    "{procedure} every {dur} for {dx}",
    "walks 30 minutes daily, {vital}",
)

_SHARES = ((ONE, 0.68), (TWO, 0.22), (NONE, 0.10))


def example(words):
    """A sentence and its spans."""
    draw = words.draw
    roll, frames = draw.below(100) / 100, None
    for frames, share in _SHARES:
        if roll < share:
            break
        roll -= share
    text = words.fill(draw.one(part(frames, words.side)))
    return marked(capital(text) + ".")
