//! Questions that can't be answered.

use crate::support::{rule, try_run};
use metaprompt_corpus::{Answer, Metric, Prediction, TaskType};
use metaprompt_scoring::{BootstrapOptions, Case, Rule, ScoringError, score};

#[test]
fn questions_that_make_no_sense_are_errors() {
    let yes = || Prediction::label("yes");
    let try_pair = |rule: &Rule, gold: Prediction, predicted: Prediction| {
        try_run(rule, &[(gold, predicted)], &["d".to_owned()])
    };
    let accuracy = rule(TaskType::Nli, Metric::Accuracy, &["yes", "no"], &[]);
    let options = BootstrapOptions::default();
    assert_eq!(
        score(&accuracy, &[], &[], &options),
        Err(ScoringError::NoExamples)
    );
    let cases = [Case::new(yes(), "d")];
    assert!(matches!(
        score(&accuracy, &cases, &[], &options),
        Err(ScoringError::Lengths {
            what: "answers",
            ..
        })
    ));
    assert!(matches!(
        try_pair(
            &rule(TaskType::Ner, Metric::EntityF1, &["drug"], &[]),
            yes(),
            yes()
        ),
        Err(ScoringError::Kind {
            index: 0,
            side: "gold",
            ..
        })
    ));
    assert!(matches!(
        try_pair(&accuracy, yes(), Prediction::text("yes")),
        Err(ScoringError::Kind {
            side: "predicted",
            ..
        })
    ));
    assert_eq!(
        try_pair(&accuracy, Prediction::new(Answer::Label(None)), yes()),
        Err(ScoringError::NoGold { index: 0 })
    );
    let wrong = rule(TaskType::Nli, Metric::RougeL, &["yes", "no"], &[]);
    assert!(matches!(
        try_pair(&wrong, yes(), yes()),
        Err(ScoringError::Metric {
            metric: "rouge-l",
            ..
        })
    ));
    for (task_type, metric) in [
        (TaskType::Nli, Metric::PositiveF1),
        (TaskType::Qa, Metric::PositiveF1),
        (TaskType::Qa, Metric::Mrr),
        (TaskType::Re, Metric::RelationF1),
    ] {
        let bare = rule(task_type, metric, &["yes", "no"], &[]);
        assert_eq!(
            try_pair(&bare, yes(), yes()),
            Err(ScoringError::NoNegatives {
                metric: metric.name()
            })
        );
    }
    for bad in [
        BootstrapOptions {
            draws: 0,
            ..options
        },
        BootstrapOptions {
            level: 1.0,
            ..options
        },
        BootstrapOptions {
            level: f64::NAN,
            ..options
        },
    ] {
        assert!(matches!(
            score(&accuracy, &cases, &[yes()], &bad),
            Err(ScoringError::Bootstrap { .. })
        ));
    }
}
