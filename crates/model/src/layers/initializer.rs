use burn::module::{Param, ParamId};
use burn::tensor::{Device, Shape, Tensor, TensorData};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use crate::generator::draw;

/// What a parameter starts as; `torch.nn.init`.
///
/// burn's initialisers draw from a generator that all devices of a kind share; these draw from
/// this thread's ([`seed_generator`](crate::seed_generator)), so that a seed gives the same weights
/// on every device, whatever else the process does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Initializer {
    /// One number everywhere.
    Constant(f64),
    /// Evenly between `-bound` and `bound`.
    Uniform {
        /// Largest absolute value.
        bound: f64,
    },
    /// Normally around 0.
    Normal {
        /// Standard deviation.
        std: f64,
    },
    /// `kaiming_uniform_` with `fan_in`: evenly within `gain · sqrt(3 / fan_in)`.
    KaimingUniform {
        /// `sqrt(2)` before a ReLU.
        gain: f64,
    },
    /// `xavier_uniform_` with gain 1: evenly within `sqrt(6 / (fan_in + fan_out))`.
    XavierUniform,
}

impl Initializer {
    /// Zeros.
    pub const ZEROS: Self = Self::Constant(0.0);
    /// Ones.
    pub const ONES: Self = Self::Constant(1.0);

    /// A parameter of this shape, drawn when it is first read. The fans are those of PyTorch:
    /// `shape[1]` and `shape[0]`, times the size of a kernel.
    pub fn init<const D: usize>(self, shape: [usize; D], device: &Device) -> Param<Tensor<D>> {
        let make = move |device: &Device, learns: bool| {
            device.memory_persistent_allocations((), |()| {
                let tensor = self.tensor(shape, device);
                if learns {
                    tensor.require_grad()
                } else {
                    tensor
                }
            })
        };
        Param::uninitialized(
            ParamId::new(),
            make,
            device.clone(),
            true,
            Shape::new(shape),
        )
    }

    fn tensor<const D: usize>(self, shape: [usize; D], device: &Device) -> Tensor<D> {
        let kernel: usize = shape.iter().skip(2).product();
        let fan_out = shape[0] * kernel;
        let fan_in = shape.get(1).map_or(fan_out, |inputs| inputs * kernel);
        let bound = match self {
            Self::Constant(value) => return Tensor::full(shape, value, device),
            Self::Normal { std } => {
                let normal = |random: &mut _| normal(random, std as f32);
                return drawn(shape, normal, device);
            }
            Self::Uniform { bound } => bound,
            Self::KaimingUniform { gain } => gain * (3.0 / fan_in as f64).sqrt(),
            Self::XavierUniform => (6.0 / (fan_in + fan_out) as f64).sqrt(),
        } as f32;
        let uniform = |random: &mut ChaCha8Rng| random.random_range(-bound..=bound);
        drawn(shape, uniform, device)
    }
}

fn normal(random: &mut ChaCha8Rng, std: f32) -> f32 {
    std * random.sample::<f32, _>(StandardNormal)
}

fn drawn<const D: usize>(
    shape: [usize; D],
    mut value: impl FnMut(&mut ChaCha8Rng) -> f32,
    device: &Device,
) -> Tensor<D> {
    let count = shape.iter().product();
    let values: Vec<f32> = draw(|random| (0..count).map(|_| value(random)).collect());
    Tensor::from_data(TensorData::new(values, shape), device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed_generator;

    fn values(initializer: Initializer) -> Vec<f32> {
        seed_generator(7);
        let weights = initializer.init([40, 20, 5, 5], &Device::flex());
        weights.val().into_data().try_to_vec().unwrap()
    }

    fn mean_and_spread(values: &[f32]) -> (f64, f64) {
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / values.len() as f64;
        let squares = values.iter().map(|&v| (f64::from(v) - mean).powi(2));
        (mean, (squares.sum::<f64>() / values.len() as f64).sqrt())
    }

    /// 20,000 values: the mean is off by 3 / sqrt(20,000) = 2 % of the spread at most, the spread
    /// by as much of itself.
    #[test]
    fn weights_are_spread_as_pytorch_spreads_them() {
        let (fan_in, fan_out) = (20.0 * 25.0, 40.0 * 25.0);
        let kaiming = 2f64.sqrt() * (3f64 / fan_in).sqrt();
        let xavier = (6f64 / (fan_in + fan_out)).sqrt();
        for (initializer, bound, spread) in [
            (Initializer::Normal { std: 0.02 }, f64::MAX, 0.02),
            (Initializer::Uniform { bound: 0.3 }, 0.3, 0.3 / 3f64.sqrt()),
            (
                Initializer::KaimingUniform { gain: 2f64.sqrt() },
                kaiming,
                kaiming / 3f64.sqrt(),
            ),
            (Initializer::XavierUniform, xavier, xavier / 3f64.sqrt()),
        ] {
            let values = values(initializer);
            let (mean, found) = mean_and_spread(&values);
            assert!(mean.abs() < 0.02 * spread, "{initializer:?}: {mean}");
            assert!(
                (found / spread - 1.0).abs() < 0.02,
                "{initializer:?}: {found}"
            );
            let largest = values.iter().fold(0f32, |most, v| most.max(v.abs()));
            assert!(f64::from(largest) <= bound * 1.000_001, "{initializer:?}");
        }
        assert!(
            values(Initializer::Constant(0.5))
                .iter()
                .all(|&value| value == 0.5)
        );
    }

    #[test]
    fn parameters_learn_unless_told_otherwise() {
        let device = Device::flex().autodiff();
        let weights = Initializer::XavierUniform.init([3, 4], &device);
        let gradients = weights.val().square().sum().backward();
        assert!(weights.val().grad(&gradients).is_some());
    }
}
