//! Nothing that somebody else wrote is replaced or removed, and no result before its successor is
//! sure.

use std::path::Path;

use crate::parts::Setting;
use crate::test_fragment::{TestFragment, figures, inkling, refused, word};

/// Runs `words`, which must fail with `code` and say all of `parts`.
/// Everything below `folder`, with what is in it.
fn contents(folder: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => found.push((path.clone(), std::fs::read(path).unwrap())),
            }
        }
    }
    found.sort();
    found
}

#[test]
fn folders_of_other_things_are_left_alone() {
    let scrap = TestFragment::new();
    scrap.phantom("2", 2);
    let recipe = scrap.recipe("");
    let weights = scrap.path("weights");
    std::fs::create_dir(&weights).unwrap();
    std::fs::write(weights.join("best.safetensors"), "precious").unwrap();
    std::fs::write(weights.join("metrics.jsonl"), "mine").unwrap();
    let before = contents(&weights);
    for command in ["train", "cv"] {
        for more in [&[][..], &["--force"], &["--resume"]] {
            let words = [command, "--config", word(&recipe), "--out", word(&weights)];
            let parts = ["best.safetensors", "new or empty folder", "hint:"];
            refused(&[&words[..], more].concat(), 2, &parts);
        }
    }
    refused(
        &["demo", "--force", "--out", word(&weights)],
        2,
        &["best.safetensors"],
    );
    assert_eq!(contents(&weights), before);
}

#[test]
fn an_old_run_stays_until_its_successor_starts() {
    let scrap = TestFragment::new();
    scrap.phantom("2", 2);
    let recipe = scrap.recipe("");
    let run = scrap.path("run");
    let words = ["train", "--config", word(&recipe), "--out", word(&run)];
    figures(&words);
    let before = contents(&run);
    refused(&words, 1, &["found a run", "--resume", "--force"]);
    let force = |more: &[&str]| refused(&[&words[..], &["--force"], more].concat(), 1, &["hint:"]);
    let labels = |name: &str| scrap.path(&format!("{name}/inklabels.png"));
    let blank = ndarray::Array2::zeros((150, 131));
    // The training fragment, then the held-out one.
    for name in ["1", "2"] {
        let kept = std::fs::read(labels(name)).unwrap();
        inkling_fragment::write_gray(labels(name), blank.view(), true).unwrap();
        force(&[]);
        std::fs::write(labels(name), kept).unwrap();
    }
    force(&["--set", "model.weights=\"nowhere.safetensors\""]);
    let layer = std::fs::read(scrap.layer(7)).unwrap();
    std::fs::write(scrap.layer(7), &layer[..layer.len() / 2]).unwrap();
    force(&[]);
    std::fs::write(scrap.layer(7), layer).unwrap();
    assert_eq!(contents(&run), before);
    std::fs::write(run.join("notes.txt"), "mine").unwrap();
    figures(&[&words[..], &["--force", "--set", "train.seed=1"]].concat());
    assert!(run.join("notes.txt").exists());
    let weights = |files: &[(std::path::PathBuf, Vec<u8>)]| {
        let best = files
            .iter()
            .find(|(path, _)| path.ends_with("best.safetensors"));
        best.unwrap().1.clone()
    };
    assert!(weights(&contents(&run)) != weights(&before));
}

