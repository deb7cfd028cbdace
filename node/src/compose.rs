//! What a handler is given when its payload refers to other values.
//!
//! The results of other tasks come with the claim; the input of the workflow is read when the
//! payload refers to it. What is not there will not be there later either, so the job is dead, with
//! the reference that nothing answers.

use bytes::Bytes;
use paceline_store::StoreError;
use paceline_store::calls::turn::Composition;
use paceline_types::JobError;
use paceline_types::value::{Known, Template, of_bytes};
use serde_json::Value;
use serde_json::value::RawValue;

/// Puts the values into a payload, and wraps it with the upstream results. At most `limit` bytes may
/// come of the payload itself.
///
/// # Errors
/// Permanent, with the place, when a value is not there; retryable when the input could not be
/// read.
pub(crate) async fn payload(
    composition: &Composition,
    payload: Bytes,
    limit: usize,
    input: impl AsyncFnOnce() -> Result<Option<Bytes>, StoreError>,
) -> Result<Bytes, JobError> {
    let Some(template) = template(&payload)? else {
        return Ok(composition.upstream.wrap(payload));
    };
    let mut known = Known::new();
    if composition.input {
        let input = input().await?;
        known.set_input(input.as_ref().map_or(Value::Null, of_bytes));
    }
    for (task, result) in &composition.references {
        known.set_output(task.as_str(), of_bytes(result));
    }
    let rendered = template
        .render(&known, limit)
        .map_err(|error| JobError::permanent(format!("payload: {error}")))?;
    Ok(composition.upstream.wrap(rendered))
}

/// Reads what the definition said; none when nothing in it is to be put in.
fn template(payload: &[u8]) -> Result<Option<Template>, JobError> {
    let json: &RawValue = serde_json::from_slice(payload)
        .map_err(|error| JobError::permanent(format!("payload: it is not JSON: {error}")))?;
    // It was accepted with the definition, perhaps by a newer program than this one.
    Template::parse(json).map_err(|problems| {
        let first = problems.first();
        JobError::permanent(
            first.map_or("payload: it cannot be read".to_owned(), |mistake| {
                format!("payload{}: {}", mistake.path, mistake.problem)
            }),
        )
    })
}

#[cfg(test)]
mod tests {
    use paceline_store::calls::turn::UpstreamResults;
    use paceline_types::TaskName;

    use super::*;

    const LIMIT: usize = 64;

    fn named(name: &str, result: &'static str) -> (TaskName, Bytes) {
        let name = TaskName::new(name).expect("name");
        (name, Bytes::from_static(result.as_bytes()))
    }

    fn composition() -> Composition {
        Composition {
            template: true,
            input: true,
            references: vec![
                named("a", r#"{"n":1.50,"text":"x\"y"}"#),
                named("skipped", "null"),
                named("plain", "not JSON"),
            ],
            upstream: UpstreamResults::None,
        }
    }

    async fn composed(given: &str, composition: &Composition) -> Result<String, String> {
        let input = async || {
            Ok(Some(Bytes::from_static(
                br#"{"id":7,"lines":[{"sku":"s"}]}"#,
            )))
        };
        let bytes = Bytes::copy_from_slice(given.as_bytes());
        match payload(composition, bytes, LIMIT, input).await {
            Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Err(JobError::Permanent(error)) => Err(error),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn values_are_put_in() {
        let table = [
            (r#"{"id":"{{input.id}}"}"#, r#"{"id":7}"#),
            (r#""{{ input.lines[0].sku }}/{{input.id}}""#, r#""s/7""#),
            (
                r#"["{{tasks.a.output.n}}", "{{tasks.a.output.text}}!"]"#,
                r#"[1.5, "x\"y!"]"#,
            ),
            (r#""{{tasks.skipped.output.any.depth}}""#, "null"),
            (r#""{{tasks.plain.output}}""#, r#""not JSON""#),
            (
                r#"{ "as": 1.50 , "it" :"is {{{{" }"#,
                r#"{ "as": 1.50 , "it" :"is {{" }"#,
            ),
        ];
        for (given, expected) in table {
            assert_eq!(
                composed(given, &composition()).await.as_deref(),
                Ok(expected),
                "{given}"
            );
        }
    }

    /// Contract row 75, W19: nothing waits for what will not come.
    #[tokio::test]
    async fn what_is_not_there_ends_the_job_with_its_place() {
        let table = [
            (
                r#""{{tasks.a.output.total}}""#,
                "payload: tasks.a.output.total is not there",
            ),
            (
                r#""{{input.lines[1].sku}}""#,
                "payload: input.lines[1].sku is not there",
            ),
            (
                r#""{{tasks.gone.output}}""#,
                "payload: tasks.gone.output is not there",
            ),
            (r#"{"a":["{{what}}"]}"#, "payload.a[0]: "),
            ("{", "payload: it is not JSON"),
        ];
        for (given, sentence) in table {
            let error = composed(given, &composition()).await.expect_err(given);
            assert!(error.starts_with(sentence), "{error}");
        }
        let long = format!(r#""{}{{{{input.id}}}}""#, "x".repeat(LIMIT));
        let error = composed(&long, &composition()).await.expect_err("too long");
        assert!(error.contains("more than 64 bytes"), "{error}");
    }

    #[tokio::test]
    async fn it_is_wrapped_after_it_was_put_together() {
        let upstream = UpstreamResults::Many(vec![named("a", "[1]"), named("b", "null")]);
        let composition = Composition {
            upstream,
            ..composition()
        };
        assert_eq!(
            composed(r#""{{input.id}}""#, &composition).await.as_deref(),
            Ok(r#"{"upstream":{"a":[1],"b":null},"original":7}"#)
        );
    }

    #[tokio::test]
    async fn the_input_is_read_only_if_it_is_meant() {
        let composition = Composition {
            input: false,
            ..composition()
        };
        let never = async || panic!("nobody asked for it");
        let text = Bytes::from_static(br#""{{tasks.a.output.n}}""#);
        let rendered = payload(&composition, text, LIMIT, never).await;
        assert_eq!(rendered, Ok(Bytes::from_static(b"1.5")));
    }

    /// Contract row 79: no input reads as null, at any depth.
    #[tokio::test]
    async fn a_workflow_without_an_input_has_null() {
        let none = async || Ok(None);
        let text = Bytes::from_static(br#""{{input.order.id}}""#);
        let rendered = payload(&composition(), text, LIMIT, none).await;
        assert_eq!(rendered, Ok(Bytes::from_static(b"null")));
    }
}
