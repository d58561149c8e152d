//! `warp`, `predict` and `merge` killed at random moments: what was there stays, no half-written
//! file bears a final name, and the next call ends with the bits of an undisturbed one.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rand::{RngExt as _, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::parts::Setting;
#[cfg(unix)]
use crate::test_fragment;
use crate::test_fragment::{TestFragment, figures, kills, word};

/// How often each command is killed in a plain test run.
const KILLS: u32 = 4;

/// Every file below `folder` with its bytes, but for what a clock says, and temporary files.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(current) = folders.pop() {
        for entry in std::fs::read_dir(&current).into_iter().flatten() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            match path.is_dir() {
                _ if name.starts_with(".inkling") || name.ends_with(".json") => {}
                true => folders.push(path),
                false => {
                    let bytes = std::fs::read(&path).unwrap();
                    found.push((path.strip_prefix(folder).unwrap().to_owned(), bytes));
                }
            }
        }
    }
    found.sort();
    found
}

/// Hidden temporary files and folders in `folder`.
fn temporary(folder: &Path) -> usize {
    let names = std::fs::read_dir(folder).into_iter().flatten();
    let names = names.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    names
        .filter(|name| name.starts_with(".inkling-") && name.ends_with(".tmp"))
        .count()
}

/// Kills a call of `words` after `wait`; false when it had ended.
fn killed_after(words: &[&str], wait: Duration) -> bool {
    let mut child = Command::new(env!("CARGO_BIN_EXE_inkling"))
        .args(words)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(wait);
    let ended = child.try_wait().unwrap().is_some();
    child.kill().unwrap();
    child.wait().unwrap();
    !ended
}

#[test]
fn a_killed_warp_leaves_the_old_fragment_or_the_new_one() {
    let scrap = TestFragment::new();
    let [one, maps, whole, out] = ["1", "maps", "whole/1", "out/1"].map(|name| scrap.path(name));
    figures(&["align", word(&one), "--out", word(&maps)]);
    let warp = |z: &'static str, out: &Path| {
        let words = [
            "warp",
            word(&one),
            "--maps",
            word(&maps),
            "--z",
            z,
            "--force",
            "--out",
        ];
        let words = words.iter().map(|word| (*word).to_owned());
        words.chain([word(out).to_owned()]).collect::<Vec<_>>()
    };
    let run = |words: &[String]| {
        figures(&words.iter().map(String::as_str).collect::<Vec<_>>());
    };
    let began = Instant::now();
    run(&warp("5..25", &whole));
    let span = began.elapsed();
    let new = contents(&whole);
    run(&warp("2..9", &out));
    let old = contents(&out);
    let mut random = ChaCha8Rng::seed_from_u64(11);
    let mut killed = 0;
    for _ in 0..kills(KILLS) {
        let words = warp("5..25", &out);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        killed += u32::from(killed_after(
            &words,
            span.mul_f64(random.random_range(0.0..1.2)),
        ));
        let found = contents(&out);
        assert!(found == old || found == new, "a fragment that is neither");
        run(&warp("2..9", &out));
        assert!(contents(&out) == old);
        assert_eq!(
            temporary(out.parent().unwrap()),
            0,
            "what a killed call left goes"
        );
    }
    eprintln!("warp killed {killed} times in {span:?}");
}

