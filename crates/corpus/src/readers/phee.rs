//! PHEE's JSON: an object per line, a sentence with events of drugs and what
//! takes part in them.
//!
//! An event is an object of arguments, each with three lists of equal length:
//! the fragments of its mentions, where these begin (in characters) and the
//! mentions' ids. Arguments hold arguments of their own (`Treatment` has a
//! `Drug`), and a list of events where drugs are combined. Types are named as
//! in the BRAT files of the same corpus, so that both mean the same.

pub(crate) mod event;

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{DocumentFormat, Format, Shape, SourceDocument, TakeDocument, record_error};
use crate::error::{CorpusError, Place};
use crate::line_reader::LineReader;
use crate::readers::json::value::parse;
use crate::readers::phee::event::Annotating;
use crate::record::Document;
use crate::warning::Warnings;

/// Options of the `phee` format: none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phee {}

impl Format for Phee {
    fn extension(&self) -> &'static str {
        "json"
    }

    fn shape(&self) -> Shape<'_> {
        Shape::Documents(self)
    }
}

impl DocumentFormat for Phee {
    fn documents(
        &self,
        file: &Path,
        warnings: &mut Warnings,
        take: &mut TakeDocument<'_>,
    ) -> Result<(), CorpusError> {
        let mut lines = LineReader::open(file)?;
        while let Some((number, line)) = lines.next_line()? {
            if line.trim().is_empty() {
                continue;
            }
            let place = Place::line(file, number);
            let value = parse(line, file, number)?;
            let record = object(&value, "the line", &place)?;
            let id = text(record, "id", &place)?;
            let context = text(record, "context", &place)?;
            let mut annotating = Annotating::new(context, &place, warnings);
            for annotation in list(record, "annotations", &place)? {
                let annotation = object(annotation, "`annotations`", &place)?;
                for event in list(annotation, "events", &place)? {
                    annotating.event(object(event, "`events`", &place)?)?;
                }
            }
            let annotations = annotating.finish();
            let document = Document::annotated(context.to_owned(), annotations)
                .map_err(|source| record_error(&place, source))?;
            take(SourceDocument {
                id: id.to_owned(),
                whole: id.to_owned(),
                place,
                document,
            })?;
        }
        Ok(())
    }
}

fn object<'v>(
    value: &'v Value,
    what: &str,
    place: &Place,
) -> Result<&'v Map<String, Value>, CorpusError> {
    value.as_object().ok_or_else(|| {
        let problem = format!("{what} holds something else than an object");
        CorpusError::malformed(place.clone(), problem)
    })
}

pub(crate) fn field<'v>(
    object: &'v Map<String, Value>,
    name: &str,
    place: &Place,
) -> Result<&'v Value, CorpusError> {
    object.get(name).ok_or_else(|| CorpusError::MissingField {
        place: place.clone(),
        field: name.to_owned(),
    })
}

pub(crate) fn text<'v>(
    object: &'v Map<String, Value>,
    name: &str,
    place: &Place,
) -> Result<&'v str, CorpusError> {
    field(object, name, place)?.as_str().ok_or_else(|| {
        let problem = format!("`{name}` isn't text");
        CorpusError::malformed(place.clone(), problem)
    })
}

