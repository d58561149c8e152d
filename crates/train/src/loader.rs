use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::thread::Scope;

use inkling_augment::{Sample, Scratch};

use crate::{Error, Examples};

/// Samples made ahead of need by worker threads, handed out in order.
///
/// Worker `w` of `n` makes the samples at places `w, w + n, …`; taking from the workers in turn gives the
/// plain order back, so that the number of threads changes nothing but the time. Samples that are
/// given back lend their memory to later ones.
pub struct Loader {
    workers: Vec<Worker>,
    next: usize,
    given_back: usize,
}

struct Worker {
    samples: Receiver<Result<Sample, Error>>,
    spent: Sender<Sample>,
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
                let (sender, samples) = sync_channel(ahead.max(1));
                let (spent, returns) = channel();
                let own = indices.iter().skip(worker).step_by(threads.max(1));
                let own: Vec<usize> = own.copied().collect();
                scope.spawn(move || {
                    let mut scratch = Scratch::default();
                    for index in own {
                        returns.try_iter().for_each(|spent| scratch.recycle(spent));
                        let sample = examples.sample(epoch, index, &mut scratch);
                        // A closed channel means that training stopped early.
                        if sender.send(sample).is_err() {
                            return;
                        }
                    }
                });
                Worker { samples, spent }
            })
            .collect();
        Self {
            workers,
            next: 0,
            given_back: 0,
        }
    }

    /// The next sample, or `None` after the last.
    pub fn next_sample(&mut self) -> Option<Result<Sample, Error>> {
        let worker = self.next % self.workers.len();
        self.next += 1;
        self.workers[worker].samples.recv().ok()
    }

    /// Takes back a sample that is not needed any more.
    pub fn give_back(&mut self, sample: Sample) {
        let worker = self.given_back % self.workers.len();
        self.given_back += 1;
        // A worker that has finished needs none.
        let _ = self.workers[worker].spent.send(sample);
    }
}
