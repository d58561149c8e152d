use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use burn::tensor::Device;
use inkling_augment::TestTransform;
use inkling_fragment::{Panic, Volume};
use ndarray::{Array3, ArrayView3};
use serde::Serialize;

use crate::batch_backoff::with_batch_backoff;
use crate::ordered_pipeline::OrderedPipeline;
use crate::tile_inference::TileInference;
use crate::{Channels, Error, Member, PredictSettings};

/// Most threads that read tiles for a device.
const READERS: usize = 2;

/// Infers tiles with an ensemble: reads ahead, passes each tile through every network in every
/// [`Pass`](crate::Pass) of the test-time augmentation, and averages.
pub struct Predictor<'a> {
    /// The networks.
    pub members: &'a [Member],
    /// The device that the networks are on.
    pub device: &'a Device,
    /// Reads a tile's voxels and normalises them.
    pub transform: TestTransform,
    /// Side of a tile, in pixels.
    pub image_size: usize,
    /// Test-time augmentation, batch and precision.
    pub settings: &'a PredictSettings,
    /// The images that are made of each tile.
    pub channels: Channels,
}

/// Takes a tile's place in the list, and its images (channel, y, x).
pub type TileSink<'a> = dyn FnMut(usize, ArrayView3<f32>) -> Result<(), Error> + 'a;

/// Where the time went, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Timings {
    /// From reading the first tile to blending or writing the last.
    pub whole: f64,
    /// In the networks, as if the threads that call them were one.
    pub network: f64,
    /// Reading, aligning and normalising tiles, summed over the threads that read ahead.
    pub reading: f64,
    /// Blending the tiles' images, or writing them to disk.
    pub telling: f64,
}

/// Time that several threads spend.
#[derive(Default)]
struct Clock {
    nanoseconds: AtomicU64,
}

impl Clock {
    fn time<T>(&self, work: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let outcome = work();
        let nanoseconds = began.elapsed().as_nanos() as u64;
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
        outcome
    }

    fn seconds(&self) -> f64 {
        Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed)).as_secs_f64()
    }
}

/// One inference of many tiles: what its threads share.
struct InferenceRun<'a> {
    volume: &'a dyn Volume,
    places: &'a [(usize, usize)],
    inference: TileInference<'a>,
    network: Clock,
    reading: Clock,
    output: Clock,
}

