//! A node that is killed while it runs a task of a workflow.

use paceline_tests::{History, SOON, eventually, open};
use paceline_types::EventKind;
use serde_json::Value;

use crate::Binary;

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_completes_although_the_node_of_its_running_task_is_killed() {
    let binary = Binary::alone().await;
    let victim = binary.node(&["--allow-shell", "--lease", "1s"]).await;
    // The first run waits for a file that never comes, the second one does not.
    binary.file(
        "hit.yaml",
        "name: hit\ntasks:\n\
         - { name: first, task_type: noop }\n\
         - name: hit\n  task_type: shell\n  depends_on: [first]\n  payload:\n    \
           script: 'if [ $PACELINE_ATTEMPT = 1 ]; then exec sleep 600; fi; echo $PACELINE_ATTEMPT'\n\
         - { name: last, task_type: echo, depends_on: [hit], result_from: hit }\n",
    );
    let run = binary.program("run hit.yaml -o json").start();
    let running = async || {
        let jobs = binary
            .json("job list --status running --type shell", &[])
            .await;
        jobs["jobs"].as_array().unwrap().len() == 1
    };
    eventually("its task runs", SOON, running).await;
    let _other = binary.node(&["--allow-shell", "--lease", "1s"]).await;
    victim.kill();
    let end = run.finished(SOON).await;
    assert_eq!(end.code, Some(0), "{}", end.stderr);
    let workflow: Value = serde_json::from_str(&end.stdout).unwrap();
    assert_eq!(workflow["output"]["upstream"], 2);
    assert_eq!(workflow["tasks"][1]["attempt"], 2);

    let store = open(&binary.url, &binary.namespace, 1).await;
    let history = History::read(&store).await;
    let id = workflow["id"].as_str().unwrap().parse().unwrap();
    history.assert_workflows_ended(&[id]);
    assert_eq!(history.count(&EventKind::NodeCrashDetected), 1);
    assert_eq!(history.count(&EventKind::JobAutoRecovered), 1);
    assert_eq!(history.count(&EventKind::LeaderElected), 2);
}
