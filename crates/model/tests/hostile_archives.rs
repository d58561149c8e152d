//! Archives of PyTorch that ask for more than they hold, and settings that their file belies.

use std::collections::BTreeMap;
use std::io::{Cursor, Write};
use std::path::PathBuf;

use burn::tensor::Device;
use inkling_model::{Approach, ModelSettings, Tensors, load, save};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// A strided view of the storage `key`.
struct View {
    name: &'static str,
    key: &'static str,
    offset: u32,
    shape: Vec<u32>,
    strides: Vec<u32>,
}

fn view(name: &'static str, key: &'static str, shape: &[u32], strides: &[u32]) -> View {
    View {
        name,
        key,
        offset: 0,
        shape: shape.to_vec(),
        strides: strides.to_vec(),
    }
}

/// The pickle of a dict of `views`, as `torch.save` writes it.
fn pickle(views: &[View]) -> Vec<u8> {
    let text = |text: &str| {
        let mut bytes = vec![b'X'];
        bytes.extend((text.len() as u32).to_le_bytes());
        bytes.extend(text.bytes());
        bytes
    };
    let long = |number: u32| {
        let mut bytes = vec![0x8a, 5];
        bytes.extend(u64::from(number).to_le_bytes().iter().take(5));
        bytes
    };
    let tuple = |numbers: &[u32]| {
        let mut bytes = vec![b'('];
        bytes.extend(numbers.iter().flat_map(|&number| long(number)));
        bytes.push(b't');
        bytes
    };
    let mut bytes = b"\x80\x02}(".to_vec();
    for view in views {
        bytes.extend(text(view.name));
        bytes.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        bytes.extend(text("storage"));
        bytes.extend(b"ctorch\nFloatStorage\n");
        bytes.extend([text(view.key), text("cpu"), long(4)].concat());
        bytes.extend(b"tQ");
        bytes.extend([long(view.offset), tuple(&view.shape), tuple(&view.strides)].concat());
        bytes.extend(b"\x89}tR");
    }
    bytes.extend(b"u.");
    bytes
}

