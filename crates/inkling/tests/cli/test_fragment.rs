//! Small fragments on disk and calls of the real binary, for the tests beside this folder.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use inkling_synth::{PhantomSettings, write_phantom};
use tempfile::TempDir;

/// A folder with a small phantom in `1`, which tests then damage.
pub struct TestFragment {
    pub folder: TempDir,
}

impl TestFragment {
    pub fn new() -> Self {
        let scrap = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        scrap.phantom("1", 1);
        scrap
    }

    pub fn phantom(&self, name: &str, seed: u64) -> PathBuf {
        let settings = PhantomSettings {
            height: 150,
            width: 131,
            depth: 30,
            seed,
            letter_height: 40,
            ..PhantomSettings::default()
        };
        let path = self.path(name);
        write_phantom(&path, &settings, true, &|_, _| {}).unwrap();
        path
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn layer(&self, z: usize) -> PathBuf {
        self.path(&format!("1/surface_volume/{z:02}.tif"))
    }

    /// A recipe small enough to train in a second; `more` is put at its end.
    pub fn recipe(&self, more: &str) -> PathBuf {
        let path = self.path("recipe.toml");
        let text = format!(
            "[data]\nfragments = [\"1\", \"2\"]\nlayers = [5, 17]\n\
             [model]\nencoder = \"maxvit_rmlp_pico_rw_256\"\nimage_size = 32\ndepth = 6\n\
             decoder = [8, 8, 8]\n\
             [model.maxvit]\nstem = [4, 4]\nchannels = [8, 8, 8, 8]\nblocks = [1, 1, 1, 1]\n\
             head_width = 8\nposition_hidden = 8\nposition_dropout = 0.0\n\
             [train]\nepochs = 2\nbatch = 2\naccumulate = 2\nsamples_per_epoch = 8\n{more}"
        );
        std::fs::write(&path, text).unwrap();
        path
    }
}

/// Runs `inkling` with `words`.
pub fn inkling(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_inkling"))
        .args(words)
        .output()
        .unwrap()
}

/// Runs `inkling --json` with `words`, which must succeed, and gives its figures.
pub fn figures(words: &[&str]) -> serde_json::Value {
    let output = inkling(&[words, &["--json"]].concat());
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The words that predict `fragment` with `model` into `out`.
pub fn predict_words<'a>(fragment: &'a Path, model: &'a Path, out: &'a Path) -> [&'a str; 6] {
    let [fragment, model, out] = [fragment, model, out].map(word);
    ["predict", fragment, "--model", model, "--out", out]
}

/// The words that train `fold` of `recipe` into `run`.
pub fn train_words<'a>(recipe: &'a Path, fold: &'a str, run: &'a Path) -> [&'a str; 7] {
    let [recipe, run] = [recipe, run].map(word);
    ["train", "--config", recipe, "--fold", fold, "--out", run]
}

/// How often a program is killed: `usual` times in a plain test run, else as `INKLING_KILLS` says.
pub fn kills(usual: u32) -> u32 {
    let asked = std::env::var("INKLING_KILLS").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// A path as a word of a command line.
pub fn word(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// What `inkling` says when no file may grow over so many blocks of 512 bytes.
#[cfg(unix)]
pub fn within(blocks: u64, words: &[&str]) -> String {
    // Told that the signal is ignored, the system fails the call instead.
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
    let output = Command::new("/bin/dash")
        .args(["-c", &script, env!("CARGO_BIN_EXE_inkling")])
        .args(words)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    said
}

/// Pixels in the run lengths of a submission's only row.
pub fn submitted(path: &Path) -> usize {
    let text = std::fs::read_to_string(path).unwrap();
    let runs = text.lines().nth(1).unwrap().split_once(',').unwrap().1;
    let lengths = runs.split(' ').skip(1).step_by(2);
    lengths.map(|length| length.parse::<usize>().unwrap()).sum()
}

/// Runs `inkling` with `words`, which must end with `code` and say all `parts`.
pub fn refused(words: &[&str], code: i32, parts: &[&str]) {
    let output = inkling(words);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{words:?}: {said}");
    assert!(!said.contains("panicked"), "{said}");
    // Paths of Windows may have both separators.
    let plain = |text: &str| text.replace(std::path::MAIN_SEPARATOR, "/");
    for part in parts {
        assert!(
            plain(&said).contains(&plain(part)),
            "\"{part}\" is missing in: {said}"
        );
    }
}
