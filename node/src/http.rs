//! The node's HTTP listener: `/livez`, `/readyz`, `/metrics`.
//!
//! `/livez` says that the process answers. `/readyz` says whether it can do work: 503 with the
//! reasons while Redis cannot be reached, a lease is lost, or the node stops.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::identity::Seat;
use crate::phase::Phase;

/// How often the exporter tidies its histograms.
const UPKEEP: Duration = Duration::from_secs(5);

/// What the listener tells about.
#[derive(Clone)]
pub(crate) struct Subject {
    pub(crate) seats: Arc<[Arc<Seat>]>,
    pub(crate) phase: watch::Receiver<Phase>,
    pub(crate) exporter: Option<PrometheusHandle>,
}

/// Why no work can be done.
#[derive(Debug, Serialize, PartialEq, Eq)]
struct Reason {
    #[serde(skip_serializing_if = "Option::is_none")]
    shard: Option<u16>,
    reason: String,
}

#[derive(Debug, Serialize, PartialEq, Eq)]
struct Readiness {
    ready: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<Reason>,
}

impl Subject {
    fn readiness(&self) -> Readiness {
        let mut reasons = Vec::new();
        if *self.phase.borrow() > Phase::Running {
            reasons.push(Reason {
                shard: None,
                reason: "the node is stopping".to_owned(),
            });
        }
        for seat in &*self.seats {
            if let Some(reason) = seat.unready() {
                reasons.push(Reason {
                    shard: Some(seat.shard.0),
                    reason,
                });
            }
        }
        Readiness {
            ready: reasons.is_empty(),
            reasons,
        }
    }
}

/// Binds the listener; returns where it listens, which tells the port when none was given.
pub(crate) async fn bind(address: SocketAddr) -> std::io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Serves until the task is aborted.
pub(crate) fn serve(listener: TcpListener, subject: Subject) -> JoinHandle<()> {
    let exporter = subject.exporter.clone();
    let router = Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(subject);
    tokio::spawn(async move {
        let upkeep = async {
            let Some(exporter) = exporter else {
                return std::future::pending().await;
            };
            let mut ticks = tokio::time::interval(UPKEEP);
            loop {
                ticks.tick().await;
                exporter.run_upkeep();
            }
        };
        tokio::select! {
            served = axum::serve(listener, router) => {
                if let Err(error) = served {
                    tracing::error!(%error, "the HTTP listener ended");
                }
            }
            () = upkeep => {}
        }
    })
}

async fn readyz(State(subject): State<Subject>) -> Response {
    let readiness = subject.readiness();
    let status = if readiness.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    // Only text and numbers: it cannot fail to serialise.
    let mut body = serde_json::to_string(&readiness).unwrap_or_default();
    body.push('\n');
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

async fn metrics(State(subject): State<Subject>) -> Response {
    match &subject.exporter {
        Some(exporter) => (
            [(header::CONTENT_TYPE, "text/plain; version=0.0.4")],
            exporter.render(),
        )
            .into_response(),
        None => (
            StatusCode::NOT_FOUND,
            "this process records no metrics: give the node a Prometheus handle\n",
        )
            .into_response(),
    }
}

#[cfg(test)]
mod tests {
    use paceline_types::ShardIndex;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    async fn fetch(address: SocketAddr, path: &str) -> String {
        let mut stream = tokio::net::TcpStream::connect(address)
            .await
            .expect("connect");
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("send");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("answer");
        answer
    }

    #[tokio::test]
    async fn readiness_says_why_not() {
        let seat = Arc::new(Seat::new(ShardIndex(2)));
        seat.set_trouble(Some("Redis is gone".to_owned()));
        let (phase, receiver) = watch::channel(Phase::Running);
        let recorder = crate::telemetry::prometheus()
            .expect("buckets")
            .build_recorder();
        let subject = Subject {
            seats: Arc::new([Arc::clone(&seat)]),
            phase: receiver,
            exporter: Some(recorder.handle()),
        };
        let (listener, address) = bind(SocketAddr::from(([127, 0, 0, 1], 0)))
            .await
            .expect("bind");
        let serving = serve(listener, subject.clone());

        assert!(fetch(address, "/livez").await.starts_with("HTTP/1.1 200"));
        assert!(fetch(address, "/metrics").await.starts_with("HTTP/1.1 200"));
        let answer = fetch(address, "/readyz").await;
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        let body =
            r#"{"ready":false,"reasons":[{"shard":2,"reason":"holds no lease: Redis is gone"}]}"#;
        assert!(answer.contains(body), "{answer}");

        phase.send_replace(Phase::Draining);
        assert_eq!(
            subject.readiness().reasons[0].reason,
            "the node is stopping"
        );
        serving.abort();
    }
}
