use burn::module::{Flag, Module, Param, RunningState};
use burn::nn::Initializer;
use burn::tensor::module::{batch_norm, batch_norm_train};
use burn::tensor::{Device, Tensor};

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
            weight: Initializer::Ones.init([self.channels], device),
            bias: Initializer::Zeros.init([self.channels], device),
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
/// where its `training` flag is off (a frozen norm), the running ones.
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
        if self.training.is_enabled() && input.device().is_autodiff() {
            return self.forward_train(input);
        }
        batch_norm(
            input,
            self.weight.val(),
            self.bias.val(),
            self.running_mean.value_sync(),
            self.running_var.value_sync(),
            self.epsilon,
        )
    }

    fn forward_train(&self, input: Tensor<4>) -> Tensor<4> {
        let [batch, _, height, width] = input.dims();
        let values = (batch * height * width) as f64;
        let result = batch_norm_train(input, self.weight.val(), self.bias.val(), self.epsilon);
        // PyTorch keeps the unbiased variance; the batch itself is normalised by the biased one.
        let variance = result.variance * (values / (values - 1.0).max(1.0));
        self.blend(&self.running_mean, result.mean);
        self.blend(&self.running_var, variance);
        result.output
    }

    fn blend(&self, state: &RunningState<Tensor<1>>, batch: Tensor<1>) {
        let running = state.value_sync() * (1.0 - self.momentum);
        state.update((running + batch.detach() * self.momentum).detach());
    }
}
