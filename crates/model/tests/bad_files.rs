//! Files of weights, good and bad: PyTorch's (`oracles/pytorch_files.py`) and hostile safetensors.

use std::path::{Path, PathBuf};

use inkling_model::{Error, Tensors};

fn pytorch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/pytorch")
        .join(name)
}

fn sine(count: usize) -> Vec<f32> {
    (0..count).map(|i| (0.1 * i as f64).sin() as f32).collect()
}

fn check_state_dict(file: &str, prefix: &str) {
    let tensors = Tensors::read(&pytorch(file)).unwrap();
    let shape = |name: &str| tensors.shape(&format!("{prefix}{name}")).unwrap().to_vec();
    let values = |name: &str| tensors.values(&format!("{prefix}{name}"));
    assert_eq!(shape("weight"), [3, 4]);
    assert_eq!(values("weight"), sine(12));
    assert_eq!(shape("transposed"), [4, 3]);
    let transposed: Vec<f32> = (0..12).map(|i| sine(12)[i % 3 * 4 + i / 3]).collect();
    assert_eq!(values("transposed"), transposed);
    assert_eq!(values("row"), sine(12)[4..8]);
    assert_eq!(values("shared"), sine(8));
    assert_eq!(values("double"), sine(6));
    assert_eq!(shape("parameter"), [2, 2]);
    assert_eq!(values("parameter"), sine(4));
    assert_eq!(shape("scalar"), [0_usize; 0]);
    assert_eq!(values("scalar"), [0.5]);
    for name in ["half", "brain"] {
        for (found, expected) in values(name).iter().zip(sine(6)) {
            assert!((found - expected).abs() < 4e-3, "{name}: {found}");
        }
    }
    assert_eq!(tensors.names().count(), 9, "integers are passed over");
}

#[test]
fn state_dicts_are_read_from_wherever_they_lie() {
    check_state_dict("plain.pth", "");
    check_state_dict("lightning.ckpt", "model.");
    check_state_dict("distributed.bin", "module.");
}

#[test]
fn a_pickle_with_code_in_it_is_refused_by_the_codes_name() {
    let error = Tensors::read(&pytorch("attack.pth")).unwrap_err();
    assert!(matches!(&error, Error::PickledCode { name, .. } if name.ends_with(".system")));
    assert!(error.to_string().contains("Nothing was run"), "{error}");
}

#[test]
fn a_whole_module_is_refused_with_the_mend() {
    let error = Tensors::read(&pytorch("whole_module.pth"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("torch.nn.modules.linear.Linear"), "{error}");
    assert!(error.contains("state_dict()"), "{error}");
}

#[test]
fn the_format_before_1_6_is_named() {
    let error = Tensors::read(&pytorch("legacy.pth")).unwrap_err();
    assert!(matches!(error, Error::OldPyTorch { .. }), "{error}");
}

#[test]
fn an_archive_without_weights_says_so() {
    let error = Tensors::read(&pytorch("no_weights.pth"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("no dict of tensors"), "{error}");
}

#[test]
fn a_cut_or_altered_archive_is_an_error_and_never_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.pth");
    let whole = std::fs::read(pytorch("plain.pth")).unwrap();
    for end in (4..whole.len()).step_by(97) {
        std::fs::write(&path, &whole[..end]).unwrap();
        assert!(Tensors::read(&path).is_err(), "cut at {end}");
    }
    for place in (4..whole.len()).step_by(31) {
        let mut altered = whole.clone();
        altered[place] ^= 0xff;
        std::fs::write(&path, &altered).unwrap();
        let _ = Tensors::read(&path);
    }
}

/// A safetensors file of any header and data.
fn safetensors(header: &str, length: u64, data: usize) -> Vec<u8> {
    let mut bytes = length.to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(vec![0; data]);
    bytes
}

#[test]
fn hostile_headers_are_refused() {
    let entry = |name: &str, shape: &str, start: u64, end: u64| {
        format!(r#""{name}":{{"dtype":"F32","shape":{shape},"data_offsets":[{start},{end}]}}"#)
    };
    let one = entry("a", "[2]", 0, 8);
    let honest = format!("{{{one}}}");
    let overlapping = format!("{{{one},{}}}", entry("b", "[2]", 4, 12));
    let gap = format!("{{{one},{}}}", entry("b", "[2]", 16, 24));
    let backwards = format!("{{{}}}", entry("a", "[2]", 8, 0));
    let beyond = format!("{{{}}}", entry("a", "[200]", 0, 800));
    let overflowing = format!("{{{}}}", entry("a", "[4294967296,4294967296,4]", 0, 0));
    let misfit = format!("{{{}}}", entry("a", "[3]", 0, 8));
    let negative = format!("{{{}}}", entry("a", "[-2]", 0, 8));
    let typeless = honest.replace("F32", "F99");
    let nested = "[".repeat(100_000);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let refused = |what: &str, bytes: Vec<u8>| {
        std::fs::write(&path, bytes).unwrap();
        let error = Tensors::read(&path).expect_err(what);
        assert!(
            matches!(error, Error::NotSafetensors { .. }),
            "{what}: {error}"
        );
        assert!(error.to_string().contains("model.safetensors"), "{what}");
    };
    let plain = |header: &str, data| safetensors(header, header.len() as u64, data);
    refused("a header of 2^64 bytes", safetensors(&honest, u64::MAX, 8));
    let long = format!("{honest}{}", " ".repeat((16 << 20) + 1 - honest.len()));
    refused("a header of a byte more than 16 MiB", plain(&long, 8));
    refused("a header of 2^40 bytes", safetensors(&honest, 1 << 40, 8));
    refused(
        "a header longer than the file",
        safetensors(&honest, 5000, 8),
    );
    refused("overlapping tensors", plain(&overlapping, 12));
    refused("a gap between tensors", plain(&gap, 24));
    refused("an end before its start", plain(&backwards, 8));
    refused("data beyond the file", plain(&beyond, 8));
    refused("a shape beyond all numbers", plain(&overflowing, 0));
    refused("a shape other than its data", plain(&misfit, 8));
    refused("a negative size", plain(&negative, 8));
    refused("an unknown type", plain(&typeless, 8));
    refused("half the data", plain(&honest, 4));
    refused("more data than named", plain(&honest, 16));
    refused("nested arrays", plain(&nested, 0));
    refused("no JSON", plain("{]", 0));
    refused("an empty file", Vec::new());
    refused("seven bytes", vec![1; 7]);
    refused("text", b"<html>Not Found</html>".to_vec());
    std::fs::write(&path, plain(&honest, 8)).unwrap();
    assert_eq!(Tensors::read(&path).unwrap().values("a"), [0.0, 0.0]);
    std::fs::write(&path, plain(&long[..16 << 20], 8)).unwrap();
    assert_eq!(Tensors::read(&path).unwrap().values("a"), [0.0, 0.0]);
}
