//! Supervision and validation masks: what lies outside of the one or inside the other teaches
//! nothing, and sheets are validated where labels can be trusted.

use ndarray::Array2;

use crate::test_fragment::{TestFragment, figures, inkling, word};

const SIZE: (usize, usize) = (150, 131);

fn write_mask(scrap: &TestFragment, name: &str, set: impl Fn(usize, usize) -> bool) {
    let image = Array2::from_shape_fn(SIZE, |(y, x)| if set(y, x) { 255 } else { 0 });
    inkling_fragment::write_gray(scrap.path(name), image.view(), true).unwrap();
}

fn losses(run: &std::path::Path) -> Vec<f64> {
    let text = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let epoch = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
    text.lines()
        .map(|line| epoch(line)["loss"].as_f64().unwrap())
        .collect()
}

#[test]
fn labels_that_do_not_count_do_not_change_training() {
    let scrap = TestFragment::new();
    scrap.phantom("2", 2);
    let recipe = scrap.recipe("");
    let counts = |y: usize, x: usize| (20..130).contains(&y) && x > 15 && !(60..90).contains(&y);
    write_mask(&scrap, "1/supervision_mask.png", |y, x| {
        (20..130).contains(&y) && x > 15
    });
    write_mask(&scrap, "1/validation_mask.png", |y, _| {
        (60..90).contains(&y)
    });
    let labels = scrap.path("1/inklabels.png");
    let drawn = inkling_fragment::read_drawn(&labels).unwrap();
    let train = |name: &str, loss: &str| {
        let run = scrap.path(name);
        let words = [
            "train",
            "--config",
            word(&recipe),
            "--out",
            word(&run),
            "--set",
            loss,
        ];
        figures(&words);
        losses(&run)
    };
    for (index, loss) in ["train.loss.masked=true", "train.loss.dice=1.0"]
        .iter()
        .enumerate()
    {
        let write = |ink: &dyn Fn(usize, usize) -> bool| write_mask(&scrap, "1/inklabels.png", ink);
        write(&|y, x| drawn[(y, x)]);
        let all = train(&format!("all{index}"), loss);
        write(&|y, x| drawn[(y, x)] && counts(y, x));
        let erased = train(&format!("erased{index}"), loss);
        write(&|y, x| drawn[(y, x)] || !counts(y, x));
        let scribbled = train(&format!("scribbled{index}"), loss);
        assert!(
            all == erased && all == scribbled,
            "{all:?} {erased:?} {scribbled:?}"
        );
    }
}

