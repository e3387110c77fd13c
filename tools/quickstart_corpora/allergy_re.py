"""`qs-allergy-re`: how substance and reaction are related (JSONL, marked inline).

`allergy`: the patient had the reaction from the substance; `tolerated`: the
patient had the substance without it; `family`: a relative had the reaction.
Relatives and negation also stand in sentences of the other labels, substances
and reactions are the same under all three.
"""

from .draws import capital, part

_S, _R, _M = "<<{allergen}>>", "[[{allergic}]]", "<<{medicine}>>"

ALLERGY = (
    f"allergic to {_S}: {_R}",
    f"{_R} with {_S}",
    f"{_S} causes {_R}",
    f"{{subject}} had {_R} after {_S}",
    f"{_R} each time {{they}} had {_S}",
    f"avoid {_S}, it gave {_R}",
    f"{_M} stopped on {{day}} for {_R}",
    f"reacts to {_S} with {_R}",
    f"allergy list: {_S} - {_R}",
    f"{_R} within {{n}} hours of {_S}",
    f"{{subject}} gets {_R} from {_S}",
    f"{_S} in {{year}} led to {_R}",
    f"cannot have {_S} because of {_R}",
    f"{_R} on {_S}, none on {{allergen2}}",
    f"{_R} due to {_S}, not {{allergen2}}",
    f"reports {_R} when given {_M}",
    f"{_S} was followed by {_R}",
    f"chart flags {_S} ({_R})",
    f"{_R} recurred on re-exposure to {_S}",
    f"{{relative}} confirms {_R} of the patient after {_S}",
    f"no trouble with {{allergen2}} but {_R} with {_S}",
    f"severe {_R} from {_S} in {{month}}",
    f"treated in the ED for {_R} from {_S}",
    f"{_S} allergy with {_R}",
)

TOLERATED = (
    f"tolerates {_S}, no {_R}",
    f"denies {_R} with {_S}",
    f"{_M} given without {_R}",
    f"{_M} taken by {{they}}, denies {_R}",
    f"never had {_R} from {_S}",
    f"{_S} challenge passed, no {_R}",
    f"{_R} with {{allergen2}}; {_S} is fine",
    f"had {_S} again in {{year}} and no {_R}",
    f"no reaction to {_S}, no {_R}",
    f"{_M} refilled, {_R} never seen with it",
    f"{_M} for years, never {_R}",
    f"watch for {_R} on {_S}, none yet",
    f"{_S} on {{day}}, no {_R} seen",
    f"{{subject}} can have {_S}: no {_R} in {{dur}}",
    f"not allergic to {_S}, no {_R}",
    f"{_M} well tolerated, {_R} absent",
    f"safe with {_S}, free of {_R}",
    f"{_S} skin test negative, no {_R}",
    f"{_S} without any {_R}, {{vital}}",
    f"{{relative}} gave {_S} at home, no {_R}",
    f"no {_R} on {_S} since {{month}}",
    f"{_M} {{n}} days now, {_R} not seen",
    f"ate or took {_S} freely, no {_R}",
    f"allergy to {_S} ruled out, no {_R}",
)

FAMILY = (
    f"{{relative}} had {_R} with {_S}",
    f"family history of {_R} with {_S}",
    f"{{relative}} is allergic to {_S} ({_R})",
    f"{{relative}} gets {_R} from {_S}, patient has not tried it",
    f"{_R} in {{relative}} after {_S}",
    f"FHx: {{relative}} with {_R} on {_S}",
    f"{_S} gave the {{relative}} {_R}",
    f"{{subject}} says {{relative}} had {_R} from {_S}",
    f"worried since {{relative}} had {_R} with {_S}",
    f"{{relative}} and {{relative2}} react to {_S} with {_R}",
    f"{_S}: {_R} in {{relative}}",
    f"{{relative}}'s {_R} was from {_S}",
    f"{_M} stopped for {{relative}} because of {_R}",
    f"{_R} runs in the family with {_S}",
    f"{{relative}} was hospitalized for {_R} after {_S}",
    f"{_S} led to {_R} in the {{relative}}",
    f"{{relative}} cannot have {_S} ({_R})",
    f"{{relative}} avoids {_S} because of {_R}",
    f"{_R} with {_S} in {{relative}}, not in the patient",
    f"mentions {{relative}}'s {_R} after {_S}",
    f"{{relative}} developed {_R} on {_M} in {{year}}",
    f"{{relative}}, not the patient, had {_R} from {_S}",
    f"relatives report {_R} with {_S}",
    f"family members had {_R} after {_S}",
)

_HEADS = (
    "", "", "", "", "{setting}: ", "{service3}: ", "{clinician3}: ", "update {month2}: ", "age {age3}: ", "{day2}: ",
)

LABELS = ("allergy", "tolerated", "family")


def example(words, label):
    """The marked sentence for one of `LABELS`."""
    draw = words.draw
    frames = dict(zip(LABELS, (ALLERGY, TOLERATED, FAMILY)))[label]
    head = words.fill(draw.one(part(_HEADS, words.side)))
    text = words.fill(draw.one(part(frames, words.side)))
    return f"{capital(head)} {text}." if head else capital(text) + "."
