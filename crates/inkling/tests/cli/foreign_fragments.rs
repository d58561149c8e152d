//! Fragments that `synth` did not make: other sizes, multiples of nothing, 33 layers, 8 bits,
//! the other folder layout. Align, train, resume, predict, score and submit work on them.

use std::fs::File;
use std::path::Path;

use crate::test_fragment::{TestFragment, figures, inkling, word};
use inkling_fragment::write_gray;
use inkling_synth::{Phantom, PhantomSettings};
use tiff::encoder::{Compression, TiffEncoder, colortype};

/// Writes 33 layers of 8 bits, compressed, as `layers/001.tif …` with `<id>_mask.png`.
fn write_foreign(folder: &Path, id: &str, seed: u64) {
    let settings = PhantomSettings {
        height: 163,
        width: 141,
        seed,
        letter_height: 44,
        ..PhantomSettings::default()
    };
    let phantom = Phantom::new(&settings);
    let volume = phantom.volume();
    std::fs::create_dir_all(folder.join("layers")).unwrap();
    for z in 0..33 {
        let path = folder.join(format!("layers/{:03}.tif", z + 1));
        let layer = volume
            .index_axis(ndarray::Axis(0), z + 14)
            .mapv(|value| (value >> 8) as u8);
        let pixels = layer.as_slice().unwrap();
        TiffEncoder::new(File::create(path).unwrap())
            .unwrap()
            .with_compression(Compression::Deflate(Default::default()))
            .write_image::<colortype::Gray8>(141, 163, pixels)
            .unwrap();
    }
    for (kind, image) in [("mask", &phantom.mask), ("inklabels", &phantom.ink)] {
        let image = image.mapv(|set| if set { 255 } else { 0 });
        write_gray(folder.join(format!("{id}_{kind}.png")), image.view(), false).unwrap();
    }
}

#[test]
fn the_whole_way_with_somebody_elses_fragments() {
    let scrap = TestFragment::new();
    for (name, seed) in [("a", 5), ("b", 6)] {
        write_foreign(&scrap.path(name), name, seed);
    }
    let [a, b, maps] = ["a", "b", "maps"].map(|name| scrap.path(name));
    let aligned = figures(&["align", word(&a), word(&b), "--out", word(&maps)]);
    assert!(aligned["a"]["scale"].as_f64().unwrap() > 0.4);
    assert!(maps.join("b/z_shift.npy").is_file() && maps.join("b/curve.svg").is_file());

    let recipe = scrap.recipe("");
    let fragments = format!("data.fragments=[{:?}, {:?}]", word(&a), word(&b));
    let applied = format!("data.maps={:?}", word(&maps));
    let run = scrap.path("run");
    let train = [
        "train",
        "--config",
        word(&recipe),
        "--out",
        word(&run),
        "--set",
        &fragments,
        "--set",
        &applied,
    ];
    let trained = figures(&train);
    assert_eq!(trained["epochs"], 2);
    assert_eq!(trained["held_out"], "b");

    let out = scrap.path("painted");
    let predict = [
        "predict",
        word(&b),
        "--model",
        word(&run),
        "--out",
        word(&out),
        "--maps",
        word(&maps),
    ];
    let painted = figures(&predict);
    assert!(painted["fragments"][0]["tiles"].as_u64().unwrap() > 10);

    let image = out.join("b.png");
    let (labels, mask) = (b.join("b_inklabels.png"), b.join("b_mask.png"));
    let score = [
        "score",
        word(&image),
        "--labels",
        word(&labels),
        "--mask",
        word(&mask),
    ];
    let score = figures(&score);
    assert!((0.0..=1.0).contains(&score["f05"].as_f64().unwrap()));
    assert!(score["average_precision"].as_f64().unwrap() > 0.0);

    let table = scrap.path("again.csv");
    figures(&["submit", word(&image), "--out", word(&table)]);
    let text = std::fs::read_to_string(&table).unwrap();
    assert_eq!(
        text,
        std::fs::read_to_string(out.join("submission.csv")).unwrap()
    );
    assert!(text.starts_with("Id,Predicted\nb,"));

    for folder in [&run, &out] {
        figures(&["report", word(folder)]);
        let page = std::fs::read_to_string(folder.join("report.html")).unwrap();
        assert!(page.contains("<svg") || page.contains("data:image/png"));
    }
}

