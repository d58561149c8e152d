use std::io::{Cursor, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ndarray::{ArrayViewMut1, ArrayViewMut2};

use crate::chunk_cache::{ChunkCache, Decoded};
use crate::float_range::FloatRange;
use crate::image_layer::{decode_jpeg, jpeg_header, png_header, png_rows};
use crate::packed_bytes::PackedBytes;
use crate::remote::is_remote;
use crate::storage::{self, StoredFile};
use crate::stored_voxels::{Sample, Stored};
use crate::tiff_codecs::{Codec, Reversed};
use crate::tiff_layer::{Chunks, TiffLayer};
use crate::{Error, guard_decoder};

/// 8-bit layers are scaled so that white stays white.
const EIGHT_TO_SIXTEEN: u16 = 257;

/// Chunks up to so many bytes are decoded whole, larger ones in bands of rows.
const LARGEST_WHOLE: usize = 2 << 20;
/// Bytes of a band.
const BAND: usize = 256 << 10;

/// One z slice on disk: where its pixels lie, known after reading its header once.
///
/// What has to be decoded is decoded in bands, each a chunk (a strip, a tile, a whole picture) or,
/// of a large one, some of its rows. Bands stay in a cache for all layers. A large chunk's decoder
/// waits after its last band for the next one, so that reading downwards decodes everything once.
#[derive(Debug)]
pub(crate) struct Layer {
    path: PathBuf,
    height: usize,
    width: usize,
    /// Height and width of a chunk.
    chunk: [usize; 2],
    /// Chunks side by side in a row.
    across: usize,
    /// Rows of a band; those of a chunk, or fewer.
    band: usize,
    stored: Stored,
    source: Source,
    cache: ChunkCache,
    waiting: Mutex<Option<Waiting>>,
}

/// Where the numbers come from.
#[derive(Debug)]
enum Source {
    /// Pixels that can be read by position.
    Plain(Vec<u64>),
    Chunks(Codec, Chunks),
    Png,
    Jpeg,
}

/// A large chunk's decoder, stopped between two bands.
struct Waiting {
    chunk: usize,
    next_row: usize,
    stream: Box<dyn Read + Send>,
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "row {} of chunk {}", self.next_row, self.chunk)
    }
}

impl Layer {
    /// A layer of a TIFF.
    pub fn tiff(path: &Path, mut layer: TiffLayer) -> Self {
        layer.join_strips();
        let size = [layer.height, layer.width];
        let (chunk, stored) = (layer.chunks.size, layer.stored);
        let by_position = layer.codec == Codec::None
            && !layer.stored.inverted
            && !layer.chunks.reversed_bits
            && !matches!(stored.sample, Sample::Float(_));
        let source = match by_position {
            true => Source::Plain(layer.chunks.offsets),
            false => Source::Chunks(layer.codec, layer.chunks),
        };
        Self::new(path, size, chunk, stored, source)
    }

    /// A PNG's header, checked.
    pub fn png(path: &Path) -> Result<Self, Error> {
        let (size, sample) = png_header(path)?;
        let stored = Stored {
            sample,
            big_endian: true,
            predictor: 1,
            inverted: false,
        };
        Ok(Self::new(path, size, size, stored, Source::Png))
    }

    /// A JPEG's header, checked.
    pub fn jpeg(path: &Path) -> Result<Self, Error> {
        let (size, sample) = jpeg_header(path)?;
        let stored = Stored {
            sample,
            big_endian: true,
            predictor: 1,
            inverted: false,
        };
        Ok(Self::new(path, size, size, stored, Source::Jpeg))
    }

