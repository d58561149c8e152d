use ndarray::{Array2, Array3};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

use crate::crop_stage::CropStage;
use crate::error::Error;
use crate::range_checks::{require, within};
use crate::settings_group::settings;
use crate::transform::{Transform, Variant};

/// Rotation about the x axis, which moves voxels between layers.
pub struct Tilt;

settings! {
    /// Settings of the rotation about the x axis.
    pub struct TiltSettings {
        /// Rotation about the x axis.
        "tilt" probability: f64 = 0.0,
        /// Its largest angle, in degrees.
        "tilt_limit" limit: f64 = 3.0,
    }
}

impl Transform for Tilt {
    type Settings = TiltSettings;
    type Draw = Option<f64>;
    const GALLERY: &'static [Variant<Self::Draw>] = &[Variant::of_any("tilt")];
    const CHANGES_CROP: bool = true;
    const BEFORE_RESIZE: bool = true;

    fn check(settings: &TiltSettings, _side: usize) -> Result<(), Error> {
        let limit = settings.limit;
        require("tilt_limit", limit, within(limit, 90.0), "0 to 90")
    }

    fn draw(settings: &TiltSettings, _side: usize, random: &mut ChaCha8Rng) -> Option<f64> {
        Some(random.random_range(-settings.limit..=settings.limit))
    }

    fn describe(draw: &Option<f64>) -> Option<String> {
        draw.map(|degrees| format!("tilted by {degrees:.1}°"))
    }

    fn crop(draw: &Option<f64>, stage: CropStage) -> CropStage {
        let Some(degrees) = *draw else { return stage };
        let depth = stage.volume.dim().0;
        CropStage {
            volume: tilt(&stage.volume, degrees),
            labels: tilt_mask(&stage.labels, depth, degrees),
            validity: tilt_mask(&stage.validity, depth, degrees),
            supervision: (stage.supervision).map(|mask| tilt_mask(&mask, depth, degrees)),
        }
    }
}

/// Rotates a crop about the x axis through its middle, trilinearly; what comes from beyond the crop
/// is 0. A positive angle brings the crop's last rows to deeper layers.
fn tilt(volume: &Array3<u16>, degrees: f64) -> Array3<u16> {
    let turn = Turn::new(degrees, volume.dim());
    Array3::from_shape_fn(volume.dim(), |(z, y, x)| {
        let [z, y] = turn.source(z, y);
        bilinear(volume, z, y, x)
    })
}

/// The same of a mask, which reaches through all layers: it is set where any layer of the rotated
/// one is.
fn tilt_mask(mask: &Array2<bool>, depth: usize, degrees: f64) -> Array2<bool> {
    let (height, width) = mask.dim();
    let turn = Turn::new(degrees, (depth, height, width));
    let mut tilted = Array2::from_elem((height, width), false);
    for (y, mut row) in tilted.outer_iter_mut().enumerate() {
        for z in 0..depth {
            let [from_z, from_y] = turn.source(z, y);
            let (layer, line) = (from_z.round(), from_y.round());
            let inside = layer >= 0.0 && layer < depth as f64 && line >= 0.0;
            if !inside || line >= height as f64 {
                continue;
            }
            row.zip_mut_with(&mask.row(line as usize), |set, &papyrus| *set |= papyrus);
        }
    }
    tilted
}

/// The rotation, read backwards.
struct Turn {
    cos: f64,
    sin: f64,
    centre: [f64; 2],
}

impl Turn {
    fn new(degrees: f64, (depth, height, _): (usize, usize, usize)) -> Self {
        let (sin, cos) = degrees.to_radians().sin_cos();
        let centre = [depth, height].map(|size| (size as f64 - 1.0) / 2.0);
        Self { cos, sin, centre }
    }

    /// Layer and row that a voxel comes from.
    fn source(&self, z: usize, y: usize) -> [f64; 2] {
        let (z, y) = (z as f64 - self.centre[0], y as f64 - self.centre[1]);
        [
            self.centre[0] + self.cos * z - self.sin * y,
            self.centre[1] + self.sin * z + self.cos * y,
        ]
    }
}

fn bilinear(volume: &Array3<u16>, z: f64, y: f64, x: usize) -> u16 {
    let (below, above) = (z.floor(), y.floor());
    let at = |z: f64, y: f64| {
        let inside = z >= 0.0 && y >= 0.0;
        let voxel = inside.then(|| volume.get((z as usize, y as usize, x)));
        f64::from(voxel.flatten().copied().unwrap_or(0))
    };
    let (deeper, lower) = (z - below, y - above);
    let first = at(below, above) * (1.0 - lower) + at(below, above + 1.0) * lower;
    let second = at(below + 1.0, above) * (1.0 - lower) + at(below + 1.0, above + 1.0) * lower;
    (first * (1.0 - deeper) + second * deeper).round() as u16
}
