//! Mistakes of definitions, as commands tell them: all together, each with its place.

use std::path::Path;

use paceline_types::workflow::DefinitionError;
use serde::Serialize;

use super::failure::{Failure, Kind};
use super::output::Output;
use super::source;

#[derive(Serialize)]
struct Validated {
    valid: bool,
    errors: Vec<Mistake>,
}

#[derive(Serialize)]
struct Mistake {
    path: String,
    problem: String,
}

/// Says that a file is valid, and how large it is (`3 tasks`); or fails with its mistakes.
pub(crate) fn tell_validated(
    path: &Path,
    mistakes: &[DefinitionError],
    size: &str,
    output: Output,
) -> Result<(), Failure> {
    if mistakes.is_empty() {
        let valid = Validated {
            valid: true,
            errors: Vec::new(),
        };
        let name = source::name_of(path);
        return output.either(&valid, || format!("{name} is valid: {size}"));
    }
    if output.is_json() {
        let errors = mistakes.iter().map(|mistake| Mistake {
            path: mistake.path.clone(),
            problem: mistake.problem.clone(),
        });
        output.json(&Validated {
            valid: false,
            errors: errors.collect(),
        })?;
    }
    Err(invalid(path, mistakes))
}

/// A file with these mistakes.
pub(crate) fn invalid(path: &Path, mistakes: &[DefinitionError]) -> Failure {
    let name = source::name_of(path);
    let sentence = match mistakes {
        [mistake] => format!("{name} is not valid: {mistake}"),
        mistakes => {
            let lines: String = mistakes
                .iter()
                .map(|mistake| format!("\n  {mistake}"))
                .collect();
            format!(
                "{name} is not valid, it has {} mistakes:{lines}",
                mistakes.len()
            )
        }
    };
    Failure::new(Kind::Usage, sentence)
}
