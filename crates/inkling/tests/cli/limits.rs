//! Limits at run time: numbers beyond reason, threads, memory, pipes that nobody reads.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::test_fragment::{TestFragment, figures, inkling, predict_words, word};

/// A wrong flag or setting ends with code 2 and a message that names it, before anything is written.
fn refused_by_name(words: &[&str], name: &str, out: &Path) {
    let began = Instant::now();
    let output = inkling(words);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{words:?}: {said}");
    assert!(said.contains(name), "{words:?}: {said}");
    assert!(!out.exists(), "{words:?} wrote something");
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "{words:?} took long"
    );
}

#[test]
fn flags_beyond_reason_are_refused_by_name() {
    let scrap = TestFragment::new();
    let (fragment, out) = (scrap.path("1"), scrap.path("out"));
    let (fragment, made) = (word(&fragment), word(&out));
    let most = u64::MAX.to_string();
    let lines: [(&[&str], &str); 16] = [
        (&["synth", made, "--threads", "0"], "--threads"),
        (&["synth", made, "--threads", "1000000000"], "--threads"),
        (&["synth", made, "--fragments", "1000000000"], "--fragments"),
        (&["synth", made, "--fragments", "0"], "--fragments"),
        (
            &["synth", made, "--size", "1000000000x1000000000"],
            "--size",
        ),
        (
            &["synth", made, "--size", "9999999999999999999999x5"],
            "--size",
        ),
        (&["synth", made, "--depth", "1000000000"], "--depth"),
        (&["synth", made, "--scale", "nan"], "--scale"),
        (&["synth", made, "--scale", "1e30"], "--scale"),
        (
            &["synth", made, "--seed", &most, "--fragments", "2"],
            "--seed",
        ),
        (
            &[
                "downscale",
                fragment,
                "--out",
                made,
                "--factor",
                "1000000000",
            ],
            "--factor",
        ),
        (
            &["downscale", fragment, "--out", made, "--factor", "0"],
            "--factor",
        ),
        (
            &[
                "predict",
                fragment,
                "--model",
                "m",
                "--out",
                made,
                "--tta-rotate",
                "1000000000",
            ],
            "rotations",
        ),
        (
            &[
                "predict",
                fragment,
                "--model",
                "m",
                "--out",
                made,
                "--part",
                "1/1000000000",
            ],
            "--part",
        ),
        (
            &[
                "predict", fragment, "--model", "m", "--out", made, "--step", "1e-12",
            ],
            "step",
        ),
        (
            &[
                "predict", fragment, "--model", "m", "--out", made, "--step", "nan",
            ],
            "step",
        ),
    ];
    for (words, name) in lines {
        refused_by_name(words, name, &out);
    }
}

#[test]
fn layers_beyond_reason_are_refused_by_warp() {
    let scrap = TestFragment::new();
    let (fragment, maps, out) = (scrap.path("1"), scrap.path("maps"), scrap.path("out"));
    figures(&["align", word(&fragment), "--out", word(&maps)]);
    let maps = maps.join("1");
    for z in [
        "5..1000000000000000000",
        "9..9",
        "20..5",
        "0..18446744073709551615",
    ] {
        let words = [
            "warp",
            word(&fragment),
            "--maps",
            word(&maps),
            "--z",
            z,
            "--out",
            word(&out),
        ];
        refused_by_name(&words, "--z", &out);
    }
}

#[test]
fn settings_beyond_reason_are_refused_by_name() {
    let scrap = TestFragment::new();
    scrap.phantom("2", 2);
    let (recipe, out) = (scrap.recipe(""), scrap.path("run"));
    let settings = [
        "data.layers=[17, 5]",
        "data.layers=[5, 5]",
        "data.layers=[5, 1000000000]",
        "align.patch=1000000000",
        "align.max_shift=inf",
        "model.image_size=1000000000",
        "model.depth=3000000000",
        "model.window=1000000000",
        "model.decoder=[1000000000, 8, 8]",
        "augment.scale=[0.5, 1e9]",
        "augment.z_scale_limit=-1.0",
        "augment.z_scale_limit=nan",
        "augment.noise_variance=[nan, nan]",
        "augment.gaussian_blur=[3, 1000000001]",
        "augment.grid_steps=1000000000",
        "train.batch=1000000000",
        "train.accumulate=1000000000",
        "train.epochs=1000000000",
        "train.samples_per_epoch=1000000000",
        "train.loaders=1000000000",
        "train.keep=1000000000",
        "train.validate_every=1000000000",
        "train.optimizer.learning_rate=nan",
        "train.seed=99999999999999999999",
        "predict.batch=1000000000",
        "predict.rotations=1000000000",
        "predict.step=0.0",
    ];
    for setting in settings {
        let (key, _) = setting.split_once('=').unwrap();
        let words = [
            "train",
            "--config",
            word(&recipe),
            "--out",
            word(&out),
            "--set",
            setting,
        ];
        refused_by_name(&words, key, &out);
    }
}

