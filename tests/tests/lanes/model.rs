//! What lanes should hold, in plain words: places in order, and where each job stands.

use std::collections::{BTreeMap, VecDeque};

use paceline_store::calls::cancel::Cancelled;
use paceline_store::calls::turn::Settled;
use paceline_types::{JobId, JobStatus};

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Stand {
    Waiting,
    Delayed,
    /// On a node, by its index; asked to stop or not.
    Running(usize, bool),
    Ended(JobStatus),
}

/// What a run comes to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Way {
    Completed,
    Dead,
    Failed,
    Back,
}

/// The model of one shard.
#[derive(Debug, Default)]
pub(crate) struct Model {
    /// By lane the places that were not passed: a job, and whether it waits there.
    places: BTreeMap<String, VecDeque<(JobId, bool)>>,
    jobs: BTreeMap<JobId, (String, Stand)>,
}

impl Model {
    pub(crate) fn submit(&mut self, job: JobId, lane: &str) {
        self.jobs.insert(job, (lane.to_owned(), Stand::Waiting));
        self.append(job);
    }

    /// Every job, and where it stands.
    pub(crate) fn jobs(&self) -> impl Iterator<Item = (JobId, Stand)> + '_ {
        self.jobs.iter().map(|(&job, (_, stand))| (job, *stand))
    }

    pub(crate) fn stand(&self, job: JobId) -> Stand {
        self.jobs[&job].1
    }

    pub(crate) fn those(&self, wanted: impl Fn(Stand) -> bool) -> Vec<JobId> {
        let jobs = self.jobs().filter(|(_, stand)| wanted(*stand));
        jobs.map(|(job, _)| job).collect()
    }

    /// Lanes in which jobs wait, and how many.
    pub(crate) fn waiting(&self) -> BTreeMap<String, u64> {
        let count = |places: &VecDeque<(_, bool)>| places.iter().filter(|place| place.1).count();
        let counts = self.places.iter().map(|(lane, places)| {
            let count = u64::try_from(count(places)).unwrap();
            (lane.clone(), count)
        });
        counts.filter(|(_, count)| *count > 0).collect()
    }

    /// A node claims a job, which must be the first that waits in its lane.
    pub(crate) fn claim(&mut self, job: JobId, node: usize) {
        let (lane, stand) = self.jobs.get_mut(&job).unwrap();
        assert_eq!(*stand, Stand::Waiting, "{job} is claimed");
        *stand = Stand::Running(node, false);
        let places = self.places.get_mut(lane).unwrap();
        let first = places.iter().position(|place| place.1).unwrap();
        assert_eq!(places[first].0, job, "the oldest of {lane} is claimed");
        places.drain(..=first);
        let lane = lane.clone();
        self.tidy(&lane);
    }

    /// A run is settled. Returns the answer.
    pub(crate) fn settle(&mut self, job: JobId, node: usize, way: Way) -> Settled {
        let cancelled = match self.stand(job) {
            Stand::Running(owner, cancelled) if owner == node => cancelled,
            _ => return Settled::Fenced,
        };
        let stand = match way {
            _ if cancelled => Stand::Ended(JobStatus::Cancelled),
            Way::Completed => Stand::Ended(JobStatus::Completed),
            Way::Dead => Stand::Ended(JobStatus::Dead),
            Way::Failed => Stand::Delayed,
            Way::Back => Stand::Waiting,
        };
        self.put(job, stand);
        if cancelled {
            Settled::Cancelled
        } else {
            Settled::Accepted
        }
    }

    /// Returns the answer.
    pub(crate) fn cancel(&mut self, job: JobId) -> Cancelled {
        let Some((lane, stand)) = self.jobs.get_mut(&job) else {
            return Cancelled::Unknown;
        };
        match stand {
            Stand::Ended(status) => return Cancelled::Ended(*status),
            Stand::Running(_, cancelled) => {
                *cancelled = true;
                return Cancelled::Requested;
            }
            Stand::Delayed => {}
            Stand::Waiting => {
                let places = self.places.get_mut(lane).unwrap();
                let place = places.iter_mut().find(|place| place.0 == job).unwrap();
                place.1 = false;
            }
        }
        *stand = Stand::Ended(JobStatus::Cancelled);
        let lane = lane.clone();
        self.tidy(&lane);
        Cancelled::Done
    }

    /// Whether the job is retried: it has its place again, or one at the end.
    pub(crate) fn retry(&mut self, job: JobId) -> bool {
        let retried = [JobStatus::Dead, JobStatus::Cancelled].map(Stand::Ended);
        if !retried.contains(&self.stand(job)) {
            return false;
        }
        let (lane, stand) = self.jobs.get_mut(&job).unwrap();
        let places = self.places.entry(lane.clone()).or_default();
        match places.iter_mut().find(|place| place.0 == job) {
            Some(place) => {
                *stand = Stand::Waiting;
                place.1 = true;
            }
            None => self.put(job, Stand::Waiting),
        }
        true
    }

    /// Moves a job to where it stands now; one that waits, to the end of its lane.
    pub(crate) fn put(&mut self, job: JobId, stand: Stand) {
        self.jobs.get_mut(&job).unwrap().1 = stand;
        if stand == Stand::Waiting {
            self.append(job);
        }
    }

    fn append(&mut self, job: JobId) {
        let lane = self.jobs[&job].0.clone();
        self.places.entry(lane).or_default().push_back((job, true));
    }

    /// A lane in which nothing waits is forgotten, with the places that were left.
    fn tidy(&mut self, lane: &str) {
        if let Some(places) = self.places.get(lane)
            && !places.iter().any(|place| place.1)
        {
            self.places.remove(lane);
        }
    }
}
