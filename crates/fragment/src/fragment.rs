use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};

use ndarray::{Array2, Array3, Axis};
use rayon::prelude::*;

use crate::drawn_image::read_drawn_of_size;
use crate::layer_names::Ignored;
use crate::layers::{Layers, listing};
use crate::zarr_levels::is_zarr;
use crate::zarr_volume::ZarrVolume;
use crate::{Error, MissingChunks, Region, Volume, check_name, read_gray};

/// What lies beside a fragment's voxels.
const SIDE_IMAGES: [&str; 5] = [
    "mask",
    "inklabels",
    "ir",
    "supervision_mask",
    "validation_mask",
];

/// Masks for training, which do not name the fragment: `<id>_supervision_mask.png`.
const OTHER_MASKS: [&str; 2] = ["supervision", "validation"];

/// A scanned piece of papyrus on disk: a folder of layers with a mask and, where known, ink
/// labels and an infrared photograph. Opening reads headers only; cloning is cheap.
#[derive(Clone, Debug)]
pub struct Fragment {
    inner: Arc<Inner>,
}

#[derive(Clone, Debug)]
struct Inner {
    id: String,
    /// What stands before `_mask.png` and the like.
    prefix: String,
    path: PathBuf,
    voxels: Voxels,
    /// Shared by the fragment's other names.
    looked_for_chunks: Arc<Once>,
}

#[derive(Clone, Debug)]
enum Voxels {
    Layers(Arc<Layers>),
    Zarr(ZarrVolume),
}

impl Voxels {
    fn shape(&self) -> [usize; 3] {
        match self {
            Self::Layers(found) => {
                let [height, width] = found.layers[0].size();
                [found.layers.len(), height, width]
            }
            Self::Zarr(volume) => volume.shape(),
        }
    }
}

