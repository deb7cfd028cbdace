//! Nodes that do only a part (row 102).

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use paceline_client::{Client, Step, WorkflowBuilder};
use paceline_node::{EventKind, Role};
use paceline_tests::{Env, feature_test, log};
use serde_json::json;

use crate::{done, leads_everywhere, options};

feature_test! {
    /// Contract row 102: one node leads and one works, and neither does what the other is for.
    async fn a_cluster_may_split_its_roles(env: Env) {
        let store = env.store().await;
        let client = Client::from_store(store.clone());
        let http = SocketAddr::from(([127, 0, 0, 1], 0));
        let serve = |roles: &[Role]| {
            env.node()
                .roles(roles.iter().copied())
                .http(http)
                .handle_raw("t", options(), async |_, _| Ok(done()))
        };
        let works = serve(&[Role::Worker]).start().await.unwrap();
        let leads = serve(&[Role::Scheduler, Role::Orchestrator]).start().await.unwrap();
        let listens = serve(&[Role::Api]).start().await.unwrap();
        leads_everywhere(&store, &leads).await;
        let later = client.submit_raw("t", json!(1)).delay(Duration::from_millis(10));
        let later = later.await.unwrap();
        assert_eq!(later.output().await.unwrap(), "done");
        let flow = WorkflowBuilder::new("w")
            .task(Step::new("one", "t"))
            .task(Step::new("two", "t").after(["one"]));
        let flow = client.submit_workflow(flow, None).await.unwrap();
        assert_eq!(flow.output::<String>().await.unwrap(), "done");
        let events = log(&store).await.into_iter();
        let began: Vec<_> = events.filter(|event| event.kind == EventKind::JobStarted).collect();
        assert_eq!(began.len(), 3);
        assert!(began.iter().all(|event| event.node_id == Some(works.id())), "{began:?}");
        assert!(works.leads().is_empty() && listens.leads().is_empty());
        assert_eq!((works.http_addr(), leads.http_addr()), (None, None));
        assert!(listens.http_addr().is_some());

        let nodes = client.nodes().await.unwrap();
        let of = |id| nodes.iter().find(|node| node.node_id == id).unwrap();
        let roles = |roles: &[Role]| roles.iter().copied().collect::<BTreeSet<_>>();
        assert_eq!(of(works.id()).roles, roles(&[Role::Worker]));
        assert_eq!(of(leads.id()).roles, roles(&[Role::Scheduler, Role::Orchestrator]));
        assert_eq!(of(works.id()).task_types, ["t"]);
        assert!(of(leads.id()).task_types.is_empty(), "it serves nothing");
        for node in [works, leads, listens] {
            node.stop().await;
        }
    }
}
