//! Checkpoints as others publish them: recognised, named, loaded, and refused in words.

mod seeded;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::module::Param;
use burn::tensor::{Device, Tensor};
use inkling_model::weights::{NamedVisitor, parameter_count, visit_named};
use inkling_model::{
    Approach, DepthDecoder, Error, HybridShape, InputNorm, KNOWN, ModelSettings, Network,
    NormalizationKind, ResNet3dShape, Tensors, WeightsFile, load, load_weights, save,
};
use sha2::{Digest, Sha256};

fn data(name: &str) -> PathBuf {
    Path::new("tests/data/published").join(name)
}

/// Names and shapes in the module's order, running statistics aside.
fn tensors(network: &Network) -> Vec<(String, Vec<usize>)> {
    struct Lister(Vec<(String, Vec<usize>)>);
    impl NamedVisitor for Lister {
        fn visit<const D: usize>(&mut self, name: &str, param: &Param<Tensor<D>>) {
            self.0.push((name.to_owned(), param.lazy_shape().to_vec()));
        }
    }
    let mut lister = Lister(Vec::new());
    visit_named(network, &mut lister);
    lister.0
}

fn values(network: &Network) -> BTreeMap<String, Vec<f32>> {
    struct Reader(BTreeMap<String, Vec<f32>>);
    impl NamedVisitor for Reader {
        fn visit<const D: usize>(&mut self, name: &str, param: &Param<Tensor<D>>) {
            let values = param.val().into_data().try_into_vec().unwrap();
            self.0.insert(name.to_owned(), values);
        }
    }
    let mut reader = Reader(BTreeMap::new());
    visit_named(network, &mut reader);
    reader.0
}

/// Every tensor of the network has the seeded values of its name.
fn assert_seeded(network: &Network) {
    let expected = seeded::tensors(network);
    for (name, found) in values(network) {
        assert_eq!(found, expected.values(&name), "{name}");
    }
}

fn hybrid(features: &[usize], blocks: &[usize], stem: usize) -> Network {
    let settings = ModelSettings {
        approach: Approach::Hybrid,
        image_size: 128,
        depth: 17,
        hybrid: Some(HybridShape {
            stem,
            features: features.to_vec(),
            blocks: blocks.to_vec(),
        }),
        ..ModelSettings::default()
    };
    settings.init(&Device::flex(), 0).unwrap()
}

/// nnU-Net's second names come after the first ones of the same block.
fn with_second_names(tensors: Vec<(String, Vec<usize>)>) -> Vec<(String, Vec<usize>)> {
    let mut all = Vec::new();
    let mut seconds: Vec<(String, Vec<usize>)> = Vec::new();
    for (name, shape) in tensors {
        let second = name
            .replace(".conv.", ".all_modules.0.")
            .replace(".norm.", ".all_modules.1.");
        let begins = name.ends_with(".conv.weight");
        if begins || second == name {
            all.append(&mut seconds);
        }
        if second != name {
            seconds.push((second, shape.clone()));
        }
        all.push((name, shape));
    }
    all.append(&mut seconds);
    all
}

/// The SHA-256 of the released code's own test of the names and shapes of its model, in the order of
/// its state dict.
#[test]
fn the_hybrids_names_are_those_of_the_released_code() {
    let found = with_second_names(tensors(&hybrid(&[4, 8], &[1, 1], 16)));
    assert_eq!(found.len(), 66);
    // There, the decoder's stages are registered before its transposed convolutions, as here.
    let rows: Vec<String> = found
        .iter()
        .map(|(name, shape)| {
            format!(
                "[{name:?},{},\"torch.float32\"]",
                serde_json::to_string(shape).unwrap()
            )
        })
        .collect();
    let digest = Sha256::digest(format!("[{}]", rows.join(",")));
    let hexadecimal: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        hexadecimal,
        "c3ef958b71090231c673d8022a352f5c622dbfa86427064aabebbadd4fbf27a9"
    );
}

