use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use moka::sync::Cache;
use ndarray::ArrayD;

use crate::Error;
use crate::zarr_element::Element;
use crate::zarr_metadata::{ArrayMetadata, ChunkKeys};
use crate::zarr_shards::{Place, Shards};

/// What is kept of shards' indices, in bytes.
const INDICES: u64 = 32 << 20;

/// An array on disk: its metadata, and where its chunks lie.
#[derive(Debug)]
pub(crate) struct ZarrArray {
    pub metadata: ArrayMetadata,
    folder: PathBuf,
    indices: Cache<PathBuf, Arc<Vec<Place>>>,
}

/// A chunk that cannot be read: its file and what was found.
#[derive(Clone, Debug)]
pub(crate) struct BadChunk {
    pub path: PathBuf,
    pub found: String,
}

impl BadChunk {
    fn io(path: &Path) -> impl Fn(std::io::Error) -> Self {
        |error| Self {
            path: path.to_owned(),
            found: error.to_string(),
        }
    }
}

impl From<&BadChunk> for Error {
    fn from(chunk: &BadChunk) -> Self {
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
        let others = ChunkKeys::ALL.into_iter().filter(|keys| *keys != said);
        let counts = counts(&metadata);
        let found = std::iter::once(said)
            .chain(others)
            .find(|keys| has_chunk(folder, *keys, &counts));
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
        shards.map_or(&self.metadata.chunk, |shards| &shards.chunk)
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
            return chunk.map(Some).map_err(|found| BadChunk { path, found });
        };
        let steps = position.iter().zip(&shards.counts);
        let (shard, within): (Vec<usize>, Vec<usize>) =
            steps.map(|(at, count)| (at / count, at % count)).unzip();
        let path = self.file(&shard);
        let wrong = |found| BadChunk {
            path: path.clone(),
            found,
        };
        let Some((mut file, length)) = open(&path)? else {
            return Ok(None);
        };
        let places = self.places(shards, &path, &mut file, length)?;
        let number = within
            .iter()
            .zip(&shards.counts)
            .fold(0, |number, (at, count)| number * count + at);
        let Some(place) = places[number].clone() else {
            return Ok(None);
        };
        let limit = longest(&shards.chunk, T::WIDTH);
        if place.len() > limit {
            return Err(wrong(format!(
                "{} bytes for a chunk of {limit}",
                place.len()
            )));
        }
        let bytes = read_at(&mut file, place).map_err(BadChunk::io(&path))?;
        let chunk = shards.codecs.decode(&bytes, &shards.chunk, fill);
        chunk.map(Some).map_err(wrong)
    }

    /// A shard's index, read once.
    fn places(
        &self,
        shards: &Shards,
        path: &Path,
        file: &mut std::fs::File,
        length: usize,
    ) -> Result<Arc<Vec<Place>>, BadChunk> {
        let wrong = |found| BadChunk {
            path: path.to_owned(),
            found,
        };
        let read = || {
            let start = shards.index_start(length).map_err(wrong)?;
            let range = start..start + shards.index_length();
            let bytes = read_at(file, range).map_err(BadChunk::io(path))?;
            shards.places(&bytes, length).map(Arc::new).map_err(wrong)
        };
        self.indices
            .try_get_with_by_ref(path, read)
            .map_err(|error: Arc<BadChunk>| (*error).clone())
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
        let Some((file, length)) = open(path)? else {
            return Ok(None);
        };
        let limit = longest(&self.metadata.chunk, self.metadata.element.width());
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
        Err(BadChunk {
            path: path.to_owned(),
            found,
        })
    }
}

/// The most bytes that a chunk takes in its file: compression makes noise a little longer, and
/// shards have an index.
fn longest(chunk: &[usize], width: usize) -> usize {
    2 * width * chunk.iter().product::<usize>() + (64 << 10)
}

fn open(path: &Path) -> Result<Option<(std::fs::File, usize)>, BadChunk> {
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(BadChunk::io(path)(error)),
    };
    let about = file.metadata().map_err(BadChunk::io(path))?;
    match about.is_file() {
        true => Ok(Some((file, about.len() as usize))),
        false => Err(BadChunk {
            path: path.to_owned(),
            found: "no file".to_owned(),
        }),
    }
}

fn read_at(file: &mut std::fs::File, range: std::ops::Range<usize>) -> std::io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(range.start as u64))?;
    let mut bytes = vec![0; range.len()];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn counts(metadata: &ArrayMetadata) -> Vec<usize> {
    let sides = metadata.shape.iter().zip(&metadata.chunk);
    sides.map(|(size, side)| size.div_ceil(*side)).collect()
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
