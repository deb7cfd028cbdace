//! Tasks that a subflow's handler answered.

use super::*;
use crate::workflow::element_of;

fn list(tasks: &str) -> Vec<TaskDefinition> {
    serde_json::from_str(&format!("[{tasks}]")).expect(tasks)
}

/// Names of tasks.
pub(super) struct Taken(pub(super) &'static [&'static str]);

impl TakenNames for Taken {
    fn has_name(&self, name: &str) -> bool {
        self.0.contains(&name)
    }

    fn element_of(&self, map: &str) -> Option<TaskName> {
        let found = self.0.iter().find(|name| element_of(name) == Some(map))?;
        TaskName::new(found).ok()
    }
}

fn section(tasks: &[TaskDefinition]) -> Result<Plan, Vec<DefinitionError>> {
    let taken = Taken(&["gen", "other", "m#3"]);
    Plan::of_section(tasks, "gen", Priority::new(8), &taken, 1024)
}

fn told(tasks: &str) -> Vec<String> {
    let errors = section(&list(tasks)).expect_err(tasks);
    errors.iter().map(ToString::to_string).collect()
}

/// Row 73, W14.
#[test]
fn a_section_is_planned_as_a_workflow_is() {
    let tasks = list(
        r#"{"name":"a","task_type":"t","depends_on":["gen"]},
           {"name":"b","task_type":"t","depends_on":["gen","a"],"priority":3,
            "payload":"{{tasks.a.output}}"},
           {"name":"map","type":"map","task_type":"t","items":[1],"depends_on":["a"]},
           {"name":"c","type":"condition","task_type":"t","depends_on":["b"],
            "condition_routes":{"0":"a","1":"d"}},
           {"name":"d","task_type":"t"}"#,
    );
    for plan in [
        section(&tasks).expect("plan"),
        Plan::restore_section(&tasks, "gen", Priority::new(8)).expect("plan"),
    ] {
        assert_eq!(plan.dependencies(0), [] as [u32; 0]);
        assert_eq!(plan.dependencies(1), [0]);
        assert_eq!(plan.task(0).priority, Priority::new(8));
        assert_eq!(plan.task(1).priority, Priority::new(3));
        assert_eq!(names(&plan, plan.body(3, 0)), ["a", "b", "c"]);
        assert_eq!(plan.deciders(4), [3]);
        assert_eq!(plan.name(), "");
    }
    assert_eq!(section(&[]).expect("plan").task_count(), 0);
}

/// Row 73.
#[test]
fn names_of_the_instance_are_taken() {
    assert_eq!(
        told(
            r#"{"name":"gen","task_type":"t"},{"name":"other","task_type":"t"},
               {"name":"m#3","task_type":"t"},{"name":"new","task_type":"t"},
               {"name":"","task_type":"t"},{"name":"new","task_type":"t"}"#
        ),
        [
            "tasks[0].name: the workflow has a task \"gen\" already; call it otherwise",
            "tasks[1].name: the workflow has a task \"other\" already; call it otherwise",
            "tasks[2].name: the workflow has a task \"m#3\" already; call it otherwise",
            "tasks[4].name: the task name is empty; give it 1 to 128 characters",
            "tasks[5].name: \"new\" is also the name of tasks[3]; give each task a name of its own",
        ]
    );
}

/// Rows 73 and 89: elements have names as well, as many as there may be of them.
#[test]
fn a_map_must_leave_names_of_the_instance_alone() {
    assert_eq!(
        told(r#"{"name":"m","type":"map","task_type":"t","items":[1]}"#),
        [
            "tasks[0].name: an element of the map \"m\" may be called \"m#3\", and the workflow has a \
          task of that name already; call the map otherwise"
        ]
    );
    assert!(section(&list(r#"{"name":"m","task_type":"t"}"#)).is_ok());
}

#[test]
fn a_section_refers_to_its_own_tasks_alone() {
    let problem = "\"gen\" generated this task, and its result is not at hand here; let it put the \
                   value into the task";
    assert_eq!(
        told(
            r#"{"name":"a","task_type":"t","depends_on":["gen","other"],"result_from":"gen",
                "payload":["{{tasks.gen.output}}"],
                "preconditions":[{"type":"upstream_output","task":"gen"}]},
               {"name":"b","task_type":"t","depends_on":["c"]},
               {"name":"c","task_type":"t","depends_on":["b"]}"#
        ),
        [
            "tasks[0].depends_on[1]: no task is named \"other\"; name a task of this list"
                .to_owned(),
            format!("tasks[0].result_from: {problem}"),
            format!("tasks[0].preconditions[0].task: {problem}"),
            format!("tasks[0].payload[0]: {problem}"),
            "tasks[1].depends_on: tasks wait for each other in a circle: b → c → b; take one of \
             these dependencies out"
                .to_owned(),
        ]
    );
}