/// As many values and names as the released files hold.
#[test]
fn networks_are_as_large_as_the_published_ones() {
    let of = |settings: ModelSettings| {
        let network = settings.init(&Device::flex(), 0).unwrap();
        let norms = tensors(&network)
            .iter()
            .filter(|(name, _)| name.ends_with("running_var"))
            .count();
        // PyTorch counts batches beside each norm's statistics.
        (tensors(&network).len() + norms, parameter_count(&network))
    };
    let network = hybrid(&[32, 64, 128, 256, 320, 320], &[1, 3, 4, 6, 6, 6], 16);
    assert_eq!(with_second_names(tensors(&network)).len(), 508);
    assert_eq!(
        (tensors(&network).len(), parameter_count(&network)),
        (264, 34_546_498)
    );
    let resnet = |layers, decoder, input_norm| ModelSettings {
        approach: Approach::ResNet3d,
        image_size: 64,
        depth: 30,
        resnet3d: Some(ResNet3dShape {
            layers,
            decoder,
            input_norm,
            ..ResNet3dShape::default()
        }),
        ..ModelSettings::default()
    };
    assert_eq!(
        of(resnet(50, DepthDecoder::Plane, InputNorm::None)),
        (338, 83_317_825)
    );
    assert_eq!(
        of(resnet(50, DepthDecoder::Plane, InputNorm::Instance)),
        (340, 83_317_827)
    );
    let classifier = 2_048 * 1_039 + 1_039;
    let r101 = of(resnet(101, DepthDecoder::Plane, InputNorm::None));
    assert_eq!((r101.0 + 2, r101.1 + classifier), (646, 124_492_880));
    let canonical = of(resnet(152, DepthDecoder::Volume, InputNorm::Batch));
    let heads = 128 + 1 + 256 + 1;
    assert_eq!(
        (canonical.0 + 6, canonical.1 + classifier + heads),
        (978, 130_433_493)
    );
    let whole = |approach| ModelSettings {
        approach,
        image_size: 64,
        depth: 26,
        ..ModelSettings::default()
    };
    assert_eq!(of(whole(Approach::TimeSformer)), (135, 37_959_696));
    let i3d = of(whole(Approach::I3d));
    assert_eq!((i3d.0 + 2, i3d.1 + 1_024 * 512 + 512), (382, 34_888_417));
}

#[test]
fn a_hybrid_is_read_with_its_own_configuration_and_averaged_weights() {
    let file = WeightsFile::open(&data("hybrid.pth"), None).unwrap();
    let published = file.published.clone().unwrap();
    assert!(
        published.description.contains("hybrid"),
        "{}",
        published.description
    );
    assert_eq!(published.stride, 16);
    let settings = file.settings.clone();
    assert_eq!((settings.depth, settings.image_size), (17, 32));
    assert_eq!(settings.normalization.kind, NormalizationKind::RobustMad);
    assert_eq!(
        (settings.normalization.lower, settings.normalization.upper),
        (1.0, 98.5)
    );
    let expected = HybridShape {
        stem: 4,
        features: vec![4, 8],
        blocks: vec![1, 2],
    };
    assert_eq!(settings.hybrid, Some(expected));
    assert_seeded(&file.load(&Device::flex()).unwrap().network);
}

#[test]
fn a_lightning_checkpoint_is_read_past_its_optimiser_and_its_unused_heads() {
    let file = WeightsFile::open(&data("lightning.ckpt"), None).unwrap();
    let settings = file.settings.clone();
    assert_eq!((settings.depth, settings.image_size), (62, 64));
    assert_eq!(
        (settings.normalization.clip, settings.normalization.divisor),
        (200.0, 200.0)
    );
    let shape = settings.resnet3d.unwrap();
    assert_eq!((shape.blocks, shape.width), (Some([1; 4]), 2));
    assert_eq!(
        (shape.decoder, shape.input_norm),
        (DepthDecoder::Volume, InputNorm::Batch)
    );
    assert_seeded(&file.load(&Device::flex()).unwrap().network);
}

/// Seeded weights of `settings` under a prefix, as safetensors.
fn safetensors(settings: &ModelSettings, prefix: &str, folder: &Path) -> PathBuf {
    let network = settings.init(&Device::flex(), 0).unwrap();
    let path = folder.join("model.safetensors");
    let tensors = seeded::tensors(&network);
    tensors
        .renamed(|name| Some(format!("{prefix}{name}")))
        .write(&path, true)
        .unwrap();
    path
}

