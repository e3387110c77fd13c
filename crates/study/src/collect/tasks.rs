//! The tasks of a study, as its reports and its database describe them.

use crate::lab::Lab;
use crate::results::TaskInfo;
use crate::{Observer, StudyError};
use metaprompt_scoring::Rule;

/// The tasks, sources first.
pub(crate) fn tasks(
    lab: &mut Lab<'_>,
    observer: &mut dyn Observer,
) -> Result<Vec<TaskInfo>, StudyError> {
    let study = lab.study(0).clone();
    let mut tasks = Vec::new();
    for name in study.sources.iter().chain(&study.targets) {
        let task = lab.prepared(0, name, observer)?;
        let cases = task.cases();
        let mut documents: Vec<&str> = cases.iter().map(|c| c.document).collect();
        documents.sort_unstable();
        documents.dedup();
        tasks.push(TaskInfo {
            name: name.clone(),
            target: study.targets.contains(name),
            task_type: task.task.manifest.task_type,
            metric: metric(&Rule::of(&task.task.manifest)),
            train_examples: task.train.len(),
            test_examples: cases.len(),
            test_documents: documents.len(),
            splits: task.splits.clone(),
            remarks: task.remarks,
        });
    }
    Ok(tasks)
}

/// A metric as manifests spell it.
fn metric(rule: &Rule) -> String {
    let name = serde_json::to_value(rule.metric).ok();
    let name = name.as_ref().and_then(|n| n.as_str());
    name.unwrap_or_default().to_owned()
}
