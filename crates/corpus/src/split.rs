//! Makes the splits that a corpus doesn't have, without dividing a document.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::examples::Found;
use crate::seeded::rank;

/// How far a group may overshoot the wanted share before it is passed over.
const SLACK: f64 = 1.25;

/// Moves about `fraction` of the examples (of those that `found` holds) out of
/// `found`, whole groups at a time: examples of one document, or with a tie in
/// common, stay on one side. Order within both sides is kept.
///
/// Those that have a document or a tie in common with `into`, the examples that
/// they are added to, go first. The other groups are taken in an order that the seed decides until enough has moved.
/// A group that would overshoot by more than a quarter is passed over, so that
/// one large group doesn't become the whole split.
pub(crate) fn carve(
    found: &mut Vec<Found>,
    into: &[Found],
    wanted: usize,
    seed: u64,
    purpose: &str,
) -> Vec<Found> {
    let there: HashSet<(&str, bool)> = into.iter().flat_map(keys).collect();
    let groups = groups(found);
    let mut order: Vec<(bool, u64, &Vec<usize>)> = groups
        .values()
        .map(|members| {
            // Named by its smallest member id, so that the order of files
            // doesn't matter.
            let name = members.iter().map(|&i| &found[i].example.id).min();
            let name = name.map_or("", String::as_str);
            let mut all_keys = members.iter().flat_map(|&i| keys(&found[i]));
            let apart = !all_keys.any(|key| there.contains(&key));
            (apart, rank(seed, purpose, name), members)
        })
        .collect();
    order.sort_by_key(|(apart, rank, members)| (*apart, *rank, members.len()));
    let most = (wanted as f64 * SLACK).ceil() as usize;
    let mut moves = vec![false; found.len()];
    let mut moved = 0;
    for (apart, _, members) in order {
        if apart && (moved >= wanted || moved + members.len() > most) {
            continue;
        }
        moved += members.len();
        for &i in members {
            moves[i] = true;
        }
    }
    let mut moves = moves.into_iter();
    let (out, rest) = std::mem::take(found)
        .into_iter()
        .partition(|_| moves.next().unwrap_or(false));
    *found = rest;
    out
}

/// Members by group, each group under its first member.
fn groups(found: &[Found]) -> BTreeMap<usize, Vec<usize>> {
    let mut parent: Vec<usize> = (0..found.len()).collect();
    let mut first: HashMap<(&str, bool), usize> = HashMap::new();
    for (i, one) in found.iter().enumerate() {
        for key in keys(one) {
            let other = *first.entry(key).or_insert(i);
            let (a, b) = (root(&mut parent, i), root(&mut parent, other));
            parent[a.max(b)] = a.min(b);
        }
    }
    let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for i in 0..found.len() {
        groups.entry(root(&mut parent, i)).or_default().push(i);
    }
    groups
}

/// What an example may have in common with others of its group: whether it is
/// a tie, or a document.
fn keys(one: &Found) -> impl Iterator<Item = (&str, bool)> {
    let ties = one.ties.iter().map(|tie| (tie.as_str(), true));
    ties.chain([(one.example.document.as_str(), false)])
}

fn root(parent: &mut [usize], mut i: usize) -> usize {
    while parent[i] != i {
        parent[i] = parent[parent[i]];
        i = parent[i];
    }
    i
}
