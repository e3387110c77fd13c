//! Events of PHEE's JSON, as annotations of their text.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::error::{CorpusError, Place};
use crate::readers::offsets::{OffsetUnit, Offsets};
use crate::readers::phee::{field, text};
use crate::record::{Annotations, Attribute, Entity, Event, EventArgument, Span};
use crate::short_id::short_id;
use crate::warning::{WarningKind, Warnings};

const TRIGGER: &str = "Trigger";

/// The mentions of an argument: a list for each, of fragments, starts and ids.
#[derive(Deserialize)]
struct Mentions {
    text: Vec<Vec<String>>,
    start: Vec<Vec<usize>>,
    entity_id: Vec<String>,
}

/// Collects the annotations of one text.
pub(crate) struct Annotating<'a> {
    text: &'a str,
    offsets: Offsets,
    place: &'a Place,
    warnings: &'a mut Warnings,
    found: Annotations,
    /// Ranges of the mentions so far, by id.
    known: HashMap<String, Vec<Span>>,
}

impl<'a> Annotating<'a> {
    pub(crate) fn new(text: &'a str, place: &'a Place, warnings: &'a mut Warnings) -> Self {
        Self {
            text,
            offsets: Offsets::new(text, OffsetUnit::Characters),
            place,
            warnings,
            found: Annotations::default(),
            known: HashMap::new(),
        }
    }

    pub(crate) fn finish(self) -> Annotations {
        self.found
    }

    /// Takes an event and all that it holds; gives its id.
    pub(crate) fn event(&mut self, node: &Map<String, Value>) -> Result<String, CorpusError> {
        let id = text(node, "event_id", self.place)?.to_owned();
        let kind = text(node, "event_type", self.place)?.to_owned();
        let triggers = self.mentions(field(node, TRIGGER, self.place)?, TRIGGER, &kind)?;
        let Ok([trigger]) = <[String; 1]>::try_from(triggers) else {
            return Err(self.bad(TRIGGER, "isn't one mention"));
        };
        // Before the events in it.
        let at = self.found.events.len();
        self.found.events.push(Event {
            id: id.clone(),
            kind,
            trigger,
            arguments: Vec::new(),
        });
        let mut arguments = Vec::new();
        for (name, value) in node {
            if !["event_id", "event_type", TRIGGER].contains(&name.as_str()) {
                self.argument(name, value, None, &id, &mut arguments)?;
            }
        }
        self.found.events[at].arguments = arguments;
        Ok(id)
    }

    /// Takes an argument of an event and the arguments in it. `parent` is the
    /// argument that it is in.
    fn argument(
        &mut self,
        name: &str,
        value: &Value,
        parent: Option<&str>,
        event: &str,
        arguments: &mut Vec<EventArgument>,
    ) -> Result<(), CorpusError> {
        let kind = kind_of(name, parent);
        let mut take = |target| {
            arguments.push(EventArgument {
                role: kind.to_owned(),
                target,
            });
        };
        if let Some(events) = value.as_array() {
            for event in events {
                let event = event.as_object();
                take(self.event(event.ok_or_else(|| self.bad(name, "lists no events"))?)?);
            }
            return Ok(());
        }
        let node = value
            .as_object()
            .ok_or_else(|| self.bad(name, "is neither an argument nor a list of events"))?;
        self.mentions(value, name, kind)?.into_iter().for_each(take);
        if let Some(value) = node.get("value") {
            self.attribute(name, value, event)?;
        }
        for (inner, value) in node {
            if !["text", "start", "entity_id", "value"].contains(&inner.as_str()) {
                self.argument(inner, value, Some(name), event, arguments)?;
            }
        }
        Ok(())
    }

    fn attribute(&mut self, name: &str, value: &Value, event: &str) -> Result<(), CorpusError> {
        let value = match value {
            Value::Bool(false) | Value::Null => return Ok(()),
            Value::Bool(true) => None,
            Value::String(value) => Some(value.clone()),
            _ => return Err(self.bad(name, "has a value that is neither text nor true or false")),
        };
        self.found.attributes.push(Attribute {
            id: format!("A{}", self.found.attributes.len() + 1),
            kind: name.to_owned(),
            target: event.to_owned(),
            value,
        });
        Ok(())
    }

    /// Takes the mentions of an argument; gives their ids. Events share
    /// mentions, so one may come again.
    fn mentions(
        &mut self,
        node: &Value,
        name: &str,
        kind: &str,
    ) -> Result<Vec<String>, CorpusError> {
        // The library's message may quote the text.
        let mentions = Mentions::deserialize(node).map_err(|_| {
            self.bad(
                name,
                "needs lists `text`, `start` and `entity_id` of its mentions",
            )
        })?;
        let count = mentions.entity_id.len();
        if mentions.text.len() != count || mentions.start.len() != count {
            return Err(self.bad(name, "has lists of different lengths"));
        }
        let all = mentions.entity_id.iter().zip(mentions.text);
        for ((id, fragments), starts) in all.zip(mentions.start) {
            let spans = self.spans(id, &fragments, &starts)?;
            if self.known.get(id) != Some(&spans) {
                // The same id with other ranges is refused with the document.
                self.known.insert(id.clone(), spans.clone());
                self.found.entities.push(Entity {
                    id: id.clone(),
                    kind: kind.to_owned(),
                    spans,
                    concepts: Vec::new(),
                });
            }
        }
        Ok(mentions.entity_id)
    }

    fn spans(
        &mut self,
        id: &str,
        fragments: &[String],
        starts: &[usize],
    ) -> Result<Vec<Span>, CorpusError> {
        let span = |(fragment, start): (&String, &usize)| {
            let end = start.checked_add(fragment.chars().count())?;
            let span = Span {
                start: self.offsets.byte(*start)?,
                end: self.offsets.byte(end)?,
            };
            (span.start < span.end).then_some(span)
        };
        let spans: Option<Vec<Span>> = fragments.iter().zip(starts).map(span).collect();
        let spans = spans.filter(|_| fragments.len() == starts.len());
        let Some(mut spans) = spans else {
            return Err(self.bad(id, "has a fragment that is empty or outside the text"));
        };
        let differs =
            |(fragment, span): (&String, &Span)| self.text[span.start..span.end] != **fragment;
        if fragments.iter().zip(&spans).any(differs) {
            let Place { file, line, .. } = self.place;
            self.warnings.add(WarningKind::SurfaceMismatch, file, *line);
        }
        spans.sort_unstable();
        Ok(spans)
    }

    fn bad(&self, what: &str, problem: &str) -> CorpusError {
        CorpusError::malformed(
            self.place.clone(),
            format!("`{}` {problem}", short_id(what)),
        )
    }
}

/// What the BRAT files call the mentions of an argument.
fn kind_of<'n>(name: &'n str, parent: Option<&str>) -> &'n str {
    match (name, parent) {
        ("Disorder", Some("Subject")) => "Sub-Disorder",
        ("Disorder", Some("Treatment")) => "Treat-Disorder",
        ("Negated", _) => "Negation_cue",
        ("Speculated", _) => "Speculation_cue",
        ("Severity", _) => "Severity_cue",
        _ => name,
    }
}
