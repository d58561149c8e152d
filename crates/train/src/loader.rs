use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::Scope;

use inkling_augment::{Sample, Scratch};

use crate::{Error, Examples};

/// Samples made ahead of need by worker threads, handed out in order.
///
/// Worker `w` of `n` makes the samples at places `w, w + n, …`; taking from the workers in turn gives the
/// plain order back, so that the number of threads changes nothing but the time.
pub struct Loader {
    workers: Vec<Receiver<Result<Sample, Error>>>,
    next: usize,
}

impl Loader {
    /// Starts `threads` workers in `scope` on the samples `indices` of `epoch`, in their order,
    /// each at most `ahead` samples early.
    pub fn start<'scope, 'env>(
        scope: &'scope Scope<'scope, 'env>,
        examples: &'env Examples,
        epoch: u32,
        indices: &[usize],
        threads: usize,
        ahead: usize,
    ) -> Self {
        let workers = (0..threads.max(1))
            .map(|worker| {
                let (sender, receiver) = sync_channel(ahead.max(1));
                let own = indices.iter().skip(worker).step_by(threads.max(1));
                let own: Vec<usize> = own.copied().collect();
                scope.spawn(move || {
                    let mut scratch = Scratch::default();
                    for index in own {
                        let sample = examples.sample(epoch, index, &mut scratch);
                        // A closed channel means that training stopped early.
                        if sender.send(sample).is_err() {
                            return;
                        }
                    }
                });
                receiver
            })
            .collect();
        Self { workers, next: 0 }
    }

    /// The next sample, or `None` after the last.
    pub fn next_sample(&mut self) -> Option<Result<Sample, Error>> {
        let worker = self.next % self.workers.len();
        self.next += 1;
        self.workers[worker].recv().ok()
    }
}
