//! The table of reasons: facts in, what stands in the way out.

use std::collections::BTreeMap;

use super::*;
use crate::settings::{Scope, Settings};
use crate::{Bytes, JobSpec, Priority, RetryPolicy, ShardIndex, TaskType, Tier, Version};

const NOW: UnixMillis = 1_000_000;

fn id(number: u64) -> JobId {
    JobId::from_parts(1, ShardIndex(0), number)
}

fn node(name: &str, handlers: &[(&str, &str)]) -> NodeInfo {
    let versions: BTreeMap<_, _> = handlers
        .iter()
        .filter(|(_, version)| !version.is_empty())
        .copied()
        .collect();
    let names: Vec<_> = handlers.iter().map(|(name, _)| name).collect();
    let node_id = NodeId::from_parts(1, ShardIndex(0), u64::from(name.as_bytes()[0]));
    serde_json::from_value(serde_json::json!({
        "node_id": node_id.to_string(),
        "name": name,
        "task_types": names,
        "handler_versions": versions,
        "pool_stats": { "idle_workers": 3, "running_workers": 1, "max_concurrency": 4 },
    }))
    .expect("a node")
}

/// A pending job of type `mail`, alone, with a node that serves it.
fn facts() -> Facts {
    let spec = JobSpec::new(TaskType::new("mail").expect("type"), Bytes::new());
    let job = Job {
        id: id(1),
        task_type: spec.task_type,
        payload: spec.payload,
        status: JobStatus::Pending,
        attempt: 0,
        run: 0,
        crashes: 0,
        consecutive_errors: 0,
        last_error: None,
        result: None,
        progress: None,
        skipped: false,
        cancel_requested: false,
        priority: Priority::default(),
        version: None,
        tags: Vec::new(),
        headers: BTreeMap::new(),
        unique_key: None,
        retry_policy: None,
        timeout: None,
        limits: Vec::new(),
        schedule_to_start_timeout: None,
        max_duration: None,
        heartbeat_timeout: None,
        audited: false,
        firing: None,
        workflow_id: None,
        workflow_task: None,
        batch_id: None,
        batch_item: None,
        batch_role: None,
        node_id: None,
        created_at: 1,
        next_run_at: None,
        started_at: None,
        completed_at: None,
    };
    Facts {
        now: NOW,
        job,
        has_leader: true,
        nodes: vec![node("a", &[("mail", "")])],
        settings: AllSettings::default(),
        tier_paused: false,
        type_paused: false,
        tier_rate: None,
        limits: Vec::new(),
        parked_at: None,
        ahead: Some(0),
        older_lanes: Vec::new(),
    }
}

fn limit(holders: u64, next_token: Option<UnixMillis>) -> LimitFacts {
    LimitFacts {
        key: LimitKey::new("api").expect("key"),
        most: Some(2),
        holders,
        held: vec![(id(7), Some(node("a", &[]).node_id)), (id(8), None)],
        next_token,
        ahead: 3,
    }
}

fn paused_by_settings() -> AllSettings {
    let mut settings = AllSettings::default();
    let paused = Settings {
        paused: Some(true),
        ..Settings::default()
    };
    settings
        .0
        .insert(Scope::handler("mail").expect("scope"), paused);
    settings
}

/// What is told of facts that are changed like this, one sentence each.
fn told(change: impl FnOnce(&mut Facts)) -> Vec<String> {
    let mut facts = facts();
    change(&mut facts);
    let reasons = explain(&facts);
    assert!(!reasons.is_empty());
    reasons.iter().map(|reason| reason.sentence(NOW)).collect()
}

fn is_told(change: impl FnOnce(&mut Facts), sentences: &[&str]) {
    assert_eq!(told(change), sentences);
}

#[test]
fn a_job_that_does_not_wait_says_what_it_does() {
    is_told(
        |it| it.job.status = JobStatus::Completed,
        &["it is completed since it ended"],
    );
    is_told(
        |it| {
            it.job.status = JobStatus::Dead;
            it.job.completed_at = Some(NOW - 65_000);
            it.job.last_error = Some("boom".into());
            it.nodes.clear();
        },
        &["it is dead since it ended 1m5s ago: boom"],
    );
    let running = |it: &mut Facts| {
        it.job.status = JobStatus::Running;
        it.job.node_id = Some(it.nodes[0].node_id);
        it.job.started_at = Some(NOW - 2_000);
        it.job.attempt = 2;
    };
    let id = node("a", &[]).node_id;
    is_told(
        running,
        &[&format!("it runs on a ({id}) for 2s, attempt 2")],
    );
    is_told(
        |it| {
            running(it);
            it.job.cancel_requested = true;
            it.nodes.clear();
            it.has_leader = false;
        },
        &[
            &format!("it runs on {id}, which is not alive any more for 2s, attempt 2"),
            "it was asked to stop, and its handler has not ended yet",
            "its shard has no leader, so nothing that is due is moved",
        ],
    );
}

