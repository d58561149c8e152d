//! What shells and manuals are told of the command line, and what its version says.

use crate::test_fragment::{figures, inkling, word};

#[test]
fn the_version_says_what_the_build_is() {
    for words in [&["--version"][..], &["-V"], &["align", "--version"]] {
        let output = inkling(words);
        assert!(output.status.success());
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let lines: Vec<&str> = said.lines().collect();
        let begin = format!("inkling {}", env!("CARGO_PKG_VERSION"));
        assert!(lines[0].starts_with(&begin), "{said}");
        for (line, name) in lines[1..]
            .iter()
            .zip(["features", "devices", "simd", "target"])
        {
            assert!(line.starts_with(name), "{said}");
        }
        assert!(lines[2].contains("flex"), "{said}");
    }
}

#[test]
fn shells_complete_every_command() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = inkling(&["completions", shell]);
        assert!(output.status.success());
        let script = String::from_utf8_lossy(&output.stdout).into_owned();
        for known in ["predict", "doctor", "tta"] {
            assert!(script.contains(known), "{shell}: {known}");
        }
    }
    let output = inkling(&["completions", "cmd"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn every_command_has_a_page_of_the_manual() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("man1");
    let words = ["man", "--out", word(&out)];
    let written = figures(&words);
    let pages = written["pages"].as_array().unwrap();
    assert!(pages.len() > 20, "{written}");
    for page in pages {
        let text = std::fs::read_to_string(out.join(page.as_str().unwrap())).unwrap();
        assert!(
            text.contains(".SH NAME") && text.contains(".SH SYNOPSIS"),
            "{page}"
        );
    }
    let predict = std::fs::read_to_string(out.join("inkling-predict.1")).unwrap();
    assert!(predict.contains("\\-\\-tta"), "{predict}");
    let again = inkling(&words);
    let said = String::from_utf8_lossy(&again.stderr).into_owned();
    assert_eq!(again.status.code(), Some(1), "{said}");
    assert!(said.contains("--force"), "{said}");
}
