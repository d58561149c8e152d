//! Whether two scans show the same papyrus, told by their voxels alone.
//!
//! Winnowing, as for finding copied texts: every run of [`RUN`] neighbouring pixels of a layer is
//! hashed, and those whose hash is divisible by a power of two are remembered with their places.
//! Which runs are chosen depends on their pixels only, so two scans that share pixels remember the
//! same runs, whatever was cut away around them, whatever their masks, labels, names or formats.
//! Matches that agree in how the one scan lies on the other are counted.

use std::collections::HashMap;

use rayon::prelude::*;

use crate::{Error, Region, Volume};

/// Pixels of a run.
const RUN: usize = 32;
/// A run must have at least so many different grey levels: blank paper is alike everywhere.
const LEVELS: usize = 6;
/// Runs that are remembered of a scan, about, for each step and each way of making 8 bits.
const REMEMBERED: usize = 4096;
/// Volumes up to this size are read in all layers, larger ones in their middle layers only.
const ALL_LAYERS_BYTES: usize = 256 << 20;
/// Voxels that are read at once.
const BLOCK_BYTES: usize = 4 << 20;
/// Nearest-neighbour copies of so many times fewer pixels are recognised.
const STEPS: [usize; 4] = [1, 2, 3, 4];
/// Matches that must agree.
const ENOUGH: usize = 6;

/// What is remembered of a scan's voxels.
pub struct VoxelSketch {
    /// A run's hash, its step, and its place (y, x).
    runs: HashMap<u64, Run>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    step: usize,
    y: usize,
    x: usize,
}

/// How one scan lies on another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedVoxels {
    /// The other scan's first pixel lies at this row of the first, which may be outside of it.
    pub row: i64,
    /// The other scan's first pixel lies at this column of the first.
    pub column: i64,
    /// The other scan has one pixel for so many of the first, each way.
    pub step: usize,
    /// Runs of pixels that agree in this.
    pub matches: usize,
}

impl VoxelSketch {
    /// Reads `volume`, or the middle layers of a large one.
    ///
    /// # Errors
    /// Those of reading.
    pub fn of(volume: &dyn Volume) -> Result<Self, Error> {
        let [depth, height, width] = volume.shape();
        let layers = match 2 * depth * height * width <= ALL_LAYERS_BYTES {
            true => 0..depth,
            // Those that stay in the middle when the layers are reversed, too.
            false => (depth - 1) / 2..depth / 2 + 1,
        };
        // All scans of a size choose alike; of two sizes, the one's choice holds the other's.
        let pixels = layers.len() * height * width;
        let rarity = (pixels / REMEMBERED).max(1).next_power_of_two() as u64;
        let rows = (BLOCK_BYTES / (2 * layers.len() * width).max(1)).clamp(1, height);
        let mut runs = HashMap::new();
        for first in (0..height).step_by(rows) {
            let region = Region::new(layers.clone(), first..height.min(first + rows), 0..width);
            let voxels = volume.read(&region)?;
            let count = region.y.len();
            let found: Vec<(u64, Run)> = (0..layers.len() * count)
                .into_par_iter()
                .flat_map_iter(|line| {
                    let (layer, row) = (line / count, line % count);
                    let pixels = voxels.slice(ndarray::s![layer, row, ..]);
                    line_runs(first + row, &pixels.to_vec(), rarity)
                })
                .collect();
            for (hash, run) in found {
                runs.entry(hash).or_insert(run);
            }
        }
        Ok(Self { runs })
    }

    /// How `other` lies on this scan; `None` where they share no papyrus that could be recognised.
    pub fn shared_with(&self, other: &Self) -> Option<SharedVoxels> {
        let mut votes: HashMap<(i64, i64, usize), usize> = HashMap::new();
        for (hash, theirs) in &other.runs {
            let Some(ours) = self.runs.get(hash).filter(|_| theirs.step == 1) else {
                continue;
            };
            let place =
                |ours: usize, theirs: usize, step: usize| ours as i64 - (theirs * step) as i64;
            let row = place(ours.y, theirs.y, ours.step);
            let column = place(ours.x, theirs.x, ours.step);
            *votes.entry((row, column, ours.step)).or_default() += 1;
        }
        let best = votes
            .into_iter()
            .max_by_key(|&(place, count)| (count, place))?;
        let ((row, column, step), matches) = best;
        (matches >= ENOUGH).then_some(SharedVoxels {
            row,
            column,
            step,
            matches,
        })
    }
}

