//! Bad input through the real binary: each kind has its own message, which names the file, what
//! was found and the hint, and its own exit code; nothing panics.

use crate::test_fragment::{TestFragment, inkling, refused, word};

const FAILED: i32 = 1;
const SETTINGS: i32 = 2;

/// Runs `inkling` and checks its exit code and that its words hold all of `parts`.
/// Damages the scrap and asks for its curves.
fn refused_fragment(damage: impl FnOnce(&TestFragment), parts: &[&str]) {
    let scrap = TestFragment::new();
    damage(&scrap);
    let (fragment, out) = (scrap.path("1"), scrap.path("out"));
    refused(
        &["curves", word(&fragment), "--out", word(&out)],
        FAILED,
        parts,
    );
    assert!(!out.exists(), "nothing may be written");
}

/// A grey TIFF of `size` (height, width) with 32-bit float pixels or 16-bit ones.
fn write_tiff(path: &std::path::Path, size: (u32, u32), float: bool) {
    use tiff::encoder::{TiffEncoder, colortype};
    let mut encoder = TiffEncoder::new(std::fs::File::create(path).unwrap()).unwrap();
    let count = (size.0 * size.1) as usize;
    let (width, height) = (size.1, size.0);
    if float {
        let pixels = vec![0.5_f32; count];
        encoder
            .write_image::<colortype::Gray32Float>(width, height, &pixels)
            .unwrap();
    } else {
        let pixels = vec![7_u16; count];
        encoder
            .write_image::<colortype::Gray16>(width, height, &pixels)
            .unwrap();
    }
}

fn write_mask(scrap: &TestFragment, name: &str, size: (usize, usize), value: u8) {
    let image = ndarray::Array2::from_elem(size, value);
    inkling_fragment::write_gray(scrap.path(name), image.view(), true).unwrap();
}

#[test]
fn a_folder_without_layers() {
    refused_fragment(
        |scrap| std::fs::remove_dir_all(scrap.path("1/surface_volume")).unwrap(),
        &[
            "found no layers",
            "mask.png",
            "surface_volume",
            "00.tif",
            "hint:",
        ],
    );
}

#[test]
fn a_missing_layer() {
    refused_fragment(
        |scrap| std::fs::remove_file(scrap.layer(12)).unwrap(),
        &[
            "without layer 12",
            "surface_volume",
            "hint: copy the missing layer",
        ],
    );
}

#[test]
fn layers_of_different_sizes() {
    refused_fragment(
        |scrap| write_tiff(&scrap.layer(3), (150, 130), false),
        &[
            "03.tif",
            "found 150 × 130 px",
            "expected 150 × 131 px",
            "hint:",
        ],
    );
}

#[test]
fn a_mask_of_another_size() {
    refused_fragment(
        |scrap| write_mask(scrap, "1/mask.png", (75, 65), 255),
        &[
            "mask.png",
            "found 75 × 65 px",
            "expected 150 × 131 px",
            "hint:",
        ],
    );
}

#[test]
fn a_truncated_layer() {
    refused_fragment(
        |scrap| {
            // A file whose directory comes first, so that only its pixels are cut off.
            let file = std::fs::read("../fragment/tests/data/strips.tif").unwrap();
            std::fs::write(scrap.layer(0), &file[..file.len() / 2]).unwrap();
        },
        &["00.tif", "truncated", "hint: copy the layer again"],
    );
}

#[test]
fn a_layer_that_is_no_tiff() {
    refused_fragment(
        |scrap| std::fs::write(scrap.layer(9), "not at all").unwrap(),
        &["09.tif", "cannot be read as TIFF", "hint:"],
    );
}

#[test]
fn layers_of_floats() {
    refused_fragment(
        |scrap| write_tiff(&scrap.layer(5), (150, 131), true),
        &[
            "05.tif",
            "found 32-bit floating-point (among layers of whole numbers)",
            "expected one grey channel",
            "convert it to 16-bit grey",
        ],
    );
}

#[test]
fn a_png_that_is_no_png() {
    refused_fragment(
        |scrap| std::fs::write(scrap.path("1/mask.png"), b"GIF89a").unwrap(),
        &[
            "mask.png",
            "cannot be read as PNG",
            "hint: export the picture again",
        ],
    );
}

