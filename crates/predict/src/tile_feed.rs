use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::Scope;

use inkling_augment::TestTransform;
use inkling_fragment::Volume;
use ndarray::Array3;

use crate::Error;

/// Tiles that a thread reads ahead of need.
const AHEAD: usize = 2;

/// Tiles read ahead by several threads and handed out in order: thread `t` of `n` reads every
/// `n`th.
pub(crate) struct TileFeed {
    threads: Vec<Receiver<Result<Array3<f32>, Error>>>,
    next: usize,
}

impl TileFeed {
    pub fn start<'scope, 'env>(
        scope: &'scope Scope<'scope, 'env>,
        transform: &'env TestTransform,
        volume: &'env dyn Volume,
        places: &'env [(usize, usize)],
        threads: usize,
    ) -> Self {
        let read = |thread: usize| {
            let (sender, receiver) = sync_channel(AHEAD);
            let own = places.iter().skip(thread).step_by(threads);
            scope.spawn(move || {
                for &(y, x) in own {
                    let tile = transform.read(volume, y, x).map_err(Error::from);
                    // A closed channel means that prediction stopped early.
                    if sender.send(tile).is_err() {
                        return;
                    }
                }
            });
            receiver
        };
        Self {
            threads: (0..threads).map(read).collect(),
            next: 0,
        }
    }

    /// The next tile, or `None` after the last.
    pub fn next_tile(&mut self) -> Option<Result<Array3<f32>, Error>> {
        let thread = self.next % self.threads.len();
        self.next += 1;
        self.threads[thread].recv().ok()
    }
}
