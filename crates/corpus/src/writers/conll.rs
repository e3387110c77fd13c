//! CoNLL columns: a token and its IOB2 tag a line, an empty line after each
//! sentence, `-DOCSTART-` before each text.
//!
//! Words and sentences are those of Unicode's text segmentation. A mention
//! begins and ends a token, and no sentence ends in one. White space of the
//! text isn't kept, nor what lies in or across a longer mention.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use unicode_segmentation::UnicodeSegmentation;

use super::losses::{Loss, Losses};
use super::output::{Existing, file};
use crate::error::CorpusError;
use crate::readers::SourceDocument;
use crate::record::{Document, Span};

pub(super) fn write(
    documents: &[SourceDocument],
    to: &Path,
    existing: Existing,
    losses: &mut Losses,
) -> Result<(), CorpusError> {
    file(to, existing, |out| {
        for document in documents {
            let lines = lines(document, losses);
            out.write_all(lines.as_bytes())
                .map_err(|e| CorpusError::write(to, e))?;
        }
        Ok(())
    })
}

fn lines(source: &SourceDocument, losses: &mut Losses) -> String {
    let document = &source.document;
    let a = document.annotations();
    let (joining, plain): (Vec<_>, Vec<_>) = a.relations.iter().partition(|r| r.of_concepts);
    for (loss, count) in [
        (
            Loss::Concepts,
            a.entities.iter().map(|e| e.concepts.len()).sum(),
        ),
        (Loss::Relations, plain.len()),
        (Loss::ConceptRelations, joining.len()),
        (Loss::Events, a.events.len()),
        (Loss::Attributes, a.attributes.len()),
        (Loss::Groups, a.groups.len()),
        (Loss::Notes, a.notes.len()),
        (Loss::Passages, a.passages.len()),
        (Loss::Wholes, usize::from(source.whole != source.id)),
    ] {
        losses.add(loss, count);
    }
    let mentions = flat(document, losses);
    let text = document.text();
    let id: String = source.id.split_whitespace().collect::<Vec<_>>().join("_");
    let mut out = format!("-DOCSTART- ({id})\tO\n\n");
    let breaks = breaks(text, &mentions);
    let mut last = 0;
    let mut mention = 0;
    let mut inside = false;
    for token in tokens(text, &mentions) {
        if last > 0 && breaks.range(last..=token.start).next().is_some() {
            out.push('\n');
        }
        while mentions
            .get(mention)
            .is_some_and(|(span, _)| span.end <= token.start)
        {
            mention += 1;
            inside = false;
        }
        let here = mentions.get(mention).filter(|(span, _)| span.holds(token));
        let tag = match here {
            Some((_, kind)) => format!("{}-{kind}", if inside { 'I' } else { 'B' }),
            None => "O".to_owned(),
        };
        inside = here.is_some();
        // Writing to a string can't fail.
        let _ = writeln!(out, "{}\t{tag}", &text[token.start..token.end]);
        last = token.end;
    }
    out.push('\n');
    out
}

/// The mentions that columns can hold, in the order of the text, each with its
/// type as a tag has it.
fn flat(document: &Document, losses: &mut Losses) -> Vec<(Span, String)> {
    let mut mentions = Vec::new();
    for entity in document.entities() {
        match entity.spans[..] {
            [span] => mentions.push((span, &entity.kind)),
            _ => losses.add(Loss::Discontinuous, 1),
        }
    }
    mentions.sort_by_key(|(span, _)| (span.start, Reverse(span.end)));
    let mut out: Vec<(Span, String)> = Vec::new();
    for (span, kind) in mentions {
        let blank = document.text()[span.start..span.end].trim().is_empty();
        if blank || out.last().is_some_and(|(last, _)| last.overlaps(span)) {
            losses.add(Loss::Nested, 1);
            continue;
        }
        let tag: String = kind.split_whitespace().collect::<Vec<_>>().join("_");
        losses.add(Loss::Names, usize::from(tag != *kind));
        out.push((span, tag));
    }
    out
}

/// Words and signs, divided where mentions begin and end.
fn tokens(text: &str, mentions: &[(Span, String)]) -> Vec<Span> {
    let edges: BTreeSet<usize> = mentions
        .iter()
        .flat_map(|(s, _)| [s.start, s.end])
        .collect();
    let mut out = Vec::new();
    for (start, word) in text.split_word_bound_indices() {
        let end = start + word.len();
        let cuts = edges.range(start + 1..end.max(start + 1)).copied();
        let mut from = start;
        for to in cuts.chain([end]) {
            let piece = &text[from..to];
            let kept = piece.trim();
            if !kept.is_empty() {
                let start = from + (piece.len() - piece.trim_start().len());
                let end = start + kept.len();
                out.push(Span { start, end });
            }
            from = to;
        }
    }
    out
}

/// Where sentences begin, other than in a mention.
fn breaks(text: &str, mentions: &[(Span, String)]) -> BTreeSet<usize> {
    let starts = text.split_sentence_bound_indices().map(|(start, _)| start);
    starts
        .filter(|at| {
            let next = mentions.partition_point(|(span, _)| span.end <= *at);
            mentions.get(next).is_none_or(|(span, _)| span.start >= *at)
        })
        .collect()
}
