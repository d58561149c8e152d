//! An output must lie apart from every input: whoever writes into a scan loses it.

use std::path::{Component, Path, PathBuf};

use crate::{Recipe, Usage};
use inkling_fragment::split_name;

/// What a command reads and must not write to.
#[derive(Default)]
pub struct Inputs {
    paths: Vec<PathBuf>,
}

impl Inputs {
    /// The inputs at `paths`; `NAME=PATH` counts as the path.
    pub fn of<'a>(paths: impl IntoIterator<Item = &'a PathBuf>) -> Self {
        let mut inputs = Self::default();
        paths.into_iter().for_each(|path| inputs.add(path));
        inputs
    }

    /// The files and folders that a recipe names, and those that it was read from.
    pub fn of_recipe(recipe: &Recipe, files: &[PathBuf]) -> Self {
        let mut inputs = Self::of(files);
        recipe.inputs().iter().for_each(|path| inputs.add(path));
        inputs
    }

    /// Adds an input; of `NAME=PATH` the path.
    pub fn add(&mut self, path: &Path) {
        self.paths.push(split_name(path).1.to_owned());
    }

    /// These inputs and one more, where there is one.
    #[must_use]
    pub fn and(mut self, path: Option<impl AsRef<Path>>) -> Self {
        if let Some(path) = path {
            self.add(path.as_ref());
        }
        self
    }

    /// Refuses an `output` as [`check_apart`](Self::check_apart) does, and one that would replace a file with another
    /// ending than `ending`: a slip of the keyboard must not cost a mask.
    ///
    /// # Errors
    /// [`Usage`], naming the file.
    pub fn check_file(&self, output: &Path, ending: &str) -> Result<(), Usage> {
        self.check_apart(output)?;
        match output.exists() && has_other_ending(output, ending) {
            true => Err(Usage(format!(
                "{}: found a file that does not end with .{ending}; expected a new name, or an earlier result. hint: \
                 give another name, such as {}",
                output.display(),
                output.with_extension(ending).display()
            ))),
            false => Ok(()),
        }
    }

    /// Refuses an `output` that is an input, holds one or lies in one, through links too.
    ///
    /// # Errors
    /// [`Usage`], naming both.
    pub fn check_apart(&self, output: &Path) -> Result<(), Usage> {
        let target = resolved(output);
        for input in &self.paths {
            let is_same = is_same_file(output, input);
            for place in places(input) {
                let relation = match () {
                    () if is_same || place == target => "is",
                    () if target.starts_with(&place) => "lies in",
                    () if place.starts_with(&target) => "holds",
                    () => continue,
                };
                return Err(Usage(format!(
                    "{}: found an output that {relation} the input {}; expected a place apart from \
                     everything that is read. hint: give --out another name",
                    output.display(),
                    input.display()
                )));
            }
        }
        Ok(())
    }
}

/// Whether a file's name ends otherwise; small letters and capitals are the same.
fn has_other_ending(path: &Path, ending: &str) -> bool {
    let own = path.extension();
    own.is_some_and(|own| !own.eq_ignore_ascii_case(ending))
}

/// Where an input lies: its own place, and those that links in its folder lead to.
fn places(input: &Path) -> Vec<PathBuf> {
    if !input.exists() {
        return Vec::new();
    }
    let mut places = vec![resolved(input)];
    for entry in std::fs::read_dir(input).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_symlink()) {
            places.extend(entry.path().canonicalize());
        }
    }
    places
}

/// `path` from the root on without links, as far as it exists; the rest as it is written.
fn resolved(path: &Path) -> PathBuf {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut resolved = PathBuf::new();
    for part in whole.components() {
        match part {
            Component::ParentDir => {
                resolved.pop();
            }
            part => resolved.push(part),
        }
        // A link leads elsewhere before what follows it is looked up.
        if let Ok(real) = resolved.canonicalize() {
            resolved = real;
        }
    }
    resolved
}

/// Whether both are one file under two names.
#[cfg(unix)]
fn is_same_file(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (one.metadata(), other.metadata()) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    }
}

/// Elsewhere only links and spellings are seen through.
#[cfg(not(unix))]
fn is_same_file(_one: &Path, _other: &Path) -> bool {
    false
}

/// Refuses two results of one name, before any work is done.
///
/// # Errors
/// [`Usage`], naming both.
pub fn check_distinct<'a>(
    named: impl IntoIterator<Item = (String, &'a Path)>,
) -> Result<(), Usage> {
    let mut seen: Vec<(String, &Path)> = Vec::new();
    for (name, path) in named {
        if let Some((_, other)) = seen.iter().find(|(known, _)| *known == name) {
            return Err(Usage(format!(
                "{} and {}: found two inputs called {name}; expected names of their own, since \
                 results are named after them. hint: give one of them another name, as {name}2={}",
                other.display(),
                path.display(),
                path.display()
            )));
        }
        seen.push((name, path));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_another_kind_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["mask.png", "old.CSV", "old"] {
            std::fs::write(at(name), "").unwrap();
        }
        let inputs = Inputs::of([&at("scan")]);
        for free in ["old.CSV", "old", "new.csv", "new.txt"] {
            inputs.check_file(&at(free), "csv").unwrap();
        }
        let said = inputs.check_file(&at("mask.png"), "csv").unwrap_err();
        assert!(said.to_string().contains("mask.csv"), "{said}");
        assert!(inputs.check_file(&at("scan/new.csv"), "csv").is_ok());
    }

    #[test]
    fn an_output_is_told_from_what_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(at("scan/layers")).unwrap();
        std::fs::create_dir(at("work")).unwrap();
        std::fs::write(at("scan/mask.png"), "").unwrap();
        std::fs::hard_link(at("scan/mask.png"), at("hard.png")).unwrap();
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(at("scan"), at("link")).unwrap();
            std::os::unix::fs::symlink(at("scan/layers"), at("work/layers")).unwrap();
        }
        let inputs = Inputs::of([&at("scan"), &at("scan/mask.png")]);
        let said = |path: PathBuf| inputs.check_apart(&path).unwrap_err().to_string();
        assert!(said(at("scan")).contains("is the input"));
        assert!(said(at("scan/new/deep")).contains("lies in"));
        assert!(said(at("work/../scan/x")).contains("lies in"));
        assert!(said(folder.path().to_owned()).contains("holds"));
        for apart in ["scan2", "work", "elsewhere/scan", "scan.csv"] {
            inputs.check_apart(&at(apart)).unwrap();
        }
        #[cfg(unix)]
        {
            assert!(said(at("link")).contains("is the input"));
            assert!(said(at("link/new")).contains("lies in"));
            assert!(said(at("hard.png")).contains("is the input"));
            let linked = Inputs::of([&at("work")]);
            assert!(linked.check_apart(&at("scan")).is_err());
        }
    }

    #[test]
    fn twins_are_named() {
        let twins = [
            ("1".to_owned(), Path::new("a/1")),
            ("1".to_owned(), Path::new("b/1")),
        ];
        let said = check_distinct(twins).unwrap_err().to_string();
        assert!(
            said.contains("a/1 and b/1") && said.contains("12=b/1"),
            "{said}"
        );
    }
}
