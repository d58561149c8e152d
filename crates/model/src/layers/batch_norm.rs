use burn::module::{Flag, Module, Param, RunningState};
use burn::tensor::{Device, Tensor};
use inkling_kernels::{Activation, activate, affine, batch_norm_train};

use super::Initializer;

/// Configuration of a [`BatchNorm2d`].
#[derive(Clone, Debug)]
pub struct BatchNorm2dConfig {
    channels: usize,
    epsilon: f64,
    momentum: f64,
}

impl BatchNorm2dConfig {
    /// A norm over `channels` channels with PyTorch's epsilon (1e-5) and momentum (0.1).
    pub fn new(channels: usize) -> Self {
        Self {
            channels,
            epsilon: 1e-5,
            momentum: 0.1,
        }
    }

    /// Sets what is added to the variance.
    pub fn with_epsilon(mut self, epsilon: f64) -> Self {
        self.epsilon = epsilon;
        self
    }

    /// Makes the layer: weights 1, biases 0, running mean 0 and variance 1.
    pub fn init(&self, device: &Device) -> BatchNorm2d {
        BatchNorm2d {
            weight: Initializer::ONES.init([self.channels], device),
            bias: Initializer::ZEROS.init([self.channels], device),
            running_mean: RunningState::new(Tensor::zeros([self.channels], device)),
            running_var: RunningState::new(Tensor::ones([self.channels], device)),
            training: Param::from_bool(true),
            epsilon: self.epsilon,
            momentum: self.momentum,
        }
    }
}

/// Batch normalisation over `[batch, channels, height, width]`; `torch.nn.BatchNorm2d`.
///
/// On a device that records gradients it uses and updates the batch's statistics, elsewhere, and
/// where its `training` flag is off (a frozen norm), the running ones. Where several processes train
/// together, the batch is all of theirs.
#[derive(Module, Debug)]
pub struct BatchNorm2d {
    /// `[channels]`.
    pub weight: Param<Tensor<1>>,
    /// `[channels]`.
    pub bias: Param<Tensor<1>>,
    running_mean: RunningState<Tensor<1>>,
    running_var: RunningState<Tensor<1>>,
    training: Param<Flag>,
    epsilon: f64,
    momentum: f64,
}

impl BatchNorm2d {
    /// # Shapes
    /// - input and output: `[batch, channels, height, width]`
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        self.apply(input, None)
    }

    /// [`forward`](Self::forward) and a function of the result.
    ///
    /// # Shapes
    /// - input and output: `[batch, channels, height, width]`
    pub fn forward_activated(&self, input: Tensor<4>, activation: Activation) -> Tensor<4> {
        self.apply(input, Some(activation))
    }

    /// Both of the above.
    ///
    /// # Shapes
    /// - input and output: `[batch, channels, height, width]`
    pub fn apply(&self, input: Tensor<4>, activation: Option<Activation>) -> Tensor<4> {
        if let Some([factor, summand]) = self.running_scales(&input.device()) {
            return affine(input, factor, summand, activation);
        }
        let normed = self.forward_train(input);
        match activation {
            Some(activation) => activate(normed, activation),
            None => normed,
        }
    }

    /// The running statistics as one factor and one summand per channel, `[channels]` each; none
    /// where the batch's count.
    pub fn running_scales(&self, device: &Device) -> Option<[Tensor<1>; 2]> {
        if self.training.is_enabled() && device.is_autodiff() {
            return None;
        }
        let variance = self.running_var.value_sync() + self.epsilon;
        let factor = self.weight.val() / variance.sqrt();
        let summand = self.bias.val() - self.running_mean.value_sync() * factor.clone();
        Some([factor, summand])
    }

    fn forward_train(&self, input: Tensor<4>) -> Tensor<4> {
        #[cfg(feature = "ranks")]
        if crate::across_ranks::are_joined() {
            return self.forward_over_ranks(input);
        }
        let [batch, _, height, width] = input.dims();
        let values = (batch * height * width) as f64;
        let (weight, bias) = (self.weight.val(), self.bias.val());
        let (output, [mean, variance]) = batch_norm_train(input, weight, bias, self.epsilon);
        // PyTorch keeps the unbiased variance; the batch itself is normalised by the biased one.
        let variance = variance * (values / (values - 1.0).max(1.0));
        self.blend(&self.running_mean, mean);
        self.blend(&self.running_var, variance);
        output
    }

    /// As [`forward_train`](Self::forward_train), with the statistics of all ranks' batches taken
    /// together; `torch.nn.SyncBatchNorm`.
    #[cfg(feature = "ranks")]
    fn forward_over_ranks(&self, input: Tensor<4>) -> Tensor<4> {
        use crate::across_ranks::{counted, sum_over_ranks};
        let [batch, channels, height, width] = input.dims();
        let counted = counted();
        let per_channel = |values: Tensor<4>| {
            let sums = values.sum_dims(&[0, 2, 3]).reshape([channels]);
            sums * counted
        };
        let wide = |values: Tensor<1>| values.reshape([1, channels, 1, 1]);
        let own = (batch * height * width) as f32 * counted;
        let own = Tensor::<1>::from_floats([own], &input.device());
        let sums = sum_over_ranks(Tensor::cat(vec![per_channel(input.clone()), own], 0));
        let values = sums.clone().narrow(0, channels, 1).detach();
        let mean = sums.narrow(0, 0, channels) / values.clone();
        // Squares of differences, in a second sum: mean squares less the squared mean cancel.
        let centred = input - wide(mean.clone());
        let variance = sum_over_ranks(per_channel(centred.clone().square())) / values.clone();
        let deviation = (variance.clone() + self.epsilon).sqrt();
        let unbiased = variance * (values.clone() / (values - 1.0).clamp_min(1.0));
        self.blend(&self.running_mean, mean);
        self.blend(&self.running_var, unbiased);
        centred / wide(deviation) * wide(self.weight.val()) + wide(self.bias.val())
    }

    fn blend(&self, state: &RunningState<Tensor<1>>, batch: Tensor<1>) {
        let running = state.value_sync() * (1.0 - self.momentum);
        state.update((running + batch.detach() * self.momentum).detach());
    }
}
