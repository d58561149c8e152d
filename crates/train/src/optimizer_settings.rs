use serde::{Deserialize, Serialize};

use crate::Error;

/// Which rule moves the weights.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// AdamW (Loshchilov and Hutter, 2019), `torch.optim.AdamW`.
    #[default]
    AdamW,
    /// Stochastic gradient descent with momentum, `torch.optim.SGD`, as nnU-Net trains.
    Sgd,
}

impl OptimizerKind {
    fn is_adamw(&self) -> bool {
        *self == Self::AdamW
    }
}

/// `[train.optimizer]`: the rule that moves the weights, and how gradients are clipped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerSettings {
    /// The rule.
    #[serde(skip_serializing_if = "OptimizerKind::is_adamw")]
    pub kind: OptimizerKind,
    /// Base learning rate, before the schedule's factor.
    pub learning_rate: f64,
    /// Weight decay. AdamW's is decoupled: each step takes learning rate times this off every weight; SGD adds
    /// so many times the weight to its gradient.
    pub weight_decay: f64,
    /// SGD: the share of the last step's direction that is kept.
    #[serde(skip_serializing_if = "is_default_momentum")]
    pub momentum: f64,
    /// SGD: looks a step ahead (Nesterov 1983; Sutskever et al. 2013).
    #[serde(skip_serializing_if = "Clone::clone")]
    pub nesterov: bool,
    /// AdamW: added to the root of the second moment.
    pub epsilon: f64,
    /// AdamW: decay rates of the two moments.
    pub betas: [f64; 2],
    /// The gradients' total norm is clipped here; 0 clips nothing.
    pub clip_norm: f64,
    /// From layer to layer towards the image the learning rate shrinks to this share, above 0 and
    /// up to 1. Layers are timm's: an encoder's stem, each of its blocks (a MaxViT's stages), and
    /// all that follows the encoder, which learns at the full rate.
    pub layer_decay: f64,
}

/// nnU-Net's.
const DEFAULT_MOMENTUM: f64 = 0.99;

fn is_default_momentum(momentum: &f64) -> bool {
    *momentum == DEFAULT_MOMENTUM
}

impl Default for OptimizerSettings {
    /// Those of the 13th-place solution.
    fn default() -> Self {
        Self {
            kind: OptimizerKind::AdamW,
            learning_rate: 1e-4,
            weight_decay: 1e-6,
            momentum: DEFAULT_MOMENTUM,
            nesterov: true,
            epsilon: 1e-8,
            betas: [0.9, 0.999],
            clip_norm: 5.0,
            layer_decay: 1.0,
        }
    }
}

impl OptimizerSettings {
    /// # Errors
    /// [`Error::Setting`] naming the first value out of its range.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let rate = self.learning_rate;
        if !(rate > 0.0 && rate.is_finite()) {
            let expected = "a number above 0";
            return Err(Error::setting("optimizer.learning_rate", rate, expected));
        }
        let at_least_nothing = [
            ("optimizer.weight_decay", self.weight_decay),
            ("optimizer.epsilon", self.epsilon),
            ("optimizer.clip_norm", self.clip_norm),
        ];
        for (key, value) in at_least_nothing {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(Error::setting(key, value, "a number of at least 0"));
            }
        }
        let decay = self.layer_decay;
        if !(decay > 0.0 && decay <= 1.0) {
            let expected = "a number above 0 and up to 1";
            return Err(Error::setting("optimizer.layer_decay", decay, expected));
        }
        if !(0.0..1.0).contains(&self.momentum) {
            let expected = "a number in [0, 1)";
            return Err(Error::setting(
                "optimizer.momentum",
                self.momentum,
                expected,
            ));
        }
        for beta in self.betas {
            if !(0.0..1.0).contains(&beta) {
                return Err(Error::setting("optimizer.betas", beta, "numbers in [0, 1)"));
            }
        }
        Ok(())
    }
}
