use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use inkling_kernels::{Activation, linear};

use super::Initializer;
use crate::precision::{narrowed, widened};

/// Configuration of a [`Linear`] layer.
#[derive(Clone, Debug)]
pub struct LinearConfig {
    features: [usize; 2],
    bias: bool,
    spread: Option<f64>,
}

impl LinearConfig {
    /// A layer from `features[0]` to `features[1]` features, with a bias.
    pub fn new(features: [usize; 2]) -> Self {
        Self {
            features,
            bias: true,
            spread: None,
        }
    }

    /// Switches the bias.
    pub fn with_bias(mut self, bias: bool) -> Self {
        self.bias = bias;
        self
    }

    /// Draws the weights from a normal distribution of this standard deviation.
    pub fn with_spread(mut self, spread: f64) -> Self {
        self.spread = Some(spread);
        self
    }

    /// Makes the layer: Xavier-uniform weights (timm's start of transformer blocks) unless a
    /// spread is given, biases 0.
    pub fn init(&self, device: &Device) -> Linear {
        let [inputs, outputs] = self.features;
        let start = match self.spread {
            Some(std) => Initializer::Normal { std },
            None => Initializer::XavierUniform,
        };
        Linear {
            weight: start.init([outputs, inputs], device),
            bias: self
                .bias
                .then(|| Initializer::ZEROS.init([outputs], device)),
        }
    }
}

/// `y = x · weightᵀ + bias`; `torch.nn.Linear`.
#[derive(Module, Debug)]
pub struct Linear {
    /// `[outputs, inputs]`.
    pub weight: Param<Tensor<2>>,
    /// `[outputs]`.
    pub bias: Option<Param<Tensor<1>>>,
}

impl Linear {
    /// # Shapes
    /// - input: `[..., inputs]`
    /// - output: `[..., outputs]`
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        self.apply(input, None)
    }

    /// [`forward`](Self::forward) and a function of the result.
    ///
    /// # Shapes
    /// - input: `[..., inputs]`
    /// - output: `[..., outputs]`
    pub fn forward_activated<const D: usize>(
        &self,
        input: Tensor<D>,
        activation: Activation,
    ) -> Tensor<D> {
        self.apply(input, Some(activation))
    }

    /// The values of weight and bias, of which [`from_weights`](inkling_kernels::from_weights) makes what it keeps.
    pub fn values(&self) -> Vec<Tensor<1>> {
        let [outputs, inputs] = self.weight.dims();
        let weight = self.weight.val().reshape([outputs * inputs]);
        let bias = self.bias.as_ref().map(Param::val);
        [weight].into_iter().chain(bias).collect()
    }

    /// Both of the above.
    ///
    /// # Shapes
    /// - input: `[..., inputs]`
    /// - output: `[..., outputs]`
    pub fn apply<const D: usize>(
        &self,
        input: Tensor<D>,
        activation: Option<Activation>,
    ) -> Tensor<D> {
        self.with_bias(input, self.bias.as_ref().map(Param::val), activation)
    }

    /// [`apply`](Self::apply) with a bias that is kept elsewhere.
    ///
    /// # Shapes
    /// - input: `[..., inputs]`
    /// - bias: `[outputs]`
    /// - output: `[..., outputs]`
    pub fn with_bias<const D: usize>(
        &self,
        input: Tensor<D>,
        bias: Option<Tensor<1>>,
        activation: Option<Activation>,
    ) -> Tensor<D> {
        let (input, weight) = (narrowed(input), narrowed(self.weight.val()));
        widened(linear(input, weight, bias.map(narrowed), activation))
    }
}
