use std::fs::{File, OpenOptions};
use std::io::{BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use inkling_fragment::{Error as FileError, locked, open_file};
use ndarray::{Array3, ArrayView3};

use crate::Error;

const MAGIC: &[u8; 8] = b"INKLING1";
/// Magic, plan, channels, side, first tile, end.
const HEADER: usize = 8 + 32 + 4 + 4 + 8 + 8;
/// The checksum before a tile's values.
const CHECKSUM: usize = 4;

/// What a file of tiles says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TileHeader {
    pub plan: [u8; 32],
    pub channels: usize,
    pub side: usize,
    pub tiles: Range<usize>,
}

impl TileHeader {
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(self.plan);
        bytes.extend((self.channels as u32).to_le_bytes());
        bytes.extend((self.side as u32).to_le_bytes());
        bytes.extend((self.tiles.start as u64).to_le_bytes());
        bytes.extend((self.tiles.end as u64).to_le_bytes());
        bytes
    }

    /// Values of a tile.
    fn values(&self) -> usize {
        self.channels * self.side * self.side
    }

    /// Bytes of a tile with its checksum.
    fn record(&self) -> usize {
        CHECKSUM + 4 * self.values()
    }
}

/// A file that grows by one tile after the other: a checksum and the values as f32, little-endian.
/// Killed at any moment, it has at most one tile that is not whole.
pub(crate) struct TileWriter {
    path: PathBuf,
    file: File,
    header: TileHeader,
    done: usize,
}

impl TileWriter {
    /// Begins the file anew.
    ///
    /// # Errors
    /// [`Error::InProgress`] while another process writes it; [`Error::Fragment`].
    pub fn create(path: &Path, header: TileHeader) -> Result<Self, Error> {
        let mut file = open_locked(path, File::options().create(true).truncate(false))?;
        file.set_len(0).map_err(io(path))?;
        file.write_all(&header.to_bytes()).map_err(io(path))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            header,
            done: 0,
        })
    }

    /// Continues after the last whole tile.
    ///
    /// # Errors
    /// [`Error::InProgress`] while another process writes it; [`Error::TileFile`]; [`Error::Fragment`].
    pub fn resume(path: &Path, header: TileHeader) -> Result<Self, Error> {
        let mut file = open_locked(path, &mut File::options())?;
        let own = file.try_clone().map_err(io(path))?;
        let mut reader = TileReader::new(own, path, &header)?;
        let mut done = 0;
        while reader.next_whole()?.is_some() {
            done += 1;
        }
        let end = (HEADER + done * header.record()) as u64;
        file.set_len(end).map_err(io(path))?;
        file.seek(SeekFrom::Start(end)).map_err(io(path))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            header,
            done,
        })
    }

    /// Tiles that are there.
    pub fn done(&self) -> usize {
        self.done
    }

    /// The next tile, (channel, y, x).
    pub fn put(&mut self, images: ArrayView3<f32>) -> Result<(), Error> {
        let values: Vec<u8> = images.iter().flat_map(|v| v.to_le_bytes()).collect();
        let mut record = crc32fast::hash(&values).to_le_bytes().to_vec();
        record.extend(values);
        if let Err(source) = self.file.write_all(&record) {
            return Err(self.refused(source));
        }
        self.done += 1;
        Ok(())
    }

    fn refused(&self, source: std::io::Error) -> Error {
        let path = self.path.clone();
        match source.kind() {
            ErrorKind::StorageFull | ErrorKind::FileTooLarge | ErrorKind::QuotaExceeded => {
                let left = self.header.tiles.len() - self.done;
                let left = (left * self.header.record()) as u64;
                Error::Full { path, source, left }
            }
            _ => FileError::Io { path, source }.into(),
        }
    }

    /// Makes sure that all of it is on the disk, and gives the file its final name.
    pub fn finish(self, name: &Path) -> Result<(), Error> {
        debug_assert_eq!(self.done, self.header.tiles.len());
        self.file.sync_all().map_err(io(&self.path))?;
        std::fs::rename(&self.path, name).map_err(io(name))
    }
}

/// Two processes in one file would overwrite each other's tiles.
fn open_locked(path: &Path, options: &mut OpenOptions) -> Result<File, Error> {
    let file = options
        .read(true)
        .write(true)
        .open(path)
        .map_err(io(path))?;
    match locked(&file) {
        true => Ok(file),
        false => Err(Error::InProgress {
            path: path.to_owned(),
        }),
    }
}

/// Reads a file of tiles from the first to the last.
pub(crate) struct TileReader {
    path: PathBuf,
    file: BufReader<File>,
    header: TileHeader,
    next: usize,
}

impl TileReader {
    /// # Errors
    /// [`Error::TileFile`] when it is something else than `header` says.
    pub fn open(path: &Path, header: &TileHeader) -> Result<Self, Error> {
        Self::new(open_file(path).map_err(io(path))?, path, header)
    }

