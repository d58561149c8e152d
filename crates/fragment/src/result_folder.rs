//! Which files in a folder are Inkling's own.
//!
//! Every folder that results are written into carries a mark, `.inkling`: a text file with a line
//! for each file or folder in it that Inkling wrote, the kind of result first. A name is put down
//! before the file is written. Only what is named there is ever replaced or removed; everything
//! else in the folder is somebody's, and stays.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::error::Error;
use crate::result_kind::ResultKind;
use crate::temporary::{is_temporary, remove_abandoned};

/// The mark's name.
pub(crate) const MARK: &str = ".inkling";

/// Locked while a process trains; empty, and nobody's loss.
const RUN_LOCK: &str = ".inkling-run.lock";

/// The mark's first line.
const HEAD: &str = "# Inkling wrote the files named below and may replace them: kind, then name.";

/// A mark of a whole scroll's results is a few kilobytes.
const LARGEST_MARK: u64 = 16 << 20;

/// A folder that results of one kind are written into, and which of its files are such results.
#[derive(Debug)]
pub struct ResultFolder {
    path: PathBuf,
    kind: ResultKind,
    /// The mark as it was last read, and its length then: it only ever grows.
    read: Mutex<(u64, Claims)>,
}

/// What a mark names.
type Claims = BTreeSet<(ResultKind, String)>;

impl ResultFolder {
    /// The folder `path` for results that may lie beside other files; made with the first of them.
    pub fn shared(path: impl Into<PathBuf>, kind: ResultKind) -> Self {
        Self {
            path: path.into(),
            kind,
            read: Mutex::default(),
        }
    }

    /// The folder `path` for results that are a folder of their own: a new or empty one, or one
    /// that carries the mark of this kind.
    ///
    /// # Errors
    /// [`Error::NotOwn`] for a folder that holds other things; [`Error::Io`].
    pub fn own(path: impl Into<PathBuf>, kind: ResultKind) -> Result<Self, Error> {
        let path = path.into();
        Self::check_own(&path, kind)?;
        let folder = Self::shared(path, kind);
        folder.mark()?;
        Ok(folder)
    }

    /// Whether [`own`](Self::own) would take the folder `path`; changes nothing.
    ///
    /// # Errors
    /// [`Error::NotOwn`].
    pub fn check_own(path: &Path, kind: ResultKind) -> Result<(), Error> {
        if path.exists() && !path.is_dir() {
            return Err(Error::Exists {
                path: path.to_owned(),
            });
        }
        let names = entries(path)?;
        if names.is_empty() || claims(path)?.iter().any(|(found, _)| *found == kind) {
            return Ok(());
        }
        Err(Error::NotOwn {
            path: path.to_owned(),
            kind,
            found: listed(&names),
        })
    }

    /// What results lie in the folder `path`, sorted; none in a folder without a mark.
    ///
    /// # Errors
    /// A mark that cannot be read.
    pub fn kinds(path: &Path) -> Result<Vec<ResultKind>, Error> {
        let mut kinds: Vec<_> = claims(path)?.into_iter().map(|(kind, _)| kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        Ok(kinds)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The place of the file `name`, which may be written from now on. What has the name already
    /// must be an earlier result, and is to be replaced only with `force`.
    ///
    /// # Errors
    /// [`Error::Exists`] without `force`; [`Error::Foreign`] for a file that Inkling did not write;
    /// [`Error::Name`] for a name that leaves the folder; [`Error::Io`].
    pub fn claim(&self, name: &str, force: bool) -> Result<PathBuf, Error> {
        self.check(name, force)?;
        if !self.has_claimed(name)? {
            self.put_down(name)?;
        }
        Ok(self.path.join(name))
    }

    /// Whether [`claim`](Self::claim) would give the file `name`; changes nothing.
    ///
    /// # Errors
    /// Those of [`claim`](Self::claim).
    pub fn check(&self, name: &str, force: bool) -> Result<(), Error> {
        check_name(name)?;
        let path = self.path.join(name);
        let there = path.symlink_metadata().is_ok();
        match (there, self.has_claimed(name)?, force) {
            (false, ..) | (true, true, true) => Ok(()),
            (true, true, false) => Err(Error::Exists { path }),
            (true, false, _) => Err(Error::Foreign {
                folder: self.path.clone(),
                found: name.to_owned(),
            }),
        }
    }

    /// Whether Inkling wrote the file `name`, or was about to.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn has_claimed(&self, name: &str) -> Result<bool, Error> {
        let length = std::fs::metadata(self.path.join(MARK)).map_or(0, |mark| mark.len());
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        // Another process may have written on.
        if read.0 != length {
            *read = (length, claims(&self.path)?);
        }
        Ok(read.1.contains(&(self.kind, name.to_owned())))
    }

    /// Takes the file `name`, known by its content to be Inkling's, for one of its own.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn adopt(&self, name: &str) -> Result<(), Error> {
        check_name(name)?;
        self.put_down(name)
    }

