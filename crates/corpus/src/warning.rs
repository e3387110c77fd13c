//! Things in a corpus that don't stop it from being read, counted.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Something that was left out, repaired or found unusual, in one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// What.
    pub kind: WarningKind,
    /// The file; the manifest for what the manifest asked for.
    pub file: PathBuf,
    /// Line of the first case, where the format has lines.
    pub line: Option<usize>,
    /// How many cases.
    pub count: usize,
}

/// What was left out, repaired or found unusual.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WarningKind {
    /// A record with an empty needed field was left out.
    EmptyField,
    /// An id was used again; the later one got a suffix.
    DuplicateId,
    /// A label outside the label set was left out, as the manifest asks.
    UnlistedLabel,
    /// The surface text stored with an entity isn't what its offsets say; the
    /// offsets were used.
    SurfaceMismatch,
    /// An `I-` (or `E-`) tag without the `B-` tag before it was read as a
    /// beginning.
    TagWithoutBeginning,
    /// A tag that its scheme doesn't have at this place was read as usual.
    TagOutsideScheme,
    /// A pair that is said to be related, without saying how, was left out.
    UntypedRelation,
    /// Annotations of kinds that aren't read.
    OtherAnnotation,
    /// A text without an annotation file was left out, as the manifest asks.
    NotAnnotated,
    /// Fields of annotations that aren't read, such as the name of a concept.
    OtherField,
    /// A relation that names a concept without a mention was left out.
    UnmentionedConcept,
    /// An entity that crosses the border of its unit was left out.
    AcrossUnits,
    /// A relation whose mentions aren't a candidate pair was left out.
    NotACandidate,
    /// An example whose input is too long was left out, as the manifest asks.
    TooLong,
    /// An input was cut to the manifest's length.
    InputCut,
    /// A text was divided into windows, as the manifest asks.
    Windowed,
    /// Rows that `[[where]]` leaves out.
    Filtered,
    /// A row without a record in an optional join, though it names one.
    NotJoined,
    /// An answer that doesn't stand where the file says was found nearby.
    AnswerMoved,
    /// A question whose answer isn't in its context was left out.
    AnswerNotFound,
    /// Negative training examples were left out, as the manifest asks.
    NegativesThinned,
    /// Examples over the manifest's cap were left out.
    OverCap,
}

impl fmt::Display for WarningKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EmptyField => "records with an empty field left out",
            Self::DuplicateId => "ids used again, suffix added",
            Self::UnlistedLabel => "labels outside the label set left out",
            Self::SurfaceMismatch => "entities whose stored text differs from their offsets",
            Self::TagWithoutBeginning => "I- tags without B- read as beginnings",
            Self::TagOutsideScheme => "tags that break their scheme, read as usual",
            Self::UntypedRelation => "related pairs without a type left out",
            Self::OtherAnnotation => "annotations of kinds that aren't read",
            Self::NotAnnotated => "texts without an annotation file left out",
            Self::OtherField => "fields of annotations that aren't read",
            Self::UnmentionedConcept => "relations left out that name a concept without a mention",
            Self::AcrossUnits => "entities across units left out",
            Self::NotACandidate => "relations outside the candidate pairs left out",
            Self::TooLong => "examples with a too long input left out",
            Self::InputCut => "inputs cut to the manifest's length",
            Self::Windowed => "texts divided into windows",
            Self::Filtered => "rows left out by `[[where]]`",
            Self::NotJoined => "rows without the record that an optional join names",
            Self::AnswerMoved => "answers found beside the place that the file says",
            Self::AnswerNotFound => "questions left out whose answer isn't in the context",
            Self::NegativesThinned => "negative training examples left out by the manifest",
            Self::OverCap => "examples over the manifest's cap left out",
        })
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {} {}", self.count, self.kind)
    }
}

/// Counts cases by kind and file.
#[derive(Debug, Default)]
pub(crate) struct Warnings(BTreeMap<(WarningKind, PathBuf), (Option<usize>, usize)>);

impl Warnings {
    pub(crate) fn add(&mut self, kind: WarningKind, file: &Path, line: Option<usize>) {
        self.add_many(kind, file, line, 1);
    }

    pub(crate) fn add_many(
        &mut self,
        kind: WarningKind,
        file: &Path,
        line: Option<usize>,
        count: usize,
    ) {
        if count > 0 {
            let entry = self.0.entry((kind, file.to_owned())).or_insert((line, 0));
            entry.1 += count;
        }
    }

    pub(crate) fn extend(&mut self, other: Self) {
        for ((kind, file), (line, count)) in other.0 {
            self.add_many(kind, &file, line, count);
        }
    }

    pub(crate) fn into_vec(self) -> Vec<Warning> {
        self.0
            .into_iter()
            .map(|((kind, file), (line, count))| Warning {
                kind,
                file,
                line,
                count,
            })
            .collect()
    }
}
