//! The results of an invented study of the size of the paper's: nothing in it
//! was measured.

mod further;
mod scores;

use further::{ablations, curves, mistakes, sources, transfer};
use metaprompt_corpus::TaskType;
use metaprompt_study::results::{MethodInfo, Place, Results, Searched, SplitUse, TaskInfo, Tried};
use metaprompt_study::{ChosenBy, Full, Shots};
use scores::{cells, comparisons};

/// Targets with their type, metric and how well they go.
const TARGETS: [(&str, TaskType, &str, f64); 10] = [
    ("ade-corpus-v2-ner", TaskType::Ner, "entity-f1", 0.61),
    ("n2c2-like-medications", TaskType::Ner, "entity-f1", 0.55),
    ("bc5cdr-disease", TaskType::Ner, "entity-f1", 0.48),
    ("ddi2013", TaskType::Re, "relation-f1", 0.35),
    ("gad", TaskType::Re, "positive-f1", 0.66),
    ("medbullets", TaskType::Qa, "accuracy", 0.29),
    ("headqa-en", TaskType::Qa, "accuracy", 0.27),
    ("scinli", TaskType::Nli, "macro-f1", 0.52),
    ("mediqa-nli-radiology", TaskType::Nli, "macro-f1", 0.58),
    ("mts-dialog-summaries", TaskType::Summ, "rouge-l", 0.24),
];

/// Methods, trained parameters, gain in points at full data, and how much of it
/// is there with few examples.
const METHODS: [(&str, &str, u64, f64, f64); 8] = [
    ("instruction", "plain instruction", 0, -0.22, 0.0),
    ("demonstrations", "demonstrations", 0, -0.15, 0.6),
    ("prompt-tuning", "prompt tuning", 57_600, -0.03, 0.3),
    ("metaprompt-zero", "metaprompt, zero-shot", 0, -0.13, 0.0),
    ("metaprompt", "metaprompt, adapted", 58_276, 0.02, 0.75),
    (
        "metaprompt-vectors",
        "metaprompt, vectors only",
        676,
        -0.04,
        0.7,
    ),
    ("lora", "LoRA, rank 8", 2_442_240, 0.01, 0.45),
    ("full", "full fine-tuning", 134_515_008, 0.03, 0.25),
];

const SEEDS: [u64; 3] = [0, 1, 2];

const LEVEL: f64 = 0.95;

/// All numbers of examples.
fn shots() -> [Shots; 6] {
    let [a, b, c, d, e] = [0, 4, 16, 32, 100].map(Shots::Count);
    [a, b, c, d, e, Shots::Full(Full::Full)]
}

/// A number between 0 and 1 that is always the same for a place.
fn noise(parts: &[usize]) -> f64 {
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    for &part in parts {
        state = (state ^ part as u64).wrapping_mul(0xff51_afd7_ed55_8ccd);
        state ^= state >> 33;
        state = state.wrapping_mul(0xc4ce_b9fe_1a85_ec53) ^ (state >> 29);
    }
    (state >> 11) as f64 / (1u64 << 53) as f64
}

/// Of a corpus with a few texts that are too long.
fn splits() -> Vec<SplitUse> {
    let of = |split: &str, read, chosen, skipped| SplitUse {
        split: split.into(),
        read,
        chosen,
        skipped,
        used: chosen - skipped,
        cut: skipped / 3,
    };
    vec![
        of("train", 12_345, 4041, 41),
        of("dev", 800, 103, 3),
        of("test", 1900, 206, 6),
    ]
}

fn place(task: usize, method: usize, shots: Shots) -> Place {
    Place {
        task: TARGETS[task].0.to_owned(),
        method: METHODS[method].0.to_owned(),
        shots,
        variant: None,
    }
}

/// The whole study.
pub(crate) fn results() -> Results {
    let task = |name: String, target, task_type, metric: &str| TaskInfo {
        name,
        target,
        only_ablations: false,
        task_type,
        metric: metric.to_owned(),
        train_examples: 4000,
        test_examples: 200,
        test_documents: 183,
        splits: splits(),
        remarks: 3,
    };
    let types = [
        TaskType::Ner,
        TaskType::Re,
        TaskType::Qa,
        TaskType::Nli,
        TaskType::Summ,
    ];
    let sources = sources().into_iter().enumerate();
    let sources = sources.map(|(i, name)| task(name, false, types[i / 5], "accuracy"));
    let targets = TARGETS.map(|(name, kind, metric, _)| task(name.into(), true, kind, metric));
    let mut results = Results {
        study: "An invented study".into(),
        backbone: "SmolLM2-135M-Instruct".into(),
        backbone_parameters: 134_515_008,
        environment: "metaprompt 0.1.0, cpu, 2 threads".into(),
        level: LEVEL,
        tasks: sources.chain(targets).collect(),
        methods: METHODS
            .map(|(id, words, ..)| MethodInfo {
                id: id.into(),
                words: words.into(),
            })
            .to_vec(),
        searches: searches(),
        transfer: Some(transfer()),
        mistakes: mistakes(),
        ..Results::default()
    };
    cells(&mut results);
    comparisons(&mut results);
    ablations(&mut results);
    curves(&mut results);
    results
}

/// Searches by loss, one with a candidate that diverged, and one by score.
fn searches() -> Vec<Searched> {
    let search = |method: &str, shots, by, tried: &[(f32, Option<f64>, Option<f64>)], chosen| {
        let one = |&(rate, dev_loss, dev_score): &(f32, Option<f64>, Option<f64>)| Tried {
            rate,
            dev_loss,
            dev_score,
        };
        Searched {
            method: method.into(),
            shots,
            targets: TARGETS.map(|(name, ..)| name.to_owned()).to_vec(),
            by,
            tried: tried.iter().map(one).collect(),
            chosen,
        }
    };
    let prompt = [
        (0.02, Some(1.0962), None),
        (0.05, Some(1.0347), None),
        (1.5, None, None),
    ];
    let few = [(2e-4, Some(1.3097), None), (1e-3, Some(2.6758), None)];
    let all = [
        (2e-4, Some(0.8021), Some(0.302)),
        (1e-3, Some(0.8244), Some(0.316)),
        (0.5, None, None),
    ];
    vec![
        search(
            "prompt-tuning",
            Shots::Count(16),
            ChosenBy::Loss,
            &prompt,
            0.05,
        ),
        search("lora", Shots::Count(4), ChosenBy::Loss, &few, 2e-4),
        search("lora", Shots::FULL, ChosenBy::Score, &all, 1e-3),
    ]
}
