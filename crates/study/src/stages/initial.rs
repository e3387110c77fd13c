//! Where a soft prompt starts.

use super::Stages;
use crate::StudyError;
use crate::spec::PromptInit;
use metaprompt_corpus::Task;
use metaprompt_tuning::adapter::Adapter;
use metaprompt_tuning::prompt;

impl Stages<'_> {
    /// First values of a prompt, as the study says.
    pub(crate) fn initial_prompt(&self, task: &Task) -> Result<Vec<f32>, StudyError> {
        let length = self.study.prompt.length;
        match &self.study.prompt.init {
            PromptInit::Vocabulary => self.drawn_from_vocabulary(),
            PromptInit::Instruction => self.text_prompt(&task.instruction()),
            PromptInit::Text(text) => self.text_prompt(text),
            PromptInit::Random => self.random(),
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
                    problem: "it holds no soft prompt; give an adapter with prompts".into(),
                })
            }
        }
    }

    fn text_prompt(&self, text: &str) -> Result<Vec<f32>, StudyError> {
        let tokens = self.backbone.tokenizer.encode(text, false)?;
        if tokens.is_empty() {
            return Err(StudyError::EmptyInit);
        }
        let length = self.study.prompt.length;
        Ok(prompt::from_tokens(&self.backbone.model, &tokens, length)?)
    }

    /// Embeddings of ordinary tokens that the seed draws.
    pub(super) fn drawn_from_vocabulary(&self) -> Result<Vec<f32>, StudyError> {
        let (model, length) = (&self.backbone.model, self.study.prompt.length);
        let ordinary = self.ordinary();
        Ok(prompt::from_vocabulary(
            model, &ordinary, length, self.seed,
        )?)
    }

    /// Normal numbers of the vocabulary's spread.
    pub(super) fn random(&self) -> Result<Vec<f32>, StudyError> {
        let some: Vec<u32> = self.ordinary().into_iter().step_by(97).collect();
        let rows = self.backbone.model.embeddings(&some)?;
        let square = rows.iter().map(|v| v * v).sum::<f32>() / rows.len() as f32;
        let length = self.study.prompt.length;
        Ok(prompt::random(
            self.backbone.hidden_size(),
            length,
            square.sqrt(),
            self.seed,
        ))
    }

    /// Tokens that aren't control tokens.
    fn ordinary(&self) -> Vec<u32> {
        let tokenizer = &self.backbone.tokenizer;
        (0..tokenizer.vocab_size() as u32)
            .filter(|&id| !tokenizer.is_control(id))
            .collect()
    }
}
