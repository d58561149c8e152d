//! Global response normalisation (Woo et al., *ConvNeXt V2*).

use crate::channels_last::{blend, scale_and_shift, sum_products, sum_rows};

/// Added to the features' mean norm.
const EPSILON: f32 = 1e-6;

/// The L2 norm of each feature over an image `[features]`, and their mean plus epsilon.
struct Norms {
    norms: Vec<f32>,
    divisor: f32,
}

impl Norms {
    fn new(image: &[f32], features: usize) -> Self {
        let squares = sum_products(image, image, features);
        let norms: Vec<f32> = squares.into_iter().map(f32::sqrt).collect();
        let divisor = norms.iter().sum::<f32>() / features as f32 + EPSILON;
        Self { norms, divisor }
    }

    /// `1 + weight · norm / divisor`, `[features]`.
    fn factors(&self, weight: &[f32]) -> Vec<f32> {
        let pairs = self.norms.iter().zip(weight);
        pairs
            .map(|(norm, weight)| 1.0 + norm / self.divisor * weight)
            .collect()
    }
}

/// `x · (1 + weight · norm / mean of norms) + bias`, in place.
///
/// # Shapes
/// - images: `[batch, area, features]`
/// - weight, bias: `[features]`
pub fn forward(images: &mut [f32], area: usize, weight: &[f32], bias: &[f32]) {
    let features = weight.len();
    for image in images.chunks_exact_mut(area * features) {
        let factors = Norms::new(image, features).factors(weight);
        scale_and_shift(image, &factors, bias);
    }
}

/// Gradients of weight and bias, `[features]` each.
pub struct Gradients {
    /// Of the weight.
    pub weight: Vec<f32>,
    /// Of the bias.
    pub bias: Vec<f32>,
}

/// Replaces the gradients of the output by those of the images.
///
/// # Shapes
/// - images, gradients: `[batch, area, features]`
pub fn backward(images: &[f32], area: usize, weight: &[f32], gradients: &mut [f32]) -> Gradients {
    let features = weight.len();
    let bias = sum_rows(gradients, features);
    let mut by_weight = vec![0.0; features];
    let size = area * features;
    for (image, gradient) in images
        .chunks_exact(size)
        .zip(gradients.chunks_exact_mut(size))
    {
        let norms = Norms::new(image, features);
        let products = sum_products(gradient, image, features);
        let Norms { norms: n, divisor } = &norms;
        let lanes = products.iter().zip(n);
        for (sum, (product, norm)) in by_weight.iter_mut().zip(lanes) {
            *sum += product * norm / divisor;
        }
        blend(
            gradient,
            image,
            &norms.factors(weight),
            &norm_factors(&norms, &products, weight),
        );
    }
    Gradients {
        weight: by_weight,
        bias,
    }
}

/// The factors `[features]` of `x` in the gradient of `x`, which come from the derivative of its norms;
/// `products` are `Σ gradient · x` over the image.
fn norm_factors(norms: &Norms, products: &[f32], weight: &[f32]) -> Vec<f32> {
    let Norms { norms, divisor } = norms;
    let by_share: Vec<f32> = products.iter().zip(weight).map(|(p, w)| p * w).collect();
    let together: f32 = by_share.iter().zip(norms).map(|(s, n)| s * n).sum();
    let level = together / (divisor * divisor * norms.len() as f32);
    let lanes = by_share.iter().zip(norms);
    lanes
        .map(|(share, &norm)| match norm > 0.0 {
            true => (share / divisor - level) / norm,
            false => 0.0,
        })
        .collect()
}
