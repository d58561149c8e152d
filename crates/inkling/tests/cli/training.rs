//! Training through the binary: what goes wrong, what is kept.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::test_fragment::{TestFragment, figures, inkling, train_words, word};

/// The first step throws the weights out of all numbers; the next ones are skipped and counted.
#[test]
fn losses_that_are_no_numbers_end_training_with_a_clear_word() {
    let scrap = TestFragment::new();
    scrap.phantom("2", 2);
    let recipe = scrap.recipe("");
    let run = scrap.path("run");
    let output = inkling(&[
        "train",
        "--config",
        word(&recipe),
        "--out",
        word(&run),
        "--set",
        "train.optimizer.learning_rate=1e38",
        "--set",
        "train.samples_per_epoch=40",
    ]);
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{words}");
    assert!(words.contains("NaN or infinite"), "{words}");
    assert!(words.contains("hint: lower"), "{words}");
}

#[test]
fn several_fragments_are_held_out_together() {
    let scrap = TestFragment::new();
    scrap.phantom("2", 2);
    scrap.phantom("3", 3);
    let recipe = scrap.recipe("[train.loss]\nfocal = 0.5\ndice = 0.5\nlabel_smoothing = 0.1\n");
    let text = std::fs::read_to_string(&recipe).unwrap();
    let text = text.replace(
        "fragments = [\"1\", \"2\"]",
        "fragments = [\"1\", \"2\", \"3\"]\nfolds = [[\"1\"], [\"2\", \"3\"]]",
    );
    std::fs::write(&recipe, text).unwrap();
    let run = scrap.path("run");
    let train = |fold: &str| {
        figures(&[
            "train",
            "--force",
            "--config",
            word(&recipe),
            "--out",
            word(&run),
            "--fold",
            fold,
        ])
    };
    assert_eq!(train("2+3")["held_out"], "2+3");
    assert_eq!(train("0")["held_out"], "1");
}

/// Five folds: one as a job of its own, then killed in the middle, then the rest, then again.
#[test]
fn cross_validation_goes_on_and_sums_up() {
    let scrap = TestFragment::new();
    for seed in 2..=5 {
        scrap.phantom(&seed.to_string(), seed);
    }
    let (recipe, out) = (scrap.recipe(""), scrap.path("cv"));
    let all = "data.fragments=['@/1', '@/2', '@/3', '@/4', '@/5']";
    let all = all.replace('@', word(scrap.folder.path()));
    let words = [
        "cv",
        "--config",
        word(&recipe),
        "--set",
        &all,
        "--out",
        word(&out),
        "--resume",
    ];
    let job = figures(&[&words[..], &["--fold", "3"]].concat());
    assert_eq!(
        (&job["missing"], job["folds"].as_array().unwrap().len()),
        (&4.into(), 1)
    );
    let mut child = Command::new(env!("CARGO_BIN_EXE_inkling"))
        .args(words)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(700));
    child.kill().unwrap();
    child.wait().unwrap();

    let found = figures(&words);
    let folds = found["folds"].as_array().unwrap();
    let names: Vec<&str> = folds
        .iter()
        .map(|fold| fold["held_out"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["1", "2", "3", "4", "5"]);
    let scores: Vec<f64> = folds
        .iter()
        .map(|fold| fold["validation"]["f05"].as_f64().unwrap())
        .collect();
    let mean = scores.iter().sum::<f64>() / 5.0;
    assert!((found["mean_f05"].as_f64().unwrap() - mean).abs() < 1e-12);
    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    for name in names {
        assert!(out.join(name).join(format!("{name}.png")).is_file());
        assert!(page.contains(&format!("Held out in fold {name}")));
        assert!(page.contains(&format!("{mean:.3}")));
    }
    // Nothing is trained again.
    let before = std::fs::metadata(out.join("1/resume.safetensors"))
        .unwrap()
        .modified()
        .unwrap();
    assert_eq!(figures(&words), found);
    let after = std::fs::metadata(out.join("1/resume.safetensors"))
        .unwrap()
        .modified()
        .unwrap();
    assert_eq!(before, after);
}

/// SGD with shares of the samples: a run that stopped after its first epoch ends as one that did not.
#[test]
fn sgd_and_quotas_resume_bit_for_bit() {
    let scrap = TestFragment::new();
    scrap.phantom("2", 2);
    scrap.phantom("3", 3);
    let recipe = scrap.recipe(
        "[train.quotas]\n2 = 0.75\n3 = 0.25\n\
         [train.optimizer]\nkind = \"sgd\"\nlearning_rate = 0.01\nmomentum = 0.9\nnesterov = true\n\
         [[train.schedule.pieces]]\nshape = \"constant\"\nfrom = 1.0\nuntil = 1.0\n",
    );
    let text = std::fs::read_to_string(&recipe).unwrap();
    let text = text.replace("[\"1\", \"2\"]", "[\"1\", \"2\", \"3\"]");
    std::fs::write(&recipe, text).unwrap();
    let train = |out: &str, more: &[&str]| {
        let out = scrap.path(out);
        let words = train_words(&recipe, "1", &out);
        figures(&[&words[..], more].concat());
        std::fs::read(out.join("last.safetensors")).unwrap()
    };
    let whole = train("whole", &[]);
    let first = train("parts", &["--set", "train.epochs=1"]);
    assert_ne!(first, whole);
    assert_eq!(train("parts", &["--resume"]), whole);
    let words = ["train", "--config", word(&recipe), "--fold", "1"];
    let out = scrap.path("other");
    let more = [
        "--out",
        word(&out),
        "--set",
        "train.quotas={ 2 = 1.0, 9 = 1.0 }",
    ];
    let output = inkling(&[&words[..], &more].concat());
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("train.quotas: found 9"), "{said}");
}
