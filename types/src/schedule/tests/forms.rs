//! JSON in both directions, and the sentence of every mistake.

use super::super::*;
use super::random::millis;

const NOW: &str = "2026-05-01T00:00:00Z";

fn read(text: &str) -> Schedule {
    Schedule::from_json(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Contract row 50: JSON that was written for the predecessor.
#[test]
fn schedules_of_the_reference_read_and_write() {
    let table = [
        (r#"{"type":"IMMEDIATE"}"#, Schedule::immediate()),
        (
            r#"{"type":"ONE_TIME","run_at":"2026-06-01T09:00:00Z"}"#,
            Schedule::one_time(millis("2026-06-01T09:00:00Z")),
        ),
        (
            r#"{"type":"DURATION","interval":"1m30s","starts_at":"2026-06-01T09:00:00.250Z","ends_at":"2027-01-01T00:00:00Z","overlap_policy":"BUFFER_ONE","catchup_window":"1h0m0s","max_backfill_per_tick":5,"jitter":"30s"}"#,
            Schedule::every(Duration::from_secs(90))
                .with_starts_at(millis("2026-06-01T09:00:00.250Z"))
                .with_ends_at(millis("2027-01-01T00:00:00Z"))
                .with_overlap_policy(OverlapPolicy::BufferOne)
                .with_catchup_window(Duration::from_secs(3_600))
                .with_max_backfill_per_tick(5)
                .with_jitter(Duration::from_secs(30)),
        ),
        (
            r#"{"type":"CRON","cron_expr":"0 9 * * MON-FRI","timezone":"Europe/Berlin"}"#,
            Schedule::cron("0 9 * * MON-FRI")
                .expect("cron")
                .with_timezone("Europe/Berlin".parse().expect("zone")),
        ),
        (
            r#"{"type":"DAILY","regular_interval":2,"at_times":[{"hour":9,"minute":0,"second":0},{"hour":17,"minute":30,"second":15}]}"#,
            Schedule::daily(
                2,
                [AtTime::new(9, 0), "17:30:15".parse().expect("time of day")],
            ),
        ),
        (
            r#"{"type":"WEEKLY","regular_interval":1,"at_times":[{"hour":9,"minute":0,"second":0}],"included_days":[0,6]}"#,
            Schedule::weekly(1, [6, 0], [AtTime::new(9, 0)]),
        ),
        (
            r#"{"type":"MONTHLY","regular_interval":3,"at_times":[{"hour":0,"minute":5,"second":0}],"included_days":[1,31],"overlap_policy":"REPLACE"}"#,
            Schedule::monthly(3, [1, 31], [AtTime::new(0, 5)])
                .with_overlap_policy(OverlapPolicy::Replace),
        ),
    ];
    for (text, schedule) in table {
        assert_eq!(read(text), schedule, "{text}");
        assert_eq!(serde_json::to_string(&schedule).expect("json"), text);
        let whole: Schedule = serde_json::from_str(text).expect(text);
        assert_eq!(whole, schedule);
        assert_eq!(schedule.check(millis(NOW)), [], "{text}");
    }
}

/// Other spellings of the same.
#[test]
fn numbers_offsets_and_defaults_are_read() {
    let at = millis("2026-06-01T09:00:00Z");
    for text in [
        r#"{"type":"ONE_TIME","run_at":"2026-06-01T11:00:00+02:00"}"#,
        &format!(r#"{{"type":"ONE_TIME","run_at":{at},"timezone":"","starts_at":null}}"#),
    ] {
        assert_eq!(read(text), Schedule::one_time(at));
    }
    let nanoseconds = read(r#"{"type":"DURATION","interval":90000000000}"#);
    assert_eq!(nanoseconds, Schedule::every(Duration::from_secs(90)));
    let daily = read(r#"{"type":"DAILY","at_times":[{"hour":9}]}"#);
    assert_eq!(daily, Schedule::daily(1, [AtTime::new(9, 0)]));
    for policy in ["ALLOW_ALL", "SKIP", "BUFFER_ONE", "BUFFER_ALL", "REPLACE"] {
        let text = format!(r#"{{"type":"CRON","cron_expr":"@daily","overlap_policy":"{policy}"}}"#);
        assert_eq!(read(&text).overlap_policy.to_string(), policy);
    }
}

/// What no schedule can hold is refused while it is read, with its place.
#[test]
fn what_is_no_schedule_names_the_field_and_the_remedy() {
    let table = [
        ("{}", "schedule is wrong: missing field `type`"),
        (
            r#"{"type":"HOURLY"}"#,
            "schedule.type is wrong: unknown variant `HOURLY`, expected one of `IMMEDIATE`, \
             `ONE_TIME`, `DURATION`, `CRON`, `DAILY`, `WEEKLY`, `MONTHLY`",
        ),
        (
            r#"{"type":"CRON","cron_expr":"@daily","time_zone":"UTC"}"#,
            "schedule.time_zone is wrong: unknown field `time_zone`",
        ),
        (
            r#"{"type":"ONE_TIME"}"#,
            "schedule.run_at is missing; a schedule of type ONE_TIME needs the time of its firing",
        ),
        (
            r#"{"type":"ONE_TIME","run_at":"tomorrow"}"#,
            "schedule.run_at is wrong: `tomorrow` is not a time; write it such as \
             2030-01-31T09:00:00Z or 2030-01-31T09:00:00+02:00",
        ),
        (
            r#"{"type":"ONE_TIME","run_at":-5}"#,
            "schedule.run_at is wrong: a time must not be before 1970",
        ),
        (
            r#"{"type":"ONE_TIME","run_at":true}"#,
            "schedule.run_at is wrong: invalid type: boolean `true`, expected a time such as",
        ),
        (
            r#"{"type":"DURATION"}"#,
            "schedule.interval is missing; a schedule of type DURATION needs a duration such as 30s",
        ),
        (
            r#"{"type":"DURATION","interval":"5"}"#,
            "schedule.interval is wrong: `5` is not a duration",
        ),
        (
            r#"{"type":"DURATION","interval":-5}"#,
            "schedule.interval is wrong: a duration must not be negative",
        ),
        (
            r#"{"type":"CRON"}"#,
            "schedule.cron_expr is missing; a schedule of type CRON needs an expression such as",
        ),
        (
            r#"{"type":"CRON","cron_expr":"0 9 * *"}"#,
            "schedule.cron_expr is wrong: cron expression `0 9 * *`: must have five fields",
        ),
        (
            r#"{"type":"CRON","cron_expr":"@daily","interval":"1s"}"#,
            "schedule.interval is not a field of a schedule of type CRON; remove it",
        ),
        (
            r#"{"type":"DAILY"}"#,
            "schedule.at_times is missing; a schedule of type DAILY needs at least one time of day",
        ),
        (
            r#"{"type":"WEEKLY","at_times":[{"hour":9}]}"#,
            "schedule.included_days is missing; a schedule of type WEEKLY needs days of the week, \
             0 (Sunday) to 6",
        ),
        (
            r#"{"type":"WEEKLY","included_days":[1,-1],"at_times":[{"hour":9}]}"#,
            "schedule.included_days[1] is wrong: invalid value: integer `-1`",
        ),
        (
            r#"{"type":"DAILY","at_times":[{"hour":9},{"hours":9}]}"#,
            "schedule.at_times[1].hours is wrong: unknown field `hours`",
        ),
        (
            r#"{"type":"DAILY","at_times":[{"hour":9}],"included_days":[1]}"#,
            "schedule.included_days is not a field of a schedule of type DAILY; remove it",
        ),
        (
            r#"{"type":"IMMEDIATE","overlap_policy":"QUEUE"}"#,
            "schedule.overlap_policy is wrong: unknown variant `QUEUE`",
        ),
        (
            r#"{"type":"IMMEDIATE","timezone":"Europe/Berlni"}"#,
            "schedule.timezone is wrong: `Europe/Berlni` is not a known time zone; did you mean \
             `Europe/Berlin`?",
        ),
        (
            r#"{"type":"CRON","cron_expr":"@daily","max_backfill_per_tick":-1}"#,
            "schedule.max_backfill_per_tick is wrong: invalid value: integer `-1`",
        ),
        (
            r#"{"type":"CRON","cron_expr":"@daily","jitter":-1}"#,
            "schedule.jitter is wrong: a duration must not be negative",
        ),
        (
            r#"{"type":"CRON","cron_expr":"@daily","catchup_window":"soon"}"#,
            "schedule.catchup_window is wrong: `soon` is not a duration",
        ),
        ("7", "schedule is wrong: invalid type: integer `7`"),
        (
            r#"{"type":"IMMEDIATE"} x"#,
            "schedule is wrong: trailing characters",
        ),
    ];
    for (text, sentence) in table {
        let error = Schedule::from_json(text).expect_err(text).to_string();
        assert!(error.starts_with(sentence), "{text}\n{error}\n{sentence}");
        let whole = serde_json::from_str::<Schedule>(text);
        assert!(whole.is_err(), "{text}");
    }
}

/// Every rule that a schedule must meet, each with its path: those of the reference and ours.
#[test]
fn every_rule_has_its_sentence() {
    let daily = |at: &[AtTime]| Schedule::daily(1, at.iter().copied());
    let nine = AtTime::new(9, 0);
    let late = AtTime {
        hour: 24,
        minute: 60,
        second: 61,
    };
    let now = millis(NOW);
    let day = 24 * 3_600_000;
    let policies = |schedule: Schedule| {
        schedule
            .with_overlap_policy(OverlapPolicy::Skip)
            .with_catchup_window(Duration::from_secs(1))
            .with_max_backfill_per_tick(3)
            .with_jitter(Duration::from_secs(1))
    };
    let second = Schedule::every(Duration::from_secs(1));
    let many: Vec<_> = (0..1_441)
        .map(|n| AtTime::new(n / 60 % 24, n % 60))
        .collect();
    let table: Vec<(Schedule, Vec<&str>)> = vec![
        (
            Schedule::one_time(now),
            vec!["schedule.run_at must be in the future, not 2026-05-01T00:00:00Z"],
        ),
        (
            second.clone().with_ends_at(now - 1),
            vec!["schedule.ends_at must be in the future, not 2026-04-30T23:59:59.999Z"],
        ),
        (
            second
                .clone()
                .with_starts_at(now + 2 * day)
                .with_ends_at(now + day),
            vec!["schedule.starts_at must not be after ends_at, which is 2026-05-02T00:00:00Z"],
        ),
        (
            Schedule::one_time(now + day).with_starts_at(now + 2 * day),
            vec!["schedule.starts_at must not be after run_at, which is 2026-05-02T00:00:00Z"],
        ),
        (
            second.clone().with_starts_at(u64::MAX),
            vec!["schedule.starts_at must be before the year 10000"],
        ),
        (
            Schedule::immediate().with_starts_at(now + day),
            vec![
                "schedule.starts_at must not be in the future, as IMMEDIATE fires at once; use \
                 ONE_TIME with run_at",
            ],
        ),
        (
            Schedule::every(Duration::ZERO),
            vec!["schedule.interval must be at least 100ms, not 0s"],
        ),
        (
            Schedule::every(Duration::from_millis(99)),
            vec!["schedule.interval must be at least 100ms, not 99ms"],
        ),
        (
            Schedule::every(Duration::from_micros(100_500)),
            vec!["schedule.interval must be whole milliseconds, not 100.5ms"],
        ),
        (
            Schedule::daily(0, []),
            vec![
                "schedule.regular_interval must be at least 1, not 0",
                "schedule.at_times must have at least one time of day",
            ],
        ),
        (
            daily(&[nine, late]),
            vec![
                "schedule.at_times[1].hour must be 0 to 23, not 24",
                "schedule.at_times[1].minute must be 0 to 59, not 60",
                "schedule.at_times[1].second must be 0 to 59, not 61",
            ],
        ),
        (
            daily(&[nine, AtTime::new(8, 0), nine]),
            vec!["schedule.at_times[2] is 09:00 as at_times[0] is; remove one of them"],
        ),
        (
            daily(&many),
            vec!["schedule.at_times must have at most 1440 times, not 1441"],
        ),
        (
            Schedule::weekly(0, [], []),
            vec![
                "schedule.regular_interval must be at least 1, not 0",
                "schedule.included_days must name at least one day of the week, 0 (Sunday) to 6 \
                 (Saturday)",
                "schedule.at_times must have at least one time of day",
            ],
        ),
        (
            Schedule::weekly(1, [3, 7], [nine]),
            vec![
                "schedule.included_days must be days of the week, 0 (Sunday) to 6 (Saturday), \
                 not 7",
            ],
        ),
        (
            Schedule::monthly(1, [0, 15, 32], [nine]),
            vec![
                "schedule.included_days must be days of the month, 1 to 31, not 0",
                "schedule.included_days must be days of the month, 1 to 31, not 32",
            ],
        ),
        (
            policies(Schedule::immediate()),
            vec![
                "schedule.overlap_policy is only for schedules that recur, not for IMMEDIATE; \
                 remove it",
                "schedule.catchup_window is only for schedules that recur, not for IMMEDIATE; \
                 remove it",
                "schedule.max_backfill_per_tick is only for schedules that recur, not for \
                 IMMEDIATE; remove it",
                "schedule.jitter is only for schedules that recur, not for IMMEDIATE; remove it",
            ],
        ),
        (policies(Schedule::cron("@daily").expect("cron")), vec![]),
        (
            second.clone().with_max_backfill_per_tick(0),
            vec!["schedule.max_backfill_per_tick must be at least 1, not 0"],
        ),
        (
            Schedule::cron("0 0 30 2 *").expect("cron"),
            vec![
                "schedule.cron_expr `0 0 30 2 *` never fires: no such day comes from the start to \
                 the end of 2100",
            ],
        ),
        (
            Schedule::monthly(12, [30], [nine]).with_starts_at(millis("2026-02-01T00:00:00Z")),
            vec![
                "schedule.included_days never fires: no such day comes from the start to the end \
                 of 2100",
            ],
        ),
        (
            Schedule::daily(u32::MAX, [nine]).with_starts_at(1),
            vec![
                "schedule.regular_interval never fires: no such day comes from the start to the \
                 end of 2100",
            ],
        ),
        (
            Schedule::cron("0 0 1 1 *")
                .expect("cron")
                .with_ends_at(now + day),
            vec![
                "schedule.ends_at is 2026-05-02T00:00:00Z, before the first firing, which would \
                 be at 2027-01-01T00:00:00Z",
            ],
        ),
        (second.with_starts_at(1), vec![]),
    ];
    for (schedule, sentences) in table {
        let found: Vec<_> = schedule
            .check(now)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(found, sentences, "{schedule:?}");
    }
}

/// Where in the expression it is wrong, and what to write.
#[test]
fn a_wrong_expression_says_where() {
    let numbers = "is not understood; use numbers";
    let table: [(&str, String); 21] = [
        ("", "must have five fields (minute, hour, day of month, month, day of week), not 0".into()),
        ("0 9 * *", "must have five fields (minute, hour, day of month, month, day of week), not 4".into()),
        (
            "0 0 9 * * MON",
            "must have five fields (minute, hour, day of month, month, day of week), not 6; a field \
             for seconds is not accepted".into(),
        ),
        (
            "CRON_TZ=Asia/Tokyo 0 6 * * *",
            "must have five fields (minute, hour, day of month, month, day of week), not 6; a time \
             zone does not stand in it but in the schedule's `timezone`".into(),
        ),
        ("60 * * * *", "field 1 (minute): `60` must be 0 to 59".into()),
        ("0 24 * * *", "field 2 (hour): `24` must be 0 to 23".into()),
        ("0 0 0 * *", "field 3 (day of month): `0` must be 1 to 31".into()),
        ("0 0 * 13 *", "field 4 (month): `13` must be 1 to 12".into()),
        ("0 0 * * 8", "field 5 (day of week): `8` must be 0 to 7".into()),
        ("0 0 * * 99999999999", "field 5 (day of week): `99999999999` must be 0 to 7".into()),
        ("0 0 * MAI *", format!("field 4 (month): `MAI` {numbers} 1 to 12 or JAN to DEC")),
        ("0 0 L * *", format!("field 3 (day of month): `L` {numbers} 1 to 31, ranges")),
        ("0 0 * * 1#2", format!("field 5 (day of week): `1#2` {numbers} 0 to 7 or SUN to SAT")),
        ("1,,2 * * * *", format!("field 1 (minute): `` {numbers} 0 to 59")),
        ("5- * * * *", format!("field 1 (minute): `5-` {numbers} 0 to 59")),
        ("*/0 * * * *", "field 1 (minute): the step of `*/0` must be a whole number from 1 on".into()),
        ("1/x * * * *", "field 1 (minute): the step of `1/x` must be a whole number from 1 on".into()),
        (
            "0 22-2 * * *",
            "field 2 (hour): the range `22-2` must not go backwards; write two ranges, divided by \
             a comma".into(),
        ),
        ("@dayly", "is not a known descriptor; use one of @yearly, @annually, @monthly".into()),
        ("@every 5", "`5` is not a duration".into()),
        ("@every 10ms", "must be at least 100ms, not 10ms".into()),
    ];
    for (expr, problem) in table {
        let error = expr.parse::<CronExpr>().expect_err(expr).to_string();
        let sentence = format!("cron expression `{expr}`: {problem}");
        assert!(error.starts_with(&sentence), "{error}\n{sentence}");
    }
    let long = "1,".repeat(600) + "1 * * * *";
    let error = long.parse::<CronExpr>().expect_err("long").to_string();
    assert!(
        error.ends_with("must have at most 1000 characters"),
        "{error}"
    );
    let error = "\u{1b}[2J".parse::<CronExpr>().expect_err("control");
    assert!(error.to_string().contains(r"\u{1b}"), "{error}");
}

/// Spellings that mean the same, and such as do not: what an upsert compares.
#[test]
fn the_same_moments_are_recognised_however_they_are_written() {
    let same = [
        ("@hourly", "0 * * * *"),
        ("@daily", "@midnight"),
        ("@yearly", "0 0 1 JAN *"),
        ("@annually", "0 0 1 1 *"),
        ("@monthly", "0 0 1 * ?"),
        ("@weekly", "0 0 * * 7"),
        ("0 0 * * SUN", "0 0 * * 0"),
        ("0 0 * * FRI-SUN", "0 0 * * 0,5,6"),
        ("0 0 * * 5-7", "0 0 * * sun,fri,sat"),
        ("5/20 * * * *", "5,25,45 * * * *"),
        ("0 9-17/4 * * *", "0 9,13,17 * * *"),
        ("0  0 * *  *", "0 0 * * *"),
        ("@every 60s", "@every 1m"),
    ];
    let cron = |expr: &str| Schedule::cron(expr).expect(expr);
    for (one, other) in same {
        assert!(cron(one).same_times(&cron(other)), "{one} and {other}");
    }
    assert!(!cron("0 0 13 * 5").same_times(&cron("0 0 */13 * 5")));
    assert!(!cron("@every 1m").same_times(&cron("* * * * *")));
    let minutely = Schedule::every(Duration::from_secs(60));
    assert!(cron("@every 1m").same_times(&minutely));
    let zone: Zone = "Asia/Tokyo".parse().expect("zone");
    assert!(minutely.same_times(&minutely.clone().with_timezone(zone)));
    assert!(!cron("@daily").same_times(&cron("@daily").with_timezone(zone)));
    assert!(!minutely.same_times(&minutely.clone().with_starts_at(5)));
    assert!(!minutely.same_times(&minutely.clone().with_ends_at(5)));
    let policies = minutely.clone().with_jitter(Duration::from_secs(5));
    assert!(minutely.same_times(&policies.with_overlap_policy(OverlapPolicy::Skip)));
    let (nine, ten) = (AtTime::new(9, 0), AtTime::new(10, 0));
    let weekly = Schedule::weekly(1, [1, 2], [nine, ten]);
    assert!(weekly.same_times(&Schedule::weekly(1, [2, 1], [ten, nine])));
    assert!(!weekly.same_times(&Schedule::weekly(2, [1, 2], [nine, ten])));
    assert!(!weekly.same_times(&Schedule::monthly(1, [1, 2], [nine, ten])));
    assert!(!Schedule::one_time(5).same_times(&Schedule::one_time(6)));
}

#[test]
fn a_zone_that_is_not_known_is_guessed() {
    let table = [
        ("europe/berlin", "Europe/Berlin"),
        ("Berlin", "Europe/Berlin"),
        ("America/NewYork", "America/New_York"),
        ("New York", "America/New_York"),
        ("Asia/Kolkatta", "Asia/Kolkata"),
    ];
    for (name, meant) in table {
        let error = name.parse::<Zone>().expect_err(name).to_string();
        assert_eq!(
            error,
            format!("`{name}` is not a known time zone; did you mean `{meant}`?")
        );
    }
    let error = "Middle-earth/Shire".parse::<Zone>().expect_err("none");
    assert_eq!(
        error.to_string(),
        "`Middle-earth/Shire` is not a known time zone; use an IANA name such as \
         `Europe/Berlin`, or `UTC`"
    );
}

#[test]
fn times_of_day_read_and_write() {
    for (text, at) in [
        ("09:30", AtTime::new(9, 30)),
        ("00:00", AtTime::default()),
        (
            "23:59:58",
            AtTime {
                hour: 23,
                minute: 59,
                second: 58,
            },
        ),
    ] {
        assert_eq!(text.parse(), Ok(at));
        assert_eq!(at.to_string(), text);
    }
    for text in [
        "",
        "9",
        "24:00",
        "09:60",
        "09:3x",
        "09:30:00:00",
        "+9:30",
        "009:30",
    ] {
        let error = text.parse::<AtTime>().expect_err(text).to_string();
        let start = format!("`{text}` is not a time of day; write it such as 09:30");
        assert!(error.starts_with(&start), "{error}");
    }
}
