use ndarray::Array2;
use rayon::prelude::*;

use crate::Curve;
use crate::cells::Cells;
use crate::lattice::Lattice;

/// A patch counts with at least this share of papyrus.
const LEAST_PAPYRUS: f64 = 0.05;
/// A layer of a patch's curve counts when at least this share of its papyrus shows it.
const LEAST_SHOWN: f64 = 0.5;
/// Layers of the target beyond both ends of its curve that patches' curves reach.
pub(crate) const MARGIN: usize = 16;

/// Where every cell of the sheet lies in depth: a layer `z` of the scan belongs to
/// `z × scale + shift`.
#[derive(Clone, Debug)]
pub(crate) struct Depths {
    pub scale: f64,
    /// Shift of each cell, (row, column), in layers of the target.
    pub shift: Array2<f32>,
}

/// Overlapping square patches, half their side apart, with their curves laid onto the target.
#[derive(Clone, Debug)]
pub(crate) struct Patches {
    pub rows: usize,
    pub columns: usize,
    pub list: Vec<Patch>,
    /// From one patch to the next, in pixels.
    pub step: f64,
}

#[derive(Clone, Debug)]
pub(crate) struct Patch {
    /// Papyrus in it, 0 to 1.
    pub papyrus: f64,
    /// Papyrus by which the patch counts; 0 leaves it out.
    pub weight: f64,
    /// Mean intensity on the target's layers from −[`MARGIN`] on; NaN where not measured.
    pub curve: Curve,
}

impl Patches {
    /// Patches of 2 × `half` cells, measured along `depths`, for a target of `layers` layers.
    pub fn new(cells: &Cells, half: usize, depths: &Depths, layers: usize) -> Self {
        let (down, across) = cells.grid();
        let (down, across) = (down.div_ceil(half), across.div_ceil(half));
        let blocks: Vec<Block> = (0..down * across)
            .into_par_iter()
            .map(|i| Block::new(cells, half, (i / across, i % across), depths, layers))
            .collect();
        let (rows, columns) = (
            down.saturating_sub(1).max(1),
            across.saturating_sub(1).max(1),
        );
        let full = (4 * half * half * cells.side * cells.side) as f64;
        let list = (0..rows * columns)
            .into_par_iter()
            .map(|i| {
                let (row, column) = (i / columns, i % columns);
                let members = (row..down.min(row + 2))
                    .flat_map(|row| (column..across.min(column + 2)).map(move |c| (row, c)));
                let members = members.map(|(row, column)| &blocks[row * across + column]);
                Patch::joined(members, full, layers)
            })
            .collect();
        Self {
            rows,
            columns,
            list,
            step: (half * cells.side) as f64,
        }
    }

    /// Up to about `most` evenly spread ones of the patches of [`Patches::new`], without
    /// neighbours.
    pub fn sample(
        cells: &Cells,
        half: usize,
        depths: &Depths,
        layers: usize,
        most: usize,
    ) -> Vec<Patch> {
        let (down, across) = cells.grid();
        let (rows, columns) = (down.div_ceil(half), across.div_ceil(half));
        let full = (4 * half * half * cells.side * cells.side) as f64;
        // Evenly spread both ways; patches in the sample do not overlap.
        let every = ((rows * columns) as f64 / most as f64)
            .sqrt()
            .ceil()
            .max(2.0) as usize;
        let places = (0..rows.saturating_sub(1).max(1))
            .step_by(every)
            .flat_map(|row| {
                let columns = (0..columns.saturating_sub(1).max(1)).step_by(every);
                columns.map(move |column| (row, column))
            });
        let places: Vec<(usize, usize)> = places.collect();
        let patches = places.into_par_iter().map(|(row, column)| {
            let members = (row..rows.min(row + 2))
                .flat_map(|row| (column..columns.min(column + 2)).map(move |c| (row, c)));
            let blocks: Vec<Block> = members
                .map(|place| Block::new(cells, half, place, depths, layers))
                .collect();
            Patch::joined(blocks.iter(), full, layers)
        });
        patches.filter(|patch| patch.weight > 0.0).collect()
    }

    /// `values`, one per patch, as a lattice over the sheet.
    pub fn lattice(&self, values: &[f64]) -> Lattice {
        let values = values.iter().map(|&value| value as f32).collect();
        Lattice {
            values: Array2::from_shape_vec((self.rows, self.columns), values)
                .expect("one value per patch"),
            origin: self.step,
            step: self.step,
        }
    }

    /// Centre of patch `index`, in pixels (y, x).
    pub fn centre(&self, index: usize) -> [f64; 2] {
        [index / self.columns, index % self.columns].map(|i| (i + 1) as f64 * self.step)
    }

    /// The patches whose weight is above 0.
    pub fn used(&self) -> impl Iterator<Item = &Patch> {
        self.list.iter().filter(|patch| patch.weight > 0.0)
    }

    /// The values of the patches that count.
    pub fn of_used(&self, values: &[f64]) -> Vec<f64> {
        let pairs = self.list.iter().zip(values);
        let used = pairs.filter(|(patch, _)| patch.weight > 0.0);
        used.map(|(_, &value)| value).collect()
    }

    /// Up to four neighbours of patch `index`.
    pub fn neighbours(&self, index: usize) -> impl Iterator<Item = usize> {
        let (row, column) = (index / self.columns, index % self.columns);
        let (rows, columns) = (self.rows, self.columns);
        let all = [
            (row > 0).then(|| index - columns),
            (row + 1 < rows).then(|| index + columns),
            (column > 0).then(|| index - 1),
            (column + 1 < columns).then(|| index + 1),
        ];
        all.into_iter().flatten()
    }
}

/// A quarter of a patch.
struct Block {
    pixels: f64,
    sums: Vec<f64>,
    counts: Vec<f64>,
}

impl Block {
    fn new(
        cells: &Cells,
        half: usize,
        (row, column): (usize, usize),
        depths: &Depths,
        layers: usize,
    ) -> Self {
        let length = layers + 2 * MARGIN;
        let mut block = Self {
            pixels: 0.0,
            sums: vec![0.0; length],
            counts: vec![0.0; length],
        };
        let (rows, columns) = cells.clip(
            row * half..(row + 1) * half,
            column * half..(column + 1) * half,
        );
        for place in rows.flat_map(|row| columns.clone().map(move |column| (row, column))) {
            let depth = (depths.scale, f64::from(depths.shift[place]));
            let first = -(MARGIN as f64);
            block.pixels += f64::from(cells.papyrus[place]);
            cells.add_aligned(place, depth, first, &mut block.sums, &mut block.counts);
        }
        block
    }
}

impl Patch {
    fn joined<'a>(blocks: impl Iterator<Item = &'a Block>, full: f64, layers: usize) -> Self {
        let length = layers + 2 * MARGIN;
        let (mut sums, mut counts, mut pixels) = (vec![0.0; length], vec![0.0; length], 0.0);
        for block in blocks {
            pixels += block.pixels;
            for u in 0..length {
                sums[u] += block.sums[u];
                counts[u] += block.counts[u];
            }
        }
        let papyrus = pixels / full;
        let mean = |u: usize| match counts[u] >= LEAST_SHOWN * pixels && pixels > 0.0 {
            true => sums[u] / counts[u],
            false => f64::NAN,
        };
        let curve = Curve::new((0..length).map(mean).collect());
        let measured = curve.values().iter().any(|value| value.is_finite());
        let weight = match measured && papyrus >= LEAST_PAPYRUS {
            true => papyrus,
            false => 0.0,
        };
        Self {
            papyrus,
            weight,
            curve,
        }
    }
}
