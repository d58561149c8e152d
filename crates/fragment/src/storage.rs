//! Files and folders, on this machine or on a server: what reads fragments asks here.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::remote::{self, Address, RemoteFile};

/// A file that is read.
#[derive(Debug)]
pub(crate) enum StoredFile {
    Local(File),
    Remote(RemoteFile),
}

impl StoredFile {
    /// # Errors
    /// `NotFound` where there is none, and what the system or the server says.
    pub fn open(path: &Path) -> io::Result<Self> {
        match Address::of(path) {
            Some(address) => RemoteFile::open(&address).map(Self::Remote),
            None => open_file(path).map(Self::Local),
        }
    }

    /// Its bytes.
    pub fn length(&self) -> io::Result<u64> {
        match self {
            Self::Local(file) => Ok(file.metadata()?.len()),
            Self::Remote(file) => Ok(file.length()),
        }
    }

    /// The bytes `range`.
    pub fn read_range(&mut self, range: Range<u64>) -> io::Result<Vec<u8>> {
        if let Self::Remote(file) = self {
            file.fetch(range.clone())?;
        }
        self.seek(SeekFrom::Start(range.start))?;
        let mut bytes = vec![0; (range.end - range.start) as usize];
        self.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

impl Read for StoredFile {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Local(file) => file.read(out),
            Self::Remote(file) => file.read(out),
        }
    }
}

impl Seek for StoredFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match self {
            Self::Local(file) => file.seek(to),
            Self::Remote(file) => file.seek(to),
        }
    }
}

/// Opens a file on this machine to read it. Anything else is refused: a named pipe without a writer would be waited
/// for without end.
///
/// # Errors
/// What the system says; `NotFound` names the target of a broken link, `InvalidInput` for what is
/// no file.
pub fn open_file(path: &Path) -> io::Result<File> {
    let kind = match std::fs::metadata(path) {
        Ok(found) => found.file_type(),
        Err(error) => return Err(broken_link(path).unwrap_or(error)),
    };
    let found = match kind.is_dir() {
        _ if kind.is_file() => return File::open(path),
        true => "found a folder; expected a file",
        false => "found a pipe, a socket or a device; expected a file",
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, found))
}

fn broken_link(path: &Path) -> Option<io::Error> {
    let target = std::fs::read_link(path).ok()?;
    let text = format!("found a link to {}, which is not there", target.display());
    (!path.exists()).then(|| io::Error::new(io::ErrorKind::NotFound, text))
}

/// All bytes of a file.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = StoredFile::open(path)?;
    if let StoredFile::Remote(file) = &file {
        file.fetch(0..file.length())?;
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Whether there is a file of this name; of a server that cannot be asked, it is not.
pub(crate) fn is_file(path: &Path) -> bool {
    match Address::of(path) {
        // What has no ending, or a folder's, is a folder; web servers answer for those, too.
        Some(_)
            if path
                .extension()
                .is_none_or(|end| end == "zarr" || end == "tifs") =>
        {
            false
        }
        Some(address) => remote::is_file(&address).unwrap_or(false),
        None => path.is_file(),
    }
}

/// Whether there is a folder of this name.
pub(crate) fn is_dir(path: &Path) -> bool {
    match Address::of(path) {
        Some(address) => remote::is_folder(&address),
        None => path.is_dir(),
    }
}

/// `path` from the root on; an address as it is.
///
/// # Errors
/// Where the working directory is gone.
pub fn absolute(path: &Path) -> io::Result<PathBuf> {
    match remote::is_remote(path) {
        true => Ok(path.to_owned()),
        false => std::path::absolute(path),
    }
}

/// What lies in a folder, sorted.
///
/// # Errors
/// What the system or the server says.
pub(crate) fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    if let Some(address) = Address::of(folder) {
        let entries = remote::list(&address)?;
        return Ok(entries
            .iter()
            .map(|entry| folder.join(&entry.name))
            .collect());
    }
    let entries = std::fs::read_dir(folder)?;
    let mut paths = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}
