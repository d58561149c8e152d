use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use inkling_augment::{Sample, Scratch};
use inkling_fragment::catch_panic;
use rayon::Scope;

use crate::{Error, TrainingSet};

/// Samples made ahead of need, handed out in order.
///
/// They are made by the threads of the current pool, beside the network's own work, so that the
/// pool's size bounds both together; whoever takes a sample that nobody has begun makes it there
/// and then. Which thread made a sample changes nothing. Samples that are given back lend their
/// memory to later ones.
pub struct Loader<'s, 'scope> {
    scope: &'s Scope<'scope>,
    shared: Arc<Shared<'scope>>,
    makers: usize,
    due: usize,
    next: usize,
}

/// What all makers see.
struct Shared<'scope> {
    training_set: &'scope TrainingSet,
    epoch: u32,
    ahead: usize,
    line: Mutex<Line>,
    made: Condvar,
}

/// The samples in their order: waiting, in work (in neither list), made.
#[derive(Default)]
struct Line {
    waiting: VecDeque<Due>,
    made: BTreeMap<usize, Result<Sample, Error>>,
    /// Places below this one have been asked for.
    asked: usize,
    /// Makers at work in the pool.
    at_work: usize,
    scratches: Vec<Scratch>,
    spent: Vec<Sample>,
}

/// A sample that is due: its place in the order, and its index in the epoch.
#[derive(Clone, Copy)]
struct Due {
    place: usize,
    index: usize,
}

impl<'s, 'scope> Loader<'s, 'scope> {
    /// Samples `indices` of `epoch`, in their order, of which at most `makers` threads of the pool make
    /// some at once, each at most `ahead` samples early. 0 makers make none ahead.
    pub fn start(
        scope: &'s Scope<'scope>,
        training_set: &'scope TrainingSet,
        epoch: u32,
        indices: &[usize],
        makers: usize,
        ahead: usize,
    ) -> Self {
        let due = indices.iter().enumerate();
        let waiting = due.map(|(place, &index)| Due { place, index });
        let line = Line {
            waiting: waiting.collect(),
            ..Line::default()
        };
        Self {
            scope,
            shared: Arc::new(Shared {
                training_set,
                epoch,
                ahead: ahead.max(1),
                line: Mutex::new(line),
                made: Condvar::new(),
            }),
            makers,
            due: indices.len(),
            next: 0,
        }
    }

    /// The next sample, or `None` after the last.
    pub fn next_sample(&mut self) -> Option<Result<Sample, Error>> {
        if self.next == self.due {
            return None;
        }
        let place = self.next;
        self.next += 1;
        self.shared.line().asked = self.next;
        self.employ();
        Some(self.shared.take(place))
    }

    /// Takes back a sample that is not needed any more.
    pub fn give_back(&mut self, sample: Sample) {
        self.shared.line().spent.push(sample);
    }

    /// Sends makers into the pool while there is work for them.
    fn employ(&self) {
        loop {
            let mut line = self.shared.line();
            if line.at_work >= self.makers || !self.shared.may_begin(&line) {
                return;
            }
            line.at_work += 1;
            drop(line);
            let shared = Arc::clone(&self.shared);
            self.scope.spawn(move |_| shared.make_ahead());
        }
    }
}

impl Drop for Loader<'_, '_> {
    /// Nobody will ask for what is waiting.
    fn drop(&mut self) {
        self.shared.line().waiting.clear();
    }
}

