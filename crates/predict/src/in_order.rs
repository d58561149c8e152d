use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::Scope;

/// Things that a thread makes ahead of need.
const AHEAD: usize = 1;

/// Things that several threads make ahead of need and that are handed out in order: thread `t` of
/// `n` makes every `n`th.
pub(crate) struct InOrder<T> {
    threads: Vec<Receiver<T>>,
    next: usize,
}

impl<T: Send> InOrder<T> {
    /// Starts so many threads; `make` gives what thread number so and so makes.
    pub fn start<'scope, I>(
        scope: &'scope Scope<'scope, '_>,
        threads: usize,
        make: impl Fn(usize) -> I,
    ) -> Self
    where
        T: 'scope,
        I: Iterator<Item = T> + Send + 'scope,
    {
        let threads = (0..threads).map(|thread| spawn(scope, make(thread)));
        Self {
            threads: threads.collect(),
            next: 0,
        }
    }

    /// Makes something of each, on further threads, one behind each of the first; `maker` gives
    /// each its means.
    pub fn then<'scope, U, F>(
        self,
        scope: &'scope Scope<'scope, '_>,
        maker: impl Fn() -> F,
    ) -> InOrder<U>
    where
        T: 'scope,
        U: Send + 'scope,
        F: FnMut(T) -> U + Send + 'scope,
    {
        let threads = self.threads.into_iter();
        let threads = threads.map(|things| spawn(scope, things.into_iter().map(maker())));
        InOrder {
            threads: threads.collect(),
            next: self.next,
        }
    }
}

impl<T> Iterator for InOrder<T> {
    type Item = T;

    /// The next thing, or `None` after the last.
    fn next(&mut self) -> Option<T> {
        let thread = self.next % self.threads.len();
        self.next += 1;
        self.threads[thread].recv().ok()
    }
}

fn spawn<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    things: impl Iterator<Item = T> + Send + 'scope,
) -> Receiver<T> {
    let (sender, receiver) = sync_channel(AHEAD);
    scope.spawn(move || {
        for thing in things {
            // A closed channel means that whoever wanted them stopped early.
            if sender.send(thing).is_err() {
                return;
            }
        }
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_come_in_order_whatever_the_threads() {
        for threads in 1..5 {
            std::thread::scope(|scope| {
                let things = InOrder::start(scope, threads, |thread| {
                    (0..23).skip(thread).step_by(threads)
                });
                let squares = things.then(scope, || |thing| thing * thing);
                assert!(squares.eq((0..23).map(|thing| thing * thing)));
            });
        }
    }

    #[test]
    fn stopping_early_ends_the_threads() {
        std::thread::scope(|scope| {
            let things = InOrder::start(scope, 2, |_| 0..);
            let mut further = things.then(scope, || |thing: i32| thing + 1);
            assert_eq!(further.next(), Some(1));
        });
    }
}
