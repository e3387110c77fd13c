//! Tags of tokens → mentions, in each of the usual schemes.
//!
//! A tag is a letter that says where in a mention its token stands, and the
//! mention's type. All schemes are read by one rule, that of `conlleval` (and
//! of `seqeval` where it isn't told a scheme): a token continues the mention
//! of the token before it if both have one type, the one before begins a
//! mention or is inside it, and this one is inside or at the end; any other
//! tagged token begins a mention. So a scheme says which letters there are and
//! which sequences are worth a warning, never what is read.

use serde::{Deserialize, Serialize};

use crate::error::At;
use crate::record::{Entity, Span};
use crate::warning::{WarningKind, Warnings};

/// Type of mentions whose tags are letters only, as `seqeval` names it.
const UNNAMED: &str = "_";

/// What the letters of tags mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TagScheme {
    /// `B` begins every mention, `I` continues it. Also known as BIO.
    #[default]
    Iob2,
    /// `I` everywhere; `B` only where a mention follows one of its own type.
    Iob1,
    /// `I` only: neighbours of one type are one mention.
    Io,
    /// `B` begins, `I` continues and `E` (or `L`) ends a mention; `S` (or `U`)
    /// is one of a single token. Also known as IOBES and BILOU, and with other
    /// letters (`M` inside, `W` for one token) as BMES and BMEWO.
    Bioes,
}

/// Where in a mention a token stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Position {
    Begin,
    Inside,
    End,
    Single,
}

/// A tag, read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tag<'t> {
    position: Position,
    kind: &'t str,
}

impl TagScheme {
    /// Reads a tag: `Some(None)` for `O`, none for what the scheme doesn't
    /// have. The letter stands before the first `-`, or with `suffix` behind
    /// the last one.
    pub(crate) fn read(self, tag: &str, suffix: bool) -> Option<Option<Tag<'_>>> {
        if tag == "O" {
            return Some(None);
        }
        let (letter, kind) = match suffix {
            false => tag.split_once('-').unwrap_or((tag, UNNAMED)),
            true => {
                let (kind, letter) = tag.rsplit_once('-').unwrap_or((UNNAMED, tag));
                (letter, kind)
            }
        };
        let position = match (letter, self) {
            ("I", _) | ("M", Self::Bioes) => Position::Inside,
            ("B", Self::Iob1 | Self::Iob2 | Self::Bioes) => Position::Begin,
            ("E" | "L", Self::Bioes) => Position::End,
            ("S" | "U" | "W", Self::Bioes) => Position::Single,
            _ => return None,
        };
        (!kind.is_empty()).then_some(Some(Tag { position, kind }))
    }

    /// The tags that there are, for messages.
    pub(crate) fn tags(self, suffix: bool) -> String {
        let letters: &[&str] = match self {
            Self::Iob1 | Self::Iob2 => &["B", "I"],
            Self::Io => &["I"],
            Self::Bioes => &["B", "I", "E", "S"],
        };
        let mut out = "`O`".to_owned();
        for letter in letters {
            out += &match suffix {
                false => format!(", `{letter}-type`"),
                true => format!(", `type-{letter}`"),
            };
        }
        out
    }
}

/// The mentions of a sentence, token by token.
#[derive(Debug, Default)]
pub(crate) struct Mentions {
    scheme: TagScheme,
    found: Vec<Entity>,
    /// Where the last token stands in the last of the mentions, if it does.
    last: Option<Position>,
}

impl Mentions {
    pub(crate) fn new(scheme: TagScheme) -> Self {
        Self {
            scheme,
            ..Self::default()
        }
    }

    /// Takes the next token's tag and place in the text.
    pub(crate) fn push(
        &mut self,
        tag: Option<Tag<'_>>,
        token: Span,
        at: At<'_>,
        warnings: &mut Warnings,
    ) {
        let mut warn = |kind| warnings.add(kind, at.file, Some(at.line));
        let unfinished = self.unfinished();
        let Some(Tag { position, kind }) = tag else {
            if unfinished {
                warn(WarningKind::TagOutsideScheme);
            }
            self.last = None;
            return;
        };
        let before = self.last.and(self.found.last_mut());
        let same_kind = before.filter(|mention| mention.kind == kind);
        let adjacent = same_kind.is_some();
        let goes_on = matches!(self.last, Some(Position::Begin | Position::Inside))
            && matches!(position, Position::Inside | Position::End);
        self.last = Some(position);
        if let Some(mention) = same_kind.filter(|_| goes_on) {
            if let Some(span) = mention.spans.last_mut() {
                span.end = token.end;
            }
            return;
        }
        if unfinished {
            warn(WarningKind::TagOutsideScheme);
        }
        match (self.scheme, position) {
            (TagScheme::Iob2 | TagScheme::Bioes, Position::Inside | Position::End) => {
                warn(WarningKind::TagWithoutBeginning);
            }
            (TagScheme::Iob1, Position::Begin) if !adjacent => warn(WarningKind::TagOutsideScheme),
            _ => {}
        }
        self.found.push(Entity {
            id: format!("T{}", self.found.len() + 1),
            kind: kind.to_owned(),
            spans: vec![token],
            concepts: Vec::new(),
        });
    }

