//! `paceline schedule`: files and options, looking, steering, and firings that are told.

use serde_json::json;

use crate::Binary;

const YAML: &str = "
id: nightly
schedule:
  type: CRON
  cron_expr: 30 2 * * *
  timezone: Europe/Berlin
  overlap_policy: SKIP
job:
  task_type: echo
  payload: { n: 1 }
";

/// Contract row 136.
#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_is_applied_looked_at_and_steered() {
    let (binary, _node) = Binary::with_node().await;
    binary.file("nightly.yaml", YAML);
    for status in ["created", "unchanged"] {
        let told = binary.done("schedule apply nightly.yaml", &[]).await;
        assert_eq!(told, format!("nightly is {status}"));
    }
    let shown = binary.done("schedule get nightly", &[]).await;
    for line in [
        "cron 30 2 * * * (Europe/Berlin)",
        "active",
        "SKIP",
        r#"{"n":1}"#,
    ] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    let args = [
        "--every",
        "1h",
        "--overlap",
        "buffer-all",
        "--jitter",
        "5s",
        "--tag",
        "x",
    ];
    let words = "schedule create hourly echo {} --priority 8";
    assert_eq!(binary.done(words, &args).await, "hourly is created");
    let list = binary.done("schedule list", &[]).await;
    assert!(
        list.contains("every 1h0m0s") && list.contains("nightly"),
        "{list}"
    );
    let listed = binary.json("schedule list --limit 1", &[]).await;
    assert_eq!(listed["schedules"].as_array().map(Vec::len), Some(1));
    assert!(listed["next"].is_string());

    assert_eq!(binary.done("schedule run hourly", &[]).await, "1 fired");
    let ran = binary.json("schedule get hourly", &[]).await;
    assert_eq!(ran["fired"], 1);
    let job = ran["last_job_id"].as_str().expect("a job").to_owned();
    let shown = binary.done(&format!("job get {job}"), &[]).await;
    assert!(
        shown.contains("schedule:") && shown.contains("hourly"),
        "{shown}"
    );
    let range = [
        "2020-01-01T00:00:00Z",
        "2020-01-01T02:59:59Z",
        "--overlap",
        "allow-all",
    ];
    let filled = binary.json("schedule backfill hourly", &range).await;
    assert_eq!(
        (&filled["fired"], &filled["firings"]),
        (&json!(3), &json!(3))
    );

    assert_eq!(
        binary.done("schedule pause hourly nightly", &[]).await,
        "hourly is paused\nnightly is paused"
    );
    assert_eq!(
        binary.json("schedule get hourly", &[]).await["status"],
        "paused"
    );
    assert_eq!(
        binary.done("schedule resume hourly", &[]).await,
        "hourly is active"
    );
    assert_eq!(
        binary.done("schedule delete hourly nightly", &[]).await,
        "hourly is deleted\nnightly is deleted"
    );
    let sentence = binary.refused(3, "schedule get hourly", &[]).await;
    assert!(
        sentence.starts_with("there is no schedule `hourly`"),
        "{sentence}"
    );
}

/// Contract row 50: what a change of clocks does is told in words, without asking Redis.
#[tokio::test(flavor = "multi_thread")]
async fn the_next_firings_are_told_with_what_clocks_do_to_them() {
    let binary = Binary::on("redis://127.0.0.1:1/", "nobody");
    let at = |day: &str| {
        [
            "--cron",
            "30 2 * * *",
            "--zone",
            "Europe/Berlin",
            "--starts-at",
            day,
        ]
        .map(str::to_owned)
    };
    let spring = at("2030-03-30T12:00:00Z");
    let spring: Vec<&str> = spring.iter().map(String::as_str).collect();
    let told = binary.done("schedule next -n 2", &spring).await;
    let lines: Vec<_> = told.lines().collect();
    assert!(
        lines[0].starts_with("2030-03-31T03:00:00+02:00  02:30 does not exist"),
        "{told}"
    );
    assert_eq!(lines[1], "2030-04-01T02:30:00+02:00");
    let autumn = at("2030-10-26T12:00:00Z");
    let autumn: Vec<&str> = autumn.iter().map(String::as_str).collect();
    let told = binary.json("schedule next -n 1", &autumn).await;
    assert_eq!(told["firings"][0]["time"], "2030-10-27T02:30:00+02:00");
    let note = told["firings"][0]["note"].as_str().expect("a note");
    assert!(note.contains("comes twice"), "{note}");
    binary.file("nightly.yaml", YAML);
    let told = binary
        .done("schedule next --file nightly.yaml -n 20", &[])
        .await;
    assert_eq!(told.lines().count(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistake_names_its_field() {
    let binary = Binary::alone().await;
    let table: [(&str, &[&str], &str); 7] = [
        (
            "schedule create a echo --cron",
            &["61 * * * *"],
            "schedule.cron_expr",
        ),
        (
            "schedule create a echo --every 1s --zone Mars",
            &[],
            "schedule.timezone",
        ),
        (
            "schedule create a echo --weekly MON,XYZ --at 09:00",
            &[],
            "`XYZ` is not a day",
        ),
        (
            "schedule create a echo --every 1s --at 09:00",
            &[],
            "schedule.at_times",
        ),
        ("schedule create a echo", &[], "nothing says when it fires"),
        ("schedule next", &[], "say which schedule"),
        (
            "schedule create a echo --run-at 2020-01-01T00:00:00Z",
            &[],
            "schedule.run_at: must be in the future",
        ),
    ];
    for (words, args, part) in table {
        let sentence = binary.refused(2, words, args).await;
        assert!(sentence.contains(part), "{words}: {sentence}");
    }
    binary.file(
        "bad.yaml",
        "id: a\nschedule: { type: DAILY }\njob: { task_type: echo }",
    );
    let sentence = binary.refused(2, "schedule apply bad.yaml", &[]).await;
    assert!(
        sentence.starts_with("bad.yaml: schedule.at_times: is missing"),
        "{sentence}"
    );
    binary.file(
        "bad.json",
        r#"{"id":"a","schedule":{"type":"IMMEDIATE"},"job":{"task_type":"t","unique_key":"x"}}"#,
    );
    let sentence = binary.refused(2, "schedule apply bad.json", &[]).await;
    assert!(
        sentence.contains("job.unique_key: is not for the job of a schedule"),
        "{sentence}"
    );
}
