//! What jobs, workflows, batches, groups and schedules do, exactly: pages to look things up in.

/// The life of a job: acceptance, waiting, running, its ends, and what steers it.
pub mod jobs {
    #![doc = include_str!("jobs.md")]
}

/// How batches go: their items, chunks, failures, retries and results.
pub mod batches {
    #![doc = include_str!("batches.md")]
}

/// When groups become jobs, and what of.
pub mod groups {
    #![doc = include_str!("groups.md")]
}

/// When schedules fire, and what happens when firings meet.
pub mod schedules {
    #![doc = include_str!("schedules.md")]
}

/// What workflows are made of, and how they go.
pub mod workflows {
    #![doc = include_str!("workflows.md")]
}
