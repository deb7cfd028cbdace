//! `http`: sends one request.
//!
//! * A status from 200 to 299, or one of `expect_status`, completes the job with the result
//!   `{"status": …, "headers": {…}, "body": …}`; a body that is JSON is JSON there, else text.
//! * 429 and 503 with `Retry-After` are tried again after that time and use no attempt.
//! * 408, 425, 429, 500 and above, and failures of the network, are tried again by the policy.
//! * Any other status fails the job for good, since the same request would get it again.
//! * The body is the payload's `body` (a JSON string as its text, anything else as JSON). With
//!   upstream results (`result_from`) it is the JSON object `{"input": <body>, "upstream": …}`, as a
//!   hook of a workflow `{"input": <body>, "workflow": …}`.

mod answer;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use paceline_types::{JobError, Outcome, duration};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Url};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::payload::{self, Beside, Given, handed_on};

/// How long a request may take, its answer included, unless the payload says otherwise.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Payload of `http`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Http {
    /// `http://` or `https://`.
    url: String,
    /// `GET` unless given, or `POST` when there is a body.
    #[serde(default)]
    method: Option<String>,
    /// Sent in addition to the usual ones.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// Sent with the request.
    #[serde(default)]
    body: Option<Box<RawValue>>,
    /// Longest wait for the whole answer.
    #[serde(default, with = "duration::option")]
    timeout: Option<Duration>,
    /// The statuses that count as success, in place of 200 to 299.
    #[serde(default)]
    expect_status: Vec<u16>,
}

/// The client that all runs of a node share, for the sake of its connections.
#[derive(Debug, Clone)]
pub(super) struct Sender {
    client: Client,
}

impl Sender {
    /// Makes the client.
    ///
    /// # Errors
    /// When the certificates of the system cannot be read.
    pub(super) fn new() -> Result<Sender, reqwest::Error> {
        // Of a whole process; somebody may have chosen before, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let agent = concat!("paceline/", env!("CARGO_PKG_VERSION"));
        let client = Client::builder().user_agent(agent).build()?;
        Ok(Sender { client })
    }

    /// Sends the request of the payload and reads the answer.
    pub(super) async fn run(&self, payload: &[u8], cancelled: impl Future<Output = ()>) -> Outcome {
        let Given { spec, beside } = payload::read::<Http>("http", payload)?;
        let request = spec.request(beside.as_ref())?;
        let limit = spec.timeout.unwrap_or(TIMEOUT);
        let exchange = async {
            let response = self.client.execute(request).await?;
            answer::read(response, &spec.expect_status).await
        };
        tokio::select! {
            ended = tokio::time::timeout(limit, exchange) => {
                ended.unwrap_or(Err(JobError::TimedOut(limit)))
            }
            () = cancelled => Err(JobError::retryable("cancelled before the answer came")),
        }
    }
}

impl Http {
    fn request(&self, beside: Option<&Beside>) -> Result<reqwest::Request, JobError> {
        let wrong = |place: &str, problem: &dyn std::fmt::Display| {
            payload::wrong("http", &format!("`{place}` in the payload: {problem}"))
        };
        let url = Url::parse(&self.url).map_err(|error| wrong("url", &error))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong("url", &"it must begin with http:// or https://"));
        }
        let body = handed_on(self.body.as_deref(), beside);
        let method = match (&self.method, &body) {
            (Some(method), _) => Method::from_bytes(method.to_ascii_uppercase().as_bytes())
                .map_err(|error| wrong("method", &error))?,
            (None, Some(_)) => Method::POST,
            (None, None) => Method::GET,
        };
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let place = format!("headers.{name}");
            let name = HeaderName::try_from(name).map_err(|error| wrong(&place, &error))?;
            let value = HeaderValue::try_from(value).map_err(|error| wrong(&place, &error))?;
            headers.append(name, value);
        }
        if let Some(body) = &body
            && !headers.contains_key(CONTENT_TYPE)
        {
            headers.insert(CONTENT_TYPE, content_type(body));
        }
        let mut request = reqwest::Request::new(method, url);
        *request.headers_mut() = headers;
        *request.body_mut() = body.map(reqwest::Body::from);
        Ok(request)
    }
}

fn content_type(body: &Bytes) -> HeaderValue {
    HeaderValue::from_static(match serde_json::from_slice::<&RawValue>(body) {
        Ok(_) => "application/json",
        Err(_) => "text/plain; charset=utf-8",
    })
}
