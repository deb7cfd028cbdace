//! `route`: says which route a condition takes, by its number or by a value.

use std::collections::BTreeMap;

use paceline_types::value::text_of;
use paceline_types::workflow::Route;
use paceline_types::{JobError, Outcome};
use serde::Deserialize;
use serde_json::Value;

use super::payload::{self, Beside, Given};

/// Payload of `route`: either `route` or `cases`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Choice {
    /// The route.
    route: Option<u32>,
    /// What the cases are compared with, as text; the upstream result unless given.
    value: Option<Value>,
    /// The route of each text.
    cases: BTreeMap<String, u32>,
    /// The route of all other texts; without it they fail the job for good.
    default: Option<u32>,
}

/// Answers the route that the payload says.
pub(super) fn run(payload: &[u8]) -> Outcome {
    let Given { spec, beside } = payload::read::<Choice>("route", payload)?;
    let route = choose(&spec, beside.as_ref())?;
    Ok(serde_json::to_vec(&Route(route))?.into())
}

fn choose(choice: &Choice, beside: Option<&Beside>) -> Result<u32, JobError> {
    let wrong = |problem: &str| payload::wrong("route", problem);
    let by_value = choice.value.is_some() || !choice.cases.is_empty() || choice.default.is_some();
    match choice.route {
        Some(_) if by_value => {
            return Err(wrong("both `route` and `cases`; give one of them"));
        }
        Some(route) => return Ok(route),
        None if !by_value => {
            return Err(wrong(
                r#"a payload without `route` and `cases`; give one, such as {"route": 0}"#,
            ));
        }
        None => {}
    }
    let upstream = match beside {
        Some(Beside::Upstream(result)) => serde_json::from_str(result.get()).ok(),
        Some(Beside::Workflow(_)) | None => None,
    };
    let value = choice.value.as_ref().or(upstream.as_ref());
    let value = value.unwrap_or(&Value::Null);
    let text = text_of(value);
    let route = choice.cases.get(&*text).copied().or(choice.default);
    route.ok_or_else(|| {
        let cases: Vec<_> = choice
            .cases
            .keys()
            .map(|case| format!("{case:?}"))
            .collect();
        wrong(&format!(
            "the value {text:?}; its cases are {}, and there is no `default`",
            cases.join(", ")
        ))
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn a_route_is_named_or_chosen() {
        let cases = r#""cases":{"small":0,"1.5":7,"true":2,"":3}"#;
        let table = [
            (r#"{"route":4}"#.to_owned(), 4),
            (format!(r#"{{"value":"small",{cases}}}"#), 0),
            (format!(r#"{{"value":1.50,{cases}}}"#), 7),
            (format!(r#"{{"value":true,{cases}}}"#), 2),
            (format!(r#"{{"value":null,{cases}}}"#), 3),
            (format!(r#"{{"value":"else",{cases},"default":9}}"#), 9),
            (
                format!(r#"{{"upstream":"small","original":{{{cases}}}}}"#),
                0,
            ),
            (
                format!(r#"{{"upstream":"small","original":{{"value":true,{cases}}}}}"#),
                2,
            ),
        ];
        for (payload, route) in table {
            let expected = Bytes::from(format!(r#"{{"route":{route}}}"#));
            assert_eq!(run(payload.as_bytes()), Ok(expected), "{payload}");
        }
    }

    #[test]
    fn what_leads_nowhere_is_told() {
        let table = [
            (
                r#"{"value":"else","cases":{"a":0,"b":1}}"#,
                "task type `route` cannot use the value \"else\"; its cases are \"a\", \"b\", and \
                 there is no `default`",
            ),
            ("{}", "a payload without `route` and `cases`"),
            (r#"{"route":1,"default":2}"#, "both `route` and `cases`"),
            (r#"{"route":-1}"#, "`route` in the payload: invalid value"),
        ];
        for (payload, words) in table {
            match run(payload.as_bytes()) {
                Err(JobError::Permanent(error)) => assert!(error.contains(words), "{error}"),
                other => panic!("{payload}: {other:?}"),
            }
        }
    }
}
