//! Schedules that a program names (row 62).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use paceline_client::{Client, JobRequest, Schedule};
use paceline_tests::{Env, SOON, eventually, feature_test};
use paceline_types::ScheduleDefinition;
use serde_json::json;

use crate::{HOUR, definition};

/// What the provider says next.
#[derive(Clone, Default)]
struct Answers(Arc<Mutex<(Says, usize)>>);

#[derive(Clone, Default)]
enum Says {
    #[default]
    Nothing,
    Names(Vec<ScheduleDefinition>),
    Fails,
    Panics,
}

impl Answers {
    fn say(&self, says: Says) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *state = (says, 0);
    }

    /// Answers since it was told what to say.
    fn given(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1
    }

    async fn answer(self) -> Result<Vec<ScheduleDefinition>, String> {
        let says = {
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            state.1 += 1;
            state.0.clone()
        };
        match says {
            Says::Nothing => Ok(Vec::new()),
            Says::Names(definitions) => Ok(definitions),
            Says::Fails => Err("not now".to_owned()),
            Says::Panics => panic!("a provider of a test"),
        }
    }
}

fn hourly(name: &str, hours: u64) -> ScheduleDefinition {
    definition(name, Schedule::every(Duration::from_millis(hours * HOUR)))
}

async fn names(client: &Client) -> Vec<String> {
    let page = client.schedules().limit(100).await.expect("a page");
    let mut names: Vec<_> = page.items.iter().map(|info| info.id.to_string()).collect();
    names.sort();
    names
}

async fn are(client: &Client, wanted: &[&str]) {
    eventually("the schedules are those that are named", SOON, async || {
        let found = names(client).await;
        if found == wanted { Ok(()) } else { Err(found) }
    })
    .await;
}

feature_test! {
    /// Contract row 62: adds, changes, removes what it made, and keeps the last set on errors.
    async fn a_provider_names_the_schedules_that_there_are(env: Env) {
        let client = env.client().await;
        client
            .schedule("own", hourly("own", 1).schedule, JobRequest::raw("t", json!(1)))
            .await
            .expect("stored");
        let answers = Answers::default();
        answers.say(Says::Names(vec![hourly("a", 1), hourly("b", 1), hourly("own", 5)]));
        let (one, two) = (answers.clone(), answers.clone());
        let period = Duration::from_millis(100);
        // Two nodes have it, and the one that leads asks.
        let first = env.node().period(period).periodic("tenants", move || one.clone().answer());
        let second = env.node().period(period).periodic("tenants", move || two.clone().answer());
        let nodes = [first.start().await.unwrap(), second.start().await.unwrap()];
        are(&client, &["a", "b", "own"]).await;
        let own = client.schedule_info("own").await.unwrap();
        assert_eq!(own.definition.schedule, hourly("own", 1).schedule, "not its own");
        let a = client.schedule_info("a").await.unwrap();
        assert_eq!(a.definition.provider.as_ref().unwrap().as_str(), "tenants");

        answers.say(Says::Names(vec![hourly("a", 2), hourly("c", 1)]));
        are(&client, &["a", "c", "own"]).await;
        let changed = client.schedule_info("a").await.unwrap();
        assert_eq!(changed.definition.schedule, hourly("a", 2).schedule);
        for bad in [Says::Fails, Says::Panics] {
            answers.say(bad);
            eventually("it was asked twice", SOON, async || answers.given() >= 2).await;
            assert_eq!(names(&client).await, ["a", "c", "own"]);
        }
        let kept = client.schedule_info("a").await.unwrap();
        assert_eq!(kept.revision, changed.revision, "what is the same is left alone");
        answers.say(Says::Nothing);
        are(&client, &["own"]).await;
        for node in nodes {
            node.stop().await;
        }
    }
}
