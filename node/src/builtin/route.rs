//! `route`: says which route a condition takes, by its number or by a value.

use std::collections::BTreeMap;

use paceline_types::handler::Route;
use paceline_types::value::text_of;
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
    /// It is taken only the first so many times, and `default` from then on: a loop that ends.
    times: Option<u32>,
    /// What the cases are compared with, as text; the upstream result unless given.
    value: Option<Value>,
    /// The route of each text.
    cases: BTreeMap<String, u32>,
    /// The route of all other texts; without it they fail the job for good. With `times`, the route
    /// after them.
    default: Option<u32>,
}

/// Answers the route that the payload says; `iteration` is how often its task was started before.
pub(super) fn run(payload: &[u8], iteration: u32) -> Outcome {
    let Given { spec, beside } = payload::read::<Choice>("route", payload)?;
    let route = choose(&spec, beside.as_ref(), iteration)?;
    Ok(serde_json::to_vec(&Route(route))?.into())
}

fn choose(choice: &Choice, beside: Option<&Beside>, iteration: u32) -> Result<u32, JobError> {
    let wrong = |problem: &str| Err(payload::wrong("route", problem));
    let by_value = choice.value.is_some() || !choice.cases.is_empty();
    match (choice.route, choice.times, choice.default) {
        (Some(_), _, _) if by_value => {
            return wrong("both `route` and `cases`; give one of them");
        }
        (Some(route), Some(times), Some(default)) => {
            return Ok(if iteration < times { route } else { default });
        }
        (Some(route), None, None) => return Ok(route),
        (Some(_), _, _) => {
            return wrong("one of `times` and `default` without the other");
        }
        (None, Some(_), _) => return wrong("`times` without `route`"),
        (None, None, None) if !by_value => {
            return wrong(
                r#"a payload without `route` and `cases`; give one, such as {"route": 0}"#,
            );
        }
        (None, None, _) => {}
    }
    let upstream = match beside {
        Some(Beside::Upstream(result)) => serde_json::from_str(result.get()).ok(),
        Some(Beside::Workflow(_)) | None => None,
    };
    let value = choice.value.as_ref().or(upstream.as_ref());
    let value = value.unwrap_or(&Value::Null);
    let text = text_of(value);
    match choice.cases.get(&*text).copied().or(choice.default) {
        Some(route) => Ok(route),
        None => {
            let cases = choice.cases.keys().map(|case| format!("{case:?}"));
            let cases = cases.collect::<Vec<_>>().join(", ");
            wrong(&format!(
                "the value {text:?}; its cases are {cases}, and there is no `default`"
            ))
        }
    }
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
            (r#"{"route":4,"times":3,"default":5}"#.to_owned(), 4),
            (r#"{"route":4,"times":2,"default":5}"#.to_owned(), 5),
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
            assert_eq!(run(payload.as_bytes(), 2), Ok(expected), "{payload}");
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
            (r#"{"route":1,"cases":{"a":2}}"#, "both `route` and `cases`"),
            (r#"{"route":1,"default":2}"#, "one of `times` and `default`"),
            (r#"{"times":1,"default":2}"#, "`times` without `route`"),
            (r#"{"route":-1}"#, "`route` in the payload: invalid value"),
        ];
        for (payload, words) in table {
            match run(payload.as_bytes(), 2) {
                Err(JobError::Permanent(error)) => assert!(error.contains(words), "{error}"),
                other => panic!("{payload}: {other:?}"),
            }
        }
    }
}
