//! The demo, as a newcomer runs it, and its report in a real browser.

use std::path::Path;
use std::process::Command;

use crate::test_fragment::figures;

#[test]
fn the_demo_reads_its_phantom_and_alignment_pays() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("demo");
    let found = figures(&["demo", "--out", out.to_str().unwrap()]);
    let score = |key: &str| found[key].as_f64().unwrap();
    assert!(score("f05") >= 0.75, "{found}");
    assert!(score("f05") > score("f05_unaligned"), "{found}");
    let report = out.join("report.html");
    let page = std::fs::read_to_string(&report).unwrap();
    for key in ["f05", "f05_unaligned"] {
        assert!(
            page.contains(&format!("{:.3}", score(key))),
            "the report shows both"
        );
    }
    if browser_is_here() {
        assert_eq!(complaints(&report), Vec::<String>::new());
    }
}

#[test]
fn a_broken_page_is_noticed() {
    if !browser_is_here() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("broken.html");
    std::fs::write(&page, "<!DOCTYPE html><script>nobody.knows()</script>").unwrap();
    assert!(
        complaints(&page)
            .iter()
            .any(|line| line.contains("nobody is not defined"))
    );
}

/// Whether Chromium can be asked; where it must be and is not, that is a failure.
fn browser_is_here() -> bool {
    let here = Command::new("chromium").arg("--version").output().is_ok();
    if !here {
        assert!(
            std::env::var_os("INKLING_REQUIRE_CHROMIUM").is_none(),
            "chromium is not installed"
        );
        eprintln!("skipped: there is no chromium");
    }
    here
}

/// What the browser's console says of a page, and whether its script came to its end.
fn complaints(page: &Path) -> Vec<String> {
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new("chromium")
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
        ])
        .args([
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ])
        .args(["--enable-logging=stderr", "--v=0", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("file://{}", page.display()))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let mut complaints: Vec<String> = said
        .lines()
        .filter(|line| line.contains("CONSOLE"))
        .map(str::to_owned)
        .collect();
    let dom = String::from_utf8_lossy(&output.stdout);
    if !dom.contains("data-ready=\"true\"") {
        complaints.push("the page's script did not come to its end".to_owned());
    }
    complaints
}
