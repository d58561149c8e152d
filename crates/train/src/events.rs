use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};
use ndarray::Array2;

use crate::run::EVENTS_PREFIX;
use crate::{Error, Run};

/// A run's figures and pictures for TensorBoard: `events.out.tfevents.*` in the run's folder, a
/// new file for every start of the program.
///
/// The format is TFRecord's framing (length, its checksum, bytes, their checksum) around
/// protobuf messages `tensorflow.Event`, of which only the few fields used here are written.
/// Every record is written at once, so that TensorBoard shows it and a kill loses nothing.
pub struct Events {
    path: PathBuf,
    file: File,
}

impl Events {
    /// Begins a file in the folder of `run` whose first event is of `step`; TensorBoard forgets what earlier
    /// files say of that step and later ones.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn create(run: &Run, step: u64) -> Result<Self, Error> {
        // TensorBoard reads files in the order of their names.
        let name = format!(
            "{EVENTS_PREFIX}{:010}.inkling.{}",
            now() as u64,
            std::process::id()
        );
        let path = run.claim(&name)?;
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(Error::io(&path))?;
        let mut events = Self { path, file };
        events.write(0, |event| event.bytes(3, b"brain.Event:2"))?;
        // SessionLog { status: START }.
        events.write(step, |event| event.message(7, |log| log.integer(1, 1)))?;
        Ok(events)
    }

    /// One number.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn scalar(&mut self, tag: &str, step: u64, value: f64) -> Result<(), Error> {
        self.value(tag, step, |entry| entry.float(2, value as f32))
    }

    /// A grey picture, (y, x).
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn picture(&mut self, tag: &str, step: u64, picture: &Array2<u8>) -> Result<(), Error> {
        let (height, width) = picture.dim();
        let mut png = Vec::new();
        let pixels: Vec<u8> = picture.iter().copied().collect();
        PngEncoder::new(&mut png)
            .write_image(&pixels, width as u32, height as u32, ExtendedColorType::L8)
            .map_err(|error| Error::io(&self.path)(std::io::Error::other(error)))?;
        self.value(tag, step, |entry| {
            entry.message(4, |image| {
                image.integer(1, height as u64);
                image.integer(2, width as u64);
                // Colour space 1 is grey.
                image.integer(3, 1);
                image.bytes(4, &png);
            });
        })
    }

    /// An event with a summary of one value.
    fn value(
        &mut self,
        tag: &str,
        step: u64,
        fill: impl FnOnce(&mut Message),
    ) -> Result<(), Error> {
        self.write(step, |event| {
            event.message(5, |summary| {
                summary.message(1, |entry| {
                    entry.bytes(1, tag.as_bytes());
                    fill(entry);
                });
            });
        })
    }

    fn write(&mut self, step: u64, fill: impl FnOnce(&mut Message)) -> Result<(), Error> {
        let mut event = Message::default();
        event.double(1, now());
        event.integer(2, step);
        fill(&mut event);
        self.file
            .write_all(&framed(&event.0))
            .map_err(Error::io(&self.path))
    }
}

/// Seconds since 1970.
fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}

/// A protobuf message being written.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn key(&mut self, field: u64, wire_type: u64) {
        self.varint(field << 3 | wire_type);
    }

    fn integer(&mut self, field: u64, value: u64) {
        self.key(field, 0);
        self.varint(value);
    }

    fn double(&mut self, field: u64, value: f64) {
        self.key(field, 1);
        self.0.extend(value.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.key(field, 2);
        self.varint(bytes.len() as u64);
        self.0.extend(bytes);
    }

    fn float(&mut self, field: u64, value: f32) {
        self.key(field, 5);
        self.0.extend(value.to_le_bytes());
    }

    fn message(&mut self, field: u64, fill: impl FnOnce(&mut Self)) {
        let mut inner = Self::default();
        fill(&mut inner);
        self.bytes(field, &inner.0);
    }
}

/// `bytes` as a TFRecord.
fn framed(bytes: &[u8]) -> Vec<u8> {
    let length = (bytes.len() as u64).to_le_bytes();
    let mut record = length.to_vec();
    record.extend(masked_checksum(&length).to_le_bytes());
    record.extend(bytes);
    record.extend(masked_checksum(bytes).to_le_bytes());
    record
}

/// CRC-32C turned by 15 bits and moved, as TFRecord has it: checksums of data that holds
/// checksums are weak.
fn masked_checksum(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// The cyclic redundancy check of Castagnoli's polynomial.
fn crc32c(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut byte = 0;
        while byte < 256 {
            let mut rest = byte as u32;
            let mut bit = 0;
            while bit < 8 {
                rest = (rest >> 1) ^ ((rest & 1) * 0x82f6_3b78);
                bit += 1;
            }
            table[byte] = rest;
            byte += 1;
        }
        table
    };
    let step = |crc: u32, &byte: &u8| (crc >> 8) ^ TABLE[((crc ^ u32::from(byte)) & 0xff) as usize];
    !bytes.iter().fold(!0, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3720, B.4.
    #[test]
    fn checksums_are_those_of_the_standard() {
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        let rising: Vec<u8> = (0..32).collect();
        assert_eq!(crc32c(&rising), 0x46dd_794e);
    }

    #[test]
    fn records_are_framed_one_after_another() {
        let folder = tempfile::tempdir().unwrap();
        let run = Run::open(folder.path(), false, false).unwrap();
        let mut events = Events::create(&run, 5).unwrap();
        events.scalar("loss", 5, 0.5).unwrap();
        events.picture("ink", 5, &Array2::zeros((3, 4))).unwrap();
        let bytes = std::fs::read(&events.path).unwrap();
        let mut rest = bytes.as_slice();
        let mut lengths = Vec::new();
        while let Some((length, tail)) = rest.split_first_chunk::<8>() {
            let size = u64::from_le_bytes(*length) as usize;
            assert_eq!(tail[..4], masked_checksum(length).to_le_bytes());
            let body = &tail[4..4 + size];
            assert_eq!(
                tail[4 + size..8 + size],
                masked_checksum(body).to_le_bytes()
            );
            lengths.push(size);
            rest = &tail[8 + size..];
        }
        assert_eq!(lengths.len(), 4);
        assert!(
            bytes
                .windows(8)
                .any(|window| window == b"\x89PNG\r\n\x1a\n")
        );
    }
}
