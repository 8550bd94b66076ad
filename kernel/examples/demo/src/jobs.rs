//! The table of jobs: what was asked for, and what became of it.
//!
//! Bounded: past [`MAX_JOBS`] the oldest finished job is forgotten. The queue in front of the
//! workers is the server's business (`worker`); this is the state that `GET /jobs/{id}` reads.

use alloc::collections::VecDeque;
use core::fmt;

use crate::summary::Summary;

/// Most jobs that are remembered, in whatever state.
pub const MAX_JOBS: usize = 256;

/// Names a job; never used twice.
pub type JobId = u64;

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// Accepted; no worker has taken it yet.
    Queued,
    /// A worker computes it.
    Running,
    /// Finished.
    Done(Summary),
}

/// A job as `GET /jobs/{id}` shows it; its `Display` form is JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Job {
    /// Its number.
    pub id: JobId,
    /// Where it stands.
    pub state: JobState,
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{\"id\":{},\"state\":", self.id)?;
        match self.state {
            JobState::Queued => write!(f, "\"queued\"}}"),
            JobState::Running => write!(f, "\"running\"}}"),
            JobState::Done(Summary {
                bytes,
                words,
                digest,
            }) => write!(
                f,
                "\"done\",\"bytes\":{bytes},\"words\":{words},\"sha256\":\"{digest}\"}}"
            ),
        }
    }
}

/// How many jobs there have been so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct JobCounts {
    /// Accepted since the start.
    pub accepted: u64,
    /// Finished since the start.
    pub finished: u64,
    /// Turned away with 503 because the queue was full.
    pub refused: u64,
}

/// All jobs that are remembered, oldest first.
#[derive(Debug, Default)]
pub struct Jobs {
    table: VecDeque<Job>,
    counts: JobCounts,
}

impl Jobs {
    /// Notes a new job and gives it its number. `None` if the table is full of unfinished ones.
    pub fn accept(&mut self) -> Option<JobId> {
        if self.table.len() >= MAX_JOBS {
            let done = |job: &Job| matches!(job.state, JobState::Done(_));
            let oldest = self.table.iter().position(done)?;
            self.table.remove(oldest);
        }
        self.counts.accepted += 1;
        let id = self.counts.accepted;
        self.table.push_back(Job {
            id,
            state: JobState::Queued,
        });
        Some(id)
    }

    /// Notes that a request was turned away.
    pub fn refuse(&mut self) {
        self.counts.refused += 1;
    }

    /// Moves a job on. A forgotten one is ignored.
    pub fn set(&mut self, id: JobId, state: JobState) {
        if matches!(state, JobState::Done(_)) {
            self.counts.finished += 1;
        }
        if let Ok(index) = self.table.binary_search_by_key(&id, |job| job.id) {
            self.table[index].state = state;
        }
    }

    /// Looks a job up.
    pub fn get(&self, id: JobId) -> Option<Job> {
        let index = self.table.binary_search_by_key(&id, |job| job.id).ok()?;
        Some(self.table[index])
    }

    /// How many jobs there have been.
    pub fn counts(&self) -> JobCounts {
        self.counts
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;
    use crate::summary::Summarizer;

    fn done() -> JobState {
        JobState::Done(Summarizer::default().finish())
    }

    #[test]
    fn a_job_goes_through_its_states() {
        let mut jobs = Jobs::default();
        let id = jobs.accept().unwrap();
        assert_eq!(
            jobs.get(id).unwrap().to_string(),
            r#"{"id":1,"state":"queued"}"#
        );
        jobs.set(id, JobState::Running);
        assert_eq!(
            jobs.get(id).unwrap().to_string(),
            r#"{"id":1,"state":"running"}"#
        );
        jobs.set(id, done());
        let text = jobs.get(id).unwrap().to_string();
        assert!(text.starts_with(r#"{"id":1,"state":"done","bytes":0,"words":0,"sha256":"e3b0"#));
        assert!(text.ends_with("\"}"));
        assert_eq!(
            jobs.counts(),
            JobCounts {
                accepted: 1,
                finished: 1,
                refused: 0
            }
        );
    }

    #[test]
    fn the_oldest_finished_job_is_forgotten_first() {
        let mut jobs = Jobs::default();
        for _ in 0..MAX_JOBS {
            jobs.accept().unwrap();
        }
        assert_eq!(
            jobs.accept(),
            None,
            "nothing is finished, so nothing can go"
        );
        jobs.set(2, done());
        jobs.set(3, done());
        let id = jobs.accept().unwrap();
        assert_eq!(
            (jobs.get(1).is_some(), jobs.get(2), jobs.get(3).is_some()),
            (true, None, true)
        );
        assert_eq!(jobs.get(id).unwrap().state, JobState::Queued);
    }

    #[test]
    fn a_forgotten_job_can_still_finish() {
        let mut jobs = Jobs::default();
        jobs.set(77, done());
        assert_eq!(jobs.get(77), None);
    }
}
