use burn::module::Module;
use burn::tensor::{Tensor, TensorData};
use rand::RngExt;

use crate::generator::draw;

/// Zeros values during training and scales up the others; `torch.nn.Dropout`, or with whole
/// channels at once `torch.nn.Dropout2d`.
///
/// It draws from this thread's generator ([`seed_generator`](crate::seed_generator)).
#[derive(Module, Debug)]
pub struct Dropout {
    probability: f64,
    shared_axes: usize,
}

impl Dropout {
    /// Zeros each value with `probability`, in `[0, 1)`; 0 passes everything through.
    pub fn new(probability: f64) -> Self {
        Self {
            probability,
            shared_axes: 0,
        }
    }

    /// Zeros whole channels of `[batch, channels, height, width]`.
    pub fn of_channels(probability: f64) -> Self {
        Self {
            probability,
            shared_axes: 2,
        }
    }

    /// Zeros whole samples of `[batch, ...]` (`axes` in all).
    pub(super) fn of_samples(probability: f64, axes: usize) -> Self {
        Self {
            probability,
            shared_axes: axes - 1,
        }
    }

    /// # Shapes
    /// - input and output: `[...]`
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        if self.probability == 0.0 || !input.device().is_autodiff() {
            return input;
        }
        let keep = 1.0 - self.probability;
        let mut shape = input.dims();
        shape[D - self.shared_axes..].fill(1);
        let count = shape.iter().product();
        let kept = draw(|random| -> Vec<f32> {
            let factor = |kept| if kept { 1.0 / keep } else { 0.0 };
            let factors = (0..count).map(|_| factor(random.random_bool(keep)) as f32);
            factors.collect()
        });
        let kept = Tensor::<D>::from_data(TensorData::new(kept, shape), &input.device());
        input * kept
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::seed_generator;

    fn dropped(dropout: &Dropout) -> Vec<f32> {
        seed_generator(3);
        let ones = Tensor::<4>::ones([20, 30, 4, 5], &Device::flex().autodiff());
        dropout.forward(ones).into_data().try_to_vec().unwrap()
    }

    #[test]
    fn a_fifth_is_dropped_and_the_mean_stays() {
        let values = dropped(&Dropout::new(0.2));
        let kept = values.iter().filter(|&&value| value == 1.25).count();
        let zeros = values.iter().filter(|&&value| value == 0.0).count();
        assert_eq!(kept + zeros, values.len());
        // Of 12,000, three standard deviations.
        assert!(zeros.abs_diff(2400) < 132, "{zeros}");
    }

    #[test]
    fn channels_and_samples_are_dropped_whole() {
        for (dropout, size) in [
            (Dropout::of_channels(0.5), 20),
            (Dropout::of_samples(0.5, 4), 600),
        ] {
            let values = dropped(&dropout);
            let mut wholes = values.chunks(size);
            assert!(wholes.all(|whole| whole.iter().all(|&value| value == whole[0])));
            assert!(values.contains(&0.0) && values.contains(&2.0));
        }
    }

    #[test]
    fn nothing_is_dropped_without_training() {
        let ones = Tensor::<2>::ones([20, 30], &Device::flex());
        let values: Vec<f32> = Dropout::new(0.5)
            .forward(ones)
            .into_data()
            .try_to_vec()
            .unwrap();
        assert!(values.iter().all(|&value| value == 1.0));
    }
}
