//! Where a fragment's layers lie, and what is beside them.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::Error;
use crate::float_range::FloatRange;
use crate::layer::Layer;
use crate::layer_names::{Format, Ignored, Series, find_series};
use crate::layer_pages::{Pages, open_pages};
use crate::storage;
use crate::stored_voxels::Sample;

/// Folders that hold layers.
pub(crate) const LAYER_FOLDERS: [&str; 2] = ["surface_volume", "layers"];

/// Words in the names of images that are no layers.
const SIDE_WORDS: [&str; 6] = [
    "mask",
    "inklabel",
    "label",
    "prediction",
    "ir.",
    "composite",
];

/// Names that are listed of a folder without layers.
const LISTED: usize = 8;

/// Layers stored as images, one file each or all in one.
#[derive(Debug)]
pub(crate) struct Layers {
    /// From the first; one at least, all of one size.
    pub layers: Vec<Layer>,
    /// The first layer's number.
    pub first: u64,
    pub ignored: Vec<Ignored>,
    /// Sentences about what was decided.
    pub remarks: Vec<String>,
}

impl Layers {
    /// Looks for layers in `path`, a folder or the file of a stack: in `surface_volume` or
    /// `layers`, in the folder itself, in a stack, or in the one other folder that holds some.
    /// `None` without any, and where a Zarr volume (`has_volume`) is the better source.
    pub fn find(path: &Path, has_volume: bool) -> Result<Option<Self>, Error> {
        if storage::is_file(path) {
            return match Format::of(path) {
                Some(Format::Tiff) => Self::stack(path, Vec::new()).map(Some),
                _ => Ok(None),
            };
        }
        let named = LAYER_FOLDERS.iter().map(|name| path.join(name));
        for folder in named.filter(|folder| storage::is_dir(folder)) {
            if let Some(layers) = Self::folder(&folder, has_volume, |_| true)? {
                return Ok(Some(layers));
            }
        }
        if has_volume || !storage::is_dir(path) {
            return Ok(None);
        }
        let no_side_image = |name: &str| !SIDE_WORDS.iter().any(|word| name.contains(word));
        if let Some(layers) = Self::folder(path, false, no_side_image)? {
            return match path.file_name().and_then(|name| name.to_str()) {
                Some(name) if LAYER_FOLDERS.contains(&name) => Err(Error::LayerContent {
                    path: path.to_owned(),
                    found: "the layers of a fragment".to_owned(),
                    expected: "the fragment's own folder, one above",
                    hint: "name that folder",
                }),
                _ => Ok(Some(layers)),
            };
        }
        Self::other_folder(path)
    }

    /// The layers of one folder, of files whose lower-case name is `eligible`.
    fn folder(
        folder: &Path,
        has_volume: bool,
        eligible: impl Fn(&str) -> bool,
    ) -> Result<Option<Self>, Error> {
        let paths = entries(folder)?.into_iter();
        let paths = paths.filter(|path| eligible(&lower_name(path))).collect();
        let (series, ignored) = find_series(paths).map_err(|[one, other]| Error::LayerContent {
            path: folder.to_owned(),
            found: format!(
                "two series of layers, {} … and {} …",
                name(&one),
                name(&other)
            ),
            expected: "one",
            hint: "move the files of one of them to another folder",
        })?;
        match series {
            Some(series) if series.format == Format::Jpeg && has_volume => Ok(None),
            Some(series) if series.files.len() > 1 => {
                Self::series(folder, series, ignored).map(Some)
            }
            Some(Series { format, mut files }) => {
                let (number, file) = files.swap_remove(0);
                let alone = LAYER_FOLDERS.contains(&lower_name(folder).as_str());
                Self::only_file(&file, format, number, ignored, alone)
            }
            None => match only_tiff(&ignored) {
                Some(file) => {
                    let ignored = ignored.into_iter().filter(|other| other.path != file);
                    Self::only_file(&file, Format::Tiff, 0, ignored.collect(), false)
                }
                None => Ok(None),
            },
        }
    }

