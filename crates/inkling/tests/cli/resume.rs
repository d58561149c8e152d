//! A run that is killed goes on as if nothing had happened; one whose data changed does not.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use inkling_model::Tensors;
use rand::{RngExt as _, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::test_fragment::{TestFragment, kills, word};

/// How often the program is killed in a plain test run.
const KILLS: u32 = 20;

/// Settings under which everything that a checkpoint holds matters.
const MUCH_TO_KEEP: &str = "validate_every = 2\nkeep = 2\nema = 0.9\n\
                            best = [\"f05\", \"average_precision\"]\n\
                            freeze = [{ pattern = \"encoder.st*\", until = 5 }]\n\
                            checkpoint_gradients = \"blocks\"\n";

#[test]
fn a_run_killed_twenty_times_ends_as_one_that_was_not() {
    let scrap = TestFragment::new();
    scrap.phantom("2", 2);
    let recipe = scrap.recipe(MUCH_TO_KEEP);
    let whole = scrap.path("whole");
    let began = Instant::now();
    finish(&recipe, &whole);
    let span = began.elapsed();

    let mut random = ChaCha8Rng::seed_from_u64(7);
    let all = kills(KILLS);
    let (mut kills, mut runs) = (0, 0);
    while kills < all {
        let run = scrap.path(&format!("killed-{runs}"));
        runs += 1;
        while kills < all {
            let wait = span.mul_f64(random.random_range(0.05..1.0));
            if !killed_after(&recipe, &run, wait) {
                break;
            }
            kills += 1;
        }
        finish(&recipe, &run);
        assert_same_run(&whole, &run);
    }
    eprintln!("{all} kills in {runs} runs of {span:?}");
}

#[test]
fn changed_data_is_refused_unless_allowed() {
    let scrap = TestFragment::new();
    scrap.phantom("2", 2);
    let recipe = scrap.recipe("");
    let run = scrap.path("run");
    finish(&recipe, &run);
    std::fs::remove_dir_all(scrap.path("1")).unwrap();
    scrap.phantom("1", 5);
    let output = train(&recipe, &run, &[]).output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{words}");
    assert!(
        words.contains("other data") && words.contains("training 1"),
        "{words}"
    );
    let allowed = train(&recipe, &run, &["--allow-changed-data"])
        .output()
        .unwrap();
    assert!(allowed.status.success());
    let output = train(&recipe, &run, &["--set", "train.seed=1"])
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(words.contains("seed = 1"), "{words}");
}

/// A checkpoint whose moments are not those of the network is refused, not believed.
#[test]
fn foreign_moments_are_refused() {
    let scrap = TestFragment::new();
    scrap.phantom("2", 2);
    let recipe = scrap.recipe("");
    let run = scrap.path("run");
    let short = ["--set", "train.epochs=1"];
    assert!(
        train(&recipe, &run, &short)
            .output()
            .unwrap()
            .status
            .success()
    );
    let path = run.join("resume.safetensors");
    let whole = Tensors::read(&path).unwrap();
    let moment = whole
        .names()
        .find(|name| name.starts_with("moment_1."))
        .unwrap();
    let (moment, twin) = (moment.to_owned(), moment.replace("moment_1.", "moment_2."));
    let length = whole.values(&moment).len();
    type Damage<'a> = (&'a str, &'a dyn Fn(Tensors) -> Tensors);
    let longer = |mut tensors: Tensors| {
        tensors.insert(moment.clone(), vec![length + 1], vec![0.0; length + 1]);
        tensors
    };
    let alone = |tensors: Tensors| tensors.renamed(|name| (name != twin).then(|| name.to_owned()));
    let stray = |mut tensors: Tensors| {
        tensors.insert("moment_1.nothing".to_owned(), vec![2], vec![0.0; 2]);
        tensors
    };
    let damages: [Damage; 3] = [("longer", &longer), ("alone", &alone), ("stray", &stray)];
    for (what, damage) in damages {
        damage(Tensors::read(&path).unwrap())
            .write(&path, true)
            .unwrap();
        let output = train(&recipe, &run, &[]).output().unwrap();
        let words = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{what}: {words}");
        assert!(
            words.contains("moments of the network's tensors"),
            "{what}: {words}"
        );
        whole.write(&path, true).unwrap();
    }
    finish(&recipe, &run);
}

fn train(recipe: &Path, run: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_inkling"));
    command
        .args(["train", "--config", word(recipe), "--out", word(run)])
        .args(["--resume", "--fold", "2", "--set", "train.epochs=12"])
        .args(["--set", "model.drop_path=0.2"])
        .args(["--set", "train.optimizer.layer_decay=0.8"])
        .args(more);
    command
}

fn finish(recipe: &Path, run: &Path) {
    let output = train(recipe, run, &[]).output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}");
}

/// Kills the program (SIGKILL on Unix) after `wait`; false when it had come to its end.
fn killed_after(recipe: &Path, run: &Path, wait: Duration) -> bool {
    let mut child = train(recipe, run, &[])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(wait);
    let ended = child.try_wait().unwrap().is_some();
    child.kill().unwrap();
    let status = child.wait().unwrap();
    assert!(!ended || status.success());
    !ended
}

/// Weights, moments, averages, progress and figures, all bit for bit; only seconds may differ.
fn assert_same_run(whole: &Path, run: &Path) {
    let files = |folder: &Path| {
        let names = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<PathBuf> = names
            .map(|entry| PathBuf::from(entry.unwrap().file_name()))
            .filter(|name| name.extension().is_some_and(|end| end == "safetensors"))
            .collect();
        names.sort();
        names
    };
    assert_eq!(files(whole), files(run));
    assert!(files(whole).len() >= 4, "{:?}", files(whole));
    for name in files(whole) {
        let read = |folder: &Path| Tensors::read(&folder.join(&name)).unwrap();
        let (expected, found) = (read(whole), read(run));
        assert_eq!(expected.metadata(), found.metadata(), "{name:?}");
        assert_eq!(
            expected.names().collect::<Vec<_>>(),
            found.names().collect::<Vec<_>>()
        );
        for tensor in expected.names() {
            let bits = |tensors: &Tensors| -> Vec<u32> {
                let values = tensors.values(tensor);
                values.iter().map(|value| value.to_bits()).collect()
            };
            assert_eq!(bits(&expected), bits(&found), "{name:?}: {tensor}");
        }
    }
    assert_eq!(figures(whole), figures(run));
}

/// The lines of metrics.jsonl without what a clock says.
fn figures(run: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let lines = text.lines().map(|line| {
        let mut figures: serde_json::Value = serde_json::from_str(line).unwrap();
        let map = figures.as_object_mut().unwrap();
        map.retain(|key, _| !key.ends_with("seconds"));
        figures
    });
    lines.collect()
}
