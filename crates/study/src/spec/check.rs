//! What the fields of a study must satisfy, alone and together.

use super::stage::Common;
use super::{Lora, Search, Shots, Study};
use metaprompt_backbone::model::Module;

/// The most that a count may be: far above every use, far below what would
/// overflow or exhaust memory before the first step.
const MOST: u64 = 1 << 16;

/// The same for the rows of a forward pass.
const MOST_ROWS: u64 = 1 << 20;

/// What is wrong with a study, in words that say what to do.
pub(crate) fn contradiction(study: &Study) -> Result<(), String> {
    tasks(study)?;
    matrix(study)?;
    for stage in stages(study) {
        section(&stage)?;
    }
    counts(study)?;
    rates(study)?;
    for (method, search) in &study.search {
        candidates(method.id(), search, study)?;
    }
    if !(study.distill.temperature.is_finite() && study.distill.temperature > 0.0) {
        return Err("[distill] temperature must be above 0".into());
    }
    match study.evaluate.bootstrap.contradiction() {
        Some((field, problem)) => Err(format!("[evaluate.bootstrap] {field} {problem}")),
        None => Ok(()),
    }
}

fn tasks(study: &Study) -> Result<(), String> {
    if study.sources.is_empty() {
        return Err("sources is empty; name the tasks that the metaprompt is learnt from".into());
    }
    if let Some(both) = study.sources.iter().find(|s| study.targets.contains(s)) {
        return Err(format!(
            "{both} is both a source and a target; a target must be unseen"
        ));
    }
    let names = study.sources.iter().chain(&study.targets);
    twice("", names).map_or(Ok(()), Err)
}

/// Methods, shots and seeds.
fn matrix(study: &Study) -> Result<(), String> {
    if study.name.is_empty() {
        return Err("name is empty; give the study one, which its run folder takes".into());
    }
    let empty = [
        ("methods", study.methods.is_empty()),
        ("shots", study.shots.is_empty()),
        ("seeds", study.seeds.is_empty()),
    ];
    if let Some((field, _)) = empty.iter().find(|(_, empty)| *empty) {
        return Err(format!("{field} is empty; leave it out for the default"));
    }
    let methods: Vec<&str> = study.methods.iter().map(|m| m.id()).collect();
    let shots: Vec<String> = study.shots.iter().map(|s| s.name()).collect();
    let repeated = twice("methods: ", methods.iter())
        .or_else(|| twice("shots: ", shots.iter()))
        .or_else(|| twice("seeds: ", study.seeds.iter()));
    repeated.map_or(Ok(()), Err)
}

/// A name that occurs more than once.
pub(super) fn twice<T: ToString>(field: &str, names: impl Iterator<Item = T>) -> Option<String> {
    let mut names: Vec<String> = names.map(|n| n.to_string()).collect();
    names.sort();
    let pair = names.windows(2).find(|pair| pair[0] == pair[1])?;
    Some(format!("{field}{} is named twice", pair[0]))
}

fn stages(study: &Study) -> [Common; 6] {
    [
        study.teach.common(),
        study.distill.common(),
        study.prompt_tuning.common(),
        study.metaprompt.common(),
        study.lora.common(),
        study.full.common(),
    ]
}

/// What holds for every stage.
fn section(stage: &Common) -> Result<(), String> {
    let name = stage.name;
    for (field, n) in &stage.counts {
        if *n == 0 {
            return Err(format!("{name} {field} is 0; give at least 1"));
        }
        let most = match *field {
            "steps" | "tokens" | "few_shot_steps" => u64::MAX,
            "batch_tokens" => MOST_ROWS,
            _ => MOST,
        };
        if *n > most {
            return Err(format!("{name} {field} is {n}; give at most {most}"));
        }
    }
    if let Some((one, other)) = stage.both {
        return Err(format!(
            "{name} has both {one} and {other}; give one of them as the training budget"
        ));
    }
    for (field, rate) in &stage.rates {
        in_range(&format!("{name} {field}"), *rate)?;
    }
    if !(0.0..=1.0).contains(&stage.warmup) {
        return Err(format!(
            "{name} warmup is {}; give a share of the steps from 0 to 1",
            stage.warmup
        ));
    }
    if stage.patience > 0 && stage.evaluate_every == 0 {
        return Err(format!(
            "{name} patience needs evaluate_every: without development losses nothing stops early"
        ));
    }
    Ok(())
}

fn in_range(field: &str, rate: f32) -> Result<(), String> {
    if (0.0..=100.0).contains(&rate) {
        Ok(())
    } else {
        Err(format!("{field} is {rate}; give a number from 0 to 100"))
    }
}

