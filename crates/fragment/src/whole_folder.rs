use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::Error;

/// What a folder about to be replaced is called in its temporary folder.
const ASIDE: &str = "replaced";

/// A folder that appears under its name when all of it is there; dropped before, it leaves nothing.
pub(crate) struct WholeFolder {
    target: PathBuf,
    folder: TempDir,
    force: bool,
}

impl WholeFolder {
    /// Begins the folder `target`. Nothing is replaced without `force`, and the caller must have
    /// made sure that what is there may be.
    pub fn create(target: &Path, force: bool) -> Result<Self, Error> {
        if target.exists() && !force {
            let path = target.to_owned();
            return Err(Error::Exists { path });
        }
        Ok(Self {
            folder: hidden_beside(target)?,
            target: target.to_owned(),
            force,
        })
    }

    /// The folder under its temporary name.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Its name to be.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Gives the folder its name.
    pub fn finish(self) -> Result<PathBuf, Error> {
        let target = self.target;
        readable_by_all(self.folder.path()).map_err(Error::io(&target))?;
        let replaced = match self.force && target.exists() {
            true => Some(set_aside(&target)?),
            false => None,
        };
        let named = std::fs::rename(self.folder.path(), &target);
        if let (Err(_), Some(old)) = (&named, &replaced) {
            // The old folder gets its name back; the first error is the one to tell.
            let _ = std::fs::rename(old.path().join(ASIDE), &target);
        }
        named.map_err(Error::io(&target))?;
        // The folder has its name now; the guard must not remove it.
        let _ = self.folder.keep();
        Ok(target)
    }
}

/// Moves the old folder into a temporary one beside it, which removes itself when dropped: deleting
/// takes long, and until the new one has the name the old one must be whole.
fn set_aside(target: &Path) -> Result<TempDir, Error> {
    let aside = hidden_beside(target)?;
    std::fs::rename(target, aside.path().join(ASIDE)).map_err(Error::io(target))?;
    Ok(aside)
}

/// A temporary folder beside `target`, on the same disk so that renaming suffices.
fn hidden_beside(target: &Path) -> Result<TempDir, Error> {
    let parent = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(parent).map_err(Error::io(parent))?;
    tempfile::Builder::new()
        .prefix(".inkling-")
        .tempdir_in(parent)
        .map_err(Error::io(parent))
}

/// Temporary folders are private; results are ordinary ones.
#[cfg(unix)]
fn readable_by_all(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755))
}

#[cfg(not(unix))]
fn readable_by_all(_folder: &Path) -> std::io::Result<()> {
    Ok(())
}
