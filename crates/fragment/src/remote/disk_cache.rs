//! Files of servers, kept on disk: in a folder for each volume, the least recently used removed first.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// Removing goes on until so much of the room is taken.
const SHARE_LEFT: f64 = 0.9;
/// A file's time of use is written down again after so long.
const TOUCHED_AGAIN: Duration = Duration::from_secs(3600);
/// Bytes of the checksum at a file's end.
const SUM: usize = 4;

/// Bounded in bytes. Every file ends with its checksum, so that one cut short by a power cut or a full
/// disk is fetched again. Where the folder cannot be written, that is said once, and nothing is kept.
#[derive(Debug)]
pub(super) struct DiskCache {
    folder: Option<PathBuf>,
    most: u64,
    /// Bytes that lie there, once they were counted.
    size: Mutex<Option<u64>>,
    gave_up: AtomicBool,
}

impl DiskCache {
    pub fn new(folder: Option<PathBuf>, most: u64) -> Self {
        Self {
            folder,
            most,
            size: Mutex::new(None),
            gave_up: AtomicBool::new(false),
        }
    }

    /// The file `name` of `volume`, whole.
    pub fn get(&self, volume: &str, name: &str) -> Option<Vec<u8>> {
        let path = self.folder.as_ref()?.join(volume).join(name);
        let mut file = File::open(&path).ok()?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).ok()?;
        let Some((content, sum)) = bytes.split_last_chunk::<SUM>() else {
            let _ = std::fs::remove_file(&path);
            return None;
        };
        if crc32c::crc32c(content) != u32::from_le_bytes(*sum) {
            let _ = std::fs::remove_file(&path);
            return None;
        }
        touch(&path);
        bytes.truncate(bytes.len() - SUM);
        Some(bytes)
    }

    /// Keeps a file, if there is room.
    pub fn put(&self, volume: &str, name: &str, bytes: &[u8]) {
        let Some(folder) = self
            .folder
            .as_ref()
            .filter(|_| !self.gave_up.load(Ordering::Relaxed))
        else {
            return;
        };
        if bytes.len() as u64 + SUM as u64 > self.most {
            return;
        }
        match self.write(&folder.join(volume), name, bytes) {
            Ok(()) => self.make_room(folder, (bytes.len() + SUM) as u64),
            Err(error) => {
                if !self.gave_up.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        "{}: {error}: nothing more is kept of what is fetched. hint: free some space, or \
                         name another folder in INKLING_CACHE",
                        folder.display()
                    );
                }
            }
        }
    }

    fn write(&self, folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
        std::fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(bytes)?;
        file.write_all(&crc32c::crc32c(bytes).to_le_bytes())?;
        file.persist(folder.join(name))
            .map(|_| ())
            .map_err(|error| error.error)
    }

    /// Counts what was added, and removes what was not used for longest where that is too much.
    fn make_room(&self, folder: &Path, added: u64) {
        let mut size = self.size.lock().unwrap_or_else(PoisonError::into_inner);
        let known = match *size {
            Some(known) => known + added,
            None => files(folder).iter().map(|file| file.bytes).sum(),
        };
        *size = Some(match known > self.most {
            true => remove_oldest(folder, (self.most as f64 * SHARE_LEFT) as u64),
            false => known,
        });
    }
}

struct Kept {
    path: PathBuf,
    bytes: u64,
    used: SystemTime,
}

/// All files of all volumes. Other processes may remove some meanwhile.
fn files(folder: &Path) -> Vec<Kept> {
    let within = |folder: &Path| {
        let entries = std::fs::read_dir(folder).into_iter().flatten();
        entries
            .flatten()
            .map(|entry| entry.path())
            .collect::<Vec<_>>()
    };
    let mut files = Vec::new();
    for path in within(folder).iter().flat_map(|volume| within(volume)) {
        if let Ok(about) = path.metadata()
            && about.is_file()
        {
            files.push(Kept {
                path,
                bytes: about.len(),
                used: about.modified().unwrap_or(SystemTime::UNIX_EPOCH),
            });
        }
    }
    files
}

/// Removes files until `most` bytes are left; what is left.
fn remove_oldest(folder: &Path, most: u64) -> u64 {
    let mut files = files(folder);
    files.sort_by_key(|file| file.used);
    let mut left: u64 = files.iter().map(|file| file.bytes).sum();
    for file in files {
        if left <= most {
            break;
        }
        if std::fs::remove_file(&file.path).is_ok() {
            left -= file.bytes;
        }
    }
    left
}

/// Writes down that a file was used, by the time of its change.
fn touch(path: &Path) {
    let used = path.metadata().and_then(|about| about.modified());
    let is_old = used.is_ok_and(|used| used.elapsed().is_ok_and(|ago| ago > TOUCHED_AGAIN));
    if is_old && let Ok(file) = File::options().append(true).open(path) {
        let _ = file.set_modified(SystemTime::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn age(cache: &DiskCache, name: &str, hours: u64) {
        let path = cache.folder.as_ref().unwrap().join("v").join(name);
        let file = File::options().append(true).open(path).unwrap();
        let then = SystemTime::now() - Duration::from_secs(3600 * hours);
        file.set_modified(then).unwrap();
    }

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let folder = tempfile::tempdir().unwrap();
        let cache = DiskCache::new(Some(folder.path().to_owned()), 1000);
        for (name, hours) in [("a", 9), ("b", 8), ("c", 7)] {
            cache.put("v", name, &[1; 296]);
            age(&cache, name, hours);
        }
        // Used again.
        assert_eq!(cache.get("v", "a"), Some(vec![1; 296]));
        cache.put("v", "d", &[2; 296]);
        let there = ["a", "b", "c", "d"].map(|name| cache.get("v", name).is_some());
        assert_eq!(there, [true, false, true, true]);
        let bytes: u64 = files(folder.path()).iter().map(|file| file.bytes).sum();
        assert_eq!(bytes, 900);
        cache.put("v", "large", &[0; 1000]);
        assert_eq!(cache.get("v", "large"), None);
        // Another process counts what lies there before it adds to it.
        let next = DiskCache::new(Some(folder.path().to_owned()), 1000);
        next.put("w", "e", &[3; 296]);
        assert!(
            files(folder.path())
                .iter()
                .map(|file| file.bytes)
                .sum::<u64>()
                <= 1000
        );
        assert_eq!(next.get("w", "e"), Some(vec![3; 296]));
    }

    #[test]
    fn a_file_cut_short_is_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        let cache = DiskCache::new(Some(folder.path().to_owned()), 1000);
        let path = folder.path().join("v").join("a");
        for length in [0, 3, 50, 103] {
            cache.put("v", "a", &[7; 100]);
            let bytes = std::fs::read(&path).unwrap();
            std::fs::write(&path, &bytes[..length]).unwrap();
            assert_eq!(cache.get("v", "a"), None, "{length}");
            assert!(!path.exists());
        }
    }

    #[test]
    fn without_a_folder_to_write_nothing_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let taken = folder.path().join("taken");
        std::fs::write(&taken, "a file").unwrap();
        for cache in [
            DiskCache::new(Some(taken), 1000),
            DiskCache::new(None, 1000),
        ] {
            cache.put("v", "a", &[7; 100]);
            assert_eq!(cache.get("v", "a"), None);
        }
    }
}
