use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use moka::sync::Cache;
use ndarray::ArrayD;

use crate::Error;
use crate::remote::{self, Address, RemoteFailure};
use crate::storage::StoredFile;
use crate::zarr_codecs::Shards;
use crate::zarr_element::Element;
use crate::zarr_json::read_json;
use crate::zarr_metadata::{ArrayMetadata, ChunkKeys};
use crate::zarr_shards::Place;

/// What is kept of shards' indices, in bytes.
const INDICES: u64 = 32 << 20;

/// An array on disk: its metadata, and where its chunks lie.
#[derive(Debug)]
pub(crate) struct ZarrArray {
    pub metadata: ArrayMetadata,
    folder: PathBuf,
    /// Of an array on a server, where it is and what tells this state of it from a later one.
    remote: Option<(Address, Option<String>)>,
    indices: Cache<PathBuf, Arc<Vec<Place>>>,
}

/// A chunk that cannot be read: its file and what was found.
#[derive(Clone, Debug)]
pub(crate) struct BadChunk {
    pub path: PathBuf,
    pub found: String,
    /// Where a server did not hand it out.
    failure: Option<RemoteFailure>,
}

impl BadChunk {
    fn io(path: &Path) -> impl Fn(std::io::Error) -> Self {
        |error| Self {
            failure: RemoteFailure::within(&error).cloned(),
            ..Self::new(path, error.to_string())
        }
    }

    fn new(path: &Path, found: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            found: found.into(),
            failure: None,
        }
    }
}

impl From<&BadChunk> for Error {
    fn from(chunk: &BadChunk) -> Self {
        if let Some(failure) = &chunk.failure {
            return Self::Remote(failure.clone());
        }
        Self::ZarrContent {
            path: chunk.path.clone(),
            found: chunk.found.clone(),
            expected: "a whole chunk of its array".to_owned(),
            hint: "copy this file again".to_owned(),
        }
    }
}

impl ZarrArray {
    /// The array of `metadata` in `folder`. Where its chunks lie under other names than the
    /// metadata say, with `/` for `.` for one, that is found out and said.
    ///
    /// An array without a single chunk is all fill value, as zarr-python leaves empty labels; where
    /// that is not `may_be_empty`, the chunks were lost.
    ///
    /// # Errors
    /// [`Error::ZarrContent`] for an array without a single chunk.
    pub fn open(
        folder: &Path,
        mut metadata: ArrayMetadata,
        may_be_empty: bool,
    ) -> Result<(Self, Option<String>), Error> {
        let said = metadata.keys;
        let counts = counts(&metadata);
        let remote = Address::of(folder).map(|address| {
            let file = if is_version_3(folder) {
                "zarr.json"
            } else {
                ".zarray"
            };
            let identity = remote::identity(&address.join(file));
            (address, identity)
        });
        let found = match &remote {
            Some((address, _)) => {
                keys_on_server(address, said, &counts).map_err(Error::io(folder))?
            }
            None => keys_first(said).find(|keys| has_chunk(folder, *keys, &counts)),
        };
        let first = vec![0; counts.len()];
        let Some(keys) = found.or(may_be_empty.then_some(said)) else {
            return Err(Error::ZarrContent {
                path: folder.to_owned(),
                found: "an array without a single chunk".to_owned(),
                expected: format!("files like {}", said.file(&first)),
                hint: "copy the chunks, too".to_owned(),
            });
        };
        let (named, lie) = (said.file(&first), keys.file(&first));
        let word = match found {
            None => Some("not a single chunk is there: all of it is empty".to_owned()),
            Some(_) if named == lie => None,
            Some(_) => Some(format!(
                "its metadata name chunks as {named}, they lie as {lie}"
            )),
        };
        metadata.keys = keys;
        let weigh = |_: &PathBuf, places: &Arc<Vec<Place>>| {
            u32::try_from(size_of::<Place>() * places.len() + 256).unwrap_or(u32::MAX)
        };
        let array = Self {
            metadata,
            folder: folder.to_owned(),
            remote,
            indices: Cache::builder()
                .max_capacity(INDICES)
                .weigher(weigh)
                .build(),
        };
        Ok((array, word))
    }

