//! Whether a map can be believed: agreement of maps, folds that are apart, controls, calibration.

use std::path::{Path, PathBuf};

use ndarray::Array2;

use crate::test_fragment::{TestFragment, figures, inkling, predict_words, train_words, word};

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
fn sheets_are_scored_one_by_one_and_as_one() {
    let scrap = TestFragment::new();
    let (one, two) = (
        write_map(&scrap, "one.png", 30),
        write_map(&scrap, "two.png", 90),
    );
    let (labels, mask) = (scrap.path("1/inklabels.png"), scrap.path("1/mask.png"));
    let known = ["--labels", word(&labels), "--mask", word(&mask)];
    let score = |maps: &[&Path], more: &[&str]| {
        let maps: Vec<&str> = maps.iter().map(|map| word(map)).collect();
        figures(&[&["score"], &maps[..], more, &["--block", "16"]].concat())
    };
    // A flag's value ends before the map that follows it.
    let words = [&["score"], &known[..], &[word(&one), "--block", "16"]].concat();
    let alone = figures(&words);
    assert_eq!(score(&[&one], &known), alone);
    let both = score(&[&one, &two], &[known, known].concat());
    for (index, map) in [&one, &two].into_iter().enumerate() {
        let mut expected = score(&[map], &known);
        expected["prediction"] = word(map).into();
        assert_eq!(both["sheets"][index], expected);
    }
    let together = &both["together"];
    let f05 = |of: &serde_json::Value| of["f05"].as_f64().unwrap();
    let between = [f05(&both["sheets"][0]), f05(&both["sheets"][1])];
    assert!(
        f05(together) > between[0].min(between[1]) && f05(together) < between[0].max(between[1])
    );
    assert_eq!(together["metrics"]["f05"]["value"], together["f05"]);
    let width = |of: &serde_json::Value| {
        let interval = &of["metrics"]["f05"]["interval"];
        interval[1].as_f64().unwrap() - interval[0].as_f64().unwrap()
    };
    assert!(width(together) > 0.0);

    let regions = score(&[&one], &[&known[..], &["--regions", "64"]].concat());
    let regions = regions["regions"].as_array().unwrap();
    let known_intervals = regions
        .iter()
        .filter(|region| region["metrics"]["f05"]["interval"].is_array());
    assert!(known_intervals.count() > 0, "{regions:?}");
    for region in regions {
        assert_eq!(region["metrics"]["f05"]["value"], region["f05"]);
    }

    let words = [&["score", word(&one), word(&two)], &known[..]].concat();
    let refused = inkling(&words);
    let told = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{told}");
    assert!(told.contains("--labels: found 1 images"), "{told}");
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

fn write_mask(scrap: &TestFragment, name: &str, set: impl Fn(usize, usize) -> bool) {
    let image = Array2::from_shape_fn(SIZE, |(y, x)| if set(y, x) { 255 } else { 0 });
    inkling_fragment::write_gray(scrap.path(name), image.view(), true).unwrap();
}

/// A recipe of these fragments.
fn recipe_of(scrap: &TestFragment, fragments: &str) -> PathBuf {
    let path = scrap.recipe("");
    let text = std::fs::read_to_string(&path).unwrap();
    let text = text.replace("[\"1\", \"2\"]", fragments);
    std::fs::write(&path, text).unwrap();
    path
}

fn said(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_margin_around_held_out_papyrus_is_not_trained_on() {
    let scrap = TestFragment::new();
    let recipe = recipe_of(&scrap, "[\"1\"]");
    write_mask(&scrap, "1/validation_mask.png", |y, _| y >= 100);
    let audit = |name: &str, more: &[&str]| {
        let out = scrap.path(name);
        let words = ["folds", "--config", word(&recipe), "--out", word(&out)];
        let found = figures(&[&words, more].concat());
        assert!(
            std::fs::read_to_string(out.join("folds.html"))
                .unwrap()
                .contains("data:image/png")
        );
        found["folds"][0]["fragments"][0].clone()
    };
    let count = |found: &serde_json::Value, of: &str| found[of].as_u64().unwrap();
    let none = audit("none", &["--set", "data.margin=0"]);
    let patch = audit("patch", &[]);
    assert_eq!((count(&none, "margin"), count(&none, "shared")), (0, 0));
    let rows = count(&patch, "margin");
    assert_eq!(count(&patch, "training") + rows, count(&none, "training"));
    // 32 rows of up to 131 px.
    assert!((32 * 60..=32 * 131).contains(&rows), "{rows}");
    // Labels there change nothing, and labels further away do.
    let labels = inkling_fragment::read_drawn(scrap.path("1/inklabels.png")).unwrap();
    let train = |name: &str, from: usize| {
        write_mask(&scrap, "1/inklabels.png", |y, x| {
            labels[(y, x)] && !(from..100).contains(&y)
        });
        let run = scrap.path(name);
        let words = ["train", "--config", word(&recipe), "--out", word(&run)];
        figures(&words);
        std::fs::read(run.join("metrics.jsonl")).map(|text| {
            let text = String::from_utf8(text).unwrap();
            let loss = |line: &str| {
                serde_json::from_str::<serde_json::Value>(line).unwrap()["loss"].clone()
            };
            text.lines().map(loss).collect::<Vec<_>>()
        })
    };
    let all = train("all", 100).unwrap();
    assert_eq!(train("without margin", 68).unwrap(), all);
    assert_ne!(train("without more", 40).unwrap(), all);
    // A margin that leaves nothing is refused.
    let run = scrap.path("nothing");
    let words = ["train", "--config", word(&recipe), "--out", word(&run)];
    let refused = inkling(&[&words[..], &["--set", "data.margin=500"]].concat());
    let said = said(&refused);
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(
        said.contains("data.margin") && said.contains("hint"),
        "{said}"
    );
}

#[test]
fn neighbours_on_one_scan_keep_their_distance_and_a_shared_column_is_refused() {
    let scrap = TestFragment::new();
    let (one, parts) = (scrap.path("1"), scrap.path("parts"));
    figures(&["split", word(&one), "--out", word(&parts)]);
    let recipe = recipe_of(&scrap, "[\"parts/1b\", \"parts/1c\"]");
    let out = scrap.path("audit");
    let words = [
        "folds",
        "--config",
        word(&recipe),
        "--out",
        word(&out),
        "--force",
    ];
    let found = figures(&[&words[..], &["--set", "data.margin=8"]].concat());
    let fold = &found["folds"][0];
    assert_eq!(fold["name"], "1b");
    let other = &fold["fragments"][1];
    assert!(other["margin"].as_u64().unwrap() > 0, "{other}");
    assert_eq!(fold["shared_scrolls"][0], "scan 1");
    let apart = figures(
        &[
            &words[..],
            &["--set", "data.scrolls={A=[\"1b\"],B=[\"1c\"]}"],
        ]
        .concat(),
    );
    assert_eq!(apart["folds"][0]["held_out_scrolls"][0], "A");
    assert_eq!(
        apart["folds"][0]["shared_scrolls"]
            .as_array()
            .unwrap()
            .len(),
        0
    );
    let twice = inkling(
        &[
            &words[..],
            &["--set", "data.scrolls={A=[\"1b\"],B=[\"1b\"]}"],
        ]
        .concat(),
    );
    assert!(
        !twice.status.success() && said(&twice).contains("data.scrolls"),
        "{}",
        said(&twice)
    );
    // One column of pixels more, and the fold is refused.
    let path = parts.join("1b/part.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut part: serde_json::Value = serde_json::from_str(&text).unwrap();
    part["columns"][1] = (part["columns"][1].as_u64().unwrap() + 1).into();
    std::fs::write(&path, part.to_string()).unwrap();
    let refused = inkling(&words);
    let said = said(&refused);
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("on the same pixels of scan"), "{said}");
}

/// A run of the small recipe.
fn trained(scrap: &TestFragment) -> PathBuf {
    scrap.phantom("2", 2);
    let (recipe, run) = (scrap.recipe(""), scrap.path("run"));
    figures(&["train", "--config", word(&recipe), "--out", word(&run)]);
    run
}

#[test]
fn controls_say_of_each_what_it_suggests_or_why_they_cannot() {
    let scrap = TestFragment::new();
    let run = trained(&scrap);
    let fragment = scrap.path("2");
    let controls = |name: &str, block: &str| {
        let out = scrap.path(name);
        let words = [
            "controls",
            word(&fragment),
            "--model",
            word(&run),
            "--out",
            word(&out),
        ];
        let found = figures(&[&words[..], &["--block", block]].concat());
        let page = std::fs::read_to_string(out.join("controls.html")).unwrap();
        assert!(page.contains("bare papyrus"), "{page}");
        found
    };
    let of = |found: &serde_json::Value, name: &str| {
        let all = found["controls"].as_array().unwrap().clone();
        assert_eq!(all.len(), 7);
        all.into_iter()
            .find(|control| control["name"] == name)
            .unwrap()
    };
    let found = controls("all", "32");
    for name in [
        "reading",
        "reversed",
        "shuffled",
        "shifted",
        "bare papyrus",
        "noise",
    ] {
        let control = of(&found, name);
        let share = &control["figures"]["ink_share"];
        assert!(
            share["value"].is_number() && share["interval"].is_array(),
            "{control}"
        );
        assert!(!control["sentence"].as_str().unwrap().is_empty());
    }
    assert!(of(&found, "reading")["passes"].is_boolean());
    assert_eq!(of(&found, "decoys")["passes"], true);
    // Too few blocks.
    let few = controls("few", "512");
    assert!(of(&few, "reading")["passes"].is_null());
    assert!(
        of(&few, "reading")["sentence"]
            .as_str()
            .unwrap()
            .contains("too few blocks")
    );
    // No bare papyrus.
    write_mask(&scrap, "2/inklabels.png", |_, _| true);
    let inked = controls("inked", "32");
    let bare = of(&inked, "bare papyrus");
    assert!(bare["passes"].is_null(), "{bare}");
    assert!(
        bare["sentence"]
            .as_str()
            .unwrap()
            .contains("no papyrus lies further"),
        "{bare}"
    );
    // No labels.
    std::fs::remove_file(fragment.join("inklabels.png")).unwrap();
    let unknown = controls("unknown", "32");
    for name in ["reading", "bare papyrus", "decoys"] {
        let control = of(&unknown, name);
        assert!(control["passes"].is_null(), "{control}");
        assert!(
            control["sentence"].as_str().unwrap().contains("no labels"),
            "{control}"
        );
    }
}

#[test]
fn maps_are_calibrated_by_labels_and_predictions_by_what_was_fitted() {
    let scrap = TestFragment::new();
    let run = trained(&scrap);
    let (first, second) = (
        write_map(&scrap, "first.png", 130),
        write_map(&scrap, "second.png", 150),
    );
    let (labels, mask) = (scrap.path("1/inklabels.png"), scrap.path("1/mask.png"));
    let out = scrap.path("calibration");
    let [labels, mask] = [word(&labels), word(&mask)];
    let words = [
        "calibrate",
        word(&first),
        word(&second),
        "--labels",
        labels,
        labels,
        "--mask",
        mask,
        mask,
    ];
    let found = figures(&[&words[..], &["--out", word(&out)]].concat());
    let number = |key: &str| found[key].as_f64().unwrap();
    assert!(
        number("calibration_error_after") < number("calibration_error_before") / 2.0,
        "{found}"
    );
    assert!(found["sheets"][0]["after"].is_number() && found["sheets"][0]["threshold"].is_array());
    assert!(
        std::fs::read_to_string(out.join("calibration.html"))
            .unwrap()
            .contains("<svg")
    );
    let uninked = scrap.path("nothing.png");
    inkling_fragment::write_gray(&uninked, Array2::zeros(SIZE).view(), true).unwrap();
    let refused = inkling(&[
        "calibrate",
        word(&first),
        "--labels",
        word(&uninked),
        "--mask",
        mask,
        "--out",
        word(&out),
        "--force",
    ]);
    assert!(
        !refused.status.success() && said(&refused).contains("no ink"),
        "{}",
        said(&refused)
    );
    // A file that anybody may have written.
    let file = scrap.path("steep.json");
    std::fs::write(&file, r#"{"slope": 3.0, "offset": 0.5}"#).unwrap();
    let predict = |name: &str, more: &[&str]| {
        let out = scrap.path(name);
        let fragment = scrap.path("2");
        let words = [
            &predict_words(&fragment, &run, &out)[..],
            &["--tta", "none"],
        ]
        .concat();
        let record = figures(&[&words[..], more].concat());
        (
            inkling_fragment::read_gray(out.join("2.png")).unwrap(),
            record,
        )
    };
    let (plain, record) = predict("plain", &[]);
    assert!(record["fragments"][0]["calibration"].is_null());
    let (steep, record) = predict("steep", &["--calibration", word(&file)]);
    assert_eq!(record["fragments"][0]["calibration"]["slope"], 3.0);
    let calibration = inkling_predict::Calibration {
        slope: 3.0,
        offset: 0.5,
    };
    for (&plain, &steep) in plain.iter().zip(&steep) {
        let expected = 255.0 * calibration.apply(f32::from(plain) / 255.0);
        assert!((expected - f32::from(steep)).abs() < 3.0, "{plain} {steep}");
    }
    assert_ne!(plain, steep);
    std::fs::write(&file, r#"{"slope": -3.0, "offset": 0.5}"#).unwrap();
    let fragment = scrap.path("2");
    let words = [
        &predict_words(&fragment, &run, &out)[..],
        &["--calibration", word(&file)],
    ]
    .concat();
    let refused = inkling(&words);
    assert!(
        !refused.status.success() && said(&refused).contains("slope"),
        "{}",
        said(&refused)
    );
}

#[test]
fn a_large_window_is_warned_of() {
    let scrap = TestFragment::new();
    let (run, fragment) = (trained(&scrap), scrap.path("2"));
    let predict = |name: &str, pixel: &str| {
        let out = scrap.path(name);
        let words = [
            &predict_words(&fragment, &run, &out)[..],
            &["--tta", "none"],
        ]
        .concat();
        let output = inkling(&[&words[..], &["--pixel-size", pixel, "--json"]].concat());
        assert!(output.status.success(), "{}", said(&output));
        let record: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        figures(&["report", word(&out)]);
        let page = std::fs::read_to_string(out.join("report.html")).unwrap();
        (
            record["fragments"][0]["window"].clone(),
            said(&output),
            page,
        )
    };
    // Patches of 32 px.
    let (window, words, page) = predict("small", "7.91");
    assert_eq!(window["pixels"], 32);
    assert!(
        !words.contains("0.5 mm") && page.contains("0.25 mm"),
        "{window} {words}"
    );
    let (window, words, page) = predict("large", "20");
    assert_eq!(window["millimetres"], 0.64);
    assert!(
        words.contains("more than 0.5 mm") && page.contains("more than 0.5 mm"),
        "{words}"
    );
    let models = figures(&["models", "resnet18", "--pixel-size", "4"]);
    let side = models["encoders"][0]["image_size"].as_f64().unwrap();
    assert_eq!(
        models["encoders"][0]["window"]["millimetres"].as_f64(),
        Some(side * 4.0 / 1_000.0)
    );
    assert_eq!(
        inkling(&["models", "--pixel-size", "nothing"])
            .status
            .code(),
        Some(2)
    );
}

#[test]
fn the_limit_is_painted_and_a_page_for_reviewers_shows_all_of_it() {
    let scrap = TestFragment::new();
    let (run, fragment, out) = (trained(&scrap), scrap.path("2"), scrap.path("out"));
    let common = [
        word(&fragment),
        "--model",
        word(&run),
        "--out",
        word(&out),
        "--tta",
        "none",
    ];
    let call = |name: &str, more: &[&str]| figures(&[&[name][..], &common, more].concat());
    call("predict", &["--pixel-size", "7.91"]);
    let bare = inkling(&["report", word(&out), "--review"]);
    assert!(bare.status.success(), "{}", said(&bare));
    let page = std::fs::read_to_string(out.join("review.html")).unwrap();
    assert!(
        page.contains("Missing: 2.limit.png") && page.contains("controls.json"),
        "{page}"
    );
    let limit = call("limit", &["--contrasts", "30,3,0.3", "--check", "2"]);
    let check = &limit["check"];
    assert!(check["strokes"].as_u64().unwrap() >= 2, "{check}");
    assert!(check["found"].as_u64().unwrap() <= check["strokes"].as_u64().unwrap());
    assert_eq!(limit["profile"], "labels");
    assert_eq!(limit["ink"].as_array().unwrap().len(), 12);
    let image = inkling_fragment::read_gray(out.join("2.limit.png")).unwrap();
    for cell in limit["cells"].as_array().unwrap() {
        let at = |key: &str| cell[key].as_u64().unwrap() as usize;
        let square = image.slice(ndarray::s![
            at("y")..SIZE.0.min(at("y") + 32),
            at("x")..SIZE.1.min(at("x") + 32)
        ]);
        let expected = match (
            cell["is_inked"].as_bool().unwrap(),
            cell["faintest"].as_f64(),
        ) {
            (true, _) => 255,
            (false, None) => 0,
            (false, Some(faintest)) if faintest > 20.0 => 85,
            (false, Some(faintest)) if faintest > 1.0 => 170,
            (false, Some(_)) => 255,
        };
        assert_eq!(square.iter().copied().max(), Some(expected), "{cell}");
    }
    call("controls", &["--block", "32"]);
    figures(&["report", word(&out), "--review"]);
    let page = std::fs::read_to_string(out.join("review.html")).unwrap();
    for part in [
        "Faintest ink",
        "Provenance",
        "Controls",
        "one centimetre",
        "Infrared",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let rising = inkling(&[&["limit"][..], &common, &["--contrasts", "1,2"]].concat());
    assert!(
        rising.status.code() == Some(2) && said(&rising).contains("--contrasts"),
        "{}",
        said(&rising)
    );
    std::fs::remove_file(fragment.join("inklabels.png")).unwrap();
    let unknown = call("limit", &["--contrasts", "3,1", "--force"]);
    assert!(unknown["check"].is_null());
    assert_eq!(unknown["profile"], "built-in");
}

#[test]
fn maps_say_themselves_in_which_order_they_were_fitted() {
    let scrap = TestFragment::new();
    let (fragment, maps, out) = (scrap.path("1"), scrap.path("maps"), scrap.path("out"));
    for command in ["controls", "limit", "predict"] {
        let words = [
            command,
            word(&fragment),
            "--model",
            "best.safetensors",
            "--maps",
            word(&maps),
            "--flip",
            "--out",
            word(&out),
        ];
        let output = inkling(&words);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("inkling align --flip"), "{said}");
    }
}

/// A map of papyrus that was trained on is no reading; one of papyrus that was not is, once its scale
/// is known.
#[test]
fn a_submission_is_checked_by_what_maps_say_of_themselves() {
    let scrap = TestFragment::new();
    scrap.phantom("2", 2);
    let (recipe, run) = (scrap.recipe(""), scrap.path("run"));
    figures(&train_words(&recipe, "1", &run));
    let check = |fragment: &str, out: &str, more: &[&str]| {
        let (fragment, out) = (scrap.path(fragment), scrap.path(out));
        figures(&[&predict_words(&fragment, &run, &out)[..], more].concat());
        figures(&["submit", "--check", word(&out)])["checks"][0].clone()
    };
    let passes = |found: &serde_json::Value, name: &str| {
        let checks = found["checks"].as_array().unwrap();
        let check = checks.iter().find(|check| check["name"] == name);
        check.unwrap()["passes"].clone()
    };
    let held_out = check("1", "held-out", &["--pixel-size", "7.91"]);
    assert_eq!(held_out["passes"], true, "{held_out}");
    let seen = check("2", "seen", &["--pixel-size", "7.91"]);
    assert_eq!(seen["passes"], false);
    assert_eq!(passes(&seen, "training"), false);
    let unscaled = check("1", "unscaled", &[]);
    assert_eq!(passes(&unscaled, "training"), true);
    assert_eq!(passes(&unscaled, "scale"), false);
    // Under another name it is the same papyrus.
    let renamed = scrap.path("elsewhere");
    std::fs::rename(scrap.path("2"), &renamed).unwrap();
    let found = check("elsewhere", "again", &["--pixel-size", "7.91"]);
    assert_eq!(passes(&found, "training"), false);
    // So it is for weights of earlier versions, which said so under another key.
    rename_key(
        &run.join("best.safetensors"),
        "inkling.trained_on",
        "inkling.learnt_from",
    );
    let found = check("elsewhere", "earlier", &["--pixel-size", "7.91"]);
    assert_eq!(passes(&found, "training"), false);
}

/// Gives a key of a safetensors file's metadata another name.
fn rename_key(file: &Path, from: &str, to: &str) {
    let bytes = std::fs::read(file).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header = String::from_utf8(bytes[8..][..length].to_vec()).unwrap();
    assert!(header.contains(from));
    let renamed = header.trim_end().replace(from, to);
    let mut changed = (renamed.len() as u64).to_le_bytes().to_vec();
    changed.extend(renamed.bytes());
    changed.extend(&bytes[8 + length..]);
    std::fs::write(file, changed).unwrap();
}
