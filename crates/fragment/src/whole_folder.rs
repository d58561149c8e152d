use std::path::{Path, PathBuf};

use crate::result_folder::{check_replaceable, write_mark};
use crate::temporary::TemporaryFolder;
use crate::{Error, ResultKind};

/// A folder that appears under its name when all of it is there, with its mark; dropped before, it
/// leaves nothing.
pub(crate) struct WholeFolder {
    target: PathBuf,
    kind: ResultKind,
    force: bool,
    folder: TemporaryFolder,
}

impl WholeFolder {
    /// Begins the folder `target`. What is there is replaced only with `force`, and only when it is
    /// a result of the same kind and holds nothing else.
    ///
    /// # Errors
    /// [`Error::Exists`]; [`Error::Foreign`]; [`Error::Io`].
    pub fn create(target: &Path, kind: ResultKind, force: bool) -> Result<Self, Error> {
        if target.exists() && !force {
            let path = target.to_owned();
            return Err(Error::Exists { path });
        }
        check_replaceable(target, kind)?;
        Ok(Self {
            folder: TemporaryFolder::beside(target)?,
            kind,
            force,
            target: target.to_owned(),
        })
    }

    /// The folder under its temporary name.
    pub fn path(&self) -> PathBuf {
        self.folder.new_folder()
    }

    /// Its name to be.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Gives the folder its name, which without force nobody may have taken meanwhile.
    pub fn finish(self) -> Result<PathBuf, Error> {
        write_mark(&self.path(), self.kind)?;
        match self.force {
            true => {
                // Somebody may have put something there meanwhile.
                check_replaceable(&self.target, self.kind)?;
                self.folder.take_name(&self.target)?;
            }
            false => self.folder.take_free_name(&self.target)?,
        }
        Ok(self.target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_was_taken_meanwhile_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("aligned");
        let begin = |force| WholeFolder::create(&target, ResultKind::Fragment, force).unwrap();
        let [first, second] = [begin(false), begin(false)];
        std::fs::write(first.path().join("mine"), "").unwrap();
        first.finish().unwrap();
        assert!(matches!(second.finish(), Err(Error::Exists { .. })));
        assert!(target.join("mine").exists());
        begin(true).finish().unwrap();
        assert!(!target.join("mine").exists());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
