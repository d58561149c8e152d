//! What a result image says of itself besides its pixels: where it comes from, and its scale.

use std::io::{BufReader, Cursor};
use std::path::Path;

use serde_json::Value;
use tiff::decoder::Decoder;
use tiff::tags::Tag;

use crate::probability_image::is_tiff;
use crate::storage::{self, StoredFile};
use crate::{Error, guard_decoder, read_text};

/// The key of PNG's text chunk and of OME-Zarr's attribute.
pub(crate) const KEY: &str = "inkling";

/// Most bytes of a Zarr group's attributes.
const LONGEST: u64 = 16 << 20;

/// Where an image comes from, and its scale.
///
/// | file | provenance | scale |
/// | --- | --- | --- |
/// | PNG | text chunk `inkling`, UTF-8 | `pHYs`, whole pixels a metre |
/// | TIFF | ImageDescription | XResolution and YResolution, pixels a centimetre |
/// | OME-Zarr | attribute `inkling` of the group | `scale` of the multiscale, in micrometres |
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImageMetadata {
    /// Anything that JSON can say.
    pub provenance: Option<Value>,
    /// Side of a pixel, in micrometres.
    pub pixel_size: Option<f64>,
}

impl ImageMetadata {
    /// The provenance, as text.
    pub(crate) fn text(&self) -> Option<String> {
        self.provenance.as_ref().map(Value::to_string)
    }

    /// What the PNG, TIFF or OME-Zarr at `path` says; nothing where it says nothing that
    /// Inkling wrote.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Png`], [`Error::Tiff`] or [`Error::Zarr`] for what cannot be decoded.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        match () {
            () if path.is_dir() => of_zarr(path),
            () if is_tiff(path)? => of_tiff(path),
            () => of_png(path),
        }
    }
}

fn parsed(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok().filter(Value::is_object)
}

fn of_png(path: &Path) -> Result<ImageMetadata, Error> {
    let bytes = storage::read(path).map_err(Error::io(path))?;
    let wrong = |reason: String| Error::Png {
        path: path.to_owned(),
        reason,
    };
    let found = guard_decoder(|| {
        let reader = png::Decoder::new(Cursor::new(bytes)).read_info()?;
        let info = reader.info();
        let chunks = info.utf8_text.iter().filter(|chunk| chunk.keyword == KEY);
        let text = chunks.filter_map(|chunk| chunk.get_text().ok()).next();
        let metres = info.pixel_dims.filter(|dims| dims.unit == png::Unit::Meter);
        Ok(ImageMetadata {
            provenance: text.as_deref().and_then(parsed),
            pixel_size: metres
                .filter(|dims| dims.xppu > 0)
                .map(|dims| 1e6 / f64::from(dims.xppu)),
        })
    });
    let found = found.map_err(wrong)?;
    found.map_err(|error: png::DecodingError| wrong(error.to_string()))
}

fn of_tiff(path: &Path) -> Result<ImageMetadata, Error> {
    let wrong = |reason: String| Error::Tiff {
        path: path.to_owned(),
        reason,
    };
    let file = BufReader::new(StoredFile::open(path).map_err(Error::io(path))?);
    let found = guard_decoder(|| {
        let mut decoder = Decoder::new(file)?;
        let text = decoder.get_tag_ascii_string(Tag::ImageDescription).ok();
        let unit = decoder.get_tag_u32(Tag::ResolutionUnit).unwrap_or(2);
        let length = match unit {
            2 => Some(25_400.0),
            3 => Some(10_000.0),
            _ => None,
        };
        let resolution = decoder.get_tag(Tag::XResolution).ok();
        let resolution = resolution.and_then(|value| match value {
            tiff::decoder::ifd::Value::Rational(pixels @ 1.., by @ 1..) => {
                Some(f64::from(pixels) / f64::from(by))
            }
            _ => None,
        });
        let provenance = text.as_deref().and_then(parsed);
        Ok(ImageMetadata {
            // Others' resolutions are often what a program writes for want of a better one.
            pixel_size: provenance
                .is_some()
                .then(|| Some(length? / resolution?))
                .flatten(),
            provenance,
        })
    });
    let found = found.map_err(wrong)?;
    found.map_err(|error: tiff::TiffError| wrong(error.to_string()))
}

fn of_zarr(path: &Path) -> Result<ImageMetadata, Error> {
    let (file, attributes) = match path.join(".zattrs").exists() {
        true => (path.join(".zattrs"), "/multiscales/0"),
        false => (path.join("zarr.json"), "/attributes/ome/multiscales/0"),
    };
    let text = read_text(&file, LONGEST)?;
    let value: Value = serde_json::from_str(&text).map_err(|error| Error::Zarr {
        path: file.clone(),
        reason: error.to_string(),
    })?;
    let provenance = value
        .get(KEY)
        .or_else(|| value.pointer(&format!("/attributes/{KEY}")));
    let image = value.pointer(attributes);
    let micrometres = image.is_some_and(|image| image["axes"][1]["unit"] == "micrometer");
    let scale = image.and_then(|image| {
        image["datasets"][0]["coordinateTransformations"][0]["scale"][1].as_f64()
    });
    Ok(ImageMetadata {
        provenance: provenance.cloned(),
        pixel_size: scale.filter(|_| micrometres),
    })
}