    /// Elements of what is decoded at a time along each axis: a chunk, or one within a shard.
    pub fn unit(&self) -> &[usize] {
        let shards = self.metadata.codecs.open_shards();
        shards.map_or(&self.metadata.chunk, |shards| &shards.index.chunk)
    }

    /// Units along each axis.
    pub fn units(&self) -> Vec<usize> {
        let sides = self.metadata.shape.iter().zip(self.unit());
        sides.map(|(size, side)| size.div_ceil(*side)).collect()
    }

    /// Decodes a unit; `None` where it is not stored.
    ///
    /// # Errors
    /// [`BadChunk`].
    pub fn read_unit<T: Element>(
        &self,
        position: &[usize],
        fill: T,
    ) -> Result<Option<ArrayD<T>>, BadChunk> {
        let codecs = &self.metadata.codecs;
        let Some(shards) = codecs.open_shards() else {
            let path = self.file(position);
            let Some(bytes) = self.read_whole(&path)? else {
                return Ok(None);
            };
            let chunk = codecs.decode(&bytes, &self.metadata.chunk, fill);
            return chunk.map(Some).map_err(|found| BadChunk::new(&path, found));
        };
        let steps = position.iter().zip(&shards.index.counts);
        let (shard, within): (Vec<usize>, Vec<usize>) =
            steps.map(|(at, count)| (at / count, at % count)).unzip();
        let path = self.file(&shard);
        let wrong = |found| BadChunk::new(&path, found);
        let Some((mut file, length)) = open(&path)? else {
            return Ok(None);
        };
        let places = self.places(shards, &path, &mut file, length)?;
        let number = within
            .iter()
            .zip(&shards.index.counts)
            .fold(0, |number, (at, count)| number * count + at);
        let Some(place) = places[number].clone() else {
            return Ok(None);
        };
        let limit = longest(&shards.index.chunk, T::WIDTH);
        if place.len() > limit {
            return Err(wrong(format!(
                "{} bytes for a chunk of {limit}",
                place.len()
            )));
        }
        let bytes = file.read_range(place.start as u64..place.end as u64);
        let bytes = bytes.map_err(BadChunk::io(&path))?;
        let chunk = shards.codecs.decode(&bytes, &shards.index.chunk, fill);
        chunk.map(Some).map_err(wrong)
    }

    /// What is wrong with the values of a unit.
    pub fn bad_unit(&self, position: &[usize], found: String) -> BadChunk {
        let shards = self.metadata.codecs.open_shards();
        let file: Vec<usize> = match shards {
            Some(shards) => {
                let steps = position.iter().zip(&shards.index.counts);
                steps.map(|(at, count)| at / count).collect()
            }
            None => position.to_vec(),
        };
        BadChunk::new(&self.file(&file), found)
    }

    /// A shard's index, read once.
    fn places(
        &self,
        shards: &Shards,
        path: &Path,
        file: &mut StoredFile,
        length: usize,
    ) -> Result<Arc<Vec<Place>>, BadChunk> {
        let wrong = |found| BadChunk::new(path, found);
        let read = || {
            let start = shards.index.start(length).map_err(wrong)? as u64;
            let range = start..start + shards.index.length() as u64;
            let bytes = file.read_range(range).map_err(BadChunk::io(path))?;
            shards
                .index
                .places(&bytes, length)
                .map(Arc::new)
                .map_err(wrong)
        };
        self.indices
            .try_get_with_by_ref(path, read)
            .map_err(|error: Arc<BadChunk>| (*error).clone())
    }

    /// Of an array on a server: what tells its state from a later one, where the server says it.
    pub fn identity(&self) -> Option<&str> {
        self.remote.as_ref()?.1.as_deref()
    }

    /// The file of a chunk, and whether there is one.
    pub fn is_stored(&self, position: &[usize]) -> bool {
        self.file(position).is_file()
    }

    /// Files along each axis.
    pub fn files(&self) -> Vec<usize> {
        counts(&self.metadata)
    }

    fn file(&self, position: &[usize]) -> PathBuf {
        self.folder.join(self.metadata.keys.file(position))
    }

