use burn::tensor::{Device, Tensor, TensorData};

/// Rotary positions (Su et al., *RoFormer*) over a square grid of patches: each pair of features
/// is turned by an angle that grows with the row (first half of the pairs) or the column (second
/// half). Distances are measured on a grid of pretraining, so that larger images turn no further
/// than smaller ones (Fang et al., *EVA-02*).
#[derive(Clone, Copy, Debug)]
pub struct Rotary {
    grid: usize,
    reference: usize,
    width: usize,
}

/// Sines and cosines, each `[1, 1, patches, width]`.
#[derive(Clone, Debug)]
pub struct Angles {
    sine: Tensor<4>,
    cosine: Tensor<4>,
}

/// The slowest pair turns by one radian in this many patches.
const TEMPERATURE: f64 = 10_000.0;

impl Rotary {
    /// For `grid × grid` patches and heads of `width` features (a multiple of 4); positions are
    /// scaled as if the grid were `reference × reference`.
    pub fn new(grid: usize, reference: usize, width: usize) -> Self {
        Self {
            grid,
            reference,
            width,
        }
    }

    /// The angles of every patch, row by row.
    pub fn angles(&self, device: &Device) -> Angles {
        let (mut sine, mut cosine) = (Vec::new(), Vec::new());
        for patch in 0..self.grid * self.grid {
            for place in [patch / self.grid, patch % self.grid] {
                // timm rounds at each of these steps.
                let place = place as f32 / self.grid as f32 * self.reference as f32;
                for band in self.bands() {
                    let (sin, cos) = (place * band).sin_cos();
                    sine.extend([sin, sin]);
                    cosine.extend([cos, cos]);
                }
            }
        }
        let table = |values: Vec<f32>| {
            let shape = [1, 1, self.grid * self.grid, self.width];
            Tensor::from_data(TensorData::new(values, shape), device)
        };
        Angles {
            sine: table(sine),
            cosine: table(cosine),
        }
    }

    /// Radians per patch of an axis's pairs.
    fn bands(&self) -> impl Iterator<Item = f32> + use<> {
        let count = self.width / 4;
        (0..count).map(move |band| TEMPERATURE.powf(-(band as f64) / count as f64) as f32)
    }
}

impl Angles {
    /// Turns every pair of neighbouring features; the first `prefix` positions, which lie nowhere
    /// in the image, stay as they are.
    ///
    /// # Shapes
    /// - input and output: `[batch, heads, prefix + patches, width]`
    pub fn turn(&self, input: Tensor<4>, prefix: usize) -> Tensor<4> {
        let [batch, heads, positions, width] = input.dims();
        let patches = positions - prefix;
        let x = input.clone().narrow(2, prefix, patches);
        let pairs = x.clone().reshape([batch * heads, patches, width / 2, 2]);
        let (first, second) = (pairs.clone().narrow(3, 0, 1), pairs.narrow(3, 1, 1));
        let quarter = Tensor::cat(vec![-second, first], 3).reshape([batch, heads, patches, width]);
        let turned = x * self.cosine.clone() + quarter * self.sine.clone();
        Tensor::cat(vec![input.narrow(2, 0, prefix), turned], 2)
    }
}