#[test]
fn an_output_lies_apart_from_every_input() {
    let setting = Setting::new();
    let scrap = &setting.scrap;
    let [one, run] = [scrap.path("1"), setting.models[0].clone()];
    let inner = one.join("inner");
    let maps = scrap.path("maps");
    figures(&["align", word(&one), "--out", word(&maps)]);
    let out = scrap.path("out");
    let predicted = [
        "predict",
        word(&one),
        "--model",
        word(&run),
        "--tta",
        "none",
        "--out",
    ];
    figures(&[&predicted[..], &[word(&out)]].concat());
    let image = out.join("1.png");
    let recipe = scrap.path("recipe.toml");
    let link = scrap.path("link");
    #[cfg(unix)]
    std::os::unix::fs::symlink(&one, &link).unwrap();
    let before = contents(&one);
    let (mask, labels) = (one.join("mask.png"), one.join("inklabels.png"));
    for target in [&one, &inner, &link, scrap.folder.path()] {
        if target == link && cfg!(not(unix)) {
            continue;
        }
        let target = word(target);
        for words in [
            vec!["downscale", word(&one), "--out", target],
            vec!["split", word(&one), "--out", target],
            vec!["warp", word(&one), "--maps", word(&maps), "--out", target],
            vec!["align", word(&one), "--out", target],
            vec!["curves", word(&one), "--out", target],
            vec![
                "augment",
                word(&one),
                "--config",
                word(&recipe),
                "--out",
                target,
            ],
            vec!["train", "--config", word(&recipe), "--out", target],
            vec!["cv", "--config", word(&recipe), "--out", target],
            vec![
                "predict",
                word(&one),
                "--model",
                word(&run),
                "--out",
                target,
            ],
        ] {
            refused(&[&words[..], &["--force"]].concat(), 2, &["input", "hint:"]);
        }
    }
    let inputs = [
        "--labels",
        word(&labels),
        "--mask",
        word(&mask),
        "--force",
        "--out",
    ];
    for target in [&image, &mask] {
        let words = ["threshold", word(&image)];
        refused(
            &[&words[..], &inputs, &[word(target)]].concat(),
            2,
            &["is the input"],
        );
    }
    refused(
        &["submit", word(&image), "--force", "--out", word(&image)],
        2,
        &["is the input"],
    );
    let best = run.join("best.safetensors");
    refused(
        &["export", word(&run), "--force", "--out", word(&best)],
        2,
        &["lies in"],
    );
    assert_eq!(contents(&one), before);
}

#[test]
fn two_of_one_name_are_refused_and_can_be_named() {
    let setting = Setting::new();
    let scrap = &setting.scrap;
    for (folder, seed) in [("a/1", 5), ("b/1", 6)] {
        scrap.phantom(folder, seed);
    }
    let [a, b, out] = ["a/1", "b/1", "out"].map(|name| scrap.path(name));
    let run = word(&setting.models[0]);
    let twins = [word(&a), word(&b)];
    for words in [
        vec!["curves"],
        vec!["align"],
        vec!["predict", "--model", run],
    ] {
        let words = [&words[..1], &twins, &words[1..], &["--out", word(&out)]].concat();
        refused(&words, 2, &["called 1", word(&a), word(&b), "12="]);
    }
    assert!(!out.exists());
    let named = [format!("left={}", word(&a)), format!("right={}", word(&b))];
    let words = ["curves", &named[0], &named[1], "--out", word(&out)];
    let found = figures(&words);
    assert!(
        found["left"].is_object() && found["right"].is_object(),
        "{found}"
    );
    // A link is called by its own name.
    #[cfg(unix)]
    {
        let link = scrap.path("linked");
        std::os::unix::fs::symlink(&a, &link).unwrap();
        let more = scrap.path("more");
        let words = ["curves", word(&link), "--out", word(&more)];
        assert!(figures(&words)["linked"].is_object());
    }
}

#[test]
fn equal_trainings_give_equal_files() {
    let scrap = TestFragment::new();
    scrap.phantom("2", 2);
    let recipe = scrap.recipe("ema = 0.9\n");
    let train = |name: &str| {
        let run = scrap.path(name);
        figures(&["train", "--config", word(&recipe), "--out", word(&run)]);
        let files = [
            "best.safetensors",
            "last.safetensors",
            "resume.safetensors",
            "settings.toml",
        ];
        files.map(|file| std::fs::read(run.join(file)).unwrap())
    };
    assert!(train("one") == train("two"));
}

#[test]
fn images_that_no_prediction_wrote_are_never_replaced() {
    let setting = Setting::new();
    let scrap = &setting.scrap;
    let [fragment, out] = ["2", "out"].map(|name| scrap.path(name));
    std::fs::create_dir(&out).unwrap();
    std::fs::write(out.join("2.png"), "mine").unwrap();
    let run = word(&setting.models[0]);
    let words = [
        "predict",
        word(&fragment),
        "--model",
        run,
        "--tta",
        "none",
        "--out",
        word(&out),
    ];
    for more in [&[][..], &["--force"], &["--resume"]] {
        refused(&[&words[..], more].concat(), 1, &["2.png", "move it away"]);
    }
    assert_eq!(std::fs::read_to_string(out.join("2.png")).unwrap(), "mine");
    std::fs::rename(out.join("2.png"), out.join("mine.png")).unwrap();
    figures(&words);
    refused(&words, 1, &["--force"]);
    figures(&[&words[..], &["--force"]].concat());
    assert_eq!(
        std::fs::read_to_string(out.join("mine.png")).unwrap(),
        "mine"
    );
}

