//! Many pushes at once.

use std::collections::HashMap;

use futures::future::join_all;
use paceline_tests::{Env, feature_test, log};
use paceline_types::EventKind;

use crate::{MOMENT, TYPE, listening};

const TASKS: usize = 8;
const OF_EACH: usize = 1_250;

feature_test! {
    /// Contract row 11, trap W13: 10,000 pushes of 8 tasks, by one, by ten and by hundred.
    async fn every_message_of_many_is_in_exactly_one_job(env: Env) {
        let (ride, mut heard) = listening(&env, |node| node).await;
        let pushes = (0..TASKS).map(|task| {
            let client = ride.client.clone();
            tokio::spawn(async move {
                let group = format!("group {}", task % 2);
                let numbers: Vec<String> = (0..OF_EACH)
                    .map(|n| (task * OF_EACH + n).to_string())
                    .collect();
                let size = [1, 10, 100, 250][task / 2];
                let mut jobs = 0;
                for messages in numbers.chunks(size) {
                    let push = client.push_bytes(&group, TYPE, messages.to_vec());
                    jobs += push.grace(MOMENT).await.unwrap().jobs.len();
                }
                jobs
            })
        });
        let made: usize = join_all(pushes).await.into_iter().map(Result::unwrap).sum();
        assert!(made > 0, "some are flushed by their size");
        let mut seen = HashMap::new();
        let mut last_of = HashMap::new();
        let mut jobs = 0;
        while seen.len() < TASKS * OF_EACH {
            let (group, payload) = heard.next().await;
            jobs += 1;
            let numbers: Vec<usize> = serde_json::from_str(&payload).unwrap();
            assert!((1..=100).contains(&numbers.len()), "{}", numbers.len());
            for &number in &numbers {
                assert_eq!(seen.insert(number, jobs), None, "{number} is in two jobs");
                assert_eq!(group, format!("group {}", number / OF_EACH % 2));
            }
            // What one task pushed is in order in each job.
            last_of.clear();
            for number in numbers {
                let before = last_of.insert(number / OF_EACH, number);
                assert!(before.is_none_or(|before| before < number));
            }
        }
        let events = log(&ride.store).await.into_iter();
        let enqueued = events.filter(|event| event.kind == EventKind::JobEnqueued).count();
        assert_eq!(enqueued, jobs);
        ride.stop().await;
        assert!(heard.rest().is_empty());
    }
}
