use std::collections::BTreeSet;

use burn::module::{Flag, Param};
use burn::tensor::Tensor;
use inkling_model::weights::{NamedMapper, map_named, tensor_names};
use inkling_model::{NamePattern, Network};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::model_ema::is_statistic;

/// Tensors that are not trained. A frozen batch norm also leaves its running statistics alone and
/// normalises by them, as timm's `freeze_batch_norm_2d` does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Freeze {
    /// Names of tensors as weights files have them: `encoder.*`, `*.bn?.*`; `*` stands for any run
    /// of characters, `?` for one.
    pub pattern: NamePattern,
    /// The last epoch (from 1) that they are frozen in; without it they stay frozen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u32>,
}

impl Freeze {
    fn holds(&self, name: &str, epoch: u32) -> bool {
        self.until.is_none_or(|until| epoch <= until) && self.pattern.matches(name)
    }
}

/// Whether the tensor `name` is frozen in `epoch`, from 1.
fn is_frozen(freezes: &[Freeze], name: &str, epoch: u32) -> bool {
    freezes.iter().any(|freeze| freeze.holds(name, epoch))
}

/// `network` with what is frozen in `epoch` (from 1) frozen, and the rest not.
pub(crate) fn freeze(network: Network, freezes: &[Freeze], epoch: u32) -> Network {
    if freezes.is_empty() {
        return network;
    }
    let names = tensor_names(&network);
    let norms = names.iter().filter(|name| is_statistic(name));
    let mut freezer = Freezer {
        freezes,
        epoch,
        norms: norms
            .filter_map(|name| Some(name.rsplit_once('.')?.0.to_owned()))
            .collect(),
    };
    map_named(network, &mut freezer)
}

struct Freezer<'a> {
    freezes: &'a [Freeze],
    epoch: u32,
    /// The modules that have running statistics.
    norms: BTreeSet<String>,
}

impl NamedMapper for Freezer<'_> {
    fn map<const D: usize>(&mut self, name: &str, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if is_statistic(name) {
            return param;
        }
        param.set_require_grad(!is_frozen(self.freezes, name, self.epoch))
    }

    fn flag(&mut self, name: &str, flag: Param<Flag>) -> Param<Flag> {
        match name.rsplit_once('.') {
            Some((module, _)) if self.norms.contains(module) => {
                let weight = format!("{module}.weight");
                flag.with_value(!is_frozen(self.freezes, &weight, self.epoch))
            }
            _ => flag,
        }
    }
}

/// Checks that every pattern is of some tensor of `network`, and that something is left to train
/// in each of the `epochs`.
pub(crate) fn check(network: &Network, freezes: &[Freeze], epochs: u32) -> Result<(), Error> {
    let names: Vec<String> = tensor_names(network)
        .into_iter()
        .filter(|name| !is_statistic(name))
        .collect();
    for Freeze { pattern, .. } in freezes {
        if !names.iter().any(|name| pattern.matches(name)) {
            return Err(Error::Freeze {
                found: format!("the pattern \"{}\"", pattern.as_str()),
                expected: format!(
                    "one of names such as {} or {}",
                    names[0],
                    names[names.len() - 1]
                ),
                hint: "write it as weights files have the names, such as \"encoder.*\"",
            });
        }
    }
    let changes = freezes
        .iter()
        .filter_map(|freeze| freeze.until?.checked_add(1));
    for epoch in std::iter::once(1)
        .chain(changes)
        .filter(|epoch| *epoch <= epochs)
    {
        if names.iter().all(|name| is_frozen(freezes, name, epoch)) {
            return Err(Error::Freeze {
                found: format!("every tensor of the network frozen in epoch {epoch}"),
                expected: "some that are trained".to_owned(),
                hint: "narrow the patterns, or end them earlier with until",
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn freeze(pattern: &str, until: Option<u32>) -> Freeze {
        Freeze {
            pattern: NamePattern::new(pattern),
            until,
        }
    }

    #[test]
    fn patterns_hold_until_their_epoch() {
        let freezes = [freeze("encoder.*", Some(2)), freeze("*.bias", None)];
        for (name, epoch, expected) in [
            ("encoder.conv1.weight", 1, true),
            ("encoder.conv1.weight", 2, true),
            ("encoder.conv1.weight", 3, false),
            ("encoder.conv1.bias", 3, true),
            ("head.0.weight", 1, false),
            ("head.0.bias", 9, true),
        ] {
            assert_eq!(is_frozen(&freezes, name, epoch), expected, "{name} {epoch}");
        }
    }

    #[test]
    fn what_freezes_nothing_or_everything_is_refused() {
        let settings = inkling_model::ModelSettings {
            encoder: "resnet18".to_owned(),
            image_size: 32,
            depth: 3,
            decoder: vec![8],
            ..Default::default()
        };
        let network = settings.init(&burn::tensor::Device::flex(), 0).unwrap();
        let refusal =
            |freezes: &[Freeze]| check(&network, freezes, 5).map_err(|error| error.to_string());
        assert_eq!(refusal(&[freeze("encoder.*", None)]), Ok(()));
        // Frozen for longer than training takes.
        let message = refusal(&[freeze("*", Some(5))]).unwrap_err();
        assert!(message.contains("epoch 1"), "{message}");
        let message = refusal(&[freeze("backbone.*", None)]).unwrap_err();
        assert!(
            message.contains("backbone.*") && message.contains("encoder."),
            "{message}"
        );
        let both = [
            freeze("encoder.*", None),
            freeze("?e*", None),
            freeze("agg*", Some(1)),
        ];
        assert!(refusal(&both).unwrap_err().contains("epoch 1"));
    }
}
