//! Weights for other programs, and the list of encoders.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use inkling_model::{ModelSettings, Tensors, save};

use crate::test_fragment::{figures, inkling, word};

/// A weights file with a network over `encoder`.
fn weights(folder: &Path, encoder: &str, decoder: &[usize]) -> PathBuf {
    let settings = ModelSettings {
        encoder: encoder.to_owned(),
        image_size: 32,
        depth: 6,
        decoder: decoder.to_vec(),
        ..ModelSettings::default()
    };
    let network = settings.init(&Device::flex(), 0).unwrap();
    let path = folder.join(format!("{encoder}.safetensors"));
    save(&path, &network, &settings, &Default::default(), false).unwrap();
    path
}

fn export(model: &Path, names: &str, out: &Path) -> serde_json::Value {
    figures(&["export", word(model), "--names", names, "--out", word(out)])
}

/// That PyTorch's libraries load these files is what `oracles/check_export.py` shows.
#[test]
fn tensors_are_exported_under_three_kinds_of_names() {
    let folder = tempfile::tempdir().unwrap();
    let model = weights(folder.path(), "convnextv2_atto", &[16, 8, 8, 8, 8]);
    let own = Tensors::read(&model).unwrap();
    let own_name = "encoder.stages_1.blocks.0.conv_dw.weight";
    for (names, name, lost) in [
        ("parts", own_name, None),
        (
            "smp",
            "encoder.model.stages_1.blocks.0.conv_dw.weight",
            Some("aggregate.weight"),
        ),
        (
            "timm",
            "stages.1.blocks.0.conv_dw.weight",
            Some("head.0.weight"),
        ),
    ] {
        let out = folder.path().join(names);
        let told = export(&model, names, &out);
        let found = Tensors::read(&out).unwrap();
        assert_eq!(found.shape(name), own.shape(own_name), "{names}");
        assert_eq!(found.values(name), own.values(own_name), "{names}");
        let left_out: Vec<String> = serde_json::from_value(told["left_out"].clone()).unwrap();
        assert_eq!(own.names().count(), found.names().count() + left_out.len());
        assert_eq!(left_out.is_empty(), lost.is_none());
        assert!(lost.is_none_or(|lost| left_out.iter().any(|name| name == lost)));
        assert_eq!(found.metadata()["format"], "pt");
    }
    // What was written in parts is a network of ours again.
    let again = folder.path().join("again");
    export(&folder.path().join("parts"), "parts", &again);
    // The order of a header's metadata is free, so that bytes may differ.
    let again = Tensors::read(&again).unwrap();
    let parts = Tensors::read(&folder.path().join("parts")).unwrap();
    assert_eq!(again.metadata(), parts.metadata());
    assert!(again.names().eq(parts.names()));
    for name in parts.names() {
        assert_eq!(again.values(name), parts.values(name), "{name}");
    }
}

#[test]
fn what_has_no_place_elsewhere_and_what_is_there_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let model = weights(folder.path(), "resnet18", &[16, 8, 8]);
    let out = folder.path().join("out");
    let words = [
        "export",
        word(&model),
        "--names",
        "smp",
        "--out",
        word(&out),
    ];
    let output = inkling(&words);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(
        told.contains("U-Net of 3 blocks") && told.contains("hint"),
        "{told}"
    );
    assert!(!out.exists());

    std::fs::write(&out, "mine").unwrap();
    let output = inkling(&["export", word(&model), "--out", word(&out)]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && told.contains("--force"),
        "{told}"
    );
    assert_eq!(std::fs::read(&out).unwrap(), b"mine");
}

#[test]
fn encoders_are_listed_by_name_family_licence_and_size() {
    let names = |words: &[&str]| {
        let listed = figures(&[&["models"], words].concat());
        let encoders = listed["encoders"].as_array().unwrap().clone();
        let name = |encoder: &serde_json::Value| encoder["name"].as_str().unwrap().to_owned();
        encoders.iter().map(name).collect::<Vec<String>>()
    };
    assert_eq!(
        names(&["resnet18", "*former_b36"]),
        ["caformer_b36", "convformer_b36", "resnet18"]
    );
    let small = names(&["--family", "eva-02", "--largest", "10"]);
    assert_eq!(small, ["eva02_tiny_patch14_224", "eva02_tiny_patch14_336"]);
    let bound = names(&["--licence", "CC-BY-NC"]);
    assert!(bound.len() == 9 && bound.iter().all(|name| name.starts_with("convnextv2")));
    let output = inkling(&["models", "vgg*"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("ConvNeXt") && told.contains("MIT"), "{told}");
}
