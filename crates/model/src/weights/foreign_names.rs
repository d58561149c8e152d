//! What other programs call the tensors of our networks.

use std::collections::BTreeMap;

/// Names that programs put before a network's or an encoder's own.
const WRAPPERS: [&str; 8] = [
    "module",
    "model",
    "_orig_mod",
    "backbone",
    "encoder",
    "net",
    "visual",
    "trunk",
];

/// timm's lists that its `features_only` models flatten.
const LISTS: [&str; 3] = ["stages.", "layers.", "stem."];

/// The name that a network with the tensors `known` has for a file's tensor `name`: the same, or
/// that of a plain timm model, with or without the wrappers of Lightning, DDP, `torch.compile`,
/// mmsegmentation, OpenCLIP or segmentation_models_pytorch.
pub(super) fn resolve(name: &str, known: &BTreeMap<String, Vec<usize>>) -> Option<String> {
    let mut rest = name;
    loop {
        if let Some(found) = spellings(rest).find(|name| known.contains_key(name)) {
            return Some(found);
        }
        let (first, tail) = rest.split_once('.')?;
        if !WRAPPERS.contains(&first) {
            return None;
        }
        rest = tail;
    }
}

fn spellings(name: &str) -> impl Iterator<Item = String> {
    let flat = LISTS.iter().find_map(|list| {
        let rest = name.strip_prefix(list)?;
        let numbered = rest.starts_with(|c: char| c.is_ascii_digit());
        numbered.then(|| format!("encoder.{}_{rest}", list.trim_end_matches('.')))
    });
    let head = name
        .strip_prefix("segmentation_head.")
        .map(|rest| format!("head.{rest}"));
    let plain = [
        name.to_owned(),
        format!("encoder.{name}"),
        format!("encoder.model.{name}"),
    ];
    plain.into_iter().chain(flat).chain(head)
}

/// timm's name, in a model that is not flattened, for the network's tensor `name`; `None` for
/// what is no encoder's. The other way of [`resolve`].
pub(super) fn plain_timm(name: &str) -> Option<String> {
    let rest = name.strip_prefix("encoder.")?;
    let rest = rest.strip_prefix("model.").unwrap_or(rest);
    let nested = LISTS.iter().find_map(|list| {
        let flat = list.replace('.', "_");
        let numbered = rest.strip_prefix(&flat)?;
        let is_number = numbered.starts_with(|c: char| c.is_ascii_digit());
        is_number.then(|| format!("{list}{numbered}"))
    });
    Some(nested.unwrap_or_else(|| rest.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names_are_the_inverse() {
        for (plain, own) in [
            (
                "stages.0.blocks.1.conv.weight",
                "encoder.stages_0.blocks.1.conv.weight",
            ),
            (
                "layers.2.downsample.norm.bias",
                "encoder.layers_2.downsample.norm.bias",
            ),
            ("stem.0.weight", "encoder.stem_0.weight"),
            ("stem.conv1.weight", "encoder.stem.conv1.weight"),
            ("layer1.0.bn1.bias", "encoder.layer1.0.bn1.bias"),
            (
                "blocks.11.attn.q_bias",
                "encoder.model.blocks.11.attn.q_bias",
            ),
        ] {
            assert_eq!(plain_timm(own).as_deref(), Some(plain));
            assert_eq!(resolved(plain, own).as_deref(), Some(own));
        }
        assert_eq!(plain_timm("decoder.blocks.0.conv1.0.weight"), None);
    }

    fn resolved(name: &str, known: &str) -> Option<String> {
        resolve(name, &BTreeMap::from([(known.to_owned(), vec![1])]))
    }

    #[test]
    fn every_programs_names_are_found() {
        let stage = "encoder.stages_0.blocks.1.conv.weight";
        for name in [
            "encoder.stages_0.blocks.1.conv.weight",
            "stages.0.blocks.1.conv.weight",
            "stages_0.blocks.1.conv.weight",
            "model.encoder.stages_0.blocks.1.conv.weight",
            "encoder.model.stages_0.blocks.1.conv.weight",
            "module.model.stages.0.blocks.1.conv.weight",
        ] {
            assert_eq!(resolved(name, stage).as_deref(), Some(stage), "{name}");
        }
        let eva = "encoder.model.blocks.0.norm1.weight";
        for name in [
            "blocks.0.norm1.weight",
            "visual.trunk.blocks.0.norm1.weight",
        ] {
            assert_eq!(resolved(name, eva).as_deref(), Some(eva), "{name}");
        }
        let head = resolved("segmentation_head.0.bias", "head.0.bias");
        assert_eq!(head.as_deref(), Some("head.0.bias"));
    }

    #[test]
    fn strangers_stay_strangers() {
        assert_eq!(
            resolved("decode_head.conv.weight", "encoder.conv.weight"),
            None
        );
        assert_eq!(
            resolved("stages.first.weight", "encoder.stages_first.weight"),
            None
        );
    }
}