#[test]
fn a_fragment_with_notes_in_it_is_never_replaced() {
    let scrap = TestFragment::new();
    let [one, copy] = ["1", "copy"].map(|name| scrap.path(name));
    let words = [
        "downscale",
        word(&one),
        "--factor",
        "3",
        "--out",
        word(&copy),
    ];
    figures(&words);
    refused(&words, 1, &["--force"]);
    let force = [&words[..], &["--force"]].concat();
    figures(&force);
    for note in ["notes.txt", "surface_volume/notes.txt"] {
        std::fs::write(copy.join(note), "mine").unwrap();
        refused(&force, 1, &[note, "move it away"]);
        std::fs::remove_file(copy.join(note)).unwrap();
    }
    figures(&force);
}

/// What `plan.json` and the names of parts say is checked before it is believed.
#[test]
fn a_merge_stays_in_its_folder_and_ends() {
    let setting = Setting::new();
    let scrap = &setting.scrap;
    let [fragment, out] = ["2", "out"].map(|name| scrap.path(name));
    let run = word(&setting.models[0]);
    let words = [
        "predict",
        word(&fragment),
        "--model",
        run,
        "--tta",
        "none",
        "--out",
        word(&out),
    ];
    figures(&[&words[..], &["--part", "1/2"]].concat());
    figures(&[&words[..], &["--part", "2/2"]].concat());
    let parts = out.join("parts/2");
    let plan = std::fs::read_to_string(parts.join("plan.json")).unwrap();
    let merge = ["merge", word(&out)];
    for (said, hostile, part) in [
        ("\"id\": \"2\"", "\"id\": \"../../escaped\"", "id"),
        ("\"id\": \"2\"", "\"id\": \"/tmp/escaped\"", "id"),
        ("\"step\": 16", "\"step\": 0", "step"),
        (
            "\"image_size\": 32",
            "\"image_size\": 18446744073709551615",
            "image_size",
        ),
        ("\"tiles\": ", "\"tiles\": 9", "tiles"),
        ("      150,", "      149,", "149"),
    ] {
        assert!(plan.contains(said), "{said} is not in {plan}");
        std::fs::write(parts.join("plan.json"), plan.replacen(said, hostile, 1)).unwrap();
        refused(&merge, 1, &["plan", part]);
    }
    assert!(!scrap.path("escaped.png").exists() && !Path::new("/tmp/escaped.png").exists());
    std::fs::write(parts.join("plan.json"), &plan).unwrap();
    let endless = parts.join("part-1-of-18446744073709551615.tiles");
    std::fs::write(&endless, "").unwrap();
    assert!(
        !inkling(&merge).stdout.is_empty(),
        "a name that is no part's is none"
    );
    assert!(endless.exists() && out.join("2.png").exists());
}

/// What a killed call left under a temporary name goes at the next call.
#[test]
fn abandoned_temporary_files_go_and_others_stay() {
    let scrap = TestFragment::new();
    let [one, out] = ["1", "out"].map(|name| scrap.path(name));
    std::fs::create_dir(&out).unwrap();
    for name in [
        ".inkling-Abc123.tmp",
        ".inkling-notes",
        "a.tmp",
        ".tmpAbc123",
    ] {
        std::fs::write(out.join(name), "half").unwrap();
    }
    figures(&["curves", word(&one), "--out", word(&out)]);
    assert!(!out.join(".inkling-Abc123.tmp").exists());
    for name in [".inkling-notes", "a.tmp", ".tmpAbc123"] {
        assert!(out.join(name).exists(), "{name}");
    }
}

/// A phantom is Inkling's own, its true depth maps included; a note beside these is not.
#[test]
fn a_phantom_is_made_again_and_nothing_beside_it_is_lost() {
    let scrap = TestFragment::new();
    let out = scrap.path("phantoms");
    let words = ["synth", word(&out), "--fragments", "1", "--size", "64x64"];
    figures(&words);
    figures(&[&words[..], &["--force"]].concat());
    std::fs::write(out.join("1/truth/notes.txt"), "precious").unwrap();
    let output = inkling(&[&words[..], &["--force"]].concat());
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("truth/notes.txt"), "{said}");
}