#[test]
fn an_empty_mask() {
    refused_fragment(
        |scrap| write_mask(scrap, "1/mask.png", (150, 131), 0),
        &[
            "mask.png",
            "mask without papyrus",
            "hint: check that the mask is not inverted",
        ],
    );
}

#[test]
fn labels_without_ink() {
    let scrap = TestFragment::new();
    scrap.phantom("2", 2);
    write_mask(&scrap, "1/inklabels.png", (150, 131), 0);
    let (recipe, out) = (scrap.recipe(""), scrap.path("run"));
    let words = ["train", "--config", word(&recipe), "--out", word(&out)];
    refused(
        &words,
        FAILED,
        &["ink labels without ink", "inklabels.png", "hint:"],
    );
}

#[test]
fn no_labels() {
    let scrap = TestFragment::new();
    scrap.phantom("2", 2);
    std::fs::remove_file(scrap.path("2/inklabels.png")).unwrap();
    let (recipe, out) = (scrap.recipe(""), scrap.path("run"));
    let words = ["train", "--config", word(&recipe), "--out", word(&out)];
    refused(
        &words,
        FAILED,
        &["found no inklabels.png", "hint: add the labels"],
    );
}

#[test]
fn an_unknown_key_names_the_nearest() {
    let scrap = TestFragment::new();
    let recipe = scrap.recipe("epoch = 3\n");
    let out = scrap.path("run");
    let words = ["train", "--config", word(&recipe), "--out", word(&out)];
    let parts = [
        "recipe.toml",
        "unknown key \"train.epoch\"",
        "did you mean \"train.epochs\"",
    ];
    refused(&words, SETTINGS, &parts);
}

#[test]
fn a_value_of_the_wrong_type() {
    let scrap = TestFragment::new();
    let recipe = scrap.recipe("");
    let out = scrap.path("run");
    let words = [
        "train",
        "--config",
        word(&recipe),
        "--out",
        word(&out),
        "--set",
        "train.epochs=many",
    ];
    refused(&words, SETTINGS, &["train.epochs", "many", "hint:"]);
}

#[test]
fn an_image_size_that_the_windows_do_not_divide() {
    let scrap = TestFragment::new();
    scrap.phantom("2", 2);
    let (recipe, out) = (scrap.recipe(""), scrap.path("run"));
    let words = [
        "train",
        "--config",
        word(&recipe),
        "--out",
        word(&out),
        "--set",
        "model.image_size=100",
    ];
    refused(
        &words,
        SETTINGS,
        &["found 100", "multiple of 32", "use 96 or 128"],
    );
}

#[test]
fn an_unknown_encoder_names_the_nearest() {
    let scrap = TestFragment::new();
    scrap.phantom("2", 2);
    let (recipe, out) = (scrap.recipe(""), scrap.path("run"));
    let encoder = "model.encoder=maxvit_rmlp_bas_rw_384";
    let words = [
        "train",
        "--config",
        word(&recipe),
        "--out",
        word(&out),
        "--set",
        encoder,
    ];
    refused(
        &words,
        SETTINGS,
        &["did you mean \"maxvit_rmlp_base_rw_384\""],
    );
}

#[test]
fn a_device_that_the_build_lacks() {
    let words = ["models", "--device", "tpu"];
    refused(&words, SETTINGS, &["found \"tpu\"", "expected auto, flex"]);
}

#[test]
fn weights_that_are_none() {
    let scrap = TestFragment::new();
    let (fragment, out) = (scrap.path("1"), scrap.path("out"));
    let weights = scrap.path("weights.safetensors");
    std::fs::write(&weights, [0xFF; 64]).unwrap();
    let words = [
        "predict",
        word(&fragment),
        "--model",
        word(&weights),
        "--out",
        word(&out),
    ];
    refused(
        &words,
        FAILED,
        &["weights.safetensors", "no whole safetensors file", "hint:"],
    );
}

#[test]
fn nothing_is_overwritten_unasked() {
    let scrap = TestFragment::new();
    let (fragment, out) = (scrap.path("1"), scrap.path("out"));
    let words = ["curves", word(&fragment), "--out", word(&out)];
    assert!(inkling(&words).status.success());
    refused(&words, FAILED, &["curves.csv", "existing file", "--force"]);
    assert!(
        inkling(&[&words[..], &["--force"]].concat())
            .status
            .success()
    );
}