    fn new(file: File, path: &Path, header: &TileHeader) -> Result<Self, Error> {
        let mut file = BufReader::with_capacity(1 << 20, file);
        let mut found = vec![0; HEADER];
        let read = file.read_exact(&mut found);
        if read.is_err() || found != header.to_bytes() {
            return Err(Error::TileFile {
                path: path.to_owned(),
                found: "tiles of another plan, or no tiles".to_owned(),
            });
        }
        Ok(Self {
            path: path.to_owned(),
            file,
            header: header.clone(),
            next: header.tiles.start,
        })
    }

    /// The next tile's place in the plan and its images, or none at the end.
    ///
    /// # Errors
    /// [`Error::TileFile`] for a file that ends early or was damaged.
    pub fn next_tile(&mut self) -> Result<Option<(usize, Array3<f32>)>, Error> {
        if self.next == self.header.tiles.end {
            return Ok(None);
        }
        match self.next_whole()? {
            Some(tile) => Ok(Some(tile)),
            None => Err(Error::TileFile {
                path: self.path.clone(),
                found: format!("a damaged or missing tile {}", self.next),
            }),
        }
    }

    /// The next tile if it is there and undamaged.
    fn next_whole(&mut self) -> Result<Option<(usize, Array3<f32>)>, Error> {
        if self.next == self.header.tiles.end {
            return Ok(None);
        }
        let mut record = vec![0; self.header.record()];
        match self.file.read_exact(&mut record) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(io(&self.path)(error)),
        }
        let (checksum, values) = record.split_at(CHECKSUM);
        if crc32fast::hash(values).to_le_bytes() != checksum {
            return Ok(None);
        }
        let (values, _) = values.as_chunks::<4>();
        let values = values
            .iter()
            .map(|&bytes| f32::from_le_bytes(bytes))
            .collect();
        let shape = (self.header.channels, self.header.side, self.header.side);
        let images = Array3::from_shape_vec(shape, values).expect("a record holds a tile");
        self.next += 1;
        Ok(Some((self.next - 1, images)))
    }
}

fn io(path: &Path) -> impl Fn(std::io::Error) -> Error {
    |source| {
        Error::Fragment(FileError::Io {
            path: path.to_owned(),
            source,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> TileHeader {
        TileHeader {
            plan: [7; 32],
            channels: 2,
            side: 3,
            tiles: 5..9,
        }
    }

    fn tile(index: usize) -> Array3<f32> {
        Array3::from_shape_fn((2, 3, 3), |(c, y, x)| {
            (index * 100 + c * 50 + y * 3 + x) as f32 / 7.0
        })
    }

    #[test]
    fn a_file_is_written_by_one_process() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tiles");
        let mut writer = TileWriter::create(&path, header()).unwrap();
        writer.put(tile(5).view()).unwrap();
        for second in [
            TileWriter::resume(&path, header()),
            TileWriter::create(&path, header()),
        ] {
            assert!(matches!(second.err().unwrap(), Error::InProgress { .. }));
        }
        drop(writer);
        assert_eq!(TileWriter::resume(&path, header()).unwrap().done(), 1);
    }

    /// Cut anywhere, the file goes on behind its last whole tile and ends with the same bytes.
    #[test]
    fn a_file_cut_anywhere_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("whole");
        let mut writer = TileWriter::create(&path, header()).unwrap();
        (5..9).for_each(|index| writer.put(tile(index).view()).unwrap());
        let bytes = std::fs::read(&path).unwrap();
        let record = header().record();
        for cut in (HEADER..=bytes.len()).step_by(5) {
            let path = folder.path().join("cut");
            std::fs::write(&path, &bytes[..cut]).unwrap();
            let mut writer = TileWriter::resume(&path, header()).unwrap();
            assert_eq!(writer.done(), (cut - HEADER) / record);
            for index in 5 + writer.done()..9 {
                writer.put(tile(index).view()).unwrap();
            }
            writer.finish(&folder.path().join("done")).unwrap();
            assert_eq!(std::fs::read(folder.path().join("done")).unwrap(), bytes);
        }
    }

    #[test]
    fn damage_and_other_plans_are_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tiles");
        let mut writer = TileWriter::create(&path, header()).unwrap();
        (5..9).for_each(|index| writer.put(tile(index).view()).unwrap());
        let other = TileHeader {
            plan: [8; 32],
            ..header()
        };
        assert!(matches!(
            TileReader::open(&path, &other),
            Err(Error::TileFile { .. })
        ));
        drop(writer);

        let mut bytes = std::fs::read(&path).unwrap();
        bytes[HEADER + header().record() + 20] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let mut reader = TileReader::open(&path, &header()).unwrap();
        assert_eq!(reader.next_tile().unwrap(), Some((5, tile(5))));
        assert!(matches!(reader.next_tile(), Err(Error::TileFile { .. })));
        // What is damaged is made again, and everything after it.
        assert_eq!(TileWriter::resume(&path, header()).unwrap().done(), 1);
    }
}
