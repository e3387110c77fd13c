//! What the comparisons say, in sentences made from the numbers.

use super::published::{Gap, gap};
use super::view::View;
use super::words::{examples_each, examples_together, p_value, plural, points, signed};
use crate::results::Comparison;
use crate::spec::Shots;

/// What two methods' comparisons say together.
pub(super) struct Claim {
    /// In one sentence.
    pub(super) head: String,
    /// A sentence for each number of examples.
    pub(super) lines: Vec<String>,
    /// What the paper reports of these two methods.
    pub(super) paper: Option<String>,
}

/// With a capital, as a sentence begins.
fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

/// Which way a difference goes, if it is settled.
#[derive(Clone, Copy, PartialEq)]
enum Verdict {
    Ahead,
    Behind,
    Open,
}

/// A claim for each pair of methods.
pub(super) fn claims(view: &View<'_>) -> Vec<Claim> {
    view.pairs()
        .into_iter()
        .map(|pair| claim(view, pair))
        .collect()
}

fn verdict(view: &View<'_>, comparison: &Comparison) -> Verdict {
    match view.settled(comparison) {
        true if comparison.value > 0.0 => Verdict::Ahead,
        true => Verdict::Behind,
        false => Verdict::Open,
    }
}

fn claim(view: &View<'_>, pair: (&str, &str)) -> Claim {
    let (first, second) = (view.words(pair.0), view.words(pair.1));
    let compared = view.compared(pair);
    let over_targets = compared.iter().filter_map(|(shots, all)| {
        let mean = all.iter().find(|c| c.task.is_none())?;
        Some((*shots, *mean))
    });
    let (single, together): (Vec<_>, Vec<_>) = over_targets.partition(|(s, _)| s.len() == 1);
    let means: Vec<(Shots, &Comparison)> = single.into_iter().map(|(s, c)| (s[0], c)).collect();
    let mut head = if means.is_empty() {
        by_tasks(view, &first, &second, &compared)
    } else {
        by_means(view, &first, &second, &means, &together)
    };
    let pending = view.pending(pair).count();
    if pending > 0 {
        let made: usize = compared.iter().map(|(_, all)| all.len()).sum();
        let asked = plural(made + pending, "comparison");
        head = format!("Incomplete, {made} of {asked}: {head}");
    }
    let line = |(shots, all): &(&[Shots], Vec<&Comparison>)| {
        let pending = view.pending(pair).filter(|p| p.shots == *shots).count();
        line(view, shots, all, pending)
    };
    // The paper's claim is about all targets and settings.
    let paper = gap(pair.0, pair.1).filter(|_| pending == 0);
    Claim {
        head: capital(&head),
        lines: compared.iter().map(line).collect(),
        paper: paper.map(|gap| beside_paper(view, gap, &means)),
    }
}

/// The means over targets: over several numbers of examples, then by number,
/// those of one verdict together.
fn by_means(
    view: &View<'_>,
    first: &str,
    second: &str,
    means: &[(Shots, &Comparison)],
    together: &[(&[Shots], &Comparison)],
) -> String {
    let says = |wanted: Verdict| match wanted {
        Verdict::Ahead => "ahead beyond chance",
        Verdict::Behind => "behind beyond chance",
        Verdict::Open => "not to be told apart",
    };
    let several = together.iter().map(|(shots, c)| {
        let says = says(verdict(view, c));
        let value = signed(c.value);
        format!("{says} with {} ({value} points)", examples_together(shots))
    });
    let part = |wanted: Verdict| {
        let of = means.iter().filter(|(_, c)| verdict(view, c) == wanted);
        let of: Vec<_> = of.collect();
        let values = of.iter().map(|(_, c)| c.value);
        let (low, high) = (
            values.clone().fold(f64::INFINITY, f64::min),
            values.fold(f64::NEG_INFINITY, f64::max),
        );
        let shots: Vec<Shots> = of.iter().map(|(shots, _)| *shots).collect();
        let (says, range) = (says(wanted), range(low, high));
        (!of.is_empty()).then(|| format!("{says} with {} ({range})", examples_each(&shots)))
    };
    let verdicts = [Verdict::Ahead, Verdict::Behind, Verdict::Open];
    let each = verdicts.into_iter().filter_map(part);
    let parts: Vec<String> = several.chain(each).collect();
    format!(
        "{second} against {first}, mean over targets: {}.",
        parts.join("; ")
    )
}

