//! The tasks of a study, as its reports and its database describe them.

use crate::lab::Lab;
use crate::results::TaskInfo;
use crate::{Observer, StudyError};
use metaprompt_scoring::Rule;

/// The tasks, sources first, and after the study's own those that only ablations
/// have.
pub(crate) fn tasks(
    lab: &mut Lab<'_>,
    observer: &mut dyn Observer,
) -> Result<Vec<TaskInfo>, StudyError> {
    let mut tasks: Vec<TaskInfo> = Vec::new();
    for variant in 0..lab.variants.len() {
        let study = lab.study(variant).clone();
        for name in study.sources.iter().chain(&study.targets) {
            if tasks.iter().any(|t| t.name == *name) {
                continue;
            }
            let task = lab.prepared(variant, name, observer)?;
            let cases = task.cases();
            let mut documents: Vec<&str> = cases.iter().map(|c| c.document).collect();
            documents.sort_unstable();
            documents.dedup();
            tasks.push(TaskInfo {
                name: name.clone(),
                target: study.targets.contains(name),
                only_ablations: variant > 0,
                task_type: task.task.manifest.task_type,
                metric: metric(&Rule::of(&task.task.manifest)),
                train_examples: task.train.len(),
                test_examples: cases.len(),
                test_documents: documents.len(),
                splits: task.splits.clone(),
                remarks: task.remarks,
            });
        }
    }
    Ok(tasks)
}

/// A metric as manifests spell it.
fn metric(rule: &Rule) -> String {
    let name = serde_json::to_value(rule.metric).ok();
    let name = name.as_ref().and_then(|n| n.as_str());
    name.unwrap_or_default().to_owned()
}
