//! Fragments as a dataset of nnU-Net (version 2): layers are channels, sheets are cut into squares.

use std::ops::Range;
use std::path::{Path, PathBuf};

use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};
use inkling_fragment::{
    Fragment, Region, ResultFolder, ResultKind, Volume, write_bytes, write_gray,
};
use ndarray::{Array2, Array3, ArrayView2, Axis, s};
use rayon::prelude::*;
use serde_json::{Map, Value, json};

use crate::{Context, Usage, aligned};

/// Values of label images: nnU-Net trains on nothing where the highest one, ignore, stands.
const BACKGROUND: u8 = 0;
const INK: u8 = 1;
const IGNORE: u8 = 2;

/// How fragments become a dataset.
#[derive(Clone, Debug)]
pub struct NnunetOptions {
    /// The dataset's folder, `Dataset501_Scroll`.
    pub out: PathBuf,
    /// First layer and end (exclusive); all by default.
    pub layers: Option<[usize; 2]>,
    /// Depth maps that the voxels are read through.
    pub maps: Option<PathBuf>,
    /// Side of the squares that sheets are cut into, in pixels.
    pub tile: usize,
}

/// Writes `imagesTr` and `labelsTr` of the fragments that have labels, `imagesTs` of the others,
/// `splits_final.json` with one fold for each labelled fragment, and at last `dataset.json`. Each case is a
/// square of a sheet that holds papyrus, as one 16-bit PNG per layer.
///
/// # Errors
/// [`Usage`] for a folder that nnU-Net would not know as a dataset, and for fragments of different numbers of
/// layers; files that are there and must not be replaced; those of reading and writing.
pub fn write_nnunet(
    fragments: &[Fragment],
    options: &NnunetOptions,
    context: &Context,
) -> anyhow::Result<Value> {
    let name = dataset_name(&options.out)?;
    let mut dataset = Dataset {
        options,
        context,
        training: Vec::new(),
        tests: Vec::new(),
    };
    let summary = ResultFolder::shared(&options.out, ResultKind::Dataset);
    for file in ["dataset.json", "splits_final.json"] {
        summary.check(file, context.force)?;
    }
    let mut channels: Option<(Range<usize>, &str)> = None;
    for fragment in fragments {
        let layers = dataset.add(fragment)?;
        match &channels {
            Some((first, id)) if *first != layers => {
                return Err(Usage(format!(
                    "{}: found layers {}..{}; expected {}..{} as {id} has. hint: choose those that all have \
                     with --layers FIRST..END",
                    fragment.path().display(),
                    layers.start,
                    layers.end,
                    first.start,
                    first.end
                ))
                .into());
            }
            _ => channels = channels.or(Some((layers, fragment.id()))),
        }
    }
    let channels = channels.map_or(0..0, |(layers, _)| layers);
    let splits = serde_json::to_string_pretty(&dataset.splits())?;
    write_bytes(
        summary.claim("splits_final.json", context.force)?,
        splits,
        true,
    )?;
    let described = dataset.description(&name, channels);
    let text = serde_json::to_string_pretty(&described)?;
    write_bytes(summary.claim("dataset.json", context.force)?, text, true)?;
    context.say(format!(
        "{}: {} training cases, {} test cases",
        options.out.display(),
        described["numTraining"],
        dataset.tests.len()
    ));
    Ok(json!({ "folder": options.out, "dataset": described, "tests": dataset.tests }))
}

/// The dataset's name: its folder's, which nnU-Net finds by three digits.
fn dataset_name(out: &Path) -> Result<String, Usage> {
    let name = out.file_name().unwrap_or_default().to_string_lossy();
    let parts = name
        .strip_prefix("Dataset")
        .and_then(|rest| rest.split_once('_'));
    let known = parts.is_some_and(|(number, name)| {
        number.len() == 3 && number.bytes().all(|byte| byte.is_ascii_digit()) && !name.is_empty()
    });
    match known {
        true => Ok(name.into_owned()),
        false => Err(Usage(format!(
            "--out {}: found the name {name}; expected Dataset, three digits, _ and a name, by which nnU-Net \
             finds it. hint: give nnUNet_raw/Dataset501_Scroll",
            out.display()
        ))),
    }
}

/// A dataset that grows.
struct Dataset<'a> {
    options: &'a NnunetOptions,
    context: &'a Context<'a>,
    /// The cases of each labelled fragment.
    training: Vec<Vec<String>>,
    tests: Vec<String>,
}

/// A fragment that is being written.
struct Sheet {
    id: String,
    volume: Box<dyn Volume>,
    layers: Range<usize>,
    mask: Array2<bool>,
    /// Label values, of a fragment that has labels.
    labels: Option<Array2<u8>>,
}

impl Sheet {
    fn open(fragment: &Fragment, options: &NnunetOptions) -> anyhow::Result<Self> {
        let volume = aligned(fragment, options.maps.as_deref())?;
        let depth = volume.shape()[0];
        let layers = match options.layers {
            Some([first, end]) => first..end,
            None => fragment.first_layer().min(depth)..depth,
        };
        if layers.end > depth {
            return Err(Usage(format!(
                "--layers {}..{}: found {depth} layers in {}; expected END up to that",
                layers.start,
                layers.end,
                fragment.path().display()
            ))
            .into());
        }
        let mask = fragment.mask()?;
        let ink = fragment.ink_labels()?;
        let labels = ink
            .map(|ink| label_values(fragment, &mask, &ink))
            .transpose()?;
        Ok(Self {
            id: fragment.id().to_owned(),
            volume,
            layers,
            mask,
            labels,
        })
    }