#[test]
fn copies_carry_their_masks() {
    let scrap = TestFragment::new();
    write_mask(&scrap, "1/supervision_mask.png", |y, x| y + x > 90);
    write_mask(&scrap, "1/validation_mask.png", |y, _| y < 40);
    let one = scrap.path("1");
    let maps = scrap.path("maps");
    figures(&["align", word(&one), "--out", word(&maps)]);
    let copy = |name: &str, words: &[&str]| {
        let out = scrap.path(name);
        figures(&[words, &["--out", word(&out)]].concat());
        out
    };
    let small = copy("small", &["downscale", word(&one), "--factor", "2"]);
    let warped = copy("warped", &["warp", word(&one), "--maps", word(&maps)]);
    let zarr = copy(
        "zarr",
        &["downscale", word(&one), "--factor", "2", "--format", "zarr"],
    );
    let parts = copy("parts", &["split", word(&one)]);
    let open = |path: &std::path::Path| inkling_fragment::Fragment::open(path).unwrap();
    let whole = open(&one);
    for (path, step) in [
        (&small, 2),
        (&warped, 1),
        (&zarr, 2),
        (&parts.join("1a"), 1),
    ] {
        let copy = open(path);
        for (ours, theirs) in [
            (whole.supervision_mask(), copy.supervision_mask()),
            (whole.validation_mask(), copy.validation_mask()),
        ] {
            let (ours, theirs) = (ours.unwrap().unwrap(), theirs.unwrap().unwrap());
            for ((y, x), &set) in theirs.indexed_iter() {
                assert_eq!(
                    set,
                    ours[(y * step, x * step)],
                    "{} ({y}, {x})",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn one_segment_is_trained_on_and_validated_within_its_mask() {
    let scrap = TestFragment::new();
    let recipe = scrap.recipe("");
    let text = std::fs::read_to_string(&recipe)
        .unwrap()
        .replace("[\"1\", \"2\"]", "[\"1\"]");
    std::fs::write(&recipe, text).unwrap();
    let run = scrap.path("run");
    let words = ["train", "--config", word(&recipe), "--out", word(&run)];
    let refused = inkling(&words);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("1_validation_mask.png"), "{said}");
    write_mask(&scrap, "1/validation_mask.png", |y, _| y > 80);
    let found = figures(&words);
    assert_eq!(found["held_out"], "validation");
    assert!(found["validation"]["average_precision"].as_f64().unwrap() > 0.0);
    let folds = scrap.path("folds");
    let found = figures(&["cv", "--config", word(&recipe), "--out", word(&folds)]);
    assert_eq!(found["folds"].as_array().unwrap().len(), 1);
    assert!(folds.join("validation/1.png").exists());
}

#[test]
fn held_out_sheets_are_validated_where_labels_are_trusted() {
    let scrap = TestFragment::new();
    scrap.phantom("2", 2);
    let recipe = scrap.recipe("");
    let validation = |name: &str| {
        let run = scrap.path(name);
        figures(&["train", "--config", word(&recipe), "--out", word(&run)])["validation"].clone()
    };
    write_mask(&scrap, "2/supervision_mask.png", |y, _| y < 75);
    let above = validation("above");
    // Labels beyond the supervision mask do not count.
    let labels = inkling_fragment::read_drawn(scrap.path("2/inklabels.png")).unwrap();
    write_mask(&scrap, "2/inklabels.png", |y, x| labels[(y, x)] || y >= 75);
    assert_eq!(validation("scribbled"), above);
}

#[test]
fn a_relabelled_copy_is_the_same_scan() {
    let scrap = TestFragment::new();
    let recipe = scrap.recipe("");
    let [one, two, run] = ["1", "2", "run"].map(|name| scrap.path(name));
    let words = ["train", "--config", word(&recipe), "--out", word(&run)];
    let refused = || {
        let output = inkling(&words);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("network never saw"), "{said}");
        said
    };
    let copy = |words: &[&str]| {
        let _ = std::fs::remove_dir_all(&two);
        figures(&[&["downscale", word(&one), "--out", word(&two)], words].concat());
        // As if somebody had copied the voxels by hand, and drawn masks and labels of his own.
        std::fs::remove_file(two.join("part.json")).unwrap();
        write_mask_of(&two.join("mask.png"), |y, _| y > 3);
        write_mask_of(&two.join("inklabels.png"), |y, x| (y + x) % 50 < 9);
    };
    copy(&["--factor", "1"]);
    refused();
    copy(&["--factor", "1", "--format", "zarr"]);
    refused();
    copy(&["--factor", "2"]);
    assert!(refused().contains("runs of pixels agree"));
    std::fs::remove_dir_all(&two).unwrap();
    scrap.phantom("2", 2);
    figures(&words);
}

fn write_mask_of(path: &std::path::Path, set: impl Fn(usize, usize) -> bool) {
    let size = inkling_fragment::read_gray(path).unwrap().dim();
    let image = Array2::from_shape_fn(size, |(y, x)| if set(y, x) { 255 } else { 0 });
    inkling_fragment::write_gray(path, image.view(), true).unwrap();
}

#[test]
fn cv_goes_on_when_a_fold_cannot_be_scored() {
    let scrap = TestFragment::new();
    scrap.phantom("2", 2);
    scrap.phantom("3", 3);
    let recipe = scrap.recipe("");
    let text = std::fs::read_to_string(&recipe).unwrap();
    let text = text.replace("[\"1\", \"2\"]", "[\"1\", \"2\", \"3\"]");
    std::fs::write(&recipe, text).unwrap();
    // Nothing can be scored within this mask, but all around it can be trained on.
    let labels = inkling_fragment::read_drawn(scrap.path("2/inklabels.png")).unwrap();
    write_mask(&scrap, "2/validation_mask.png", |y, x| {
        !labels[(y, x)] && y > 60
    });
    let folds = scrap.path("folds");
    let found = figures(&["cv", "--config", word(&recipe), "--out", word(&folds)]);
    assert_eq!(found["folds"].as_array().unwrap().len(), 2, "{found}");
    assert_eq!(found["not_scored"][0]["held_out"], "2");
    let reason = found["not_scored"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("without ink"), "{reason}");
    let page = std::fs::read_to_string(folds.join("report.html")).unwrap();
    assert!(page.contains("fold 2 not scored"));
}
