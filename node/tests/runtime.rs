//! A node in this process against a real Redis: what a handler may come to, and how a node ends.

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use paceline_client::{Client, JobRequest};
use paceline_node::{CancelReason, Context, HandlerOptions, Node, NodeBuilder};
use paceline_types::{Bytes, Job, JobError, JobId, JobStatus, Outcome, RetryPolicy, Task};
use serde::{Deserialize, Serialize};
use support::{LIMIT, Server, eventually, pass};
use tokio::sync::mpsc;

#[derive(Serialize, Deserialize)]
struct Double {
    number: u32,
}

impl Task for Double {
    const TYPE: &'static str = "double";
    type Output = u32;
}

async fn double(_: Context, job: Double) -> Result<u32, JobError> {
    Ok(job.number * 2)
}

fn builder(server: &Server) -> NodeBuilder {
    Node::builder()
        .redis(server.url())
        .lease(Duration::from_secs(2))
}

async fn client(server: &Server) -> Client {
    Client::connect(&server.url()).await.expect("client")
}

async fn ended(client: &Client, id: JobId) -> Job {
    eventually("the end of a job", || async {
        client
            .job(id)
            .await
            .expect("job")
            .filter(|job| job.status.is_terminal())
    })
    .await
}

async fn with_status(client: &Client, id: JobId, status: JobStatus) -> Job {
    eventually(status.as_str(), || async {
        client
            .job(id)
            .await
            .expect("job")
            .filter(|job| job.status == status)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_come_to_what_their_handlers_say() {
    let server = Server::start();
    let hasty = HandlerOptions {
        timeout: Some(Duration::from_millis(50)),
        retry_policy: Some(RetryPolicy::never()),
        ..HandlerOptions::default()
    };
    let once = HandlerOptions {
        retry_policy: Some(RetryPolicy::never()),
        ..HandlerOptions::default()
    };
    let node = builder(&server)
        .drain(3 * LIMIT)
        .max_payload(100)
        .handle(double)
        .handle_raw("slow", hasty, |context: Context, _| async move {
            context.cancelled().await;
            Ok(Bytes::new())
        })
        .handle_raw("fault.*", once, |context: Context, _| async move {
            match context.task_type().as_str() {
                "fault.panic" => panic!("no luck with {}", context.attempt()),
                "fault.long" => Ok(Bytes::from(vec![b'1'; 101])),
                _ => Err(JobError::skip("nothing to do")),
            }
        })
        .start()
        .await
        .expect("node");
    let client = client(&server).await;

    let double = client.submit(Double { number: 21 }).await.expect("submit");
    assert_eq!(double.output().await.expect("output"), 42);

    let null = serde_json::Value::Null;
    let table = [
        ("double", JobStatus::Dead, "the payload is not a double"),
        (
            "slow",
            JobStatus::Dead,
            "handler exceeded its timeout of 50ms",
        ),
        (
            "fault.panic",
            JobStatus::Dead,
            "handler panicked: no luck with 1 at ",
        ),
        ("fault.long", JobStatus::Dead, "the result has 101 bytes"),
        ("fault.none", JobStatus::Completed, ""),
    ];
    for (task_type, status, error) in table {
        let job = client
            .submit_raw(task_type, null.clone())
            .await
            .expect("submit");
        let job = ended(&client, job.id()).await;
        let found = job.last_error.unwrap_or_default();
        assert_eq!(job.status, status, "{task_type}: {found}");
        assert!(found.starts_with(error), "{task_type}: {found}");
    }
    // Nothing runs any more, so there is nothing to wait for.
    tokio::time::timeout(LIMIT, node.stop())
        .await
        .expect("it stops long before its drain is over");
    assert!(client.nodes().await.expect("nodes").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_jobs_run_once_each_within_the_limits_of_their_handler() {
    const JOBS: u32 = 2_000;
    let server = Server::start();
    let (running, most, runs) = (AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0));
    let counts = Arc::new((running, most, runs));
    let options = HandlerOptions {
        concurrency: Some(7),
        ..HandlerOptions::default()
    };
    let node = builder(&server)
        .handle(double)
        .handle_raw("few", options, {
            let counts = Arc::clone(&counts);
            move |_, payload| {
                let counts = Arc::clone(&counts);
                async move {
                    let (running, most, runs) = &*counts;
                    most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    running.fetch_sub(1, Ordering::SeqCst);
                    runs.fetch_add(1, Ordering::SeqCst);
                    Ok(payload)
                }
            }
        })
        .start()
        .await
        .expect("node");
    let client = client(&server).await;
    let mut last = None;
    for number in 0..JOBS {
        let submit = client.submit_raw("few", serde_json::json!(number));
        let other = client.submit(Double { number });
        let (few, double) = tokio::join!(submit.into_future(), other.into_future());
        last = Some(few.expect("submit").id());
        double.expect("submit");
    }
    ended(&client, last.expect("job")).await;
    eventually("all runs", || async {
        (counts.2.load(Ordering::SeqCst) == JOBS).then_some(())
    })
    .await;
    node.stop().await;
    assert!(counts.1.load(Ordering::SeqCst) <= 7);
    assert_eq!(counts.2.load(Ordering::SeqCst), JOBS);
}

/// A handler that says when it starts, and ends only when it is told to.
fn patient(
    started: &mpsc::UnboundedSender<JobId>,
) -> impl Fn(Context, Bytes) -> futures::future::BoxFuture<'static, Outcome> + Send + Sync + 'static
{
    let started = started.clone();
    move |context, _| {
        let started = started.clone();
        Box::pin(async move {
            let _ = started.send(context.job_id());
            context.cancelled().await;
            Err(JobError::retryable(format!(
                "{:?}",
                context.cancel_reason()
            )))
        })
    }
}

async fn next(started: &mut mpsc::UnboundedReceiver<JobId>) -> JobId {
    tokio::time::timeout(LIMIT, started.recv())
        .await
        .expect("a start")
        .expect("a start")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_run_is_told_at_once_and_ends_cancelled() {
    let server = Server::start();
    let (starts, mut started) = mpsc::unbounded_channel();
    let node = builder(&server)
        .handle_raw("wait", HandlerOptions::default(), patient(&starts))
        .start()
        .await
        .expect("node");
    let client = client(&server).await;
    let job = client
        .submit_raw("wait", serde_json::Value::Null)
        .await
        .expect("submit");
    assert_eq!(next(&mut started).await, job.id());
    client.cancel(job.id()).await.expect("cancel");
    assert_eq!(ended(&client, job.id()).await.status, JobStatus::Cancelled);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_stops_hands_back_what_it_has_not_finished() {
    let server = Server::start();
    let (starts, mut started) = mpsc::unbounded_channel();
    let node = builder(&server)
        .drain(Duration::from_millis(50))
        .handle_raw("wait", HandlerOptions::default(), patient(&starts))
        .start()
        .await
        .expect("node");
    let client = client(&server).await;
    let job = client
        .submit_raw("wait", serde_json::Value::Null)
        .await
        .expect("submit");
    next(&mut started).await;
    node.stop().await;
    let job = client.job(job.id()).await.expect("job").expect("job");
    assert_eq!((job.status, job.attempt), (JobStatus::Pending, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flushed_node_comes_back_under_another_id() {
    let server = Server::start();
    let (starts, mut started) = mpsc::unbounded_channel();
    let (reasons, mut told) = mpsc::unbounded_channel();
    let node = builder(&server)
        .handle(double)
        .handle_raw(
            "wait",
            HandlerOptions::default(),
            move |context: Context, _| {
                let (starts, reasons) = (starts.clone(), reasons.clone());
                async move {
                    let _ = starts.send(context.job_id());
                    context.cancelled().await;
                    let _ = reasons.send(context.cancel_reason());
                    Ok(Bytes::new())
                }
            },
        )
        .start()
        .await
        .expect("node");
    let client = client(&server).await;
    client
        .submit_raw("wait", serde_json::Value::Null)
        .await
        .expect("submit");
    next(&mut started).await;
    let before = node.id();
    assert!(server.command("FLUSHALL").is_some());
    let reason = tokio::time::timeout(LIMIT, told.recv())
        .await
        .expect("a reason");
    assert_eq!(reason, Some(Some(CancelReason::Fenced)));
    let job = client.submit(Double { number: 4 }).await.expect("submit");
    assert_eq!(job.output().await.expect("output"), 8);
    assert_ne!(node.id(), before);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leadership_is_handed_over_at_once_when_a_node_stops() {
    let server = Server::start();
    // Longer than anything is waited for: no lease ends.
    let builder = |server| builder(server).leader_lease(3 * LIMIT);
    let first = builder(&server).start().await.expect("node");
    eventually("the first leader", || async {
        (!first.leads().is_empty()).then_some(())
    })
    .await;
    let second = builder(&server)
        .http(SocketAddr::from(([127, 0, 0, 1], 0)))
        .start()
        .await
        .expect("node");
    assert!(second.leads().is_empty());
    let terms = first.leads();
    first.stop().await;
    eventually("the second leader", || async {
        (!second.leads().is_empty()).then_some(())
    })
    .await;
    assert!(second.leads().values().next() > terms.values().next());
    let address = second.http_addr().expect("address");
    let answer = ready(address).await;
    assert!(answer.contains("200 OK"), "{answer}");
    second.stop().await;
}

async fn ready(address: SocketAddr) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(address)
        .await
        .expect("connect");
    let request = b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.expect("send");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answer");
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retries_wait_for_their_time_and_then_succeed() {
    let server = Server::start();
    let options = HandlerOptions {
        retry_policy: Some(RetryPolicy {
            initial_delay: Duration::from_millis(20),
            ..RetryPolicy::default()
        }),
        ..HandlerOptions::default()
    };
    let node = builder(&server)
        .handle_raw("third", options, |context: Context, _| async move {
            if context.attempt() < context.max_attempts() {
                return Err(JobError::retryable("not yet"));
            }
            Ok(Bytes::from_static(b"3"))
        })
        .start()
        .await
        .expect("node");
    let client = client(&server).await;
    let job = client
        .submit_raw("third", serde_json::Value::Null)
        .await
        .expect("submit");
    let job = with_status(&client, job.id(), JobStatus::Completed).await;
    assert_eq!(job.attempt, 3);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_node_asks_little_of_redis() {
    const WINDOW: Duration = Duration::from_secs(4);
    let server = Server::start();
    let node = builder(&server)
        .lease(Duration::from_secs(10))
        .handle(double);
    let node = node.start().await.expect("node");
    eventually("the leader", || async {
        (!node.leads().is_empty()).then_some(())
    })
    .await;
    let (before, begun) = (calls(&server), Instant::now());
    // What is measured is the time in which nothing happens.
    pass(WINDOW).await;
    let asked = calls(&server) - before;
    // A busy machine may make it longer.
    let window = begun.elapsed();
    assert!(
        asked < 5 * window.as_secs(),
        "{asked} commands in {window:?}"
    );
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backlog_is_worked_off_in_large_turns() {
    const JOBS: u32 = 5_000;
    let server = Server::start();
    let client = client(&server).await;
    let jobs: Vec<_> = (0..JOBS)
        .map(|number| JobRequest::of(&Double { number }))
        .collect();
    for result in client.submit_many(jobs).await.expect("submit") {
        result.expect("job");
    }
    let before = calls(&server);
    let done = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&done);
    let node = builder(&server).handle(move |_: Context, job: Double| {
        count.fetch_add(1, Ordering::SeqCst);
        async move { Ok(job.number * 2) }
    });
    let node = node.start().await.expect("node");
    eventually("all jobs", || async {
        (done.load(Ordering::SeqCst) == JOBS).then_some(())
    })
    .await;
    node.stop().await;
    let asked = calls(&server) - before;
    assert!(
        asked < u64::from(JOBS / 20),
        "{asked} commands for {JOBS} jobs"
    );
}

/// Scripts and blocking reads that clients sent; what scripts call is not counted.
fn calls(server: &Server) -> u64 {
    let stats = server.command("INFO commandstats").expect("stats");
    ["cmdstat_evalsha:calls=", "cmdstat_blpop:calls="]
        .iter()
        .filter_map(|name| stats.lines().find_map(|line| line.strip_prefix(name)))
        .filter_map(|rest| rest.split(',').next()?.parse::<u64>().ok())
        .sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_finishes_while_redis_is_silent_is_told_afterwards() {
    let server = Server::start();
    let (starts, mut started) = mpsc::unbounded_channel();
    let (go, gone) = tokio::sync::watch::channel(false);
    let node = builder(&server)
        .lease(Duration::from_secs(30))
        .handle_raw(
            "gated",
            HandlerOptions::default(),
            move |context: Context, payload| {
                let (starts, mut gone) = (starts.clone(), gone.clone());
                async move {
                    let _ = starts.send(context.job_id());
                    let _ = gone.wait_for(|open| *open).await;
                    Ok(payload)
                }
            },
        )
        .start()
        .await
        .expect("node");
    let client = client(&server).await;
    let mut jobs = Vec::new();
    for number in 0..20 {
        let job = client
            .submit_raw("gated", serde_json::json!(number))
            .await
            .expect("submit");
        jobs.push(next(&mut started).await);
        assert_eq!(jobs.last(), Some(&job.id()));
    }
    server.pause();
    go.send_replace(true);
    // Long enough for every call to time out.
    pass(Duration::from_millis(1_500)).await;
    server.resume();
    for job in jobs {
        let job = ended(&client, job).await;
        assert_eq!(
            (job.status, job.attempt, job.run),
            (JobStatus::Completed, 1, 1)
        );
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_cannot_renew_gives_up_its_runs_and_takes_them_again() {
    let server = Server::start();
    let (reasons, mut told) = mpsc::unbounded_channel();
    let (starts, mut started) = mpsc::unbounded_channel();
    let node = builder(&server)
        .lease(Duration::from_secs(1))
        .leader_lease(Duration::from_secs(1))
        .handle_raw(
            "stuck",
            HandlerOptions::default(),
            move |context: Context, payload| {
                let (starts, reasons) = (starts.clone(), reasons.clone());
                async move {
                    let _ = starts.send(context.job_id());
                    if context.run() > 1 {
                        return Ok(payload);
                    }
                    context.cancelled().await;
                    let _ = reasons.send(context.cancel_reason());
                    Ok(Bytes::from_static(b"\"too late\""))
                }
            },
        )
        .start()
        .await
        .expect("node");
    let before = node.id();
    let client = client(&server).await;
    let job = client
        .submit_raw("stuck", serde_json::json!("kept"))
        .await
        .expect("submit");
    next(&mut started).await;
    server.pause();
    let reason = tokio::time::timeout(LIMIT, told.recv())
        .await
        .expect("a reason");
    assert_eq!(reason, Some(Some(CancelReason::Fenced)));
    server.resume();
    let job = ended(&client, job.id()).await;
    assert_eq!(
        (job.status, job.attempt, job.crashes),
        (JobStatus::Completed, 2, 1)
    );
    assert_eq!(job.result.as_deref(), Some(&b"\"kept\""[..]));
    assert_ne!(node.id(), before);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leadership_of_many_shards_spreads_and_all_of_them_work() {
    const SHARDS: u16 = 8;
    const JOBS: u32 = 400;
    let server = Server::start();
    let done = Arc::new(AtomicU32::new(0));
    let start = || {
        let count = Arc::clone(&done);
        let handler = move |_: Context, job: Double| {
            count.fetch_add(1, Ordering::SeqCst);
            async move { Ok(job.number * 2) }
        };
        builder(&server)
            .shards(SHARDS)
            .concurrency(4)
            .handle(handler)
            .start()
    };
    // What both stand for at once they share; where the machine starts one much later than the
    // other, all is taken by then, and another pair is started.
    let (first, second) = eventually("two nodes that stand at once", || async {
        let (first, second) = tokio::join!(start(), start());
        let (first, second) = (first.expect("node"), second.expect("node"));
        let leads = || first.leads().len() + second.leads().len();
        eventually("all leaders", || async {
            (leads() == usize::from(SHARDS)).then_some(())
        })
        .await;
        if first.leads().is_empty() || second.leads().is_empty() {
            tokio::join!(first.stop(), second.stop());
            return None;
        }
        Some((first, second))
    })
    .await;

    let client = client(&server).await;
    let jobs: Vec<_> = (0..JOBS)
        .map(|number| JobRequest::of(&Double { number }))
        .collect();
    for result in client.submit_many(jobs).await.expect("submit") {
        result.expect("job");
    }
    eventually("all jobs", || async {
        (done.load(Ordering::SeqCst) == JOBS).then_some(())
    })
    .await;
    tokio::join!(first.stop(), second.stop());
    assert_eq!(done.load(Ordering::SeqCst), JOBS);
}
