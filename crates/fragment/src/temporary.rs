//! Files and folders under hidden temporary names, beside the place where they will appear.
//!
//! Each is locked for as long as its process lives, so that the next call can tell what an aborted
//! one left behind (`.inkling-….tmp` without a lock) from what another process is writing.

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use tempfile::{Builder, TempDir, TempPath};

use crate::Error;

const PREFIX: &str = ".inkling-";
const SUFFIX: &str = ".tmp";
/// Within a temporary folder: locked while its process lives.
const LOCK: &str = "lock";
/// Within a temporary folder: what will appear.
const NEW: &str = "new";
/// Within a temporary folder: what is being replaced, until the new one has its name.
const REPLACED: &str = "replaced";
/// Within a temporary folder: the name of what is being replaced, in case it must be put back.
const NAME: &str = "name";

/// Whether a file or folder of this name is a temporary one.
pub(crate) fn is_temporary(name: &str) -> bool {
    let random = name.strip_prefix(PREFIX);
    let random = random.and_then(|rest| rest.strip_suffix(SUFFIX));
    random.is_some_and(|text| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric()))
}

/// The folder that a path lies in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// A locked file beside `target`, with the permissions that the umask leaves.
///
/// # Errors
/// [`Error::Io`].
pub(crate) fn file_beside(target: &Path) -> Result<(File, TempPath), Error> {
    let folder = folder_of(target);
    remove_abandoned(folder);
    loop {
        let made = builder(0o666).tempfile_in(folder);
        let (file, path) = made.map_err(Error::io(target))?.into_parts();
        // Another process may have taken the file for an abandoned one before it was locked.
        if locked(&file) && path.exists() {
            return Ok((file, path));
        }
    }
}

/// A hidden folder in which a folder is made before it gets its name.
pub(crate) struct TemporaryFolder {
    // Before the folder, for fields are dropped in this order, and Windows removes no open file.
    _lock: File,
    folder: TempDir,
}

impl TemporaryFolder {
    /// Begins one beside `target`, on the same disk so that renaming suffices.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn beside(target: &Path) -> Result<Self, Error> {
        let parent = folder_of(target);
        std::fs::create_dir_all(parent).map_err(Error::io(parent))?;
        remove_abandoned(parent);
        loop {
            let made = builder(0o777).tempdir_in(parent);
            let folder = made.map_err(Error::io(parent))?;
            let Ok(lock) = File::create(folder.path().join(LOCK)) else {
                continue;
            };
            if locked(&lock) && folder.path().join(LOCK).exists() {
                let new = folder.path().join(NEW);
                std::fs::create_dir(&new).map_err(Error::io(&new))?;
                return Ok(Self {
                    _lock: lock,
                    folder,
                });
            }
        }
    }

    /// The folder that will appear.
    pub fn new_folder(&self) -> PathBuf {
        self.folder.path().join(NEW)
    }

    /// Gives the new folder the name `target`, which nobody may have.
    ///
    /// # Errors
    /// [`Error::Exists`]; [`Error::Io`].
    pub fn take_free_name(self, target: &Path) -> Result<(), Error> {
        // A folder with something in it cannot be replaced by renaming.
        match std::fs::rename(self.new_folder(), target) {
            Err(_) if target.exists() => Err(Error::Exists {
                path: target.to_owned(),
            }),
            named => named.map_err(Error::io(target)),
        }
    }

    /// Gives the new folder the name `target`; what has the name goes, once the new one has it.
    ///
    /// # Errors
    /// [`Error::Io`]; then the old folder still has its name.
    pub fn take_name(self, target: &Path) -> Result<(), Error> {
        let hidden = self.folder.path();
        let replaced = hidden.join(REPLACED);
        if target.exists() {
            let name = target.file_name().unwrap_or_default();
            let note = hidden.join(NAME);
            let bytes = name.as_encoded_bytes();
            std::fs::write(&note, bytes).map_err(Error::io(&note))?;
            std::fs::rename(target, &replaced).map_err(Error::io(target))?;
        }
        let named = std::fs::rename(self.new_folder(), target);
        if named.is_err() && replaced.exists() {
            // The old folder gets its name back; the first error is the one to report.
            let _ = std::fs::rename(&replaced, target);
        }
        named.map_err(Error::io(target))
    }
}

#[cfg(unix)]
fn builder(mode: u32) -> Builder<'static, 'static> {
    use std::os::unix::fs::PermissionsExt;
    let mut builder = Builder::new();
    builder.permissions(std::fs::Permissions::from_mode(mode));
    builder.prefix(PREFIX).suffix(SUFFIX);
    builder
}

