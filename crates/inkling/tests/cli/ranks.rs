//! Two processes on this machine train together under Open MPI's `mpirun`.
//!
//!     cargo test --release -p inkling --features mpi --test cli ranks

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use inkling_model::Tensors;

use crate::test_fragment::{TestFragment, inkling, word};

/// AdamW makes steps of one size from gradients of any size, also from those that are nothing but
/// rounding; a larger epsilon keeps these small, so that ranks can be compared.
const SETTINGS: &str = "[train.optimizer]\nlearning_rate = 1e-3\nepsilon = 1e-3\n";

/// A batch of two is one of each rank, also in the norms' statistics; the last of an epoch's eleven
/// samples is the first rank's alone.
#[test]
fn two_ranks_of_batch_one_equal_one_of_batch_two() {
    let scrap = TestFragment::new();
    scrap.phantom("2", 2);
    let recipe = scrap.recipe(SETTINGS);
    let (alone, together) = (scrap.path("alone"), scrap.path("together"));
    let output = inkling(&train(&recipe, &alone, &[]));
    assert!(output.status.success(), "{}", words(&output));
    let output = mpirun(&train(&recipe, &together, &[])).output().unwrap();
    assert!(output.status.success(), "{}", words(&output));
    let off = largest_difference(&alone, &together);
    eprintln!("weights and statistics agree to {off:.1e} of their size");
    assert!(off < 2e-5, "{off}");
}

/// A rank is killed; the other ends with a word on what to do, and one rank goes on from there.
#[test]
fn a_lost_rank_ends_the_run_and_another_number_goes_on() {
    let scrap = TestFragment::new();
    scrap.phantom("2", 2);
    let recipe = scrap.recipe(SETTINGS);
    // A small rate: rounding grows from step to step, the faster the larger the steps are.
    let rate = "train.optimizer.learning_rate=1e-4";
    let long = ["--set", "train.epochs=40", "--set", rate];
    let (whole, lost) = (scrap.path("whole"), scrap.path("lost"));
    let output = inkling(&train(&recipe, &whole, &long));
    assert!(output.status.success(), "{}", words(&output));

    let job = mpirun(&train(&recipe, &lost, &long))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let epochs = || std::fs::read_to_string(lost.join("metrics.jsonl")).unwrap_or_default();
    let began = Instant::now();
    while epochs().lines().count() < 3 {
        assert!(began.elapsed() < Duration::from_secs(60), "no third epoch");
        std::thread::sleep(Duration::from_millis(5));
    }
    let second = child_of_rank(job.id(), "1");
    let killed = Command::new("kill").args(["-KILL", &second]).status();
    assert!(killed.unwrap().success());
    let output = job.wait_with_output().unwrap();
    assert!(!output.status.success());
    let said = words(&output);
    assert!(said.contains("another rank is lost"), "{said}");
    assert!(said.contains("--resume"), "{said}");

    let finished = epochs().lines().count();
    assert!((3..40).contains(&finished), "{finished}");
    let more = [&long[..], &["--resume"]].concat();
    let output = inkling(&train(&recipe, &lost, &more));
    assert!(output.status.success(), "{}", words(&output));
    let off = largest_difference(&whole, &lost);
    eprintln!("lost after {finished} epochs of 40; weights agree to {off:.1e}");
    assert!(off < 5e-2, "{off}");
}

/// What one rank alone meets ends all of them.
#[test]
fn a_failing_rank_ends_all() {
    let scrap = TestFragment::new();
    scrap.phantom("2", 2);
    let recipe = scrap.recipe(SETTINGS);
    let run = scrap.path("run");
    let fails = |odd: &[&str]| {
        let first = train(&recipe, &run, &["--force"]);
        let second = train(&recipe, &run, odd);
        let program = env!("CARGO_BIN_EXE_inkling");
        let output = mpirun_with(&[])
            .args(["-n", "1", program])
            .args(&first)
            .args([":", "-n", "1", program])
            .args(&second)
            .output()
            .unwrap();
        assert!(!output.status.success());
        words(&output)
    };
    let said = fails(&["--device", "rocm"]);
    assert!(said.contains("--features rocm"), "{said}");
    assert!(said.contains("rank 1 failed"), "{said}");
    let said = fails(&["--set", "train.seed=5"]);
    assert!(said.contains("one training"), "{said}");
    let said = fails(&["--set", "train.batch=many"]);
    assert!(said.contains("train.batch"), "{said}");
}

#[test]
fn every_rank_needs_a_sample() {
    let scrap = TestFragment::new();
    scrap.phantom("2", 2);
    let recipe = scrap.recipe(SETTINGS);
    let run = scrap.path("run");
    let output = mpirun(&train(&recipe, &run, &["--set", "train.batch=1"]))
        .output()
        .unwrap();
    let said = words(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("train.batch: found 1"), "{said}");
}

fn train<'a>(recipe: &'a Path, run: &'a Path, more: &[&'a str]) -> Vec<&'a str> {
    let words = [
        "train",
        "--config",
        word(recipe),
        "--out",
        word(run),
        "--set",
        "train.samples_per_epoch=11",
    ];
    [&words[..], more].concat()
}

fn mpirun(words: &[&str]) -> Command {
    let mut command = mpirun_with(&["-n", "2", env!("CARGO_BIN_EXE_inkling")]);
    command.args(words);
    command
}

fn mpirun_with(words: &[&str]) -> Command {
    let mut command = Command::new("mpirun");
    command
        .args(["--allow-run-as-root", "--oversubscribe"])
        .args(words);
    command
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The process of `rank` that the launcher `parent` started.
fn child_of_rank(parent: u32, rank: &str) -> String {
    let children = Command::new("ps")
        .args(["-o", "pid=", "--ppid", &parent.to_string()])
        .output()
        .unwrap();
    let children = String::from_utf8(children.stdout).unwrap();
    let wanted = format!("OMPI_COMM_WORLD_RANK={rank}");
    let is_wanted = |pid: &&str| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment
            .split(|&byte| byte == 0)
            .any(|entry| entry == wanted.as_bytes())
    };
    let found = children.split_whitespace().find(is_wanted);
    found.expect("a process of this rank").to_owned()
}

/// Of all weights and statistics of both runs, by each tensor's largest value, of which a hundredth
/// counts as nothing: what stands before a norm has no gradient but rounding.
fn largest_difference(one: &Path, other: &Path) -> f64 {
    let read = |run: &Path| Tensors::read(&run.join("last.safetensors")).unwrap();
    let (one, other) = (read(one), read(other));
    let names: Vec<_> = one.names().collect();
    assert_eq!(names, other.names().collect::<Vec<_>>());
    let differences = names.iter().map(|name| {
        let (one, other) = (one.values(name), other.values(name));
        let size = one.iter().fold(0.0f32, |most, value| most.max(value.abs()));
        let pairs = one.iter().zip(&other);
        let off = pairs.fold(0.0f32, |most, (a, b)| most.max((a - b).abs()));
        f64::from(off / size.max(1e-2))
    });
    differences.fold(0.0, f64::max)
}
