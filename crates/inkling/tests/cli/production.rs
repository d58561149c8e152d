//! Maps by the rules of the networks' publishers, against `oracles/production_inference.py`, and what
//! maps say of themselves.

use std::path::{Path, PathBuf};

use inkling_fragment::{ImageMetadata, read_gray, read_probability};
use ndarray::Array2;
use tiff::encoder::{TiffEncoder, colortype::Gray8};

use crate::test_fragment::{figures, inkling, predict_words, word};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The voxels of the oracle's segments.
fn voxel(z: usize, y: usize, x: usize, [height, width]: [usize; 2]) -> u8 {
    let hole = (y < height / 3 && x > 2 * width / 3)
        || (y % 29 == 3 && x % 5 == 1)
        || (y == height / 2 && z.is_multiple_of(2));
    let value =
        z * 73 + y * 151 + x * 211 + (y * x) % 97 * 13 + (z * y) % 31 * 7 + (z * x) % 17 * 5;
    if hole { 0 } else { (value % 251 + 4) as u8 }
}

/// A folder of 8-bit layers, as the open data have them.
fn segment(path: &Path, depth: usize, size: [usize; 2]) {
    std::fs::create_dir_all(path).unwrap();
    let [height, width] = size;
    for z in 0..depth {
        let pixels: Vec<u8> = (0..height * width)
            .map(|at| voxel(z, at / width, at % width, size))
            .collect();
        let file = std::fs::File::create(path.join(format!("{z:02}.tif"))).unwrap();
        let mut encoder = TiffEncoder::new(file).unwrap();
        encoder
            .write_image::<Gray8>(width as u32, height as u32, &pixels)
            .unwrap();
    }
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The map of a segment by its network's publishers' rules.
    fn map(&self, model: &str, depth: usize, size: [usize; 2], more: &[&str]) -> Array2<u8> {
        let (path, out) = (self.path("s"), self.path("out"));
        segment(&path, depth, size);
        let model = data(&format!("../model/tests/data/published/{model}"));
        let words = predict_words(&path, &model, &out);
        let words = [&words[..], &["--as", "production", "--force"], more].concat();
        figures(&words);
        read_gray(out.join("s.png")).unwrap()
    }
}

fn assert_map(found: &Array2<u8>, name: &str) {
    let expected = read_gray(data(&format!("tests/data/production/{name}.png"))).unwrap();
    assert_eq!(found.dim(), expected.dim(), "{name}");
    let spread = expected.iter().max().unwrap() - expected.iter().min().unwrap();
    assert!(spread > 90, "{name}: a flat map would tell nothing");
    for ((place, &found), &expected) in found.indexed_iter().zip(&expected) {
        let apart = found.abs_diff(expected);
        assert!(apart <= 1, "{name} {place:?}: {found}, expected {expected}");
    }
}

const CANONICAL: (&str, usize, [usize; 2]) = ("lightning.ckpt", 65, [100, 130]);
const FLAT: (&str, usize, [usize; 2]) = ("hybrid.pth", 28, [75, 90]);

#[test]
fn canonical_maps_are_the_publishers() {
    let folder = Folder::new();
    let (model, depth, size) = CANONICAL;
    assert_map(&folder.map(model, depth, size, &[]), "canonical");
    let reverse = folder.map(model, depth, size, &["--direction", "reverse"]);
    assert_map(&reverse, "canonical-reverse");
    let both = folder.map(model, depth, size, &["--direction", "both"]);
    assert_map(&both, "canonical");
    let other = read_gray(folder.path("out/s-reverse.png")).unwrap();
    assert_eq!(other, reverse);
}

#[test]
fn flat_maps_are_the_publishers() {
    let folder = Folder::new();
    let (model, depth, size) = FLAT;
    let whole = folder.map(model, depth, size, &[]);
    assert_map(&whole, "flat");
    let mirror = folder.map(model, depth, size, &["--tta", "mirror"]);
    assert_map(&mirror, "flat-mirror");
    let small = folder.map(model, depth, [20, 40], &[]);
    assert_map(&small, "flat-smaller-than-a-tile");
    // Too few layers are centred in zeros.
    std::fs::remove_dir_all(folder.path("s")).unwrap();
    assert_map(&folder.map(model, 12, [40, 50], &[]), "flat-few-layers");
}

