use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use weezl::BitOrder;
use weezl::decode::Decoder;

/// LZW-compressed tiles.
///
/// The `tiff` crate asks for the end code after a tile's last byte and refuses tiles whose end
/// code lies on a change of code width, as some writers put it. A tile is complete when it is full.
#[derive(Clone, Debug)]
pub(crate) struct LzwTiles {
    pub offsets: Vec<u64>,
    pub counts: Vec<u64>,
    pub big_endian: bool,
    /// Pixels are stored as differences from their left neighbour.
    pub differences: bool,
}

impl LzwTiles {
    /// The pixels of tile `index`, `size` (height, width) of `bits` each, 8-bit ones unscaled.
    pub fn read(
        &self,
        file: &mut File,
        index: usize,
        [height, width]: [usize; 2],
        bits: u8,
    ) -> std::io::Result<Vec<u16>> {
        let mut packed = vec![0; self.counts[index] as usize];
        file.seek(SeekFrom::Start(self.offsets[index]))?;
        file.read_exact(&mut packed)?;
        let bytes = unpack(&packed, height * width * usize::from(bits / 8))?;
        let mut pixels: Vec<u16> = match (bits, self.big_endian) {
            (8, _) => bytes.iter().map(|&byte| u16::from(byte)).collect(),
            (_, true) => pairs(&bytes).map(u16::from_be_bytes).collect(),
            (_, false) => pairs(&bytes).map(u16::from_le_bytes).collect(),
        };
        if self.differences {
            let mask = if bits == 8 { 0xFF } else { 0xFFFF };
            for row in pixels.chunks_exact_mut(width) {
                for x in 1..width {
                    row[x] = row[x].wrapping_add(row[x - 1]) & mask;
                }
            }
        }
        Ok(pixels)
    }
}

fn unpack(packed: &[u8], length: usize) -> std::io::Result<Vec<u8>> {
    let mut decoder = Decoder::with_tiff_size_switch(BitOrder::Msb, 8);
    let mut bytes = vec![0; length];
    let (mut read, mut written) = (0, 0);
    while written < length {
        let step = decoder.decode_bytes(&packed[read..], &mut bytes[written..]);
        if step.consumed_in == 0 && step.consumed_out == 0 {
            return Err(std::io::Error::new(
                std::io::ErrorKind::UnexpectedEof,
                format!("an LZW tile ends after {written} of {length} bytes"),
            ));
        }
        read += step.consumed_in;
        written += step.consumed_out;
    }
    Ok(bytes)
}

fn pairs(bytes: &[u8]) -> impl Iterator<Item = [u8; 2]> {
    bytes.chunks_exact(2).map(|pair| [pair[0], pair[1]])
}
