//! Lists of workflows.

use std::collections::BTreeSet;

use futures::TryStreamExt;
use paceline_client::{ListError, WorkflowBuilder};
use paceline_tests::{Env, feature_test};
use paceline_types::{WorkflowId, WorkflowStatus};

use crate::stage::{Stage, What, act, failing, held};
use crate::theatre::ended;

feature_test! {
    async fn workflows_are_listed_by_status_and_page_by_page(env: Env) {
        let (stage, theatre) = Stage::open(&env).await;
        let client = &theatre.client;
        let submit = async |name: &str, step| {
            let workflow = WorkflowBuilder::new(name).task(step);
            client.submit_workflow(workflow, None).await.unwrap()
        };
        let mut ids: Vec<(WorkflowStatus, WorkflowId)> = Vec::new();
        for place in 0..5 {
            let handle = submit(&format!("good {place}"), act("a")).await;
            assert_eq!(ended(&handle).await.status, WorkflowStatus::Completed);
            ids.push((WorkflowStatus::Completed, handle.id()));
        }
        let bad = submit("bad", failing("a")).await;
        ended(&bad).await;
        ids.push((WorkflowStatus::Failed, bad.id()));
        for place in 0..3 {
            let handle = submit(&format!("held {place}"), held("held")).await;
            ids.push((WorkflowStatus::Running, handle.id()));
        }
        stage.saw("held", What::Began, 3).await;

        for status in WorkflowStatus::ALL {
            let listed = client.workflows(Some(status)).stream();
            let listed: Vec<_> = listed.try_collect().await.unwrap();
            let listed: BTreeSet<_> = listed.iter().map(|workflow| workflow.id).collect();
            let expected = ids.iter().filter(|(of, _)| *of == status).map(|(_, id)| *id);
            assert_eq!(listed, expected.collect(), "{status}");
        }
        let mut seen = Vec::new();
        let mut cursor: Option<String> = None;
        for _ in 0..100 {
            let mut list = client.workflows(None).limit(2);
            if let Some(cursor) = cursor {
                list = list.after(cursor);
            }
            let page = list.await.unwrap();
            assert!(page.items.len() <= 2);
            seen.extend(page.items.into_iter().map(|workflow| {
                assert!(workflow.tasks.is_empty() && !workflow.workflow_name.is_empty());
                workflow.id
            }));
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        let all: BTreeSet<_> = ids.iter().map(|(_, id)| *id).collect();
        assert_eq!(seen.len(), all.len(), "none twice");
        assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), all);

        let error = client.workflows(None).after("nonsense").await.unwrap_err();
        assert!(matches!(error, ListError::Cursor(_)), "{error}");
    }
}
