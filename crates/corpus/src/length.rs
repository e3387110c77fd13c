//! The manifest's rule for long inputs, on the examples of a split.

use crate::examples::Found;
use crate::kinds::Split;
use crate::manifest::WhenLong;
use crate::task::Task;
use crate::warning::{WarningKind, Warnings};
use crate::windows::Wholes;

impl Task {
    /// Drops the examples that are too long and can't be cut.
    pub(crate) fn drop_long(&self, found: &mut Vec<Found>, warnings: &mut Warnings) {
        let Some(most) = self.manifest.length.max_input_chars else {
            return;
        };
        if self.manifest.length.when_long == WhenLong::Window {
            return;
        }
        found.retain(|f| match self.render_within(&f.example, most) {
            Some(rendered) => {
                if rendered.cut > 0 {
                    warnings.add(WarningKind::InputCut, &f.file, None);
                }
                true
            }
            None => {
                warnings.add(WarningKind::TooLong, &f.file, None);
                false
            }
        });
    }

    /// Divides long annotated texts into windows, and keeps them whole in
    /// `wholes`.
    pub(crate) fn divide_long(
        &self,
        split: Split,
        found: Vec<Found>,
        wholes: &mut Wholes,
        warnings: &mut Warnings,
    ) -> Vec<Found> {
        let mut divided = Vec::with_capacity(found.len());
        for mut whole in found {
            // An id is unique in its split only, and a split may be carved
            // out of another.
            if wholes.contains_key(&whole.example.id) {
                whole.example.id = format!("{split}:{}", whole.example.id);
            }
            let windows = self.windows(&whole.example);
            if windows.len() == 1 {
                divided.push(whole);
                continue;
            }
            warnings.add(WarningKind::Windowed, &whole.file, None);
            divided.extend(windows.into_iter().map(|example| Found {
                example,
                ties: whole.ties.clone(),
                file: whole.file.clone(),
            }));
            wholes.insert(whole.example.id.clone(), whole.example);
        }
        divided
    }
}
