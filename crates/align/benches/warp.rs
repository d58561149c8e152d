//! Times the warp of a volume that lies in memory, without a program or Python around it:
//! `cargo bench -p inkling-align --bench warp`; with `-- --json` as `oracles/bench_python.py` reads it, which warps the
//! same volume by the same maps.

use std::sync::Arc;
use std::time::Instant;

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
    let volume = Array3::from_shape_fn(SIZE, voxel);
    let maps = DepthMaps {
        z_shift: Array2::from_shape_fn((height, width), shift),
        z_scale: Array2::from_elem((height, width), SCALE),
    };
    let warped = Warped::new(&volume, Arc::new(maps), SIZE[0]).expect("maps of the volume's size");
    let warp = |layers: &mut Array3<u16>| {
        for first in (0..height).step_by(ROWS) {
            let rows = first..height.min(first + ROWS);
            let region = Region::new(TARGET, rows.clone(), 0..width);
            let block = layers.slice_mut(s![.., rows, ..]);
            warped.read_into(&region, block).expect("voxels in memory");
        }
    };
    let shape = (TARGET.len(), height, width);
    let mut layers = Array3::zeros(shape);
    let seconds = least(|| warp(&mut layers));
    let allocating_seconds = least(|| warp(&mut Array3::zeros(shape)));
    if std::env::args().any(|argument| argument == "--json") {
        println!(r#"{{"seconds": {seconds}, "allocating_seconds": {allocating_seconds}}}"#);
        return;
    }
    println!(
        "warp of {SIZE:?} to {} layers: {seconds:.4} s into memory that is there, {allocating_seconds:.4} s into new \
         memory, the least of {ROUNDS}",
        TARGET.len(),
    );
}

/// Noise of 16 bits.
fn voxel((z, y, x): (usize, usize, usize)) -> u16 {
    (((z * 73_856_093) ^ (y * 19_349_663) ^ (x * 83_492_791)) % 60_000) as u16
}

/// A sheet that waves by six layers.
fn shift((y, x): (usize, usize)) -> f32 {
    3.0 * ((y as f32 / 90.0).sin() + (x as f32 / 130.0).cos())
}

const SCALE: f32 = 1.02;

/// Seconds of the fastest call.
fn least(mut work: impl FnMut()) -> f64 {
    let seconds = (0..ROUNDS).map(|_| {
        let began = Instant::now();
        work();
        began.elapsed().as_secs_f64()
    });
    seconds.fold(f64::INFINITY, f64::min)
}
