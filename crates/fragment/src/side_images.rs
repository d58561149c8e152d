//! Where a fragment's masks, labels and infrared photograph lie, and which of several counts.

use std::path::{Path, PathBuf};

use crate::Error;
use crate::drawn_image::read_drawn;
use crate::remarks::remark;
use crate::remote::is_remote;
use crate::storage;
use crate::zarr_levels::is_zarr;

/// What an image beside a fragment's voxels shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SideImageKind {
    /// Where there is papyrus.
    Mask,
    /// Where there is ink.
    InkLabels,
    /// Where the labels can be trusted.
    SupervisionMask,
    /// What is kept for validation.
    ValidationMask,
    /// An infrared photograph.
    Infrared,
}

use SideImageKind::{Infrared, InkLabels, Mask, SupervisionMask, ValidationMask};

/// How names end, the longer ones before those that they end with.
const ENDINGS: [(&str, SideImageKind); 8] = [
    ("supervision_mask", SupervisionMask),
    ("validation_mask", ValidationMask),
    // The mask of a sheet after flattening, which is what the layers show.
    ("flat_mask", Mask),
    ("mask", Mask),
    ("inklabels", InkLabels),
    ("ink_labels", InkLabels),
    ("inklabel", InkLabels),
    ("ir", Infrared),
];

/// File formats of side images.
const FORMATS: [&str; 6] = ["png", "tif", "tiff", "jpg", "jpeg", "zarr"];

/// A file or Zarr folder whose name says that it belongs to a fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SideImage {
    pub path: PathBuf,
    pub kind: SideImageKind,
    /// What stands before the kind: a fragment's name, or nothing.
    pub prefix: String,
    /// 2 of `_v2`; 1 where none is named.
    pub version: u32,
}

impl SideImage {
    /// Reads a name as `segment_inklabels_v2.png`; capitals do not matter.
    pub fn parse(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        let (stem, format) = name.rsplit_once('.')?;
        let format = format.to_ascii_lowercase();
        if name.starts_with('.') || !FORMATS.contains(&format.as_str()) {
            return None;
        }
        let stem = match format.as_str() {
            "zarr" | "tif" | "tiff" => stem.strip_suffix(".ome").unwrap_or(stem),
            _ => stem,
        };
        let (stem, version) = versioned(stem);
        let lower = stem.to_ascii_lowercase();
        let (before, kind) = ENDINGS
            .iter()
            .find_map(|(ending, kind)| Some((lower.strip_suffix(ending)?, *kind)))?;
        let prefix = match before.is_empty() {
            true => "",
            false => stem[..before.len()].strip_suffix(['_', '-'])?,
        };
        Some(Self {
            path: path.to_owned(),
            kind,
            prefix: prefix.to_owned(),
            version,
        })
    }

    /// Whether it counts. On this machine whatever bears the name does: a broken link, a pipe or a Zarr folder without
    /// metadata is an error when it is read, not a fragment without a mask.
    fn is_there(&self) -> bool {
        !is_remote(&self.path) || storage::is_file(&self.path) || is_zarr(&self.path)
    }
}

/// `labels_v2` taken apart.
fn versioned(stem: &str) -> (&str, u32) {
    let unnumbered = stem.trim_end_matches(|letter: char| letter.is_ascii_digit());
    let version = stem[unnumbered.len()..].parse().ok();
    let before = unnumbered.strip_suffix(['v', 'V']);
    let before = before.and_then(|before| before.strip_suffix(['_', '-']));
    match (before, version) {
        (Some(before), Some(version)) => (before, version),
        _ => (stem, 1),
    }
}

/// All side images of the fragment `id` at `path`, sorted by name: those in its folder; of a volume
/// or a level of one, also those beside the volume that bear its name; of a stack in one file, those
/// beside it that bear its name or none.
pub(crate) fn find(path: &Path, id: &str) -> Vec<SideImage> {
    if storage::is_file(path) {
        let parent = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        let mut beside = list(parent.unwrap_or(Path::new(".")));
        beside.retain(|image| image.prefix.is_empty() || image.prefix == id);
        return beside;
    }
    let mut found = list(path);
    if is_zarr(path) {
        let parent = path.parent().unwrap_or(Path::new(".."));
        // A level lies one folder deeper.
        let above = parent.parent().unwrap_or(Path::new(".."));
        let folders = [parent, above].map(|folder| match folder.as_os_str().is_empty() {
            true => Path::new("."),
            false => folder,
        });
        let beside = folders.into_iter().flat_map(list);
        found.extend(beside.filter(|image| image.prefix == id));
    }
    found
}

/// The side images in one folder.
pub(crate) fn list(folder: &Path) -> Vec<SideImage> {
    let entries = storage::list(folder).unwrap_or_default();
    let images = entries.iter().filter_map(|path| SideImage::parse(path));
    let mut images: Vec<_> = images.filter(SideImage::is_there).collect();
    images.sort_by(|one, other| one.path.cmp(&other.path));
    images
}

/// The one image of `kind` among `images`: the newest version, with a word where there are
/// several; several that show the same are one.
///
/// # Errors
/// [`Error::SeveralSideImages`] for two that differ; those of reading them.
pub(crate) fn choose(images: &[SideImage], kind: SideImageKind) -> Result<Option<&Path>, Error> {
    let of_kind = || images.iter().filter(|image| image.kind == kind);
    let newest = |prefix: &str| {
        let versions = of_kind().filter(|image| image.prefix == prefix);
        versions.map(|image| image.version).max()
    };
    let (current, old): (Vec<_>, Vec<_>) =
        of_kind().partition(|image| newest(&image.prefix) == Some(image.version));
    let Some((first, others)) = current.split_first() else {
        return Ok(None);
    };
    if kind != Infrared && !others.is_empty() {
        let chosen = read_drawn(&first.path)?;
        for other in others {
            if read_drawn(&other.path)? != chosen {
                return Err(Error::SeveralSideImages {
                    path: first.path.clone(),
                    other: other.path.clone(),
                });
            }
        }
    }
    for image in old {
        remark(
            &image.path,
            &format!("an older version, left out: {} is newer", name(first)),
        );
    }
    Ok(Some(&first.path))
}

fn name(image: &SideImage) -> String {
    let name = image.path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        let parse = |name: &str| {
            SideImage::parse(Path::new(name)).map(|image| (image.kind, image.prefix, image.version))
        };
        let some = |kind, prefix: &str, version| Some((kind, prefix.to_owned(), version));
        assert_eq!(parse("mask.png"), some(Mask, "", 1));
        assert_eq!(parse("w00_MASK.PNG"), some(Mask, "w00", 1));
        assert_eq!(parse("w00_flat_mask.jpg"), some(Mask, "w00", 1));
        assert_eq!(parse("supervision_mask.png"), some(SupervisionMask, "", 1));
        assert_eq!(
            parse("a_validation_mask_v3.zarr"),
            some(ValidationMask, "a", 3)
        );
        assert_eq!(parse("w00_inklabel.tif"), some(InkLabels, "w00", 1));
        assert_eq!(
            parse("w00_inklabels_v12.ome.zarr"),
            some(InkLabels, "w00", 12)
        );
        assert_eq!(parse("ir.png"), some(Infrared, "", 1));
        for other in [
            "._mask.png",
            "mask.txt",
            "unmask.png",
            "w00.zarr",
            "fir.png",
            "v2.png",
        ] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
