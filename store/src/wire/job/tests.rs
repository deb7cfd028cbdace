use super::*;
use paceline_types::{FiringRef, LimitKey, ScheduleId, ShardIndex, Tag, UniqueKey};

fn round_trip(
    spec: &JobSpec,
    workflow: Option<&WorkflowRef>,
    upstream: Option<&UpstreamRef>,
) -> JobRecord {
    let mut record = b"1700000000000 ".to_vec();
    record.extend(encode(spec, workflow, upstream));
    JobRecord::parse(&record.into()).expect("record")
}

#[test]
fn a_plain_job_is_its_lane_and_its_payload() {
    let spec = JobSpec::new(
        TaskType::new("a.b").expect("type"),
        Bytes::from_static(b"\n\0x"),
    );
    assert_eq!(encode(&spec, None, None), b"n:a.b: -\n\n\n\0x");
    let record = round_trip(&spec, None, None);
    assert_eq!((record.spec, record.created_at), (spec, 1_700_000_000_000));
}

#[test]
fn everything_that_was_asked_for_reads_back() {
    let mut spec = JobSpec::new(TaskType::new("x").expect("type"), Bytes::from_static(b"{}"));
    spec.priority = Priority::new(9);
    spec.version = Some(Version::new("v2").expect("version"));
    spec.unique_key = Some(UniqueKey::new("order: {17}\u{e9}").expect("key"));
    spec.tags = vec![Tag::new("t1").expect("tag"), Tag::new("u2").expect("tag")];
    spec.headers.insert("trace".into(), "a b\nc".into());
    spec.retry_policy = Some(RetryPolicy {
        max_attempts: 7,
        ..RetryPolicy::default()
    });
    spec.timeout = Some(Duration::from_millis(1_500));
    spec.dlq_after = Some(2);
    spec.retention = Some(Duration::ZERO);
    spec.limits = vec![LimitKey::new("tenant 7").expect("key")];
    spec.schedule_to_start_timeout = Some(Duration::from_secs(60));
    spec.max_duration = Some(Duration::from_secs(3_600));
    spec.heartbeat_timeout = Some(Duration::from_millis(2_500));
    spec.audited = true;
    spec.firing = Some(FiringRef {
        schedule: ScheduleId::new("nightly").expect("id"),
        at: 1_700_000_000_000,
    });
    let place = WorkflowRef {
        workflow: WorkflowId::from_parts(9, ShardIndex(0), 1),
        task: TaskName::new("join").expect("name"),
        iteration: 4,
    };
    let upstream = UpstreamRef {
        many: true,
        sources: vec![
            (
                TaskName::new("a").expect("name"),
                Some(JobId::of_task(place.workflow, 0, 0)),
            ),
            (TaskName::new("b").expect("name"), None),
        ],
        template: true,
        input: true,
        references: vec![
            (
                TaskName::new("c").expect("name"),
                Some(JobId::of_task(place.workflow, 2, 1)),
            ),
            (
                TaskName::new("a").expect("name"),
                Some(JobId::of_task(place.workflow, 0, 0)),
            ),
        ],
    };
    assert_eq!(upstream.jobs().len(), 2, "each job once");
    let record = round_trip(&spec, Some(&place), Some(&upstream));
    assert_eq!(record.spec, spec);
    assert_eq!(record.workflow, Some(place));
    assert_eq!(record.upstream, Some(upstream));
    let followed: Vec<&str> = record.followed.iter().map(AsRef::as_ref).collect();
    assert_eq!(
        followed,
        [
            "uorder%3A%20%7B17%7D%C3%A9",
            "ltenant%207",
            "M3600000",
            "H2500",
            "Fnightly"
        ]
    );
}

#[test]
fn an_item_of_a_batch_reads_back() {
    let spec = JobSpec::new(TaskType::new("x").expect("type"), Bytes::from_static(b"7"));
    let item = ItemRef {
        batch: paceline_types::BatchId::from_parts(9, ShardIndex(0), 1),
        place: 40,
        item: "a b".into(),
        iteration: 1,
    };
    let mut record = b"1700000000000 ".to_vec();
    record.extend(encode_item(&spec, &item, None));
    let record = JobRecord::parse(&record.into()).expect("record");
    assert_eq!((record.spec, record.batch), (spec, Some(item)));
    assert_eq!(record.workflow, None);
}

#[test]
fn the_policy_tells_scripts_what_they_need() {
    let mut spec = JobSpec::new(TaskType::new("x").expect("type"), Bytes::new());
    spec.dlq_after = Some(2);
    spec.retry_policy = Some(RetryPolicy::default());
    spec.unique_key = Some(UniqueKey::new("a b").expect("key"));
    assert_eq!(policy::encode(&spec, None), "a2\u{1f}ua%20b");
}