impl Fragment {
    /// Opens `path`: a folder of `surface_volume/00.tif …` with `mask.png`, or of
    /// `layers/00.tif …` with `<id>_mask.png` (TIFF, PNG or JPEG, any number of layers, any names
    /// that differ in one number), or of a stack (all layers as pages of one TIFF), or the stack's
    /// own file; of one OME-Zarr volume `*.zarr` with either; or that volume itself (or one of its levels), whose
    /// side images lie in it, or beside it as `<id>_mask.png`.
    ///
    /// # Errors
    /// A missing folder or layer, and for the first layer that is not as the others: its size,
    /// its type, its length; several volumes in one folder; Zarr that cannot be read.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open_level(path, 0)
    }

    /// As [`open`](Self::open), of a coarser level of an OME-Zarr volume: 0 is the finest. Side
    /// images are those of the level's size.
    ///
    /// # Errors
    /// Those of [`open`](Self::open); [`Error::ZarrContent`] for a level that is not there,
    /// [`Error::NoLevels`] for one of a folder of layers.
    pub fn open_level(path: impl AsRef<Path>, level: usize) -> Result<Self, Error> {
        let path = path.as_ref();
        let has_volume = path.is_dir() && volume_folder(path).is_ok();
        let (voxels, id) = match Layers::find(path, has_volume)? {
            Some(_) if level > 0 => {
                return Err(Error::NoLevels {
                    path: path.to_owned(),
                    level,
                });
            }
            Some(layers) => (Voxels::Layers(Arc::new(layers)), identify(path)),
            None => {
                let volume = volume_folder(path)?;
                let id = match volume == path {
                    true => zarr_id(path),
                    false => identify(path),
                };
                (Voxels::Zarr(ZarrVolume::open(&volume, level)?), id)
            }
        };
        check_name(&id)?;
        let fragment = Self {
            inner: Arc::new(Inner {
                prefix: id.clone(),
                id,
                path: path.to_owned(),
                voxels,
                looked_for_chunks: Arc::new(Once::new()),
            }),
        };
        for remark in fragment.remarks() {
            tracing::warn!("{}: {remark}", path.display());
        }
        Ok(fragment)
    }

    /// Sentences about what was decided where the files do not say it, or say it wrong: floats'
    /// range, mixed depths, pages that are no layers; the order of axes, the names of chunks.
    pub fn remarks(&self) -> &[String] {
        match &self.inner.voxels {
            Voxels::Layers(layers) => &layers.remarks,
            Voxels::Zarr(volume) => volume.words(),
        }
    }

    /// Files among the layers that are none, and why.
    pub fn ignored(&self) -> &[Ignored] {
        match &self.inner.voxels {
            Voxels::Layers(layers) => &layers.ignored,
            Voxels::Zarr(_) => &[],
        }
    }

    /// The number of the first layer: of files numbered from 2 on, a band of a scan, that number;
    /// 0 for a scan numbered from 0 or 1, for stacks and for Zarr.
    pub fn first_layer(&self) -> usize {
        match &self.inner.voxels {
            Voxels::Layers(layers) if layers.first > 1 => layers.first as usize,
            _ => 0,
        }
    }

    /// How the layers are packed: TIFF's codecs, PNG, JPEG, or Zarr.
    pub fn codec(&self) -> &'static str {
        match &self.inner.voxels {
            Voxels::Layers(layers) => layers.layers[0].codec(),
            Voxels::Zarr(_) => "Zarr",
        }
    }

    /// Opens what people name on a command line or in a recipe: a path, or `NAME=PATH` for a
    /// fragment under another name than its own. A path that exists is taken as it stands.
    ///
    /// # Errors
    /// Those of [`open`](Self::open); [`Error::Name`] for a name that no file could have.
    pub fn open_named(text: &Path) -> Result<Self, Error> {
        let (name, path) = split_name(text);
        let fragment = Self::open(path)?;
        match name {
            Some(name) => fragment.called(name),
            None => Ok(fragment),
        }
    }

    /// The fragment under the name `id`; its files are still found by the names they have.
    ///
    /// # Errors
    /// [`Error::Name`].
    pub fn called(self, id: &str) -> Result<Self, Error> {
        check_name(id)?;
        let inner = Arc::try_unwrap(self.inner).unwrap_or_else(|shared| (*shared).clone());
        Ok(Self {
            inner: Arc::new(Inner {
                id: id.to_owned(),
                ..inner
            }),
        })
    }

    /// The fragment's name: what it was called, what stands before `_mask.png`, or the folder's
    /// name; a link's own name, not its target's.
    pub fn id(&self) -> &str {
        &self.inner.id
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Number of layers.
    pub fn depth(&self) -> usize {
        self.inner.voxels.shape()[0]
    }

    /// Height of the layers, in pixels.
    pub fn height(&self) -> usize {
        self.size()[0]
    }

    /// Width of the layers, in pixels.
    pub fn width(&self) -> usize {
        self.size()[1]
    }

    /// Height and width of the layers, in pixels.
    pub fn size(&self) -> [usize; 2] {
        let [_, height, width] = self.inner.voxels.shape();
        [height, width]
    }

    /// Where there is papyrus, (y, x).
    ///
    /// # Errors
    /// [`Error::NoMask`], [`Error::Size`], [`Error::Png`], [`Error::Zarr`], [`Error::EmptyMask`].
    pub fn mask(&self) -> Result<Array2<bool>, Error> {
        let Some(path) = self.side_image("mask") else {
            let path = self.path().to_owned();
            return Err(Error::NoMask { path });
        };
        let mask = read_drawn_of_size(&path, Some(self.size()))?;
        match mask.iter().any(|&papyrus| papyrus) {
            true => {
                self.warn_of_missing_chunks(&mask);
                Ok(mask)
            }
            false => Err(Error::EmptyMask { path }),
        }
    }

    /// Once for all clones.
    fn warn_of_missing_chunks(&self, papyrus: &Array2<bool>) {
        self.inner.looked_for_chunks.call_once(|| {
            if let Some(warning) = self.missing_chunks(papyrus).warning() {
                tracing::warn!("{}: {warning}", self.path().display());
            }
        });
    }

    /// Where there is ink, (y, x); `None` without a labels file.
    ///
    /// # Errors
    /// [`Error::Size`], [`Error::Png`], [`Error::Zarr`].
    pub fn ink_labels(&self) -> Result<Option<Array2<bool>>, Error> {
        self.read_drawing("inklabels")
    }

    /// Where the labels can be trusted, for training (`<id>_supervision_mask`), (y, x); `None`
    /// without such a mask.
    ///
    /// # Errors
    /// Those of [`Fragment::ink_labels`].
    pub fn supervision_mask(&self) -> Result<Option<Array2<bool>>, Error> {
        self.read_drawing("supervision_mask")
    }

    /// What training must not see (`<id>_validation_mask`), (y, x); `None` without such a mask.
    ///
    /// # Errors
    /// Those of [`Fragment::ink_labels`].
    pub fn validation_mask(&self) -> Result<Option<Array2<bool>>, Error> {
        self.read_drawing("validation_mask")
    }

    fn read_drawing(&self, kind: &str) -> Result<Option<Array2<bool>>, Error> {
        let path = self.side_image(kind);
        path.map(|path| read_drawn_of_size(&path, Some(self.size())))
            .transpose()
    }

    /// The infrared photograph, (y, x), 0 to 255; `None` without one.
    ///
    /// # Errors
    /// [`Error::Size`], [`Error::Png`].
    pub fn infrared(&self) -> Result<Option<Array2<u8>>, Error> {
        self.read_kind("ir")
    }

    /// Names of the volume's levels, the finest first; none of a folder of layers.
    pub fn levels(&self) -> &[String] {
        match &self.inner.voxels {
            Voxels::Layers(_) => &[],
            Voxels::Zarr(volume) => volume.levels(),
        }
    }

    /// Counts the chunks of a Zarr volume over `papyrus`, (y, x), that are not there; one look at
    /// the file system per chunk. Folders of layers have none.
    pub fn missing_chunks(&self, papyrus: &Array2<bool>) -> MissingChunks {
        match &self.inner.voxels {
            Voxels::Layers(_) => MissingChunks::default(),
            Voxels::Zarr(volume) => volume.missing_chunks(papyrus),
        }
    }

    fn read_kind(&self, kind: &str) -> Result<Option<Array2<u8>>, Error> {
        let path = self.side_image(kind);
        path.map(|path| self.read_side_image(&path)).transpose()
    }

    /// The file of a kind of side image: in the fragment's folder, or, when that is a volume,
    /// beside it.
    fn side_image(&self, kind: &str) -> Option<PathBuf> {
        let prefixed = format!("{}_{kind}", self.inner.prefix);
        let folder = match self.path().is_file() {
            true => self.path().parent().unwrap_or(Path::new(".")),
            false => self.path(),
        };
        let within = [kind, &prefixed].map(|name| folder.join(name));
        let beside = is_zarr(self.path()).then(|| {
            let parent = self.path().parent().unwrap_or(Path::new(".."));
            // A level lies one folder deeper.
            let above = parent.parent().unwrap_or(Path::new("..")).join(&prefixed);
            [parent.join(&prefixed), above]
        });
        let stems = within.into_iter().chain(beside.into_iter().flatten());
        stems
            .flat_map(|stem| ["png", "zarr"].map(|end| append(&stem, end)))
            .find(|path| path.is_file() || is_zarr(path))
    }

    fn read_side_image(&self, path: &Path) -> Result<Array2<u8>, Error> {
        let image = match path.is_dir() {
            true => ZarrVolume::open_image(path)?.read_image()?,
            false => read_gray(path)?,
        };
        let found = [image.nrows(), image.ncols()];
        if found == self.size() {
            return Ok(image);
        }
        Err(Error::Size {
            path: path.to_owned(),
            found,
            expected: self.size(),
            like: "the layers",
            mend: "crop or scale the image to the layers' size",
        })
    }
}

