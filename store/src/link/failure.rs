//! A failed attempt, and what it means to the caller.

use std::time::Duration;

use redis::RedisError;

use super::retry::{Fault, classify};
use super::wire::Wire;
use super::{Link, StoreError};
use crate::redis_url::Endpoint;
use crate::script::Script;

/// A failed attempt.
pub(super) struct Failure {
    pub(super) fault: Fault,
    pub(super) error: RedisError,
    /// Whether it was sent and may have been carried out.
    pub(super) in_doubt: bool,
    /// Which server it failed at, if it got that far.
    pub(super) server: Option<Endpoint>,
}

impl Failure {
    pub(super) fn before_sending(error: RedisError, server: Option<Endpoint>) -> Self {
        Self {
            fault: classify(&error),
            error,
            in_doubt: false,
            server,
        }
    }

    pub(super) fn after_sending(error: RedisError, wire: &Wire) -> Self {
        let fault = classify(&error);
        Self {
            fault,
            error,
            in_doubt: fault.leaves_doubt(),
            server: Some(wire.endpoint().clone()),
        }
    }
}

impl Link {
    /// The error of a call that is not sent again.
    pub(super) fn refusal(
        &self,
        failure: Failure,
        script: Option<&'static Script>,
        what: String,
    ) -> StoreError {
        let server = self.server(failure.server);
        let mut detail = words(&failure.error);
        match failure.fault {
            Fault::OutOfMemory => StoreError::OutOfMemory { server },
            Fault::Denied => StoreError::Denied {
                server,
                what,
                detail,
            },
            Fault::Mismatch => StoreError::Mismatch {
                server,
                remedy: remedy(detail),
            },
            _ => {
                if let Some(line) = script.and_then(|script| script.line_in(&detail)) {
                    detail = format!("{detail} in the line `{line}`");
                }
                StoreError::Server {
                    server,
                    what,
                    code: failure.error.code().unwrap_or("ERR").to_owned(),
                    detail,
                }
            }
        }
    }

    pub(super) fn server(&self, endpoint: Option<Endpoint>) -> String {
        endpoint.map_or_else(
            || self.inner.address.clone(),
            |endpoint| endpoint.to_string(),
        )
    }

    /// What a failure of something other than a call means to the caller.
    pub(super) fn failed(
        &self,
        error: RedisError,
        server: Option<Endpoint>,
        waited: Duration,
        what: &str,
    ) -> StoreError {
        let failure = Failure::before_sending(error, server);
        if !failure.fault.is_transient() {
            return self.refusal(failure, None, what.to_owned());
        }
        StoreError::Unreachable {
            server: self.server(failure.server),
            waited,
            maybe_stored: false,
            source: failure.error,
        }
    }
}

/// What to write instead, where the error does not say so itself.
fn remedy(detail: String) -> String {
    for (sign, advice) in [
        (
            "UnknownIssuer",
            "name the file of its certificate authority with ca=",
        ),
        (
            "not valid for name",
            "use a host name that its certificate is made out to",
        ),
        (
            "CertificateRequired",
            "it asks for a client certificate, so add cert= and key=",
        ),
    ] {
        if detail.contains(sign) {
            return format!("{advice} ({detail})");
        }
    }
    detail
}

/// The error in the words of Redis: its code and its text.
fn words(error: &RedisError) -> String {
    match (error.code(), error.detail()) {
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        (None, Some(detail)) => detail.to_owned(),
        (Some(code), None) => code.to_owned(),
        (None, None) => error.to_string(),
    }
}