    fn new(
        path: &Path,
        [height, width]: [usize; 2],
        chunk: [usize; 2],
        stored: Stored,
        source: Source,
    ) -> Self {
        let row = chunk[1] * stored.sample.bytes();
        // JPEG comes whole.
        let whole = matches!(source, Source::Jpeg | Source::Chunks(Codec::Jpeg, _));
        let band = match whole || row.saturating_mul(chunk[0]) <= LARGEST_WHOLE {
            true => chunk[0],
            false => (BAND / row).clamp(1, chunk[0]),
        };
        Self {
            path: path.to_owned(),
            height,
            width,
            chunk,
            across: width.div_ceil(chunk[1]),
            band,
            stored,
            source,
            cache: ChunkCache::new(),
            waiting: Mutex::new(None),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Height and width.
    pub fn size(&self) -> [usize; 2] {
        [self.height, self.width]
    }

    /// What its numbers are.
    pub fn sample(&self) -> Sample {
        self.stored.sample
    }

    /// How it is packed, for people.
    pub fn codec(&self) -> &'static str {
        match &self.source {
            Source::Plain(_) => Codec::None.name(),
            Source::Chunks(codec, _) => codec.name(),
            Source::Png => "PNG",
            Source::Jpeg => "JPEG",
        }
    }

    /// Says which float is white.
    pub fn set_float_range(&mut self, range: FloatRange) {
        self.stored.sample = Sample::Float(range);
    }

    /// The largest float in some rows from the middle of the layer, in an eighth from the top, or
    /// from the bottom.
    pub fn largest_float(&self) -> Result<f32, Error> {
        let mut largest = 0.0_f32;
        for row in [
            self.height / 2,
            self.height / 8,
            self.height - 1 - self.height / 8,
        ] {
            let chunk = row / self.chunk[0] * self.across + self.across / 2;
            let band = row % self.chunk[0] / self.band;
            let found = guard_decoder(|| self.largest_in(chunk, band * self.band));
            let found = found.and_then(|found| found);
            largest = largest.max(found.map_err(|reason| self.damaged(reason))?);
        }
        Ok(largest)
    }

    fn largest_in(&self, chunk: usize, row: usize) -> Result<f32, String> {
        let Some(mut waiting) = self.begin(chunk, row)? else {
            return Ok(0.0);
        };
        let rows = |from: usize| self.band.min(self.stored_rows(chunk).saturating_sub(from));
        loop {
            let count = rows(waiting.next_row);
            let largest = self
                .stored
                .largest(&mut *waiting.stream, count, self.chunk[1]);
            let largest = largest.map_err(|error| error.to_string())?;
            if waiting.next_row >= row {
                return Ok(largest);
            }
            waiting.next_row += count;
        }
    }

    /// Fills `out` with the pixels of rows `y` and columns `x`, touching only the strips or
    /// tiles that they lie in.
    pub fn read(
        &self,
        y: &Range<usize>,
        x: &Range<usize>,
        mut out: ArrayViewMut2<u16>,
    ) -> Result<(), Error> {
        if y.is_empty() || x.is_empty() {
            return Ok(());
        }
        if is_remote(&self.path) {
            self.fetch(y, x).map_err(Error::io(&self.path))?;
        }
        let mut file = match &self.source {
            Source::Plain(_) => Some(StoredFile::open(&self.path).map_err(Error::io(&self.path))?),
            _ => None,
        };
        let [chunk_height, chunk_width] = self.chunk;
        for row in y.start / chunk_height..=(y.end - 1) / chunk_height {
            for column in x.start / chunk_width..=(x.end - 1) / chunk_width {
                let place = Chunk {
                    index: row * self.across + column,
                    y: row * chunk_height,
                    x: column * chunk_width,
                };
                match (&self.source, &mut file) {
                    (Source::Plain(offsets), Some(file)) => {
                        self.copy_plain(offsets[place.index], file, &place, (y, x), &mut out)?;
                    }
                    _ => self.copy_decoded(&place, (y, x), &mut out)?,
                }
            }
        }
        Ok(())
    }

    /// Fetches what reading rows `y` and columns `x` takes from a server, so that a server's failure is
    /// told as such, not as damaged pixels.
    fn fetch(&self, y: &Range<usize>, x: &Range<usize>) -> std::io::Result<()> {
        let StoredFile::Remote(file) = StoredFile::open(&self.path)? else {
            return Ok(());
        };
        let [chunk_height, chunk_width] = self.chunk;
        for row in y.start / chunk_height..=(y.end - 1) / chunk_height {
            for column in x.start / chunk_width..=(x.end - 1) / chunk_width {
                let (chunk, top) = (row * self.across + column, row * chunk_height);
                let rows = y.start.max(top) - top..y.end.min(top + chunk_height) - top;
                let line = (chunk_width * self.stored.sample.bytes()) as u64;
                let lines = |offset: u64| {
                    offset + rows.start as u64 * line..offset + rows.end as u64 * line
                };
                file.fetch(match &self.source {
                    Source::Plain(offsets) if offsets[chunk] == 0 => continue,
                    Source::Plain(offsets) => lines(offsets[chunk]),
                    Source::Chunks(_, chunks) if chunks.offsets[chunk] == 0 => continue,
                    Source::Chunks(Codec::None, chunks) => lines(chunks.offsets[chunk]),
                    Source::Chunks(_, chunks) => {
                        let offset = chunks.offsets[chunk];
                        offset..offset.saturating_add(chunks.counts[chunk])
                    }
                    Source::Png | Source::Jpeg => 0..file.length(),
                })?;
            }
        }
        Ok(())
    }

    /// Rows and columns that a chunk has in common with a region.
    fn common(
        &self,
        place: &Chunk,
        (y, x): (&Range<usize>, &Range<usize>),
    ) -> (Range<usize>, Range<usize>) {
        let rows = y.start.max(place.y)..y.end.min(place.y + self.chunk[0]);
        let columns = x.start.max(place.x)..x.end.min(place.x + self.chunk[1]);
        (rows, columns)
    }

    fn copy_decoded(
        &self,
        place: &Chunk,
        (y, x): (&Range<usize>, &Range<usize>),
        out: &mut ArrayViewMut2<u16>,
    ) -> Result<(), Error> {
        let (rows, columns) = self.common(place, (y, x));
        let first = (rows.start - place.y) / self.band;
        let last = (rows.end - 1 - place.y) / self.band;
        for band in first..=last {
            let decoded = self.band(place.index, band)?;
            let top = place.y + band * self.band;
            for row in rows.start.max(top)..rows.end.min(top + self.band) {
                let from = (row - top) * self.chunk[1] + columns.start - place.x;
                let from = from..from + columns.len();
                let target = columns.start - x.start..columns.end - x.start;
                let target = out.slice_mut(ndarray::s![row - y.start, target]);
                let copied = copy_line(&decoded, from, target);
                copied
                    .ok_or_else(|| self.damaged("a strip or tile that is too short".to_owned()))?;
            }
        }
        Ok(())
    }

    /// A band, from the cache or decoded.
    fn band(&self, chunk: usize, band: usize) -> Result<Arc<Decoded>, Error> {
        let bands = self.chunk[0].div_ceil(self.band);
        let number = |band: usize| (chunk * bands + band) as u64;
        if bands > 1 {
            return match self.cache.peek(number(band)) {
                Some(decoded) => Ok(decoded),
                None => self.next_band(chunk, band, number),
            };
        }
        let decode = || guard_decoder(|| self.decode(chunk)).and_then(|decoded| decoded);
        let decoded = self.cache.get(number(band), decode);
        decoded.map_err(|reason| self.damaged((*reason).clone()))
    }

    /// Decodes from where the decoder waits to `band`, and keeps what is passed on the way.
    fn next_band(
        &self,
        chunk: usize,
        band: usize,
        number: impl Fn(usize) -> u64,
    ) -> Result<Arc<Decoded>, Error> {
        let mut place = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have passed it while this one waited.
        if let Some(decoded) = self.cache.peek(number(band)) {
            return Ok(decoded);
        }
        let row = band * self.band;
        let decoder = place.take();
        let decoder = decoder.filter(|waiting| waiting.chunk == chunk && waiting.next_row <= row);
        let decoded = guard_decoder(|| -> Result<_, String> {
            let begun = match decoder {
                Some(waiting) => Some(waiting),
                None => self.begin(chunk, row)?,
            };
            let Some(mut waiting) = begun else {
                let nothing = match self.stored.inverted {
                    true => self.white(self.band),
                    false => Decoded::Missing,
                };
                return Ok((Arc::new(nothing), None));
            };
            loop {
                let now = waiting.next_row / self.band;
                let rows = self
                    .band
                    .min(self.stored_rows(chunk).saturating_sub(waiting.next_row));
                let stream = &mut *waiting.stream;
                let decoded = self.stored.rows(stream, rows, self.chunk[1]);
                let decoded = Arc::new(decoded.map_err(|error| error.to_string())?);
                self.cache.put(number(now), decoded.clone());
                waiting.next_row += rows;
                if now == band {
                    return Ok((decoded, Some(waiting)));
                }
            }
        });
        let (decoded, waiting) = decoded
            .and_then(|decoded| decoded)
            .map_err(|reason| self.damaged(reason))?;
        *place = waiting;
        Ok(decoded)
    }

    /// A whole chunk.
    fn decode(&self, chunk: usize) -> Result<Decoded, String> {
        let rows = self.stored_rows(chunk);
        match &self.source {
            Source::Jpeg => {
                let bytes = storage::read(&self.path).map_err(|error| error.to_string())?;
                decode_jpeg(&bytes, rows, self.chunk[1])
            }
            Source::Chunks(Codec::Jpeg, chunks) => match chunks.offsets[chunk] {
                0 => Ok(Decoded::Missing),
                _ => decode_jpeg(&self.with_tables(chunks, chunk)?, rows, self.chunk[1]),
            },
            _ => match self.begin(chunk, 0)? {
                None => Ok(Decoded::Missing),
                Some(mut waiting) => {
                    let decoded = self.stored.rows(&mut *waiting.stream, rows, self.chunk[1]);
                    decoded.map_err(|error| error.to_string())
                }
            },
        }
        .map(|decoded| match decoded {
            Decoded::Missing if self.stored.inverted => self.white(rows),
            Decoded::Eight(voxels) if self.stored.inverted && self.is_jpeg() => {
                Decoded::Eight(voxels.mapv_into(|voxel| u8::MAX - voxel))
            }
            decoded => decoded,
        })
    }

    fn is_jpeg(&self) -> bool {
        matches!(self.source, Source::Chunks(Codec::Jpeg, _))
    }

    /// What zeros are where 0 is white.
    fn white(&self, rows: usize) -> Decoded {
        let shape = ndarray::IxDyn(&[rows, self.chunk[1]]);
        match self.stored.sample {
            Sample::Eight => Decoded::Eight(ndarray::ArrayD::from_elem(shape, u8::MAX)),
            _ => Decoded::Sixteen(ndarray::ArrayD::from_elem(shape, u16::MAX)),
        }
    }

    /// A JPEG with the tables that all strips or tiles share: theirs end, and its begins, with a
    /// mark of two bytes.
    fn with_tables(&self, chunks: &Chunks, chunk: usize) -> Result<Vec<u8>, String> {
        let (offset, count) = (chunks.offsets[chunk], chunks.counts[chunk]);
        let mut packed = vec![0; count as usize];
        PackedBytes::new(self.path.clone(), offset, count)
            .read_exact(&mut packed)
            .map_err(|error| error.to_string())?;
        Ok(match (chunks.tables.len(), packed.len()) {
            (4.., 2..) => {
                let tables = &chunks.tables[..chunks.tables.len() - 2];
                [tables, &packed[2..]].concat()
            }
            _ => packed,
        })
    }

    /// A decoder of a chunk, at its beginning or, without compression, at `row`; `None` for one
    /// that is not stored.
    fn begin(&self, chunk: usize, row: usize) -> Result<Option<Waiting>, String> {
        let mut next_row = 0;
        let stream: Box<dyn Read + Send> = match &self.source {
            Source::Png => png_rows(&self.path)?,
            Source::Chunks(codec, chunks) => {
                let (mut offset, mut count) = (chunks.offsets[chunk], chunks.counts[chunk]);
                if offset == 0 {
                    return Ok(None);
                }
                if *codec == Codec::None {
                    let bytes = (self.chunk[1] * self.stored.sample.bytes()) as u64;
                    next_row = row;
                    offset += row as u64 * bytes;
                    count = (self.stored_rows(chunk) - row) as u64 * bytes;
                }
                let packed = PackedBytes::new(self.path.clone(), offset, count);
                let stream = match chunks.reversed_bits {
                    true => codec.unpack(Reversed::new(packed)),
                    false => codec.unpack(packed),
                };
                stream.map_err(|error| error.to_string())?
            }
            Source::Plain(_) | Source::Jpeg => Box::new(Cursor::new(Vec::new())),
        };
        Ok(Some(Waiting {
            chunk,
            next_row,
            stream,
        }))
    }

    /// Rows that are stored of a chunk: the last strip is cut at the layer's end, tiles are not.
    fn stored_rows(&self, chunk: usize) -> usize {
        let above = chunk / self.across * self.chunk[0];
        match &self.source {
            // A tile that is stored by position may end with its last row in sight.
            Source::Chunks(codec, chunks) if chunks.tiled && *codec != Codec::None => self.chunk[0],
            _ => self.chunk[0].min(self.height - above),
        }
    }

    fn copy_plain(
        &self,
        offset: u64,
        file: &mut StoredFile,
        place: &Chunk,
        (y, x): (&Range<usize>, &Range<usize>),
        out: &mut ArrayViewMut2<u16>,
    ) -> Result<(), Error> {
        let (rows, columns) = self.common(place, (y, x));
        let target = columns.start - x.start..columns.end - x.start;
        if offset == 0 {
            let rows = rows.start - y.start..rows.end - y.start;
            out.slice_mut(ndarray::s![rows, target]).fill(0);
            return Ok(());
        }
        let (size, stride) = (self.stored.sample.bytes(), self.chunk[1]);
        // Whole lines lie one after the other: read them at once.
        let together = if columns.len() == stride {
            rows.len()
        } else {
            1
        };
        let mut bytes = vec![0; together * columns.len() * size];
        for first in rows.clone().step_by(together) {
            let pixel = (first - place.y) * stride + columns.start - place.x;
            let offset = offset + (pixel * size) as u64;
            read_at(file, &mut bytes, offset).map_err(Error::io(&self.path))?;
            let lines = first - y.start..first - y.start + together;
            let mut target = out.slice_mut(ndarray::s![lines, target.clone()]);
            let row_bytes = bytes.chunks_exact(columns.len() * size);
            for (row, bytes) in target.rows_mut().into_iter().zip(row_bytes) {
                to_sixteen(bytes, self.stored, row);
            }
        }
        Ok(())
    }

    fn damaged(&self, reason: String) -> Error {
        let path = self.path.clone();
        match self.source {
            Source::Png | Source::Jpeg => Error::LayerContent {
                path,
                found: format!("pixels that cannot be decoded ({reason})"),
                expected: "a whole grey image",
                hint: "copy or export the layer again",
            },
            _ => Error::Tiff { path, reason },
        }
    }
}

/// A chunk and the pixel at its upper left.
struct Chunk {
    index: usize,
    y: usize,
    x: usize,
}

/// Copies some values of a band; `None` where it is too short.
fn copy_line(decoded: &Decoded, from: Range<usize>, mut target: ArrayViewMut1<u16>) -> Option<()> {
    match decoded {
        Decoded::Eight(voxels) => {
            let line = voxels.as_slice()?.get(from)?;
            let sixteen = |&voxel: &u8| u16::from(voxel) * EIGHT_TO_SIXTEEN;
            fill(target, line.iter().map(sixteen));
        }
        Decoded::Sixteen(voxels) => {
            let line = voxels.as_slice()?.get(from)?;
            fill(target, line.iter().copied());
        }
        Decoded::Missing => target.fill(0),
    }
    Some(())
}

/// Stored bytes of a row as voxels.
fn to_sixteen(bytes: &[u8], stored: Stored, row: ArrayViewMut1<u16>) {
    let (pairs, _) = bytes.as_chunks();
    match (stored.sample, stored.big_endian) {
        (Sample::Eight, _) => {
            let sixteen = |&byte: &u8| u16::from(byte) * EIGHT_TO_SIXTEEN;
            fill(row, bytes.iter().map(sixteen));
        }
        (_, true) => fill(row, pairs.iter().map(|&pair| u16::from_be_bytes(pair))),
        (_, false) => fill(row, pairs.iter().map(|&pair| u16::from_le_bytes(pair))),
    }
}

/// Gives the row its values; over slices the loop becomes vector instructions.
#[inline]
fn fill(mut row: ArrayViewMut1<u16>, values: impl Iterator<Item = u16>) {
    match row.as_slice_mut() {
        Some(row) => row
            .iter_mut()
            .zip(values)
            .for_each(|(to, value)| *to = value),
        None => row
            .iter_mut()
            .zip(values)
            .for_each(|(to, value)| *to = value),
    }
}

fn read_at(file: &mut StoredFile, bytes: &mut [u8], offset: u64) -> std::io::Result<()> {
    file.seek(SeekFrom::Start(offset))?;
    file.read_exact(bytes)
}