/// An archive of `entries`, stored as they are.
fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, bytes) in entries {
        writer.start_file(*name, stored).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn put(&self, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join("hostile.pth");
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn refused(&self, bytes: &[u8]) -> String {
        let text = Tensors::read(&self.put(bytes)).unwrap_err().to_string();
        assert!(text.contains("hostile.pth") && text.len() < 600, "{text}");
        text
    }

    /// Four numbers in the storage `0`.
    fn refused_views(&self, views: &[View]) -> String {
        let storage = [1.0_f32, 2.0, 3.0, 4.0].map(f32::to_le_bytes).concat();
        let pickle = pickle(views);
        self.refused(&archive(&[("a/data.pkl", &pickle), ("a/data/0", &storage)]))
    }
}

#[test]
fn one_storage_may_bear_several_names_in_any_order() {
    let (first, second) = ([1.0_f32, 2.0, 3.0, 4.0], [5.0_f32, 6.0, 7.0, 8.0]);
    let views = [
        view("conv.weight", "0", &[2, 2], &[2, 1]),
        view("norm.weight", "1", &[4], &[1]),
        view("all_modules.0.weight", "0", &[2, 2], &[2, 1]),
        view("all_modules.1.weight", "1", &[2, 2], &[1, 2]),
        View {
            offset: 2,
            ..view("row", "0", &[1, 2], &[77, 1])
        },
    ];
    let bytes = archive(&[
        ("a/data.pkl", &pickle(&views)),
        ("a/data/0", &first.map(f32::to_le_bytes).concat()),
        ("a/data/1", &second.map(f32::to_le_bytes).concat()),
    ]);
    let folder = Folder::new();
    let tensors = Tensors::read(&folder.put(&bytes)).unwrap();
    assert_eq!(tensors.values("conv.weight"), first);
    assert_eq!(tensors.values("all_modules.0.weight"), first);
    assert_eq!(tensors.values("norm.weight"), second);
    assert_eq!(tensors.values("all_modules.1.weight"), [5.0, 7.0, 6.0, 8.0]);
    assert_eq!(tensors.values("row"), [3.0, 4.0]);
}

#[test]
fn one_storage_under_thousands_of_names_is_refused_before_it_is_copied() {
    let names: Vec<String> = (0..2_000).map(|index| format!("w{index}")).collect();
    let views: Vec<View> = names
        .iter()
        .map(|name| View {
            name: name.clone().leak(),
            ..view("", "0", &[1 << 20], &[1])
        })
        .collect();
    let storage = vec![0; 4 << 20];
    let bytes = archive(&[("a/data.pkl", &pickle(&views)), ("a/data/0", &storage)]);
    let text = Folder::new().refused(&bytes);
    assert!(
        text.contains("8388608000 bytes, more than 16 times"),
        "{text}"
    );
}

#[test]
fn views_stay_within_their_storage_and_do_not_repeat_it() {
    let folder = Folder::new();
    let most = u32::MAX;
    for (shape, strides) in [
        (vec![5], vec![1]),
        (vec![4], vec![2]),
        // One number as 10^12, and a product beyond all numbers.
        (vec![1_000_000, 1_000_000], vec![0, 0]),
        (vec![most, most, most], vec![0, 0, 0]),
        (vec![2, 3], vec![0, 1]),
        (vec![2], vec![most]),
        (vec![2; 65], vec![0; 65]),
    ] {
        let text = folder.refused_views(&[view("w", "0", &shape, &strides)]);
        let reasons = ["reaches beyond", "more than 16 times", "impossible shape"];
        assert!(reasons.iter().any(|reason| text.contains(reason)), "{text}");
    }
    let beyond = View {
        offset: most,
        ..view("w", "0", &[1], &[1])
    };
    assert!(folder.refused_views(&[beyond]).contains("reaches beyond"));
}

#[test]
fn a_name_given_twice_or_too_long_and_a_storage_that_is_not_there_are_refused() {
    let folder = Folder::new();
    let one = || view("w", "0", &[4], &[1]);
    assert!(
        folder
            .refused_views(&[one(), one()])
            .contains("two tensors w")
    );
    let long = View {
        name: "w".repeat(300).leak(),
        ..one()
    };
    assert!(
        folder
            .refused_views(&[long])
            .contains("more than 255 bytes")
    );
    let other = View {
        key: "../0",
        ..one()
    };
    assert!(folder.refused_views(&[other]).contains("a/data/../0"));
}

#[test]
fn entries_must_be_stored_and_no_longer_than_the_file() {
    let folder = Folder::new();
    let pickle = pickle(&[view("w", "0", &[4], &[1])]);
    let whole = archive(&[("a/data.pkl", &pickle), ("a/data/0", &[0; 16])]);
    assert!(Tensors::read(&folder.put(&whole)).is_ok());

    // The central directory's entry of the storage: method at 10, sizes at 20 and 24.
    let places = |bytes: &[u8]| {
        let entries = bytes.windows(4).enumerate();
        let entries = entries.filter(|(_, start)| *start == b"PK\x01\x02");
        entries.map(|(place, _)| place).collect::<Vec<_>>()
    };
    let storage = places(&whole)[1];
    let mut deflated = whole.clone();
    deflated[storage + 10] = 8;
    folder.refused(&deflated);
    for (compressed, size) in [
        (0xffff_fff0_u32, 0xffff_fff0_u32),
        (16, 0xffff_fff0),
        (1 << 20, 16),
    ] {
        let mut altered = whole.clone();
        altered[storage + 20..][..4].copy_from_slice(&compressed.to_le_bytes());
        altered[storage + 24..][..4].copy_from_slice(&size.to_le_bytes());
        folder.refused(&altered);
    }
    let twice = archive(&[
        ("a/data.pkl", &pickle),
        ("a/data/0", &[0; 16]),
        ("b/data.pkl", &pickle),
    ]);
    assert!(folder.refused(&twice).contains("several data.pkl"));
    let nested = archive(&[("a/inner.zip", &whole)]);
    assert!(folder.refused(&nested).contains("no data.pkl"));
}

#[test]
fn what_is_no_regular_file_is_not_read() {
    let text = Tensors::read(std::path::Path::new("/dev/zero"));
    let text = text.unwrap_err().to_string();
    let expected = if cfg!(unix) {
        "a device; expected a file"
    } else {
        ""
    };
    assert!(text.contains(expected), "{text}");
}

fn small_network() -> ModelSettings {
    ModelSettings {
        approach: Approach::Channels,
        encoder: "resnet18".to_owned(),
        image_size: 32,
        depth: 3,
        decoder: vec![8],
        ..ModelSettings::default()
    }
}

/// A small network's file, its settings changed to say something else.
fn belied(change: impl Fn(&mut ModelSettings)) -> String {
    let folder = Folder::new();
    let settings = small_network();
    let network = settings.init(&Device::flex(), 0).unwrap();
    let path = folder.0.path().join("model.safetensors");
    let mut changed = settings.clone();
    change(&mut changed);
    save(&path, &network, &changed, &BTreeMap::new(), false).unwrap();
    let text = load(&path, &Device::flex()).unwrap_err().to_string();
    assert!(text.contains("model.safetensors"), "{text}");
    text
}

#[test]
fn settings_that_the_tensors_belie_build_nothing() {
    let text = belied(|settings| settings.decoder = vec![4000]);
    assert!(
        text.contains("decoder of 4000") && text.contains("longer than"),
        "{text}"
    );
    for width in [1 << 40, usize::MAX] {
        belied(|settings| settings.decoder = vec![width]);
        belied(|settings| settings.depth = width);
    }
    belied(|settings| settings.depth = 1_000);
    let shape = inkling_model::MaxVitShape {
        stem: [8, 8],
        channels: [8, 16, 16, 32],
        blocks: [1, 1, 1, 200],
        head_width: 8,
        position_hidden: 16,
        position_dropout: 0.0,
        layer_scale: None,
    };
    let text = belied(|settings| {
        settings.encoder = "maxvit_rmlp_base_rw_384".to_owned();
        settings.maxvit = Some(shape.clone());
    });
    assert!(text.contains("maxvit.blocks of 203"), "{text}");
}

/// Files of today carry a number, those of before carry none; both are read, later ones refused.
#[test]
fn settings_carry_the_number_of_their_format() {
    let folder = Folder::new();
    let settings = small_network();
    let network = settings.init(&Device::flex(), 0).unwrap();
    let path = folder.0.path().join("model.safetensors");
    save(&path, &network, &settings, &BTreeMap::new(), false).unwrap();
    let tensors = Tensors::read(&path).unwrap();
    assert_eq!(tensors.metadata()["inkling.format"], "2");
    let checkpoint = load(&path, &Device::flex()).unwrap();
    assert!(checkpoint.metadata.is_empty());

    let mut older = Tensors::default();
    for name in tensors.names() {
        let shape = tensors.shape(name).unwrap().to_vec();
        older.insert(name.to_owned(), shape, tensors.values(name));
    }
    older.describe("inkling.model", tensors.metadata()["inkling.model"].clone());
    older.write(&path, true).unwrap();
    assert_eq!(load(&path, &Device::flex()).unwrap().settings, settings);
    for format in ["4", "0", "new"] {
        older.describe("inkling.format", format);
        older.write(&path, true).unwrap();
        let text = load(&path, &Device::flex()).unwrap_err().to_string();
        let expected = format!("format \"{format}\", and this version reads formats 1 to 3");
        assert!(
            text.contains(&expected) && text.contains("hint: "),
            "{text}"
        );
    }
}