impl Volume for Fragment {
    fn shape(&self) -> [usize; 3] {
        [self.depth(), self.height(), self.width()]
    }

    fn read(&self, region: &Region) -> Result<Array3<u16>, Error> {
        region.check(self.shape())?;
        let mut voxels = Array3::zeros(region.shape());
        match &self.inner.voxels {
            Voxels::Layers(layers) => voxels
                .axis_iter_mut(Axis(0))
                .into_par_iter()
                .zip(&layers.layers[region.z.clone()])
                .try_for_each(|(out, layer)| layer.read(&region.y, &region.x, out))?,
            Voxels::Zarr(volume) => volume.read(region, voxels.view_mut())?,
        }
        Ok(voxels)
    }
}

/// The Zarr folder of a fragment's voxels: `path` itself, or the one in it that is no side image.
fn volume_folder(path: &Path) -> Result<PathBuf, Error> {
    if is_zarr(path) || volume_stem(path).is_some() {
        return Ok(path.to_owned());
    }
    let no_layers = || Error::NoLayers {
        path: path.to_owned(),
        found: listing(path),
    };
    let entries = std::fs::read_dir(path).map_err(|_| no_layers())?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut volumes: Vec<PathBuf> = paths
        .filter(|path| volume_stem(path).is_some_and(|stem| !is_side_image(stem)))
        .collect();
    volumes.sort();
    // A folder without metadata counts only where there is nothing better; it says what is missing.
    if volumes.iter().any(|path| is_zarr(path)) {
        volumes.retain(|path| is_zarr(path));
    }
    match volumes.len() {
        0 => Err(no_layers()),
        1 => Ok(volumes.swap_remove(0)),
        _ => Err(Error::SeveralVolumes {
            path: path.to_owned(),
            found: volumes
                .iter()
                .map(|path| file_name(path))
                .collect::<Vec<_>>()
                .join(", "),
        }),
    }
}

