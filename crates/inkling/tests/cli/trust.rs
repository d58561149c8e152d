//! Whether a map can be believed: agreement of maps.

use std::path::PathBuf;

use ndarray::Array2;

use crate::test_fragment::{TestFragment, figures, inkling, word};

const SIZE: (usize, usize) = (150, 131);

/// Writes the labels of fragment 1 as a probability map with noise of so many levels.
fn write_map(scrap: &TestFragment, name: &str, noise: usize) -> PathBuf {
    let labels = inkling_fragment::read_drawn(scrap.path("1/inklabels.png")).unwrap();
    let map = Array2::from_shape_fn(SIZE, |(y, x)| {
        let any = (y * 7_919 + x * 104_729 + y * x * 31) % noise;
        (100 * usize::from(labels[(y, x)]) + any) as u8
    });
    let path = scrap.path(name);
    inkling_fragment::write_gray(&path, map.view(), true).unwrap();
    path
}

#[test]
fn two_maps_are_compared_with_one_another_and_with_labels() {
    let scrap = TestFragment::new();
    let (good, bad) = (
        write_map(&scrap, "good.png", 90),
        write_map(&scrap, "bad.png", 150),
    );
    let (labels, mask) = (scrap.path("1/inklabels.png"), scrap.path("1/mask.png"));
    let compare = |words: &[&str]| {
        let maps = ["compare", word(&good), word(&bad), "--block", "32"];
        figures(&[&maps, words].concat())
    };
    let alone = compare(&[]);
    let correlation = alone["agreement"]["correlation"]["value"].as_f64().unwrap();
    assert!((0.3..0.99).contains(&correlation), "{correlation}");
    assert!(alone["labels"].is_null());
    let found = compare(&["--mask", word(&mask), "--labels", word(&labels)]);
    let known = &found["labels"];
    let auc = &known["difference"]["auc"];
    let value = |of: &str| known[of]["auc"]["value"].as_f64().unwrap();
    assert_eq!(
        auc["value"].as_f64().unwrap(),
        value("first") - value("second")
    );
    assert!(auc["interval"][0].as_f64().unwrap() > 0.0, "{auc}");
    // `score` says the same of the one map.
    let words = [
        "score",
        word(&good),
        "--labels",
        word(&labels),
        "--mask",
        word(&mask),
    ];
    let score = figures(&[&words[..], &["--block", "32"]].concat());
    assert_eq!(score["metrics"], known["first"]);
    assert_eq!(score["metrics"]["f05"]["value"], score["f05"]);
}

#[test]
fn too_few_blocks_and_other_sizes_are_said() {
    let scrap = TestFragment::new();
    let map = write_map(&scrap, "map.png", 90);
    let few = inkling(&["compare", word(&map), word(&map)]);
    let said = String::from_utf8_lossy(&few.stdout);
    assert!(
        few.status.success() && said.contains("too few for intervals"),
        "{said}"
    );
    let small = scrap.path("small.png");
    inkling_fragment::write_gray(&small, Array2::zeros((9, 9)).view(), true).unwrap();
    let other = inkling(&["compare", word(&map), word(&small)]);
    let said = String::from_utf8_lossy(&other.stderr);
    assert!(
        !other.status.success() && said.contains("second map"),
        "{said}"
    );
}