#[test]
fn safetensors_of_every_kind_are_recognised_by_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let small = ResNet3dShape {
        width: 2,
        ..ResNet3dShape::default()
    };
    let cases = [
        (Approach::I3d, None, 64, 30, 200.0),
        (Approach::TimeSformer, None, 64, 26, 200.0),
        (Approach::ResNet3d, Some(small.clone()), 256, 62, 200.0),
        (
            Approach::ResNet3d,
            Some(ResNet3dShape {
                layers: 101,
                ..small.clone()
            }),
            64,
            30,
            200.0,
        ),
        (
            Approach::ResNet3d,
            Some(ResNet3dShape {
                input_norm: InputNorm::Instance,
                enlarge: 4,
                ..small
            }),
            64,
            24,
            200.0,
        ),
    ];
    for (approach, resnet3d, image_size, depth, clip) in cases {
        let settings = ModelSettings {
            approach,
            resnet3d,
            image_size,
            depth,
            ..ModelSettings::default()
        };
        let path = safetensors(&settings, "module.model.", folder.path());
        let file = WeightsFile::open(&path, None).unwrap();
        let found = file.settings.clone();
        assert_eq!(
            (found.approach, found.image_size, found.depth),
            (approach, image_size, depth)
        );
        assert_eq!(found.resnet3d, settings.resnet3d);
        assert_eq!(
            (found.normalization.clip, found.normalization.divisor),
            (clip, 255.0)
        );
        assert_seeded(&file.load(&Device::flex()).unwrap().network);
    }
}

/// The repository says more than the names, `config.json` beside the file more than either.
#[test]
fn known_repositories_and_configurations_are_asked_first() {
    let folder = tempfile::tempdir().unwrap();
    let settings = ModelSettings {
        approach: Approach::ResNet3d,
        image_size: 64,
        depth: 8,
        resnet3d: Some(ResNet3dShape {
            width: 2,
            ..ResNet3dShape::default()
        }),
        ..ModelSettings::default()
    };
    let path = safetensors(&settings, "", folder.path());
    let repository = Some("scrollprize/PHerc.1667-iteration-3");
    let found = WeightsFile::open(&path, repository).unwrap();
    assert_eq!((found.settings.depth, found.settings.image_size), (62, 256));
    assert_eq!(found.settings.normalization.divisor, 255.0);
    std::fs::write(folder.path().join("config.json"), r#"{"size": 96}"#).unwrap();
    let found = WeightsFile::open(&path, repository).unwrap();
    assert_eq!(found.settings.image_size, 96);
    assert_eq!(found.published.unwrap().stride, 48);
    assert!(KNOWN.iter().all(|known| known.stride <= known.tile));
}

fn refused(path: &Path) -> String {
    let error = load(path, &Device::flex()).unwrap_err();
    assert!(
        matches!(
            error,
            Error::UnknownCheckpoint { .. } | Error::Mismatch { .. }
        ),
        "{error}"
    );
    error.to_string()
}

#[test]
fn what_is_of_no_known_kind_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("odd.safetensors");
    let write = |names: &[(&str, &[usize])]| {
        let mut tensors = Tensors::default();
        for (name, shape) in names {
            let count = shape.iter().product();
            tensors.insert((*name).to_owned(), shape.to_vec(), vec![0.0; count]);
        }
        tensors.write(&path, true).unwrap();
        refused(&path)
    };
    let nnunet = write(&[("shared_encoder.stem.convs.0.conv.weight", &[2, 1, 3, 3, 3])]);
    assert!(
        nnunet.contains("nnU-Net's blocks without the hybrid's depth_fusion"),
        "{nnunet}"
    );
    let timm = write(&[("stages.0.blocks.0.conv.weight", &[2, 2, 1, 1])]);
    assert!(timm.contains("an encoder of images"), "{timm}");
    let flat = write(&[("backbone.layer1.0.conv1.weight", &[2, 2, 1, 1])]);
    assert!(flat.contains("kernels have no depth"), "{flat}");
    let odd = write(&[("a", &[1]), ("b", &[1])]);
    assert!(odd.contains("2 tensors (a, b"), "{odd}");
    assert!(odd.contains("hint: docs/networks.md"), "{odd}");
}

