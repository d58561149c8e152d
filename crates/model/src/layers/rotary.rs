use burn::tensor::{Device, Tensor, TensorData};
use inkling_kernels::rope;

use super::Constant;

/// Rotary positions (Su et al., *RoFormer*) over a square grid of patches: each pair of features
/// is rotated by an angle that grows with the row (first half of the pairs) or the column (second
/// half). Distances are measured on a grid of pretraining, so that larger images are rotated no further
/// than smaller ones (Fang et al., *EVA-02*).
#[derive(Clone, Debug)]
pub struct Rotary {
    grid: usize,
    reference: usize,
    width: usize,
    angles: Constant<Device, RotaryAngles>,
}

/// By which the features of each patch's heads are rotated, pair by pair of neighbours.
#[derive(Clone, Debug)]
pub struct RotaryAngles {
    /// `[patches, width]`.
    sines: Tensor<2>,
    cosines: Tensor<2>,
}

/// The slowest pair is rotated by one radian in this many patches.
const TEMPERATURE: f64 = 10_000.0;

impl Rotary {
    /// For `grid × grid` patches and heads of `width` features (a multiple of 4); positions are
    /// scaled as if the grid were `reference × reference`.
    pub fn new(grid: usize, reference: usize, width: usize) -> Self {
        Self {
            grid,
            reference,
            width,
            angles: Constant::default(),
        }
    }

    /// The angles of every patch, row by row.
    pub fn angles(&self, device: &Device) -> RotaryAngles {
        self.angles.of(device.clone(), || self.tables(device))
    }

    fn tables(&self, device: &Device) -> RotaryAngles {
        let patches =
            (0..self.grid).flat_map(|row| (0..self.grid).map(move |column| [row, column]));
        let pairs = patches.flatten().flat_map(|place| self.line(place));
        let angles: Vec<f32> = pairs.flat_map(|angle| [angle; 2]).collect();
        RotaryAngles::new(&angles, self.width, device)
    }

    /// The angles of an axis's pairs at one of its patches.
    fn line(&self, place: usize) -> impl Iterator<Item = f32> + use<> {
        // timm rounds at each of these steps.
        let place = place as f32 / self.grid as f32 * self.reference as f32;
        self.bands().map(move |band| place * band)
    }

    /// Radians per patch of an axis's pairs.
    fn bands(&self) -> impl Iterator<Item = f32> + use<> {
        let count = self.width / 4;
        (0..count).map(move |band| TEMPERATURE.powf(-(band as f64) / count as f64) as f32)
    }
}

impl RotaryAngles {
    /// Of `angles` in radians, `[patches, width]`. Those of a pair are mostly the same; where they are not, each rotates
    /// its own feature.
    pub fn new(angles: &[f32], width: usize, device: &Device) -> Self {
        let table = |function: fn(f32) -> f32| {
            let values: Vec<f32> = angles.iter().map(|&angle| function(angle)).collect();
            let shape = [angles.len() / width, width];
            Tensor::from_data(TensorData::new(values, shape), device)
        };
        Self {
            sines: table(f32::sin),
            cosines: table(f32::cos),
        }
    }

    /// Rotates every pair of neighbouring features among the first `rotary`; positions before the
    /// patches, which lie nowhere in the image, stay as they are.
    ///
    /// # Shapes
    /// - input and output: `[batch, positions, features]`, heads one after another
    pub fn rotate(&self, input: Tensor<3>, rotary: usize) -> Tensor<3> {
        rope(input, self.sines.clone(), self.cosines.clone(), rotary)
    }
}