fn counts(study: &Study) -> Result<(), String> {
    let few = |steps: Option<u64>| steps.unwrap_or(1).min(MOST);
    let counts = [
        ("[prompt] length", study.prompt.length as u64),
        // It is cut to the context anyway.
        (
            "[limits] max_tokens",
            (study.limits.max_tokens as u64).min(MOST),
        ),
        ("[distill] rank", study.distill.rank as u64),
        ("[lora] rank", study.lora.rank as u64),
        ("[demonstrations] k", study.demonstrations.k as u64),
        (
            "[demonstrations] max_tokens",
            // What fits into the context is taken anyway.
            (study.demonstrations.max_tokens as u64).min(MOST),
        ),
        ("[evaluate] batch", study.evaluate.batch as u64),
        (
            "[evaluate] max_new_tokens",
            study.evaluate.max_new_tokens as u64,
        ),
        (
            "[prompt_tuning] few_shot_steps",
            few(study.prompt_tuning.few_shot_steps),
        ),
        (
            "[metaprompt] few_shot_steps",
            few(study.metaprompt.few_shot_steps),
        ),
        ("[lora] few_shot_steps", few(study.lora.few_shot_steps)),
        ("[full] few_shot_steps", few(study.full.few_shot_steps)),
    ];
    for (field, n) in counts {
        if n == 0 {
            return Err(format!("{field} is 0; give at least 1"));
        }
        if n > MOST {
            return Err(format!("{field} is {n}; give at most {MOST}"));
        }
    }
    Ok(())
}

fn rates(study: &Study) -> Result<(), String> {
    let (distill, adapt) = (&study.distill, &study.metaprompt);
    let rates = [
        ("[teach] learning_rate", study.teach.learning_rate),
        ("[distill] learning_rate", distill.learning_rate),
        (
            "[distill] vector_learning_rate",
            distill.vector_learning_rate,
        ),
        ("[distill] lambda", distill.lambda),
        ("[distill] vector_noise", distill.vector_noise),
        (
            "[prompt_tuning] learning_rate",
            study.prompt_tuning.learning_rate,
        ),
        ("[metaprompt] learning_rate", adapt.learning_rate),
        (
            "[metaprompt] vector_learning_rate",
            adapt.vector_learning_rate,
        ),
        (
            "[metaprompt] vectors_only_learning_rate",
            adapt.vectors_only_learning_rate,
        ),
        ("[lora] learning_rate", study.lora.learning_rate),
        ("[full] learning_rate", study.full.learning_rate),
    ];
    for (field, rate) in rates {
        in_range(field, rate)?;
    }
    lora(&study.lora)?;
    if study.full.accumulation > 1 {
        return Err(format!(
            "[full] accumulation is {}; full fine-tuning keeps no gradients of several passes, so give 1 and a larger batch",
            study.full.accumulation
        ));
    }
    let trained = [
        ("[teach] learning_rate", study.teach.learning_rate),
        (
            "[distill] learning_rate and vector_learning_rate",
            distill.learning_rate + distill.vector_learning_rate,
        ),
        (
            "[prompt_tuning] learning_rate",
            study.prompt_tuning.learning_rate,
        ),
        (
            "[metaprompt] learning_rate and vector_learning_rate",
            adapt.learning_rate + adapt.vector_learning_rate,
        ),
        (
            "[metaprompt] vectors_only_learning_rate",
            adapt.vectors_only_learning_rate,
        ),
        ("[lora] learning_rate", study.lora.learning_rate),
        ("[full] learning_rate", study.full.learning_rate),
    ];
    match trained.iter().find(|(_, sum)| *sum == 0.0) {
        Some((field, _)) => Err(format!("{field} is 0: nothing would be trained")),
        None => Ok(()),
    }
}

fn lora(lora: &Lora) -> Result<(), String> {
    let unknown = |name: &&String| Module::named(name).is_none();
    if let Some(unknown) = lora.target_modules.iter().find(unknown) {
        let known: Vec<&str> = Module::ALL.iter().map(|m| m.name()).collect();
        return Err(format!(
            "[lora] target_modules: {unknown} is no linear layer; give some of {}, or none for all",
            known.join(", ")
        ));
    }
    if lora.alpha <= 0.0 {
        return Err(format!(
            "[lora] alpha is {}; give a number above 0, twice the rank for instance",
            lora.alpha
        ));
    }
    match lora.options().contradiction() {
        Some((field, problem)) => Err(format!("[lora] {field} {problem}")),
        None => Ok(()),
    }
}

fn candidates(method: &str, search: &Search, study: &Study) -> Result<(), String> {
    let at = format!("[search.{method}]");
    let trains = study.methods.iter().any(|m| m.id() == method && m.trains());
    if !trains {
        return Err(format!(
            "{at}: {method} is not among the methods that are trained here"
        ));
    }
    if search.learning_rates.is_empty() {
        return Err(format!("{at} learning_rates is empty; give candidates"));
    }
    for &rate in &search.learning_rates {
        in_range(&format!("{at} learning_rates"), rate)?;
        if rate == 0.0 {
            return Err(format!(
                "{at} learning_rates has a 0: nothing would be trained"
            ));
        }
    }
    if search.shots.is_empty() {
        return Err(format!("{at} shots is empty; give a number of examples"));
    }
    if search.shots.contains(&Shots::NONE) {
        return Err(format!("{at} shots has a 0: nothing would be trained"));
    }
    let names = search.shots.iter().map(|s| s.name());
    if let Some(twice) = twice(&format!("{at} shots: "), names) {
        return Err(twice);
    }
    let unknown = search.targets.iter().find(|t| !study.targets.contains(t));
    match unknown {
        Some(name) => Err(format!("{at} targets: {name} is not a target of the study")),
        None => Ok(()),
    }
}
