"""`qs-problem-ner`: what the patient has and what was ruled out (BRAT).

Two types, `Problem` and `Absent`, over the same vocabulary of symptoms and
diagnoses: only the sentence tells which. Problems of relatives are not tagged.
"""

from .draws import capital, marked, part

_P, _P2, _P3 = "[Problem:{symptom}]", "[Problem:{symptom2}]", "[Problem:{symptom3}]"
_A, _A2, _A3 = "[Absent:{symptom}]", "[Absent:{symptom2}]", "[Absent:{symptom3}]"
_X, _X2 = "[Problem:{dx}]", "[Problem:{dx2}]"
_N, _N2 = "[Absent:{dx}]", "[Absent:{dx2}]"

PRESENT = (
    f"{{subject}} presents with {_P} for {{dur}}",
    f"{{subject}} c/o {_P} and {_P2}",
    f"{{pt}} with {_X}, here for {_P}",
    f"{_P} since {{day}}, {{vital}}",
    f"h/o {_X} and {_X2}",
    f"PMH: {_X}, {_X2}",
    f"admitted with {_X}, now {_P}",
    f"reports {_P} x {{dur}}",
    f"worsening {_P} over {{dur}}",
    f"{_P} improved on {{drug}}",
    f"{{drug}} for {_X}, {{vital}}",
    f"{{study}} showed {_X}",
    f"{_X} diagnosed in {{year}}",
    f"intermittent {_P}, worse at night",
    f"{{subject}} woke with {_P} on {{day}}",
    f"new {_P} after {{procedure}}",
    f"impression: {_X}",
    f"A/P: {_X} on {{drug}}",
    f"positive for {_P} and {_P2}",
    f"seen in {{setting}} for {_P}",
    f"{{clinician}} follows the {_X}",
    f"{_P} likely from {_X}",
    f"known {_X}, started {{drug}}",
    f"per {{relative}}, patient had {_P} on {{day}}",
)

ABSENT = (
    f"denies {_A} or {_A2}",
    f"{{subject}} denies {_A}",
    f"no {_A}, no {_A2}",
    f"no {_A} or {_A2} in {{dur}}",
    f"negative for {_A} and {_A2}",
    f"no h/o {_N}",
    f"{{study}} negative for {_N}",
    f"{_N} ruled out by {{study}}",
    f"without {_A} since {{day}}",
    f"no evidence of {_N} on {{study}}",
    f"{{subject}} has never had {_N}",
    f"ROS: no {_A}, {_A2} or {_A3}",
    f"{_A} has resolved on {{drug}}",
    f"{_A}: none; {_A2}: none",
    f"no sign of {_N}, {{vital}}",
    f"free of {_A} for {{dur}}",
    f"{{drug}} caused no {_A}",
    f"{{study}} excludes {_N}",
    f"not {_N}, per {{clinician}}",
    f"absence of {_A} and {_A2} noted",
)

MIXED = (
    f"{{subject}} c/o {_P} but denies {_A2}",
    f"{_P} without {_A2}",
    f"no {_A}, but {_P2} for {{dur}}",
    f"denies {_A}; has {_P2}",
    f"h/o {_X}, no {_A}",
    f"{_P} and {_P2}, no {_A3}",
    f"reports {_P}, denies {_A2} and {_A3}",
    f"{_X} but no {_N2}",
    f"{{study}}: {_X}, no {_N2}",
    f"{_A} gone, still {_P2}",
    f"positive for {_P}, negative for {_A2}",
    f"no longer has {_A}; new {_P2} on {{day}}",
    f"admitted for {_X}; {_N2} excluded",
    f"{_N} ruled out, {_X2} confirmed",
    f"mostly {_P}, never {_A2}",
    f"{_P} x {{dur}}, (-) {_A2}",
    f"(+) {_P}, (-) {_A2}",
    f"{_X} on {{drug}}, denies {_A}",
    f"{{vital}}, {_P}, no {_A2}",
    f"not {_N} but {_X2}, says {{clinician}}",
)

NONE = (
    "{relative} has {dx}, patient is well",
    "family history: {dx} in {relative}",
    "takes {drug} {dose} {freq}, {vital}",
    "{procedure} scheduled for {day}",
    "{relative} died of {dx} at {age}",
    "{vital}, {vital2}, feels fine",
    "here for {procedure}, no complaints",
    "refer to {service} in {dur}",
)

_SHARES = ((MIXED, 0.38), (PRESENT, 0.28), (ABSENT, 0.28), (NONE, 0.06))


def example(words):
    """A sentence and its spans."""
    roll, frames = words.draw.below(100) / 100, None
    for frames, share in _SHARES:
        if roll < share:
            break
        roll -= share
    text = words.fill(words.draw.one(part(frames, words.side)))
    return marked(capital(text) + ".")
