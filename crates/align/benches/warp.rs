//! Times the warp of a volume that lies in memory, without a program or Python around it:
//! `cargo bench -p inkling-align --bench warp`. Of the size that `oracles/bench_python.py` has, into memory that is
//! there already.

use std::sync::Arc;
use std::time::{Duration, Instant};

use inkling_align::Warped;
use inkling_fragment::{DepthMaps, Region};
use ndarray::{Array2, Array3, s};

/// Layers of the volume, and its sides in pixels.
const SIZE: [usize; 3] = [65, 1024, 1024];
/// Layers of the target.
const TARGET: std::ops::Range<usize> = 17..48;
/// Rows that are warped at once.
const ROWS: usize = 64;
const ROUNDS: usize = 40;

fn main() {
    let [_, height, width] = SIZE;
    let voxel =
        |(z, y, x)| (((z * 73_856_093) ^ (y * 19_349_663) ^ (x * 83_492_791)) % 60_000) as u16;
    let volume = Array3::from_shape_fn(SIZE, voxel);
    // A sheet that waves by six layers.
    let wave = |(y, x)| 6.0 * ((y as f32 / 90.0).sin() + (x as f32 / 130.0).cos()) / 2.0;
    let maps = DepthMaps {
        z_shift: Array2::from_shape_fn((height, width), wave),
        z_scale: Array2::from_elem((height, width), 1.02),
    };
    let warped = Warped::new(&volume, Arc::new(maps), SIZE[0]).expect("maps of the volume's size");
    let mut layers = Array3::zeros((TARGET.len(), height, width));
    let mut least = Duration::MAX;
    for _ in 0..ROUNDS {
        let began = Instant::now();
        for first in (0..height).step_by(ROWS) {
            let rows = first..height.min(first + ROWS);
            let region = Region::new(TARGET, rows.clone(), 0..width);
            let block = layers.slice_mut(s![.., rows, ..]);
            warped.read_into(&region, block).expect("voxels in memory");
        }
        least = least.min(began.elapsed());
    }
    println!(
        "warp of {SIZE:?} to {} layers: {:.4} s, the least of {ROUNDS}",
        TARGET.len(),
        least.as_secs_f64()
    );
}
