//! Fragments on servers: `https://…`, `http://…` and `s3://bucket/key`.
//!
//! An address stands in the place of a path, and parts of it are joined by `/` as parts of paths are.
//! What a server says is believed in one case only: 404 means that there is no such file. Anything
//! else (403, 429, 5xx, a line that breaks, a body that ends early) is asked for again, with longer
//! and longer pauses, and is then an error. Chunks and blocks of files are kept on disk.

mod address;
mod client;
mod disk_cache;
mod index_page;
mod listing;
mod remote_file;
mod s3;
mod settings;
mod signature;
mod trouble;

use std::io;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use moka::sync::Cache;
use rayon::{ThreadPool, ThreadPoolBuilder};
use sha2::{Digest, Sha256};

pub(crate) use address::Address;
use client::{Answer, Client};
use disk_cache::DiskCache;
pub(crate) use remote_file::RemoteFile;
pub use settings::RemoteSettings;
pub use trouble::RemoteFailure;
use trouble::Trouble;

use crate::sha256_hex;

/// Bytes of metadata and of listings that are kept in memory.
const KEPT_DOCUMENTS: u64 = 64 << 20;
/// Requests under way at once.
const CONCURRENT: usize = 16;
/// The largest metadata file, and the largest listing.
const LARGEST_DOCUMENT: u64 = 16 << 20;

static SETTINGS: Mutex<Option<RemoteSettings>> = Mutex::new(None);
static REMOTE: LazyLock<Remote> = LazyLock::new(Remote::new);

/// Sets how fragments on servers are read, in place of what the environment says. To be called before
/// the first of them is opened; later it has no effect.
pub fn configure_remote(settings: RemoteSettings) {
    *SETTINGS.lock().unwrap_or_else(PoisonError::into_inner) = Some(settings);
}

/// Whether `path` is an address on a server.
pub fn is_remote(path: &Path) -> bool {
    Address::of(path).is_some()
}

/// What a server has under a name.
#[derive(Clone, Debug)]
enum Document {
    Found(Arc<Answer>),
    Absent,
    /// Servers of buckets that must not be listed say this of what is not there, too.
    Forbidden(Trouble),
}

/// A file or folder in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub name: String,
    pub is_folder: bool,
}

struct Remote {
    client: Client,
    cache: DiskCache,
    documents: Cache<String, Document>,
    listings: Cache<String, Arc<Vec<Entry>>>,
    pool: ThreadPool,
}

impl Remote {
    fn new() -> Self {
        let settings = SETTINGS.lock().unwrap_or_else(PoisonError::into_inner);
        let settings = settings.clone().unwrap_or_else(RemoteSettings::from_env);
        let weigh = |address: &String, document: &Document| {
            let bytes = match document {
                Document::Found(answer) => answer.bytes.len(),
                _ => 0,
            };
            u32::try_from(address.len() + bytes + 256).unwrap_or(u32::MAX)
        };
        Self {
            client: Client::new(settings.attempts, settings.s3_endpoint),
            cache: DiskCache::new(settings.cache, settings.cache_bytes),
            documents: Cache::builder()
                .max_capacity(KEPT_DOCUMENTS)
                .weigher(weigh)
                .build(),
            listings: Cache::new(1024),
            pool: ThreadPoolBuilder::new()
                .num_threads(CONCURRENT)
                .thread_name(|number| format!("remote-{number}"))
                .build()
                .expect("a pool of threads"),
        }
    }
}

/// Does `work` on threads enough to wait for several answers at once.
pub(crate) fn in_parallel<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    REMOTE.pool.install(work)
}