#[cfg(not(unix))]
fn builder(_mode: u32) -> Builder<'static, 'static> {
    let mut builder = Builder::new();
    builder.prefix(PREFIX).suffix(SUFFIX);
    builder
}

/// Takes the lock of an open file, which the system frees when the process ends, however it ends; `false` if another process
/// has it. File systems without locks are believed.
pub fn locked(file: &File) -> bool {
    !matches!(file.try_lock(), Err(std::fs::TryLockError::WouldBlock))
}

/// Whether nobody holds the lock of the file at `path`; unknown counts as held.
fn is_abandoned(path: &Path) -> bool {
    let file = File::options().read(true).write(true).open(path);
    file.is_ok_and(|file| file.try_lock().is_ok())
}

/// Removes what aborted calls left in `folder`, once per process and folder; a folder that was just
/// being replaced gets its name back. What cannot be removed stays for the next call.
pub(crate) fn remove_abandoned(folder: &Path) {
    static SEEN: Mutex<Option<HashSet<PathBuf>>> = Mutex::new(None);
    let whole = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let mut seen = SEEN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if !seen.get_or_insert_default().insert(whole) {
        return;
    }
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let path = entry.path();
        match entry.file_type() {
            _ if !is_temporary(&name.to_string_lossy()) => {}
            Ok(kind) if kind.is_file() && is_abandoned(&path) => {
                let _ = std::fs::remove_file(&path);
            }
            Ok(kind) if kind.is_dir() && is_abandoned(&path.join(LOCK)) => {
                put_back(&path, folder);
                let _ = std::fs::remove_dir_all(&path);
            }
            _ => {}
        }
    }
}

/// Gives a folder whose replacement was interrupted its name back.
fn put_back(hidden: &Path, folder: &Path) {
    let Ok(name) = std::fs::read_to_string(hidden.join(NAME)) else {
        return;
    };
    let target = folder.join(&name);
    let is_plain = Path::new(&name)
        .file_name()
        .is_some_and(|own| own == name.as_str());
    if is_plain && !target.exists() {
        let _ = std::fs::rename(hidden.join(REPLACED), target);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_aborted_call_left_is_removed_and_what_is_locked_stays() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at(".inkling-abc123.tmp"), "half").unwrap();
        std::fs::write(at(".inkling-mine"), "not a temporary name").unwrap();
        std::fs::create_dir(at(".inkling-dir001.tmp")).unwrap();
        std::fs::write(at(".inkling-dir001.tmp/lock"), "").unwrap();
        std::fs::write(at(".inkling-dir001.tmp/voxels"), "half").unwrap();
        std::fs::write(at(".inkling-held00.tmp"), "being written").unwrap();
        let held = File::open(at(".inkling-held00.tmp")).unwrap();
        held.try_lock().unwrap();
        remove_abandoned(folder.path());
        assert!(!at(".inkling-abc123.tmp").exists());
        assert!(!at(".inkling-dir001.tmp").exists());
        assert!(at(".inkling-mine").exists());
        assert!(at(".inkling-held00.tmp").exists());
    }

    #[test]
    fn a_folder_whose_replacement_was_interrupted_gets_its_name_back() {
        let folder = tempfile::tempdir().unwrap();
        let hidden = folder.path().join(".inkling-xyz999.tmp");
        std::fs::create_dir_all(hidden.join(REPLACED)).unwrap();
        std::fs::write(hidden.join(LOCK), "").unwrap();
        std::fs::write(hidden.join(NAME), "scan").unwrap();
        std::fs::write(hidden.join(REPLACED).join("voxels"), "old").unwrap();
        remove_abandoned(folder.path());
        let voxels = folder.path().join("scan/voxels");
        assert_eq!(std::fs::read_to_string(voxels).unwrap(), "old");
        assert!(!hidden.exists());
    }

    #[test]
    #[cfg(unix)]
    fn results_have_the_permissions_of_the_umask() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let plain = folder.path().join("plain");
        std::fs::write(&plain, "").unwrap();
        let (_file, hidden) = file_beside(&folder.path().join("result")).unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&hidden), mode(&plain));
        let made = folder.path().join("made");
        std::fs::create_dir(&made).unwrap();
        let temporary = TemporaryFolder::beside(&folder.path().join("folder")).unwrap();
        assert_eq!(mode(&temporary.new_folder()), mode(&made));
    }
}
