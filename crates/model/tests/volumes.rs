//! What must hold of networks over volumes, whatever their weights.

mod seeded;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use inkling_model::{
    Aggregation, Approach, Conversion, DepthPadding, Error, ModelSettings, Network, load_encoder,
    load_weights,
};

const SIDE: usize = 64;
const LAYERS: usize = 6;
/// Of a map's spread.
const TOLERANCE: f32 = 2e-4;

fn settings(approach: Approach, encoder: &str) -> ModelSettings {
    ModelSettings {
        approach,
        encoder: encoder.to_owned(),
        image_size: SIDE,
        depth: LAYERS,
        window: 1,
        decoder: vec![16, 8, 8],
        ..ModelSettings::default()
    }
}

fn seeded_network(settings: &ModelSettings) -> Network {
    let network = settings.init(&Device::flex(), 0).unwrap();
    let tensors = seeded::tensors(&network);
    load_weights(network, Path::new("seeded weights"), tensors).unwrap()
}

fn layer() -> Tensor<4> {
    let values = seeded::tensor("layer", &[SIDE * SIDE]);
    let values: Vec<f32> = values.into_iter().map(|value| value * 5.0).collect();
    Tensor::from_data(TensorData::new(values, [1, 1, SIDE, SIDE]), &Device::flex())
}

/// A 2D encoder's file, of one input channel, as timm names it.
fn plane_file(encoder: &str, folder: &Path) -> (Network, PathBuf) {
    let plane = ModelSettings {
        depth: 1,
        ..settings(Approach::Channels, encoder)
    };
    let network = seeded_network(&plane);
    let path = folder.join("plane.safetensors");
    let tensors = seeded::tensors(&network);
    tensors.write(&path, false).unwrap();
    (network, path)
}

fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().try_into_vec().unwrap()
}

/// Every layer of every feature map of a volume that is constant along depth is what the 2D network
/// makes of one layer.
fn check_constant(approach: Approach, encoder: &str, conversions: &[Conversion]) {
    let folder = tempfile::tempdir().unwrap();
    let (plane, path) = plane_file(encoder, folder.path());
    let expected = plane.features(layer());
    let volume = layer().repeat_dim(1, LAYERS);
    for &conversion in conversions {
        let network = seeded_network(&ModelSettings {
            conversion: Some(conversion),
            ..settings(approach, encoder)
        });
        let (network, report) = load_encoder(network, &path).unwrap();
        assert!(!report.adapted.is_empty());
        let features = network.volume_features(volume.clone());
        for (map, (found, expected)) in features.into_iter().zip(&expected).enumerate() {
            let [layers, ..] = found.dims();
            let expected = values(expected.clone());
            let spread = expected.iter().fold(0.0_f32, |most, v| most.max(v.abs()));
            for (layer, found) in values(found).chunks(expected.len()).enumerate() {
                let pairs = found.iter().zip(&expected);
                let worst = pairs.fold(0.0_f32, |most, (a, b)| most.max((a - b).abs()));
                assert!(
                    worst < TOLERANCE * spread,
                    "{encoder}, {conversion:?}: {} of map {map} of {layers} at layer {layer}",
                    worst / spread
                );
            }
        }
    }
}

const BOTH: [Conversion; 2] = [Conversion::Repeat, Conversion::Centre];

#[test]
fn a_resnet_gives_the_planes_features_for_a_constant_volume() {
    check_constant(Approach::Volume, "resnet18", &BOTH);
}

#[test]
fn a_convnext_gives_the_planes_features_for_a_constant_volume() {
    check_constant(Approach::Volume, "convnextv2_atto", &BOTH);
    check_constant(Approach::Volume, "convnext_atto", &[Conversion::Repeat]);
}

#[test]
fn a_maxvit_gives_the_planes_features_for_a_constant_volume() {
    check_constant(Approach::Volume, "maxvit_rmlp_pico_rw_256", &BOTH);
    check_constant(
        Approach::Volume,
        "maxvit_tiny_tf_224",
        &[Conversion::Repeat],
    );
}

#[test]
fn a_swin_gives_the_planes_features_for_a_constant_volume() {
    check_constant(Approach::VolumeSwin, "swinv2_tiny_window8_256", &BOTH);
    check_constant(Approach::PseudoVolumeSwin, "swinv2_tiny_window8_256", &BOTH);
}