    /// A folder's only file: a stack, or one layer where a file `alone` may be one.
    fn only_file(
        file: &Path,
        format: Format,
        number: u64,
        ignored: Vec<Ignored>,
        alone: bool,
    ) -> Result<Option<Self>, Error> {
        let layers = match format {
            Format::Tiff => Self::stack(file, ignored)?,
            _ if !alone => return Ok(None),
            _ => Self::new(vec![open_image(file, format)?], number, ignored, Vec::new())?,
        };
        Ok(match layers.layers.len() {
            1 if alone => Some(Self {
                first: number,
                ..layers
            }),
            1 => None,
            _ => Some(layers),
        })
    }

    /// All layers as pages of one file.
    fn stack(file: &Path, ignored: Vec<Ignored>) -> Result<Self, Error> {
        let Pages { layers, remarks } = open_pages(file)?;
        Self::new(layers, 0, ignored, remarks)
    }

    /// One file for each layer, none missing between.
    fn series(folder: &Path, series: Series, ignored: Vec<Ignored>) -> Result<Self, Error> {
        let Series { format, files } = series;
        check_numbers(folder, &files)?;
        let opened = files
            .par_iter()
            .map(|(_, file)| match format {
                Format::Tiff => open_one(file),
                _ => Ok((open_image(file, format)?, Vec::new())),
            })
            .collect::<Result<Vec<_>, _>>()?;
        let mut remarks: Vec<String> = Vec::new();
        let mut layers = Vec::with_capacity(opened.len());
        for (layer, words) in opened {
            layers.push(layer);
            let new = words.into_iter().find(|word| !remarks.contains(word));
            remarks.extend(
                new.map(|word| format!("{}: {word}", name(layers[layers.len() - 1].path()))),
            );
            remarks.truncate(3);
        }
        Self::new(layers, files[0].0, ignored, remarks)
    }

    fn new(
        mut layers: Vec<Layer>,
        first: u64,
        ignored: Vec<Ignored>,
        mut remarks: Vec<String>,
    ) -> Result<Self, Error> {
        check_sizes(&layers)?;
        remarks.extend(decide_floats(&mut layers)?);
        let eight = layers
            .iter()
            .filter(|layer| layer.sample() == Sample::Eight)
            .count();
        if eight > 0 && eight < layers.len() {
            let all = layers.len();
            remarks.push(format!(
                "{eight} of {all} layers have 8 bits, the others 16: they are read as what they are, 255 as 65535"
            ));
        }
        Ok(Self {
            layers,
            first,
            ignored,
            remarks,
        })
    }

    /// The layers of the only folder in `path` that holds some.
    fn other_folder(path: &Path) -> Result<Option<Self>, Error> {
        let mut found = Vec::new();
        for folder in entries(path)?
            .into_iter()
            .filter(|path| storage::is_dir(path))
        {
            let name = lower_name(&folder);
            let side = SIDE_WORDS.iter().any(|word| name.contains(word));
            if side || name.starts_with('.') || name.ends_with(".zarr") {
                continue;
            }
            let files = entries(&folder)?
                .into_iter()
                .filter(|path| storage::is_file(path));
            if let Ok((Some(series), _)) = find_series(files.collect())
                && series.files.len() > 1
            {
                found.push(folder);
            }
        }
        match &found[..] {
            [] => Ok(None),
            [folder] => {
                let layers = Self::folder(folder, false, |_| true)?;
                Ok(layers.map(|mut layers| {
                    let taken = format!("the layers are taken from the folder {}", name(folder));
                    layers.remarks.push(taken);
                    layers
                }))
            }
            [one, other, ..] => Err(Error::LayerContent {
                path: path.to_owned(),
                found: format!("layers in {} and in {}", name(one), name(other)),
                expected: "one folder of layers, or one called surface_volume or layers",
                hint: "call the right one layers",
            }),
        }
    }
}

fn open_image(file: &Path, format: Format) -> Result<Layer, Error> {
    match format {
        Format::Png => Layer::png(file),
        _ => Layer::jpeg(file),
    }
}

