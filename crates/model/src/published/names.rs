//! The tensors' names of published checkpoints as the networks have them.

use std::collections::BTreeSet;

use crate::weights::Tensors;

/// What training programs put before a network's own names.
const WRAPPERS: [&str; 3] = ["module.", "model.", "_orig_mod."];

/// Heads that no prediction is made of: classifiers of the pretraining, losses at coarser maps, and
/// constants that follow from the network's sizes.
const UNUSED: [&str; 6] = [
    "backbone.fc.",
    "backbone.logits.",
    "decoder.aux_head_s1.",
    "decoder.aux_head_s2.",
    "backbone.frame_rot_emb.",
    "backbone.image_rot_emb.",
];

/// A name without what training programs put before it.
fn bare(name: &str) -> &str {
    let mut rest = name;
    while let Some(shorter) = WRAPPERS
        .iter()
        .find_map(|wrapper| rest.strip_prefix(wrapper))
    {
        rest = shorter;
    }
    rest
}

/// nnU-Net registers each layer twice: `X.conv` is `X.all_modules.0`, `X.norm` is `X.all_modules.1`.
fn single(name: &str) -> String {
    name.replace(".all_modules.0.", ".conv.")
        .replace(".all_modules.1.", ".norm.")
}

/// The tensors under the networks' names, each once, without the heads that are never used.
pub(crate) fn tidied(tensors: Tensors) -> Tensors {
    let own: BTreeSet<String> = tensors.names().map(|name| bare(name).to_owned()).collect();
    tensors.renamed(|name| {
        let name = bare(name);
        if UNUSED.iter().any(|head| name.starts_with(head)) {
            return None;
        }
        let single = single(name);
        let is_second = single != name && own.contains(&single);
        (!is_second).then_some(single)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrappers_second_names_and_unused_heads_go() {
        let mut tensors = Tensors::default();
        for name in [
            "module.model.a.conv.weight",
            "module.model.a.all_modules.0.weight",
            "module.model.b.all_modules.1.bias",
            "module.model.backbone.fc.weight",
            "module.model.decoder.aux_head_s1.conv.bias",
        ] {
            tensors.insert(name.to_owned(), vec![1], vec![0.0]);
        }
        let tidied = tidied(tensors);
        let names: Vec<&str> = tidied.names().collect();
        assert_eq!(names, ["a.conv.weight", "b.norm.bias"]);
    }
}