#[test]
fn a_job_that_waits_for_its_time_says_until_when() {
    is_told(
        |it| {
            it.job.status = JobStatus::Scheduled;
            it.job.next_run_at = Some(NOW + 90_000);
            it.has_leader = false;
        },
        &[
            "it waits for its time: due in 1m30s by the server's clock",
            "its shard has no leader, so nothing that is due is moved",
        ],
    );
    is_told(
        |it| {
            it.job.status = JobStatus::Retrying;
            it.job.next_run_at = Some(NOW + 500);
            it.job.attempt = 2;
            it.job.last_error = Some("boom".into());
            it.job.retry_policy = Some(RetryPolicy {
                max_attempts: 5,
                ..RetryPolicy::default()
            });
        },
        &["attempt 2 of 5 failed, the next comes in 500ms by the server's clock: boom"],
    );
    is_told(
        |it| it.job.status = JobStatus::Paused,
        &["it is paused until somebody resumes it"],
    );
    is_told(
        |it| {
            it.job.status = JobStatus::Paused;
            it.job.next_run_at = Some(NOW + 3_600_000);
            // What will be in its way when its time has come is told as well.
            it.nodes = vec![node("b", &[("other", "")])];
        },
        &[
            "it is paused and goes on in 1h0m0s",
            "no live node serves task type mail",
        ],
    );
}

#[test]
fn steering_by_hand_and_by_settings_is_told() {
    is_told(
        |it| it.tier_paused = true,
        &["tier normal is paused by hand"],
    );
    is_told(
        |it| it.type_paused = true,
        &["task type mail is paused by hand"],
    );
    is_told(
        |it| it.settings = paused_by_settings(),
        &["the settings of its handler pause task type mail"],
    );
    is_told(
        |it| it.tier_rate = Some(NOW + 250),
        &["the rate of tier normal is used up, the next job may begin in 250ms"],
    );
}

/// Contract rows 40 and 41: a type or version that nobody serves waits and is reported.
#[test]
fn a_type_or_version_that_nobody_serves_is_told() {
    is_told(|it| it.nodes.clear(), &["no node is alive"]);
    is_told(
        |it| it.nodes = vec![node("a", &[("mial", ""), ("x.*", "")])],
        &["no live node serves task type mail; mial is served, was that meant?"],
    );
    let version = |it: &mut Facts| it.job.version = Some(Version::new("v3").expect("version"));
    is_told(
        |it| {
            version(it);
            it.nodes = vec![node("a", &[("mail", "v1")]), node("b", &[("*", "v2")])];
        },
        &["no live node serves version v3 of its handler; served: v1, v2"],
    );
    is_told(
        version,
        &["nothing stands in its way: the next claim takes it"],
    );
}

#[test]
fn nodes_that_do_not_claim_it_for_now_are_told() {
    is_told(
        |it| it.nodes[0].draining = true,
        &["the nodes that serve it were told to claim no more: a"],
    );
    let open = |it: &mut Facts, node: usize, until| {
        it.nodes[node].breakers.insert("mail".into(), until);
    };
    is_told(
        |it| {
            it.nodes.push(node("b", &[("mail", "")]));
            open(it, 0, NOW + 9_000);
            open(it, 1, NOW + 4_000);
        },
        &["its handler failed so often that no node calls it; the next try is in 4s"],
    );
    // One node calls it still, and that one is full.
    is_told(
        |it| {
            it.nodes.push(node("b", &[("mail", "")]));
            open(it, 0, NOW + 9_000);
            it.nodes[1].pool_stats.idle_workers = 0;
            it.nodes[1].pool_stats.running_workers = 4;
        },
        &["all slots are taken on 1 node that serves it: 4 of 4 run"],
    );
}