/// The disk fills while the layers of a copy, or the weights of an epoch, are written: the old copy
/// and the last epoch stay, and the call can be repeated.
#[cfg(unix)]
#[test]
fn a_full_disk_takes_nothing_away() {
    let setting = Setting::new();
    let scrap = &setting.scrap;
    let [one, maps, out] = ["1", "maps", "out/1"].map(|name| scrap.path(name));
    figures(&["align", word(&one), "--out", word(&maps)]);
    let warp = [
        "warp",
        word(&one),
        "--maps",
        word(&maps),
        "--force",
        "--out",
        word(&out),
        "--z",
    ];
    figures(&[&warp[..], &["2..9"]].concat());
    let old = contents(&out);
    let layer = std::fs::metadata(scrap.layer(0)).unwrap().len();
    let said = test_fragment::within(layer / 512 / 2, &[&warp[..], &["5..25"]].concat());
    assert!(said.contains(".tif"), "{said}");
    assert!(contents(&out) == old);
    figures(&[&warp[..], &["5..25"]].concat());
    assert_eq!(temporary(out.parent().unwrap()), 0);

    let recipe = scrap.recipe("");
    let train = |run: &Path, epochs: &str| {
        let words = [
            "train",
            "--config",
            word(&recipe),
            "--resume",
            "--out",
            word(run),
        ];
        let words = words.map(str::to_owned).into_iter();
        words
            .chain(["--set".to_owned(), format!("train.epochs={epochs}")])
            .collect::<Vec<_>>()
    };
    let call = |list: &[String]| {
        figures(&list.iter().map(String::as_str).collect::<Vec<_>>());
    };
    let [whole, full] = ["whole", "full"].map(|name| scrap.path(name));
    call(&train(&whole, "1"));
    call(&train(&whole, "3"));
    call(&train(&full, "1"));
    let weights = |run: &Path| std::fs::read(run.join("resume.safetensors")).unwrap();
    let first = weights(&full);
    let list = train(&full, "3");
    let list: Vec<&str> = list.iter().map(String::as_str).collect();
    let said = test_fragment::within(first.len() as u64 / 512 / 2, &list);
    assert!(said.contains("safetensors"), "{said}");
    assert!(weights(&full) == first);
    call(&train(&full, "3"));
    assert!(weights(&full) == weights(&whole));
}

#[test]
fn a_killed_prediction_or_merge_ends_as_an_undisturbed_one() {
    let setting = Setting::new();
    let scrap = &setting.scrap;
    let [two, whole, out] = ["2", "whole", "out"].map(|name| scrap.path(name));
    let predict = |out: &Path, more: &[&str]| {
        let run = word(&setting.models[0]);
        let words = [
            "predict",
            word(&two),
            "--model",
            run,
            "--float",
            "--zarr",
            "--out",
        ];
        let words = [&words[..], &[word(out)], more].concat();
        words.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let run = |words: &[String]| figures(&words.iter().map(String::as_str).collect::<Vec<_>>());
    let began = Instant::now();
    run(&predict(&whole, &[]));
    let span = began.elapsed();
    let expected = contents(&whole);
    assert!(expected.len() > 4);
    let mut random = ChaCha8Rng::seed_from_u64(12);
    let mut killed = [0, 0];
    for round in 0..kills(KILLS) {
        let out = out.join(round.to_string());
        let words = predict(&out, &["--resume"]);
        let borrowed: Vec<&str> = words.iter().map(String::as_str).collect();
        let wait = span.mul_f64(random.random_range(0.0..1.2));
        killed[0] += u32::from(killed_after(&borrowed, wait));
        // Whatever bears a final name is whole.
        let whole_ones = contents(&out)
            .into_iter()
            .filter(|(path, _)| !path.starts_with("parts"));
        for file in whole_ones.filter(|(path, _)| !path.starts_with("2.zarr")) {
            assert!(
                expected.contains(&file),
                "{} is half-written",
                file.0.display()
            );
        }
        run(&words);
        assert!(contents(&out) == expected);
        assert_eq!(temporary(&out), 0);
    }
    let began = Instant::now();
    for round in 0..kills(KILLS) {
        let out = out.join(format!("merged-{round}"));
        run(&predict(&out, &["--part", "1/2"]));
        run(&predict(&out, &["--part", "2/2"]));
        let merge = ["merge", word(&out), "--float", "--zarr"];
        let span = began.elapsed().div_f64(3.0).min(Duration::from_millis(400));
        killed[1] += u32::from(killed_after(
            &merge,
            span.mul_f64(random.random_range(0.0..1.0)),
        ));
        if out.join("parts").exists() {
            figures(&merge);
        }
        assert!(
            contents(&out) == expected,
            "a merge that is another prediction"
        );
    }
    eprintln!(
        "predict killed {} times, merge {} times",
        killed[0], killed[1]
    );
}
