//! What can go wrong when fragments are predicted: each mistake is named, with its hint, and leaves
//! nothing behind that looks finished.

use std::path::Path;

use crate::parts::Setting;
use crate::test_fragment::{self, TestFragment, figures, inkling, word};

/// The words of a prediction that must fail, and leave no image.
fn refused(words: &[&str], out: &Path, parts: &[&str]) {
    let output = inkling(words);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    for part in parts {
        assert!(said.contains(part), "\"{part}\" is missing in: {said}");
    }
    assert!(!out.join("2.png").exists() && !out.join("predict.json").exists());
}

#[test]
fn models_that_disagree() {
    let setting = Setting::new();
    let scrap = &setting.scrap;
    let [fragment, out, recipe] = ["2", "out", "recipe.toml"].map(|name| scrap.path(name));
    let other = |name: &str, change: &str| {
        let run = scrap.path(name);
        let words = ["train", "--config", word(&recipe), "--set", change, "--out"];
        figures(&[&words[..], &[word(&run)]].concat());
        run
    };
    let deep = other("deep", "model.depth=9");
    let low = other("low", "data.layers=[6, 18]");
    for (odd, found, expected) in [
        (deep, "9 layers of 32 px", "6 layers of 32 px"),
        (low, "[6,18]", "[5,17]"),
    ] {
        let [one, odd] = [&setting.models[0], &odd].map(|path| word(path));
        let words = ["predict", word(&fragment), "--model", one, odd, "--out"];
        let parts = [found, expected, "best.safetensors", "hint:"];
        refused(&[&words[..], &[word(&out)]].concat(), &out, &parts);
    }
}

/// The settings within the file say something else than its tensors.
#[test]
fn weights_that_do_not_fit_their_settings() {
    let setting = Setting::new();
    let [fragment, out, file] =
        ["2", "out", "odd.safetensors"].map(|name| setting.scrap.path(name));
    let mut bytes = std::fs::read(setting.models[0].join("best.safetensors")).unwrap();
    let (said, odd) = (br#"\"decoder\":[8,8,8]"#, br#"\"decoder\":[8,8,9]"#);
    let place = bytes.windows(said.len()).position(|window| window == said);
    let place = place.expect("the settings stand in the metadata");
    bytes[place..place + odd.len()].copy_from_slice(odd);
    std::fs::write(&file, bytes).unwrap();
    let words = [
        "predict",
        word(&fragment),
        "--model",
        word(&file),
        "--out",
        word(&out),
    ];
    refused(
        &words,
        &out,
        &["odd.safetensors", "decoder.blocks.2", "hint:"],
    );
}

/// Depth maps that hold NaN, or place the papyrus beyond the volume, would be read as flat voxels.
#[test]
fn depth_maps_that_make_no_sense() {
    let setting = Setting::new();
    let [fragment, out, maps] = ["2", "out", "odd_maps"].map(|name| setting.scrap.path(name));
    let [height, width] = {
        let fragment = inkling_fragment::Fragment::open(&fragment).unwrap();
        [fragment.height(), fragment.width()]
    };
    let words = setting.words(&fragment, &out);
    let words = [&words[..], &["--maps", word(&maps)]].concat();
    for (shift, scale, said) in [
        (f32::NAN, 1.0, "a shift of NaN and a scale of 1 in row"),
        (0.0, 0.0, "a scale of 0 in row"),
        (1000.0, 1.0, "100 % of the papyrus beyond the 30 layers"),
    ] {
        let mut odd = inkling_fragment::DepthMaps::identity(height, width);
        odd.z_shift.fill(shift);
        odd.z_scale.fill(scale);
        odd.write(maps.join("2"), true).unwrap();
        refused(&words, &out, &["odd_maps", said, "hint:"]);
    }
}

#[test]
fn a_fragment_of_too_few_layers() {
    let setting = Setting::new();
    let [fragment, out] = ["2", "out"].map(|name| setting.scrap.path(name));
    for z in 15..30 {
        std::fs::remove_file(fragment.join(format!("surface_volume/{z:02}.tif"))).unwrap();
    }
    let words = setting.words(&fragment, &out);
    refused(&words, &out, &["2", "15 layers", "5 to 17", "hint:"]);
    assert!(!out.join("parts").exists(), "nothing is begun");
}

/// The shell keeps files below a size as a full disk would; the system's own word is another.
#[cfg(unix)]
#[test]
fn a_disk_that_fills() {
    let setting = Setting::new();
    let [whole, full, fragment] = ["whole", "full", "2"].map(|name| setting.scrap.path(name));
    figures(&setting.words(&fragment, &whole));
    let part = [
        setting.words(&fragment, &full),
        vec!["--part", "1/1", "--resume"],
    ]
    .concat();
    let merge = ["merge", word(&full), "--float"];
    let assert_refused = |words: &[&str], culprit: &str| {
        let said = test_fragment::within(100, words);
        for part in [culprit, "space", "hint:"] {
            assert!(said.contains(part), "\"{part}\" is missing in: {said}");
        }
        // Nothing but the parts, and the mark of what was about to be written: no image, whole or
        // half.
        let names = std::fs::read_dir(&full).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name());
        let names: Vec<_> = names.filter(|name| name != ".inkling").collect();
        assert_eq!(names, ["parts"]);
    };
    assert_refused(&part, "part-1-of-1.partial");
    figures(&part);
    assert_refused(&merge, "2.tif");
    figures(&merge);
    for file in ["2.png", "2.tif", "submission.csv"] {
        let read = |folder: &Path| std::fs::read(folder.join(file)).unwrap();
        assert!(read(&whole) == read(&full), "{file} differs");
    }
}

#[test]
fn a_part_that_is_none() {
    let scrap = TestFragment::new();
    let [fragment, out] = ["1", "out"].map(|name| scrap.path(name));
    let words = [
        "predict",
        word(&fragment),
        "--model",
        "none",
        "--out",
        word(&out),
    ];
    let output = inkling(&[&words[..], &["--part", "3/2"]].concat());
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains("3/2") && said.contains("K from 1 to N"),
        "{said}"
    );
    assert!(!out.exists());
}
