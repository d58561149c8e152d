//! Whether samples are there when the network wants them: `cargo bench -p inkling-train --bench loader`.
//! One worker makes the reference solution's samples (crops of half to twice 384 px, all transforms), while a
//! network that takes 100 ms for a batch of three is waited for. `-- MILLISECONDS` is another network.

use std::time::{Duration, Instant};

use inkling_augment::{AugmentSettings, TrainTransform};
use inkling_fragment::Columns;
use inkling_train::{Loader, TrainingFragment, TrainingSet};
use ndarray::{Array2, Array3};

const SIZE: usize = 1_200;
const BATCH: usize = 3;
const STEPS: usize = 50;

fn fragment() -> TrainingFragment {
    let voxel =
        |(z, y, x)| (((z * 73_856_093) ^ (y * 19_349_663) ^ (x * 83_492_791)) % 60_000) as u16;
    let layers = Array3::from_shape_fn((24, SIZE, SIZE), voxel);
    let volume = Box::new(Columns::from_layers(layers.view()));
    let mask = Array2::from_elem((SIZE, SIZE), true);
    let labels = Array2::from_shape_fn((SIZE, SIZE), |(y, x)| (y / 20 + x / 30) % 3 == 0);
    TrainingFragment::new("noise", volume, 0..24, mask, labels, None)
}

/// Milliseconds that each batch was waited for.
fn waits(training_set: &TrainingSet, network: Duration) -> Vec<f64> {
    let indices: Vec<usize> = (0..BATCH * STEPS).collect();
    rayon::in_place_scope(|scope| {
        let mut loader = Loader::start(scope, training_set, 0, &indices, 1, BATCH + 1);
        let step = |_| {
            let began = Instant::now();
            let batch: Vec<_> = (0..BATCH)
                .map(|_| loader.next_sample().expect("enough").expect("a sample"))
                .collect();
            let waited = began.elapsed().as_secs_f64() * 1e3;
            std::thread::sleep(network);
            batch.into_iter().for_each(|s| loader.give_back(s));
            waited
        };
        (0..STEPS).map(step).collect()
    })
}

fn main() {
    let asked = std::env::args().find_map(|argument| argument.parse().ok());
    let network = asked.unwrap_or(100);
    let settings = AugmentSettings::default();
    let transform = TrainTransform::new(settings, 384, 18).expect("good settings");
    let training_set = TrainingSet::new(vec![fragment()], transform, 1).expect("good training_set");
    // The first batch has nothing to hide behind.
    let mut waits = waits(&training_set, Duration::from_millis(network)).split_off(1);
    let total: f64 = waits.iter().sum();
    waits.sort_by(f64::total_cmp);
    println!(
        "a step of {network} ms waits for its {BATCH} samples: {:.2} ms (median), {:.2} (longest of \
         {}), {:.1} % of the time",
        waits[waits.len() / 2],
        waits[waits.len() - 1],
        waits.len(),
        100.0 * total / (total + (network as usize * waits.len()) as f64),
    );
}
