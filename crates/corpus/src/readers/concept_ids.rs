//! The ids of concepts in one column or infon.
//!
//! Corpora put `|`, `;` or `,` between several ids, and some `+` between the
//! parts of a composite. The ids of variants that tmVar gives
//! (`c|SUB|G|76+1|A`) are made with the same signs; they stay whole.

use crate::record::Relation;

/// What may stand between ids.
const BETWEEN: [char; 3] = ['|', ';', ','];

/// What stands in place of the id of a mention without one.
pub(crate) const NO_ID: &str = "-1";

/// How tmVar calls the kinds of change.
const CHANGES: [&str; 8] = ["SUB", "DEL", "INS", "DUP", "INDEL", "FS", "Allele", "CNV"];

/// The ids, in order. None for `-`, `-1` and nothing.
pub(crate) fn divide(written: &str) -> Vec<&str> {
    let written = written.trim();
    if is_variant(written) {
        return vec![written];
    }
    let parts = written.split(BETWEEN).map(str::trim);
    parts
        .flat_map(|part| match part.split('+').all(is_plain) {
            true => part.split('+').collect(),
            false => vec![part],
        })
        .filter(|id| !matches!(*id, "" | "-" | NO_ID))
        .collect()
}

/// What one end of a relation stands for: a concept that has a mention, or all
/// parts of a composite; nothing where one of them has none.
fn mentioned(written: &str, known: impl Fn(&str) -> bool) -> Vec<&str> {
    if known(written) {
        return vec![written];
    }
    let parts = divide(written);
    match parts.iter().all(|id| known(id)) {
        true => parts,
        false => Vec::new(),
    }
}

impl Relation {
    /// The relation between concepts that have mentions that this one stands
    /// for: itself, or one for each part of a composite.
    pub(super) fn of_each(&self, known: impl Fn(&str) -> bool) -> Vec<Self> {
        let [heads, tails] = [&self.head, &self.tail].map(|end| mentioned(end, &known));
        let pairs = heads
            .iter()
            .flat_map(|head| tails.iter().map(move |tail| (head, tail)));
        let one = |(i, (head, tail)): (usize, (&&str, &&str))| Self {
            id: match i {
                0 => self.id.clone(),
                i => format!("{}.{}", self.id, i + 1),
            },
            head: (*head).to_owned(),
            tail: (*tail).to_owned(),
            ..self.clone()
        };
        pairs.enumerate().map(one).collect()
    }
}

/// Those of some ids that can be written with `|` between them and read again.
pub(crate) fn together<'i>(ids: impl Iterator<Item = &'i str>) -> Vec<&'i str> {
    let mut ids: Vec<&str> = ids.filter(|id| divide(id) == [*id]).collect();
    // The id of a variant can only stand alone.
    while divide(&ids.join("|")) != ids {
        ids.pop();
    }
    ids
}

/// Whether something may be a part of a composite: an id of letters and digits,
/// with or without its database. (A `+` is also part of the names of variants.)
fn is_plain(id: &str) -> bool {
    let sign = |c: char| c.is_ascii_alphanumeric() || c == ':' || c == '_';
    id.starts_with(|c: char| c.is_ascii_alphabetic()) && id.chars().all(sign)
}

/// Whether this is one of tmVar's ids: a letter for the sequence, or none, and
/// the kind of change.
fn is_variant(written: &str) -> bool {
    let bare = written.strip_prefix("tmVar:").unwrap_or(written);
    let mut fields = bare.split('|');
    let (sequence, change) = (fields.next(), fields.next());
    let short = sequence.is_some_and(|s| s.len() <= 1 && s.chars().all(|c| c.is_ascii_lowercase()));
    let known = |change: &str| CHANGES.iter().any(|known| change.starts_with(known));
    short && change.is_some_and(known) && fields.next().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_ids_are_divided() {
        assert_eq!(divide("D1|D2"), ["D1", "D2"]);
        assert_eq!(divide(" 12,34; 56 "), ["12", "34", "56"]);
        assert_eq!(divide("MESH:D1+MESH:D2|-1"), ["MESH:D1", "MESH:D2"]);
        assert_eq!(divide("D1"), ["D1"]);
        for none in ["", "-", "-1", " ", "|", "-1|-"] {
            assert_eq!(divide(none), [""; 0], "{none}");
        }
    }

    #[test]
    fn ids_of_variants_stay_whole() {
        for whole in [
            "c|SUB|G|76+1|A",
            "tmVar:p|FS|Y|9||;HGVS:p.Y9fsX",
            "|DEL|3_4|",
            "c|DEL||32",
            "c|DEL99|C",
            "NM_1:c.76+1G>A",
            "Ca2+",
        ] {
            assert_eq!(divide(whole), [whole]);
        }
        let ids = ["D1", "c|DEL||32", "a,b", "-1"];
        assert_eq!(together(ids.into_iter()), ["D1"]);
        assert_eq!(together(ids[1..].iter().copied()), ["c|DEL||32"]);
        let known = |id: &str| ["c|DEL||32", "D1", "D2"].contains(&id);
        assert_eq!(mentioned("c|DEL||32", known), ["c|DEL||32"]);
        assert_eq!(mentioned("D1|D2", known), ["D1", "D2"]);
        for unknown in ["D1|D3", "D3", "-1"] {
            assert_eq!(mentioned(unknown, known), [""; 0], "{unknown}");
        }
        // One without the form is several.
        assert_eq!(divide("c|SUB"), ["c", "SUB"]);
    }
}
