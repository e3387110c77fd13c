//! The most pairs that two lists can be put into.

/// How many pairs there can be at most when each element of a list is in one
/// pair at most and only elements that touch make a pair (augmenting paths; the
/// lists are those of one example, and short).
pub(crate) fn largest<T>(gold: &[&T], found: &[&T], touches: impl Fn(&T, &T) -> bool) -> usize {
    let neighbours: Vec<Vec<usize>> = gold
        .iter()
        .map(|g| (0..found.len()).filter(|&f| touches(g, found[f])).collect())
        .collect();
    let mut partner = vec![None; found.len()];
    (0..gold.len())
        .filter(|&g| augment(g, &neighbours, &mut partner, &mut vec![false; found.len()]))
        .count()
}

fn augment(
    gold: usize,
    neighbours: &[Vec<usize>],
    partner: &mut [Option<usize>],
    visited: &mut [bool],
) -> bool {
    for &found in &neighbours[gold] {
        if std::mem::replace(&mut visited[found], true) {
            continue;
        }
        let free = match partner[found] {
            None => true,
            Some(other) => augment(other, neighbours, partner, visited),
        };
        if free {
            partner[found] = Some(gold);
            return true;
        }
    }
    false
}