#[test]
fn a_warped_copy_reads_as_the_maps_do_on_the_fly() {
    let scrap = TestFragment::new();
    let a = scrap.path("a");
    write_foreign(&a, "a", 5);
    let maps = scrap.path("maps");
    figures(&["align", word(&a), "--out", word(&maps)]);
    let (folder, warped) = (maps.join("a"), scrap.path("warped"));
    let z = ["--z", "10..30"];
    let words = [
        "warp",
        word(&a),
        "--maps",
        word(&folder),
        "--out",
        word(&warped),
    ];
    let written = figures(&[&words[..], &z[..]].concat());
    assert_eq!(written["layers"], 20);

    use inkling_fragment::{DepthMaps, Fragment, Region, Volume};
    let fragment = Fragment::open(&a).unwrap();
    let maps = DepthMaps::read(&folder).unwrap();
    let view = inkling_align::Warped::new(fragment, std::sync::Arc::new(maps), 65).unwrap();
    let on_the_fly = view.read(&Region::new(10..30, 0..163, 0..141)).unwrap();
    let copy = Fragment::open(&warped).unwrap();
    assert_eq!(
        copy.read(&Region::new(0..20, 0..163, 0..141)).unwrap(),
        on_the_fly
    );
}

#[test]
fn a_run_goes_on_where_it_stopped_bit_for_bit() {
    let scrap = TestFragment::new();
    scrap.phantom("2", 2);
    let recipe = scrap.recipe("");
    let (whole, parts) = (scrap.path("whole"), scrap.path("parts"));
    figures(&["train", "--config", word(&recipe), "--out", word(&whole)]);

    // A checkpoint of the first epoch, as a killed run leaves it, with a torn line after it.
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_inkling"))
        .args([
            "train",
            "--config",
            word(&recipe),
            "--out",
            word(&parts),
            "-q",
        ])
        .spawn()
        .unwrap();
    let metrics = parts.join("metrics.jsonl");
    while child.try_wait().unwrap().is_none() {
        let lines = std::fs::read_to_string(&metrics).map_or(0, |text| text.lines().count());
        if lines >= 1 {
            child.kill().unwrap();
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let words = ["train", "--config", word(&recipe), "--out", word(&parts)];
    assert_eq!(
        inkling(&words).status.code(),
        Some(1),
        "an old run is not overwritten"
    );
    figures(&[&words[..], &["--resume"]].concat());
    for file in ["last.safetensors", "best.safetensors"] {
        let read = |run: &Path| inkling_model::Tensors::read(&run.join(file)).unwrap();
        let (a, b) = (read(&whole), read(&parts));
        assert!(a.names().eq(b.names()));
        for name in a.names() {
            assert_eq!(a.values(name), b.values(name), "{file}: {name}");
        }
    }
}

#[test]
fn every_fold_is_held_out_once() {
    let scrap = TestFragment::new();
    scrap.phantom("2", 2);
    let (recipe, out) = (scrap.recipe(""), scrap.path("cv"));
    let words = ["cv", "--config", word(&recipe), "--out", word(&out)];
    let found = figures(&words);
    let folds = found["folds"].as_array().unwrap();
    let held_out: Vec<&str> = folds
        .iter()
        .map(|fold| fold["held_out"].as_str().unwrap())
        .collect();
    assert_eq!(held_out, ["1", "2"]);
    assert!(out.join("report.html").is_file() && out.join("2/best.safetensors").is_file());
    // Going on with a finished run repeats nothing and gives the same table.
    assert_eq!(figures(&[&words[..], &["--resume"]].concat()), found);
}

#[test]
fn a_split_and_a_smaller_copy_are_fragments_too() {
    let scrap = TestFragment::new();
    let (whole, parts, small) = (scrap.path("1"), scrap.path("parts"), scrap.path("small"));
    let truth = whole.join("truth");
    let words = [
        "split",
        word(&whole),
        "--maps",
        word(&truth),
        "--out",
        word(&parts),
    ];
    let split = figures(&words);
    let papyrus: Vec<u64> = split["parts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| part["papyrus"].as_u64().unwrap())
        .collect();
    let (least, most) = (papyrus.iter().min().unwrap(), papyrus.iter().max().unwrap());
    assert!(
        papyrus.len() == 3 && (most - least) * 20 < *most,
        "{papyrus:?}"
    );
    for part in ["1a", "1b", "1c"] {
        let fragment = inkling_fragment::Fragment::open(parts.join(part)).unwrap();
        let maps = inkling_fragment::DepthMaps::read(parts.join("maps").join(part)).unwrap();
        assert_eq!(maps.z_shift.dim(), (fragment.height(), fragment.width()));
        assert!(fragment.ink_labels().unwrap().is_some());
    }
    let copy = figures(&[
        "downscale",
        word(&whole),
        "--factor",
        "2",
        "--out",
        word(&small),
    ]);
    assert_eq!(
        (copy["height"].as_u64(), copy["width"].as_u64()),
        (Some(75), Some(66))
    );
}
