//! What the fields of a study must satisfy, alone and together.

use crate::spec::{Shots, Study};

/// The most that a count may be: far above every use, far below what would
/// overflow or exhaust memory before the first step.
const MOST: u64 = 1 << 16;

/// The same for the rows of a forward pass.
const MOST_ROWS: u64 = 1 << 20;

/// What is wrong with a study, in words that say what to do.
pub(crate) fn contradiction(study: &Study) -> Result<(), String> {
    tasks(study)?;
    counts(study)?;
    rates(study)?;
    if !(study.distill.temperature.is_finite() && study.distill.temperature > 0.0) {
        return Err("[distill] temperature must be above 0".into());
    }
    if study.adapt.shots.contains(&Shots::Count(0)) {
        return Err(
            "[adapt] shots has a 0; the zero-shot rows are always there, leave it out".into(),
        );
    }
    Ok(())
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
    let mut names: Vec<&String> = study.sources.iter().chain(&study.targets).collect();
    names.sort();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(twice) => Err(format!("{} is named twice", twice[0])),
        None => Ok(()),
    }
}

fn counts(study: &Study) -> Result<(), String> {
    let (teach, distill, adapt, evaluate) =
        (&study.teach, &study.distill, &study.adapt, &study.evaluate);
    let counts = [
        ("[prompt] length", study.prompt.length as u64),
        ("[limits] max_tokens", study.limits.max_tokens as u64),
        ("[teach] batch", teach.batch.unwrap_or(1) as u64),
        (
            "[teach] batch_tokens",
            teach.batch_tokens.unwrap_or(1) as u64,
        ),
        ("[teach] accumulation", teach.accumulation as u64),
        ("[distill] batch", distill.batch.unwrap_or(1) as u64),
        (
            "[distill] batch_tokens",
            distill.batch_tokens.unwrap_or(1) as u64,
        ),
        ("[distill] accumulation", distill.accumulation as u64),
        ("[distill] rank", distill.rank as u64),
        ("[adapt] batch", adapt.batch.unwrap_or(1) as u64),
        (
            "[adapt] batch_tokens",
            adapt.batch_tokens.unwrap_or(1) as u64,
        ),
        ("[adapt] accumulation", adapt.accumulation as u64),
        ("[evaluate] batch", evaluate.batch as u64),
        ("[evaluate] max_new_tokens", evaluate.max_new_tokens as u64),
    ];
    let steps = [
        ("[teach] steps", teach.steps),
        ("[distill] steps", distill.steps),
        ("[adapt] steps", adapt.steps),
    ];
    if let Some((field, _)) = counts.iter().chain(&steps).find(|(_, n)| *n == 0) {
        return Err(format!("{field} is 0; give at least 1"));
    }
    // max_tokens is cut to the context anyway.
    let bounded = counts
        .iter()
        .filter(|(field, _)| *field != "[limits] max_tokens");
    for (field, n) in bounded {
        let most = if field.ends_with("batch_tokens") {
            MOST_ROWS
        } else {
            MOST
        };
        if *n > most {
            return Err(format!("{field} is {n}; give at most {most}"));
        }
    }
    let patience = [
        ("[teach]", teach.patience, teach.evaluate_every),
        ("[distill]", distill.patience, distill.evaluate_every),
        ("[adapt]", adapt.patience, adapt.evaluate_every),
    ];
    match patience
        .iter()
        .find(|(_, patience, every)| *patience > 0 && *every == 0)
    {
        Some((stage, ..)) => Err(format!(
            "{stage} patience needs evaluate_every: without development losses nothing stops early"
        )),
        None => Ok(()),
    }
}

fn rates(study: &Study) -> Result<(), String> {
    let (teach, distill, adapt) = (&study.teach, &study.distill, &study.adapt);
    let rates = [
        ("[teach] learning_rate", teach.learning_rate),
        ("[teach] weight_decay", teach.weight_decay),
        ("[teach] clip", teach.clip),
        ("[distill] learning_rate", distill.learning_rate),
        (
            "[distill] vector_learning_rate",
            distill.vector_learning_rate,
        ),
        ("[distill] weight_decay", distill.weight_decay),
        ("[distill] clip", distill.clip),
        ("[distill] lambda", distill.lambda),
        ("[distill] vector_noise", distill.vector_noise),
        ("[adapt] learning_rate", adapt.learning_rate),
        ("[adapt] vector_learning_rate", adapt.vector_learning_rate),
        ("[adapt] scratch_learning_rate", adapt.scratch_learning_rate),
        ("[adapt] weight_decay", adapt.weight_decay),
        ("[adapt] clip", adapt.clip),
    ];
    if let Some((field, rate)) = rates.iter().find(|(_, r)| !(0.0..=100.0).contains(r)) {
        return Err(format!("{field} is {rate}; give a number from 0 to 100"));
    }
    let shares = [
        ("[teach]", teach.warmup),
        ("[distill]", distill.warmup),
        ("[adapt]", adapt.warmup),
    ];
    if let Some((stage, share)) = shares.iter().find(|(_, w)| !(0.0..=1.0).contains(w)) {
        return Err(format!(
            "{stage} warmup is {share}; give a share of the steps from 0 to 1"
        ));
    }
    let trained = [
        ("[teach] learning_rate", teach.learning_rate),
        (
            "[distill] learning_rate and vector_learning_rate",
            distill.learning_rate + distill.vector_learning_rate,
        ),
        (
            "[adapt] learning_rate and vector_learning_rate",
            adapt.learning_rate + adapt.vector_learning_rate,
        ),
        ("[adapt] scratch_learning_rate", adapt.scratch_learning_rate),
    ];
    match trained.iter().find(|(_, sum)| *sum == 0.0) {
        Some((field, _)) => Err(format!("{field} is 0: nothing would be trained")),
        None => Ok(()),
    }
}
