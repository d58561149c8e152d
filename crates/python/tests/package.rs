//! Runs the package's own tests, which are Python, on the library that was built beside this test.
//! Without a Python that has NumPy it says that it was skipped; `INKLING_REQUIRE_PYTHON=1` makes that a
//! failure. `INKLING_PYTHON` names the interpreter.

use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn the_package_passes_its_tests() {
    let python = std::env::var_os("INKLING_PYTHON").unwrap_or_else(|| "python3".into());
    let probe = "import sys, numpy; assert sys.version_info >= (3, 11)";
    let found = Command::new(&python).args(["-c", probe]).output();
    if !found.is_ok_and(|output| output.status.success()) {
        let required = std::env::var_os("INKLING_REQUIRE_PYTHON").is_some();
        assert!(!required, "found no Python 3.11 or later with NumPy");
        eprintln!("skipped: there is no Python 3.11 or later with NumPy");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    lay_out(&folder.path().join("inkling"));
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let output = Command::new(&python)
        .args(["-B", "-m", "unittest", "discover", "--start-directory"])
        .arg(&tests)
        .env("PYTHONPATH", folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let ran = said
        .lines()
        .find_map(|line| line.strip_prefix("Ran ")?.split(' ').next());
    let ran: usize = ran.and_then(|count| count.parse().ok()).unwrap_or(0);
    assert!(ran >= 20, "{said}");
    println!("{said}");
}

/// The package as a wheel installs it.
fn lay_out(package: &Path) {
    std::fs::create_dir(package).unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/inkling");
    for entry in std::fs::read_dir(source).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), package.join(entry.file_name())).unwrap();
        }
    }
    let suffix = if cfg!(windows) { "pyd" } else { "abi3.so" };
    std::fs::copy(library(), package.join(format!("_inkling.{suffix}"))).unwrap();
}

/// The library, which lies beside this program.
fn library() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    let [prefix, suffix] = [std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX];
    let path = program.with_file_name(format!("{prefix}_inkling{suffix}"));
    assert!(path.is_file(), "{} is not there", path.display());
    path
}
