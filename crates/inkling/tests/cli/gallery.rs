//! The gallery of what training sees.

use serde_json::Value;

use crate::test_fragment::{TestFragment, figures, word};

fn gallery(scrap: &TestFragment, out: &str, more: &[&str]) -> (Value, Vec<u8>) {
    let recipe = scrap.recipe("");
    let (fragment, out) = (scrap.path("1"), scrap.path(out));
    let words = ["augment", word(&fragment), "--config", word(&recipe)];
    let figures = figures(&[&words[..], &["--out", word(&out)], more].concat());
    for file in ["gallery.html", "gallery.json"] {
        assert!(out.join(file).exists(), "{file}");
    }
    (figures, std::fs::read(out.join("gallery.png")).unwrap())
}

#[test]
fn it_shows_every_transform_and_the_same_samples_for_the_same_seed() {
    let scrap = TestFragment::new();
    let (figures, picture) = gallery(&scrap, "a", &["--seed", "4", "--count", "5"]);
    let names: Vec<&str> = figures["transforms"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["name"].as_str().unwrap())
        .collect();
    assert_eq!(names.len(), 21);
    for name in [
        "rotation",
        "grid distortion",
        "motion blur",
        "negative: noise",
        "copy-paste",
    ] {
        assert!(names.contains(&name), "{name}");
    }
    assert_eq!(figures["samples"].as_array().unwrap().len(), 5);

    let again = gallery(
        &scrap,
        "b",
        &["--seed", "4", "--count", "5", "--threads", "1"],
    );
    assert_eq!(
        (&again.0["samples"], &again.1),
        (&figures["samples"], &picture)
    );
    let other = gallery(&scrap, "c", &["--seed", "5", "--count", "5"]);
    assert_ne!(other.0["samples"], figures["samples"]);
}

#[test]
fn one_after_another_draws_the_same_and_paints_nearly_the_same() {
    let scrap = TestFragment::new();
    let (once, picture) = gallery(&scrap, "a", &["--seed", "4", "--count", "6"]);
    let (steps, stepped) = gallery(&scrap, "b", &["--seed", "4", "--count", "6", "--exact"]);
    assert_eq!(once["samples"], steps["samples"]);
    let words = ["--seed", "4", "--count", "6", "--set", "augment.exact=true"];
    assert_eq!(
        gallery(&scrap, "c", &words),
        (steps.clone(), stepped.clone())
    );
    let pixels = |png: &[u8]| image::load_from_memory(png).unwrap().to_luma8();
    let (once, steps) = (pixels(&picture), pixels(&stepped));
    assert_ne!(once, steps);
    let apart = once
        .iter()
        .zip(steps.iter())
        .map(|(&a, &b)| f64::from(a.abs_diff(b)));
    let mean = apart.sum::<f64>() / once.len() as f64;
    assert!(mean < 3.0, "{mean} of 255");
}
