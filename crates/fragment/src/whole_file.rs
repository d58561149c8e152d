use std::fs::File;
use std::io::{BufWriter, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tempfile::TempPath;

use crate::Error;
use crate::temporary::{file_beside, folder_of};

/// A file that appears under its name when all of it is there, and safe from a power cut; dropped
/// before, it leaves nothing.
pub(crate) struct WholeFile {
    target: PathBuf,
    force: bool,
    writer: BufWriter<File>,
    hidden: TempPath,
}

impl WholeFile {
    /// Begins the file `target`, which must not be there without `force`.
    pub fn create(target: &Path, force: bool) -> Result<Self, Error> {
        if target.exists() && !force {
            let path = target.to_owned();
            return Err(Error::Exists { path });
        }
        if target.is_dir() {
            let path = target.to_owned();
            return Err(Error::IsFolder { path });
        }
        let (file, hidden) = file_beside(target)?;
        Ok(Self {
            target: target.to_owned(),
            force,
            writer: BufWriter::with_capacity(1 << 20, file),
            hidden,
        })
    }

    /// Its name to be.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Gives the file its name, which without force nobody may have taken meanwhile.
    pub fn finish(mut self) -> Result<PathBuf, Error> {
        let path = &self.target;
        self.writer.flush().map_err(Error::io(path))?;
        let file = self.writer.get_ref();
        file.sync_all().map_err(Error::io(path))?;
        give_name(self.hidden, path, self.force)?;
        settled(folder_of(path)).map_err(Error::io(path))?;
        Ok(self.target)
    }
}

fn give_name(hidden: TempPath, path: &Path, force: bool) -> Result<(), Error> {
    let exists = || Error::Exists {
        path: path.to_owned(),
    };
    let named = match force {
        true => hidden.persist(path),
        false => match hidden.persist_noclobber(path) {
            Err(refused) if refused.error.kind() == ErrorKind::AlreadyExists => {
                return Err(exists());
            }
            // Some file systems can give a name, but not only if it is free.
            Err(_) if path.exists() => return Err(exists()),
            Err(refused) => refused.path.persist(path),
            named => named,
        },
    };
    named.map_err(|refused| Error::io(path)(refused.error))
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.writer.flush()
    }
}

impl Seek for WholeFile {
    fn seek(&mut self, place: SeekFrom) -> std::io::Result<u64> {
        self.writer.seek(place)
    }
}

/// Writes `path` beside itself and renames it into place once `fill` returned and the bytes are
/// on the disk: whoever looks sees the old file or the whole new one, also after a power cut.
///
/// # Errors
/// [`Error::Exists`] when there is one and `force` is false; what `fill` and the system say.
pub fn write_whole<E: From<Error>>(
    path: impl AsRef<Path>,
    force: bool,
    fill: impl FnOnce(&mut BufWriter<File>) -> Result<(), E>,
) -> Result<(), E> {
    let mut file = WholeFile::create(path.as_ref(), force)?;
    fill(&mut file.writer)?;
    file.finish()?;
    Ok(())
}

/// Writes `bytes` to `path`, whole, as [`write_whole`] does.
///
/// # Errors
/// As [`write_whole`].
pub fn write_bytes(
    path: impl AsRef<Path>,
    bytes: impl AsRef<[u8]>,
    force: bool,
) -> Result<(), Error> {
    let path = path.as_ref();
    write_whole(path, force, |file| {
        file.write_all(bytes.as_ref()).map_err(Error::io(path))
    })
}

/// A new name is safe from a power cut only once its folder is on the disk, too.
#[cfg(unix)]
fn settled(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn settled(_folder: &Path) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("result");
        std::fs::write(&path, "old").unwrap();
        let outcome = write_whole(&path, true, |file| {
            file.write_all(b"half").map_err(Error::io(&path))?;
            Err(Error::EmptyMask { path: path.clone() })
        });
        assert!(outcome.is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    /// Neither is what appeared while the file was being written.
    #[test]
    fn a_name_that_was_taken_meanwhile_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("result");
        let outcome = write_whole(&path, false, |file| {
            std::fs::write(&path, "another process").unwrap();
            file.write_all(b"mine").map_err(Error::io(&path))
        });
        assert!(matches!(outcome, Err(Error::Exists { .. })));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "another process");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn nothing_is_overwritten_unasked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("result");
        let write = |force, text: &str| {
            write_whole(&path, force, |file| {
                file.write_all(text.as_bytes()).map_err(Error::io(&path))
            })
        };
        write(false, "first").unwrap();
        assert!(matches!(write(false, "second"), Err(Error::Exists { .. })));
        write(true, "third").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "third");
    }
}
