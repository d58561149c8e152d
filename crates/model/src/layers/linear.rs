use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor, module::linear};

/// Configuration of a [`Linear`] layer.
#[derive(Clone, Debug)]
pub struct LinearConfig {
    features: [usize; 2],
    bias: bool,
}

impl LinearConfig {
    /// A layer from `features[0]` to `features[1]` features, with a bias.
    pub fn new(features: [usize; 2]) -> Self {
        Self {
            features,
            bias: true,
        }
    }

    /// Switches the bias.
    pub fn with_bias(mut self, bias: bool) -> Self {
        self.bias = bias;
        self
    }

    /// Makes the layer: Xavier-uniform weights, biases 0 (timm's start of transformer blocks).
    pub fn init(&self, device: &Device) -> Linear {
        let [inputs, outputs] = self.features;
        let xavier = Initializer::XavierUniform { gain: 1.0 };
        Linear {
            weight: xavier.init_with([outputs, inputs], Some(inputs), Some(outputs), device),
            bias: self
                .bias
                .then(|| Initializer::Zeros.init([outputs], device)),
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
        let bias = self.bias.as_ref().map(Param::val);
        linear(input, self.weight.val().transpose(), bias)
    }
}