/// With kernels in the centre plane and no stride along depth, layers do not see one another.
#[test]
fn kernels_in_the_centre_touch_one_layer_only() {
    let folder = tempfile::tempdir().unwrap();
    let (_, path) = plane_file("resnet18", folder.path());
    let network = seeded_network(&ModelSettings {
        conversion: Some(Conversion::Centre),
        depth_strides: Some(vec![1; 5]),
        ..settings(Approach::Volume, "resnet18")
    });
    let (network, _) = load_encoder(network, &path).unwrap();
    let volume = layer().repeat_dim(1, LAYERS);
    let changed = Tensor::cat(vec![layer() * 2.0, layer().repeat_dim(1, LAYERS - 1)], 1);
    let (before, after) = (
        network.volume_features(volume),
        network.volume_features(changed),
    );
    for (before, after) in before.into_iter().zip(after) {
        let rest = |map: Tensor<4>| values(map.narrow(0, 1, LAYERS - 1));
        assert_eq!(rest(before.clone()), rest(after.clone()));
        assert_ne!(values(before), values(after));
    }
}

/// timm's 2D file of three input channels is an ACS network's as it stands, but for the channels.
#[test]
fn a_2d_file_is_an_acs_networks_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let plane = seeded_network(&ModelSettings {
        depth: 3,
        ..settings(Approach::Channels, "resnet18")
    });
    let path = folder.path().join("plane.safetensors");
    seeded::tensors(&plane).write(&path, false).unwrap();
    let network = seeded_network(&ModelSettings {
        conversion: Some(Conversion::Acs),
        ..settings(Approach::Volume, "resnet18")
    });
    let (_, report) = load_encoder(network, &path).unwrap();
    assert_eq!(report.adapted, ["encoder.conv1.weight"]);
}

/// What an ACS convolution's planes see: an axial kernel nothing of other layers, a coronal one nothing
/// of other rows, a sagittal one nothing of other columns.
#[test]
fn an_acs_networks_first_outputs_lie_in_three_planes() {
    let network = seeded_network(&ModelSettings {
        conversion: Some(Conversion::Acs),
        depth_padding: DepthPadding::Zeros,
        depth_strides: Some(vec![1; 5]),
        depth: 8,
        ..settings(Approach::Volume, "resnet18")
    });
    let mut point = vec![0.0_f32; 8 * SIDE * SIDE];
    point[(4 * SIDE + 32) * SIDE + 32] = 1.0;
    let point = TensorData::new(point, [1, 8, SIDE, SIDE]);
    let point = Tensor::from_data(point, &Device::flex());
    let features = |volume| network.volume_features(volume).remove(0);
    let empty = features(Tensor::zeros([1, 8, SIDE, SIDE], &Device::flex()));
    let seen = values((features(point) - empty).abs());
    // 64 outputs: 22 axial, 21 coronal, 21 sagittal, of 32 × 32 pixels.
    let reach = |outputs: std::ops::Range<usize>, axis: usize| {
        let mut places: Vec<usize> = Vec::new();
        for (index, _) in seen.iter().enumerate().filter(|(_, value)| **value > 1e-6) {
            let (output, pixel) = (index / 1024 % 64, index % 1024);
            if outputs.contains(&output) {
                places.push([index / 1024 / 64, pixel / 32, pixel % 32][axis]);
            }
        }
        places.sort_unstable();
        places.dedup();
        places
    };
    assert_eq!(reach(0..22, 0), [4]);
    assert_eq!(reach(22..43, 1), [16]);
    assert_eq!(reach(43..64, 2), [16]);
    assert!(reach(0..22, 1).len() > 1 && reach(22..43, 0).len() > 1);
}

#[test]
fn a_2d_file_without_a_conversion_is_refused_with_the_hint() {
    let folder = tempfile::tempdir().unwrap();
    let (_, path) = plane_file("resnet18", folder.path());
    let network = seeded_network(&settings(Approach::Volume, "resnet18"));
    let error = load_encoder(network, &path).unwrap_err();
    assert!(matches!(error, Error::Conversion { .. }));
    let text = error.to_string();
    for expected in [
        "plane.safetensors",
        "conv1.weight",
        "model.conversion = \"repeat\"",
    ] {
        assert!(text.contains(expected), "{text}");
    }
}

/// Weights of kernels with a depth for a network whose kernels are flat, and the other way round.
#[test]
fn weights_of_another_conversion_are_refused_with_the_hint() {
    let with = |conversion| {
        seeded_network(&ModelSettings {
            conversion,
            ..settings(Approach::Volume, "resnet18")
        })
    };
    let (deep, flat) = (with(None), with(Some(Conversion::Acs)));
    let file = Path::new("other.safetensors");
    let text = load_weights(flat.clone(), file, seeded::tensors(&deep));
    let text = text.unwrap_err().to_string();
    assert!(
        text.contains("a kernel with a depth") && text.contains("take that"),
        "{text}"
    );
    let text = load_weights(deep, file, seeded::tensors(&flat));
    let text = text.unwrap_err().to_string();
    assert!(text.contains("a kernel of the plane"), "{text}");
}

