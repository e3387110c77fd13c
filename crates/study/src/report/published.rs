//! What the paper published, to stand beside a study's own numbers: Peng, Lyu,
//! Chen and Wu 2026, arXiv 2604.06650. Other backbones and other data, so
//! nothing here is ever computed with.

use metaprompt_corpus::TaskType;

/// Where the numbers come from.
pub(super) const SOURCE: &str = "arXiv 2604.06650";

/// What has to be said beside them.
pub(super) const CAUTION: &str = "The paper's numbers are those of its best model (LLaMA 3.1 8B, Meditron3 8B, gpt-oss 20B) on its own data: another backbone and other corpora. They say what was reported there, and are no yardstick for the numbers beside them.";

/// A score of the paper.
pub(super) struct Published {
    /// The data set as the paper names it.
    pub(super) dataset: &'static str,
    pub(super) task_type: TaskType,
    /// In points.
    pub(super) score: f64,
    /// The metric, where it is not the field's usual one.
    pub(super) metric: &'static str,
}

const fn score(dataset: &'static str, task_type: TaskType, score: f64) -> Published {
    Published {
        dataset,
        task_type,
        score,
        metric: "",
    }
}

/// The best of the paper's models by data set.
pub(super) const SCORES: [Published; 9] = [
    score("n2c2-2022 (entities)", TaskType::Ner, 87.1),
    score("UF opioid (entities)", TaskType::Ner, 91.4),
    score("n2c2-2022 (relations)", TaskType::Re, 83.5),
    score("UF opioid (relations)", TaskType::Re, 89.3),
    score("MedBullets", TaskType::Qa, 68.9),
    score("HeadQA", TaskType::Qa, 64.4),
    score("SciNLI", TaskType::Nli, 86.5),
    score("RadNLI", TaskType::Nli, 82.3),
    Published {
        metric: "ROUGE-L",
        ..score("a summarization set", TaskType::Summ, 39.1)
    },
];

/// Mean of the paper's targets.
pub(super) const AVERAGE: f64 = 73.9;

/// A method's lead over another as the paper gives it, in points, over its
/// models.
pub(super) struct Gap {
    pub(super) over: &'static str,
    /// The same in the paper's words.
    pub(super) words: &'static str,
    pub(super) from: f64,
    pub(super) to: f64,
}

/// The multitask prompt's lead over other methods.
const GAPS: [Gap; 2] = [
    Gap {
        over: "lora",
        words: "LoRA",
        from: 1.5,
        to: 1.7,
    },
    Gap {
        over: "prompt-tuning",
        words: "prompt tuning",
        from: 6.1,
        to: 6.6,
    },
];

/// The lead that the paper reports for a pair of methods.
pub(super) fn gap(first: &str, second: &str) -> Option<&'static Gap> {
    let ours = second == "metaprompt";
    GAPS.iter().find(|gap| ours && gap.over == first)
}
