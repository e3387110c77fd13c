//! A text with spans marked, of which some may overlap or touch.

/// How a span stands to the annotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Annotated and found.
    Found,
    /// Annotated and not found.
    Missed,
    /// Found and not annotated.
    Invented,
}

impl Kind {
    pub(super) fn class(self) -> &'static str {
        match self {
            Kind::Found => "found",
            Kind::Missed => "missed",
            Kind::Invented => "invented",
        }
    }

    /// Differs in black and white too.
    pub(super) fn sign(self) -> &'static str {
        match self {
            Kind::Found => "✓",
            Kind::Missed => "∅",
            Kind::Invented => "+",
        }
    }
}

/// A marked span: a byte range of the text, and its type.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Marked<'a> {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) kind: Kind,
    pub(super) label: &'a str,
}

/// A part of the text that the same spans cover.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Piece<'a> {
    pub(super) text: &'a str,
    /// Kinds of the spans that cover it, each once.
    pub(super) kinds: Vec<Kind>,
    /// Spans that end with it.
    pub(super) ending: Vec<Marked<'a>>,
}

/// Cuts a text at its spans' ends. Spans that aren't within the text, or would
/// cut a character, come back apart.
pub(super) fn pieces<'a>(
    text: &'a str,
    spans: Vec<Marked<'a>>,
) -> (Vec<Piece<'a>>, Vec<Marked<'a>>) {
    let fits = |s: &Marked<'_>| s.start < s.end && text.get(s.start..s.end).is_some();
    let (mut spans, outside): (Vec<_>, Vec<_>) = spans.into_iter().partition(fits);
    spans.sort_by_key(|s| (s.start, s.end, s.kind));
    let mut cuts: Vec<usize> = spans.iter().flat_map(|s| [s.start, s.end]).collect();
    cuts.extend([0, text.len()]);
    cuts.sort_unstable();
    cuts.dedup();
    let piece = |ends: &[usize]| {
        let (start, end) = (ends[0], ends[1]);
        let over = spans.iter().filter(|s| s.start <= start && end <= s.end);
        let mut kinds: Vec<Kind> = over.map(|s| s.kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        Piece {
            text: &text[start..end],
            kinds,
            ending: spans.iter().filter(|s| s.end == end).cloned().collect(),
        }
    };
    (cuts.windows(2).map(piece).collect(), outside)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(start: usize, end: usize, kind: Kind, label: &str) -> Marked<'_> {
        Marked {
            start,
            end,
            kind,
            label,
        }
    }

    #[test]
    fn overlapping_spans_cut_the_text() {
        let text = "no acute chest pain";
        let spans = vec![
            span(9, 19, Kind::Missed, "Problem"),
            span(3, 14, Kind::Invented, "Problem"),
            span(9, 14, Kind::Found, "Site"),
        ];
        let (pieces, outside) = pieces(text, spans);
        assert!(outside.is_empty());
        let texts: Vec<&str> = pieces.iter().map(|p| p.text).collect();
        assert_eq!(texts, ["no ", "acute ", "chest", " pain"]);
        assert_eq!(texts.concat(), text);
        let kinds: Vec<usize> = pieces.iter().map(|p| p.kinds.len()).collect();
        assert_eq!(kinds, [0, 1, 3, 1]);
        let ending: Vec<Vec<&str>> = pieces
            .iter()
            .map(|p| p.ending.iter().map(|s| s.label).collect())
            .collect();
        assert_eq!(
            ending,
            [vec![], vec![], vec!["Problem", "Site"], vec!["Problem"]]
        );
    }

    #[test]
    fn spans_outside_the_text_come_back() {
        let text = "größer";
        let spans = vec![
            span(3, 5, Kind::Found, "cuts a character"),
            span(0, 99, Kind::Found, "too long"),
            span(2, 2, Kind::Missed, "empty"),
            span(0, 2, Kind::Missed, "fine"),
        ];
        let (pieces, outside) = pieces(text, spans);
        assert_eq!(outside.len(), 3);
        let texts: Vec<&str> = pieces.iter().map(|p| p.text).collect();
        assert_eq!(texts, ["gr", "ößer"]);
        assert_eq!(super::pieces("", Vec::new()), (vec![], vec![]));
    }
}