/// The one layer of a file, or the one page of any image, and what was left out.
pub(crate) fn open_one(file: &Path) -> Result<(Layer, Vec<String>), Error> {
    let Pages {
        mut layers,
        remarks,
    } = open_pages(file)?;
    match layers.len() {
        1 => Ok((layers.swap_remove(0), remarks)),
        pages => Err(Error::LayerContent {
            path: file.to_owned(),
            found: format!("{pages} pages of one size, in one of several files"),
            expected: "one layer in each file, or all layers in one file",
            hint: "name the file with all layers, or move the others elsewhere",
        }),
    }
}

/// The only TIFF among files that have no number.
fn only_tiff(files: &[Ignored]) -> Option<PathBuf> {
    let hidden = |path: &Path| name(path).starts_with('.');
    let mut tiffs = files.iter().filter(|file| {
        Format::of(&file.path) == Some(Format::Tiff)
            && storage::is_file(&file.path)
            && !hidden(&file.path)
    });
    match (tiffs.next(), tiffs.next()) {
        (Some(only), None) => Some(only.path.clone()),
        _ => None,
    }
}

fn check_numbers(folder: &Path, files: &[(u64, PathBuf)]) -> Result<(), Error> {
    let (first, last) = (files[0].0, files[files.len() - 1].0);
    if let Some(twins) = files.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(Error::SameNumber {
            path: twins[1].1.clone(),
            other: name(&twins[0].1),
        });
    }
    let gap = files.windows(2).find(|pair| pair[0].0 + 1 != pair[1].0);
    match gap {
        Some(pair) => Err(Error::MissingLayer {
            path: folder.to_owned(),
            first,
            last,
            missing: pair[0].0 + 1,
        }),
        None => Ok(()),
    }
}

fn check_sizes(layers: &[Layer]) -> Result<(), Error> {
    let expected = layers[0].size();
    match layers.iter().find(|layer| layer.size() != expected) {
        Some(odd) => Err(Error::Size {
            path: odd.path().to_owned(),
            found: odd.size(),
            expected,
            like: "the first layer",
            hint: "export all layers at one size",
        }),
        None => Ok(()),
    }
}

/// Decides by the largest values of all layers whether floats go from 0 to 1 or to 65535, and says
/// so; between the two it cannot be known.
fn decide_floats(layers: &mut [Layer]) -> Result<Option<String>, Error> {
    let float = |layer: &Layer| matches!(layer.sample(), Sample::Float(_));
    let count = layers.iter().filter(|layer| float(layer)).count();
    if count == 0 {
        return Ok(None);
    }
    if count < layers.len() {
        let odd = layers.iter().find(|layer| float(layer));
        return Err(Error::PixelType {
            path: odd.unwrap_or(&layers[0]).path().to_owned(),
            found: "32-bit floating-point (among layers of whole numbers)".to_owned(),
        });
    }
    let largest = layers.par_iter().map(Layer::largest_float);
    let largest = largest.try_reduce(|| 0.0, |one, other| Ok(one.max(other)))?;
    let (range, remark) = FloatRange::of_largest(largest, layers[0].path())?;
    layers
        .iter_mut()
        .for_each(|layer| layer.set_float_range(range));
    Ok(Some(remark))
}

/// What lies in a folder, for people.
pub(crate) fn listing(folder: &Path) -> String {
    let Ok(paths) = entries(folder) else {
        return match folder.exists() {
            true => "it is no folder".to_owned(),
            false if folder.to_string_lossy().contains("://") => {
                "an address that begins neither with https:// nor http:// nor s3://".to_owned()
            }
            false => "there is no such folder".to_owned(),
        };
    };
    let names: Vec<String> = paths.iter().take(LISTED).map(|path| name(path)).collect();
    match (names.len(), paths.len()) {
        (0, _) => "it is empty".to_owned(),
        (listed, all) if listed == all => format!("in it: {}", names.join(", ")),
        (listed, all) => format!("in it: {} and {} more", names.join(", "), all - listed),
    }
}

/// A folder's entries, sorted.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    storage::list(folder).map_err(Error::io(folder))
}

fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn lower_name(path: &Path) -> String {
    name(path).to_lowercase()
}
