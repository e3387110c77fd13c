"""`qs-adverse-event`: did the marked drug cause the marked event? (TSV)

The two mentions are replaced by `@DRUG$` and `@EVENT$`, other drugs and events
stay as distractors. Most sentences are decided by a verb or a noun of which each
label has many; about one in five has a twin under the other label that differs
only in which mention it ties to which.
"""

from .draws import capital, part

CAUSED = (
    "{subject} developed @EVENT$ after starting @DRUG$ for {dx}",
    "@EVENT$ due to @DRUG$, changed to {drug}",
    "@DRUG$ stopped because it caused @EVENT$",
    "@EVENT$ within {dur} of the first dose of @DRUG$",
    "@DRUG$-induced @EVENT$, {vital}",
    "@EVENT$ resolved once @DRUG$ was stopped",
    "could not tolerate @DRUG$ because of @EVENT$",
    "@EVENT$ came back when @DRUG$ was restarted on {day}",
    "@DRUG$ discontinued on {day} because of @EVENT$",
    "@EVENT$ is a side effect of @DRUG$, per {clinician}",
    "@DRUG$ made the patient ill with @EVENT$",
    "@DRUG$ dose reduced, @EVENT$ was dose related",
    "adverse reaction to @DRUG$: @EVENT$",
    "@EVENT$ secondary to @DRUG$, {drug} continued",
    "@DRUG$ toxicity with @EVENT$, {vital}",
    "{subject} blames @DRUG$ for @EVENT$",
    "@DRUG$ led to @EVENT$ in {dur}",
    "{subject} got @EVENT$ from @DRUG$",
    "@DRUG$ caused @EVENT$",
    "@DRUG$ overdose with @EVENT$",
    "admitted with @EVENT$ from @DRUG$",
    "@EVENT$ after each dose of @DRUG$",
    "@DRUG$ triggered @EVENT$ in {month} {year}",
    "@EVENT$ attributed to @DRUG$",
    "@DRUG$ withdrawn and the @EVENT$ cleared in {dur}",
    "suffered @EVENT$ on @DRUG$",
    "@DRUG$ held for @EVENT$, drug effect",
    "@EVENT$ brought on by @DRUG$",
    "@EVENT$ worse with each increase of @DRUG$",
    "unwanted @EVENT$ since @DRUG$ was added",
    "@DRUG$ complicated by @EVENT$",
    "@EVENT$ blamed on @DRUG$, not on {drug}",
)

NOT_CAUSED = (
    "{subject} takes @DRUG$ for @EVENT$",
    "@EVENT$ due to {dx}, @DRUG$ continued",
    "no @EVENT$ since starting @DRUG$ {dur} ago",
    "@EVENT$ improved after @DRUG$ was started",
    "denies @EVENT$ on @DRUG$, {vital}",
    "@EVENT$ resolved with @DRUG$",
    "tolerating @DRUG$ well without @EVENT$",
    "@EVENT$ began {dur} before @DRUG$ was started",
    "@DRUG$ prescribed on {day} for @EVENT$",
    "never had @EVENT$ on @DRUG$",
    "@DRUG$ relieved the @EVENT$",
    "@DRUG$ dose increased, no @EVENT$ so far",
    "no adverse reaction to @DRUG$, no @EVENT$",
    "@EVENT$ secondary to {dx}, @DRUG$ refilled",
    "warned about @EVENT$ with @DRUG$, none so far",
    "@EVENT$ controlled by @DRUG$",
    "@DRUG$ works well for @EVENT$",
    "{drug} caused @EVENT$, so changed to @DRUG$",
    "admitted with @EVENT$ from {dx}, given @DRUG$",
    "@EVENT$ treated with @DRUG$ for {dur}",
    "no @EVENT$ with @DRUG$",
    "@EVENT$ from {dx}; @DRUG$ helps",
    "@DRUG$ started to prevent @EVENT$",
    "@DRUG$ is safe for {pt}, no @EVENT$",
    "free of @EVENT$ on @DRUG$ for {dur}",
    "@DRUG$ given as needed for @EVENT$",
    "less @EVENT$ thanks to @DRUG$",
    "@EVENT$ blamed on {drug}, not on @DRUG$",
    "happy with @DRUG$, reports no @EVENT$",
    "@DRUG$ well tolerated, @EVENT$ absent",
    "continue @DRUG$ for @EVENT$",
    "@EVENT$ responds to @DRUG$, {vital}",
)

_TAILS = (
    "", "", "", "{vital}", "seen in {setting}", "review in {dur}", "{clinician} aware", "{vital}",
    "noted on {day}", "age {age}", "h/o {dx2}", "also on {drug3}",
)


def example(words, label):
    """The marked sentence; `label` is 1 when the drug caused the event."""
    frames = CAUSED if label else NOT_CAUSED
    text = words.fill(words.draw.one(part(frames, words.side)))
    tail = words.fill(words.draw.one(part(_TAILS, words.side)))
    return capital(text) + (f"; {tail}." if tail else ".")