/// Whether the server is there and lets the Zarr metadata or the files at `address` be read.
///
/// # Errors
/// What keeps it from being read.
pub(crate) fn reach(address: &Address, marks: &[&str]) -> io::Result<()> {
    let mut refused = None;
    for mark in marks {
        match document(&address.join(mark))? {
            Document::Found(_) => return Ok(()),
            Document::Absent => {}
            Document::Forbidden(trouble) => refused = Some(trouble),
        }
    }
    match (refused, list(address)) {
        (Some(trouble), Err(_)) => Err(trouble.about(address)),
        (None, Err(error)) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn document(address: &Address) -> io::Result<Document> {
    let fetch = || match REMOTE
        .client
        .get(address, None, LARGEST_DOCUMENT, &[401, 403])
    {
        Ok(Some(answer)) => Ok(Document::Found(Arc::new(answer))),
        Ok(None) => Ok(Document::Absent),
        Err(trouble @ Trouble::Status(401 | 403)) => Ok(Document::Forbidden(trouble)),
        Err(trouble) => Err(trouble),
    };
    let document = REMOTE.documents.try_get_with(address.to_string(), fetch);
    document.map_err(|trouble: Arc<Trouble>| trouble.about(address))
}

/// A small file, as metadata are; `None` where there is none.
///
/// # Errors
/// What the server or the line does wrong, after several tries.
pub(crate) fn read_document(address: &Address) -> io::Result<Option<Vec<u8>>> {
    Ok(match document(address)? {
        Document::Found(answer) => Some(answer.bytes.clone()),
        _ => None,
    })
}

/// What tells this state of a file from a later one under the same address: a hash of the address,
/// its ETag and the time of its last change. `None` without either, or without the file.
pub(crate) fn identity(address: &Address) -> Option<String> {
    match document(address).ok()? {
        Document::Found(answer) => answer.about.identity(address),
        _ => None,
    }
}

/// The whole of a file of at most `limit` bytes; `None` where the server says that there is none. It
/// is kept on disk as part of the volume `identity`.
///
/// # Errors
/// What the server or the line does wrong, after several tries; a larger file.
pub(crate) fn read_whole(
    address: &Address,
    identity: Option<&str>,
    limit: u64,
) -> io::Result<Option<Vec<u8>>> {
    let key = identity.map(|volume| [volume.to_owned(), hash(&[&address.to_string()])]);
    if let Some([volume, name]) = &key
        && let Some(bytes) = REMOTE.cache.get(volume, name)
    {
        return Ok(Some(bytes));
    }
    let answer = REMOTE.client.get(address, None, limit, &[]);
    let Some(answer) = answer.map_err(|trouble| trouble.about(address))? else {
        return Ok(None);
    };
    if let Some([volume, name]) = &key {
        REMOTE.cache.put(volume, name, &answer.bytes);
    }
    Ok(Some(answer.bytes))
}

/// Whether the server has a file of this name.
///
/// # Errors
/// What the server or the line does wrong, after several tries.
pub(crate) fn is_file(address: &Address) -> io::Result<bool> {
    if let Some(parent) = address.parent()
        && let Some(entries) = REMOTE.listings.get(&parent.to_string())
    {
        let name = address.name();
        let is_it = |entry: &Entry| entry.name == name && !entry.is_folder;
        return Ok(entries.iter().any(is_it));
    }
    match REMOTE.client.get(address, Some(0..1), 1, &[]) {
        Ok(answer) => Ok(answer.is_some()),
        Err(trouble) => Err(trouble.about(address)),
    }
}

/// Whether there is a folder: by the listing of the one that it lies in, or by its own.
pub(crate) fn is_folder(address: &Address) -> bool {
    if let Some(parent) = address.parent()
        && let Some(entries) = REMOTE.listings.get(&parent.to_string())
    {
        let name = address.name();
        let is_it = |entry: &Entry| entry.name == name && entry.is_folder;
        return entries.iter().any(is_it);
    }
    list(address).is_ok_and(|entries| !entries.is_empty())
}

/// What lies in a folder, sorted by name: of a bucket by listing it, of another server by the page
/// that it shows of the folder.
///
/// # Errors
/// A folder that cannot be listed.
pub(crate) fn list(address: &Address) -> io::Result<Arc<Vec<Entry>>> {
    let fetch = || -> Result<Arc<Vec<Entry>>, Trouble> {
        let mut entries = match s3::bucket_of(address) {
            Some(place) => REMOTE.client.list_bucket(&place)?,
            None => {
                let page = address.join("");
                let answer = REMOTE
                    .client
                    .get(&page, None, LARGEST_DOCUMENT, &[401, 403])?;
                let answer = answer.ok_or(Trouble::Status(404))?;
                index_page::entries(&String::from_utf8_lossy(&answer.bytes))
            }
        };
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        entries.dedup();
        Ok(Arc::new(entries))
    };
    let entries = REMOTE.listings.try_get_with(address.to_string(), fetch);
    entries.map_err(|trouble: Arc<Trouble>| trouble.about(address))
}

fn hash(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    sha256_hex(hash)
}
