//! One example as scoring sees it.

use metaprompt_corpus::{Example, Prediction, Record, Task};

/// What the annotators answered to one example, and what else a metric needs
/// to know of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Case<'a> {
    /// The annotators' answer.
    pub gold: Prediction,
    /// Where the example came from: intervals and tests resample whole
    /// documents, and [`Mrr`](metaprompt_corpus::Metric::Mrr) ranks the
    /// examples of one.
    pub document: &'a str,
    /// The text that was read. SARI compares with it, and the token level of
    /// `ner` counts its words.
    pub source: Option<&'a str>,
    /// Further texts that are as right as the gold one, for answers in free
    /// text.
    pub alternatives: Vec<String>,
}

impl<'a> Case<'a> {
    /// A case without a source text and with one right answer.
    pub fn new(gold: Prediction, document: &'a str) -> Self {
        Self {
            gold,
            document,
            source: None,
            alternatives: Vec::new(),
        }
    }

    /// The case of a task's example, with the text of an annotated text and
    /// the source of a pair of texts.
    pub fn of(task: &Task, example: &'a Example) -> Self {
        let source = match &example.record {
            Record::Document(document) => Some(document.text()),
            Record::TextPair(pair) => Some(pair.source.as_str()),
            Record::Pair(_)
            | Record::Statement(_)
            | Record::Question(_)
            | Record::Entailment(_) => None,
        };
        Self {
            source,
            ..Self::new(task.gold(example), &example.document)
        }
    }
}