/// The runs of one line that are remembered.
fn line_runs(y: usize, line: &[u16], rarity: u64) -> Vec<(u64, Run)> {
    // A copy of 8 bits was made by one of these; 8 bits read as 16 give themselves in both.
    let upper = |value: u16| (value >> 8) as u8;
    let nearest = |value: u16| ((u32::from(value) + 128) / 257) as u8;
    let mut runs = Vec::new();
    for eight in [
        line.iter().map(|&v| upper(v)).collect::<Vec<u8>>(),
        line.iter().map(|&v| nearest(v)).collect(),
    ] {
        for step in STEPS {
            for first in 0..step.min(eight.len()) {
                let own: Vec<u8> = eight[first..].iter().copied().step_by(step).collect();
                for (place, hash) in rare_hashes(&own, rarity) {
                    let x = first + place * step;
                    runs.push((hash, Run { step, y, x }));
                }
            }
        }
    }
    runs
}

/// The places and hashes of the runs of `line` whose hash is divisible by `rarity`.
fn rare_hashes(line: &[u8], rarity: u64) -> Vec<(usize, u64)> {
    const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15 | 1;
    if line.len() < RUN {
        return Vec::new();
    }
    let highest = (0..RUN).fold(1_u64, |power, _| power.wrapping_mul(FACTOR));
    let mut sum = 0_u64;
    let mut found = Vec::new();
    for (end, &byte) in line.iter().enumerate() {
        sum = sum.wrapping_mul(FACTOR).wrapping_add(u64::from(byte) + 1);
        if end >= RUN {
            let gone = u64::from(line[end - RUN]) + 1;
            sum = sum.wrapping_sub(gone.wrapping_mul(highest));
        }
        if end + 1 < RUN {
            continue;
        }
        let hash = mixed(sum);
        let run = &line[end + 1 - RUN..=end];
        if hash.is_multiple_of(rarity) && has_texture(run) {
            found.push((end + 1 - RUN, hash));
        }
    }
    found
}

/// The finaliser of SplitMix64: every bit of the sum moves every bit of the hash.
fn mixed(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

fn has_texture(run: &[u8]) -> bool {
    let mut seen = [false; 256];
    run.iter()
        .for_each(|&level| seen[usize::from(level)] = true);
    seen.iter().filter(|&&seen| seen).count() >= LEVELS
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array3, s};

    /// Blurred noise: like papyrus, alike nowhere.
    fn scan(seed: u64) -> Array3<u16> {
        Array3::from_shape_fn((9, 150, 170), |(z, y, x)| {
            let place = ((z as u64) << 40) | ((y as u64) << 20) | x as u64;
            20_000 + (mixed(place ^ (seed << 56)) % 9000) as u16
        })
    }

    fn shared(ours: &Array3<u16>, theirs: Array3<u16>) -> Option<(i64, i64, usize)> {
        let found = VoxelSketch::of(ours).unwrap();
        let found = found.shared_with(&VoxelSketch::of(&theirs).unwrap());
        found.map(|found| (found.row, found.column, found.step))
    }

    #[test]
    fn copies_are_found_whatever_was_done_to_them() {
        let whole = scan(1);
        assert_eq!(shared(&whole, whole.clone()), Some((0, 0, 1)));
        let cut = whole.slice(s![.., 31..120, 17..150]).to_owned();
        assert_eq!(shared(&whole, cut.clone()), Some((31, 17, 1)));
        let reversed = whole.slice(s![..;-1, .., ..]).to_owned();
        assert_eq!(shared(&whole, reversed), Some((0, 0, 1)));
        let band = whole.slice(s![2..5, .., ..]).to_owned();
        assert_eq!(shared(&whole, band), Some((0, 0, 1)));
        let eight = whole.mapv(|voxel| (voxel >> 8) * 257);
        assert_eq!(shared(&whole, eight), Some((0, 0, 1)));
        let rounded = whole.mapv(|voxel| ((u32::from(voxel) + 128) / 257 * 257) as u16);
        assert_eq!(shared(&whole, rounded), Some((0, 0, 1)));
        let half = whole.slice(s![.., 1..;2, ..;2]).to_owned();
        assert_eq!(shared(&whole, half), Some((1, 0, 2)));
        let mut scribbled = cut;
        scribbled.slice_mut(s![.., 20..60, 20..80]).fill(0);
        assert_eq!(shared(&whole, scribbled), Some((31, 17, 1)));
    }

    #[test]
    fn other_scans_and_other_parts_are_not_found() {
        let whole = scan(1);
        for seed in 2..6 {
            assert_eq!(shared(&whole, scan(seed)), None);
        }
        let left = whole.slice(s![.., .., ..80]).to_owned();
        let right = whole.slice(s![.., .., 80..]).to_owned();
        assert_eq!(shared(&left, right), None);
        let blank = Array3::from_elem((9, 150, 170), 0);
        assert_eq!(shared(&blank, blank.clone()), None);
        let ramp = Array3::from_shape_fn((9, 150, 170), |(_, y, _)| 300 * y as u16);
        assert_eq!(shared(&ramp, ramp.clone()), None);
    }
}