#[test]
fn a_region_is_cut_from_the_map_and_windows_can_be_chosen() {
    let folder = Folder::new();
    let (model, depth, size) = CANONICAL;
    let whole = folder.map(model, depth, size, &[]);
    let part = folder.map(model, depth, size, &["--region", "40:80,10:70"]);
    for ((y, x), &found) in part.indexed_iter() {
        let inside = (40..80).contains(&y) && (10..70).contains(&x);
        assert_eq!(found, if inside { whole[(y, x)] } else { 0 }, "{y} {x}");
    }
    let mut seen = vec![whole];
    for window in ["spline", "hann", "gaussian", "constant"] {
        let map = folder.map(model, depth, size, &["--blend", window]);
        assert!(!seen.contains(&map), "{window} changes nothing");
        seen.push(map);
    }
}

#[test]
fn maps_say_where_they_come_from_and_hold_no_paths() {
    let folder = Folder::new();
    let (model, depth, size) = FLAT;
    let more = ["--float", "--zarr", "--pixel-size", "7.91"];
    folder.map(model, depth, size, &more);
    for name in ["s.png", "s.tif", "s.zarr"] {
        let path = folder.path("out").join(name);
        let found = ImageMetadata::read(&path).unwrap();
        let told = found.provenance.unwrap();
        assert_eq!(told["fragment"], "s", "{name}");
        assert_eq!(told["plan"]["rules"], "flat");
        assert_eq!(told["plan"]["input"]["layers"], serde_json::json!([6, 23]));
        assert_eq!(told["models"][0]["file"], model);
        assert_eq!(told["models"][0]["sha256"].as_str().unwrap().len(), 64);
        assert!(!told.to_string().contains(word(folder.0.path())), "{name}");
        let micrometres = found.pixel_size.unwrap();
        assert!((micrometres - 7.91).abs() < 1e-3, "{name}: {micrometres}");
    }
    let levels = read_gray(folder.path("out/s.png")).unwrap();
    let floats = read_probability(folder.path("out/s.tif")).unwrap();
    assert!(levels.iter().zip(&floats).all(|(a, b)| a.abs_diff(*b) <= 1));
}

#[test]
fn layers_are_pooled_and_what_cannot_be_is_said() {
    let folder = Folder::new();
    let (model, _, size) = FLAT;
    let pooled = folder.map(model, 109, size, &["--z-pool", "4"]);
    let record = std::fs::read_to_string(folder.path("out/predict.json")).unwrap();
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    let input = &record["fragments"][0]["plan"]["input"];
    // 27 means of four, of which the 17 in the middle are read.
    assert_eq!(input["layers"], serde_json::json!([5, 22]));
    assert_eq!(input["z_pool"], 4);
    let plain = folder.map(model, 109, size, &[]);
    assert_ne!(pooled, plain);

    let (path, out) = (folder.path("s"), folder.path("new"));
    let model = data("../model/tests/data/published/hybrid.pth");
    let words = predict_words(&path, &model, &out);
    for (more, expected) in [
        (["--as", "published"], "reference, production"),
        (
            ["--blend", "cosine"],
            "expected spline, hann, gaussian or constant",
        ),
        (["--direction", "up"], "forward, reverse, both"),
        (["--z-pool", "1"], "1 is not in 2..=64"),
    ] {
        let output = inkling(&[&words[..], &more].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(expected), "{said}");
    }
}

/// A finished map of a segment, and the words that verify it.
fn finished(folder: &Folder) -> PathBuf {
    let (model, depth, size) = FLAT;
    folder.map(
        model,
        depth,
        size,
        &[
            "--direction",
            "reverse",
            "--set",
            "model.normalization.upper=97",
        ],
    );
    folder.path("out/s.png")
}

