//! Encoders from files that other programs made for other inputs and image sizes.

mod seeded;

use std::path::PathBuf;

use burn::tensor::Device;
use inkling_model::weights::{NamedVisitor, visit_named};
use inkling_model::{Approach, Error, ModelSettings, Network, Tensors, load_encoder};

fn settings(encoder: &str, image_size: usize, inputs: usize) -> ModelSettings {
    ModelSettings {
        approach: Approach::Channels,
        encoder: encoder.to_owned(),
        image_size,
        depth: inputs,
        decoder: vec![8],
        ..ModelSettings::default()
    }
}

fn network(settings: &ModelSettings) -> Network {
    settings.init(&Device::flex(), 0).unwrap()
}

/// A file such as timm publishes: the encoder's own names, a classifier besides.
fn published(settings: &ModelSettings, folder: &tempfile::TempDir) -> PathBuf {
    let tensors = seeded::tensors(&network(settings)).renamed(|name| {
        let plain = name.strip_prefix("encoder.")?;
        let plain = plain.strip_prefix("model.").unwrap_or(plain);
        Some(plain.replace("stages_", "stages."))
    });
    let mut tensors = tensors;
    tensors.insert("head.fc.weight".to_owned(), vec![2, 3], vec![0.5; 6]);
    let path = folder.path().join("model.safetensors");
    tensors.write(&path, false).unwrap();
    path
}

fn values(network: &Network, wanted: &str) -> (Vec<usize>, Vec<f32>) {
    struct Finder<'a>(&'a str, Option<(Vec<usize>, Vec<f32>)>);
    impl NamedVisitor for Finder<'_> {
        fn visit<const D: usize>(
            &mut self,
            name: &str,
            param: &burn::module::Param<burn::tensor::Tensor<D>>,
        ) {
            if name == self.0 {
                let data = param.val().into_data();
                self.1 = Some((data.shape().to_vec(), data.try_into_vec().unwrap()));
            }
        }
    }
    let mut finder = Finder(wanted, None);
    visit_named(network, &mut finder);
    finder.1.unwrap()
}

#[test]
fn a_first_convolution_is_widened_to_five_inputs() {
    let folder = tempfile::tempdir().unwrap();
    let path = published(&settings("resnet18", 32, 3), &folder);
    let (wide, report) = load_encoder(network(&settings("resnet18", 32, 5)), &path).unwrap();
    assert_eq!(report.adapted, ["encoder.conv1.weight"]);
    assert_eq!(report.unused, ["head.fc.weight"]);
    let (shape, found) = values(&wide, "encoder.conv1.weight");
    assert_eq!(shape, [64, 5, 7, 7]);
    let plain = seeded::tensor("encoder.conv1.weight", &[64, 3, 7, 7]);
    for input in 0..5 {
        let expected = plain[(input % 3) * 49 + 11] * (3.0 / 5.0);
        assert!((found[input * 49 + 11] - expected).abs() < 1e-6);
    }
}

#[test]
fn positions_follow_the_image_size() {
    let folder = tempfile::tempdir().unwrap();
    let path = published(&settings("eva02_tiny_patch14_224", 224, 3), &folder);
    let smaller = network(&settings("eva02_tiny_patch14_224", 112, 3));
    let (smaller, report) = load_encoder(smaller, &path).unwrap();
    assert_eq!(report.adapted, ["encoder.model.pos_embed"]);
    let (shape, found) = values(&smaller, "encoder.model.pos_embed");
    assert_eq!(shape, [1, 65, 192]);
    let plain = seeded::tensor("encoder.model.pos_embed", &[1, 257, 192]);
    assert_eq!(found[..192], plain[..192], "the class token's own place");
}

#[test]
fn bias_tables_follow_the_image_size() {
    let folder = tempfile::tempdir().unwrap();
    let path = published(&settings("maxvit_tiny_tf_224", 224, 3), &folder);
    let smaller = network(&settings("maxvit_tiny_tf_224", 96, 1));
    let (_, report) = load_encoder(smaller, &path).unwrap();
    let tables = report
        .adapted
        .iter()
        .filter(|name| name.ends_with("bias_table"));
    assert_eq!(tables.count(), 2 * (2 + 2 + 5 + 2));
    assert!(
        report
            .adapted
            .contains(&"encoder.stem.conv1.weight".to_owned())
    );
}

#[test]
fn weights_of_another_variant_are_refused_by_name_and_shape() {
    let folder = tempfile::tempdir().unwrap();
    let path = published(&settings("resnet18", 32, 3), &folder);
    let error = load_encoder(network(&settings("resnet50", 32, 3)), &path).unwrap_err();
    assert!(matches!(error, Error::Mismatch { .. }));
    let text = error.to_string();
    assert!(
        text.contains(
            "encoder.layer1.0.conv1.weight: found [64, 64, 3, 3], expected [64, 64, 1, 1]"
        ),
        "{text}"
    );
    assert!(text.contains("encoder.layer1.0.bn3.weight"), "{text}");
}

#[test]
fn weights_with_nan_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = published(&settings("resnet18", 32, 3), &folder);
    let mut tensors = Tensors::read(&path).unwrap();
    let name = "layer2.0.bn1.weight";
    let mut values = tensors.values(name);
    values[3] = f32::NAN;
    tensors.insert(name.to_owned(), vec![values.len()], values);
    tensors.write(&path, true).unwrap();
    let error = load_encoder(network(&settings("resnet18", 32, 3)), &path).unwrap_err();
    let text = error.to_string();
    for part in [
        "NaN or infinity (encoder.layer2.0.bn1.weight)",
        "hint: take another checkpoint",
    ] {
        assert!(text.contains(part), "{text}");
    }
}