fn list<'v>(
    object: &'v Map<String, Value>,
    name: &str,
    place: &Place,
) -> Result<&'v Vec<Value>, CorpusError> {
    field(object, name, place)?.as_array().ok_or_else(|| {
        let problem = format!("`{name}` isn't a list");
        CorpusError::malformed(place.clone(), problem)
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::record::Annotations;

    fn read(line: &str) -> Result<Annotations, CorpusError> {
        let dir = tempfile::tempdir().expect("folder");
        let file = dir.path().join("a.json");
        fs::write(&file, format!("\n{line}\n")).expect("file");
        let mut found = Vec::new();
        Phee {}.documents(&file, &mut Warnings::default(), &mut |source| {
            found.push(source);
            Ok(())
        })?;
        let source = found.pop().expect("a text");
        assert_eq!((&*source.id, &*source.whole), ("1_2", "1_2"));
        Ok(source.document.into_parts().1)
    }

    const LINE: &str = r#"{"id": "1_2", "context": "é and b maybe made no severe rash", "annotations": [{"events": [
        {"event_id": "E1", "event_type": "Adverse_event",
         "Trigger": {"text": [["made"]], "start": [[14]], "entity_id": ["T1"]},
         "Treatment": {"text": [["b", "é"]], "start": [[6, 0]], "entity_id": ["T2"],
           "Disorder": {"text": [], "start": [], "entity_id": []},
           "Drug": {"text": [["é"], ["b"]], "start": [[0], [6]], "entity_id": ["T3", "T4"]},
           "Combination": [{"event_id": "E2", "event_type": "Combination",
             "Trigger": {"text": [["and"]], "start": [[2]], "entity_id": ["T5"]},
             "Drug": {"text": [["é"], ["b"]], "start": [[0], [6]], "entity_id": ["T3", "T4"]}}]},
         "Severity": {"text": [["severe"]], "start": [[22]], "entity_id": ["T6"], "value": "High"},
         "Negated": {"text": [["no"]], "start": [[19]], "entity_id": ["T7"], "value": true},
         "Speculated": {"text": [["maybe"]], "start": [[8]], "entity_id": ["T8"], "value": false}}]}]}"#;

    #[test]
    fn events_and_what_takes_part() {
        let annotations = read(&LINE.replace('\n', " ")).expect("reads");
        let kinds: Vec<_> = annotations
            .entities
            .iter()
            .map(|e| (&*e.id, &*e.kind, e.start(), e.spans.len()))
            .collect();
        assert_eq!(
            kinds,
            [
                ("T1", "Adverse_event", 15, 1),
                ("T2", "Treatment", 0, 2),
                ("T3", "Drug", 0, 1),
                ("T4", "Drug", 7, 1),
                ("T5", "Combination", 3, 1),
                ("T6", "Severity_cue", 23, 1),
                ("T7", "Negation_cue", 20, 1),
                ("T8", "Speculation_cue", 9, 1),
            ]
        );
        let events: Vec<_> = annotations
            .events
            .iter()
            .map(|event| {
                let arguments = event.arguments.iter();
                let arguments: Vec<_> = arguments.map(|a| (&*a.role, &*a.target)).collect();
                (&*event.id, &*event.kind, &*event.trigger, arguments)
            })
            .collect();
        let first = vec![
            ("Treatment", "T2"),
            ("Drug", "T3"),
            ("Drug", "T4"),
            ("Combination", "E2"),
            ("Severity_cue", "T6"),
            ("Negation_cue", "T7"),
            ("Speculation_cue", "T8"),
        ];
        let second = vec![("Drug", "T3"), ("Drug", "T4")];
        assert_eq!(
            events,
            [
                ("E1", "Adverse_event", "T1", first),
                ("E2", "Combination", "T5", second)
            ]
        );
        let attributes: Vec<_> = annotations
            .attributes
            .iter()
            .map(|a| (&*a.kind, &*a.target, a.value.as_deref()))
            .collect();
        let expected = [("Severity", "E1", Some("High")), ("Negated", "E1", None)];
        assert_eq!(attributes, expected);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let line = LINE.replace('\n', " ");
        for (from, to, part) in [
            ("\"id\"", "\"ids\"", "`id`"),
            ("\"1_2\"", "12", "`id`"),
            ("\"events\"", "\"event\"", "`events`"),
            ("\"E2\"", "\"E1\"", "`E1`"),
            ("\"T5\"", "\"T1\"", "`T1`"),
            ("\"Trigger\"", "\"trigger\"", "`Trigger`"),
            ("[\"T5\"]", "[]", "`Trigger`"),
            ("[[2]]", "[[99]]", "`T5`"),
            ("[[2]]", "[[-2]]", "`Trigger`"),
            ("[[2]]", "[2]", "`Trigger`"),
            ("[[2]]", "[[2, 3]]", "`T5`"),
            ("[[\"and\"]]", "[[\"\"]]", "`T5`"),
            ("\"High\"", "7", "`Severity`"),
        ] {
            assert!(line.contains(from), "{from}");
            // The last one of several.
            let (before, after) = line.rsplit_once(from).expect("there");
            let error = read(&format!("{before}{to}{after}")).expect_err(part);
            let message = error.to_string();
            assert!(message.contains(part), "{part}: {message}");
            assert!(message.contains("a.json:2") && !message.contains("and b"));
        }
    }
}
