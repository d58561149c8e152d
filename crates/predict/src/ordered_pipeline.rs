use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::Scope;

use inkling_fragment::{Panic, catch_panic};

/// Things that a thread makes ahead of need.
const AHEAD: usize = 1;

/// So many things, made by several makers and handed out in order: maker `m` of `n` makes every `n`th.
///
/// A maker that panics gives the panic in its thing's place; one that ends early gives an error in
/// place of what it owes.
pub(crate) struct OrderedPipeline<I: Iterator> {
    makers: Vec<Maker<I>>,
    next: usize,
    due: usize,
}

enum Maker<I: Iterator> {
    /// Makes a thing when it is taken, on the thread that takes it.
    Here(I),
    /// Makes things ahead on a thread of its own.
    Aside(Receiver<Result<I::Item, Panic>>),
}

impl<I: Iterator> OrderedPipeline<I> {
    /// `due` things by `makers` makers, `make` giving what maker number so and so makes. The first has
    /// no thread of its own, so that as many threads work as there are makers.
    pub fn start<'scope>(
        scope: &'scope Scope<'scope, '_>,
        makers: usize,
        due: usize,
        make: impl Fn(usize) -> I,
    ) -> Self
    where
        I: Send + 'scope,
        I::Item: Send + 'scope,
    {
        let aside = (1..makers).map(|maker| Maker::Aside(spawn(scope, make(maker))));
        let mut makers: Vec<_> = aside.collect();
        makers.insert(0, Maker::Here(make(0)));
        let next = 0;
        Self { makers, next, due }
    }

    /// As [`start`](Self::start), with a thread for each maker: whoever takes the things has work of
    /// its own.
    pub fn aside<'scope>(
        scope: &'scope Scope<'scope, '_>,
        makers: usize,
        due: usize,
        make: impl Fn(usize) -> I,
    ) -> Self
    where
        I: Send + 'scope,
        I::Item: Send + 'scope,
    {
        let makers = (0..makers).map(|maker| Maker::Aside(spawn(scope, make(maker))));
        let (makers, next) = (makers.collect(), 0);
        Self { makers, next, due }
    }
}

impl<I: Iterator> Iterator for OrderedPipeline<I> {
    type Item = Result<I::Item, Panic>;

    /// The next thing, or `None` after the last that is due.
    fn next(&mut self) -> Option<Self::Item> {
        if self.next == self.due {
            return None;
        }
        let maker = self.next % self.makers.len();
        self.next += 1;
        let thing = match &mut self.makers[maker] {
            Maker::Here(things) => catch_panic(|| things.next()).transpose(),
            Maker::Aside(things) => things.recv().ok(),
        };
        Some(thing.unwrap_or_else(|| Err(Panic::new("a worker ended before its work"))))
    }
}

fn spawn<'scope, I>(
    scope: &'scope Scope<'scope, '_>,
    mut things: I,
) -> Receiver<Result<I::Item, Panic>>
where
    I: Iterator + Send + 'scope,
    I::Item: Send + 'scope,
{
    let (sender, receiver) = sync_channel(AHEAD);
    scope.spawn(move || {
        while let Some(thing) = catch_panic(|| things.next()).transpose() {
            let last = thing.is_err();
            // A closed channel means that whoever wanted them stopped early.
            if sender.send(thing).is_err() || last {
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
        for makers in 1..5 {
            std::thread::scope(|scope| {
                let every = |maker| (0..23).skip(maker).step_by(makers);
                let things = OrderedPipeline::start(scope, makers, 23, every);
                assert!(things.map(Result::unwrap).eq(0..23));
                let things = OrderedPipeline::aside(scope, makers, 23, every);
                assert!(things.map(Result::unwrap).eq(0..23));
            });
        }
    }

    #[test]
    fn stopping_early_ends_the_threads() {
        std::thread::scope(|scope| {
            let mut things = OrderedPipeline::start(scope, 3, usize::MAX, |maker| maker..);
            assert_eq!(things.next(), Some(Ok(0)));
        });
    }

    #[test]
    fn a_panic_and_an_early_end_are_errors_in_the_place_of_what_is_due() {
        let make = |maker: usize, makers: usize| {
            let own = (0..9).skip(maker).step_by(makers);
            own.map(|thing| match thing {
                4 => panic!("thing {thing} is torn"),
                thing => thing,
            })
        };
        for makers in 1..4 {
            std::thread::scope(|scope| {
                let things = OrderedPipeline::start(scope, makers, 9, |maker| make(maker, makers));
                let things: Vec<_> = things.take(5).collect();
                assert!(things[..4].iter().all(Result::is_ok));
                let panic = things[4].as_ref().unwrap_err();
                assert!(panic.text().contains("thing 4 is torn"), "{panic}");

                let short = |maker| (0..9).skip(maker).step_by(makers);
                let things = OrderedPipeline::aside(scope, makers, 12, short);
                let things: Vec<_> = things.collect();
                assert_eq!(things.len(), 12);
                assert!(things[..9].iter().all(Result::is_ok));
                assert!(things[9..].iter().all(Result::is_err));
            });
        }
    }
}
