//! Where a study's files are, which decides no result.

use super::{PromptInit, Study};
use crate::StudyError;
use std::path::Path;

impl Study {
    /// Checks that there is something to run, and what to run it on.
    pub(crate) fn can_be_run(&self) -> Result<(), StudyError> {
        if self.targets.is_empty() && !self.evaluate.sources {
            return Err(StudyError::Spec {
                path: Path::new(&self.name).to_owned(),
                problem: "targets is empty; name the tasks that the metaprompt is carried over to, or set [evaluate] sources to score the sources alone".into(),
            });
        }
        for (field, folder) in [("tasks", &self.tasks), ("data", &self.data)] {
            if !folder.is_dir() {
                return Err(StudyError::NoFolder {
                    field,
                    folder: folder.clone(),
                });
            }
        }
        Ok(())
    }

    /// The study with its files where another one's are.
    #[must_use]
    pub fn at_the_places_of(mut self, other: &Study) -> Self {
        self.tasks.clone_from(&other.tasks);
        self.data.clone_from(&other.data);
        self.backbone.clone_from(&other.backbone);
        if let (PromptInit::Adapter(own), PromptInit::Adapter(other)) =
            (&mut self.prompt.init, &other.prompt.init)
        {
            own.clone_from(other);
        }
        self
    }
}
