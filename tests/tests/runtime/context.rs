//! What a handler is told of its run (row 36).

use paceline_client::{Priority, Step, WorkflowBuilder};
use paceline_node::Context;
use paceline_tests::{Env, Serve, feature_test, notes};
use paceline_types::Version;
use serde_json::json;

use crate::{done, tried};

feature_test! {
    /// Contract row 36: everything that the submitter said, and everything about the run.
    async fn a_handler_knows_its_job_and_run(env: Env) {
        let (pen, mut told) = notes();
        let ride = env
            .ride(|node| node.serve("t", tried(4), pen, async |pen, context: Context, _| {
                pen.note(context);
                Ok(done())
            }))
            .await;
        let job = ride
            .client
            .submit_raw("t", json!(1))
            .priority(Priority::HIGH)
            .version("v2")
            .header("trace", "7")
            .tag("red")
            .tag("blue")
            .await
            .unwrap();
        let context = told.next().await;
        assert_eq!(context.job_id(), job.id());
        assert_eq!((context.run(), context.attempt(), context.max_attempts()), (1, 1, 4));
        assert_eq!(context.node_id(), ride.node.id());
        assert_eq!(context.task_type().as_str(), "t");
        assert_eq!(context.priority(), Priority::HIGH);
        assert_eq!(context.version(), Some(&Version::new("v2").unwrap()));
        assert_eq!(context.headers()["trace"], "7");
        let tags: Vec<_> = context.tags().iter().map(|tag| tag.as_str()).collect();
        assert_eq!(tags, ["red", "blue"]);
        assert!(context.created_at() > 0);
        assert_eq!((context.workflow_id(), context.workflow_task()), (None, None));

        let flow = WorkflowBuilder::new("w").task(Step::new("only", "t"));
        let flow = ride.client.submit_workflow(flow, None).await.unwrap();
        let context = told.next().await;
        assert_eq!(context.workflow_id(), Some(flow.id()));
        assert_eq!(context.workflow_task().unwrap().as_str(), "only");
        assert_eq!((context.version(), context.tags().len()), (None, 0));
        ride.stop().await;
    }
}