impl Shared<'_> {
    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn may_begin(&self, line: &Line) -> bool {
        let first = line.waiting.front();
        first.is_some_and(|due| due.place < line.asked + self.ahead)
    }

    /// The next sample to be made, and what to make it with.
    fn begin(&self, line: &mut Line) -> Option<(Due, Scratch)> {
        if !self.may_begin(line) {
            return None;
        }
        let due = line.waiting.pop_front()?;
        let mut scratch = line.scratches.pop().unwrap_or_default();
        if let Some(spent) = line.spent.pop() {
            scratch.recycle(spent);
        }
        Some((due, scratch))
    }

    /// Makes a sample, outside the lock; a panic becomes its error.
    fn make(&self, due: Due, mut scratch: Scratch) {
        let make = || {
            self.training_set
                .sample(self.epoch, due.index, &mut scratch)
        };
        let sample = catch_panic(make).unwrap_or_else(|panic| {
            let fragment = self.training_set.fragment_of(self.epoch, due.index);
            Err(Error::Fault {
                what: format!(
                    "sample {} of epoch {}, from fragment {fragment}",
                    due.index + 1,
                    self.epoch + 1
                ),
                panic,
            })
        });
        let mut line = self.line();
        line.scratches.push(scratch);
        line.made.insert(due.place, sample);
        drop(line);
        self.made.notify_all();
    }

    /// One maker's work.
    fn make_ahead(&self) {
        loop {
            let mut line = self.line();
            let Some((due, scratch)) = self.begin(&mut line) else {
                line.at_work -= 1;
                return;
            };
            drop(line);
            self.make(due, scratch);
        }
    }

    /// The sample at `place`; makes others meanwhile if that one is in work elsewhere.
    fn take(&self, place: usize) -> Result<Sample, Error> {
        let mut line = self.line();
        loop {
            if let Some(sample) = line.made.remove(&place) {
                return sample;
            }
            if let Some((due, scratch)) = self.begin(&mut line) {
                drop(line);
                self.make(due, scratch);
                line = self.line();
            } else {
                let waited = self.made.wait(line);
                line = waited.unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TrainingFragment;
    use inkling_augment::{AugmentSettings, TrainTransform};
    use inkling_fragment::{Error as FileError, Region, Volume};
    use ndarray::{Array2, Array3};
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Fails at its `n`th reading, by an error or by a panic.
    struct Failing {
        readings: AtomicUsize,
        at: usize,
        panics: bool,
    }

    impl Volume for Failing {
        fn shape(&self) -> [usize; 3] {
            [4, 64, 64]
        }

        fn read(&self, region: &Region) -> Result<Array3<u16>, FileError> {
            let reading = self.readings.fetch_add(1, Ordering::Relaxed) + 1;
            assert!(!(self.panics && reading == self.at), "a torn codec");
            if reading == self.at {
                return Err(FileError::Io {
                    path: "scan/03.tif".into(),
                    source: std::io::Error::other("a torn file"),
                });
            }
            Ok(Array3::from_elem(region.shape(), reading as u16))
        }
    }

    fn training_set(volume: Box<dyn Volume>) -> TrainingSet {
        let set = || Array2::from_elem((64, 64), true);
        let fragment = TrainingFragment::new("scan", volume, 0..4, set(), set(), None);
        let transform = TrainTransform::new(AugmentSettings::default(), 8, 3).unwrap();
        TrainingSet::new(vec![fragment], transform, 3).unwrap()
    }

    fn all(
        training_set: &TrainingSet,
        threads: usize,
        makers: usize,
        ahead: usize,
    ) -> Vec<Result<Sample, Error>> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            rayon::in_place_scope(|scope| {
                let indices: Vec<usize> = (0..23).map(|place| 2 * place).collect();
                let mut loader = Loader::start(scope, training_set, 1, &indices, makers, ahead);
                let mut samples = Vec::new();
                while let Some(sample) = loader.next_sample() {
                    if let Ok(sample) = &sample {
                        loader.give_back(sample.clone());
                    }
                    samples.push(sample);
                }
                samples
            })
        })
    }

    #[test]
    fn threads_and_makers_change_no_sample_and_no_order() {
        let voxel = |(z, y, x)| (z * 9_001 + y * 433 + x * 71) as u16;
        let training_set = training_set(Box::new(Array3::from_shape_fn((4, 64, 64), voxel)));
        let expected = all(&training_set, 1, 0, 1);
        assert_eq!(expected.len(), 23);
        for (threads, makers, ahead) in [(1, 1, 4), (2, 1, 1), (3, 2, 30), (4, 4, 2)] {
            let found = all(&training_set, threads, makers, ahead);
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(&expected) {
                let (found, expected) = (found.as_ref().unwrap(), expected.as_ref().unwrap());
                assert_eq!(found.volume, expected.volume);
                assert_eq!(found.labels, expected.labels);
            }
        }
    }

    #[test]
    fn a_reading_that_fails_is_one_samples_error_with_its_cause() {
        for (panics, cause) in [(true, "a torn codec"), (false, "a torn file")] {
            for (threads, makers) in [(1, 0), (2, 1), (4, 3)] {
                let volume = Failing {
                    readings: AtomicUsize::new(0),
                    at: 7,
                    panics,
                };
                let samples = all(&training_set(Box::new(volume)), threads, makers, 3);
                assert_eq!(samples.len(), 23);
                let failed: Vec<String> = samples
                    .iter()
                    .filter_map(|sample| Some(sample.as_ref().err()?.to_string()))
                    .collect();
                assert_eq!(failed.len(), 1, "{failed:?}");
                assert!(failed[0].contains(cause), "{failed:?}");
                assert!(failed[0].contains("scan"), "{failed:?}");
            }
        }
    }

    #[test]
    fn stopping_early_ends_the_makers() {
        let training_set = training_set(Box::new(Array3::from_elem((4, 64, 64), 1)));
        rayon::in_place_scope(|scope| {
            let indices: Vec<usize> = (0..1_000_000).collect();
            let mut loader = Loader::start(scope, &training_set, 0, &indices, 2, 1_000_000);
            assert!(loader.next_sample().unwrap().is_ok());
        });
    }
}
