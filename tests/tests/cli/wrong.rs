//! Bad input on the command line: one sentence with place and remedy, and the right exit code.

use paceline_tests::{Backend, Env, RedisServer};
use serde_json::{Value, json};

use crate::Binary;
use crate::old_redis::old_redis;

fn task(name: &str, on: &[&str]) -> Value {
    json!({ "name": name, "task_type": "echo", "depends_on": on })
}

fn definition(tasks: &[Value]) -> String {
    json!({ "name": "wrong", "tasks": tasks }).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mistake_of_a_file_is_named_with_its_place_and_its_remedy() {
    let env = Env::on(Backend::Standalone).await;
    let binary = Binary::on(&env.url(), env.namespace());
    let named = |name: &str| definition(&[task("a", &[]), task(name, &[])]);
    let large = json!({ "name": "a", "task_type": "echo", "payload": "x".repeat(300_000) });
    let table = [
        (
            definition(&[json!({ "name": "a", "task_type": "echo", "dependson": [] })]),
            vec![
                "tasks[0].dependson: unknown field `dependson`, expected one of",
                "`depends_on`",
            ],
        ),
        (
            definition(&[json!({ "name": "a", "task_type": 7 })]),
            vec!["tasks[0].task_type: invalid type: integer `7`, expected a string"],
        ),
        (
            definition(&[task("a", &["c"]), task("b", &["a"]), task("c", &["b"])]),
            vec![
                "tasks[0].depends_on: ",
                "in a circle: a → c → b → a; take one of these dependencies out",
            ],
        ),
        (
            definition(&[task("fetch", &[]), task("load", &["fetsh"])]),
            vec!["tasks[1].depends_on[0]: no task is named \"fetsh\"; did you mean \"fetch\"?"],
        ),
        (
            named("a"),
            vec![
                "tasks[1].name: \"a\" is also the name of tasks[0]; give each task a name of its own",
            ],
        ),
        (
            named(""),
            vec!["tasks[1].name: the task name is empty; give it 1 to 128 characters"],
        ),
        (
            named("a{b"),
            vec!["tasks[1].name: the task name `a{b` contains '{'; use letters, digits and any of"],
        ),
        (
            named("a:b"),
            vec!["tasks[1].name: the task name `a:b` contains ':'; use letters, digits and any of"],
        ),
        (
            definition(&[large]),
            vec!["tasks[0].payload: 300002 bytes, at most 262144 are allowed; "],
        ),
        (
            definition(&[]),
            vec!["tasks: the workflow has no tasks; give it at least one"],
        ),
    ];
    for (text, parts) in table {
        binary.file("wrong.json", &text);
        for words in [
            "workflow validate wrong.json",
            "workflow submit wrong.json",
            "run wrong.json",
        ] {
            let sentence = binary.refused(2, words, &[]).await;
            assert!(
                !sentence.contains('\n') && sentence.starts_with("wrong.json"),
                "{sentence}"
            );
            for part in &parts {
                assert!(sentence.contains(part), "{words}: {part}: {sentence}");
            }
        }
    }
    assert_eq!(
        env.keys().await,
        Vec::<String>::new(),
        "it was not even connected"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn all_mistakes_of_a_file_are_told_at_once() {
    let binary = Binary::alone().await;
    let text = definition(&[task("a:", &["nobody"]), task("b", &["b"])]);
    binary.file("wrong.yaml", &text);
    let sentence = binary.refused(2, "workflow validate wrong.yaml", &[]).await;
    let lines: Vec<&str> = sentence.lines().collect();
    assert_eq!(lines[0], "wrong.yaml is not valid, it has 3 mistakes:");
    assert_eq!(lines.len(), 4, "{sentence}");
    let end = binary
        .end("workflow validate wrong.yaml -o json", &[])
        .await;
    assert_eq!(end.code, Some(2));
    let told: Value = serde_json::from_str(&end.stdout).unwrap();
    let paths: Vec<_> = told["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|told| &told["path"])
        .collect();
    assert_eq!(
        paths,
        [
            "tasks[0].name",
            "tasks[0].depends_on[0]",
            "tasks[1].depends_on[0]"
        ]
    );
    let failure: Value = serde_json::from_str(&end.stderr).unwrap();
    assert_eq!(failure["code"], "bad_input");

    for (name, text, part) in [
        ("broken.json", "{\"name\": ", "broken.json: name: EOF"),
        ("broken.yaml", "name: [", "broken.yaml: not YAML: "),
        (
            "twice.yaml",
            "name: a\nname: b\ntasks: []",
            "twice.yaml: not YAML: ",
        ),
    ] {
        binary.file(name, text);
        let sentence = binary.refused(2, "run", &[name]).await;
        assert!(
            sentence.starts_with(part) && !sentence.contains('\n'),
            "{sentence}"
        );
    }
    let sentence = binary.refused(2, "run nowhere.yaml", &[]).await;
    assert!(
        sentence.starts_with("cannot read nowhere.yaml: "),
        "{sentence}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_that_are_wrong_are_refused_and_nothing_is_stored() {
    let env = Env::on(Backend::Standalone).await;
    let binary = Binary::on(&env.url(), env.namespace());
    let large = binary.file("large.json", &json!("x".repeat(300_000)).to_string());
    let large = format!("@{}", large.display());
    for (words, args, parts) in [
        (
            "job submit",
            vec!["", "1"],
            ["the task type is empty", "give it 1 to 128 characters"],
        ),
        (
            "job submit",
            vec!["a:b"],
            ["the task type `a:b` contains ':'", "use letters"],
        ),
        (
            "job submit",
            vec!["a{b"],
            ["the task type `a{b` contains '{'", "use letters"],
        ),
        (
            "job submit echo",
            vec!["{a: 1}"],
            ["PAYLOAD is not JSON", "write it as in"],
        ),
        (
            "job submit echo",
            vec![&*large],
            ["300002 bytes, at most 262144", "submit a reference"],
        ),
        (
            "job submit echo --max-attempts 0",
            vec![],
            ["max_attempts", "must be at least 1"],
        ),
        (
            "job submit echo --tag a:b",
            vec![],
            ["the tag `a:b`", "use letters"],
        ),
        (
            "job submit echo --unique",
            vec![""],
            ["the unique key is empty", "give it 1 to"],
        ),
    ] {
        let sentence = binary.refused(2, words, &args).await;
        for part in parts {
            assert!(sentence.contains(part), "{words} {args:?}: {sentence}");
        }
        assert!(!sentence.contains('\n'), "{sentence}");
    }
    let mut keys = env.keys().await;
    keys.retain(|key| !key.ends_with(":meta"));
    assert_eq!(keys, Vec::<String>::new());
    let bad = Binary::on(&env.url(), "a:b");
    let sentence = bad.refused(2, "job list", &[]).await;
    assert!(
        sentence.starts_with("the namespace `a:b` contains ':'"),
        "{sentence}"
    );
    let end = binary.end("job get wf_1 -o json", &[]).await;
    assert_eq!(end.code, Some(2));
    let told: Value = serde_json::from_str(&end.stderr).unwrap();
    assert_eq!(told["code"], "bad_input");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_cannot_be_used_is_told_with_the_remedy() {
    let locked = RedisServer::options().password("right").start().await;
    let evicting = RedisServer::options()
        .max_memory("64mb", "allkeys-lru")
        .start()
        .await;
    let right = locked.url();
    let (wrong, none) = (
        right.replace("right", "wrong"),
        right.replace(":right@", ""),
    );
    let old = old_redis().await;
    for (url, code, parts) in [
        (
            "http://127.0.0.1/",
            2,
            vec!["unknown scheme `http`", "use redis://"],
        ),
        ("redis://", 2, vec!["names no host", "write it as in"]),
        (
            "redis://h:port/",
            2,
            vec!["the port after host `h`", "1 to 65535"],
        ),
        ("127.0.0.1:6379", 2, vec!["scheme", "use redis://"]),
        (&wrong, 5, vec!["denied", "mend the user and password"]),
        (&none, 5, vec!["denied", "mend the user and password"]),
        (
            &evicting.url(),
            5,
            vec!["allkeys-lru", "CONFIG SET maxmemory-policy noeviction"],
        ),
        (
            &old,
            5,
            vec!["is Redis 6.2.14", "needs Redis 7.0.0", "upgrade it"],
        ),
        (
            "redis://127.0.0.1:1/",
            5,
            vec!["127.0.0.1:1", "check that it is up"],
        ),
    ] {
        let binary = Binary::on(url, "refused");
        for words in ["job submit echo", "node", "events"] {
            let sentence = binary.refused(code, words, &[]).await;
            for part in &parts {
                assert!(sentence.contains(part), "{url} {words}: {part}: {sentence}");
            }
            assert!(
                !sentence.contains('\n') && !sentence.contains("wrong"),
                "{sentence}"
            );
        }
    }
    assert_eq!(locked.keys("*").await, Vec::<String>::new());
    assert_eq!(evicting.keys("*").await, Vec::<String>::new());
}

/// Who reads JSON is told what is missing too, and who took the wrong command which is the right one.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_command_is_told_whole() {
    let env = Env::on(Backend::Standalone).await;
    let binary = Binary::on(&env.url(), env.namespace());
    let end = binary.end("workflow signal -o json", &[]).await;
    let told: Value = serde_json::from_str(end.stderr.trim_end()).unwrap();
    let missing = "the following required arguments were not provided: <ID> <NAME>";
    assert_eq!((end.code, &told["error"]), (Some(2), &json!(missing)));
    binary.file(
        "b.yaml",
        "name: b\nitem_task_type: echo\nitems: [{ id: a }]\n",
    );
    binary.file("w.yaml", "name: w\ntasks: [{ name: a, task_type: echo }]\n");
    for (words, sentence) in [
        (
            "workflow validate b.yaml",
            "b.yaml: this is a batch, not a workflow; see `paceline batch --help`",
        ),
        (
            "batch submit w.yaml",
            "w.yaml: this is a workflow, not a batch; see `paceline workflow --help`",
        ),
    ] {
        assert_eq!(binary.refused(2, words, &[]).await, sentence);
    }
}
