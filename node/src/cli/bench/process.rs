//! What processes spend and hold: this one, and the children that are nodes.

use std::time::Duration;

use super::super::failure::{Failure, Kind};

/// CPU time of this process so far, of all of its threads.
pub(super) fn own_cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// CPU time of another process so far, in steps of a clock tick.
pub(super) fn cpu_of(pid: u32) -> Result<Duration, Failure> {
    let stat = read(pid, "stat")?;
    let ticks = ticks(&stat).ok_or_else(|| unreadable(pid, "stat"))?;
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Ok(Duration::from_millis(ticks * 1_000 / per_second))
}

/// Memory of a process in RAM, in bytes: now, and the most so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Memory {
    pub(super) now: u64,
    pub(super) peak: u64,
}

/// Memory of another process.
pub(super) fn memory_of(pid: u32) -> Result<Memory, Failure> {
    let status = read(pid, "status")?;
    memory(&status).ok_or_else(|| unreadable(pid, "status"))
}

fn read(pid: u32, file: &str) -> Result<String, Failure> {
    std::fs::read_to_string(format!("/proc/{pid}/{file}")).map_err(|error| {
        Failure::new(
            Kind::Outcome,
            format!(
                "cannot read /proc/{pid}/{file}, where the system tells what node processes \
                 spend ({error}): run this measurement on Linux"
            ),
        )
    })
}

fn unreadable(pid: u32, file: &str) -> Failure {
    let sentence = format!("/proc/{pid}/{file} has not the form that Linux documents");
    Failure::new(Kind::Outcome, sentence)
}

/// User and system time of a `stat` file, in clock ticks. The name in it may hold anything.
fn ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11);
    let user: u64 = times.next()?.parse().ok()?;
    let system: u64 = times.next()?.parse().ok()?;
    Some(user + system)
}

fn memory(status: &str) -> Option<Memory> {
    let bytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
        Some(kib * 1024)
    };
    Some(Memory {
        now: bytes("VmRSS:")?,
        peak: bytes("VmHWM:")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_stand_behind_the_name() {
        let stat = "41 (a) b (c) S 1 41 41 0 -1 4194304 101 0 0 0 250 50 7 8 20 0";
        assert_eq!(ticks(stat), Some(300));
        assert_eq!(ticks("41 (x) S 1"), None);
    }

    #[test]
    fn memory_is_told_in_kibibytes() {
        let status = "Name:\tx\nVmPeak:\t  9 kB\nVmHWM:\t   12288 kB\nVmRSS:\t   11264 kB\n";
        let expected = Memory {
            now: 11 << 20,
            peak: 12 << 20,
        };
        assert_eq!(memory(status), Some(expected));
        assert_eq!(memory("Name:\tx\n"), None);
    }

    #[test]
    fn this_process_spends_time() {
        let before = own_cpu();
        let mut sum = 0_u64;
        while own_cpu() == before {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(own_cpu() > before);
    }
}
