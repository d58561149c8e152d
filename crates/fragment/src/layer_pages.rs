//! Which pages of a TIFF are layers.

use std::path::Path;

use crate::Error;
use crate::layer::Layer;
use crate::tiff_layer::{ROWS_PER_STRIP, STRIP_BYTE_COUNTS, STRIP_OFFSETS, TiffLayer, size};
use crate::tiff_pages::{Directory, IMAGE_DESCRIPTION, NEW_SUBFILE_TYPE, TiffPages};

/// Layers of the deepest stack.
const MOST_LAYERS: u64 = 1 << 20;

/// Bits of the tag that says what a page is to its file: a smaller copy, a transparency mask.
const REDUCED_OR_MASK: u64 = 1 | 4;

/// The layers of one file, from the first, and what was found beside them.
pub(crate) struct Pages {
    pub layers: Vec<Layer>,
    pub remarks: Vec<String>,
}

/// Opens a TIFF and tells its layers from thumbnails, smaller copies and masks.
///
/// # Errors
/// What is wrong with the file, its first page, or one of the layers; [`Error::LayerContent`] for
/// stacks of several channels or times.
pub(crate) fn open_pages(path: &Path) -> Result<Pages, Error> {
    let TiffPages {
        big_endian,
        length,
        pages,
    } = TiffPages::read(path)?;
    let description = pages[0].text(IMAGE_DESCRIPTION);
    let (mut layers, others) = full_pages(path, pages)?;
    let mut remarks = Vec::new();
    if others > 0 {
        remarks.push(format!(
            "{others} smaller pages (thumbnails, pyramids, masks) are left out"
        ));
    }
    let stated = Stack::stated(&description);
    if let Some(stack) = &stated {
        stack.check(path)?;
    }
    let promised = stated.map_or(0, |stack| stack.images);
    if layers.len() == 1 && promised > 1 {
        layers = contiguous(path, &layers[0], promised, length)?;
    } else if promised > layers.len() as u64 {
        let found = layers.len();
        remarks.push(format!(
            "its description speaks of {promised} images, there are {found} pages"
        ));
    }
    let layers = layers
        .into_iter()
        .map(|page| {
            Ok(Layer::tiff(
                path,
                TiffLayer::new(path, page, big_endian, length)?,
            ))
        })
        .collect::<Result<_, Error>>()?;
    Ok(Pages { layers, remarks })
}

/// The pages of the largest size, and how many others there are.
fn full_pages(path: &Path, pages: Vec<Directory>) -> Result<(Vec<Directory>, usize), Error> {
    let all = pages.len();
    let whole = |page: &Directory| page.value(NEW_SUBFILE_TYPE).unwrap_or(0) & REDUCED_OR_MASK == 0;
    let any_whole = pages.iter().any(whole);
    let mut sized = Vec::new();
    for page in pages {
        if whole(&page) || !any_whole {
            sized.push((size(path, &page)?, page));
        }
    }
    let area = |[height, width]: [u64; 2]| height * width;
    let largest = sized
        .iter()
        .map(|(size, _)| *size)
        .max_by_key(|&size| area(size));
    sized.retain(|(size, _)| Some(*size) == largest);
    let others = all - sized.len();
    Ok((sized.into_iter().map(|(_, page)| page).collect(), others))
}

/// What a file's description says of its pages.
#[derive(Debug, Default, PartialEq)]
struct Stack {
    images: u64,
    slices: u64,
    channels: u64,
    times: u64,
}