/// What stands before `.zarr`, `.ome.zarr`, or the `.zip` of either: a Zarr volume by its name.
fn volume_stem(path: &Path) -> Option<&str> {
    let name = path.file_name()?.to_str()?;
    let name = name.strip_suffix(".zip").unwrap_or(name);
    let stem = name.strip_suffix(".zarr")?;
    Some(stem.strip_suffix(".ome").unwrap_or(stem))
}

/// Whether a name is that of a side image, of any version: `segment_inklabels_v2`.
fn is_side_image(stem: &str) -> bool {
    let digits = stem.trim_end_matches(|letter: char| letter.is_ascii_digit());
    let unversioned = digits.strip_suffix("_v").unwrap_or(stem);
    let kinds = SIDE_IMAGES.iter().chain(&["inklabel"]);
    kinds.copied().any(|kind| {
        let before = unversioned.strip_suffix(kind);
        before.is_some_and(|before| before.is_empty() || before.ends_with('_'))
    })
}

/// `segment.zarr`, `segment.ome.zarr`, or `segment.zarr/1`, is called segment.
fn zarr_id(path: &Path) -> String {
    let whole = spelled_out(path);
    let stem = whole.ancestors().take(3).find_map(volume_stem);
    let own = whole.file_stem().unwrap_or_default().to_string_lossy();
    stem.map_or_else(|| own.into_owned(), str::to_owned)
}

fn append(stem: &Path, end: &str) -> PathBuf {
    let mut name = stem.as_os_str().to_owned();
    name.push(".");
    name.push(end);
    PathBuf::from(name)
}

fn identify(path: &Path) -> String {
    if path.is_file() {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let stem = stem.strip_suffix(".ome").unwrap_or(&stem);
        return stem.to_owned();
    }
    let prefixed = std::fs::read_dir(path).ok().and_then(|entries| {
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter_map(|name| {
                let stem = name.strip_suffix(".png").or(name.strip_suffix(".zarr"))?;
                // Other systems leave hidden companions of files.
                let stem = (!stem.starts_with('.')).then_some(stem)?;
                Some(stem.strip_suffix("_mask")?.to_owned())
            })
            .filter(|id| !OTHER_MASKS.iter().any(|other| id.ends_with(other)) && !id.is_empty())
            .collect();
        names.sort();
        names.into_iter().next()
    });
    prefixed.unwrap_or_else(|| file_name(&spelled_out(path)))
}

/// `NAME=PATH` taken apart, unless there is a file or folder of just this name.
pub fn split_name(text: &Path) -> (Option<&str>, &Path) {
    let whole = text.to_str().filter(|_| !text.exists());
    match whole.and_then(|whole| whole.split_once('=')) {
        Some((name, path)) if check_name(name).is_ok() => (Some(name), Path::new(path)),
        _ => (None, text),
    }
}

/// The path from the root on, links kept: a fragment behind a link is called as the link is.
fn spelled_out(path: &Path) -> PathBuf {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    match whole
        .components()
        .any(|part| part == std::path::Component::ParentDir)
    {
        true => path.canonicalize().unwrap_or(whole),
        false => whole,
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(
        || "fragment".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}
