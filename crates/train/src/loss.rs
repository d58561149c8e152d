use burn::tensor::Tensor;
use burn::tensor::activation::log_sigmoid;
use serde::{Deserialize, Serialize};

use crate::Error;

/// What is minimised: a weighted sum of losses on logits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Loss {
    /// Weight of the binary cross-entropy.
    pub bce: f64,
    /// Weight of the focal loss.
    pub focal: f64,
    /// Weight of the soft Dice loss.
    pub dice: f64,
    /// Weight of the ink term in the cross-entropy; PyTorch's `pos_weight`.
    pub positive_weight: f64,
    /// The focal loss's exponent: 0, or at least 1.
    pub focal_gamma: f64,
    /// The focal loss's weight of ink, 0 to 1, bare papyrus having the rest; none weighs both 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub focal_alpha: Option<f64>,
    /// Added to the Dice score's numerator and denominator, in pixels.
    pub dice_smooth: f64,
    /// Moves the labels of the cross-entropy and the focal loss this far to the other class, 0
    /// to 0.5.
    pub label_smoothing: f64,
    /// Counts only pixels on the papyrus. The reference counts all.
    pub masked: bool,
}

impl Default for Loss {
    /// The reference solution's: cross-entropy in which ink counts half.
    fn default() -> Self {
        Self {
            bce: 1.0,
            focal: 0.0,
            dice: 0.0,
            positive_weight: 0.5,
            focal_gamma: 2.0,
            focal_alpha: None,
            dice_smooth: 0.0,
            label_smoothing: 0.0,
            masked: false,
        }
    }
}

impl Loss {
    /// # Errors
    /// [`Error::Setting`] naming the first value out of its range.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let weights = [
            ("loss.bce", self.bce),
            ("loss.focal", self.focal),
            ("loss.dice", self.dice),
            ("loss.positive_weight", self.positive_weight),
            ("loss.dice_smooth", self.dice_smooth),
        ];
        for (key, value) in weights {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(Error::setting(key, value, "a number of at least 0"));
            }
        }
        if self.bce + self.focal + self.dice == 0.0 {
            let expected = "a weight above 0 here, in loss.focal or in loss.dice";
            return Err(Error::setting("loss.bce", 0, expected));
        }
        let gamma = self.focal_gamma;
        // Between, the slope at certain pixels is infinite.
        if gamma != 0.0 && !(gamma >= 1.0 && gamma.is_finite()) {
            return Err(Error::setting(
                "loss.focal_gamma",
                gamma,
                "0, or at least 1",
            ));
        }
        let alpha = self.focal_alpha.unwrap_or(0.0);
        if !(0.0..=1.0).contains(&alpha) {
            return Err(Error::setting(
                "loss.focal_alpha",
                alpha,
                "a share from 0 to 1",
            ));
        }
        let smoothing = self.label_smoothing;
        if !(0.0..=0.5).contains(&smoothing) {
            let expected = "a share from 0 to 0.5";
            return Err(Error::setting("loss.label_smoothing", smoothing, expected));
        }
        Ok(())
    }

    /// The weighted sum of the losses, each a mean over pixels (cross-entropy, focal) or samples'
    /// batch (Dice).
    ///
    /// # Shapes
    /// - logits, labels (0 to 1, soft ones allowed), validity (0 or 1): `[batch, height, width]`
    /// - supervision (0 or 1): `[batch, height, width]`; pixels at 0 count nothing, `masked` or
    ///   not. All count without it.
    /// - output: `[1]`
    pub fn forward(
        &self,
        logits: Tensor<3>,
        labels: Tensor<3>,
        validity: Tensor<3>,
        supervision: Option<Tensor<3>>,
    ) -> Tensor<1> {
        let counted = match (self.masked, supervision) {
            (false, supervision) => supervision,
            (true, None) => Some(validity),
            (true, Some(supervision)) => Some(validity * supervision),
        };
        let smoothed = match self.label_smoothing {
            0.0 => labels.clone(),
            share => labels.clone() * (1.0 - 2.0 * share) + share,
        };
        let terms = [
            (self.bce, Self::cross_entropy as Term),
            (self.focal, Self::focal_loss),
        ];
        let mut total: Option<Tensor<1>> = None;
        let mut add = |weight: f64, loss: Tensor<1>| {
            let loss = loss * weight;
            total = Some(match total.take() {
                Some(sum) => sum + loss,
                None => loss,
            });
        };
        for (weight, term) in terms {
            if weight > 0.0 {
                let loss = term(self, logits.clone(), smoothed.clone());
                add(weight, mean(loss, counted.clone()));
            }
        }
        if self.dice > 0.0 {
            add(self.dice, self.dice_loss(logits.clone(), labels, counted));
        }
        // `check` refuses a sum of nothing.
        total.unwrap_or_else(|| logits.sum() * 0.0)
    }

    /// `−(w·y·log σ(x) + (1 − y)·log(1 − σ(x)))` of each pixel, as
    /// `torch.nn.BCEWithLogitsLoss(pos_weight=w)`.
    fn cross_entropy(&self, logits: Tensor<3>, labels: Tensor<3>) -> Tensor<3> {
        let ink = log_sigmoid(logits.clone()) * labels.clone() * self.positive_weight;
        let bare = log_sigmoid(logits.neg()) * (labels.neg() + 1.0);
        (ink + bare).neg()
    }

    /// `(1 − p)^γ · −log p` of each pixel, p being the probability of its label; as
    /// segmentation_models_pytorch's `FocalLoss("binary")`.
    fn focal_loss(&self, logits: Tensor<3>, labels: Tensor<3>) -> Tensor<3> {
        let plain = Self {
            positive_weight: 1.0,
            ..self.clone()
        };
        let surprise = plain.cross_entropy(logits, labels.clone());
        let mut loss = surprise.clone();
        if self.focal_gamma > 0.0 {
            let wrong = surprise.neg().exp().neg() + 1.0;
            loss = loss * wrong.powf_scalar(self.focal_gamma);
        }
        match self.focal_alpha {
            Some(alpha) => loss * (labels * (2.0 * alpha - 1.0) + (1.0 - alpha)),
            None => loss,
        }
    }

    /// One less the Dice score `(i + s) / ((Σp + Σy) / 2 + s)` over the batch, where
    /// `i = (Σp + Σy − Σ|p − y|) / 2` is what both share, also under soft labels; 0 for a batch
    /// without ink. As segmentation_models_pytorch's `DiceLoss("binary")`.
    fn dice_loss(
        &self,
        logits: Tensor<3>,
        labels: Tensor<3>,
        counted: Option<Tensor<3>>,
    ) -> Tensor<1> {
        let mut probabilities = log_sigmoid(logits).exp();
        let mut ink = labels;
        if let Some(counted) = counted {
            probabilities = probabilities * counted.clone();
            ink = ink * counted;
        }
        let apart = (probabilities.clone() - ink.clone()).abs().sum();
        let both = probabilities.sum() + ink.clone().sum();
        let shared = (both.clone() - apart) * 0.5;
        let score = (shared + self.dice_smooth) / (both * 0.5 + self.dice_smooth).clamp_min(1e-7);
        let has_ink = ink.sum().greater_scalar(0.0).float();
        (score.neg() + 1.0) * has_ink
    }
}