#[test]
fn force_replaces_nothing_but_what_inkling_made() {
    let scrap = TestFragment::new();
    let precious = scrap.path("precious");
    std::fs::create_dir(&precious).unwrap();
    std::fs::write(precious.join("thesis.tex"), "years of work").unwrap();
    let (fragment, out) = (scrap.path("1"), word(&precious));
    let downscale = ["downscale", word(&fragment), "--out", out, "--force"];
    refused(&downscale, FAILED, &["precious", "hint: give another name"]);
    let demo = ["demo", "--out", out, "--force"];
    refused(&demo, SETTINGS, &["precious", "thesis.tex", "hint:"]);
    assert!(precious.join("thesis.tex").is_file());
}

/// Asks for a gallery of what training sees, with a setting.
fn refused_transforms(scrap: &TestFragment, setting: &str, parts: &[&str]) {
    let (fragment, recipe, out) = (scrap.path("1"), scrap.recipe(""), scrap.path("gallery"));
    let words = [
        "augment",
        word(&fragment),
        "--config",
        word(&recipe),
        "--set",
        setting,
        "--out",
        word(&out),
    ];
    refused(&words, SETTINGS, parts);
    assert!(!out.exists(), "nothing may be written");
}

#[test]
fn transforms_that_cannot_be() {
    let scrap = TestFragment::new();
    let not_a_number = ["augment.rotate", "found NaN", "from 0 to 1"];
    refused_transforms(&scrap, "augment.rotate=nan", &not_a_number);
    let falling = ["augment.scale", "[2.0, 0.5]", "a rising range"];
    refused_transforms(&scrap, "augment.scale=[2.0, 0.5]", &falling);
    let wide = ["augment.gaussian_blur", "100000001", "255"];
    refused_transforms(&scrap, "augment.gaussian_blur=[3, 100000001]", &wide);
    let shallow = ["found 4 layers", "patches of 6", "model.depth"];
    refused_transforms(&scrap, "data.layers=[5, 9]", &shallow);
    let beyond = ["data.layers", "number 90", "expected layers that exist"];
    refused_transforms(&scrap, "data.layers=[80, 90]", &beyond);
    refused_transforms(&scrap, "model.depth=0", &["model.depth", "at least 1"]);
    let large = ["1280 × 1280 px", "rows too high", "augment.pad = true"];
    refused_transforms(&scrap, "model.image_size=1280", &large);
}

#[test]
fn papyrus_too_near_the_edge_for_any_crop() {
    let scrap = TestFragment::new();
    let mut mask = inkling_fragment::Fragment::open(scrap.path("1"))
        .unwrap()
        .mask()
        .unwrap()
        .mapv(|_| 0_u8);
    mask[(3, 40)] = 255;
    inkling_fragment::write_gray(scrap.path("1/mask.png"), mask.view(), true).unwrap();
    let parts = [
        "32 × 32 px",
        "13 px too near the edge",
        "augment.pad = true",
    ];
    refused_transforms(&scrap, "augment.scale=[1.0, 1.0]", &parts);
}

/// What is named is there, but is something else.
#[test]
fn what_is_named_is_of_another_kind() {
    let scrap = TestFragment::new();
    let parts = ["found no layers", "s3://", "hint:"];
    refused(&["info", "ftp://host/scroll"], FAILED, &parts);
    let [fragment, out] = ["1", "out"].map(|name| scrap.path(name));
    let words = [
        "predict",
        word(&fragment),
        "--model",
        word(&fragment),
        "--out",
        word(&out),
    ];
    refused(
        &words,
        SETTINGS,
        &["without best.safetensors", "hint: name the folder"],
    );
    let (recipe, patch, weights) = (
        scrap.recipe(""),
        scrap.path("patch.npy"),
        scrap.path("weights"),
    );
    let map = ndarray::Array2::<f32>::zeros((3, 4));
    inkling_fragment::write_map(&patch, map.view(), false).unwrap();
    let inputs = [
        "--model",
        word(&recipe),
        "--weights",
        word(&weights),
        "--input",
        word(&patch),
    ];
    let words = [&["forward"], &inputs[..], &["--output", word(&out)]].concat();
    refused(
        &words,
        SETTINGS,
        &[
            "patch.npy",
            "[3, 4]",
            "[batch, 1, height, width, depth]",
            "hint:",
        ],
    );
}