impl Stack {
    /// ImageJ's text, OME's XML or tifffile's JSON; `None` for any other description.
    fn stated(description: &str) -> Option<Self> {
        let text = description.trim_start();
        if text.starts_with("ImageJ=") {
            let number = |key: &str| {
                let mut lines = text.lines();
                let value = lines.find_map(|line| line.trim().strip_prefix(key));
                value.and_then(|value| value.parse().ok()).unwrap_or(1)
            };
            return Some(Self {
                images: number("images="),
                slices: number("slices="),
                channels: number("channels="),
                times: number("frames="),
            });
        }
        if text.starts_with('{') {
            let json: serde_json::Value = serde_json::from_str(text).ok()?;
            let shape = json.get("shape")?.as_array()?;
            let truncated = json.get("truncated").is_some_and(|value| value == true);
            let images = shape.first()?.as_u64()?;
            return (truncated && shape.len() == 3).then_some(Self {
                images,
                slices: images,
                channels: 1,
                times: 1,
            });
        }
        if text.contains("<OME") {
            let number = |key: &str| {
                let value = text
                    .split_once(key)
                    .and_then(|(_, rest)| rest.split('"').next());
                value.and_then(|value| value.parse().ok()).unwrap_or(1)
            };
            return Some(Self {
                // A file of a series may hold a part of the images.
                images: 0,
                slices: number("SizeZ=\""),
                channels: number("SizeC=\""),
                times: number("SizeT=\""),
            });
        }
        None
    }

    /// One axis only: layers that were saved as times or channels are layers still.
    fn check(&self, path: &Path) -> Result<(), Error> {
        let sides = [self.slices, self.channels, self.times];
        if sides.iter().filter(|&&side| side > 1).count() <= 1 {
            return Ok(());
        }
        let [slices, channels, times] = sides;
        Err(Error::LayerContent {
            path: path.to_owned(),
            found: format!("a stack of {slices} slices, {channels} channels and {times} times"),
            expected: "slices alone",
            hint: "save one channel and one time (Fiji: Image > Duplicate)",
        })
    }
}

/// ImageJ writes stacks beyond 4 GiB with one directory: the other images follow the first one's
/// pixels.
fn contiguous(
    path: &Path,
    first: &Directory,
    count: u64,
    length: u64,
) -> Result<Vec<Directory>, Error> {
    let [height, width] = size(path, first)?;
    let bits = first.value(258).unwrap_or(1);
    let bytes = (height * width).saturating_mul(bits) / 8;
    let offset = first.value(STRIP_OFFSETS).unwrap_or(0);
    let end = bytes
        .checked_mul(count)
        .and_then(|all| all.checked_add(offset));
    let packed = first.value(259).unwrap_or(1) != 1;
    if packed || offset == 0 || count > MOST_LAYERS {
        return Err(Error::LayerContent {
            path: path.to_owned(),
            found: format!("one page, whose description speaks of {count} images"),
            expected: "a page for each image, or images without compression after the first",
            hint: "save the stack again as an image sequence, one file per layer",
        });
    }
    match end {
        Some(end) if end <= length => {}
        _ => {
            return Err(Error::Truncated {
                path: path.to_owned(),
                found: length,
                expected: end.unwrap_or(u64::MAX),
            });
        }
    }
    let page = |index: u64| {
        let mut page = first.clone();
        page.set(STRIP_OFFSETS, offset + index * bytes);
        page.set(STRIP_BYTE_COUNTS, bytes);
        page.set(ROWS_PER_STRIP, height);
        page
    };
    Ok((0..count).map(page).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_of_stacks() {
        let stack = |images, slices, channels, times| Stack {
            images,
            slices,
            channels,
            times,
        };
        let cases = [
            (
                "ImageJ=1.53t\nimages=65\nslices=65\nunit=um",
                Some(stack(65, 65, 1, 1)),
            ),
            (
                "ImageJ=1.53t\nimages=8\nchannels=2\nslices=4\n",
                Some(stack(8, 4, 2, 1)),
            ),
            (
                r#"{"shape": [9, 75, 107], "truncated": true}"#,
                Some(stack(9, 9, 1, 1)),
            ),
            (r#"{"shape": [9, 75, 107]}"#, None),
            (
                r#"<?xml?><OME><Pixels SizeX="5" SizeZ="9" SizeC="1" SizeT="2"/></OME>"#,
                Some(stack(0, 9, 1, 2)),
            ),
            ("a fragment of papyrus", None),
        ];
        for (description, expected) in cases {
            assert_eq!(Stack::stated(description), expected, "{description}");
        }
    }
}
