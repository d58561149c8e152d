//! Networks against what PyTorch + timm compute with the same weights on the same input
//! (`oracles/model_reference.py`): every value within 1e-4 of the map's spread. On the
//! device that `INKLING_TEST_DEVICE` names, or the processor.

mod case;
mod chosen_device;
mod seeded;

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use chosen_device::chosen_device;
use inkling_model::weights::parameter_count;
use inkling_model::{ModelSettings, Network, load_weights};
use serde::Deserialize;

const TOLERANCE: f64 = 1e-4;

#[derive(Deserialize)]
struct Reference {
    case: serde_json::Value,
    parameters: usize,
    logits: Values,
    features: Vec<FeatureMap>,
}

#[derive(Deserialize)]
struct Values {
    std: f64,
    values: Vec<f64>,
}

#[derive(Deserialize)]
struct FeatureMap {
    shape: Vec<usize>,
    #[serde(flatten)]
    values: Values,
}

fn network(settings: &ModelSettings, device: &Device) -> Network {
    let network = settings.init(device, 0).unwrap();
    let tensors = seeded::tensors(&network);
    load_weights(network, Path::new("seeded weights"), tensors).unwrap()
}

/// `[2, depth, image_size, image_size]`.
fn volume(settings: &ModelSettings, device: &Device) -> Tensor<4> {
    let shape = [2, settings.depth, settings.image_size, settings.image_size];
    let values = seeded::tensor("input", &[shape.iter().product()]);
    let values: Vec<f32> = values.into_iter().map(|value| value * 5.0).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

impl Values {
    /// Compares values at even places, as numpy's `linspace` and `round` choose them.
    fn assert_close(&self, what: &str, found: &[f32]) {
        let last = (self.values.len() - 1) as f64;
        for (index, expected) in self.values.iter().enumerate() {
            let place = index as f64 * (found.len() - 1) as f64 / last;
            let value = f64::from(found[place.round_ties_even() as usize]);
            let error = (value - expected).abs() / self.std;
            assert!(
                error < TOLERANCE,
                "{what} at {place}: {value} instead of {expected}"
            );
        }
    }
}

fn check(name: &str) {
    let path = PathBuf::from("tests/data")
        .join(name)
        .with_extension("json");
    let reference: Reference =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let device = chosen_device(Device::flex());
    let settings = case::settings(&reference.case);
    let network = network(&settings, &device);
    assert_eq!(parameter_count(&network), reference.parameters);

    let volume = volume(&settings, &device);
    let first = volume.clone().narrow(0, 0, 1);
    let features = match settings.approach.is_over_volumes() {
        true => network.volume_features(first),
        false => network.features(first.narrow(1, 0, settings.inputs())),
    };
    assert_eq!(features.len(), reference.features.len());
    for (stage, (map, expected)) in features.iter().zip(&reference.features).enumerate() {
        assert_eq!(map.dims().to_vec(), expected.shape, "feature map {stage}");
        let found: Vec<f32> = map.to_data().try_to_vec().unwrap();
        expected
            .values
            .assert_close(&format!("feature map {stage}"), &found);
    }
    let logits: Vec<f32> = network.forward(volume).to_data().try_to_vec().unwrap();
    reference.logits.assert_close("logits", &logits);
}

#[test]
fn maxvit_pico_64() {
    check("maxvit_pico_64");
}

#[test]
fn maxvit_pico_96_with_windows_of_three_and_a_narrow_decoder() {
    check("maxvit_pico_96");
}

#[test]
fn maxvit_nano_64_with_windows_of_two_layers() {
    check("maxvit_nano_64");
}

#[test]
fn maxvit_small_64_with_layer_scale() {
    check("maxvit_small_64");
}

#[test]
fn maxvit_pico_64_with_layers_as_channels() {
    check("maxvit_pico_64_25d");
}

#[test]
fn maxvit_tiny_64_in_the_authors_style() {
    check("maxvit_tiny_tf_64");
}

#[test]
fn maxvit_large_64_in_the_authors_style() {
    check("maxvit_large_tf_64");
}

#[test]
fn convnextv2_atto_64() {
    check("convnextv2_atto_64");
}

#[test]
fn convnext_tiny_64() {
    check("convnext_tiny_64");
}

#[test]
fn resnet18_64() {
    check("resnet18_64");
}

#[test]
fn resnet50_64_with_the_standard_decoder_of_five_blocks() {
    check("resnet50_64");
}

#[test]
fn caformer_s18_64() {
    check("caformer_s18_64");
}

#[test]
fn convformer_s18_64() {
    check("convformer_s18_64");
}

#[test]
fn swinv2_tiny_128_with_shifted_windows() {
    check("swinv2_tiny_128");
}

#[test]
fn swinv2_base_96_with_windows_other_than_in_pretraining() {
    check("swinv2_base_resized_96");
}

#[test]
fn eva02_tiny_112_with_upernet() {
    check("eva02_tiny_112");
}

#[test]
fn eva02_tiny_84_with_unet_and_logits_enlarged_by_a_fraction() {
    check("eva02_tiny_84_unet");
}

#[test]
fn eva02_base_64_with_patches_of_16() {
    check("eva02_base_64");
}

#[test]
fn eva02_base_96_with_the_norm_of_clip() {
    check("eva02_base_clip_96");
}

#[test]
fn upernet_on_an_encoder_with_its_own_pyramid() {
    check("convnextv2_atto_64_upernet");
}

#[test]
fn upernet_leaves_the_map_at_stride_2_aside() {
    check("resnet18_96_upernet");
}

#[test]
fn scse_attention_in_five_blocks_with_a_skip_each() {
    check("resnet18_64_scse");
}

#[test]
fn scse_attention_in_five_blocks_of_which_one_has_an_empty_skip() {
    check("convnextv2_atto_64_scse");
}

#[test]
fn scse_attention_in_four_blocks_with_logits_enlarged() {
    check("convnextv2_atto_64_four");
}

#[test]
fn windows_that_overlap_and_their_mean() {
    check("resnet18_64_overlapping_mean");
}

#[test]
fn the_largest_of_the_windows() {
    check("resnet18_64_max");
}

#[test]
fn attention_over_windows_with_gaps() {
    check("resnet18_64_attention");
}

#[test]
fn resnet18_64_over_volumes() {
    check("resnet18_64_3d");
}

#[test]
fn resnet18_64_over_volumes_between_zeros_with_attention_along_depth() {
    check("resnet18_64_3d_zeros");
}

#[test]
fn resnet18_64_in_three_planes_between_zeros() {
    check("resnet18_64_acs");
}

#[test]
fn resnet18_64_in_three_planes() {
    check("resnet18_64_acs_replicate");
}

#[test]
fn convnextv2_atto_64_over_volumes() {
    check("convnextv2_atto_64_3d");
}

#[test]
fn convnextv2_atto_64_in_three_planes() {
    check("convnextv2_atto_64_acs");
}

#[test]
fn maxvit_pico_64_over_volumes() {
    check("maxvit_pico_64_3d");
}

#[test]
fn maxvit_pico_64_in_three_planes() {
    check("maxvit_pico_64_acs");
}

#[test]
fn swinv2_tiny_64_with_windows_in_three_dimensions() {
    check("swinv2_tiny_64_3d");
}

#[test]
fn swinv2_tiny_64_with_a_first_block_across_all_layers() {
    check("swinv2_tiny_64_pseudo");
}

#[test]
fn hybrid_64() {
    check("hybrid_64");
}

#[test]
fn resnet3d50_32_under_the_largest_along_depth() {
    check("resnet3d50_32");
}

#[test]
fn resnet3d_64_under_attention_over_depth() {
    check("resnet3d_64_batch");
}

#[test]
fn resnet3d_16_that_enlarges_its_patch() {
    check("resnet3d_16_enlarged");
}

#[test]
fn timesformer_64_as_published() {
    check("timesformer_64");
}

#[test]
fn timesformer_32_of_other_sizes() {
    check("timesformer_32");
}

#[test]
fn i3d_64_as_published() {
    check("i3d_64");
}

#[test]
fn i3d_32_with_few_channels() {
    check("i3d_32");
}
