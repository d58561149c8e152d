use inkling_model::Precision;
use serde::{Deserialize, Serialize};

/// What PyTorch's `GradScaler` begins with, and after how many good steps it tries twice as much.
const FIRST: f32 = 65_536.0;
const STEADY: u32 = 2000;

/// A factor on the loss, so that gradients of 16 bits neither vanish nor overflow; as PyTorch's
/// `torch.amp.GradScaler` finds it. Always 1 in other precisions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LossScale {
    factor: f32,
    /// Good steps since it last changed.
    steady: u32,
    /// Whether it changes at all.
    moves: bool,
}

impl Default for LossScale {
    fn default() -> Self {
        Self {
            factor: 1.0,
            steady: 0,
            moves: false,
        }
    }
}

impl LossScale {
    /// The first for `precision`.
    pub(crate) fn new(precision: Precision) -> Self {
        match precision {
            Precision::F16 => Self {
                factor: FIRST,
                steady: 0,
                moves: true,
            },
            Precision::F32 | Precision::Bf16 | Precision::Int8 => Self::default(),
        }
    }

    /// What the loss is multiplied by, and its gradients are divided by.
    pub(crate) fn factor(&self) -> f32 {
        self.factor
    }

    /// Takes in whether a step's gradients were numbers. True when they were not and a smaller
    /// factor may help.
    pub(crate) fn update(&mut self, finite: bool) -> bool {
        if !self.moves {
            return false;
        }
        if !finite {
            self.factor /= 2.0;
            self.steady = 0;
            return self.factor >= 1.0;
        }
        self.steady += 1;
        if self.steady == STEADY {
            self.factor *= 2.0;
            self.steady = 0;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by oracles/train_reference.py.
    #[test]
    fn the_factor_moves_as_pytorchs() {
        let reference = include_str!("../tests/data/loss_scale.json");
        let reference: serde_json::Value = serde_json::from_str(reference).unwrap();
        let mut scale = LossScale::new(Precision::F16);
        let runs = reference["runs"].as_array().unwrap();
        assert!(runs.len() >= 6);
        for run in runs {
            for _ in 0..run["steps"].as_u64().unwrap() {
                scale.update(run["finite"].as_bool().unwrap());
            }
            assert_eq!(f64::from(scale.factor()), run["factor"].as_f64().unwrap());
        }
        let mut constant = LossScale::new(Precision::Bf16);
        assert!(!constant.update(false));
        assert_eq!(constant.factor(), 1.0);
    }
}
