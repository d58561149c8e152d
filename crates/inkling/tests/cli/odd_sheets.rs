//! Sheets as other people leave them: without masks, with labels drawn their way, in bands,
//! reversed, darker than those that a network was trained on, or at another level.

use std::fs::File;
use std::path::{Path, PathBuf};

use image::{GrayImage, Luma};
use inkling_fragment::{Fragment, Region, Volume};
use inkling_synth::{PhantomSettings, write_phantom};
use serde_json::Value;
use tiff::decoder::{Decoder, DecodingResult};
use tiff::encoder::TiffEncoder;
use tiff::encoder::colortype::Gray16;

use crate::test_fragment::{TestFragment, figures, inkling, word};

/// Changes every voxel of the layer at `path`, given its row and column.
fn rewrite(path: &Path, change: impl Fn(usize, usize, u16) -> u16) {
    let mut decoder = Decoder::new(File::open(path).unwrap()).unwrap();
    let (width, height) = decoder.dimensions().unwrap();
    let DecodingResult::U16(mut voxels) = decoder.read_image().unwrap() else {
        panic!("{} is not of 16 bits", path.display());
    };
    for (index, voxel) in voxels.iter_mut().enumerate() {
        *voxel = change(index / width as usize, index % width as usize, *voxel);
    }
    let mut encoder = TiffEncoder::new(File::create(path).unwrap()).unwrap();
    encoder
        .write_image::<Gray16>(width, height, &voxels)
        .unwrap();
}

/// What a call that succeeds says.
fn words_of(words: &[&str]) -> String {
    let output = inkling(words);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(output.status.success(), "{said}");
    said
}

