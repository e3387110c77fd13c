//! Invented ablations, losses, transfer and mistakes.

use super::scores::mean;
use super::{METHODS, SEEDS, TARGETS, noise, place};
use metaprompt_study::results::{AblationInfo, Curve, Mistake, Results, Transfer};
use metaprompt_study::{Full, Shots};

pub(super) fn ablations(results: &mut Results) {
    let settings: [(&str, &[&str]); 3] = [
        ("lambda", &["0", "0.3", "0.9"]),
        (
            "shared init",
            &["teachers", "one-teacher", "vocabulary", "random"],
        ),
        ("sources", &["1", "3", "6", "12", "21"]),
    ];
    results.ablations = vec![AblationInfo {
        name: "lambda".into(),
        field: "distill.lambda".into(),
        with: vec![("distill.steps".into(), "60".into())],
    }];
    for (s, (name, values)) in settings.into_iter().enumerate() {
        for task in [0, 8] {
            for shots in [Shots::Count(16), Shots::Full(Full::Full)] {
                for (v, setting) in values.iter().enumerate() {
                    let base = TARGETS[task].3 - 0.06 + 0.02 * v as f64;
                    let seeds = (0..3)
                        .map(|i| base + 0.02 * noise(&[s, task, v, i]))
                        .collect();
                    let mut place = place(task, 4, shots);
                    place.variant = Some((name.to_owned(), (*setting).to_owned()));
                    results.means.push(mean(place, seeds, task));
                }
            }
        }
    }
}

pub(super) fn curves(results: &mut Results) {
    let mut curve = |label: String, stage: &str, steps: u64, run: usize, low: f64| {
        let loss = |step: u64| {
            let wave = 0.12 * (noise(&[run, step as usize]) - 0.5);
            low + (2.4 - low) * (-(step as f64) / 60.0).exp() + wave
        };
        results.curves.push(Curve {
            label,
            stage: stage.to_owned(),
            train: (1..=steps).map(|s| (s, loss(s))).collect(),
            dev: (1..=steps)
                .filter(|s| s % 50 == 0)
                .map(|s| (s, loss(s) + 0.1))
                .collect(),
        });
    };
    for (i, source) in sources().iter().enumerate() {
        curve(source.clone(), "teach", 300, i, 0.3 + 0.6 * noise(&[i]));
    }
    for seed in SEEDS {
        curve(
            format!("seed {seed}"),
            "distill",
            600,
            40 + seed as usize,
            0.7,
        );
    }
    for (m, (id, _, parameters, ..)) in METHODS.iter().enumerate() {
        for (t, target) in TARGETS.iter().enumerate().filter(|_| *parameters > 0) {
            let label = format!("{}, all examples, seed 0", target.0);
            curve(label, id, 260, 100 * m + t, 0.2 + 0.5 * noise(&[m, t]));
        }
    }
}

pub(super) fn sources() -> Vec<String> {
    let names = [
        "jnlpba",
        "ncbi-disease",
        "chia",
        "ebm-nlp-pico",
        "bionlp-cg",
        "linnaeus",
        "pico-outcomes",
        "chemprot",
        "euadr",
        "biored-relations",
        "pubmedqa",
        "bioasq-yesno",
        "medmcqa",
        "mediqa-qa",
        "mediqa-rqe",
        "healthver",
        "snli-medical",
        "pubhealth",
        "mts-dialog",
        "aci-bench-notes",
        "cochrane-plain-language-summaries",
    ];
    names.map(String::from).to_vec()
}

pub(super) fn transfer() -> Transfer {
    let targets: Vec<String> = TARGETS.iter().map(|t| t.0.to_owned()).collect();
    let matrix = |of: &dyn Fn(usize, usize) -> f64| -> Vec<Vec<f64>> {
        let row = |t| (0..21).map(|s| of(t, s)).collect();
        (0..TARGETS.len()).map(row).collect()
    };
    let near = |t: usize, s: usize| if t / 3 == s / 7 { 0.3 } else { 0.0 };
    Transfer {
        cosine: matrix(&|t, s| near(t, s) + 0.9 * (noise(&[t, s]) - 0.4)),
        gain: matrix(&|t, s| 0.8 * near(t, s) + 0.4 * (noise(&[t, s, 1]) - 0.5)),
        sources: sources(),
        targets,
    }
}

pub(super) fn mistakes() -> Vec<Mistake> {
    let mistake = |task: usize, id: &str, text: &str, gold: &str, answer: &str| Mistake {
        task: TARGETS[task].0.to_owned(),
        task_type: TARGETS[task].1,
        method: "metaprompt".into(),
        id: id.into(),
        text: text.into(),
        found: Vec::new(),
        missed: Vec::new(),
        invented: Vec::new(),
        gold: gold.into(),
        answer: answer.into(),
    };
    let text = "Patient developed severe hepatic failure and a rash after the second dose of carbamazepine; the rash resolved, liver function did not. No Stevens-Johnson syndrome (SJS).";
    let span = |words: &str, kind: &str| {
        let start = text.find(words).unwrap_or(0);
        (start, start + words.len(), kind.to_owned())
    };
    let mut entities = mistake(
        0,
        "ade-1042",
        text,
        "",
        "severe hepatic failure = Adverse effect\ncarbamazepine = Drug\nStevens-Johnson syndrome = Adverse effect\nfailure and a rash = Adverse effect",
    );
    entities.found = vec![
        span("severe hepatic failure", "Adverse effect"),
        span("carbamazepine", "Drug"),
    ];
    entities.missed = vec![span("rash", "Adverse effect")];
    entities.invented = vec![
        span("Stevens-Johnson syndrome", "Adverse effect"),
        span("failure and a rash", "Adverse effect"),
    ];
    let mut short = mistake(
        1,
        "note 17, sentence 3",
        "Metoprolol 25 mg bid, hold for SBP < 90 & HR < 55.",
        "",
        "Metoprolol = Drug",
    );
    short.found = vec![(0, 10, "Drug".into())];
    short.missed = vec![(11, 16, "Dose".into()), (17, 20, "Frequency".into())];
    vec![
        entities,
        short,
        mistake(
            3,
            "ddi-88.s2",
            "Concurrent use of <<warfarin>> and <<fluconazole>> increases prothrombin time.",
            "effect",
            "mechanism",
        ),
        mistake(
            5,
            "q-311",
            "A 24-year-old woman comes with 2 days of dysuria …\nA. Nitrofurantoin\nB. Amoxicillin\nC. Observation",
            "A",
            "B",
        ),
        mistake(
            8,
            "pair 9",
            "Premise: No focal consolidation.\nHypothesis: There is pneumonia.",
            "contradiction",
            "neutral",
        ),
        mistake(
            9,
            "dialog 4",
            "Doctor: What brings you in?\nPatient: My knee, it's been swollen since Sunday.",
            "Knee swelling since Sunday.",
            "Patient has pain.",
        ),
    ]
}
