//! Published checkpoints through the binary: a file and the hub's cache, what the record says, what may
//! be overridden, and fine-tuning.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::test_fragment::{TestFragment, figures, inkling, predict_words, word};

/// A small hybrid for 17 layers of 32 px.
fn hybrid() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../model/tests/data/published/hybrid.pth")
}

fn record(out: &Path) -> Value {
    let text = std::fs::read_to_string(out.join("predict.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The first value under `key`, wherever it stands.
fn find<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    match value {
        Value::Object(table) => table
            .get(key)
            .or_else(|| table.values().find_map(|value| find(value, key))),
        Value::Array(list) => list.iter().find_map(|value| find(value, key)),
        _ => None,
    }
}

#[test]
fn a_published_file_predicts_and_everything_is_written_down() {
    let scrap = TestFragment::new();
    let (fragment, out, model) = (scrap.path("1"), scrap.path("out"), hybrid());
    let words = predict_words(&fragment, &model, &out);
    figures(&words);
    assert!(out.join("1.png").is_file());
    let record = record(&out);
    let settings = find(&record, "model").unwrap();
    assert_eq!(settings["approach"], "hybrid");
    assert_eq!(
        (&settings["depth"], &settings["image_size"]),
        (&17.into(), &32.into())
    );
    assert_eq!(settings["normalization"]["kind"], "robust-mad");
    assert_eq!(settings["normalization"]["upper"], 98.5);
    assert!(
        find(&record, "recognised")
            .unwrap()
            .as_str()
            .unwrap()
            .contains("hybrid")
    );
    // The phantom's 30 layers, by the flat rule; tiles half a side apart.
    assert_eq!(
        find(&record, "layers").unwrap(),
        &serde_json::json!([7, 24])
    );
    let plan = find(&record, "plan").unwrap();
    assert_eq!(find(plan, "step").unwrap(), 16);
}

#[test]
fn what_a_checkpoint_says_is_overridden_by_name() {
    let scrap = TestFragment::new();
    let (fragment, out, model) = (scrap.path("1"), scrap.path("out"), hybrid());
    let common = predict_words(&fragment, &model, &out);
    let with = |more: &[&'static str]| -> Vec<&str> { [&common[..], more].concat() };
    figures(&with(&[
        "--set",
        "model.normalization.kind=divide",
        "--set",
        "model.normalization.divisor=200",
        "--set",
        "model.depth=9",
        "--set",
        "model.image_size=64",
        "--layers",
        "3..12",
        "--step",
        "0.75",
    ]));
    let record = record(&out);
    let settings = find(&record, "model").unwrap();
    assert_eq!(settings["normalization"]["divisor"], 200.0);
    assert_eq!(
        (&settings["depth"], &settings["image_size"]),
        (&9.into(), &64.into())
    );
    assert_eq!(
        find(&record, "layers").unwrap(),
        &serde_json::json!([3, 12])
    );
    assert_eq!(find(&record, "plan").unwrap()["step"], 48);

    let refused = |more: &[&'static str]| {
        let output = inkling(&with(&[more, &["--force"]].concat()));
        assert!(!output.status.success(), "{more:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let text = refused(&["--layers", "3..12"]);
    assert!(text.contains("found 9 layers; expected 17"), "{text}");
    let text = refused(&["--set", "model.normalization.divisr=200"]);
    assert!(text.contains("divisr"), "{text}");
    let text = refused(&["--set", "model.depth=31"]);
    assert!(text.contains("30") && text.contains("31"), "{text}");
}

#[test]
fn a_checkpoint_in_the_hubs_cache_is_found_by_its_name() {
    let scrap = TestFragment::new();
    let repository = scrap.path("hub/models--scrollprize--ink_9um");
    let commit = "0123456789abcdef0123456789abcdef01234567";
    let folder = repository
        .join("snapshots")
        .join(commit)
        .join("hybrid_3d2d-seed42");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::create_dir_all(repository.join("refs")).unwrap();
    std::fs::write(repository.join("refs/main"), commit).unwrap();
    std::fs::copy(hybrid(), folder.join("step-075000.pth")).unwrap();
    let call = |model: &str, out: &str| {
        Command::new(env!("CARGO_BIN_EXE_inkling"))
            .args(["predict", word(&scrap.path("1")), "--model", model, "--out"])
            .arg(scrap.path(out))
            .env("HF_HUB_CACHE", scrap.path("hub"))
            .env("HF_HUB_OFFLINE", "1")
            .output()
            .unwrap()
    };
    let output = call("hf:scrollprize/ink_9um", "out");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(scrap.path("out/1.png").is_file());
    let output = call("hf:scrollprize/elsewhere/a.pth@v1", "other");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{text}");
    assert!(text.contains("hf:scrollprize/elsewhere/a.pth@v1"), "{text}");
    assert!(text.contains("nothing in the cache"), "{text}");
}

#[test]
fn a_checkpoint_of_an_unknown_kind_is_named() {
    let scrap = TestFragment::new();
    let (fragment, out) = (scrap.path("1"), scrap.path("out"));
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../model/tests/data/pytorch/plain.pth");
    let words = predict_words(&fragment, &model, &out);
    let output = inkling(&words);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{text}");
    assert!(
        text.contains("plain.pth: found") && text.contains("tensors ("),
        "{text}"
    );
    assert!(text.contains("docs/networks.md"), "{text}");
}

/// A few steps from a published checkpoint, and a prediction from the run.
#[test]
fn a_published_network_is_fine_tuned() {
    let scrap = TestFragment::new();
    scrap.phantom("2", 2);
    let recipe = scrap.path("recipe.toml");
    let text = format!(
        "[data]\nfragments = [\"1\", \"2\"]\nlayers = [5, 22]\n\
         [train]\nepochs = 1\nbatch = 2\naccumulate = 2\nsamples_per_epoch = 4\n\
         [model]\napproach = \"hybrid\"\nimage_size = 32\ndepth = 17\nweights = {:?}\n\
         [model.hybrid]\nstem = 4\nfeatures = [4, 8]\nblocks = [1, 2]\n\
         [model.normalization]\nkind = \"robust-mad\"\n",
        word(&hybrid())
    );
    std::fs::write(&recipe, text).unwrap();
    let (run, out, fragment) = (scrap.path("run"), scrap.path("out"), scrap.path("1"));
    let words = [
        "train",
        "--config",
        word(&recipe),
        "--out",
        word(&run),
        "--fold",
        "1",
    ];
    let trained = figures(&words);
    assert!(trained["f05"].is_number(), "{trained}");
    figures(&predict_words(&fragment, &run, &out));
    let record = record(&out);
    assert_eq!(
        find(&record, "model").unwrap()["normalization"]["kind"],
        "robust-mad"
    );
}
