//! The command line: one file for each command, and what they share.

mod args;
mod batch;
mod bench;
mod config;
mod connect;
mod dev;
mod dlq;
mod each;
mod events;
mod failure;
mod group;
mod job;
mod limit;
mod log;
mod mistakes;
mod node;
mod options;
mod output;
mod private_redis;
mod run;
mod schedule;
mod serve;
mod show;
mod signal;
mod source;
mod stats;
mod table;
mod tier;
mod time;
mod workflow;

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use self::args::{Cli, Command};
use self::failure::{Failure, Kind, exit_code};
use self::output::{Format, Output};

/// For what still runs when a command has ended, such as a read of standard input.
const LEFTOVERS: Duration = Duration::from_millis(100);

/// Runs the command of the process's arguments.
pub(crate) fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return wrong_usage(&error, &arguments),
    };
    let output = Output::new(cli.globals.output);
    let ended = run(cli, output);
    if let Err(failure) = &ended {
        output.failure(failure);
    }
    exit_code(&ended)
}

fn run(cli: Cli, output: Output) -> Result<(), Failure> {
    let level = match &cli.command {
        Command::Node(node) if node.command.is_none() => "info",
        Command::Dev(_) => "info",
        // What should be better about the server is for those who run nodes to hear, and a log
        // would run through the live view.
        _ => "error",
    };
    log::start(cli.globals.log_format, level)?;
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if std::env::var_os("TOKIO_WORKER_THREADS").is_none() {
        runtime.worker_threads(threads());
    }
    let runtime = runtime
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Kind::Outcome, format!("cannot start: {error}")))?;
    let ended = runtime.block_on(dispatch(cli, output));
    runtime.shutdown_timeout(LEFTOVERS);
    ended
}

/// Threads that run tasks unless `TOKIO_WORKER_THREADS` says otherwise: half of the processors.
///
/// The built-in handlers wait for programs and servers and compute nothing, and what is handed from
/// thread to thread costs more than it brings: on two processors one thread processed 1.3 times as
/// many jobs as two, and began a lone one in three quarters of the time.
fn threads() -> usize {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    (processors / 2).max(1)
}

async fn dispatch(cli: Cli, output: Output) -> Result<(), Failure> {
    let globals = cli.globals;
    match cli.command {
        Command::Dev(command) => dev::run(command, &globals, output).await,
        Command::Node(command) => node::run(command, &globals, output).await,
        Command::Run(command) => run::run(command, &globals, output).await,
        Command::Job(command) => job::run(command, &globals, output).await,
        Command::Workflow(command) => workflow::run(command, &globals, output).await,
        Command::Batch(command) => batch::run(command, &globals, output).await,
        Command::Schedule(command) => schedule::run(command, &globals, output).await,
        Command::Dlq(command) => dlq::run(command, &globals, output).await,
        Command::Stats(command) => stats::run(command, &globals, output).await,
        Command::Config(command) => config::run(command, &globals, output).await,
        Command::Limit(command) => limit::run(command, &globals, output).await,
        Command::Tier(command) => tier::run(command, &globals, output).await,
        Command::Type(command) => tier::run_type(command, &globals, output).await,
        Command::Group(command) => group::run(command, &globals, output).await,
        Command::Events(command) => events::run(command, &globals, output).await,
        Command::Bench(command) => bench::run(command, &globals, output).await,
    }
}

/// Help and version are asked for; anything else is a mistake, told as every other one.
fn wrong_usage(error: &clap::Error, arguments: &[OsString]) -> ExitCode {
    if !error.use_stderr() || !wants_json(arguments) {
        // Nobody is left to tell when this cannot be printed.
        let _ = error.print();
        return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
    }
    let failure = Failure::usage(mistake(&error.render().to_string()));
    Output::new(Format::Json).failure(&failure);
    exit_code(&Err(failure))
}

/// What is wrong, of what a person is shown: without the usage, which stands behind an empty line.
fn mistake(shown: &str) -> String {
    let lines = shown.lines().take_while(|line| !line.is_empty());
    let words = lines.flat_map(str::split_whitespace).collect::<Vec<_>>();
    let sentence = words.join(" ");
    sentence
        .strip_prefix("error: ")
        .unwrap_or(&sentence)
        .to_owned()
}