    /// The mentions, at the end of the sentence.
    pub(crate) fn finish(self, at: At<'_>, warnings: &mut Warnings) -> Vec<Entity> {
        if self.unfinished() {
            warnings.add(WarningKind::TagOutsideScheme, at.file, Some(at.line));
        }
        self.found
    }

    /// Whether the scheme wants a tag that ends the last mention.
    fn unfinished(&self) -> bool {
        let open = matches!(self.last, Some(Position::Begin | Position::Inside));
        self.scheme == TagScheme::Bioes && open
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde::Deserialize;

    use super::*;
    use crate::warning::Warning;

    /// Mentions as (type, first token, last token), and what was warned of.
    fn read(
        scheme: TagScheme,
        suffix: bool,
        tags: &[&str],
    ) -> (Vec<(String, usize, usize)>, Vec<Warning>) {
        let at = At {
            file: Path::new("f"),
            line: 1,
        };
        let mut warnings = Warnings::default();
        let mut mentions = Mentions::new(scheme);
        for (start, tag) in tags.iter().enumerate() {
            let token = Span {
                start,
                end: start + 1,
            };
            let tag = scheme.read(tag, suffix).expect("a tag");
            mentions.push(tag, token, at, &mut warnings);
        }
        let found = mentions.finish(at, &mut warnings);
        let found = found
            .into_iter()
            .map(|e| (e.kind.clone(), e.start(), e.end() - 1))
            .collect();
        (found, warnings.into_vec())
    }

    fn warned(scheme: TagScheme, tags: &str) -> Vec<(WarningKind, usize)> {
        let tags: Vec<&str> = tags.split(' ').collect();
        let warnings = read(scheme, false, &tags).1;
        warnings.iter().map(|w| (w.kind, w.count)).collect()
    }

    #[test]
    fn each_scheme_has_its_letters() {
        let known = |scheme: TagScheme| -> Vec<&str> {
            let tags = ["O", "B-x", "I-x", "E-x", "S-x", "L-x", "U-x", "x", "o"];
            let read = |tag: &&str| scheme.read(tag, false).is_some();
            tags.into_iter().filter(read).collect()
        };
        assert_eq!(known(TagScheme::Iob1), ["O", "B-x", "I-x"]);
        assert_eq!(known(TagScheme::Iob2), ["O", "B-x", "I-x"]);
        assert_eq!(known(TagScheme::Io), ["O", "I-x"]);
        let bioes = ["O", "B-x", "I-x", "E-x", "S-x", "L-x", "U-x"];
        assert_eq!(known(TagScheme::Bioes), bioes);
        assert_eq!(TagScheme::Io.tags(true), "`O`, `type-I`");
    }

    #[test]
    fn types_hold_hyphens_or_are_missing() {
        let kind = |tag, suffix| TagScheme::Iob2.read(tag, suffix).flatten().map(|t| t.kind);
        assert_eq!(kind("B-a-B", false), Some("a-B"));
        assert_eq!(kind("B-a-B", true), Some("B-a"));
        assert_eq!(kind("B", false), Some("_"));
        assert_eq!(kind("I", true), Some("_"));
        assert_eq!(kind("B-", false), None);
        assert_eq!(kind("-B", true), None);
    }

    #[test]
    fn what_breaks_a_scheme_is_counted() {
        use WarningKind::{TagOutsideScheme as Outside, TagWithoutBeginning as NoBeginning};
        assert_eq!(warned(TagScheme::Iob2, "B-x I-x B-x O B-y I-y"), []);
        assert_eq!(
            warned(TagScheme::Iob2, "I-x I-x O B-x I-y"),
            [(NoBeginning, 2)]
        );
        assert_eq!(warned(TagScheme::Iob1, "I-x I-x B-x I-y O I-y"), []);
        assert_eq!(warned(TagScheme::Iob1, "B-x O I-y B-x"), [(Outside, 2)]);
        assert_eq!(warned(TagScheme::Io, "I-x I-y O I-x"), []);
        assert_eq!(
            warned(TagScheme::Bioes, "B-x I-x E-x S-x U-x B-y L-y O"),
            []
        );
        assert_eq!(
            warned(TagScheme::Bioes, "B-x O E-x I-x S-x B-x"),
            [(NoBeginning, 2), (Outside, 3)]
        );
    }

    #[derive(Deserialize)]
    struct Case {
        scheme: TagScheme,
        suffix: bool,
        tags: Vec<String>,
        entities: Vec<(String, usize, usize)>,
    }

    /// `tools/make_tag_scheme_expectations.py` asked `seqeval`.
    #[test]
    fn mentions_are_those_of_seqeval() {
        let file = include_str!("../../../tests/fixtures/tag-schemes.json");
        let cases: Vec<Case> = serde_json::from_str(file).expect("cases");
        assert!(cases.len() >= 240, "{}", cases.len());
        for case in &cases {
            let tags: Vec<&str> = case.tags.iter().map(String::as_str).collect();
            let found = read(case.scheme, case.suffix, &tags).0;
            assert_eq!(found, case.entities, "{:?} {tags:?}", case.scheme);
        }
    }
}
