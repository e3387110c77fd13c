//! Lines of the ADE corpus, and where in their sentence the mentions stand.

use crate::readers::offsets::{OffsetUnit, Offsets};
use crate::record::Span;

/// What a line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AdeLine<'l> {
    /// Id of the abstract.
    pub(crate) pmid: &'l str,
    pub(crate) sentence: &'l str,
    /// None in a line about a sentence without relations.
    pub(crate) relation: Option<Related<'l>>,
}

/// The two mentions of a relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Related<'l> {
    /// An effect or a dose.
    pub(crate) of: Mention<'l>,
    pub(crate) drug: Mention<'l>,
}

/// A mention, by its words and the character of the abstract at which it
/// begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mention<'l> {
    words: &'l str,
    begin: i64,
}

/// Where the mentions of a relation may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Placed {
    /// Character of the abstract at which the sentence begins.
    pub(crate) base: i64,
    pub(crate) of: Span,
    pub(crate) drug: Span,
}

impl<'l> AdeLine<'l> {
    /// Reads a line; none when it isn't one of the corpus.
    pub(crate) fn read(line: &'l str) -> Option<Self> {
        let end = line.find(|c: char| !c.is_ascii_digit())?;
        let (pmid, rest) = line.split_at(end);
        if pmid.is_empty() {
            return None;
        }
        if let Some(sentence) = rest.strip_prefix(" NEG ") {
            return Some(Self {
                pmid,
                sentence,
                relation: None,
            });
        }
        // From the end, because a sentence may hold the separator. So may a
        // mention, but its offsets say how long it is.
        let rest = rest.strip_prefix('|')?;
        let (rest, drug) = Mention::last_of(rest)?;
        let (sentence, of) = Mention::last_of(rest)?;
        Some(Self {
            pmid,
            sentence,
            relation: Some(Related { of, drug }),
        })
    }
}

impl<'l> Mention<'l> {
    /// Takes `|words|begin|end` off the end of a line.
    fn last_of(line: &'l str) -> Option<(&'l str, Self)> {
        let (line, end) = line.rsplit_once('|')?;
        let (line, begin) = line.rsplit_once('|')?;
        let begin = begin.trim().parse::<u32>().ok()?;
        let last = end.trim().parse::<u32>().ok()?.checked_sub(begin)?;
        let last = usize::try_from(last).ok()?.checked_sub(1)?;
        let (start, _) = line.char_indices().rev().nth(last)?;
        let (line, words) = line.split_at(start);
        let mention = Self {
            words,
            begin: i64::from(begin),
        };
        Some((line.strip_suffix('|')?, mention))
    }
}

impl Related<'_> {
    /// Every place in the sentence where both mentions stand as far from each
    /// other as in the abstract, in the order of the sentence.
    pub(crate) fn places(self, sentence: &str) -> impl Iterator<Item = Placed> {
        let offsets = Offsets::new(sentence, OffsetUnit::Characters);
        let drug_from_here = self.drug.begin - self.of.begin;
        let stands = move |words: &str, start: usize| {
            let here = sentence.get(start..)?.starts_with(words);
            here.then_some(Span {
                start,
                end: start + words.len(),
            })
        };
        let place = move |(character, (byte, _)): (usize, (usize, char))| {
            let character = i64::try_from(character).ok()?;
            let of = stands(self.of.words, byte)?;
            let drug = usize::try_from(character + drug_from_here).ok()?;
            Some(Placed {
                base: self.of.begin - character,
                of,
                drug: stands(self.drug.words, offsets.byte(drug)?)?,
            })
        };
        let characters = sentence.char_indices().enumerate();
        characters.filter_map(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(line: &str) -> Vec<(i64, usize, usize)> {
        let line = AdeLine::read(line).expect("a line");
        let related = line.relation.expect("a relation");
        let places = related.places(line.sentence);
        places.map(|p| (p.base, p.of.start, p.drug.start)).collect()
    }

    #[test]
    fn separators_in_texts_are_text() {
        let line =
            AdeLine::read("12|A | b gave a|b rash.|a|b|107|110|A | b|92|97").expect("a line");
        assert_eq!((line.pmid, line.sentence), ("12", "A | b gave a|b rash."));
        let related = line.relation.expect("a relation");
        assert_eq!((related.of.words, related.drug.words), ("a|b", "A | b"));
        let line = AdeLine::read("7 NEG no |x|1|2|y|3|4").expect("a line");
        assert_eq!((line.sentence, line.relation), ("no |x|1|2|y|3|4", None));
    }

    #[test]
    fn what_is_no_line() {
        for line in [
            "",
            "x",
            "12",
            "12|",
            "|s|a|1|2|b|3|4",
            "12 POS s",
            "12|s a b|a|2|3|b|4",
            "12|s a b|a|2|4|b|4|5",
            "12|s a b|a|3|2|b|4|5",
            "12|s a b||2|2|b|4|5",
            "12|s a b|a|2|3|b|4|-5",
            "12|s a b|a|2|99999999999|b|4|5",
            "12a|b|4|5",
        ] {
            assert_eq!(AdeLine::read(line), None, "{line}");
        }
    }

    #[test]
    fn mentions_stand_as_far_apart_as_in_the_abstract() {
        // Two rashes; the drug stands behind the second.
        assert_eq!(
            places("1|rash or rash by µ x|rash|58|62|x|68|69"),
            [(50, 8, 19)]
        );
        // In front of the mention, and around it.
        assert_eq!(places("1|xx x rash|rash|5|9|x|3|4"), [(0, 5, 3)]);
        assert_eq!(
            places("1|lead poisoning|lead poisoning|0|14|lead|0|4"),
            [(0, 0, 0)]
        );
        // Overlapping occurrences count.
        assert_eq!(places("1|aaa b|aa|1|3|b|4|5"), [(0, 1, 4)]);
        // Nowhere, and twice.
        assert_eq!(places("1|rash by x|rash|0|4|x|20|21"), []);
        assert_eq!(places("1|a b a b|a|10|11|b|12|13"), [(10, 0, 2), (6, 4, 6)]);
    }
}
