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
    angles: Constant<Device, Angles>,
}

/// Sines and cosines, each `[patches, width]`.
#[derive(Clone, Debug)]
pub struct Angles {
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
    pub fn angles(&self, device: &Device) -> Angles {
        self.angles.of(device.clone(), || self.tables(device))
    }

    fn tables(&self, device: &Device) -> Angles {
        let lines: Vec<Vec<[f32; 2]>> = (0..self.grid).map(|place| self.line(place)).collect();
        let table = |part: usize| {
            let patches =
                (0..self.grid).flat_map(|row| (0..self.grid).map(move |column| [row, column]));
            let pairs = patches.flatten().flat_map(|place| &lines[place]);
            let values: Vec<f32> = pairs.flat_map(|pair| [pair[part]; 2]).collect();
            let shape = [self.grid * self.grid, self.width];
            Tensor::from_data(TensorData::new(values, shape), device)
        };
        Angles {
            sines: table(0),
            cosines: table(1),
        }
    }

    /// Sine and cosine of an axis's pairs at one of its patches.
    fn line(&self, place: usize) -> Vec<[f32; 2]> {
        // timm rounds at each of these steps.
        let place = place as f32 / self.grid as f32 * self.reference as f32;
        let angles = self.bands().map(|band| (place * band).sin_cos());
        angles.map(|(sine, cosine)| [sine, cosine]).collect()
    }

    /// Radians per patch of an axis's pairs.
    fn bands(&self) -> impl Iterator<Item = f32> + use<> {
        let count = self.width / 4;
        (0..count).map(move |band| TEMPERATURE.powf(-(band as f64) / count as f64) as f32)
    }
}

impl Angles {
    /// Rotates every pair of neighbouring features among the first `rotary`; positions before the
    /// patches, which lie nowhere in the image, stay as they are.
    ///
    /// # Shapes
    /// - input and output: `[batch, positions, features]`, heads one after another
    pub fn rotate(&self, input: Tensor<3>, rotary: usize) -> Tensor<3> {
        rope(input, self.sines.clone(), self.cosines.clone(), rotary)
    }
}
