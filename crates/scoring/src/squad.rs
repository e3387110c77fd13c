//! Free-text answers by SQuAD's definition: exact match and token F1, the mean
//! over examples.
//!
//! Both sides are lower-cased, lose ASCII punctuation and the words `a`, `an`
//! and `the`, and white space is squeezed. The words in common count as often
//! as both sides have them. Of several right answers the best one counts. When
//! either side has no words, F1 is 1 if neither has, else 0 (SQuAD 2.0).
//!
//! The reference script is Python's, so words and white space are what Python
//! takes for them.

use std::collections::HashMap;
use std::sync::LazyLock;

use regex::Regex;

use crate::python::{self, words};

/// Python's `\w` in an alternation with word boundaries on both sides matches
/// whole runs of word characters; the underscore is punctuation and gone.
static RUN: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"[\p{L}\p{N}]+").expect("the pattern is right"));

/// Exact match and token F1, the best over the right answers.
pub(crate) fn scores<'t>(right: impl Iterator<Item = &'t str>, answer: &str) -> [f64; 2] {
    let answer = normalise(answer);
    right.fold([0.0; 2], |best, right| {
        let right = normalise(right);
        [
            f64::from(right == answer).max(best[0]),
            f1(&right, &answer).max(best[1]),
        ]
    })
}

fn normalise(text: &str) -> String {
    let mut kept = text.to_lowercase();
    kept.retain(|c| !c.is_ascii_punctuation());
    let without = RUN.replace_all(&kept, |run: &regex::Captures<'_>| match &run[0] {
        "a" | "an" | "the" => " ".to_owned(),
        other => other.to_owned(),
    });
    python::squeeze(&without)
}

fn f1(right: &str, answer: &str) -> f64 {
    let (right, answer): (Vec<&str>, Vec<&str>) = (words(right).collect(), words(answer).collect());
    if right.is_empty() || answer.is_empty() {
        return f64::from(right == answer);
    }
    let mut left: HashMap<&str, usize> = HashMap::new();
    for word in &right {
        *left.entry(word).or_default() += 1;
    }
    let mut common = 0.0;
    for word in &answer {
        if let Some(count) = left.get_mut(word)
            && *count > 0
        {
            *count -= 1;
            common += 1.0;
        }
    }
    2.0 * common / (right.len() + answer.len()) as f64
}
