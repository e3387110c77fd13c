"""`qs-dialog-summ`: a few turns of talk, summed up in one sentence (CSV).

The patient speaks plainly; the summary says the same as a note does, so it can't
be copied out of the dialogue.
"""

from .draws import capital, part

#: (what the patient says, how the note says it)
COMPLAINTS = tuple(
    tuple(side.strip() for side in row.split("|"))
    for row in """
my chest hurts | chest pain
my heart is racing | palpitations
I can't catch my breath | dyspnea
I get winded on the stairs | exertional dyspnea
I keep coughing | cough
I cough up blood | hemoptysis
my throat hurts | sore throat
my nose is stuffed up | nasal congestion
my ear aches | ear pain
my ears are ringing | tinnitus
the room spins | vertigo
I feel faint when I stand up | orthostatic dizziness
I keep passing out | recurrent syncope
my head is pounding | headache
things look blurry | blurred vision
I see two of everything | double vision
bright light hurts my eyes | photophobia
my neck won't turn | neck stiffness
food gets stuck going down | dysphagia
my stomach hurts | abdominal pain
I throw up after meals | vomiting
I feel sick to my stomach | nausea
my chest burns after dinner | heartburn
I have the runs | diarrhea
I can't have a bowel movement | constipation
there is blood in my stool | bloody stools
my skin looks yellow | jaundice
it burns when I pee | dysuria
there is blood in my urine | hematuria
I pee all the time | urinary frequency
I leak urine when I sneeze | stress incontinence
I am up at night to pee | nocturia
I am always thirsty | polydipsia
I am tired all day | fatigue
I can't sleep | insomnia
I feel down | low mood
I worry all the time | anxiety
I keep forgetting things | memory loss
my hands shake | tremor
my fingers go numb | finger numbness
my feet tingle | foot paresthesia
my leg gives way | leg weakness
my ankles are puffy | ankle edema
my calf is sore | calf pain
my knee hurts | knee pain
my hip aches | hip pain
my shoulder is stiff | shoulder stiffness
my back is killing me | back pain
my joints are swollen | joint swelling
I wake up drenched | night sweats
I am burning up | fever
I have the shakes | chills
I am losing weight | weight loss
I don't feel like eating | poor appetite
I itch all over | pruritus
I keep breaking out in bumps | rash
I bruise easily | easy bruising
my nose bleeds a lot | epistaxis
my hair is falling out | hair loss
I am always cold | cold intolerance
I snore loudly | snoring
I can't smell anything | anosmia
my voice is hoarse | hoarseness
my legs cramp at night | nocturnal leg cramps
my heel hurts in the morning | heel pain
my jaw clicks | jaw clicking
my gums bleed | gum bleeding
my eyes are dry | dry eyes
my period is heavy | menorrhagia
I have hot flashes | hot flashes
""".strip().splitlines()
)

OPENINGS = (
    "What brings you in?", "What's going on?", "How can I help?", "What seems to be the trouble?",
    "Tell me what's wrong.", "What's bothering you?", "Why are you here today?", "How have you been?",
    "What's new?", "What happened?",
)
SAID = (
    "{say} for {dur} now.", "Well, {say}, going on {dur}.", "{say}. It's been {dur}.", "For {dur} now, {say}.",
    "{say}, about {dur}.", "Ask my {relative}, {say}, {dur} now.",
    "{say}; it started {dur} ago.", "Doctor, {say}. {dur} already.",
)
ASKED = (
    "Any {ask}?", "Do you have {ask}?", "What about {ask}?", "Have you had {ask}?", "{ask} as well?", "And {ask}?",
)
YES = ("Yes.", "Yes, some.", "A bit, yes.", "Yes, I do.", "Sure, that too.", "Unfortunately yes.", "Yeah.")
NO = ("No.", "None.", "Not at all.", "No, nothing like that.", "Nope.", "No, doctor.", "Never.")
CARE = (
    ("I took {pill} and it helped.", "relieved by {pill}"),
    ("{pill} did nothing for it.", "not relieved by {pill}"),
    ("I stopped {pill} on {day}.", "stopped {pill}"),
    ("I still take {pill}.", "takes {pill}"),
    ("I can't take {pill}, I get hives.", "allergic to {pill}"),
    ("My {relative} has the same.", "{relative} has similar symptoms"),
    ("I quit smoking in {year}.", "former smoker"),
    ("I smoke a pack a day.", "current smoker"),
    ("I don't drink.", "no alcohol use"),
    ("I had {procedure} in {year}.", "prior {procedure}"),
    ("I never had {procedure}.", "no prior {procedure}"),
    ("It is worse when I lie down.", "worse lying down"),
    ("It gets better with rest.", "better with rest"),
    ("It is getting worse.", "worsening"),
    ("I missed work on {day}.", "missed work"),
)


def example(words):
    """(dialogue, summary, section header as MTS-Dialog names them)."""
    draw = words.draw
    say, note = draw.one(part(COMPLAINTS, words.side))
    words.avoid(note)
    ask = words.get("symptom")
    said = words.fill(draw.one(part(SAID, words.side)).replace("{say}", say))
    turns = [
        "Doctor: " + draw.one(part(OPENINGS, words.side)),
        "Patient: " + capital(said),
    ]
    summary = words.fill("%s for {dur}" % note)
    if draw.chance(0.8):
        turns.append("Doctor: " + capital(draw.one(part(ASKED, words.side)).replace("{ask}", ask)))
        if draw.chance(0.5):
            turns.append("Patient: " + draw.one(part(YES, words.side)))
            summary += f", with {ask}"
        else:
            turns.append("Patient: " + draw.one(part(NO, words.side)))
            summary += f", no {ask}"
    else:
        line, fact = draw.one(part(CARE, words.side))
        turns[-1] += " " + words.fill(line)
        summary += ", " + words.fill(fact)
    return "\n".join(turns), capital(summary) + ".", "CC"
