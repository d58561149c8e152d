//! Times the training transforms: `cargo bench -p inkling-augment --bench samples`. With
//! `-- --json` the figures come as one JSON object, for `oracles/bench_augment.py`.

use std::time::Instant;

use cpu_time::ThreadTime;
use inkling_augment::{
    AugmentSettings, CropSettings, Degradation, GaussianBlur, GaussianNoise, MotionBlur, Params,
    SampleKey, Scratch, Source, TrainTransform,
};
use inkling_fragment::Columns;
use ndarray::{Array2, Array3};
use serde_json::json;

/// Side and depth of the crop, and side of the patch, as the bench beside albumentations has them.
const CROP: usize = 480;
const SIDE: usize = 384;
const DEPTH: usize = 18;
const SAMPLES: u64 = 200;

struct Sheet {
    volume: Columns,
    mask: Array2<bool>,
    labels: Array2<bool>,
}

impl Sheet {
    fn new() -> Self {
        let voxel =
            |(z, y, x)| (((z * 73_856_093) ^ (y * 19_349_663) ^ (x * 83_492_791)) % 60_000) as u16;
        Self {
            volume: Columns::from_layers(Array3::from_shape_fn((24, 900, 900), voxel).view()),
            mask: Array2::from_elem((900, 900), true),
            labels: Array2::from_shape_fn((900, 900), |(y, x)| (y / 20 + x / 30) % 3 == 0),
        }
    }

    fn source(&self) -> Source<'_> {
        Source {
            volume: &self.volume,
            mask: &self.mask,
            labels: Some(&self.labels),
            supervision: None,
            z: 3..21,
        }
    }
}

/// Crops of one size, everything else as by default.
fn transform() -> TrainTransform {
    let scale = CROP as f64 / SIDE as f64;
    let settings = AugmentSettings {
        crop: CropSettings {
            scale: [scale, scale],
            ratio: [1.0, 1.0],
            z_scale_limit: 1.0,
            ..CropSettings::default()
        },
        ..AugmentSettings::default()
    };
    TrainTransform::new(settings, SIDE, DEPTH).expect("good settings")
}

fn key(index: u64) -> SampleKey {
    SampleKey {
        seed: 7,
        epoch: 0,
        index,
    }
}

/// Milliseconds of each sample, on the clock and of the processor; the latter leave out what others on
/// the machine take.
fn times(sheet: &Sheet, first: u64, step: usize) -> Vec<[f64; 2]> {
    let (transform, source, scratch) = (transform(), sheet.source(), &mut Scratch::default());
    let mut sample = |index| {
        let began = (Instant::now(), ThreadTime::now());
        let sample = transform.sample(&source, key(index), scratch);
        scratch.recycle(std::hint::black_box(sample.expect("a sample")));
        [began.0.elapsed(), began.1.elapsed()].map(|time| time.as_secs_f64() * 1e3)
    };
    sample(first);
    (first..SAMPLES).step_by(step).map(sample).collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Milliseconds a sample takes when two threads work.
fn two_threads(sheet: &Sheet) -> f64 {
    let began = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..2 {
            scope.spawn(move || times(sheet, thread, 2));
        }
    });
    began.elapsed().as_secs_f64() * 1e3 / (SAMPLES + 2) as f64
}

/// Fewest milliseconds of the processor for a sample with one transform alone.
fn one_by_one(sheet: &Sheet) -> Vec<(&'static str, f64)> {
    let crop = || Params::crop((100, CROP), (100, CROP), (3, DEPTH));
    let degraded = |degradation| Params {
        degradation: Some(degradation),
        ..crop()
    };
    let cases = [
        ("resize", crop()),
        (
            "rotation",
            Params {
                rotation: Some(30.0),
                ..crop()
            },
        ),
        (
            "noise",
            degraded(Degradation::Noise(GaussianNoise {
                deviation: 5.0,
                seed: 1,
            })),
        ),
        (
            "gaussian blur 7",
            degraded(Degradation::GaussianBlur(GaussianBlur { size: 7 })),
        ),
        (
            "motion blur 7",
            degraded(Degradation::MotionBlur(MotionBlur {
                size: 7,
                from: [0, 1],
                to: [6, 5],
            })),
        ),
    ];
    let (transform, source, scratch) = (transform(), sheet.source(), &mut Scratch::default());
    let mut time = |params: &Params| {
        let began = ThreadTime::now();
        let sample = transform.apply(&source, params, scratch);
        scratch.recycle(std::hint::black_box(sample.expect("a sample")));
        began.elapsed().as_secs_f64() * 1e3
    };
    let mut measure = |params: &Params| (0..40).map(|_| time(params)).fold(f64::INFINITY, f64::min);
    cases
        .iter()
        .map(|(name, params)| (*name, measure(params)))
        .collect()
}

fn main() {
    let sheet = Sheet::new();
    let one = times(&sheet, 0, 1);
    let [clock, processor] = [0, 1].map(|kind| {
        let times: Vec<f64> = one.iter().map(|times| times[kind]).collect();
        let mean = times.iter().sum::<f64>() / times.len() as f64;
        [median(times), mean]
    });
    let (two, single) = (two_threads(&sheet), one_by_one(&sheet));
    if std::env::args().any(|argument| argument == "--json") {
        let figures = json!({
            "one_thread_ms": clock[0],
            "one_thread_mean_ms": clock[1],
            "one_thread_processor_ms": processor[0],
            "one_thread_mean_processor_ms": processor[1],
            "two_threads_ms": two,
        });
        println!("{figures}");
        return;
    }
    println!(
        "one thread: {:.2} ms a sample (median), {:.2} (mean); of the processor {:.2}, {:.2}; \
         two threads: {two:.2}",
        clock[0], clock[1], processor[0], processor[1]
    );
    for (name, time) in single {
        println!("{name:>16}: {time:.2} ms");
    }
}