/// The mean over the pixels that are `counted`, or over all.
fn mean(loss: Tensor<3>, counted: Option<Tensor<3>>) -> Tensor<1> {
    match counted {
        None => loss.mean(),
        Some(counted) => {
            let pixels = counted.clone().sum().clamp_min(1.0);
            (loss * counted).sum() / pixels
        }
    }
}

/// A loss of each pixel.
type Term = fn(&Loss, Tensor<3>, Tensor<3>) -> Tensor<3>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_losses_are_refused() {
        let complaint = |loss: Loss| loss.check().unwrap_err().to_string();
        let nothing = Loss {
            bce: 0.0,
            ..Loss::default()
        };
        assert!(complaint(nothing).contains("loss.bce"));
        let steep = Loss {
            focal_gamma: 0.5,
            ..Loss::default()
        };
        assert!(complaint(steep).contains("found 0.5"));
        Loss::default().check().unwrap();
    }

    #[test]
    fn pixels_that_do_not_count_move_no_loss() {
        let device = burn::tensor::Device::flex();
        let map = |values: [f32; 4]| Tensor::<3>::from_data([[values]], &device);
        for (bce, focal, dice) in [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)] {
            for masked in [false, true] {
                let loss = Loss {
                    bce,
                    focal,
                    dice,
                    masked,
                    label_smoothing: 0.1,
                    ..Loss::default()
                };
                let of = |odd: f32| {
                    let logits = map([0.3, -1.2, odd, 0.8]);
                    let labels = map([1.0, 0.0, 0.0, 1.0]);
                    let validity = map([1.0, 0.0, 1.0, 1.0]);
                    let supervision = Some(map([1.0, 1.0, 0.0, 1.0]));
                    let loss = loss.forward(logits, labels, validity, supervision);
                    loss.into_scalar::<f32>()
                };
                assert_eq!(of(-3.0), of(5.0), "{loss:?}");
                assert!(of(0.0) > 0.0);
            }
        }
    }
}
