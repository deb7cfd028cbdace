//! Payloads and results: handed over as they are, up to a limit.

use paceline_client::{Client, SubmitError};
use paceline_node::Context;
use paceline_tests::{Env, Look, Serve, feature_test, notes, rng};
use paceline_types::{Bytes, DEFAULT_MAX_PAYLOAD, JobStatus, MAX_PAYLOAD_CEILING};
use rand::RngExt;

use crate::{done, options};

fn random_bytes(len: usize) -> Bytes {
    let mut rng = rng("payload");
    (0..len).map(|_| rng.random::<u8>()).collect()
}

feature_test! {
    /// I18, for payloads and results.
    async fn any_bytes_reach_the_handler_and_come_back(env: Env) {
        let (pen, mut seen) = notes();
        let ride = env
            .ride(|it| it.serve("echo", options(), pen, async |pen, run: Context, payload: Bytes| {
                pen.note((run.job_id(), payload.clone()));
                Ok(payload)
            }))
            .await;
        let all: Vec<u8> = (0..=255).collect();
        let payloads = [
            Bytes::new(),
            Bytes::from_static(b"\0"),
            Bytes::from_static(b"\n"),
            Bytes::from_static(b"\n\n {}\r\n\0\n"),
            Bytes::from_static(b"\x1f\x1e\x1f"),
            Bytes::from_static(b"\xff\xfe\xc3\x28"),
            Bytes::from_static(b"a b c - - 1 2\n3"),
            Bytes::from_static("\u{feff}ü".as_bytes()),
            Bytes::from(all),
            random_bytes(100_000),
            random_bytes(DEFAULT_MAX_PAYLOAD),
        ];
        for payload in payloads {
            // With and without options: they share a line of the record.
            for headers in [false, true] {
                let submit = ride.client.submit_bytes("echo", payload.clone());
                let submit = if headers { submit.header("a", "b\n") } else { submit };
                let id = submit.await.unwrap().id();
                assert_eq!(seen.next().await, (id, payload.clone()));
                let record = ride.client.ended(id).await;
                assert_eq!(record.status, JobStatus::Completed);
                assert_eq!(record.payload, payload);
                assert_eq!(record.result, Some(payload.clone()));
            }
        }
        ride.stop().await;
    }

    /// Bad input: a payload over the limit is refused with both numbers, and nothing is stored.
    async fn a_payload_over_the_limit_is_refused(env: Env) {
        let client = env.client().await;
        let before = env.keys().await;
        let error = client
            .submit_bytes("t", vec![b'x'; DEFAULT_MAX_PAYLOAD + 1])
            .await
            .unwrap_err();
        assert!(matches!(error, SubmitError::TooLarge { size: 262_145, limit: 262_144, .. }));
        assert_eq!(
            error.to_string(),
            "the payload of t has 262145 bytes, at most 262144 are allowed; store it elsewhere \
             and submit a reference, or raise max_payload (8 MiB at most)"
        );
        assert_eq!(env.keys().await, before);
        client.submit_bytes("t", vec![b'x'; DEFAULT_MAX_PAYLOAD]).await.unwrap();
    }

    /// The option goes up to 8 MiB, and such a payload is handed over as it is.
    async fn the_limit_can_be_raised_to_eight_mebibytes(env: Env) {
        let (pen, mut seen) = notes();
        let ride = env
            .ride(|node| node.serve("huge", options(), pen, async |pen, _, payload: Bytes| {
                pen.note(payload);
                Ok(done())
            }))
            .await;
        let builder = || {
            Client::builder()
                .url(env.url())
                .namespace(env.namespace())
                .shards(env.shards())
                .max_payload(MAX_PAYLOAD_CEILING)
        };
        let client = builder().connect().await.unwrap();
        let payload = random_bytes(MAX_PAYLOAD_CEILING);
        let handle = client.submit_bytes("huge", payload.clone()).await.unwrap();
        assert!(seen.next().await == payload, "every byte is the same");
        assert_eq!(handle.output().await.unwrap(), "done");
        let longer = client.submit_bytes("huge", vec![0; MAX_PAYLOAD_CEILING + 1]).await;
        assert!(matches!(longer, Err(SubmitError::TooLarge { .. })));
        let error = builder().max_payload(MAX_PAYLOAD_CEILING + 1).connect().await.unwrap_err();
        assert!(error.to_string().contains("choose one from 1 to 8388608"), "{error}");
        ride.stop().await;
    }

    /// A result over the limit is told, and the job is not retried.
    async fn a_result_over_the_limit_ends_the_job(env: Env) {
        let ride = env
            .ride(|node| node.max_payload(1_000).handle_raw("long", options(), async |_, _| {
                Ok(Bytes::from(vec![b'1'; 1_001]))
            }))
            .await;
        let id = ride.client.submit_bytes("long", "").await.unwrap().id();
        let record = ride.client.ended(id).await;
        assert_eq!((record.status, record.attempt), (JobStatus::Dead, 1));
        let error = record.last_error.unwrap();
        assert!(error.contains("the result has 1001 bytes, at most 1000 are allowed"), "{error}");
        ride.stop().await;
    }
}