    fn read_whole(&self, path: &Path) -> Result<Option<Vec<u8>>, BadChunk> {
        let limit = longest(&self.metadata.chunk, self.metadata.element.width());
        if let (Some(address), Some((_, identity))) = (Address::of(path), &self.remote) {
            let bytes = remote::read_whole(&address, identity.as_deref(), limit as u64);
            let bytes = bytes.map_err(BadChunk::io(path))?;
            return match bytes.as_ref().is_some_and(Vec::is_empty) {
                true => Err(BadChunk::new(path, "a chunk of no bytes")),
                false => Ok(bytes),
            };
        }
        let Some((file, length)) = open(path)? else {
            return Ok(None);
        };
        let found = match length {
            0 => "a chunk of no bytes".to_owned(),
            _ if length > limit => format!("{length} bytes for a chunk of {limit}"),
            _ => {
                let mut bytes = Vec::with_capacity(length);
                let read = file.take(limit as u64 + 1).read_to_end(&mut bytes);
                read.map_err(BadChunk::io(path))?;
                return Ok(Some(bytes));
            }
        };
        Err(BadChunk::new(path, found))
    }
}

/// The most bytes that a chunk takes in its file: compression makes noise a little longer, and
/// shards have an index.
fn longest(chunk: &[usize], width: usize) -> usize {
    2 * width * chunk.iter().product::<usize>() + (64 << 10)
}

fn open(path: &Path) -> Result<Option<(StoredFile, usize)>, BadChunk> {
    let file = match StoredFile::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(BadChunk::io(path)(error)),
    };
    let length = file.length().map_err(BadChunk::io(path))?;
    Ok(Some((file, length as usize)))
}

fn counts(metadata: &ArrayMetadata) -> Vec<usize> {
    let sides = metadata.shape.iter().zip(&metadata.chunk);
    sides.map(|(size, side)| size.div_ceil(*side)).collect()
}

/// Whether the array's metadata are those of Zarr 3.
fn is_version_3(folder: &Path) -> bool {
    read_json(&folder.join("zarr.json")).is_ok_and(|metadata| metadata.is_some())
}

/// All ways to name chunks, the one that the metadata say first.
fn keys_first(said: ChunkKeys) -> impl Iterator<Item = ChunkKeys> {
    let others = ChunkKeys::ALL.into_iter().filter(move |keys| *keys != said);
    std::iter::once(said).chain(others)
}

/// How a server names chunks, by asking for one in the middle and for some others; as the metadata
/// say where it has none of them, which a sparse array may.
fn keys_on_server(
    address: &Address,
    said: ChunkKeys,
    counts: &[usize],
) -> std::io::Result<Option<ChunkKeys>> {
    for eighths in [4, 0, 2, 6] {
        let position: Vec<usize> = counts.iter().map(|count| count * eighths / 8).collect();
        for keys in keys_first(said) {
            if remote::is_file(&address.join(&keys.file(&position)))? {
                return Ok(Some(keys));
            }
        }
    }
    Ok(Some(said))
}

/// Whether any chunk of the grid is there under such a name.
fn has_chunk(folder: &Path, keys: ChunkKeys, counts: &[usize]) -> bool {
    let within = |text: &str, count: usize| text.parse::<usize>().is_ok_and(|at| at < count);
    if keys.separator == '/' {
        let top = match keys.prefix {
            true => folder.join("c"),
            false => folder.to_owned(),
        };
        return is_nested(&top, counts);
    }
    names(folder).any(|name| {
        let numbers = match keys.prefix {
            true => name.strip_prefix("c."),
            false => Some(name.as_str()),
        };
        let parts: Vec<&str> = numbers
            .into_iter()
            .flat_map(|name| name.split('.'))
            .collect();
        let fits = parts.len() == counts.len()
            && parts
                .iter()
                .zip(counts)
                .all(|(part, count)| within(part, *count));
        fits && folder.join(&name).is_file()
    })
}

/// A file below as many folders as there are axes but one, all called by numbers of the grid.
fn is_nested(folder: &Path, counts: &[usize]) -> bool {
    let Some((&count, rest)) = counts.split_first() else {
        return folder.is_file();
    };
    names(folder).any(|name| {
        let within = name.parse::<usize>().is_ok_and(|at| at < count);
        within && is_nested(&folder.join(name), rest)
    })
}

fn names(folder: &Path) -> impl Iterator<Item = String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok())
}
