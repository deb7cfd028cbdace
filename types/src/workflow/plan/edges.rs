//! Edges between tasks, in flat arrays.

/// Lists of task indices, one for each task, in one allocation.
#[derive(Clone, Debug)]
pub(in crate::workflow) struct Edges {
    /// Where the list of each task begins, and the end of the last.
    starts: Box<[u32]>,
    targets: Box<[u32]>,
}

impl Edges {
    /// Of one task.
    pub(in crate::workflow) fn of(&self, task: u32) -> &[u32] {
        let task = task as usize;
        &self.targets[self.starts[task] as usize..self.starts[task + 1] as usize]
    }

    /// Takes `(from, to)` pairs in any order; the order of one task's pairs is kept.
    pub(in crate::workflow) fn collect(
        tasks: usize,
        pairs: impl Iterator<Item = (u32, u32)> + Clone,
    ) -> Edges {
        let mut starts = vec![0_u32; tasks + 1];
        let mut total = 0;
        for (from, _) in pairs.clone() {
            starts[from as usize + 1] += 1;
            total += 1;
        }
        for task in 0..tasks {
            starts[task + 1] += starts[task];
        }
        let mut next = starts.clone();
        let mut targets = vec![0; total];
        for (from, to) in pairs {
            let place = &mut next[from as usize];
            targets[*place as usize] = to;
            *place += 1;
        }
        Edges {
            starts: starts.into(),
            targets: targets.into(),
        }
    }
    /// How many there are in all.
    pub(in crate::workflow) fn len(&self) -> usize {
        self.targets.len()
    }

    /// Every edge as a pair, in the order of the tasks.
    pub(in crate::workflow) fn pairs(&self) -> impl Iterator<Item = (u32, u32)> + Clone {
        let tasks = 0..u32::try_from(self.starts.len() - 1).unwrap_or(u32::MAX);
        tasks.flat_map(|task| self.of(task).iter().map(move |&target| (task, target)))
    }

    /// The same edges the other way round.
    pub(in crate::workflow) fn reversed(&self) -> Edges {
        let pairs = self.pairs().map(|(from, to)| (to, from));
        Edges::collect(self.starts.len() - 1, pairs)
    }

    /// These edges and others behind them, each once. The others are in the order of the tasks.
    pub(in crate::workflow) fn with(&self, others: &[(u32, u32)]) -> Edges {
        let tasks = self.starts.len() - 1;
        let mut pairs = Vec::with_capacity(self.len() + others.len());
        let mut named = vec![u32::MAX; tasks];
        let mut others = others.iter().peekable();
        for task in 0..u32::try_from(tasks).unwrap_or(u32::MAX) {
            let mut add = |to: u32| {
                let first = named[to as usize] != task;
                named[to as usize] = task;
                if first {
                    pairs.push((task, to));
                }
            };
            self.of(task).iter().for_each(|&to| add(to));
            while let Some((_, to)) = others.next_if(|(from, _)| *from == task) {
                add(*to);
            }
        }
        Edges::collect(tasks, pairs.iter().copied())
    }
}