fn refused(change: impl FnOnce(&mut ModelSettings)) -> String {
    let mut changed = settings(Approach::Volume, "resnet18");
    change(&mut changed);
    changed.init(&Device::flex(), 0).unwrap_err().to_string()
}

#[test]
fn what_does_not_divide_is_named() {
    let text = refused(|settings| settings.depth_strides = Some(vec![1, 2, 2, 1, 1]));
    assert!(
        text.contains("model.depth_strides: found [1, 2, 2, 1, 1]")
            && text.contains("stride 3 of the 5 to divide 3"),
        "{text}"
    );
    let text = refused(|settings| settings.depth_strides = Some(vec![2; 4]));
    assert!(text.contains("5 strides"), "{text}");
    let text = refused(|settings| {
        *settings = ModelSettings {
            depth_window: Some(4),
            depth_strides: Some(vec![1; 4]),
            ..self::settings(Approach::VolumeSwin, "swinv2_tiny_window8_256")
        };
    });
    assert!(text.contains("depth_window: found 4"), "{text}");
    assert!(text.contains("a divisor of the 6 layers"), "{text}");
    let text = refused(|settings| {
        *settings = ModelSettings {
            window: 3,
            step: Some(2),
            ..self::settings(Approach::Aggregate, "resnet18")
        };
    });
    assert!(
        text.contains("model.step: found 2") && text.contains("= 3"),
        "{text}"
    );
}

#[test]
fn what_an_approach_does_not_take_is_named() {
    let text = refused(|settings| settings.encoder = "eva02_tiny_patch14_224".to_owned());
    assert!(
        text.contains("model.image_size") || text.contains("families MaxViT, ConvNeXt, ResNet"),
        "{text}"
    );
    let text = refused(|settings| settings.encoder = "caformer_s18".to_owned());
    assert!(text.contains("families MaxViT, ConvNeXt, ResNet"), "{text}");
    let text = refused(|settings| settings.approach = Approach::VolumeSwin);
    assert!(text.contains("families Swin V2"), "{text}");
    let text = refused(|settings| {
        settings.approach = Approach::Channels;
        settings.conversion = Some(Conversion::Repeat);
    });
    assert!(
        text.contains("model.conversion: found \"repeat\"; expected none"),
        "{text}"
    );
    let text = refused(|settings| settings.architecture = inkling_model::Architecture::UperNet);
    assert!(text.contains("model.architecture"), "{text}");
}

/// Combining is linear: a mean of two passes may be taken before it, whatever the aggregation.
#[test]
fn what_is_left_after_the_partial_maps_is_linear() {
    for aggregation in [
        Aggregation::Linear,
        Aggregation::Mean,
        Aggregation::Max,
        Aggregation::Attention,
    ] {
        for approach in [Approach::Aggregate, Approach::Volume] {
            let network = seeded_network(&ModelSettings {
                aggregation,
                ..settings(approach, "resnet18")
            });
            let partial = |factor: f32| network.partial(layer().repeat_dim(1, LAYERS) * factor);
            let (one, two) = (partial(1.0), partial(2.0));
            let mean = network.finish((one.clone() + two.clone()) * 0.5, [SIDE; 2]);
            let each = network.finish(one, [SIDE; 2]) + network.finish(two, [SIDE; 2]);
            let pairs = values(mean).into_iter().zip(values(each * 0.5));
            let worst = pairs.fold(0.0_f32, |most, (a, b)| most.max((a - b).abs()));
            assert!(worst < 1e-4, "{aggregation:?}, {approach:?}: {worst}");
        }
    }
}

/// Files of the first format name none of the newer settings, and settings that are not changed are
/// not written.
#[test]
fn settings_of_2d_networks_are_written_as_they_always_were() {
    let text = serde_json::to_value(ModelSettings::default()).unwrap();
    let keys: Vec<&String> = text.as_object().unwrap().keys().collect();
    let expected: BTreeMap<&str, ()> = [
        "approach",
        "architecture",
        "decoder",
        "depth",
        "drop_path",
        "dropout",
        "encoder",
        "image_size",
        "pretrained",
        "window",
    ]
    .map(|key| (key, ()))
    .into();
    assert!(
        keys.iter().all(|key| expected.contains_key(key.as_str())),
        "{keys:?}"
    );
    assert_eq!(keys.len(), expected.len());
}