    /// Removes those of its own files that `goes` chooses by their names.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn sweep(&self, goes: impl Fn(&str) -> bool) -> Result<(), Error> {
        for (kind, name) in claims(&self.path)? {
            let path = self.path.join(&name);
            // The mark goes last of all: without it, what an interrupted call left is nobody's.
            if kind == self.kind && name != MARK && goes(&name) && path.is_file() {
                std::fs::remove_file(&path).map_err(Error::io(&path))?;
            }
        }
        Ok(())
    }

    /// Removes the folder with all its own files; others, and then the folder, stay.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn remove(self) -> Result<(), Error> {
        self.sweep(|_| true)?;
        let mark = self.path.join(MARK);
        if entries(&self.path)?.is_empty() && mark.exists() {
            std::fs::remove_file(&mark).map_err(Error::io(&mark))?;
        }
        // Others may lie beside; then the folder stays.
        let _ = std::fs::remove_dir(&self.path);
        Ok(())
    }

    /// Puts the mark down, as that of a folder without files.
    fn mark(&self) -> Result<(), Error> {
        let marked = claims(&self.path)?
            .iter()
            .any(|(kind, _)| *kind == self.kind);
        match marked {
            true => Ok(()),
            false => self.put_down(MARK),
        }
    }

    fn put_down(&self, name: &str) -> Result<(), Error> {
        std::fs::create_dir_all(&self.path).map_err(Error::io(&self.path))?;
        remove_abandoned(&self.path);
        let path = self.path.join(MARK);
        let mut text = format!("{}\t{name}\n", self.kind);
        if !path.exists() {
            text = format!("{HEAD}\n{text}");
        }
        let file = OpenOptions::new().create(true).append(true).open(&path);
        // One call, so that several processes' lines do not mix.
        file.and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(Error::io(&path))
    }
}

/// Checks that `name` is that of a file in a folder: not empty, no path, no control characters.
///
/// # Errors
/// [`Error::Name`].
pub fn check_name(name: &str) -> Result<(), Error> {
    let is_path = name.contains(['/', '\\']) || matches!(name, "." | "..");
    let plain = !name.is_empty() && !is_path && !name.chars().any(char::is_control);
    match plain && name.len() <= 200 {
        true => Ok(()),
        false => Err(Error::Name {
            found: name.chars().take(80).collect(),
        }),
    }
}

/// Refuses a `target` whose replacement would lose anything but an earlier result of this kind.
pub(crate) fn check_replaceable(target: &Path, kind: ResultKind) -> Result<(), Error> {
    if target.symlink_metadata().is_err() {
        return Ok(());
    }
    let foreign = |found: &str| {
        Err(Error::Foreign {
            folder: target.to_owned(),
            found: found.to_owned(),
        })
    };
    if target.is_symlink() || !target.is_dir() {
        return foreign("a file or link of this name");
    }
    let names = entries(target)?;
    let claims = claims(target)?;
    for name in &names {
        if !claims.contains(&(kind, name.clone())) {
            return foreign(name);
        }
        if let Some(inner) = foreign_within(&target.join(name), name)? {
            return foreign(&inner);
        }
    }
    Ok(())
}

