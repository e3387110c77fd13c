//! Small corpora of annotated texts, read as they are.
#![allow(dead_code)]

#[path = "corpus.rs"]
mod folder;

pub(crate) use folder::{Corpus, SECRET};
use metaprompt_corpus::{CorpusError, Entity, Source, SourceDocument, Split, WarningKind};

pub(crate) fn corpus(reader: &str, name: &str, content: &str) -> Corpus {
    let rest = format!(
        "[reader]\n{reader}\n[files]\ntrain = \"{name}\"\ntest = \"{name}\"\n[[labels]]\nname = \"drug\"\n"
    );
    Corpus::new("ner", "entity-f1", &rest).file(name, content)
}

pub(crate) fn source(corpus: &Corpus) -> Result<Source, CorpusError> {
    corpus
        .task()
        .expect("manifest")
        .documents(&corpus.path(""), Split::Train)
}

/// The error of reading it, after checking that its message names `part` and
/// quotes no note.
pub(crate) fn refused(corpus: &Corpus, part: &str) -> CorpusError {
    let error = source(corpus).map(|_| ()).expect_err("an error");
    let message = error.to_string();
    assert!(message.contains(part), "{part:?} isn't in: {message}");
    assert!(!message.contains(SECRET), "quotes the note: {message}");
    error
}

pub(crate) fn only(source: &Source) -> &SourceDocument {
    assert_eq!(source.documents.len(), 1);
    &source.documents[0]
}

pub(crate) fn counted(source: &Source) -> Vec<(WarningKind, Option<usize>, usize)> {
    source
        .warnings
        .iter()
        .map(|w| (w.kind, w.line, w.count))
        .collect()
}

pub(crate) fn surfaces(source: &SourceDocument) -> Vec<(&str, &str, String)> {
    let text = source.document.text();
    let of = |e: &'_ Entity| e.surface(text);
    let entities = source.document.entities();
    entities
        .iter()
        .map(|e| (e.id.as_str(), e.kind.as_str(), of(e)))
        .collect()
}