    /// Upper left corners of the squares of `side` px that hold papyrus whose label is known, if any is.
    fn places(&self, side: usize) -> Vec<[usize; 2]> {
        let (height, width) = self.mask.dim();
        let counts = |y: usize, x: usize| match &self.labels {
            Some(labels) => labels[(y, x)] != IGNORE,
            None => self.mask[(y, x)],
        };
        let holds = |&[top, left]: &[usize; 2]| {
            let mut rows = top..height.min(top + side);
            rows.any(|y| (left..width.min(left + side)).any(|x| counts(y, x)))
        };
        let starts = |size: usize| (0..size).step_by(side);
        let all = starts(height).flat_map(|y| starts(width).map(move |x| [y, x]));
        all.filter(holds).collect()
    }
}

/// Background, ink, and ignore where the label is unknown or must not be seen.
fn label_values(
    fragment: &Fragment,
    mask: &Array2<bool>,
    ink: &Array2<bool>,
) -> anyhow::Result<Array2<u8>> {
    let supervision = fragment.supervision_mask()?;
    let validation = fragment.validation_mask()?;
    Ok(Array2::from_shape_fn(mask.dim(), |place| {
        let known = mask[place]
            && supervision.as_ref().is_none_or(|counts| counts[place])
            && validation.as_ref().is_none_or(|held_out| !held_out[place]);
        match (known, ink[place]) {
            (false, _) => IGNORE,
            (true, true) => INK,
            (true, false) => BACKGROUND,
        }
    }))
}

impl Dataset<'_> {
    /// Writes the cases of a fragment, and gives the layers that are its channels.
    fn add(&mut self, fragment: &Fragment) -> anyhow::Result<Range<usize>> {
        let sheet = Sheet::open(fragment, self.options)?;
        let folder =
            |name: &str| ResultFolder::shared(self.options.out.join(name), ResultKind::Dataset);
        let images = folder(if sheet.labels.is_some() {
            "imagesTr"
        } else {
            "imagesTs"
        });
        let (side, force) = (self.options.tile, self.context.force);
        let task = self.context.task(&sheet.id);
        let places = sheet.places(side);
        let mut cases = Vec::new();
        for (index, &[y, x]) in places.iter().enumerate() {
            let (height, width) = sheet.mask.dim();
            let (rows, columns) = (y..height.min(y + side), x..width.min(x + side));
            let case = format!("{}_y{y:05}_x{x:05}", sheet.id);
            let region = Region::new(sheet.layers.clone(), rows.clone(), columns.clone());
            write_channels(&images, &case, &sheet.volume.read(&region)?, force)?;
            if let Some(labels) = &sheet.labels {
                let path = folder("labelsTr").claim(&format!("{case}.png"), force)?;
                write_gray(path, labels.slice(s![rows, columns]), true)?;
            }
            cases.push(case);
            task.at(index as u64 + 1, places.len() as u64);
        }
        match sheet.labels {
            Some(_) => self.training.push(cases),
            None => self.tests.extend(cases),
        }
        Ok(sheet.layers)
    }

    /// A fold for each labelled fragment, which holds it out: squares of one sheet are alike.
    fn splits(&self) -> Vec<Value> {
        let folds = match self.training.len() {
            0 | 1 => 0,
            several => several,
        };
        let fold = |held_out: usize| {
            let others = self.training.iter().enumerate();
            let others = others.filter(|(index, _)| *index != held_out);
            let train: Vec<&String> = others.flat_map(|(_, cases)| cases).collect();
            json!({ "train": train, "val": self.training[held_out] })
        };
        (0..folds).map(fold).collect()
    }

    fn description(&self, name: &str, layers: Range<usize>) -> Value {
        let channels = layers.enumerate();
        let channels: Map<String, Value> = channels
            .map(|(channel, layer)| (channel.to_string(), json!(format!("layer {layer}"))))
            .collect();
        let cases: usize = self.training.iter().map(Vec::len).sum();
        json!({
            "name": name,
            "channel_names": channels,
            "labels": { "background": BACKGROUND, "ink": INK, "ignore": IGNORE },
            "numTraining": cases,
            "file_ending": ".png",
            "overwrite_image_reader_writer": "NaturalImage2DIO",
        })
    }
}

/// Writes the layers of a case, `<case>_0000.png` and so on.
fn write_channels(
    images: &ResultFolder,
    case: &str,
    voxels: &Array3<u16>,
    force: bool,
) -> anyhow::Result<()> {
    let layers = voxels.len_of(Axis(0));
    let paths = (0..layers).map(|channel| images.claim(&format!("{case}_{channel:04}.png"), force));
    let paths = paths.collect::<Result<Vec<_>, _>>()?;
    voxels
        .axis_iter(Axis(0))
        .into_par_iter()
        .zip(paths)
        .try_for_each(|(layer, path)| Ok(write_bytes(path, png(layer)?, true)?))
}

/// A layer as a 16-bit PNG.
fn png(layer: ArrayView2<u16>) -> anyhow::Result<Vec<u8>> {
    let (height, width) = layer.dim();
    let bytes: Vec<u8> = layer.iter().flat_map(|voxel| voxel.to_ne_bytes()).collect();
    let mut file = Vec::new();
    let encoder = PngEncoder::new(&mut file);
    encoder.write_image(&bytes, width as u32, height as u32, ExtendedColorType::L16)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_nnunet_finds() {
        assert_eq!(
            dataset_name(Path::new("raw/Dataset501_Scroll")).unwrap(),
            "Dataset501_Scroll"
        );
        for wrong in [
            "raw",
            "Dataset51_a",
            "Dataset5011_a",
            "Dataset501",
            "Dataset501_",
            "Datasetabc_a",
        ] {
            let error = dataset_name(Path::new(wrong)).unwrap_err().to_string();
            assert!(error.contains("three digits"), "{error}");
        }
    }
}
