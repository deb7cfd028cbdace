//! `continue`: lets the workflow go on as a new one.

use paceline_types::{JobError, Outcome};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::payload::{self, Beside, Given};

/// Payload of `continue`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Continue {
    /// The input of the new workflow; the upstream result unless given, else null.
    input: Option<Box<RawValue>>,
}

/// Continues with the input of the payload.
pub(super) fn run(payload: &[u8]) -> Outcome {
    let Given { spec, beside } = payload::read::<Continue>("continue", payload)?;
    let upstream = match beside {
        Some(Beside::Upstream(result)) => Some(result),
        Some(Beside::Workflow(_)) | None => None,
    };
    Err(JobError::continue_as_new(spec.input.or(upstream)))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn the_input_is_handed_on_as_it_is() {
        let table = [
            (r#"{"input":{"n": 1.50}}"#, r#"{"n": 1.50}"#),
            (r#"{"upstream":[1],"original":null}"#, "[1]"),
            (r#"{"upstream":[1],"original":{"input":2}}"#, "2"),
            ("", "null"),
        ];
        for (payload, input) in table {
            let input = Bytes::from_static(input.as_bytes());
            let expected = Err(JobError::ContinueAsNew { input });
            assert_eq!(run(payload.as_bytes()), expected, "{payload}");
        }
        assert!(matches!(run(b"7"), Err(JobError::Permanent(_))));
    }
}