/// Whoever reads has heard enough: no panic, and the work is done all the same.
#[test]
fn a_closed_pipe_ends_quietly() {
    let scrap = TestFragment::new();
    let out = scrap.path("phantom");
    let commands: [&[&str]; 3] = [
        &["models"],
        &["models", "--json", "--quiet"],
        &["synth", word(&out), "--size", "40x40", "--depth", "9"],
    ];
    for words in commands {
        let mut child = Command::new(env!("CARGO_BIN_EXE_inkling"))
            .args(words)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{words:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{words:?}");
    }
    assert!(out.join("1/surface_volume/08.tif").is_file());
    // An error that nobody hears still has its exit code.
    let mut child = Command::new(env!("CARGO_BIN_EXE_inkling"))
        .args(["curves", "nowhere", "--out", "nowhere else"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

/// A full disk under stdout is not a reader that went away.
#[test]
#[cfg(target_os = "linux")]
fn output_that_cannot_be_written_is_an_error() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
    let output = Command::new(env!("CARGO_BIN_EXE_inkling"))
        .args(["models", "--json"])
        .stdout(full.unwrap())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("stdout") && said.contains("hint:"), "{said}");
}

/// Weights, and images made with them, are the same whatever memory and threads there are.
fn same_files(one: &Path, other: &Path, name: &str) {
    let read = |folder: &Path| std::fs::read(folder.join(name)).unwrap();
    assert!(read(one) == read(other), "{name} differs");
}

#[test]
fn a_training_keeps_within_its_memory_by_reading_voxels_as_they_are_needed() {
    let scrap = TestFragment::new();
    let sheets = scrap.path("sheets");
    let words = [
        "synth",
        word(&sheets),
        "--fragments",
        "2",
        "--size",
        "600x700",
    ];
    figures(&[&words[..], &["--depth", "30"]].concat());
    for name in ["1", "2"] {
        let _ = std::fs::remove_dir_all(scrap.path(name));
        std::fs::rename(sheets.join(name), scrap.path(name)).unwrap();
    }
    let recipe = scrap.recipe("");
    let train = |run: &str, memory: &str| {
        let run = scrap.path(run);
        let words = [
            "train",
            "--config",
            word(&recipe),
            "--set",
            "train.epochs=1",
            "--threads",
            "1",
        ];
        let words = [&words[..], &["--memory", memory, "--out", word(&run)]].concat();
        let output = inkling(&[&words[..], &["--json"]].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output, said, run)
    };
    let peak = |stdout: &[u8]| {
        let figures: serde_json::Value = serde_json::from_slice(stdout).unwrap();
        figures["memory_bytes"].as_u64().unwrap()
    };
    let (kept, said, wide) = train("wide", "1G");
    assert!(
        kept.status.success() && !said.contains("do not fit"),
        "{said}"
    );
    let (read, said, narrow) = train("narrow", "84M");
    assert!(
        read.status.success() && said.contains("1: 9 MiB of voxels do not fit"),
        "{said}"
    );
    let (kept, read) = (peak(&kept.stdout), peak(&read.stdout));
    // Two volumes of 12 layers.
    assert!(read + (15 << 20) < kept, "{read} and {kept} bytes");
    assert!(read < 84 << 20, "{read} bytes");
    same_files(&wide, &narrow, "last.safetensors");

    let (refused, said, run) = train("refused", "66M");
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("--memory: found 66 MiB"), "{said}");
    assert!(!run.join("last.safetensors").exists());
}

/// What a running process shows of itself.
#[cfg(target_os = "linux")]
mod running {
    use super::*;
    use std::collections::BTreeMap;

    /// Ticks of CPU time of each of its threads, and its largest resident size in bytes.
    #[derive(Default)]
    pub struct Seen {
        pub ticks: BTreeMap<String, u64>,
        pub resident: u64,
    }

    /// Runs `inkling` with `words` to its end and watches it.
    pub fn watch(words: &[&str]) -> Seen {
        let mut child = Command::new(env!("CARGO_BIN_EXE_inkling"))
            .args(words)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let process = format!("/proc/{}", child.id());
        let mut seen = Seen::default();
        while child.try_wait().unwrap().is_none() {
            look(Path::new(&process), &mut seen);
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(child.wait().unwrap().success(), "{words:?}");
        seen
    }

    fn look(process: &Path, seen: &mut Seen) {
        let status = std::fs::read_to_string(process.join("status")).unwrap_or_default();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = resident.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok());
        seen.resident = seen.resident.max(1024 * kilobytes.unwrap_or(0));
        let Ok(tasks) = std::fs::read_dir(process.join("task")) else {
            return;
        };
        for task in tasks.flatten() {
            let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
            // The name, in brackets, may hold blanks; times are the 12th and 13th word after it.
            let Some((_, rest)) = stat.rsplit_once(')') else {
                continue;
            };
            let times = rest.split_whitespace().skip(11).take(2);
            let ticks: u64 = times.filter_map(|word| word.parse::<u64>().ok()).sum();
            let name = task.file_name().to_string_lossy().into_owned();
            let most = seen.ticks.entry(name).or_default();
            *most = ticks.max(*most);
        }
    }
}

/// Threads that took more than a twentieth of the process's time.
#[cfg(target_os = "linux")]
fn busy(seen: &running::Seen) -> usize {
    let all: u64 = seen.ticks.values().sum();
    assert!(all >= 20, "too short a run to tell: {all} ticks");
    seen.ticks
        .values()
        .filter(|&&ticks| 20 * ticks > all)
        .count()
}

#[test]
#[cfg(target_os = "linux")]
fn as_many_threads_work_as_are_asked_for() {
    let scrap = TestFragment::new();
    scrap.phantom("2", 2);
    let recipe = scrap.recipe("");
    let mut made = Vec::new();
    for (threads, most) in [("1", 1), ("2", 3)] {
        let (run, out) = (scrap.path(&format!("run{threads}")), scrap.path(threads));
        let out = out.with_extension("out");
        let words = [
            "train",
            "--config",
            word(&recipe),
            "--set",
            "train.samples_per_epoch=120",
        ];
        let words = [&words[..], &["--threads", threads, "--out", word(&run)]].concat();
        let seen = running::watch(&words);
        assert!((1..=most).contains(&busy(&seen)), "train: {:?}", seen.ticks);
        let fragment = scrap.path("2");
        let words = [
            "predict",
            word(&fragment),
            "--model",
            word(&run),
            "--step",
            "0.25",
        ];
        let words = [&words[..], &["--threads", threads, "--out", word(&out)]].concat();
        let seen = running::watch(&words);
        assert!(
            (1..=most).contains(&busy(&seen)),
            "predict: {:?}",
            seen.ticks
        );
        made.push((run, out));
    }
    same_files(&made[0].0, &made[1].0, "last.safetensors");
    same_files(&made[0].1, &made[1].1, "2.png");
}

#[test]
#[cfg(target_os = "linux")]
fn a_forecast_tells_the_memory_that_a_prediction_takes() {
    let scrap = TestFragment::new();
    scrap.phantom("2", 2);
    let (recipe, run, out) = (scrap.recipe(""), scrap.path("run"), scrap.path("out"));
    // Wide enough for its tiles to show.
    let words = [
        "train",
        "--config",
        word(&recipe),
        "--set",
        "model.image_size=96",
    ];
    let wide = [
        "--set",
        "model.decoder=[64, 64, 64]",
        "--set",
        "train.epochs=1",
    ];
    figures(&[&words[..], &wide, &["--out", word(&run)]].concat());
    let fragment = scrap.path("2");
    let words = predict_words(&fragment, &run, &out);
    let told = figures(&[&words[..], &["--plan-only"]].concat());
    let told = told["fragments"][0]["memory_bytes"].as_u64().unwrap();
    let taken = running::watch(&words).resident;
    assert!(
        told < 3 * taken && taken < 3 * told,
        "{told} told, {taken} taken"
    );

    let least = ["--memory", "16M", "--batch", "65536"];
    let output = inkling(&[&words[..], &least, &["--threads", "1024", "--force"]].concat());
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("--memory: found 16 MiB"), "{said}");
}
