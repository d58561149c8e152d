//! Recipes: those in configs/, how layers are resolved, and the schema for editors.

use std::path::PathBuf;

use inkling_model::ModelSettings;
use serde_json::{Value, json};

use crate::test_fragment::{TestFragment, figures, inkling, word};

fn configs() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../configs")
}

/// Every recipe resolves by itself and over the best one, and describes a network that exists.
#[test]
fn every_recipe_resolves() {
    let best = configs().join("maxvit-2d-agg.toml");
    let mut seen = 0;
    for entry in std::fs::read_dir(configs()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|end| end != "toml") {
            continue;
        }
        seen += 1;
        for files in [vec![&path], vec![&best, &path]] {
            let files: Vec<&str> = files.into_iter().map(|file| word(file)).collect();
            let found = figures(&[&["config", "--config"], &files[..]].concat());
            let model = found["settings"]["model"].clone();
            let model: ModelSettings = serde_json::from_value(model).unwrap();
            model.check().unwrap();
            if !model.approach.is_published() {
                model.encoder_config().unwrap();
            }
        }
    }
    assert!(seen >= 10, "{seen}");
}

/// The numbers of the reference solution, one by one.
#[test]
fn the_best_recipe_is_the_write_ups() {
    let path = configs().join("maxvit-2d-agg.toml");
    let settings = figures(&["config", "--config", word(&path)])["settings"].clone();
    let expected = [
        ("/data/layers", json!([20, 44])),
        ("/model/approach", json!("2d-agg")),
        ("/model/encoder", json!("maxvit_rmlp_base_rw_384")),
        (
            "/model/pretrained",
            json!("timm/maxvit_rmlp_base_rw_384.sw_in12k_ft_in1k"),
        ),
        ("/model/image_size", json!(384)),
        ("/model/depth", json!(18)),
        ("/model/window", json!(3)),
        ("/model/decoder", json!([256, 128, 64])),
        ("/augment/scale", json!([0.5, 2.0])),
        ("/augment/ratio", json!([0.9, 1.1])),
        ("/augment/z_scale_limit", json!(1.33)),
        ("/augment/brightness_limit", json!(0.1)),
        ("/augment/contrast_limit", json!(0.1)),
        ("/augment/rotate_limit", json!(45.0)),
        ("/augment/noise_or_blur", json!(0.4)),
        ("/augment/noise_variance", json!([10.0, 50.0])),
        ("/augment/grid_limit", json!(0.3)),
        ("/augment/dropout_size", json!([0.3, 0.3])),
        ("/augment/mixing/kind", json!("none")),
        ("/train/epochs", json!(64)),
        ("/train/batch", json!(3)),
        ("/train/accumulate", json!(3)),
        ("/train/precision", json!("f16")),
        ("/train/best", json!(["f05"])),
        ("/train/optimizer/learning_rate", json!(1e-4)),
        ("/train/optimizer/weight_decay", json!(1e-6)),
        ("/train/optimizer/epsilon", json!(1e-8)),
        ("/train/optimizer/clip_norm", json!(5.0)),
        ("/train/loss/bce", json!(1.0)),
        ("/train/loss/positive_weight", json!(0.5)),
        ("/train/loss/masked", json!(false)),
        (
            "/train/schedule/pieces",
            json!([
                { "shape": "linear", "from": 0.1, "to": 1.0, "until": 0.1 },
                { "shape": "cosine", "from": 1.0, "to": 0.01, "until": 1.0 },
            ]),
        ),
        ("/predict/tta", json!("full")),
        ("/predict/step", json!(0.5)),
    ];
    for (key, value) in expected {
        assert_eq!(settings.pointer(key), Some(&value), "{key}");
    }
    assert_eq!(settings["data"]["fragments"].as_array().unwrap().len(), 5);
}

#[test]
fn every_value_says_where_it_came_from() {
    let scrap = TestFragment::new();
    let first = scrap.path("first.toml");
    let second = scrap.path("second.toml");
    std::fs::write(&first, "[train]\nepochs = 3\nbatch = 4\n").unwrap();
    std::fs::write(&second, "[train]\nepochs = 5\n").unwrap();
    let words = [
        "config",
        "--config",
        word(&first),
        word(&second),
        "--set",
        "train.optimizer.learning_rate=0.5",
    ];
    let found = figures(&words);
    assert_eq!(found["settings"]["train"]["epochs"], 5);
    let from = |key: &str| found["from"][key].as_str().unwrap().to_owned();
    assert_eq!(from("train.epochs"), word(&second));
    assert_eq!(from("train.batch"), word(&first));
    assert_eq!(from("train.seed"), "default");
    assert!(from("train.optimizer.learning_rate").starts_with("--set"));

    // What is printed is a recipe again.
    let text = String::from_utf8(inkling(&words).stdout).unwrap();
    assert!(
        text.contains("epochs = 5") && text.contains("second.toml"),
        "{text}"
    );
    let printed = scrap.path("printed.toml");
    std::fs::write(&printed, text).unwrap();
    let again = figures(&["config", "--config", word(&printed)]);
    assert_eq!(again["settings"], found["settings"]);
}

#[test]
fn the_schema_for_editors_is_printed() {
    let path = configs().join("schema.json");
    let kept: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert!(figures(&["config", "--schema"]) == kept);
}
