//! What single settings change.

use super::view::View;
use super::words;
use crate::results::Mean;

/// One setting: its values by what they were tried on.
pub(super) struct Ablation<'a> {
    pub(super) name: String,
    /// In their first order; the study's own setting first, if it was run there.
    pub(super) values: Vec<String>,
    pub(super) columns: Vec<Column<'a>>,
    /// What else differs from the study, in a sentence.
    pub(super) beside: Option<String>,
}

/// A method on a task.
pub(super) struct Column<'a> {
    pub(super) task: String,
    pub(super) method: String,
    /// The method in words and the number of examples.
    pub(super) setting: String,
    /// One for each value of the setting.
    pub(super) means: Vec<Option<&'a Mean>>,
}

impl Column<'_> {
    pub(super) fn title(&self) -> String {
        format!("{}, {}", self.task, self.setting)
    }
}

/// How tables call the study's own setting.
const OWN: &str = "as in the study";

/// All ablations in their first order.
pub(super) fn ablations<'a>(view: &View<'a>) -> Vec<Ablation<'a>> {
    let mut names: Vec<&str> = Vec::new();
    for mean in &view.results.means {
        if let Some((name, _)) = &mean.place.variant
            && !names.contains(&name.as_str())
        {
            names.push(name);
        }
    }
    names.into_iter().map(|name| ablation(view, name)).collect()
}

fn ablation<'a>(view: &View<'a>, name: &str) -> Ablation<'a> {
    let of = |mean: &&'a Mean| mean.place.variant.as_ref().is_some_and(|(n, _)| n == name);
    let all: Vec<&Mean> = view.results.means.iter().filter(of).collect();
    let value = |mean: &Mean| mean.place.variant.as_ref().map(|(_, v)| v.clone());
    let mut values: Vec<String> = Vec::new();
    let mut places: Vec<&crate::results::Place> = Vec::new();
    for mean in &all {
        if let Some(value) = value(mean).filter(|v| !values.contains(v)) {
            values.push(value);
        }
        let same = |p: &&crate::results::Place| same_place(p, &mean.place);
        if !places.iter().any(same) {
            places.push(&mean.place);
        }
    }
    let columns = places.iter().map(|place| {
        let own = view.mean(&place.task, &place.method, place.shots);
        let of_value = |wanted: &String| {
            let here = all.iter().filter(|m| same_place(&m.place, place));
            here.copied().find(|m| value(m).as_ref() == Some(wanted))
        };
        Column {
            task: place.task.clone(),
            method: place.method.clone(),
            setting: format!(
                "{}, {}",
                view.words(&place.method),
                words::examples(place.shots)
            ),
            means: std::iter::once(own)
                .chain(values.iter().map(of_value))
                .collect(),
        }
    });
    let mut columns: Vec<Column<'a>> = columns.collect();
    let info = view.results.ablations.iter().find(|a| a.name == name);
    let with = info.map_or(&[][..], |a| &a.with);
    let set: Vec<String> = with.iter().map(|(f, v)| format!("{f} = {v}")).collect();
    let but = if columns.iter().all(|c| c.means[0].is_none()) {
        for column in &mut columns {
            column.means.remove(0);
        }
        ""
    } else {
        values.insert(0, OWN.into());
        ", but not the study's own row"
    };
    let set = set.join(", ");
    let beside = (!set.is_empty()).then(|| format!("With all of these values{but}: {set}."));
    Ablation {
        name: name.to_owned(),
        beside,
        values,
        columns,
    }
}

fn same_place(a: &crate::results::Place, b: &crate::results::Place) -> bool {
    a.task == b.task && a.method == b.method && a.shots == b.shots
}
