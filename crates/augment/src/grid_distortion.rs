use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::border::Mirror;
use crate::error::Error;
use crate::place_maps::PlaceMaps;
use crate::range_checks::{require, within};
use crate::settings_group::settings;
use crate::transform::{Transform, Variant};

/// Stretches the steps of a grid: albumentations' `GridDistortion`, whose cells are stretched
/// independently along both axes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GridDistortion {
    /// Factors on the height of the grid's cells, one more than there are steps.
    pub y: Vec<f64>,
    /// Factors on the width of the grid's cells.
    pub x: Vec<f64>,
}

settings! {
    /// Settings of the grid distortion.
    pub struct GridDistortionSettings {
        /// A grid with stretched cells.
        "grid_distortion" probability: f64 = 0.5,
        /// Cells along each side of the grid.
        "grid_steps" steps: usize = 5,
        /// Largest change of a cell's side, as a factor away from 1.
        "grid_limit" limit: f64 = 0.3,
    }
}

impl Transform for GridDistortion {
    type Settings = GridDistortionSettings;
    type Draw = Option<Self>;
    const GALLERY: &'static [Variant<Self::Draw>] = &[Variant::of_any("grid distortion")];

    fn check(settings: &GridDistortionSettings, side: usize) -> Result<(), Error> {
        let steps = settings.steps;
        let holds = (1..=side).contains(&steps);
        let expected = "at least 1 and at most the patch's side";
        require("grid_steps", steps, holds, expected)?;
        let limit = settings.limit;
        require("grid_limit", limit, within(limit, 1.0), "0 to 1")
    }

    fn draw(
        settings: &GridDistortionSettings,
        _side: usize,
        random: &mut ChaCha8Rng,
    ) -> Option<Self> {
        let limit = settings.limit;
        let mut factors = || {
            let factor = |_| 1.0 + random.random_range(-limit..=limit);
            (0..=settings.steps).map(factor).collect()
        };
        Some(Self {
            x: factors(),
            y: factors(),
        })
    }

    fn describe(draw: &Option<Self>) -> Option<String> {
        draw.as_ref().map(|_| "stretched in cells".to_owned())
    }

    fn geometry(draw: &Option<Self>, maps: &mut PlaceMaps) {
        if let Some(grid) = draw {
            let [height, width] = maps.size();
            maps.stretch([stretched(height, &grid.y), stretched(width, &grid.x)]);
        }
    }
}

/// Where the pixels of an axis of `side` px come from, within 0 to `side` − 1: cell after cell, each
/// `factors[i]` times as long as it was. What remains after the last whole cell is taken from up to
/// the far edge, as albumentations 1.3 does.
fn stretched(side: usize, factors: &[f64]) -> Vec<f64> {
    let step = side / (factors.len() - 1);
    let mut places = vec![0.0; side];
    let mirror = Mirror::new(side);
    let mut from = 0.0;
    for (cell, factor) in factors.iter().enumerate() {
        let start = cell * step;
        let whole = start + step <= side;
        let (end, to) = match whole {
            true => (start + step, from + step as f64 * factor),
            false => (side, side as f64),
        };
        let pixels = end - start;
        for (index, place) in places[start..end].iter_mut().enumerate() {
            // numpy.linspace with both ends.
            let share = index as f64 / (pixels.max(2) - 1) as f64;
            let found = (from + (to - from) * share) as f32;
            *place = mirror.reflect(f64::from(found));
        }
        from = to;
    }
    places
}
