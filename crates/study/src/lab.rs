//! What the cells of a study work with: its variants, their encoders and their
//! corpora, each made once when it is first needed.

use crate::encode::{Encoder, Encoding};
use crate::prepare::Prepared;
use crate::spec::{Limits, Study, Variant, variants};
use crate::stages::Stages;
use crate::{Observer, StudyError};
use metaprompt_backbone::Backbone;
use metaprompt_corpus::Task;
use std::path::Path;
use std::rc::Rc;

/// A study's materials. One thread works with them.
pub(crate) struct Lab<'b> {
    pub(crate) backbone: &'b Backbone,
    /// The study, then its ablations.
    pub(crate) variants: Vec<Variant>,
    encoders: Vec<Rc<Encoder<'b>>>,
    corpora: Vec<(Corpus, Rc<Prepared>)>,
}

/// What decides which examples of a task are used, and how they are encoded.
#[derive(Clone, Debug, PartialEq)]
struct Corpus {
    task: String,
    limits: Limits,
    encoding: Encoding,
    seed: u64,
}

impl<'b> Lab<'b> {
    pub(crate) fn new(study: &Study, backbone: &'b Backbone) -> Result<Self, StudyError> {
        let variants = variants(study).map_err(|problem| StudyError::Spec {
            path: Path::new(&study.name).to_owned(),
            problem,
        })?;
        Ok(Lab {
            backbone,
            variants,
            encoders: Vec::new(),
            corpora: Vec::new(),
        })
    }

    /// The study of a variant.
    pub(crate) fn study(&self, variant: usize) -> &Study {
        &self.variants[variant].study
    }

    /// The stages of a variant with a seed.
    pub(crate) fn stages(&self, variant: usize, seed: u64) -> Stages<'_> {
        Stages {
            study: self.study(variant),
            backbone: self.backbone,
            seed,
        }
    }

    /// A variant's encoder.
    pub(crate) fn encoder(&mut self, variant: usize) -> Result<Rc<Encoder<'b>>, StudyError> {
        let encoding = self.stages(variant, 0).encoding()?;
        let known = self.encoders.iter().find(|e| e.encoding() == encoding);
        if let Some(encoder) = known {
            return Ok(Rc::clone(encoder));
        }
        let encoder = Rc::new(Encoder::new(self.backbone, encoding)?);
        self.encoders.push(Rc::clone(&encoder));
        Ok(encoder)
    }

    /// A task's examples under a variant's limits; the first time they are read,
    /// the observer is told what they are.
    pub(crate) fn prepared(
        &mut self,
        variant: usize,
        task: &str,
        observer: &mut dyn Observer,
    ) -> Result<Rc<Prepared>, StudyError> {
        let encoder = self.encoder(variant)?;
        let study = self.study(variant);
        let corpus = Corpus {
            task: task.to_owned(),
            limits: study.limits.clone(),
            encoding: encoder.encoding(),
            seed: study.first_seed(),
        };
        if let Some((_, known)) = self.corpora.iter().find(|(c, _)| *c == corpus) {
            return Ok(Rc::clone(known));
        }
        let manifest = Task::find(&study.tasks, task)?;
        let prepared = Rc::new(Prepared::load(study, &encoder, &manifest)?);
        observer.note(&prepared.describe());
        self.corpora.push((corpus, Rc::clone(&prepared)));
        Ok(prepared)
    }
}
