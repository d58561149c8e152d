//! What TensorBoard is told, read by TensorBoard itself where it is installed.

use std::path::Path;
use std::process::Command;

use crate::test_fragment::{TestFragment, figures, word};

#[test]
fn tensorboard_reads_what_training_writes() {
    let scrap = TestFragment::new();
    scrap.phantom("2", 2);
    let (recipe, run) = (scrap.recipe(""), scrap.path("run"));
    let train = |more: &[&str]| {
        let words = ["train", "--config", word(&recipe), "--out", word(&run)];
        figures(&[&words[..], more].concat())
    };
    train(&[]);
    assert_eq!(event_files(&run), 1);
    // A finished run has nothing more to tell, a new one begins anew.
    train(&["--resume"]);
    assert_eq!(event_files(&run), 1);
    train(&["--force"]);
    assert_eq!(event_files(&run), 1);

    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../oracles/check_tensorboard.py");
    let python = std::env::var("INKLING_ORACLE_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let has_tensorboard = Command::new(&python)
        .args(["-c", "import tensorboard"])
        .output()
        .is_ok_and(|output| output.status.success());
    if !has_tensorboard {
        eprintln!("skipped: {python} has no tensorboard; INKLING_ORACLE_PYTHON names another");
        return;
    }
    let output = Command::new(&python)
        .arg(script)
        .arg(&run)
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}");
}

fn event_files(run: &Path) -> usize {
    let names = std::fs::read_dir(run).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name());
    names
        .filter(|name| name.to_string_lossy().starts_with("events.out.tfevents."))
        .count()
}