#[test]
fn a_finished_map_is_verified_from_what_it_says_of_itself() {
    let folder = Folder::new();
    let map = finished(&folder);
    let found = figures(&["verify", word(&map), "--tiles", "5"]);
    assert_eq!(found["agrees"], true);
    assert_eq!(found["agreement"]["largest_difference"], 0);
    assert!(found["agreement"]["correlation"].as_f64().unwrap() > 0.999_999);
    assert_eq!(found["agreement"]["overlap_of_brightest"], 1.0);
    assert_eq!(found["places"].as_array().unwrap().len(), 5);
    // The map alone holds no paths: they are named.
    let alone = folder.path("alone.png");
    std::fs::copy(&map, &alone).unwrap();
    let output = inkling(&["verify", word(&alone)]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("hint: give --model"), "{said}");
    let model = data("../model/tests/data/published/hybrid.pth");
    let segment = folder.path("s");
    let named = ["--fragment", word(&segment), "--model", word(&model)];
    let found = figures(&[&["verify", word(&alone)], &named[..]].concat());
    assert_eq!(found["agrees"], true);
}

#[test]
fn changed_maps_and_other_fragments_are_found_out() {
    let folder = Folder::new();
    let map = finished(&folder);
    let refused = |words: &[&str], expected: &str| {
        let output = inkling(&[&["verify"], words].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(expected), "{said}");
    };
    // A stroke that somebody painted.
    let told = ImageMetadata::read(&map).unwrap();
    let mut levels = read_gray(&map).unwrap();
    levels.slice_mut(ndarray::s![30..45, 20..60]).fill(10);
    inkling_fragment::write_gray_with(&map, levels.view(), &told, true).unwrap();
    refused(&[word(&map), "--tiles", "20"], "grey levels off");
    // An image that says nothing.
    let bare = folder.path("out/bare.png");
    inkling_fragment::write_gray(&bare, levels.view(), true).unwrap();
    refused(&[word(&bare)], "says where the map comes from");
    // Another segment under the map's name, and another model.
    let other = folder.path("other");
    segment(&other, 29, [75, 90]);
    refused(
        &[word(&map), "--fragment", word(&other)],
        "another prediction",
    );
    let model = data("../model/tests/data/published/lightning.ckpt");
    refused(&[word(&map), "--model", word(&model)], "SHA-256");
}

#[test]
fn a_sweep_shows_models_depths_and_directions_side_by_side() {
    let folder = Folder::new();
    let (path, out) = (folder.path("s"), folder.path("sweep"));
    segment(&path, 40, [75, 90]);
    let model = data("../model/tests/data/published/hybrid.pth");
    let words = [
        "sweep",
        word(&path),
        "--model",
        word(&model),
        word(&model),
        "--out",
        word(&out),
        "--offset",
        "-2,0,2",
        "--direction",
        "both",
        "--as",
        "production",
        "--region",
        "10:60,5:70",
    ];
    let found = figures(&words);
    let readings = found["readings"].as_array().unwrap();
    assert_eq!(readings.len(), 2 * 2 * 3);
    assert_eq!(readings[0]["layers"], serde_json::json!([10, 27]));
    assert_eq!(readings[1]["layers"], serde_json::json!([12, 29]));
    // The second model is the first.
    for (first, second) in readings.iter().zip(&readings[6..]) {
        assert_eq!(first["ink_share"], second["ink_share"]);
        assert_eq!(first["spread"], second["spread"]);
    }
    let of_first =
        |reading: &serde_json::Value| reading["with_first"]["largest_difference"].clone();
    assert_eq!(of_first(&readings[0]), 0);
    assert_ne!(of_first(&readings[1]), 0);
    let spread = found["consistency"].as_array().unwrap();
    assert_eq!(spread.len(), 4);
    assert!(
        spread
            .iter()
            .all(|spread| spread["mean"].as_f64().unwrap() > 0.0)
    );
    assert!(out.join("model-2_reverse.std.png").is_file());
    // A reading is the map's own region.
    let map = folder.path("map");
    let words = predict_words(&path, &model, &map);
    figures(
        &[
            &words[..],
            &["--as", "production", "--region", "10:60,5:70"],
        ]
        .concat(),
    );
    let whole = read_gray(map.join("s.png")).unwrap();
    let part = read_gray(out.join("model-1_forward_+0.png")).unwrap();
    assert_eq!(part, whole.slice(ndarray::s![10..60, 5..70]));
    for name in ["sweep.png", "sweep.html", "sweep.json"] {
        assert!(out.join(name).is_file(), "{name}");
    }
    let words = [
        "sweep",
        word(&path),
        "--model",
        word(&model),
        "--out",
        word(&out),
    ];
    let output = inkling(&[&words[..], &["--offset", "30", "--force"]].concat());
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("found 40 layers"), "{said}");
}