#[test]
fn a_handler_that_is_full_everywhere_is_told() {
    let full = |it: &mut Facts, place: usize| {
        it.nodes[place].full_handlers.insert("mail".into());
    };
    is_told(
        |it| {
            it.nodes.push(node("b", &[("mail", "")]));
            full(it, 0);
            full(it, 1);
        },
        &["its handler runs as many jobs as it may on 2 nodes that serve it"],
    );
    is_told(
        |it| {
            it.nodes.push(node("b", &[("mail", "")]));
            full(it, 0);
        },
        &["nothing stands in its way: the next claim takes it"],
    );
}

#[test]
fn limits_are_told_with_their_holders() {
    let holder = node("a", &[]).node_id;
    let full = format!(
        "limit api is full: 2 at once, held by {} on {holder}, {}, 3 jobs wait before it",
        id(7),
        id(8)
    );
    is_told(|it| it.limits = vec![limit(2, None)], &[&full]);
    is_told(
        |it| {
            it.ahead = None;
            it.limits = vec![limit(1, Some(NOW + 400))];
            it.parked_at = Some(it.limits[0].key.clone());
        },
        &[
            "the rate of limit api is used up, the next job may begin in 400ms, 3 jobs wait before it",
        ],
    );
    is_told(
        |it| {
            it.ahead = None;
            it.limits = vec![limit(1, None)];
            it.parked_at = Some(it.limits[0].key.clone());
        },
        &["it waits for its turn at limit api, 3 jobs wait before it"],
    );
    is_told(
        |it| it.limits = vec![limit(1, Some(NOW))],
        &["nothing stands in its way: the next claim takes it"],
    );
}

#[test]
fn a_queue_is_told_as_far_as_it_is_counted() {
    is_told(
        |it| it.ahead = Some(1),
        &["1 job is ahead of it in its lane"],
    );
    is_told(
        |it| {
            it.ahead = Some(MOST_AHEAD);
            let lanes = ["n:mail:v1", "n:mail:v2", "n:for.others:"];
            it.older_lanes = lanes.iter().filter_map(|name| Lane::parse(name)).collect();
        },
        &[
            "more than 10000 jobs are ahead of it in its lane",
            "2 lanes of its tier with older work may come first",
        ],
    );
    is_told(
        |it| {
            it.ahead = Some(12);
            let few = Settings {
                concurrency: Some(2),
                ..Settings::default()
            };
            it.settings
                .0
                .insert(Scope::handler("mail").expect("scope"), few);
        },
        &[
            "each node runs at most 2 jobs of its handler at once, by its settings",
            "12 jobs are ahead of it in its lane",
        ],
    );
}

#[test]
fn what_blocks_first_comes_first() {
    let sentences = told(|it| {
        it.tier_paused = true;
        it.type_paused = true;
        it.nodes[0].draining = true;
        it.limits = vec![limit(2, None)];
        it.ahead = Some(5);
    });
    let begins = ["tier", "task type", "the nodes", "limit api"];
    assert_eq!(sentences.len(), begins.len());
    for (sentence, begin) in sentences.iter().zip(begins) {
        assert!(sentence.starts_with(begin), "{sentence}");
    }
}

#[test]
fn a_task_names_the_tasks_that_it_waits_for() {
    let name = |text: &str| TaskName::new(text).expect("name");
    let states = [
        ("a", JobStatus::Completed),
        ("b", JobStatus::Running),
        ("c", JobStatus::Pending),
    ];
    let states = states.map(|(task, status)| (name(task), status)).into();
    let reason = dependencies(&name("d"), &[name("a"), name("b"), name("c")], &states);
    let sentence = reason.map(|reason| reason.sentence(NOW));
    assert_eq!(
        sentence.as_deref(),
        Some("task d waits for b (running), c (pending)")
    );
    assert_eq!(dependencies(&name("d"), &[name("a")], &states), None);
}

#[test]
fn reasons_are_written_as_json_with_their_names() {
    let reason = Reason::LimitFull {
        key: LimitKey::new("api").expect("key"),
        most: 1,
        held: vec![(id(7), None)],
        ahead: 2,
    };
    let json = serde_json::to_value(&reason).expect("json");
    let expected = serde_json::json!({
        "reason": "limit_full", "key": "api", "most": 1,
        "held": [[id(7).to_string(), null]], "ahead": 2,
    });
    assert_eq!(json, expected);
    let tier = serde_json::to_value(Reason::TierPaused { tier: Tier::High }).expect("json");
    assert_eq!(tier["tier"], "high");
}
