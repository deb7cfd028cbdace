//! Listing what waits: page after page through packs, each job once.

use paceline_store::calls::list::{JobFilter, PageRequest};
use paceline_types::{JobId, JobStatus, Priority, Settlement, TaskType};

use crate::{Lanes, ids, without};

/// Waiting jobs by pages of so many.
async fn listed(lanes: &Lanes, filter: &JobFilter, limit: usize) -> Vec<JobId> {
    let mut page = PageRequest::first(limit);
    let mut jobs = Vec::new();
    loop {
        let found = lanes.bench.store.list_jobs(filter, &page).await.unwrap();
        assert!(found.items.len() <= limit);
        jobs.extend(found.items.into_iter().map(|job| job.id));
        match found.next {
            Some(next) => page.cursor = Some(next),
            None => return jobs,
        }
    }
}

async fn assert_listed(lanes: &Lanes, expected: &[JobId]) {
    let filter = JobFilter {
        status: Some(JobStatus::Pending),
        ..JobFilter::default()
    };
    for limit in [1, 7, 99, 100] {
        assert_eq!(listed(lanes, &filter, limit).await, expected, "by {limit}");
    }
}

#[tokio::test]
async fn waiting_jobs_are_listed_once_each_by_pages_of_any_size() {
    let lanes = Lanes::new().await;
    let mut jobs = Vec::new();
    for size in [1, 100, 1, 6, 7, 8, 1, 50] {
        jobs.extend(lanes.pack(size).await);
    }
    assert_listed(&lanes, &jobs).await;
    // The oldest entry runs in part.
    let begun = lanes.claim(31).await;
    assert_listed(&lanes, &jobs[31..]).await;
    // Whole entries and parts of them have left.
    let gone: Vec<_> = (40..120).chain([31, 130, 173]).collect();
    for some in gone.chunks(50) {
        lanes
            .cancel(&some.iter().map(|&at| jobs[at]).collect::<Vec<_>>())
            .await;
    }
    let rest = without(&jobs, &(0..31).chain(gone).collect::<Vec<_>>());
    assert_listed(&lanes, &rest).await;
    lanes.complete(&begun).await;
    assert_eq!(lanes.drain(10).await, rest);
    assert_listed(&lanes, &[]).await;
    lanes.ends().await;
}

#[tokio::test]
async fn jobs_that_came_back_are_listed_where_they_wait() {
    let lanes = Lanes::new().await;
    let jobs = lanes.pack(20).await;
    // Back from a run, while their entry is still the oldest.
    let begun = lanes.claim(5).await;
    lanes.end(&begun[1..4], Settlement::Released).await;
    let mut expected = jobs[5..].to_vec();
    expected.extend(&jobs[1..4]);
    assert_listed(&lanes, &expected).await;
    // Back from a cancellation.
    for place in [5, 12, 19] {
        lanes.cancel(&jobs[place..=place]).await;
        lanes.retry(jobs[place]).await;
    }
    assert_listed(&lanes, &expected).await;
    lanes.cancel(&jobs[12..13]).await;
    expected.retain(|&job| job != jobs[12]);
    assert_listed(&lanes, &expected).await;
    lanes.complete(&begun[..1]).await;
    lanes.complete(&begun[4..]).await;
    assert_eq!(lanes.drain(4).await, expected);
    lanes.ends().await;
}

#[tokio::test]
async fn the_jobs_of_all_lanes_are_listed() {
    let lanes = Lanes::new().await;
    let mut made = Vec::new();
    for (kind, priority) in [("b", 1), ("a", 5), ("b", 10), ("a", 1), ("a", 10)] {
        let mut jobs = lanes.jobs(12);
        for job in &mut jobs {
            job.spec.task_type = TaskType::new(kind).unwrap();
            job.spec.priority = Priority::new(priority);
        }
        made.push((kind, lanes.submit(&jobs).await));
    }
    // Lanes in the order of their names: by tier, then by type.
    let order = [4, 2, 3, 0, 1];
    let begun = lanes.claim(9).await;
    let begun_ids = ids(&begun);
    let of_kind = |wanted: Option<&str>| -> Vec<JobId> {
        let lanes = order.iter().map(|&at| &made[at]);
        let wanted = lanes.filter(|(kind, _)| wanted.is_none_or(|wanted| wanted == *kind));
        let jobs = wanted.flat_map(|(_, jobs)| jobs.iter().copied());
        jobs.filter(|job| !begun_ids.contains(job)).collect()
    };
    assert_listed(&lanes, &of_kind(None)).await;
    for kind in ["a", "b"] {
        let filter = JobFilter {
            task_type: Some(TaskType::new(kind).unwrap()),
            status: Some(JobStatus::Pending),
            ..JobFilter::default()
        };
        for limit in [1, 7, 100] {
            assert_eq!(listed(&lanes, &filter, limit).await, of_kind(Some(kind)));
        }
    }
    // Without a filter: those that run, those that wait, those that ended.
    lanes.complete(&begun[..4]).await;
    let all = listed(&lanes, &JobFilter::default(), 7).await;
    let mut sorted = all.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!((all.len(), sorted.len()), (60, 60));
    lanes.complete(&begun[4..]).await;
    lanes.drain(100).await;
    lanes.ends().await;
}
