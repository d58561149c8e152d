use std::path::{Path, PathBuf};
use std::sync::Arc;

use ndarray::{Array2, Array3, Axis};
use rayon::prelude::*;

use crate::layer::Layer;
use crate::{Error, Region, Volume, read_gray};

/// Folders that hold layers.
pub(crate) const LAYER_FOLDERS: [&str; 2] = ["surface_volume", "layers"];

/// Masks for training, which do not name the fragment: `<id>_supervision_mask.png`.
const OTHER_MASKS: [&str; 2] = ["_supervision", "_validation"];

/// A scanned piece of papyrus on disk: a folder of layers with a mask and, where known, ink
/// labels and an infrared photograph. Opening reads headers only; cloning is cheap.
#[derive(Clone, Debug)]
pub struct Fragment {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    id: String,
    path: PathBuf,
    layers: Vec<Layer>,
}

impl Fragment {
    /// Opens `path`: `surface_volume/00.tif …` with `mask.png`, or `layers/00.tif …` with
    /// `<id>_mask.png`; any number of layers, any zero padding.
    ///
    /// # Errors
    /// A missing folder or layer, and for the first layer that is not as the others: its size,
    /// its type, its length.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let folder = LAYER_FOLDERS
            .iter()
            .map(|name| path.join(name))
            .find(|folder| folder.is_dir())
            .ok_or_else(|| Error::NoLayers {
                path: path.to_owned(),
            })?;
        let files = layer_files(&folder)?;
        let layers = files
            .par_iter()
            .map(|file| Layer::open(file))
            .collect::<Result<Vec<_>, _>>()?;
        check_sizes(&layers)?;
        Ok(Self {
            inner: Arc::new(Inner {
                id: identify(path),
                path: path.to_owned(),
                layers,
            }),
        })
    }

    /// The fragment's name: what stands before `_mask.png`, or the folder's name.
    pub fn id(&self) -> &str {
        &self.inner.id
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Number of layers.
    pub fn depth(&self) -> usize {
        self.inner.layers.len()
    }

    /// Height of the layers, in pixels.
    pub fn height(&self) -> usize {
        self.size()[0]
    }

    /// Width of the layers, in pixels.
    pub fn width(&self) -> usize {
        self.size()[1]
    }

    fn size(&self) -> [usize; 2] {
        self.inner.layers[0].size()
    }

    /// Where there is papyrus, (y, x).
    ///
    /// # Errors
    /// [`Error::NoMask`], [`Error::Size`], [`Error::Png`], [`Error::EmptyMask`].
    pub fn mask(&self) -> Result<Array2<bool>, Error> {
        let Some(path) = self.side_image("mask") else {
            let path = self.path().to_owned();
            return Err(Error::NoMask { path });
        };
        let mask = self.read_side_image(&path)?.mapv(|value| value > 0);
        match mask.iter().any(|&papyrus| papyrus) {
            true => Ok(mask),
            false => Err(Error::EmptyMask { path }),
        }
    }

    /// Where there is ink, (y, x); `None` without a labels file.
    ///
    /// # Errors
    /// [`Error::Size`], [`Error::Png`].
    pub fn ink_labels(&self) -> Result<Option<Array2<bool>>, Error> {
        self.side_image("inklabels")
            .map(|path| Ok(self.read_side_image(&path)?.mapv(|value| value > 127)))
            .transpose()
    }

    /// The infrared photograph, (y, x), 0 to 255; `None` without one.
    ///
    /// # Errors
    /// [`Error::Size`], [`Error::Png`].
    pub fn infrared(&self) -> Result<Option<Array2<u8>>, Error> {
        self.side_image("ir")
            .map(|path| self.read_side_image(&path))
            .transpose()
    }

    fn side_image(&self, kind: &str) -> Option<PathBuf> {
        [format!("{kind}.png"), format!("{}_{kind}.png", self.id())]
            .into_iter()
            .map(|name| self.path().join(name))
            .find(|path| path.is_file())
    }

    fn read_side_image(&self, path: &Path) -> Result<Array2<u8>, Error> {
        let image = read_gray(path)?;
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
        voxels
            .axis_iter_mut(Axis(0))
            .into_par_iter()
            .zip(&self.inner.layers[region.z.clone()])
            .try_for_each(|(out, layer)| layer.read(&region.y, &region.x, out))?;
        Ok(voxels)
    }
}

/// The layers' files in the order of their numbers, none missing between.
fn layer_files(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut numbered = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(Error::io(folder))? {
        let path = entry.map_err(Error::io(folder))?.path();
        let is_tiff = path
            .extension()
            .is_some_and(|end| end.eq_ignore_ascii_case("tif") || end.eq_ignore_ascii_case("tiff"));
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        if let (true, Some(Ok(number))) = (is_tiff, stem.map(str::parse::<u64>)) {
            numbered.push((number, path));
        }
    }
    numbered.sort();
    let (Some(&(first, _)), Some(&(last, _))) = (numbered.first(), numbered.last()) else {
        return Err(Error::NoLayers {
            path: folder.to_owned(),
        });
    };
    if let Some(twins) = numbered.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(Error::SameNumber {
            path: twins[1].1.clone(),
            other: file_name(&twins[0].1),
        });
    }
    let gap = (first..)
        .zip(&numbered)
        .find(|(expected, (number, _))| expected != number);
    match gap {
        Some((missing, _)) => Err(Error::MissingLayer {
            path: folder.to_owned(),
            first,
            last,
            missing,
        }),
        None => Ok(numbered.into_iter().map(|(_, path)| path).collect()),
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
            mend: "export all layers at one size",
        }),
        None => Ok(()),
    }
}

fn identify(path: &Path) -> String {
    let prefixed = std::fs::read_dir(path).ok().and_then(|entries| {
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter_map(|name| Some(name.strip_suffix("_mask.png")?.to_owned()))
            .filter(|id| !OTHER_MASKS.iter().any(|other| id.ends_with(other)))
            .collect();
        names.sort();
        names.into_iter().next()
    });
    prefixed.unwrap_or_else(|| {
        let whole = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        file_name(&whole)
    })
}

fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(
        || "fragment".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}