/// Whether `-o json` stands among arguments that could not be parsed.
fn wants_json(arguments: &[OsString]) -> bool {
    let arguments: Vec<_> = arguments.iter().filter_map(|text| text.to_str()).collect();
    arguments
        .iter()
        .any(|&argument| matches!(argument, "-ojson" | "-o=json" | "--output=json"))
        || arguments
            .windows(2)
            .any(|pair| matches!(pair, ["-o" | "--output", "json"]))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_definition_of_the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_parses() {
        let job = "job_00000000000000000000000000";
        let workflow = "wf_00000000000000000000000000";
        let batch = "batch_00000000000000000000000000";
        let table = [
            "paceline dev --data /tmp/x --allow-shell --http 127.0.0.1:9100",
            "paceline node --redis redis://h/ --concurrency 4 --lease 2s --name n",
            "paceline node list -o json",
            "paceline node --role worker --role api",
            "paceline node drain worker-1",
            "paceline node undrain node_00000000000000000000000000",
            "paceline config get",
            "paceline config set --handler image.* timeout=5s concurrency=3",
            "paceline config unset --handler image.resize timeout",
            "paceline config unset",
            "paceline --namespace tenant node",
            "paceline run f.yaml --input {} --watch",
            "paceline run --watch=lines f.yaml",
            "paceline run --dev --allow-shell - -o json",
            "paceline job submit echo {} --priority 8 --delay 5s --tag a --tag b --header k=v --wait",
            &format!("paceline job get {job}"),
            "paceline job list --status dead --type image.resize --tag a --limit 10 --cursor x",
            "paceline job list --since 2h --until 2026-01-31 --payload user.id=7 --unique k",
            &format!("paceline job cancel {job} {job} --reason why"),
            &format!("paceline job why {job}"),
            &format!("paceline job why {workflow}/a"),
            &format!("paceline job audit {job}"),
            &format!("paceline job retry {job}"),
            &format!("paceline job retry {job} --as-new"),
            "paceline job retry --status dead --type image.resize --tag a --yes",
            "paceline job cancel --unique order-17 --reason why",
            &format!("paceline job pause {job} {job} --for 10m"),
            &format!("paceline job resume {job}"),
            &format!("paceline job requeue {job}"),
            &format!("paceline job edit {job} {{}}"),
            &format!("paceline job delete {job}"),
            "paceline job delete --status completed --yes",
            "paceline workflow submit f.json --input @in.json",
            &format!("paceline workflow get {workflow}"),
            "paceline workflow list --status failed",
            &format!("paceline workflow cancel {workflow} {workflow} --reason why"),
            &format!("paceline workflow signal {workflow} approve {{}} --key k"),
            &format!("paceline workflow signal {workflow} approve"),
            &format!("paceline workflow suspend {workflow} {workflow}"),
            &format!("paceline workflow resume {workflow}"),
            &format!("paceline workflow retry {workflow}"),
            &format!("paceline workflow result {workflow} --task a --iteration 2 --wait"),
            "paceline workflow validate f.yaml",
            "paceline workflow graph f.yaml --format dot",
            &format!("paceline workflow graph {workflow} -o json"),
            "paceline batch submit b.yaml",
            "paceline batch validate b.yaml -o json",
            &format!("paceline batch get {batch}"),
            "paceline batch list --status failed --limit 5 --cursor x",
            &format!("paceline batch results {batch} --failed --limit 10 --from 200"),
            &format!("paceline batch results {batch} --all --stream"),
            &format!("paceline batch results {batch} --item a"),
            &format!("paceline batch progress {batch} --follow"),
            &format!("paceline batch cancel {batch} {batch} --reason why"),
            &format!("paceline batch retry {batch} --all"),
            "paceline bench batch --items 100 --chunk 10",
            "paceline events --batch batch_00000000000000000000000000",
            "paceline bench loop --times 5 --count 2",
            "paceline bench map --elements 5 --one",
            "paceline schedule create nightly report {} --cron @daily --zone Europe/Berlin --tag a",
            "paceline schedule create w report --weekly MON,5 --at 09:30 --at 17:00 --every-nth 2",
            "paceline schedule create m report --monthly 1,31 --at 00:00 --overlap skip --jitter 5s",
            "paceline schedule create e echo --every 30s --catchup-window 1h --max-backfill-per-tick 5",
            "paceline schedule create o echo --run-at 2030-01-31T09:00:00Z",
            "paceline schedule create i echo --now --ends-at 1900000000000",
            "paceline schedule apply f.yaml",
            "paceline schedule list --limit 5",
            "paceline schedule get nightly -o json",
            "paceline schedule pause a b",
            "paceline schedule resume a",
            "paceline schedule delete a",
            "paceline schedule run a --overlap allow-all",
            "paceline schedule backfill a 2030-01-31T09:00:00Z 2030-01-31T10:00:00+01:00",
            "paceline schedule next a -n 3",
            "paceline schedule next --file f.yaml",
            "paceline schedule next --cron * --zone UTC -n 20",
            "paceline stats --days 90",
            "paceline dlq list",
            "paceline limit set tenant7 --max 5 --rate 10 --burst 20",
            "paceline limit get tenant7",
            "paceline limit list -o json",
            "paceline limit unset tenant7",
            "paceline tier list",
            "paceline tier pause low",
            "paceline tier resume high",
            "paceline tier set normal --rate 2.5",
            "paceline tier set normal --no-rate",
            "paceline type list",
            "paceline type pause image.resize",
            "paceline type resume image.resize",
            "paceline node --strict-tiers",
            "paceline node --weights 100,50,10",
            &format!("paceline dlq retry {job}"),
            "paceline dlq retry --all --type image.resize",
            "paceline dlq purge --all",
            &format!("paceline dlq purge {job}"),
            "paceline group push g echo {} --grace 1s --max-delay 5s --max-size 10",
            "paceline group list --limit 10 --cursor x",
            "paceline group flush g",
            "paceline events --follow --from now --kind job.dead --type echo",
            "paceline bench jobs --count 10 --primaries 3 --nodes 3 --append-only --runs 2 --seed 1",
            "paceline bench latency --load 0.5 --time 1s --warm-up 10 -o json",
            "paceline bench chain --one --count 3 --redis redis://h/",
            "paceline bench marks --only chain",
            &format!("paceline events --from 0:5-1.2 --job {job} --workflow {workflow}"),
        ];
        for line in table {
            if let Err(error) = parse(line) {
                panic!("{line}\n{error}");
            }
        }
    }

    #[test]
    fn mistakes_are_told_with_their_remedy() {
        let table = [
            ("paceline job get wf_1", "`wf_1` is not a job id"),
            (
                "paceline job list --status done",
                "use one of pending, scheduled",
            ),
            ("paceline job list --since soon", "`soon` is not a time"),
            ("paceline job list --payload x", "write PATH=VALUE"),
            (
                "paceline job list --limit 101",
                "write a number from 1 to 100",
            ),
            ("paceline node --lease soon", "such as 500ms, 30s or 1h30m"),
            ("paceline node --concurrency 0", "0 is not in 1.."),
            ("paceline events --kind job.deed", "is not an event kind"),
            ("paceline events --from never", "or write now or start"),
            ("paceline stats --days 91", "write a number from 1 to 90"),
            ("paceline node --role boss", "`boss` is not a role"),
            (
                "paceline config set --handler a:b paused=true",
                "the task type `a:b` contains",
            ),
            ("paceline config set timeout", "write it as FIELD=VALUE"),
            (
                "paceline config set timeout=5",
                "`timeout` is \"5\", but must be a duration",
            ),
            ("paceline config set size=5", "`size` is not a setting"),
            ("paceline config unset size", "`size` is not a setting"),
            ("paceline dlq purge", "|--all>"),
            ("paceline limit set k", "--max <N>|--rate"),
            ("paceline limit set k --max 0", "0 is not in 1.."),
            ("paceline tier set low", "--rate <PER_SECOND>|--no-rate"),
            (
                "paceline tier pause lowest",
                "[possible values: high, normal, low]",
            ),
            ("paceline node --weights 1,2", "write three numbers"),
            ("paceline node --weights 1,0,3", "write three numbers"),
            (
                "paceline node --weights 1,2,3 --strict-tiers",
                "cannot be used with",
            ),
            (
                "paceline schedule create a echo --every 1s --cron x",
                "cannot be used with",
            ),
            ("paceline schedule create a echo --daily", "--at <HH:MM>"),
            ("paceline schedule create a,b echo", "contains ','"),
            (
                "paceline schedule run a --overlap no",
                "use ALLOW_ALL, SKIP",
            ),
            ("paceline schedule next a --cron x", "cannot be used with"),
            (
                "paceline schedule backfill a yesterday 1h",
                "`yesterday` is not a time; write 2026-01-31",
            ),
            (
                "paceline job submit echo --header k",
                "write it as NAME=VALUE",
            ),
        ];
        for (line, words) in table {
            let error = parse(line).expect_err(line).to_string();
            assert!(error.contains(words), "{line}: {error}");
        }
    }

    #[test]
    fn a_mistake_is_told_whole_as_json_too() {
        let table = [
            (
                "paceline workflow signal",
                "the following required arguments were not provided: <ID> <NAME>",
            ),
            (
                "paceline workflow get x",
                "invalid value 'x' for '<ID>': `x` is not a workflow id: expected `wf_` and 26 \
                 characters of base 32",
            ),
        ];
        for (line, sentence) in table {
            let error = parse(line).expect_err(line);
            assert_eq!(mistake(&error.render().to_string()), sentence);
        }
    }

    #[test]
    fn json_is_wanted_where_it_is_asked_for() {
        for (line, wanted) in [
            ("paceline job get x -o json", true),
            ("paceline --output json job", true),
            ("paceline -ojson", true),
            ("paceline job submit json", false),
            ("paceline -o text json", false),
        ] {
            let arguments: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
            assert_eq!(wants_json(&arguments), wanted, "{line}");
        }
    }
}
