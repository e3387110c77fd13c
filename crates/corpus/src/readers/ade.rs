//! The ADE corpus: sentences of abstracts with drugs, their adverse effects and
//! doses. A `.rel` file has a line per relation,
//! `PMID|sentence|effect|begin|end|drug|begin|end`; the file of sentences
//! without one has lines `PMID NEG sentence`.
//!
//! The offsets are into the abstract, which isn't there. But both mentions
//! stand in the sentence, as far from each other as their offsets say, and the
//! lines about a sentence agree on where in the abstract it begins. So the
//! sentence is put where most of its lines fit, and the mentions follow.
//!
//! The relations of one sentence of one abstract make one text. Nothing in a
//! line says what its first mention is: in a file whose name ends in `DOSE` it
//! is a dose, elsewhere an effect.

pub(crate) mod lines;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{DocumentFormat, Format, Shape, SourceDocument, TakeDocument, record_error};
use crate::error::{CorpusError, Place};
use crate::readers::ade::lines::{AdeLine, Related};
use crate::record::{Document, Entity, RecordError, Relation, Span};
use crate::text::{lines, read_text, stem};
use crate::warning::{WarningKind, Warnings};

const DRUG: &str = "Drug";

/// A longer sentence means another kind of file.
const MAX_SENTENCE_BYTES: usize = 4 << 10;

/// Options of the `ade` format: none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ade {}

impl Format for Ade {
    fn extension(&self) -> &'static str {
        "rel"
    }

    fn shape(&self) -> Shape<'_> {
        Shape::Documents(self)
    }
}

impl DocumentFormat for Ade {
    fn documents(
        &self,
        file: &Path,
        warnings: &mut Warnings,
        take: &mut TakeDocument<'_>,
    ) -> Result<(), CorpusError> {
        let text = read_text(file)?;
        let stem = stem(file);
        let kinds = match stem.to_ascii_uppercase().ends_with("DOSE") {
            true => ["Dose", "dosage"],
            false => ["Adverse-Effect", "adverse-effect"],
        };
        for sentence in sentences(&text, file, warnings)? {
            let document = sentence
                .document(kinds)
                .map_err(|source| record_error(&sentence.place, source))?;
            take(SourceDocument {
                id: format!("{stem}:{}", sentence.place.line.unwrap_or(0)),
                whole: sentence.pmid.to_owned(),
                place: sentence.place,
                document,
            })?;
        }
        Ok(())
    }
}

/// A sentence of an abstract, at the first line about it.
struct Sentence<'t> {
    place: Place,
    pmid: &'t str,
    text: &'t str,
    /// Each with a place in the sentence.
    relations: Vec<Related<'t>>,
}

/// The sentences of a file in the order of their first lines.
fn sentences<'t>(
    text: &'t str,
    file: &Path,
    warnings: &mut Warnings,
) -> Result<Vec<Sentence<'t>>, CorpusError> {
    let mut found: Vec<Sentence<'t>> = Vec::new();
    let mut by_text: HashMap<(&str, &str), usize> = HashMap::new();
    for line in lines(text) {
        if line.text.trim().is_empty() {
            continue;
        }
        let place = Place::line(file, line.number);
        let bad = |problem: &str| CorpusError::malformed(place.clone(), problem);
        let row = AdeLine::read(line.text).ok_or_else(|| {
            bad(
                "isn't of the form `PMID|sentence|effect|begin|end|drug|begin|end` with mentions \
                 as long as their offsets say, nor `PMID NEG sentence`",
            )
        })?;
        if row.sentence.len() > MAX_SENTENCE_BYTES {
            return Err(bad("the sentence is over the limit of 4096 bytes"));
        }
        let Some(related) = row.relation else {
            if row.sentence.trim().is_empty() {
                warnings.add(WarningKind::EmptyField, file, place.line);
                continue;
            }
            found.push(Sentence {
                place,
                pmid: row.pmid,
                text: row.sentence,
                relations: Vec::new(),
            });
            continue;
        };
        if related.places(row.sentence).next().is_none() {
            return Err(bad(
                "the two mentions don't stand in the sentence as far from each other as their \
                 offsets say",
            ));
        }
        let at = *by_text
            .entry((row.pmid, row.sentence))
            .or_insert(found.len());
        if at == found.len() {
            found.push(Sentence {
                place,
                pmid: row.pmid,
                text: row.sentence,
                relations: Vec::new(),
            });
        }
        found[at].relations.push(related);
    }
    Ok(found)
}

