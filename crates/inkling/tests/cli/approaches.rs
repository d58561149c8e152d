//! Every approach through the binary: a few steps of training, then a prediction from the run.

use crate::test_fragment::{TestFragment, figures, inkling, word};

const NARROW: &str = "encoder = \"maxvit_rmlp_pico_rw_256\"\n\
     [model.maxvit]\nstem = [4, 4]\nchannels = [8, 8, 8, 8]\nblocks = [1, 1, 1, 1]\n\
     head_width = 8\nposition_hidden = 8\nposition_dropout = 0.0\n";

/// `model` are the lines of `[model]` beside sizes, the encoder last.
fn train_and_predict(model: &str) {
    let scrap = TestFragment::new();
    scrap.phantom("2", 2);
    let recipe = scrap.path("recipe.toml");
    let text = format!(
        "[data]\nfragments = [\"1\", \"2\"]\nlayers = [5, 17]\n\
         [train]\nepochs = 1\nbatch = 2\naccumulate = 2\nsamples_per_epoch = 4\n\
         [model]\nimage_size = 32\ndepth = 6\ndecoder = [8, 8, 8]\n{model}"
    );
    std::fs::write(&recipe, text).unwrap();
    let (run, out) = (scrap.path("run"), scrap.path("out"));
    let trained = figures(&[
        "train",
        "--config",
        word(&recipe),
        "--out",
        word(&run),
        "--fold",
        "1",
    ]);
    assert!(trained["f05"].is_number(), "{model}: {trained}");
    let fragment = scrap.path("1");
    figures(&[
        "predict",
        word(&fragment),
        "--model",
        word(&run),
        "--out",
        word(&out),
        "--tta",
        "rot90",
    ]);
    assert!(out.join("1.png").is_file(), "{model}");
}

#[test]
fn layers_as_channels() {
    train_and_predict(&format!("approach = \"2d\"\n{NARROW}"));
}

#[test]
fn windows_that_overlap_with_every_aggregation() {
    for aggregation in ["linear", "mean", "max", "attention"] {
        train_and_predict(&format!(
            "approach = \"2d-agg\"\nwindow = 4\nstep = 2\naggregation = \"{aggregation}\"\n{NARROW}"
        ));
    }
}

#[test]
fn volumes_through_2d_encoders_turned_3d() {
    train_and_predict(&format!("approach = \"3d\"\n{NARROW}"));
    train_and_predict(&format!(
        "approach = \"3d\"\nconversion = \"acs\"\naggregation = \"attention\"\n{NARROW}"
    ));
    train_and_predict("approach = \"3d\"\nconversion = \"acs\"\nencoder = \"convnextv2_atto\"\n");
}

#[test]
fn swin_over_volumes() {
    let encoder = "encoder = \"swinv2_tiny_window8_256\"\n";
    train_and_predict(&format!(
        "approach = \"3d-swin\"\ndepth_window = 3\n{encoder}"
    ));
    train_and_predict(&format!("approach = \"pseudo-3d-swin\"\n{encoder}"));
}

#[test]
fn models_lists_approaches_with_their_conversions_and_families() {
    let found = figures(&["models", "convnextv2_atto"]);
    let approaches = found["approaches"].as_array().unwrap();
    let names: Vec<_> = approaches
        .iter()
        .map(|a| a["name"].as_str().unwrap())
        .collect();
    let with_encoders = ["2d-agg", "2d", "3d", "3d-swin", "pseudo-3d-swin"];
    let published = ["hybrid", "resnet3d", "timesformer", "i3d"];
    assert_eq!(names, [&with_encoders[..], &published].concat());
    assert_eq!(
        approaches[2]["conversions"],
        serde_json::json!(["repeat", "centre", "acs"])
    );
    let families = serde_json::json!(["MaxViT", "ConvNeXt", "ResNet"]);
    assert_eq!(approaches[2]["families"], families);
    assert_eq!(approaches[3]["families"], serde_json::json!(["Swin V2"]));
    assert_eq!(
        found["encoders"][0]["approaches"],
        serde_json::json!(["2d-agg", "2d", "3d"])
    );
    let text = String::from_utf8(inkling(&["models", "convnextv2_atto"]).stdout).unwrap();
    assert!(
        text.contains("pseudo-3d-swin") && text.contains("acs"),
        "{text}"
    );
}

/// Settings that do not fit are wrong usage, and say which.
#[test]
fn settings_that_do_not_fit_an_approach_are_named() {
    let scrap = TestFragment::new();
    scrap.phantom("2", 2);
    let recipe = scrap.recipe("");
    let run = scrap.path("run");
    for (set, expected) in [
        (
            "model.depth_strides=[1, 4, 1, 1, 1]",
            "stride 2 of the 5 to divide 6, the layers that model.depth = 6 leaves there. hint: ",
        ),
        (
            "model.encoder=resnet18",
            "is no MaxViT. hint: change [model.maxvit]",
        ),
        ("model.conversion=twice", "repeat, centre, acs"),
    ] {
        let output = inkling(&[
            "train",
            "--config",
            word(&recipe),
            "--out",
            word(&run),
            "--set",
            "model.approach=3d",
            "--set",
            set,
        ]);
        let words = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{words}");
        assert!(words.contains(expected), "{words}");
    }
}