fn refusal(words: &[&str]) -> String {
    let output = inkling(words);
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A network trained for a moment on the two phantoms of `scrap`.
fn run(scrap: &TestFragment) -> PathBuf {
    scrap.phantom("2", 2);
    let recipe = scrap.recipe("");
    let run = scrap.path("run");
    let limits = ["--set", "train.epochs=1"];
    let words = ["train", "--config", word(&recipe), "--out", word(&run)];
    figures(&[&words[..], &limits].concat());
    run
}

/// Predicts `fragment` into `out` and gives the grey levels and what was said.
fn predicted(fragment: &Path, run: &Path, out: &Path, more: &[&str]) -> (Vec<u8>, String) {
    let words = [
        "predict",
        word(fragment),
        "--model",
        word(run),
        "--out",
        word(out),
        "--tta",
        "none",
    ];
    let said = words_of(&[&words[..], more].concat());
    let entries = std::fs::read_dir(out).unwrap();
    let images = entries.map(|entry| entry.unwrap().path());
    let image = images
        .filter(|path| path.extension().is_some_and(|end| end == "png"))
        .find(|path| !word(path).contains(".model-"));
    let image = inkling_fragment::read_gray(image.unwrap()).unwrap();
    (image.into_raw_vec_and_offset().0, said)
}

#[test]
fn info_says_what_is_there() {
    let scrap = TestFragment::new();
    let one = scrap.path("1");
    std::fs::write(scrap.path("1/surface_volume/notes.txt"), "mine").unwrap();
    let found = figures(&["info", word(&one)]);
    let fragment = &found["found"][0];
    assert_eq!(fragment["kind"], "fragment");
    for (key, expected) in [
        ("layers", 30),
        ("height", 150),
        ("width", 131),
        ("stored_bits", 16),
        ("bits", 16),
    ] {
        assert_eq!(fragment[key], expected, "{key}");
    }
    let share = fragment["images"]["labels"]["share"].as_f64().unwrap();
    assert!((0.01..0.5).contains(&share), "{share}");
    assert!(fragment["images"]["supervision"]["path"].is_null());
    let ignored = fragment["ignored"].as_array().unwrap();
    assert!(
        ignored
            .iter()
            .any(|file| file["path"].as_str().unwrap().contains("notes.txt"))
    );
    let run = run(&scrap);
    let best = run.join("best.safetensors");
    let words = words_of(&["info", word(&run), word(&best)]);
    assert!(words.contains("made by inkling: run"), "{words}");
    assert!(words.contains("inkling.intensities"), "{words}");
}

#[test]
fn without_a_mask_the_sheet_is_where_voxels_are() {
    let scrap = TestFragment::new();
    let run = run(&scrap);
    let one = scrap.path("1");
    let (with, _) = predicted(&one, &run, &scrap.path("with"), &[]);
    let papyrus = inkling_fragment::read_drawn(scrap.path("1/mask.png")).unwrap();
    // A phantom has voxels around its papyrus, too.
    for z in 0..30 {
        rewrite(&scrap.layer(z), |y, x, voxel| {
            u16::from(papyrus[(y, x)]) * voxel
        });
    }
    let (cut, _) = predicted(&one, &run, &scrap.path("cut"), &[]);
    std::fs::remove_file(scrap.path("1/mask.png")).unwrap();
    let (without, said) = predicted(&one, &run, &scrap.path("without"), &[]);
    assert!(
        said.contains("no mask: papyrus is where any layer is not 0"),
        "{said}"
    );
    assert_eq!(cut, without);
    assert_ne!(with.iter().max(), Some(&0));
}

#[test]
fn labels_that_leave_something_open() {
    let scrap = TestFragment::new();
    let one = scrap.path("1");
    let labels = scrap.path("1/inklabels.png");
    let drawn = inkling_fragment::read_drawn(&labels).unwrap();
    let ink = |x: u32, y: u32| drawn[(y as usize, x as usize)];
    let share = |found: &Value| found["found"][0]["images"]["labels"]["share"].clone();
    let expected = share(&figures(&["info", word(&one)]));
    let three = |x: u32, y: u32| match (ink(x, y), x > 100) {
        (true, _) => Luma([2_u8]),
        (false, true) => Luma([1]),
        (false, false) => Luma([0]),
    };
    GrayImage::from_fn(131, 150, three).save(&labels).unwrap();
    let said = refusal(&["info", word(&one)]);
    assert!(said.contains("--labels-ink"), "{said}");
    let found = figures(&["info", word(&one), "--labels-ink", "2"]);
    assert_eq!(share(&found), expected);
    scrap.phantom("2", 2);
    let recipe = scrap.recipe("");
    let out = scrap.path("run");
    let train = ["train", "--config", word(&recipe), "--out", word(&out)];
    assert!(refusal(&train).contains("data.labels_ink"));
    let settings = "data.labels_ink=2";
    // The other sheet's ink is 255: nothing is ink there, which is refused as well.
    let said = refusal(&[&train[..], &["--set", settings]].concat());
    assert!(said.contains("labels"), "{said}");

    let turned = |x: u32, y: u32| Luma([if ink(x, y) { 0_u8 } else { 255 }]);
    GrayImage::from_fn(131, 150, turned).save(&labels).unwrap();
    let said = words_of(&["info", word(&one)]);
    assert!(said.contains("dark ink on a light"), "{said}");
    assert_eq!(share(&figures(&["info", word(&one)])), expected);
    assert_eq!(
        share(&figures(&["info", word(&one), "--invert-labels"])),
        expected
    );
}

#[test]
fn reversed_sheets_and_bands_are_read_by_number() {
    let scrap = TestFragment::new();
    let run = run(&scrap);
    let one = scrap.path("1");
    let (plain, _) = predicted(&one, &run, &scrap.path("plain"), &[]);

    let reversed = scrap.path("reversed");
    copy_layers(&scrap, &reversed, |z| Some(29 - z));
    let (found, _) = predicted(&reversed, &run, &scrap.path("r"), &["--flip"]);
    assert_eq!(found, plain);

    let band = scrap.path("band");
    copy_layers(&scrap, &band, |z| (5..20).contains(&z).then_some(z));
    let (found, said) = predicted(&band, &run, &scrap.path("b"), &[]);
    assert_eq!(found, plain);
    assert!(!said.contains("may miss"), "{said}");
    let narrow = scrap.path("narrow");
    copy_layers(&scrap, &narrow, |z| (8..20).contains(&z).then_some(z));
    let predict = [
        "predict",
        word(&narrow),
        "--model",
        word(&run),
        "--out",
        "n",
    ];
    let said = refusal(&predict);
    assert!(
        said.contains("found layers 8 to 19; expected 5 to 16"),
        "{said}"
    );
    let out = scrap.path("n");
    let (other, _) = predicted(&narrow, &run, &out, &["--layers", "8..20"]);
    assert_ne!(other, plain);
    let said = refusal(&[&predict[..], &["--layers", "8..19"]].concat());
    assert!(said.contains("found 11 layers; expected 12"), "{said}");
}

#[test]
fn reversed_sheets_and_other_layers_can_be_trained_on() {
    let scrap = TestFragment::new();
    scrap.phantom("2", 2);
    let recipe = scrap.recipe("");
    let reversed = scrap.path("reversed");
    copy_layers(&scrap, &reversed, |z| Some(29 - z));
    let losses = |name: &str, more: &[&str]| {
        let run = scrap.path(name);
        let words = ["train", "--config", word(&recipe), "--out", word(&run)];
        let said = words_of(&[&words[..], more].concat());
        let metrics = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
        let loss = |line: &str| serde_json::from_str::<Value>(line).unwrap()["loss"].clone();
        (metrics.lines().map(loss).collect::<Vec<_>>(), said)
    };
    let (plain, _) = losses("plain", &[]);
    let fragments = format!(
        "data.fragments=['1={}', {:?}]",
        word(&reversed),
        scrap.path("2")
    );
    let flipped = ["--set", &fragments, "--set", "data.flip=[\"1\"]"];
    assert_eq!(losses("flipped", &flipped).0, plain);
    assert_ne!(losses("unflipped", &flipped[..2]).0, plain);
    // All of them: the second one, held out, has no part in the loss.
    let both = [&flipped[..2], &["--flip"]].concat();
    assert_eq!(losses("both", &both).0, plain);
    assert_ne!(losses("layers", &["--layers", "8..20"]).0, plain);
    let train = ["train", "--config", word(&recipe), "--out", "x", "--set"];
    let said = refusal(&[&train[..], &["data.flip=[\"7\"]"]].concat());
    assert!(said.contains("data.flip: found 7"), "{said}");
    let maps = format!("data.maps={:?}", scrap.path("maps"));
    let said = refusal(&[&train[..], &[&maps, "--flip"]].concat());
    assert!(said.contains("data.flip: found data.maps"), "{said}");
}

/// The layers of phantom 1 whose numbers `number` gives, in `folder`, with mask and labels.
fn copy_layers(scrap: &TestFragment, folder: &Path, number: impl Fn(usize) -> Option<usize>) {
    std::fs::create_dir_all(folder.join("layers")).unwrap();
    for z in 0..30 {
        if let Some(number) = number(z) {
            let name = format!("layers/{number:02}.tif");
            std::fs::copy(scrap.layer(z), folder.join(name)).unwrap();
        }
    }
    for name in ["mask.png", "inklabels.png"] {
        std::fs::copy(scrap.path("1").join(name), folder.join(name)).unwrap();
    }
}

#[test]
fn sheets_unlike_those_of_training_are_warned_of() {
    let scrap = TestFragment::new();
    let run = run(&scrap);
    let dark = scrap.phantom("dark", 1);
    for z in 0..30 {
        let path = dark.join(format!("surface_volume/{z:02}.tif"));
        rewrite(&path, |_, _, voxel| voxel / 4);
    }
    let (_, said) = predicted(&dark, &run, &scrap.path("out"), &[]);
    assert!(said.contains("much darker"), "{said}");
    let (_, said) = predicted(&scrap.path("1"), &run, &scrap.path("same"), &[]);
    assert!(
        !said.contains("darker") && !said.contains("brighter"),
        "{said}"
    );
    let recipe = scrap.recipe("");
    let two = scrap.path("two");
    let fragments = "data.fragments=[\"1\", \"dark\"]";
    let train = [
        "train",
        "--config",
        word(&recipe),
        "--out",
        word(&two),
        "--set",
        fragments,
    ];
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_inkling"))
        .args(train)
        .current_dir(scrap.folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("much darker"), "{said}");
}

#[test]
fn values_of_8_bits_in_16_are_read_as_what_they_are() {
    let scrap = TestFragment::new();
    let one = scrap.path("1");
    for z in 0..30 {
        rewrite(&scrap.layer(z), |_, _, voxel| voxel >> 8);
    }
    let said = words_of(&["info", word(&one)]);
    assert!(said.contains("16 bits that hold 8"), "{said}");
    assert!(said.contains("--voxels as-is"), "{said}");
    let bits = |more: &[&str]| {
        let found = figures(&[&["info", word(&one)], more].concat());
        found["found"][0]["intensities"]["p50"].as_f64().unwrap()
    };
    assert_eq!(bits(&[]), 257.0 * bits(&["--voxels", "as-is"]));
}

#[test]
fn maps_remember_what_they_were_fitted_to() {
    let scrap = TestFragment::new();
    let (one, two) = (scrap.path("1"), scrap.phantom("2", 2));
    let maps = scrap.path("maps");
    figures(&["align", word(&one), "--out", word(&maps)]);
    let own = maps.join("1");
    let warp_by = |maps: &Path, fragment: &Path, name: &str| {
        let out = scrap.path(name);
        words_of(&[
            "warp",
            word(fragment),
            "--maps",
            word(maps),
            "--out",
            word(&out),
        ])
    };
    assert!(!warp_by(&own, &one, "a").contains("fitted to other voxels"));
    assert!(warp_by(&own, &two, "b").contains("fitted to other voxels"));
    // The folder of all fragments' maps stands for the fragment's own.
    warp_by(&maps, &one, "c");
    let voxels = |name: &str| {
        let fragment = Fragment::open(scrap.path(name)).unwrap();
        let [depth, height, width] = fragment.shape();
        fragment
            .read(&Region::new(0..depth, 0..height, 0..width))
            .unwrap()
    };
    assert_eq!(voxels("a"), voxels("c"));
}

#[test]
fn a_coarser_level_is_read_with_its_mask_thinned() {
    let scrap = TestFragment::new();
    let one = scrap.path("large");
    let settings = PhantomSettings {
        height: 1210,
        width: 610,
        depth: 6,
        ..PhantomSettings::default()
    };
    write_phantom(&one, &settings, true, &|_, _| {}).unwrap();
    let copy = scrap.path("copy");
    let words = ["downscale", word(&one), "--factor", "1", "--format", "zarr"];
    figures(&[&words[..], &["--out", word(&copy)]].concat());
    let volume = copy.join("surface_volume.zarr");
    let levels = figures(&["info", word(&volume)])["found"][0]["levels"].clone();
    assert!(levels.as_array().unwrap().len() > 1, "{levels}");
    let found = figures(&["info", word(&copy), "--level", "1"])["found"][0].clone();
    assert_eq!(found["height"], 605);
    let whole = figures(&["info", word(&copy)])["found"][0].clone();
    let share = |found: &Value, image: &str| found["images"][image]["share"].as_f64().unwrap();
    assert!((share(&found, "mask") - share(&whole, "mask")).abs() < 0.01);
    assert!((share(&found, "labels") - share(&whole, "labels")).abs() < 0.02);
    let said = refusal(&["info", word(&copy), "--level", "9"]);
    assert!(said.contains('9'), "{said}");
}

/// A layer that was not copied, or copied twice, is said where layers are read as they are.
#[test]
fn single_layers_that_are_wrong_are_named() {
    let scrap = TestFragment::new();
    let run = run(&scrap);
    let layer = |z: usize| scrap.path(&format!("1/surface_volume/{z:02}.tif"));
    let predict = |out: &str| predicted(&scrap.path("1"), &run, &scrap.path(out), &[]).1;
    let said = predict("sound");
    assert!(!said.contains("hint: copy"), "{said}");
    std::fs::copy(layer(9), layer(10)).unwrap();
    let said = predict("twice");
    assert!(
        said.contains("layers 9 and 10 hold the same voxels"),
        "{said}"
    );
    rewrite(&layer(10), |_, _, _| 0);
    let said = predict("blank");
    assert!(said.contains("layer 10 is much darker"), "{said}");
    for words in [&["info"][..], &["curves"], &["align"]] {
        let (fragment, out) = (scrap.path("1"), scrap.path(words[0]));
        let out = match words {
            ["info"] => vec![],
            _ => vec!["--out", word(&out)],
        };
        let said = words_of(&[words, &[word(&fragment)], &out].concat());
        assert!(
            said.contains("layer 10 is much darker"),
            "{words:?}: {said}"
        );
    }
}
