//! Child processes and folders that do not outlive the test process, however it ends.
//!
//! Statics are not dropped at exit, and a killed process drops nothing. So a watchdog, a small shell
//! in a process group of its own, holds the reading end of a pipe. Every child writes its id into
//! the pipe before it becomes the wanted program. When the last writing end is gone, the test
//! process is gone, and the watchdog kills what is left and removes the folder.

use std::io::{PipeWriter, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tempfile::TempDir;

/// `$1` is the folder to remove, or nothing. Lines: `+pid` a child started, `-pid` it was reaped.
const WATCHDOG: &str = r#"
pids=' '
while read -r line; do
    pid=${line#?}
    case $line in
        +*) pids="$pids$pid " ;;
        -*) case $pids in *" $pid "*) pids="${pids%% $pid *} ${pids#* $pid }" ;; esac ;;
    esac
done
for pid in $pids; do kill -9 "$pid"; done
if [ -n "$1" ]; then rm -rf -- "$1"; fi
"#;

/// Tells the watchdog the id of this process, which `exec` keeps, and becomes the program.
const ENROL: &str = r#"echo "+$$" >&0; exec "$@" </dev/null"#;

struct Watchdog {
    /// It outlives this process, so nobody waits for it.
    _shell: Child,
    pipe: PipeWriter,
    folder: PathBuf,
}

/// Whether data folders stay, for a look at them after a failure.
fn keep_folders() -> bool {
    std::env::var_os("PACELINE_TEST_KEEP").is_some_and(|keep| !keep.is_empty())
}

fn watchdog() -> &'static Watchdog {
    static WATCHDOG_OF_PROCESS: OnceLock<Watchdog> = OnceLock::new();
    WATCHDOG_OF_PROCESS.get_or_init(|| {
        let prefix = format!("paceline-test-{}-", std::process::id());
        let folder = tempfile::Builder::new()
            .prefix(&prefix)
            .tempdir()
            .unwrap()
            .keep();
        let (reader, pipe) = std::io::pipe().unwrap();
        let doomed = if keep_folders() {
            Path::new("")
        } else {
            &folder
        };
        let shell = Command::new("sh")
            .args(["-c", WATCHDOG, "sh"])
            .arg(doomed)
            .stdin(reader)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // An interrupt from the terminal must not reach it before its work is done.
            .process_group(0)
            .spawn()
            .expect("sh starts");
        Watchdog {
            _shell: shell,
            pipe,
            folder,
        }
    })
}

/// A folder that goes with its owner, or with the process at the latest.
pub(crate) fn temp_folder(name: &str) -> TempDir {
    let mut builder = tempfile::Builder::new();
    builder.prefix(name).disable_cleanup(keep_folders());
    builder.tempdir_in(&watchdog().folder).unwrap()
}

/// A child process: killed on drop, and when the test process dies.
#[derive(Debug)]
pub(crate) struct GuardedChild {
    child: Child,
    ended: Option<ExitStatus>,
    stopped: bool,
}

impl GuardedChild {
    /// Starts `program`; `configure` sets arguments, environment, folder and outputs.
    /// Standard input is `/dev/null`.
    pub(crate) fn spawn(program: &Path, configure: impl FnOnce(&mut Command)) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", ENROL, "sh"]).arg(program);
        configure(&mut command);
        let pipe = watchdog().pipe.try_clone().unwrap();
        let child = command.stdin(pipe).spawn().expect("sh starts");
        Self {
            child,
            ended: None,
            stopped: false,
        }
    }

    /// The pipes of its outputs, if `configure` asked for them.
    pub(crate) fn outputs(
        &mut self,
    ) -> (
        Option<std::process::ChildStdout>,
        Option<std::process::ChildStderr>,
    ) {
        (self.child.stdout.take(), self.child.stderr.take())
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().unwrap();
            if self.ended.is_some() {
                self.sign_off();
            }
        }
        self.ended
    }

    /// Sends a signal; false when the process has ended, so that no other one is ever hit.
    pub(crate) fn signal(&mut self, signal: Signal) -> bool {
        self.ended().is_none() && kill_process(Pid::from_child(&self.child), signal).is_ok()
    }

    /// Sends SIGSTOP and returns once the process stands still.
    pub(crate) fn stop(&mut self) -> bool {
        let sent = self.signal(Signal::STOP);
        if sent {
            let process = WaitId::Pid(Pid::from_child(&self.child));
            // An error means that it died instead, which the next call finds.
            let _ = waitid(process, WaitIdOptions::STOPPED);
            self.stopped = true;
        }
        sent
    }

    /// Sends SIGCONT.
    pub(crate) fn cont(&mut self) -> bool {
        self.stopped = false;
        self.signal(Signal::CONT)
    }

    /// Neither ended nor stopped.
    pub(crate) fn is_up(&mut self) -> bool {
        self.ended().is_none() && !self.stopped
    }

    /// Sends SIGKILL and returns once the process is gone. A stopped one dies as well.
    pub(crate) fn kill(&mut self) {
        if self.signal(Signal::KILL) {
            // While it is not reaped its id cannot be given to another process.
            self.sign_off();
            self.ended = Some(self.child.wait().unwrap());
        }
    }

    fn sign_off(&self) {
        // One short write is atomic; without a watchdog there is nobody left to tell.
        let _ = (&watchdog().pipe).write_all(format!("-{}\n", self.id()).as_bytes());
    }
}

impl Drop for GuardedChild {
    fn drop(&mut self) {
        self.kill();
    }
}
