//! Where a soft prompt starts.

use crate::StudyError;
use crate::spec::PromptInit;
use crate::stages::Stages;
use metaprompt_corpus::Task;
use metaprompt_tuning::adapter::Adapter;
use metaprompt_tuning::prompt;

impl Stages<'_> {
    /// First values of a prompt, as the study says.
    pub(crate) fn initial_prompt(&self, task: &Task) -> Result<Vec<f32>, StudyError> {
        let (model, tokenizer) = (&self.backbone.model, &self.backbone.tokenizer);
        let (length, seed) = (self.study.prompt.length, self.study.seed);
        let from_text = |text: &str| -> Result<Vec<f32>, StudyError> {
            let tokens = tokenizer.encode(text, false)?;
            if tokens.is_empty() {
                return Err(StudyError::EmptyInit);
            }
            Ok(prompt::from_tokens(model, &tokens, length)?)
        };
        let ordinary = || -> Vec<u32> {
            (0..tokenizer.vocab_size() as u32)
                .filter(|&id| !tokenizer.is_control(id))
                .collect()
        };
        match &self.study.prompt.init {
            PromptInit::Vocabulary => {
                Ok(prompt::from_vocabulary(model, &ordinary(), length, seed)?)
            }
            PromptInit::Instruction => from_text(&task.instruction()),
            PromptInit::Text(text) => from_text(text),
            PromptInit::Random => {
                let some: Vec<u32> = ordinary().into_iter().step_by(97).collect();
                let rows = model.embeddings(&some)?;
                let square = rows.iter().map(|v| v * v).sum::<f32>() / rows.len() as f32;
                Ok(prompt::random(
                    self.backbone.hidden_size(),
                    length,
                    square.sqrt(),
                    seed,
                ))
            }
            PromptInit::Adapter(path) => {
                let adapter = Adapter::load(path)?;
                adapter.check_backbone(path, self.backbone)?;
                let found = adapter.virtual_tokens();
                if found != length {
                    let what = "the adapter of [prompt] init";
                    return Err(StudyError::PromptLength {
                        what,
                        found,
                        wanted: length,
                    });
                }
                adapter.prompt(0).ok_or_else(|| StudyError::AdapterTask {
                    path: path.clone(),
                    problem: "it holds no task".into(),
                })
            }
        }
    }
}