#[test]
fn missing_unknown_and_misshapen_tensors_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged.safetensors");
    let network = hybrid(&[4, 8], &[1, 1], 4);
    let write = |change: fn(&mut Tensors)| {
        let mut tensors = seeded::tensors(&network);
        change(&mut tensors);
        tensors.write(&path, true).unwrap();
        refused(&path)
    };
    let unknown = write(|tensors| tensors.insert("network.extra".to_owned(), vec![1], vec![0.0]));
    assert!(
        unknown.contains("1 tensors unknown to the model (network.extra)"),
        "{unknown}"
    );
    let name = "network.task_heads.ink.weight";
    let misshapen = write(|tensors| {
        tensors.insert(
            "network.task_heads.ink.weight".to_owned(),
            vec![2, 4, 1, 1],
            vec![0.0; 8],
        );
    });
    assert!(misshapen.contains(name), "{misshapen}");
    let missing = write(|tensors| {
        *tensors = std::mem::take(tensors)
            .renamed(|name| (!name.contains("task_heads")).then(|| name.to_owned()));
    });
    assert!(
        missing.contains("lacks 2 tensors") && missing.contains(name),
        "{missing}"
    );
}

/// What was fine-tuned is kept like every other network; older versions are told by the format.
#[test]
fn a_published_network_is_saved_and_loaded_like_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("best.safetensors");
    let loaded = load(&data("hybrid.pth"), &Device::flex()).unwrap();
    save(
        &path,
        &loaded.network,
        &loaded.settings,
        &BTreeMap::new(),
        false,
    )
    .unwrap();
    let tensors = Tensors::read(&path).unwrap();
    assert_eq!(tensors.metadata()["inkling.format"], "3");
    let again = load(&path, &Device::flex()).unwrap();
    assert!(again.published.is_none());
    assert_eq!(again.settings, loaded.settings);
    assert_seeded(&again.network);
    // First weights of a training come from the published file too.
    let fresh = loaded.settings.init(&Device::flex(), 1).unwrap();
    let file = data("hybrid.pth");
    let network = load_weights(fresh, &file, Tensors::read(&file).unwrap()).unwrap();
    assert_seeded(&network);
}

/// Settings out of range are refused by name before anything is made.
#[test]
fn impossible_sizes_are_refused_by_name() {
    type Change = fn(&mut ModelSettings);
    let base = |approach| ModelSettings {
        approach,
        image_size: 64,
        depth: 17,
        ..ModelSettings::default()
    };
    let changes: [(Approach, &str, Change); 8] = [
        (Approach::Hybrid, "hybrid.features", |s| {
            s.hybrid.get_or_insert_default().features = vec![];
        }),
        (Approach::Hybrid, "hybrid.blocks", |s| {
            s.hybrid.get_or_insert_default().blocks = vec![1_000_000; 6];
        }),
        (Approach::Hybrid, "image_size", |s| s.image_size = 100),
        (Approach::ResNet3d, "resnet3d.layers", |s| {
            s.resnet3d.get_or_insert_default().layers = 18;
        }),
        (Approach::ResNet3d, "resnet3d.enlarge", |s| {
            s.resnet3d.get_or_insert_default().enlarge = 0;
        }),
        (Approach::TimeSformer, "timesformer.head_size", |s| {
            s.timesformer.get_or_insert_default().head_size = 6;
        }),
        (Approach::I3d, "i3d.narrow", |s| {
            s.i3d.get_or_insert_default().narrow = 0;
        }),
        (Approach::I3d, "pretrained", |s| {
            s.pretrained = inkling_model::Pretrained::Source("timm/resnet50".to_owned());
        }),
    ];
    for (approach, key, change) in changes {
        let mut settings = base(approach);
        settings.check().unwrap();
        change(&mut settings);
        let message = settings.check().unwrap_err().to_string();
        assert!(
            message.starts_with(&format!("model.{key}: found")),
            "{message}"
        );
    }
}
