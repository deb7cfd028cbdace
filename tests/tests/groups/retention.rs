//! What a group leaves behind: nothing.

use std::time::Duration;

use paceline_tests::{Env, SOON, eventually, feature_test};

use crate::{MOMENT, TYPE, listening, push};

feature_test! {
    /// Contract row 11 with row 106: no key of a group outlives its flush but what tells a push
    /// that comes twice, and that goes by itself.
    async fn an_empty_group_has_no_key(env: Env) {
        let (ride, mut heard) = listening(&env, |node| node).await;
        for n in 0..10 {
            let group = format!("group {n}");
            push(&ride.client, &group, n).await;
            if n % 2 == 0 {
                ride.client.flush_group(&group).await.unwrap();
            } else {
                let last = ride.client.push_raw(&group, TYPE, n.into());
                last.grace(MOMENT).await.unwrap();
            }
        }
        heard.take(10).await;
        let of_groups = async |part: &str| {
            let keys = env.keys().await.into_iter();
            keys.filter(|key| key.contains(part)).collect::<Vec<_>>()
        };
        eventually("the groups are gone", SOON, async || {
            let keys = of_groups("group").await;
            if keys.is_empty() { Ok(()) } else { Err(keys) }
        })
        .await;
        let told = of_groups(":pushes:").await;
        assert!(!told.is_empty() && told.len() <= 2 * usize::from(env.shards()), "{told:?}");
        let mut raw = env.raw().await;
        for key in told {
            let mut command = redis::cmd("PTTL");
            command.arg(&key);
            let left: i64 = command.query_async(&mut raw).await.unwrap();
            let longest = Duration::from_secs(600);
            assert!((1..=longest.as_millis().try_into().unwrap()).contains(&left), "{key}: {left}");
        }
        ride.stop().await;
    }
}