impl Sentence<'_> {
    fn document(&self, kinds: [&str; 2]) -> Result<Document, RecordError> {
        let base = self.base();
        let mut mentions = Mentions::default();
        let mut relations: Vec<Relation> = Vec::new();
        let mut seen = HashSet::new();
        for related in &self.relations {
            let here = related
                .places(self.text)
                .find(|place| Some(place.base) == base);
            let Some(place) = here.or_else(|| related.places(self.text).next()) else {
                continue;
            };
            let tail = mentions.id(kinds[0], place.of);
            let head = mentions.id(DRUG, place.drug);
            // A line may be repeated.
            if !seen.insert([head.clone(), tail.clone()]) {
                continue;
            }
            relations.push(Relation {
                id: format!("R{}", relations.len() + 1),
                kind: kinds[1].to_owned(),
                head,
                tail,
                ..Relation::default()
            });
        }
        Document::new(self.text.to_owned(), mentions.found, relations)
    }

    /// Where in the abstract the sentence begins: where most of its relations
    /// can be placed; of several such positions the one that puts them first.
    fn base(&self) -> Option<i64> {
        let mut fits: BTreeMap<i64, usize> = BTreeMap::new();
        let places = self.relations.iter().flat_map(|r| r.places(self.text));
        for place in places {
            *fits.entry(place.base).or_default() += 1;
        }
        let best = fits.into_iter().max_by_key(|(base, count)| (*count, *base));
        best.map(|(base, _)| base)
    }
}

/// The mentions of a sentence, each once.
#[derive(Default)]
struct Mentions {
    found: Vec<Entity>,
    ids: HashMap<(String, Span), String>,
}

impl Mentions {
    fn id(&mut self, kind: &str, span: Span) -> String {
        let mention = (kind.to_owned(), span);
        if let Some(id) = self.ids.get(&mention) {
            return id.clone();
        }
        let id = format!("T{}", self.found.len() + 1);
        self.ids.insert(mention, id.clone());
        self.found.push(Entity {
            id: id.clone(),
            kind: kind.to_owned(),
            spans: vec![span],
            concepts: Vec::new(),
        });
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, Vec<String>, Vec<String>)> {
        let mut warnings = Warnings::default();
        let found = sentences(text, Path::new("f.rel"), &mut warnings).expect("reads");
        let of = |sentence: &Sentence<'_>| {
            let document = sentence.document(["e", "r"]).expect("a document");
            let entities = document.entities().iter();
            let entities = entities.map(|e| format!("{} {}..{}", e.id, e.start(), e.end()));
            let relations = document.relations().iter();
            let relations = relations.map(|r| format!("{} {}", r.head, r.tail));
            let id = format!("{} {:?}", sentence.pmid, sentence.place.line);
            (id, entities.collect(), relations.collect())
        };
        found.iter().map(of).collect()
    }

    #[test]
    fn lines_about_one_sentence_are_one_text() {
        let found = read(
            "1|a by b|a|100|101|b|105|106\n2|a by b|a|0|1|b|5|6\n\n1|no\u{e9} c|no\u{e9}|7|10|c|11|12\n\
             1|a by b|by|102|104|b|105|106\n1|a by b|a|100|101|b|105|106\n3 NEG a by b\n",
        );
        let row = |id: &str, entities: &[&str], relations: &[&str]| {
            let owned = |all: &[&str]| all.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
            (id.to_owned(), owned(entities), owned(relations))
        };
        assert_eq!(
            found,
            [
                row(
                    "1 Some(1)",
                    &["T1 0..1", "T2 5..6", "T3 2..4"],
                    &["T2 T1", "T2 T3"]
                ),
                row("2 Some(2)", &["T1 0..1", "T2 5..6"], &["T2 T1"]),
                row("1 Some(4)", &["T1 0..4", "T2 5..6"], &["T2 T1"]),
                row("3 Some(7)", &[], &[]),
            ]
        );
    }

    #[test]
    fn other_lines_say_which_of_two_places_is_meant() {
        // `a b` stands twice; the line about `c` says that the sentence begins
        // at 6, so the second one is meant.
        let found = read("1|a b a b c|a|10|11|b|12|13\n1|a b a b c|a|10|11|c|14|15\n");
        assert_eq!(found[0].1, ["T1 4..5", "T2 6..7", "T3 8..9"]);
        // Without it the first one is.
        let found = read("1|a b a b c|a|10|11|b|12|13\n");
        assert_eq!(found[0].1, ["T1 0..1", "T2 2..3"]);
        // A sentence that stands twice in its abstract.
        let found = read("1|a b c|a|0|1|b|2|3\n1|a b c|c|4|5|b|2|3\n1|a b c|a|50|51|c|54|55\n");
        assert_eq!(found[0].1, ["T1 0..1", "T2 2..3", "T3 4..5", "T4 4..5"]);
        assert_eq!(found[0].2, ["T2 T1", "T2 T3", "T4 T1"]);
    }
}
