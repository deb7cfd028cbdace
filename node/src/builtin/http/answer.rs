//! From the answer of a server to the outcome of the run.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use paceline_types::job::as_json;
use paceline_types::{DEFAULT_MAX_PAYLOAD, JobError, Outcome};
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use serde::Serialize;

/// Most bytes of a body: what a result may have by default, less room for status and headers.
const BODY_LIMIT: usize = DEFAULT_MAX_PAYLOAD - 8 * 1024;

/// Bytes of a body that an error message shows.
const SHOWN: usize = 512;

/// The headers that a result holds, where the answer has them.
const KEPT: [&str; 6] = [
    "content-type",
    "date",
    "etag",
    "last-modified",
    "location",
    "x-request-id",
];

/// What a job completes with.
#[derive(Serialize)]
struct Answer<'a> {
    status: u16,
    headers: BTreeMap<&'static str, &'a str>,
    #[serde(serialize_with = "as_json")]
    body: Bytes,
}

/// Reads the answer to its end and judges it; no `expected` status means 200 to 299.
pub(super) async fn read(response: Response, expected: &[u16]) -> Outcome {
    let (status, headers) = (response.status(), response.headers().clone());
    let good = match expected {
        [] => status.is_success(),
        _ => expected.contains(&status.as_u16()),
    };
    let body = read_body(response).await?;
    if !good {
        return Err(judge(status, &headers, &body.start));
    }
    if body.cut {
        return Err(JobError::permanent(format!(
            "the answer is longer than {BODY_LIMIT} bytes, which do not fit into a result; \
             fetch large bodies with a task of your own"
        )));
    }
    let kept = KEPT
        .into_iter()
        .filter_map(|name| Some((name, headers.get(name)?.to_str().ok()?)));
    let answer = Answer {
        status: status.as_u16(),
        headers: kept.collect(),
        body: body.start.into(),
    };
    Ok(serde_json::to_vec(&answer)?.into())
}

struct Body {
    start: Vec<u8>,
    cut: bool,
}

/// At most [`BODY_LIMIT`] bytes; the rest is not fetched.
async fn read_body(mut response: Response) -> Result<Body, reqwest::Error> {
    let mut start = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let room = BODY_LIMIT - start.len();
        start.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            return Ok(Body { start, cut: true });
        }
    }
    Ok(Body { start, cut: false })
}

/// What a status that is no success means for the job.
fn judge(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> JobError {
    let body = String::from_utf8_lossy(&body[..body.len().min(SHOWN)]);
    let error = format!("the server answered {status}: {}", body.trim());
    let error = error.trim_end_matches([' ', ':']);
    match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            match retry_after(headers) {
                Some(after) => JobError::rate_limited(after),
                None => JobError::retryable(error),
            }
        }
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY => JobError::retryable(error),
        status if status.is_server_error() => JobError::retryable(error),
        _ => JobError::permanent(error),
    }
}

/// Seconds, or a date. A date is compared with the server's own, so that no clock of ours counts.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = |text: &str| httpdate::parse_http_date(text).ok();
    let now = date(headers.get(DATE)?.to_str().ok()?)?;
    date(value)?.duration_since(now).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|&(name, value)| {
            let name = reqwest::header::HeaderName::from_static(name);
            (name, reqwest::header::HeaderValue::from_static(value))
        });
        pairs.collect()
    }

    #[test]
    fn each_status_has_its_class() {
        let retryable = |error: &str| JobError::retryable(error);
        let permanent = |error: &str| JobError::permanent(error);
        let table = [
            (400, permanent("the server answered 400 Bad Request: why")),
            (404, permanent("the server answered 404 Not Found: why")),
            (
                301,
                permanent("the server answered 301 Moved Permanently: why"),
            ),
            (
                408,
                retryable("the server answered 408 Request Timeout: why"),
            ),
            (
                429,
                retryable("the server answered 429 Too Many Requests: why"),
            ),
            (
                500,
                retryable("the server answered 500 Internal Server Error: why"),
            ),
            (
                503,
                retryable("the server answered 503 Service Unavailable: why"),
            ),
        ];
        for (status, error) in table {
            let status = StatusCode::from_u16(status).expect("status");
            assert_eq!(judge(status, &HeaderMap::new(), b"why\n"), error);
        }
    }

    #[test]
    fn a_server_may_say_when_to_come_back() {
        fn after(pairs: &[(&'static str, &'static str)]) -> Option<u64> {
            retry_after(&headers(pairs)).map(|after| after.as_secs())
        }
        let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(after(&[("retry-after", "17")]), Some(17));
        let later = ("retry-after", "Sun, 06 Nov 1994 08:50:37 GMT");
        assert_eq!(after(&[later, date]), Some(60));
        assert_eq!(after(&[later]), None);
        assert_eq!(after(&[("retry-after", "soon"), date]), None);

        let pairs = headers(&[("retry-after", "2")]);
        let limited = JobError::rate_limited(Duration::from_secs(2));
        for status in [
            StatusCode::TOO_MANY_REQUESTS,
            StatusCode::SERVICE_UNAVAILABLE,
        ] {
            assert_eq!(judge(status, &pairs, b""), limited);
        }
    }
}
