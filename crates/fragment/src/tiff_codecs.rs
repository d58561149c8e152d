use std::io::{self, BufRead, Read};

use weezl::BitOrder;
use weezl::LzwStatus;

/// How the pixels of a TIFF are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    None,
    Lzw,
    Deflate,
    PackBits,
    Zstd,
    Jpeg,
}

impl Codec {
    /// By TIFF's number; the name of one that is not read.
    pub fn new(number: u64) -> Result<Self, &'static str> {
        Ok(match number {
            1 => Self::None,
            5 => Self::Lzw,
            7 => Self::Jpeg,
            8 | 32_946 => Self::Deflate,
            32_773 => Self::PackBits,
            34_926 | 50_000 => Self::Zstd,
            2..=4 => return Err("fax"),
            6 => return Err("old-style JPEG"),
            9 | 10 | 34_661..=34_663 => return Err("JBIG"),
            22_610 | 34_892 => return Err("JPEG XR or lossy DNG"),
            32_908..=32_911 | 34_712 | 33_003..=33_005 => return Err("JPEG 2000"),
            34_887 => return Err("LERC"),
            34_925 => return Err("LZMA"),
            34_927 | 50_001 => return Err("WebP"),
            34_933 => return Err("PNG"),
            34_934 => return Err("JPEG XR"),
            50_002 | 52_546 => return Err("JPEG XL"),
            _ => return Err("unknown"),
        })
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Lzw => "LZW",
            Self::Deflate => "deflate",
            Self::PackBits => "PackBits",
            Self::Zstd => "Zstandard",
            Self::Jpeg => "JPEG",
        }
    }

    /// The most bytes that one packed byte can stand for.
    pub fn largest_ratio(self) -> u64 {
        match self {
            Self::None => 1,
            // A code of 12 bits stands for a string of at most 3,837 bytes.
            Self::Lzw => 2_600,
            Self::Deflate => 1_032,
            Self::PackBits => 64,
            // A block of three bytes and one repeats that one 128 KiB times.
            Self::Zstd => 32_768,
            Self::Jpeg => 1_024,
        }
    }

    /// The bytes that `packed` stands for, as they come; JPEG is not a stream of bytes and passes
    /// as it is.
    pub fn unpack<R: BufRead + Send + 'static>(
        self,
        packed: R,
    ) -> io::Result<Box<dyn Read + Send>> {
        Ok(match self {
            Self::None | Self::Jpeg => Box::new(packed),
            Self::Lzw => Box::new(Lzw::new(packed)),
            Self::Deflate => Box::new(flate2::bufread::ZlibDecoder::new(packed)),
            Self::PackBits => Box::new(PackBits {
                packed,
                run: Run::Literal(0),
            }),
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(packed)?;
                decoder.window_log_max(27)?;
                Box::new(decoder)
            }
        })
    }
}

/// LZW as TIFF has it. A chunk is complete when it is full: some writers put the end code on a
/// change of code width, or leave it out.
struct Lzw<R> {
    packed: R,
    decoder: weezl::decode::Decoder,
}

impl<R> Lzw<R> {
    fn new(packed: R) -> Self {
        Self {
            packed,
            decoder: weezl::decode::Decoder::with_tiff_size_switch(BitOrder::Msb, 8),
        }
    }
}

impl<R: BufRead> Read for Lzw<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let packed = self.packed.fill_buf()?;
            let (empty, available) = (packed.is_empty(), packed.len());
            let step = self.decoder.decode_bytes(packed, out);
            self.packed.consume(step.consumed_in.min(available));
            if step.consumed_out > 0 || out.is_empty() {
                return Ok(step.consumed_out);
            }
            match step.status {
                Ok(LzwStatus::Done) => return Ok(0),
                Ok(_) if empty => return Ok(0),
                Ok(LzwStatus::NoProgress) if step.consumed_in == 0 => return Ok(0),
                Ok(_) => {}
                Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
            }
        }
    }
}

/// Runs of bytes: a count, then as many bytes, or one for all.
struct PackBits<R> {
    packed: R,
    run: Run,
}

