use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Once, OnceLock};

use ndarray::{Array2, Array3, Axis};
use rayon::prelude::*;

use crate::drawn_image::read_drawn_of_size;
use crate::label_image::doubted;
use crate::layer_names::Ignored;
use crate::layers::{Layers, listing};
use crate::papyrus::{enlarged, papyrus};
use crate::photograph::read_photograph;
use crate::remarks::remark;
use crate::remote::{self, Address, in_parallel, is_remote};
use crate::side_images::{self, SideImage, SideImageKind};
use crate::storage;
use crate::voxel_fingerprint::voxel_fingerprint;
use crate::zarr_levels::{MARKS, is_zarr};
use crate::zarr_volume::{VoxelSize, ZarrVolume};
use crate::{
    Error, MissingChunks, ReadOptions, Region, Volume, VoxelRange, check_name, read_labels,
};

/// Beside a fragment that was cut from another.
pub(crate) const PROVENANCE: &str = "part.json";

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
    options: ReadOptions,
    /// Whether it is known to have no ink.
    is_bare: bool,
    /// Found out at the first reading.
    range: OnceLock<VoxelRange>,
    /// Where there is papyrus, when no mask says so and somebody asked.
    papyrus: OnceLock<Array2<bool>>,
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
    /// Opens `path`, on a disk or on a server (`https://…`, `http://…`, `s3://bucket/key`): a folder of `surface_volume/00.tif …` with `mask.png`, or of
    /// `layers/00.tif …` with `<id>_mask.png` (TIFF, PNG or JPEG, any number of layers, any names
    /// that differ in one number), or of a stack (all layers as pages of one TIFF), or the stack's
    /// own file; of one OME-Zarr volume `*.zarr` with either; or that volume itself (or one of its levels), whose
    /// side images lie in it, or beside it as `<id>_mask.png`.
    ///
    /// # Errors
    /// A missing folder or layer, and for the first layer that is not as the others: its size,
    /// its type, its length; several volumes in one folder; Zarr that cannot be read.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open_with(path, ReadOptions::default())
    }

    /// As [`open`](Self::open), read as `options` say.
    ///
    /// # Errors
    /// Those of [`open`](Self::open); [`Error::ZarrContent`] for a level that is not there,
    /// [`Error::NoLevels`] for one of a folder of layers.
    pub fn open_with(path: impl AsRef<Path>, options: ReadOptions) -> Result<Self, Error> {
        let (path, level) = (path.as_ref(), options.level);
        let (voxels, id) = match is_remote(path) {
            true => in_parallel(|| find_voxels(path, level))?,
            false => find_voxels(path, level)?,
        };
        check_name(&id)?;
        let fragment = Self {
            inner: Arc::new(Inner {
                prefix: id.clone(),
                id,
                path: path.to_owned(),
                voxels,
                looked_for_chunks: Arc::new(Once::new()),
                options,
                is_bare: false,
                range: OnceLock::new(),
                papyrus: OnceLock::new(),
            }),
        };
        for text in fragment.remarks() {
            remark(path, text);
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
    /// Those of [`open_with`](Self::open_with); [`Error::Name`] for a name that no file could have.
    pub fn open_named(text: &Path, options: ReadOptions) -> Result<Self, Error> {
        let (name, path) = split_name(text);
        let fragment = Self::open_with(path, options)?;
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
        let inner = self.into_inner();
        Ok(Self {
            inner: Arc::new(Inner {
                id: id.to_owned(),
                ..inner
            }),
        })
    }

    /// What it is made of, to be changed; a copy if other fragments share it.
    fn into_inner(self) -> Inner {
        Arc::try_unwrap(self.inner).unwrap_or_else(|shared| (*shared).clone())
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

    /// Where there is papyrus, (y, x): what is drawn in the mask, or, without one, where any layer
    /// is not 0, which takes a reading of the whole fragment the first time and is said.
    ///
    /// # Errors
    /// [`Error::SeveralSideImages`], [`Error::Size`], [`Error::Png`], [`Error::Zarr`],
    /// [`Error::EmptyMask`]; without a mask [`Error::NoPapyrus`] and those of reading voxels.
    pub fn mask(&self) -> Result<Array2<bool>, Error> {
        let Some(path) = self.side_image(SideImageKind::Mask)? else {
            return self.papyrus();
        };
        let mask = self.thinned(read_drawn_of_size(&path, &self.image_sizes())?);
        match mask.iter().any(|&papyrus| papyrus) {
            true => {
                self.warn_of_missing_chunks(&mask);
                Ok(mask)
            }
            false => Err(Error::EmptyMask { path }),
        }
    }

    fn papyrus(&self) -> Result<Array2<bool>, Error> {
        if let Some(found) = self.inner.papyrus.get() {
            return Ok(found.clone());
        }
        if is_remote(self.path()) {
            return self.remote_papyrus();
        }
        let found = papyrus(self, self.coarse_papyrus()?.as_ref())?;
        let count = found.iter().filter(|&&papyrus| papyrus).count();
        if count == 0 {
            return Err(Error::NoPapyrus {
                path: self.path().to_owned(),
            });
        }
        let share = 100.0 * count as f64 / found.len() as f64;
        let text = format!(
            "no mask: papyrus is where any layer is not 0, {share:.1} % of the sheet. hint: if \
             that is wrong, add a mask.png, white where there is papyrus"
        );
        remark(self.path(), &text);
        self.warn_of_missing_chunks(&found);
        Ok(self.inner.papyrus.get_or_init(|| found).clone())
    }

    /// Where any layer of the coarsest level is not 0; the whole sheet without one. A server is not
    /// asked for all of a volume to find its edge.
    fn remote_papyrus(&self) -> Result<Array2<bool>, Error> {
        let (height, width) = (self.height(), self.width());
        let (found, text) = match self.coarse_papyrus()? {
            None => (
                Array2::from_elem((height, width), true),
                "no mask, and no coarser level: the whole sheet counts as papyrus",
            ),
            Some(coarse) => (
                enlarged(&coarse, [height, width]),
                "no mask: papyrus is where any layer of the coarsest level is not 0",
            ),
        };
        if !found.iter().any(|&papyrus| papyrus) {
            return Err(Error::NoPapyrus {
                path: self.path().to_owned(),
            });
        }
        remark(self.path(), text);
        Ok(self.inner.papyrus.get_or_init(|| found).clone())
    }

    /// Where papyrus may be by the coarsest level of an OME-Zarr volume, (y, x), at the full size: where any
    /// of its layers is not 0, and a coarse pixel more on each side. None without coarser levels.
    ///
    /// # Errors
    /// Those of reading voxels.
    pub fn rough_papyrus(&self) -> Result<Option<Array2<bool>>, Error> {
        let coarse = self.coarse_papyrus()?;
        Ok(coarse.map(|coarse| enlarged(&coarse, self.size())))
    }

    /// Where any layer of the volume's coarsest level is not 0.
    fn coarse_papyrus(&self) -> Result<Option<Array2<bool>>, Error> {
        let Voxels::Zarr(volume) = &self.inner.voxels else {
            return Ok(None);
        };
        let coarsest = volume.coarsest()?;
        coarsest.map(|level| papyrus(&level, None)).transpose()
    }

    /// Once for all clones.
    fn warn_of_missing_chunks(&self, papyrus: &Array2<bool>) {
        self.inner.looked_for_chunks.call_once(|| {
            if let Some(warning) = self.missing_chunks(papyrus).warning() {
                remark(self.path(), &warning);
            }
        });
    }

    /// Where there is ink, (y, x): what is drawn in the labels; `None` without a labels file; nowhere on
    /// bare papyrus, with or without one.
    ///
    /// # Errors
    /// [`Error::SeveralSideImages`], [`Error::Size`], [`Error::Png`], [`Error::Zarr`];
    /// [`Error::UndecidedLabels`]; [`Error::LabelledBare`]; those of [`Fragment::mask`], with which labels of
    /// much ink are compared.
    pub fn ink_labels(&self) -> Result<Option<Array2<bool>>, Error> {
        let path = self.side_image(SideImageKind::InkLabels)?;
        if self.inner.is_bare {
            return self.labels_of_bare(path).map(Some);
        }
        let Some(path) = path else {
            return Ok(None);
        };
        let options = self.inner.options.labels;
        let labels = self.thinned(read_labels(&path, &self.image_sizes(), options)?);
        let ink = labels.iter().filter(|&&ink| ink).count();
        // Little ink needs no mask to be believed.
        if options != Default::default() || 10 * ink < labels.len() {
            return Ok(Some(labels));
        }
        Ok(Some(doubted(&path, labels, &self.mask()?)))
    }

    /// No ink, if the labels that lie there do not say otherwise.
    fn labels_of_bare(&self, path: Option<PathBuf>) -> Result<Array2<bool>, Error> {
        if let Some(path) = path {
            let drawn = read_labels(&path, &self.image_sizes(), self.inner.options.labels)?;
            if drawn.iter().any(|&ink| ink) {
                return Err(Error::LabelledBare { path });
            }
        }
        Ok(Array2::from_elem((self.height(), self.width()), false))
    }

    /// Where the labels can be trusted, for training (`<id>_supervision_mask`), (y, x); `None`
    /// without such a mask.
    ///
    /// # Errors
    /// [`Error::SeveralSideImages`], [`Error::Size`], [`Error::Png`], [`Error::Zarr`].
    pub fn supervision_mask(&self) -> Result<Option<Array2<bool>>, Error> {
        self.read_drawing(SideImageKind::SupervisionMask)
    }

    /// What training must not see (`<id>_validation_mask`), (y, x); `None` without such a mask.
    ///
    /// # Errors
    /// Those of [`Fragment::supervision_mask`].
    pub fn validation_mask(&self) -> Result<Option<Array2<bool>>, Error> {
        self.read_drawing(SideImageKind::ValidationMask)
    }

    fn read_drawing(&self, kind: SideImageKind) -> Result<Option<Array2<bool>>, Error> {
        let path = self.side_image(kind)?;
        let drawing = path.map(|path| read_drawn_of_size(&path, &self.image_sizes()));
        Ok(drawing.transpose()?.map(|drawing| self.thinned(drawing)))
    }

    /// The infrared photograph, (y, x), 0 to 255; `None` without one.
    ///
    /// # Errors
    /// [`Error::Size`]; those of [`read_drawn`](crate::read_drawn); [`Error::PixelType`] for floats.
    pub fn infrared(&self) -> Result<Option<Array2<u8>>, Error> {
        let Some(path) = self.side_image(SideImageKind::Infrared)? else {
            return Ok(None);
        };
        let image = read_photograph(&path, &self.image_sizes())?;
        Ok(Some(self.thinned(image)))
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

    /// Sizes that a side image may have: the level's, or the finest level's.
    fn image_sizes(&self) -> [[usize; 2]; 2] {
        let finest = match &self.inner.voxels {
            Voxels::Layers(_) => self.size(),
            Voxels::Zarr(volume) => volume.finest_size(),
        };
        [self.size(), finest]
    }

    /// A side image at the level's size: of each square its middle pixel.
    fn thinned<T: Copy>(&self, image: Array2<T>) -> Array2<T> {
        let [height, width] = self.size();
        if image.dim() == (height, width) {
            return image;
        }
        let middle = |index: usize, of: usize, found: usize| (2 * index + 1) * found / (2 * of);
        Array2::from_shape_fn((height, width), |(y, x)| {
            image[[
                middle(y, height, image.nrows()),
                middle(x, width, image.ncols()),
            ]]
        })
    }

    /// Size of a voxel, where an OME-Zarr volume says it.
    pub fn voxel_size(&self) -> Option<&VoxelSize> {
        match &self.inner.voxels {
            Voxels::Layers(_) => None,
            Voxels::Zarr(volume) => volume.voxel_size(),
        }
    }

    /// Bits of a voxel as it is stored; 32 for floats.
    pub fn stored_bits(&self) -> u8 {
        match &self.inner.voxels {
            Voxels::Layers(layers) => 8 * layers.layers[0].sample().bytes() as u8,
            Voxels::Zarr(volume) => volume.bits(),
        }
    }

    /// The file of a kind of side image: in the fragment's folder, or, when that is a volume,
    /// beside it; the newest of several versions.
    ///
    /// # Errors
    /// [`Error::SeveralSideImages`]; those of reading two that might be the same.
    pub fn side_image(&self, kind: SideImageKind) -> Result<Option<PathBuf>, Error> {
        let images = side_images::find(self.path(), &self.inner.prefix);
        Ok(side_images::choose(&images, kind)?.map(Path::to_owned))
    }

    /// How stored voxels are read: as they are, or, with a word, as 8 or 12 bits in 16. As they are also
    /// where a server did not let it be found out.
    pub fn voxel_range(&self) -> VoxelRange {
        self.found_range().unwrap_or(VoxelRange::Sixteen)
    }

    fn found_range(&self) -> Result<VoxelRange, Error> {
        if let Some(range) = self.inner.range.get() {
            return Ok(*range);
        }
        let is_remote = is_remote(self.path());
        // What Inkling wrote has been decided on before; 8 bits need no look.
        let is_copy = !is_remote && self.path().join(PROVENANCE).is_file();
        let range = match is_copy || self.inner.options.voxels_as_is || self.stored_bits() == 8 {
            true => VoxelRange::Sixteen,
            false if is_remote => self.find_remote_range()?,
            false => VoxelRange::find(self.path(), self.shape(), |region| self.stored(region)),
        };
        Ok(*self.inner.range.get_or_init(|| range))
    }

    /// By the middle of each row alone, a chunk of a volume; the first failure is the last request.
    fn find_remote_range(&self) -> Result<VoxelRange, Error> {
        const SIDE: usize = 64;
        let middle = self.width() / 2;
        let columns = middle.saturating_sub(SIDE)..(middle + SIDE).min(self.width());
        let failed = RefCell::new(None);
        let range = VoxelRange::find(self.path(), self.shape(), |region| {
            let part = Region {
                x: columns.clone(),
                ..region.clone()
            };
            if failed.borrow().is_none() {
                match self.stored(&part) {
                    Ok(voxels) => return Ok(voxels),
                    Err(error) => *failed.borrow_mut() = Some(error),
                }
            }
            Ok(Array3::zeros((0, 0, 0)))
        });
        failed.into_inner().map_or(Ok(range), Err)
    }

    /// The fragment with its layers in reverse order, or, if they are reversed, in order again.
    pub fn flipped(self) -> Self {
        let mut inner = self.into_inner();
        inner.options.flip = !inner.options.flip;
        Self {
            inner: Arc::new(inner),
        }
    }

    /// The fragment as papyrus that is known to have no ink: [`Fragment::ink_labels`] then says so.
    #[must_use]
    pub fn without_ink(self) -> Self {
        let mut inner = self.into_inner();
        inner.is_bare = true;
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Whether it is known to have no ink.
    pub fn is_bare(&self) -> bool {
        self.inner.is_bare
    }

    /// Changes with the number of layers, their size, and the voxels of some rows of the middle one; of
    /// a fragment on a server with its address and what the server says of its state.
    ///
    /// # Errors
    /// Those of reading.
    pub fn fingerprint(&self) -> Result<String, Error> {
        if let (true, Voxels::Zarr(volume)) = (is_remote(self.path()), &self.inner.voxels)
            && let Some(identity) = volume.identity()
        {
            return Ok(format!("{}-{identity}", self.depth()));
        }
        Ok(format!("{}-{}", self.depth(), voxel_fingerprint(self)?))
    }

    /// How it is read.
    pub fn options(&self) -> ReadOptions {
        self.inner.options
    }

    /// Voxels as the files have them, those of 8 bits times 257.
    fn stored(&self, region: &Region) -> Result<Array3<u16>, Error> {
        let mut voxels = Array3::zeros(region.shape());
        let (mut out, mut in_order) = (voxels.view_mut(), region.clone());
        if self.inner.options.flip {
            let depth = self.depth();
            out.invert_axis(Axis(0));
            in_order.z = depth - region.z.end..depth - region.z.start;
        }
        match &self.inner.voxels {
            Voxels::Layers(layers) => {
                let mut read = || {
                    out.axis_iter_mut(Axis(0))
                        .into_par_iter()
                        .zip(&layers.layers[in_order.z.clone()])
                        .try_for_each(|(out, layer)| layer.read(&region.y, &region.x, out))
                };
                match is_remote(self.path()) {
                    true => in_parallel(read)?,
                    false => read()?,
                }
            }
            Voxels::Zarr(volume) => volume.read_into(&in_order, out)?,
        }
        Ok(voxels)
    }
}

impl Volume for Fragment {
    fn shape(&self) -> [usize; 3] {
        [self.depth(), self.height(), self.width()]
    }

    fn read(&self, region: &Region) -> Result<Array3<u16>, Error> {
        region.check(self.shape())?;
        let mut voxels = self.stored(region)?;
        self.found_range()?.apply(self.path(), &mut voxels)?;
        Ok(voxels)
    }
}

/// A fragment's voxels, and its name.
fn find_voxels(path: &Path, level: usize) -> Result<(Voxels, String), Error> {
    if let Some(address) = Address::of(path)
        && !storage::is_file(path)
    {
        remote::reach(&address, &MARKS).map_err(Error::io(path))?;
    }
    let has_volume = (storage::is_dir(path) || is_zarr(path)) && volume_folder(path).is_ok();
    // A server is not asked for layers within a volume.
    let layers = match is_remote(path) && is_zarr(path) {
        true => None,
        false => Layers::find(path, has_volume)?,
    };
    match layers {
        Some(_) if level > 0 => Err(Error::NoLevels {
            path: path.to_owned(),
            level,
        }),
        Some(layers) => Ok((Voxels::Layers(Arc::new(layers)), identify(path))),
        None => {
            let volume = volume_folder(path)?;
            let id = match volume == path {
                true => zarr_id(path),
                false => identify(path),
            };
            Ok((Voxels::Zarr(ZarrVolume::open(&volume, level)?), id))
        }
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
    let paths = storage::list(path).map_err(|_| no_layers())?;
    let mut volumes: Vec<PathBuf> = paths
        .into_iter()
        .filter(|path| volume_stem(path).is_some() && SideImage::parse(path).is_none())
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

/// `segment.zarr`, `segment.ome.zarr`, or `segment.zarr/1`, is called segment.
fn zarr_id(path: &Path) -> String {
    let whole = spelled_out(path);
    let stem = whole.ancestors().take(3).find_map(volume_stem);
    let own = whole.file_stem().unwrap_or_default().to_string_lossy();
    stem.map_or_else(|| own.into_owned(), str::to_owned)
}

fn identify(path: &Path) -> String {
    if storage::is_file(path) {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let stem = stem.strip_suffix(".ome").unwrap_or(&stem);
        return stem.to_owned();
    }
    let masks = side_images::list(path).into_iter();
    let mut names = masks
        .filter(|image| image.kind == SideImageKind::Mask)
        .map(|image| image.prefix);
    let prefixed = names.find(|name| !name.is_empty());
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
    if is_remote(path) {
        return path.to_owned();
    }
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
