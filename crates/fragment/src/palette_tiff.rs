//! TIFFs of numbered colours, as programs save drawings of few colours. The `tiff` crate refuses them:
//! it is shown grey numbers instead, and the colours are looked up here.

use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use crate::Error;
use crate::storage::StoredFile;
use crate::tiff_pages::TiffPages;

const PHOTOMETRIC: u16 = 262;
const COLOR_MAP: u16 = 320;
/// Of the photometric interpretation.
const PALETTE: u64 = 3;
const BLACK_IS_ZERO: u16 = 1;

/// The colours of a TIFF's first directory.
#[derive(Debug)]
pub(crate) struct Palette {
    /// The brightest of red, green and blue of each number, 0 to 65535.
    brightest: Vec<u16>,
    /// Where the file says that its pixels are numbers of colours.
    place: u64,
    /// 1, black is zero, in the file's own order of bytes.
    grey: [u8; 2],
}

impl Palette {
    /// `None` where the file's pixels are no numbers of colours.
    ///
    /// # Errors
    /// Those of [`TiffPages::read`]; [`Error::Tiff`] for a palette without colours.
    pub fn find(path: &Path) -> Result<Option<Self>, Error> {
        let file = TiffPages::read(path)?;
        let page = &file.pages[0];
        let (Some(PALETTE), Some(place)) = (page.value(PHOTOMETRIC), page.place(PHOTOMETRIC))
        else {
            return Ok(None);
        };
        // All reds, then all greens, then all blues.
        let colours = page.values(COLOR_MAP);
        let count = colours.len() / 3;
        if count == 0 {
            return Err(Error::Tiff {
                path: path.to_owned(),
                reason: "pixels that are numbers of colours, and no colours".to_owned(),
            });
        }
        let brightest = (0..count)
            .map(|number| {
                let of_each = [0, 1, 2].map(|channel| colours[channel * count + number]);
                of_each.into_iter().max().unwrap_or(0).min(65_535) as u16
            })
            .collect();
        let grey = match file.big_endian {
            true => BLACK_IS_ZERO.to_be_bytes(),
            false => BLACK_IS_ZERO.to_le_bytes(),
        };
        Ok(Some(Self {
            brightest,
            place,
            grey,
        }))
    }

    /// `file` as it would be if its numbers were grey values; unchanged without a palette.
    pub fn numbers_as_grey(palette: Option<&Self>, file: StoredFile) -> Overlay {
        Overlay {
            file,
            at: 0,
            changed: palette.map_or((0, Vec::new()), |palette| {
                (palette.place, palette.grey.to_vec())
            }),
        }
    }

    /// Numbers of colours as strengths; a number without a colour is 0.
    pub fn strengths(&self, numbers: &[u16]) -> Vec<u16> {
        let strength = |&number: &u16| self.brightest.get(usize::from(number)).copied();
        numbers
            .iter()
            .map(|number| strength(number).unwrap_or(0))
            .collect()
    }
}

/// A file in which some bytes read otherwise than they are stored.
#[derive(Debug)]
pub(crate) struct Overlay {
    file: StoredFile,
    at: u64,
    /// Where, and what is read there.
    changed: (u64, Vec<u8>),
}

impl Read for Overlay {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(out)?;
        let (place, bytes) = &self.changed;
        for (byte, at) in bytes.iter().zip(*place..) {
            if let Some(within) = at.checked_sub(self.at).filter(|&at| at < count as u64) {
                out[within as usize] = *byte;
            }
        }
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Overlay {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = self.file.seek(to)?;
        Ok(self.at)
    }
}