/// The first file below `path` that neither layers, nor Zarr, nor depth maps consist of.
fn foreign_within(path: &Path, shown: &str) -> Result<Option<String>, Error> {
    if path.is_symlink() || !path.is_dir() {
        return Ok(None);
    }
    for entry in std::fs::read_dir(path).map_err(Error::io(path))? {
        let entry = entry.map_err(Error::io(path))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type().map_err(Error::io(path))?;
        let shown = format!("{shown}/{name}");
        if !is_part_of_volume(&name) || kind.is_symlink() {
            return Ok(Some(shown));
        }
        if let Some(found) = foreign_within(&entry.path(), &shown)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Whether a file or folder of this name is a layer, a chunk, metadata of Zarr, or a depth map, as the true ones
/// of a phantom.
fn is_part_of_volume(name: &str) -> bool {
    let chunk = |text: &str| {
        text.split('.')
            .all(|part| part.bytes().all(|b| b.is_ascii_digit()))
    };
    let metadata = [".zarray", ".zattrs", ".zgroup", "zarr.json", "c", MARK];
    let maps = ["z_shift.npy", "z_scale.npy"];
    metadata.contains(&name)
        || maps.contains(&name)
        || chunk(name.strip_suffix(".tif").unwrap_or(name))
}

/// Writes the mark of a `folder` of which everything is Inkling's.
pub(crate) fn write_mark(folder: &Path, kind: ResultKind) -> Result<(), Error> {
    let mut text = format!("{HEAD}\n{kind}\t{MARK}\n");
    for name in entries(folder)? {
        text.push_str(&format!("{kind}\t{name}\n"));
    }
    let path = folder.join(MARK);
    std::fs::write(&path, text).map_err(Error::io(&path))
}

/// What lies in `folder`, but for the mark and temporary files; nothing where there is no folder.
fn entries(folder: &Path) -> Result<BTreeSet<String>, Error> {
    if !folder.is_dir() {
        return Ok(BTreeSet::new());
    }
    let entries = std::fs::read_dir(folder).map_err(Error::io(folder))?;
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let names: std::io::Result<BTreeSet<String>> = names.collect();
    let mut names = names.map_err(Error::io(folder))?;
    names.retain(|name| name != MARK && name != RUN_LOCK && !is_temporary(name));
    Ok(names)
}

/// What the mark of `folder` names.
fn claims(folder: &Path) -> Result<Claims, Error> {
    let path = folder.join(MARK);
    if !path.is_file() {
        return Ok(BTreeSet::new());
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(&path).map_err(Error::io(&path))?;
    file.take(LARGEST_MARK)
        .read_to_end(&mut bytes)
        .map_err(Error::io(&path))?;
    let text = String::from_utf8_lossy(&bytes);
    let claims = text.lines().filter_map(|line| {
        let (kind, name) = line.split_once('\t')?;
        Some((ResultKind::named(kind)?, name.to_owned()))
    });
    Ok(claims.collect())
}

/// The first few of `names`, for a message.
fn listed(names: &BTreeSet<String>) -> String {
    const SHOWN: usize = 4;
    let shown: Vec<&str> = names.iter().take(SHOWN).map(String::as_str).collect();
    let more = names.len().saturating_sub(SHOWN);
    match more {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_claimed_is_replaced_or_removed() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("mine.png"), "precious").unwrap();
        let results = ResultFolder::shared(folder.path(), ResultKind::Prediction);
        for force in [false, true] {
            let refused = results.claim("mine.png", force).unwrap_err();
            assert!(matches!(refused, Error::Foreign { .. }), "{refused}");
        }
        let own = results.claim("own.png", false).unwrap();
        std::fs::write(&own, "made").unwrap();
        assert!(matches!(
            results.claim("own.png", false),
            Err(Error::Exists { .. })
        ));
        assert_eq!(results.claim("own.png", true).unwrap(), own);
        // Another kind of result does not take it for its own.
        let curves = ResultFolder::shared(folder.path(), ResultKind::Curves);
        assert!(matches!(
            curves.claim("own.png", true),
            Err(Error::Foreign { .. })
        ));
        results.sweep(|_| true).unwrap();
        assert!(!own.exists() && folder.path().join("mine.png").exists());
    }

    #[test]
    fn a_folder_of_other_things_is_nobodys_own() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |path: &Path| ResultFolder::own(path, ResultKind::Run).unwrap_err();
        std::fs::write(folder.path().join("weights.bin"), "precious").unwrap();
        let message = refused(folder.path()).to_string();
        assert!(message.contains("weights.bin"), "{message}");
        assert!(!folder.path().join(MARK).exists());
        let fresh = folder.path().join("fresh");
        ResultFolder::own(&fresh, ResultKind::Run).unwrap();
        // Marked, it may hold others' files too.
        std::fs::write(fresh.join("notes.txt"), "mine").unwrap();
        ResultFolder::own(&fresh, ResultKind::Run).unwrap();
        let other = ResultFolder::own(&fresh, ResultKind::CrossValidation);
        assert!(matches!(other, Err(Error::NotOwn { .. })));
    }

    #[test]
    fn names_stay_within_the_folder() {
        for wrong in ["", ".", "..", "../x", "/x", "a/b", "a\\b", "a\nb", "a\0"] {
            assert!(
                matches!(check_name(wrong), Err(Error::Name { .. })),
                "{wrong:?}"
            );
        }
        for right in ["1", "2a", "PHerc. 172 (left)", "…"] {
            check_name(right).unwrap();
        }
    }

    #[test]
    fn a_removed_folder_leaves_what_is_not_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tiles");
        let tiles = ResultFolder::own(&path, ResultKind::Tiles).unwrap();
        std::fs::write(tiles.claim("plan.json", false).unwrap(), "{}").unwrap();
        std::fs::write(path.join("notes.txt"), "mine").unwrap();
        tiles.remove().unwrap();
        assert!(path.join("notes.txt").exists() && !path.join("plan.json").exists());
        std::fs::remove_file(path.join("notes.txt")).unwrap();
        let tiles = ResultFolder::shared(&path, ResultKind::Tiles);
        tiles.remove().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn a_removal_that_was_interrupted_is_finished_by_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tiles");
        let names = ["a.tiles", "mask.png", "plan.json"];
        let tiles = || ResultFolder::own(&path, ResultKind::Tiles).unwrap();
        for last in 0..=names.len() {
            for name in names {
                std::fs::write(tiles().claim(name, true).unwrap(), "made").unwrap();
            }
            tiles().sweep(|name| names[..last].contains(&name)).unwrap();
            assert!(ResultFolder::check_own(&path, ResultKind::Tiles).is_ok());
            tiles().remove().unwrap();
            assert!(!path.exists(), "{last}");
        }
    }
}