/// Where there are no means over targets: how many targets say what.
fn by_tasks(
    view: &View<'_>,
    first: &str,
    second: &str,
    compared: &[(&[Shots], Vec<&Comparison>)],
) -> String {
    let all: Vec<&Comparison> = compared
        .iter()
        .flat_map(|(_, all)| all.iter().copied())
        .collect();
    format!(
        "{second} against {first}: {}.",
        tally(view, &all, "comparison")
    )
}

fn range(low: f64, high: f64) -> String {
    let (low, high) = (signed(low), signed(high));
    match low == high {
        true => format!("{low} points"),
        false => format!("{low} to {high} points"),
    }
}

/// How many of some comparisons say what.
fn tally(view: &View<'_>, all: &[&Comparison], noun: &str) -> String {
    let of = |wanted| all.iter().filter(|c| verdict(view, c) == wanted).count();
    format!(
        "ahead beyond chance in {} of {}, behind in {}",
        of(Verdict::Ahead),
        plural(all.len(), noun),
        of(Verdict::Behind)
    )
}

/// One number of examples, or several together; `pending` of its comparisons are not there.
fn line(view: &View<'_>, shots: &[Shots], all: &[&Comparison], pending: usize) -> String {
    let tasks: Vec<&Comparison> = all.iter().copied().filter(|c| c.task.is_some()).collect();
    let mut text = format!("With {}", examples_together(shots));
    if pending > 0 {
        let asked = plural(all.len() + pending, "comparison");
        text += &format!(" ({} of {asked})", all.len());
    }
    text += ": ";
    if let Some(mean) = all.iter().find(|c| c.task.is_none()) {
        text += &format!(
            "{} points on average ({})",
            signed(mean.value),
            interval(view, mean)
        );
        text += match verdict(view, mean) {
            Verdict::Open => ", which can't be told from chance",
            Verdict::Ahead | Verdict::Behind => ", more than chance",
        };
        text += if tasks.is_empty() { "." } else { "; " };
    }
    if !tasks.is_empty() {
        text += &format!("{}.", tally(view, &tasks, "target"));
    }
    text
}

/// Interval and corrected p value of a difference.
pub(super) fn interval(view: &View<'_>, c: &Comparison) -> String {
    format!(
        "{}% interval {} to {}, corrected p {}",
        points(view.results.level).trim_end_matches(".0"),
        signed(c.low),
        signed(c.high),
        p_value(c.corrected)
    )
}

/// What the paper says of these two, and what the study does.
fn beside_paper(view: &View<'_>, gap: &Gap, means: &[(Shots, &Comparison)]) -> String {
    let of = |wanted| {
        means
            .iter()
            .filter(|(_, c)| verdict(view, c) == wanted)
            .count()
    };
    let (ahead, behind) = (of(Verdict::Ahead), of(Verdict::Behind));
    let here = match (means.len(), ahead, behind) {
        (0, ..) => "this study has no mean over targets to hold beside it".to_owned(),
        (all, n, 0) if n == all => "the direction holds here".to_owned(),
        (all, 0, 0) => format!("this study settles it in none of its {}", settings(all)),
        (all, 0, n) if n == all => "here it is the other way round".to_owned(),
        (all, ahead, 0) => format!(
            "here the direction holds in {ahead} of {}, the others are open",
            settings(all)
        ),
        (all, 0, behind) => format!(
            "here it is the other way round in {behind} of {}, the others are open",
            settings(all)
        ),
        (all, ahead, behind) => format!(
            "here the direction holds in {ahead} of {} and is the other way round in {behind}",
            settings(all)
        ),
    };
    format!(
        "The paper reports +{:.1} to +{:.1} points over {}, on other backbones and other data; {here}.",
        gap.from, gap.to, gap.words
    )
}

fn settings(number: usize) -> String {
    plural(number, "setting")
}

/// Where there were too few shuffles for any p value to survive correction: what
/// to do.
pub(super) fn too_few_draws(view: &View<'_>) -> Option<String> {
    let results = view.results;
    let scores = results.cells.iter().filter_map(|c| c.outcome.as_ref().ok());
    let draws = scores.map(|s| s.bootstrap.draws).max()?;
    let (count, alpha) = (view.asked_comparisons() as f64, 1.0 - results.level);
    let least = 1.0 / (draws as f64 + 1.0);
    let under = results.comparisons.iter().any(|c| c.p_value < least);
    if under || count * least <= alpha {
        return None;
    }
    Some(format!(
        "{draws} shuffles give no p value under 1/{}, so with {count} comparisons to correct for nothing here could be called settled. Run the study with at least {:.0} draws ([evaluate] bootstrap).",
        draws + 1,
        (count / alpha).ceil()
    ))
}
