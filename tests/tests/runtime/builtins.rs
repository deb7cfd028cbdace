//! The built-in task types, where they work as long as a program takes (row 23).

use std::time::Duration;

use paceline_node::builtin::{self, BuiltinOptions};
use paceline_tests::{Env, Gate, SOON, feature_test, story, within};
use paceline_types::EventKind::{JobCompleted, JobEnqueued, JobStarted};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

/// How long they may be silent.
const SILENCE: Duration = Duration::from_millis(700);

/// The address of a server that answers one request, when the gate is open.
async fn slow_server(gate: Gate) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        gate.pass().await;
        let answer = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
        stream.write_all(answer).await.unwrap();
    });
    format!("http://{address}")
}

feature_test! {
    /// Contract row 23: a built-in that works on gives signs of life, and its first attempt completes.
    async fn a_builtin_that_works_is_not_taken_for_hung(env: Env) {
        let options = BuiltinOptions { allow_shell: true };
        let ride = env.ride(|node| builtin::register(node, options).unwrap()).await;
        let gate = Gate::default();
        // Each works several times as long as it may be silent.
        let payloads = [
            ("sleep", json!({ "duration": "2s" })),
            ("shell", json!({ "argv": ["sleep", "2"] })),
            ("http", json!({ "url": slow_server(gate.clone()).await })),
        ];
        let mut handles = Vec::new();
        for (task_type, payload) in payloads {
            let request = ride.client.submit_raw(task_type, payload).heartbeat_timeout(SILENCE);
            handles.push(request.await.unwrap());
        }
        for handle in handles {
            within("the end", SOON, handle.wait()).await.unwrap();
            let events = story(&ride.store, handle.id()).await;
            assert_eq!(events, [JobEnqueued, JobStarted, JobCompleted]);
            // The server answers when the first of them, which sleeps, has ended.
            gate.open();
        }
        ride.stop().await;
    }
}
