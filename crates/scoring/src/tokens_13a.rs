//! The `13a` tokens of machine translation's mteval script, as sacrebleu makes
//! them.

use std::sync::LazyLock;

use regex::Regex;

use crate::python::words;

/// Patterns in the order in which they are applied, each with what takes a
/// match's place: punctuation apart from `'`, `,`, `-` and `.`; a full stop or
/// comma not after a digit; one not before a digit; a dash after a digit.
static RULES: LazyLock<[(Regex, &str); 4]> = LazyLock::new(|| {
    let rule = |pattern: &str| Regex::new(pattern).expect("the pattern is right");
    [
        (rule(r"([{-~\[-` -&(-+:-@/])"), " ${1} "),
        (rule(r"([^0-9])([.,])"), "${1} ${2} "),
        (rule(r"([.,])([^0-9])"), " ${1} ${2}"),
        (rule(r"([0-9])(-)"), "${1} ${2} "),
    ]
});

/// The order matters: `&amp;lt;` becomes `<`.
const REPLACED: [(&str, &str); 7] = [
    ("<skipped>", ""),
    ("-\n", ""),
    ("\n", " "),
    ("&quot;", "\""),
    ("&amp;", "&"),
    ("&lt;", "<"),
    ("&gt;", ">"),
];

/// The tokens of a text.
pub(crate) fn tokenize(text: &str) -> Vec<String> {
    let mut text = REPLACED
        .iter()
        .fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
    text = format!(" {text} ");
    for (pattern, replacement) in RULES.iter() {
        text = pattern.replace_all(&text, *replacement).into_owned();
    }
    words(&text).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_whole() {
        assert_eq!(
            tokenize("Dose: 2.5 mg (1,000 times), 3-day; it's well-known."),
            [
                "Dose",
                ":",
                "2.5",
                "mg",
                "(",
                "1,000",
                "times",
                ")",
                ",",
                "3",
                "-",
                "day",
                ";",
                "it's",
                "well-known",
                "."
            ]
        );
    }

    #[test]
    fn broken_lines_and_entities() {
        assert_eq!(tokenize("hyper-\ntension\nnow"), ["hypertension", "now"]);
        assert_eq!(tokenize("a &amp;lt; b"), ["a", "<", "b"]);
        assert_eq!(tokenize(" \n "), Vec::<String>::new());
    }
}
