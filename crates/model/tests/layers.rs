//! The layers of learning rates against timm's own groups (`oracles/fine_tuning_reference.py`).

use std::collections::BTreeMap;

use burn::tensor::Device;
use inkling_model::{ModelSettings, Network, catalogue};

fn network(encoder: &str) -> Network {
    let info = catalogue().into_iter().find(|info| info.name == encoder);
    let settings = ModelSettings {
        encoder: encoder.to_owned(),
        image_size: info.unwrap().image_size,
        depth: 3,
        decoder: vec![8, 8, 8],
        ..ModelSettings::default()
    };
    settings.init(&Device::flex(), 0).unwrap()
}

#[test]
fn layers_are_timms() {
    let text = include_str!("data/layers.json");
    let reference: BTreeMap<String, Vec<Vec<String>>> = serde_json::from_str(text).unwrap();
    assert_eq!(reference.len(), 8);
    for (encoder, expected) in reference {
        let layers = network(&encoder).layers();
        let mut found = vec![Vec::new(); expected.len() + 1];
        for (name, layer) in layers {
            if !name.contains("running_") {
                found[layer].push(name.trim_start_matches("encoder.").to_owned());
            }
        }
        let last = found.pop().unwrap();
        assert_eq!(found, expected, "{encoder}");
        assert!(last.iter().all(|name| !name.starts_with("encoder")));
        assert!(last.contains(&"head.0.weight".to_owned()), "{encoder}");
    }
}

/// timm has no groups for this family.
#[test]
fn a_caformers_layers_are_its_blocks() {
    let layers = network("caformer_s18").layers();
    let layer = |name: &str| layers[name];
    assert_eq!(layer("encoder.stem.conv.weight"), 0);
    assert_eq!(layer("encoder.stages_0.blocks.2.mlp.fc1.weight"), 3);
    assert_eq!(layer("encoder.stages_1.downsample.conv.weight"), 4);
    assert_eq!(layer("encoder.stages_1.blocks.0.norm1.weight"), 4);
    assert_eq!(layer("encoder.stages_3.blocks.2.mlp.fc1.weight"), 18);
    assert_eq!(layer("aggregate.weight"), 19);
}
