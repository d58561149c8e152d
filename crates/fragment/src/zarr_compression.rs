use std::borrow::Cow;
use std::io::Read;
use std::sync::Arc;

use flate2::read::{MultiGzDecoder, ZlibDecoder};
use zarrs::array::BytesRepresentation;
use zarrs::array::codec::api::{BytesToBytesCodecTraits, CodecOptions};
use zarrs::array::codec::{BloscCodec, BloscCompressor, BloscShuffleMode};

use crate::guard_decoder;

/// The largest chunk that is decoded, in bytes.
pub(crate) const LARGEST_CHUNK: usize = 1 << 30;

/// How the bytes of a chunk are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    Blosc,
    Crc32c,
    Gzip,
    Lz4,
    Zlib,
    Zstd,
}

impl Compression {
    /// By the name that Zarr 3 and numcodecs give it.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name.strip_prefix("numcodecs.").unwrap_or(name) {
            "blosc" => Self::Blosc,
            // numcodecs' own has its sum in front.
            "crc32c" if name == "crc32c" => Self::Crc32c,
            "gzip" => Self::Gzip,
            "lz4" => Self::Lz4,
            "zlib" => Self::Zlib,
            "zstd" => Self::Zstd,
            _ => return None,
        })
    }

    /// Unpacks `packed` to at most `limit` bytes: neither time nor memory is spent on more than
    /// the array's metadata announce.
    ///
    /// # Errors
    /// What was found: bytes that are damaged, or that hold more than `limit`.
    pub fn unpack(self, packed: &[u8], limit: usize) -> Result<Vec<u8>, String> {
        match self {
            Self::Blosc => unpack_blosc(packed, limit),
            Self::Crc32c => check_crc32c(packed).map(<[u8]>::to_vec),
            Self::Gzip => read_all(MultiGzDecoder::new(packed), limit),
            Self::Zlib => read_all(ZlibDecoder::new(packed), limit),
            Self::Lz4 => unpack_lz4(packed, limit),
            Self::Zstd => unpack_zstd(packed, limit),
        }
    }
}

fn too_much(limit: usize) -> String {
    format!("a chunk that unpacks to more than its {limit} bytes")
}

fn read_all(reader: impl Read, limit: usize) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut reader = reader.take(limit as u64 + 1);
    match reader.read_to_end(&mut bytes) {
        Ok(count) if count > limit => Err(too_much(limit)),
        Ok(_) => Ok(bytes),
        Err(error) => Err(format!("a chunk that cannot be unpacked ({error})")),
    }
}

fn unpack_zstd(packed: &[u8], limit: usize) -> Result<Vec<u8>, String> {
    // The decoder writes into what is reserved and fails where that does not suffice.
    zstd::bulk::decompress(packed, limit)
        .map_err(|error| format!("a chunk that cannot be unpacked to {limit} bytes ({error})"))
}

/// numcodecs' LZ4: the length, then one block.
fn unpack_lz4(packed: &[u8], limit: usize) -> Result<Vec<u8>, String> {
    let Some((length, block)) = packed.split_first_chunk::<4>() else {
        return Err("a chunk that ends in its header".to_owned());
    };
    let length = u32::from_le_bytes(*length) as usize;
    if length > limit {
        return Err(too_much(limit));
    }
    let bytes = lz4_flex::block::decompress(block, length)
        .map_err(|error| format!("a chunk that cannot be unpacked ({error})"))?;
    match bytes.len() == length {
        true => Ok(bytes),
        false => Err(format!("{} bytes of {length}", bytes.len())),
    }
}

/// Blosc's header is 16 bytes; the unpacked length stands at the fourth, the packed one at the
/// twelfth.
fn unpack_blosc(packed: &[u8], limit: usize) -> Result<Vec<u8>, String> {
    let length = |at: usize| {
        let bytes = packed.get(at..)?.first_chunk::<4>()?;
        Some(u32::from_le_bytes(*bytes) as usize)
    };
    let (Some(unpacked), Some(all)) = (length(4), length(12)) else {
        return Err("a chunk that ends in its header".to_owned());
    };
    if unpacked > limit {
        return Err(too_much(limit));
    }
    if all > packed.len() {
        return Err(format!("{} bytes of {all}", packed.len()));
    }
    if unpacked == 0 {
        return Ok(Vec::new());
    }
    let decode = || -> Result<Vec<u8>, String> {
        // Decoding goes by the chunk's own header; these settings are for encoding.
        let codec = BloscCodec::new(
            BloscCompressor::Zstd,
            1.try_into().expect("a level"),
            None,
            BloscShuffleMode::NoShuffle,
            None,
        )
        .map_err(|error| error.to_string())?;
        let size = BytesRepresentation::FixedSize(unpacked as u64);
        Arc::new(codec)
            .decode(Cow::Borrowed(packed), &size, &CodecOptions::default())
            .map(Cow::into_owned)
            .map_err(|error| error.to_string())
    };
    guard_decoder(decode)
        .and_then(|decoded| decoded)
        .map_err(|reason| format!("a chunk that cannot be unpacked ({reason})"))
}

fn check_crc32c(bytes: &[u8]) -> Result<&[u8], String> {
    let Some((content, sum)) = bytes.split_last_chunk::<4>() else {
        return Err("a chunk that is shorter than its checksum".to_owned());
    };
    match crc32c::crc32c(content) == u32::from_le_bytes(*sum) {
        true => Ok(content),
        false => Err("a chunk with a wrong checksum".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn zeros() -> Vec<u8> {
        vec![0; 1 << 20]
    }

    fn packed() -> Vec<(Compression, Vec<u8>)> {
        let best = flate2::Compression::best();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), best);
        gzip.write_all(&zeros()).unwrap();
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), best);
        zlib.write_all(&zeros()).unwrap();
        let mut blosc = vec![2, 1, 0, 1];
        // Memory copied: the header's flag 2 and the bytes as they are.
        blosc[2] = 2;
        for length in [1 << 20, 1 << 20, 16 + (1 << 20)] {
            blosc.extend(u32::to_le_bytes(length));
        }
        blosc.extend(zeros());
        let mut sum = zeros();
        sum.extend(crc32c::crc32c(&zeros()).to_le_bytes());
        vec![
            (Compression::Gzip, gzip.finish().unwrap()),
            (Compression::Zlib, zlib.finish().unwrap()),
            (
                Compression::Zstd,
                zstd::encode_all(&zeros()[..], 1).unwrap(),
            ),
            (
                Compression::Lz4,
                lz4_flex::block::compress_prepend_size(&zeros()),
            ),
            (Compression::Blosc, blosc),
            (Compression::Crc32c, sum),
        ]
    }

    #[test]
    fn every_kind_unpacks_and_says_when_it_is_damaged() {
        for (kind, bytes) in packed() {
            assert_eq!(kind.unpack(&bytes, 1 << 20).unwrap(), zeros(), "{kind:?}");
            for length in [0, 3, 15, bytes.len() / 2, bytes.len() - 1] {
                let cut = kind.unpack(&bytes[..length], 1 << 20);
                assert!(
                    cut.is_err() || cut.as_ref().is_ok_and(|bytes| bytes.len() < 1 << 20),
                    "{kind:?} cut to {length}"
                );
            }
        }
    }

    #[test]
    fn nothing_unpacks_to_more_than_is_announced() {
        for (kind, bytes) in packed() {
            if kind != Compression::Crc32c {
                let error = kind.unpack(&bytes, 1000).unwrap_err();
                assert!(error.contains("1000"), "{kind:?}: {error}");
            }
        }
    }
}