impl Predictor<'_> {
    /// Infers the tiles of `volume` whose upper left pixels (y, x) are `places`, and gives `sink` the images
    /// of each, in this order.
    ///
    /// # Errors
    /// Bad settings, voxels that cannot be read, predictions that are NaN or infinite, a device whose
    /// memory holds not even one tile; those of `sink`.
    pub fn infer(
        &self,
        volume: &dyn Volume,
        places: &[(usize, usize)],
        sink: &mut TileSink,
    ) -> Result<Timings, Error> {
        self.settings.check()?;
        let began = Instant::now();
        let inference = TileInference::new(
            self.members,
            self.settings,
            self.channels,
            self.image_size,
            self.device,
        );
        let run = InferenceRun {
            volume,
            places,
            inference,
            network: Clock::default(),
            reading: Clock::default(),
            output: Clock::default(),
        };
        let callers = match *self.device == Device::flex() {
            true => {
                let callers = self.settings.batch.min(rayon::current_num_threads());
                self.one_by_one(&run, callers, sink)?;
                callers
            }
            false => {
                self.by_batches(&run, sink)?;
                1
            }
        };
        Ok(Timings {
            whole: began.elapsed().as_secs_f64(),
            network: run.network.seconds() / callers as f64,
            reading: run.reading.seconds(),
            telling: run.output.seconds(),
        })
    }

    /// The processor's way: every tile goes through the networks alone, several at a time on `callers`
    /// threads. The caches hold one, operations that do not share their work out keep no thread
    /// waiting, and what a tile comes to does not depend on those beside it: matrix products round
    /// differently for batches of different sizes.
    fn one_by_one(
        &self,
        run: &InferenceRun,
        callers: usize,
        sink: &mut TileSink,
    ) -> Result<(), Error> {
        let each = (rayon::current_num_threads() / callers).max(1);
        std::thread::scope(|scope| {
            let images = OrderedPipeline::start(scope, callers, run.places.len(), |caller| {
                let pool = (callers > 1)
                    .then(|| rayon::ThreadPoolBuilder::new().num_threads(each).build())
                    .and_then(Result::ok);
                let own = run.places.iter().skip(caller).step_by(callers);
                own.map(move |&place| match &pool {
                    Some(pool) => pool.install(|| self.infer_alone(run, place)),
                    None => self.infer_alone(run, place),
                })
            });
            for (first, images) in images.enumerate() {
                let images = images.map_err(|panic| fault(run, first, panic))?;
                self.emit(&images?, first, run, sink)?;
            }
            Ok(())
        })
    }

    /// Reads the tile at `place` and passes it through the networks.
    fn infer_alone(&self, run: &InferenceRun, place: (usize, usize)) -> Result<Vec<f32>, Error> {
        let tile = self.read(run, place)?;
        Ok(run.network.time(|| run.inference.infer(&[tile], 1)))
    }

    /// The way of devices that are fed by batches, as large as their memory allows.
    fn by_batches(&self, run: &InferenceRun, sink: &mut TileSink) -> Result<(), Error> {
        let mut limit = self.settings.batch;
        let due = run.places.len();
        let readers = READERS.min(rayon::current_num_threads() - 1);
        std::thread::scope(|scope| {
            let mut feed = match readers {
                0 => OrderedPipeline::start(scope, 1, due, |_| self.tiles(run, 0, 1)),
                _ => OrderedPipeline::aside(scope, readers, due, |reader| {
                    self.tiles(run, reader, readers)
                }),
            };
            let mut first = 0;
            while first < due {
                let mut tiles = Vec::new();
                for tile in feed.by_ref().take(limit) {
                    let place = first + tiles.len();
                    tiles.push(tile.map_err(|panic| fault(run, place, panic))??);
                }
                with_batch_backoff(tiles.len(), &mut limit, |range, limit| {
                    let own = &tiles[range.clone()];
                    let images = run.network.time(|| run.inference.infer(own, limit));
                    self.emit(&images, first + range.start, run, sink)
                })?;
                first += tiles.len();
            }
            Ok(())
        })
    }

    /// The tiles that reader number `reader` of `readers` reads.
    fn tiles<'w>(
        &'w self,
        run: &'w InferenceRun,
        reader: usize,
        readers: usize,
    ) -> impl Iterator<Item = Result<Array3<f32>, Error>> + Send + 'w {
        let own = run.places.iter().skip(reader).step_by(readers);
        own.map(|&place| self.read(run, place))
    }

    fn read(&self, run: &InferenceRun, (y, x): (usize, usize)) -> Result<Array3<f32>, Error> {
        let read = || self.transform.read(run.volume, y, x);
        run.reading.time(read).map_err(Error::from)
    }

    fn emit(
        &self,
        images: &[f32],
        first: usize,
        run: &InferenceRun,
        sink: &mut TileSink,
    ) -> Result<(), Error> {
        let side = self.image_size;
        let shape = (self.channels.count(self.members.len()), side, side);
        let size = shape.0 * side * side;
        for (index, images) in images.chunks_exact(size).enumerate() {
            let (y, x) = run.places[first + index];
            if images.iter().any(|value| !value.is_finite()) {
                return Err(Error::NotANumber { y, x });
            }
            let images = ArrayView3::from_shape(shape, images).expect("images of a tile");
            run.output.time(|| sink(first + index, images))?;
        }
        Ok(())
    }
}

/// The error of a worker that failed over the tile in `place` of the list.
fn fault(run: &InferenceRun, place: usize, panic: Panic) -> Error {
    let (y, x) = run.places[place];
    Error::Fault {
        what: format!("the tile at ({y}, {x})"),
        panic,
    }
}
