//! Batches that form while others are on the wire. Pure.
//!
//! A batch may leave as soon as its shard has a free place on the wire, so an idle client sends
//! a lone job at once; while the wire is busy, jobs collect, and the batches grow with the load.

use std::collections::VecDeque;

use paceline_types::ShardIndex;

/// Most jobs of one batch: beyond this, a script only runs longer.
pub(crate) const MAX_BATCH: usize = 100;

/// Bytes after which a batch is full: a hundred payloads of the largest size would keep Redis,
/// and everyone behind it, busy for seconds.
pub(crate) const MAX_BATCH_BYTES: usize = 4 * 1024 * 1024;

/// Calls on the wire per shard. Two were measured best: one leaves Redis idle while a reply
/// travels, more make the batches smaller.
pub(crate) const MAX_ON_WIRE: usize = 2;

/// Something that takes room in a batch.
pub(crate) trait Weight {
    fn bytes(&self) -> usize;
}

/// What waits, and how much is on the wire, for every shard.
#[derive(Debug)]
pub(crate) struct Forming<J> {
    shards: Vec<Waiting<J>>,
}

#[derive(Debug)]
struct Waiting<J> {
    jobs: VecDeque<J>,
    on_wire: usize,
}

impl<J: Weight> Forming<J> {
    pub(crate) fn new(shards: u16) -> Forming<J> {
        let waiting = || Waiting {
            jobs: VecDeque::new(),
            on_wire: 0,
        };
        Forming {
            shards: (0..shards.max(1)).map(|_| waiting()).collect(),
        }
    }

    /// Jobs of one shard that are all there from the start.
    pub(crate) fn of(shard: ShardIndex, jobs: VecDeque<J>) -> Forming<J> {
        let mut forming = Forming::new(shard.0.saturating_add(1));
        if let Some(waiting) = forming.shards.last_mut() {
            waiting.jobs = jobs;
        }
        forming
    }

    /// What has not left yet; it will not.
    pub(crate) fn rest(&mut self, shard: ShardIndex) -> VecDeque<J> {
        self.shards
            .get_mut(usize::from(shard.0))
            .map(|waiting| std::mem::take(&mut waiting.jobs))
            .unwrap_or_default()
    }

    /// Adds a job to the batch that forms for its shard; gives it back if there is no such shard.
    pub(crate) fn join(&mut self, shard: ShardIndex, job: J) -> Result<(), J> {
        match self.shards.get_mut(usize::from(shard.0)) {
            Some(waiting) => {
                waiting.jobs.push_back(job);
                Ok(())
            }
            None => Err(job),
        }
    }

    /// The next batch of a shard, if one may leave now; it is on the wire from here on.
    pub(crate) fn depart(&mut self, shard: ShardIndex) -> Option<Vec<J>> {
        let waiting = self.shards.get_mut(usize::from(shard.0))?;
        if waiting.jobs.is_empty() || waiting.on_wire >= MAX_ON_WIRE {
            return None;
        }
        waiting.on_wire += 1;
        Some(cut(&mut waiting.jobs))
    }

    /// A batch of the shard came back.
    pub(crate) fn returned(&mut self, shard: ShardIndex) {
        if let Some(waiting) = self.shards.get_mut(usize::from(shard.0)) {
            waiting.on_wire = waiting.on_wire.saturating_sub(1);
        }
    }
}

/// Takes one batch from the front: at most [`MAX_BATCH`] jobs, and no more than
/// [`MAX_BATCH_BYTES`] unless a single job has more.
fn cut<J: Weight>(jobs: &mut VecDeque<J>) -> Vec<J> {
    let mut bytes = 0;
    let len = jobs
        .iter()
        .take(MAX_BATCH)
        .take_while(|job| {
            let fits = bytes == 0 || bytes + job.bytes() <= MAX_BATCH_BYTES;
            bytes += job.bytes().max(1);
            fits
        })
        .count();
    jobs.drain(..len).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq)]
    struct Job(usize, usize);

    impl Weight for Job {
        fn bytes(&self) -> usize {
            self.1
        }
    }

    const A: ShardIndex = ShardIndex(0);
    const B: ShardIndex = ShardIndex(1);

    fn forming(jobs: usize) -> Forming<Job> {
        let mut forming = Forming::new(2);
        for n in 0..jobs {
            forming.join(A, Job(n, 10)).expect("shard");
        }
        forming
    }

    fn len(batch: Option<Vec<Job>>) -> Option<usize> {
        batch.map(|batch| batch.len())
    }

    #[test]
    fn a_lone_job_leaves_at_once() {
        let mut forming = forming(1);
        assert_eq!(len(forming.depart(A)), Some(1));
        assert_eq!(len(forming.depart(A)), None, "nothing is left to send");
    }

    #[test]
    fn jobs_collect_while_the_wire_is_busy_and_leave_together() {
        let mut forming = forming(1);
        forming.depart(A).expect("first");
        forming.join(A, Job(1, 10)).expect("shard");
        forming.depart(A).expect("second");
        for n in 2..52 {
            forming.join(A, Job(n, 10)).expect("shard");
            assert_eq!(len(forming.depart(A)), None);
        }
        forming.returned(A);
        let batch = forming.depart(A).expect("third");
        let order: Vec<usize> = batch.iter().map(|job| job.0).collect();
        assert_eq!(order, (2..52).collect::<Vec<_>>());
    }

    #[test]
    fn batches_hold_a_hundred_and_shards_do_not_wait_for_each_other() {
        let mut forming = forming(250);
        assert_eq!(len(forming.depart(A)), Some(100));
        assert_eq!(len(forming.depart(A)), Some(100));
        assert_eq!(len(forming.depart(A)), None);
        forming.join(B, Job(0, 10)).expect("shard");
        assert_eq!(len(forming.depart(B)), Some(1));
        forming.returned(A);
        assert_eq!(len(forming.depart(A)), Some(50));
        assert!(forming.join(ShardIndex(2), Job(0, 1)).is_err());
    }

    #[test]
    fn large_payloads_make_short_batches() {
        const MIB: usize = 1024 * 1024;
        let table: [(&[usize], usize); 5] = [
            (&[MIB, MIB, MIB, MIB, MIB], 4),
            (&[8 * MIB, 1], 1),
            (&[1, 8 * MIB], 1),
            (&[0, 0, 0], 3),
            (&[0, 8 * MIB], 1),
        ];
        for (sizes, expected) in table {
            let mut jobs = sizes
                .iter()
                .enumerate()
                .map(|(n, &size)| Job(n, size))
                .collect();
            assert_eq!(cut(&mut jobs).len(), expected, "{sizes:?}");
        }
    }
}
