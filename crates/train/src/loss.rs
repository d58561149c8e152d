use burn::tensor::Tensor;
use burn::tensor::activation::log_sigmoid;
use serde::{Deserialize, Serialize};

/// Binary cross-entropy on logits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Loss {
    /// Weight of the ink term; PyTorch's `pos_weight`.
    pub positive_weight: f64,
    /// Counts only pixels on the papyrus. The reference counts all.
    pub masked: bool,
}

impl Default for Loss {
    /// The write-up's: ink counts half.
    fn default() -> Self {
        Self {
            positive_weight: 0.5,
            masked: false,
        }
    }
}

impl Loss {
    /// The mean loss: `−(w·y·log σ(x) + (1 − y)·log(1 − σ(x)))`, as
    /// `torch.nn.BCEWithLogitsLoss(pos_weight=w)`.
    ///
    /// # Shapes
    /// - logits, labels (0 to 1, soft ones allowed), validity (0 or 1): `[batch, height, width]`
    /// - output: `[1]`
    pub fn forward(&self, logits: Tensor<3>, labels: Tensor<3>, validity: Tensor<3>) -> Tensor<1> {
        let ink = log_sigmoid(logits.clone()) * labels.clone() * self.positive_weight;
        let bare = log_sigmoid(logits.neg()) * (labels.neg() + 1.0);
        let loss = (ink + bare).neg();
        if !self.masked {
            return loss.mean();
        }
        let pixels = validity.clone().sum().clamp_min(1.0);
        (loss * validity).sum() / pixels
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn tensor(values: [f32; 4]) -> Tensor<3> {
        Tensor::<1>::from_floats(values, &Device::flex()).reshape([1, 2, 2])
    }

    /// Values from `torch.nn.functional.binary_cross_entropy_with_logits`.
    #[test]
    fn it_is_pytorchs() {
        let logits = tensor([0.3, -1.2, 40.0, -40.0]);
        let labels = tensor([1.0, 0.0, 0.25, 1.0]);
        let validity = tensor([1.0, 1.0, 0.0, 0.0]);
        let loss = |masked| {
            let loss = Loss {
                masked,
                ..Loss::default()
            };
            loss.forward(logits.clone(), labels.clone(), validity.clone())
                .into_scalar::<f32>()
        };
        let expected = |ink: f64, bare: f64| 0.5 * ink + bare;
        let first = expected(0.554_355_244_468_527, 0.0);
        let second = expected(0.0, 0.263_282_429_467_418);
        let (third, fourth) = (0.75 * 40.0, 0.5 * 40.0);
        let all = (first + second + third + fourth) / 4.0;
        assert!((f64::from(loss(false)) - all).abs() < 1e-5);
        assert!((f64::from(loss(true)) - (first + second) / 2.0).abs() < 1e-6);
    }
}