enum Run {
    Literal(usize),
    Repeated(u8, usize),
}

impl<R: BufRead> PackBits<R> {
    fn byte(&mut self) -> io::Result<Option<u8>> {
        let byte = self.packed.fill_buf()?.first().copied();
        self.packed.consume(usize::from(byte.is_some()));
        Ok(byte)
    }

    /// Begins the next run; `false` at the end.
    fn next(&mut self) -> io::Result<bool> {
        let Some(head) = self.byte()? else {
            return Ok(false);
        };
        self.run = match head as i8 {
            -128 => Run::Literal(0),
            count @ 0.. => Run::Literal(count as usize + 1),
            count => match self.byte()? {
                Some(byte) => Run::Repeated(byte, 1 + usize::from(count.unsigned_abs())),
                None => return Ok(false),
            },
        };
        Ok(true)
    }
}

impl<R: BufRead> Read for PackBits<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        loop {
            match &mut self.run {
                Run::Literal(0) | Run::Repeated(_, 0) => {
                    if !self.next()? {
                        return Ok(0);
                    }
                }
                Run::Literal(left) => {
                    let bytes = self.packed.fill_buf()?;
                    let count = out.len().min(*left).min(bytes.len());
                    out[..count].copy_from_slice(&bytes[..count]);
                    *left -= count;
                    self.packed.consume(count);
                    return Ok(count);
                }
                Run::Repeated(byte, left) => {
                    let count = out.len().min(*left);
                    out[..count].fill(*byte);
                    *left -= count;
                    return Ok(count);
                }
            }
        }
    }
}

/// Packed bytes whose bits run from the lowest (fill order 2).
pub(crate) struct Reversed<R> {
    packed: R,
    block: Vec<u8>,
    used: usize,
}

impl<R> Reversed<R> {
    pub fn new(packed: R) -> Self {
        Self {
            packed,
            block: Vec::new(),
            used: 0,
        }
    }
}

impl<R: Read> BufRead for Reversed<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.used == self.block.len() {
            self.block.resize(16 << 10, 0);
            let count = self.packed.read(&mut self.block)?;
            self.block.truncate(count);
            let reversed = self.block.iter_mut();
            reversed.for_each(|byte| *byte = byte.reverse_bits());
            self.used = 0;
        }
        Ok(&self.block[self.used..])
    }

    fn consume(&mut self, amount: usize) {
        self.used += amount;
    }
}

impl<R: Read> Read for Reversed<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(out)?;
        self.consume(count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unpacked(codec: Codec, packed: Vec<u8>) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut stream = codec.unpack(io::Cursor::new(packed)).unwrap();
        stream.read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn the_example_of_pack_bits() {
        // Apple's technical note 1023.
        let packed = [
            0xFE, 0xAA, 0x02, 0x80, 0x00, 0x2A, 0xFD, 0xAA, 0x03, 0x80, 0x00, 0x2A, 0x22, 0xF7,
            0xAA,
        ];
        let expected = [
            0xAA, 0xAA, 0xAA, 0x80, 0x00, 0x2A, 0xAA, 0xAA, 0xAA, 0xAA, 0x80, 0x00, 0x2A, 0x22,
            0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA,
        ];
        assert_eq!(unpacked(Codec::PackBits, packed.to_vec()), expected);
    }

    #[test]
    fn streams_end_where_their_bytes_end() {
        let text: Vec<u8> = (0..40_000_u32).map(|n| ((n * n) >> 7) as u8).collect();
        let mut lzw = weezl::encode::Encoder::with_tiff_size_switch(BitOrder::Msb, 8);
        let lzw = lzw.encode(&text).unwrap();
        for cut in [1, 100, lzw.len()] {
            let bytes = unpacked(Codec::Lzw, lzw[..cut].to_vec());
            assert!(text.starts_with(&bytes));
            assert_eq!(bytes.len() == text.len(), cut == lzw.len());
        }
        let packed = zstd::encode_all(&text[..], 1).unwrap();
        assert_eq!(unpacked(Codec::Zstd, packed), text);
    }
}
