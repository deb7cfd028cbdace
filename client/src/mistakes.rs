//! Mistakes of definitions, in one sentence.

use std::fmt;

use paceline_types::workflow::DefinitionError;

/// All mistakes behind each other: `tasks[0].name: …; tasks[3]: …`.
pub(crate) struct Listed<'a>(pub(crate) &'a [DefinitionError]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{mistake}")?;
        }
        Ok(())
    }
}
