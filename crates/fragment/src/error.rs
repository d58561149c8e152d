use std::path::PathBuf;

use crate::RemoteFailure;
use crate::region::Region;
use crate::result_kind::ResultKind;

/// What can be wrong with files of a fragment. Each message names the file, what was found, what
/// was expected, and the hint.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused.
    #[error("{}: {source}. hint: {}", path.display(), io_hint(source))]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's word.
        source: std::io::Error,
    },
    /// A server that does not hand out a file.
    #[error("{0}")]
    Remote(RemoteFailure),
    /// The folder holds no layers.
    #[error(
        "{}: found no layers ({found}); expected images numbered as 00.tif … (TIFF, PNG or JPEG) in surface_volume, \
         layers, the folder itself or one other folder, a TIFF with all layers, or one *.zarr. \
         hint: name the fragment's own folder", path.display()
    )]
    NoLayers {
        /// The folder.
        path: PathBuf,
        /// What lies in it.
        found: String,
    },
    /// A layer, or a folder of layers, that holds something else than what can be read.
    #[error("{}: found {found}; expected {expected}. hint: {hint}", path.display())]
    LayerContent {
        /// The file or folder.
        path: PathBuf,
        /// What is in it.
        found: String,
        /// What should be.
        expected: &'static str,
        /// What to do.
        hint: &'static str,
    },
    /// Numbers are missing between the first layer and the last.
    #[error("{}: found layers {first} to {last} without layer {missing}; expected every number between. hint: copy the missing layer", path.display())]
    MissingLayer {
        /// The folder of layers.
        path: PathBuf,
        /// The first number there.
        first: u64,
        /// The last number there.
        last: u64,
        /// The first number that is not there.
        missing: u64,
    },
    /// Two layers with one number, as `2.tif` and `02.tif`.
    #[error("{}: found a second layer of this number beside {other}; expected one file per number. hint: remove one of them", path.display())]
    SameNumber {
        /// The second file.
        path: PathBuf,
        /// The first file's name.
        other: String,
    },
    /// A layer that is no TIFF, or one that cannot be decoded.
    #[error("{}: found a file that cannot be read as TIFF ({reason}); expected a grey TIFF of 16 or 8 bits. hint: copy or export the layer again", path.display())]
    Tiff {
        /// The layer.
        path: PathBuf,
        /// What the decoder said.
        reason: String,
    },
    /// A Zarr folder that cannot be read or written.
    #[error("{}: found Zarr that cannot be used ({reason}); expected a volume (z, y, x) or image (y, x) of u16 or u8, Zarr 2 or 3. hint: export it again, or name the level's folder", path.display())]
    Zarr {
        /// The folder.
        path: PathBuf,
        /// What was wrong.
        reason: String,
    },
    /// A Zarr folder that holds something else than what can be read.
    #[error("{}: found {found}; expected {expected}. hint: {hint}", path.display())]
    ZarrContent {
        /// The folder, or the chunk.
        path: PathBuf,
        /// What is in it.
        found: String,
        /// What should be.
        expected: String,
        /// What to do.
        hint: String,
    },
    /// A coarser level of layers that have none.
    #[error("{}: found a folder of layers; expected an OME-Zarr volume with a level {level}. hint: leave the level out, or shrink the fragment with `inkling downscale`", path.display())]
    NoLevels {
        /// The folder of layers.
        path: PathBuf,
        /// The level asked for.
        level: usize,
    },
    /// A layer whose file ends early.
    #[error("{}: found {found} bytes; expected at least {expected}: the file is truncated. hint: copy the layer again", path.display())]
    Truncated {
        /// The layer.
        path: PathBuf,
        /// Bytes there are.
        found: u64,
        /// Bytes that its directory speaks of.
        expected: u64,
    },
    /// Several volumes in one folder.
    #[error("{}: found several Zarr volumes ({found}); expected one. hint: name the volume's own folder", path.display())]
    SeveralVolumes {
        /// The fragment's folder.
        path: PathBuf,
        /// Their names.
        found: String,
    },
    /// A layer of a type that is not read.
    #[error("{}: found {found} pixels; expected one grey channel of 8 or 16 bits, or of 32-bit floats. \
             hint: convert it to 16-bit grey (Fiji: Image > Type > 16-bit)", path.display())]
    PixelType {
        /// The layer or image.
        path: PathBuf,
        /// Its type.
        found: String,
    },
    /// A layer that is packed in a way that is not read.
    #[error("{}: found compression {found}; expected none, LZW, deflate, Zstandard, PackBits or JPEG. \
             hint: save the layers with LZW (`tiffcp -c lzw`, or Fiji) or without compression", path.display())]
    Compression {
        /// The layer.
        path: PathBuf,
        /// The compression's name and number.
        found: String,
    },
    /// An image of another size than the fragment.
    #[error("{}: found {} × {} px (height × width); expected {} × {} px like {like}. hint: {hint}", path.display(), found[0], found[1], expected[0], expected[1])]
    Size {
        /// The image.
        path: PathBuf,
        /// Its height and width.
        found: [usize; 2],
        /// What they should be.
        expected: [usize; 2],
        /// What the expectation comes from.
        like: &'static str,
        /// What to do.
        hint: &'static str,
    },
    /// There is no mask, and no voxel that could be papyrus.
    #[error("{}: found no mask, and 0 in every voxel of all layers; expected papyrus. hint: check that the layers are those of the scan, or add a mask.png, white where there is papyrus", path.display())]
    NoPapyrus {
        /// The fragment's folder.
        path: PathBuf,
    },
    /// Two images of one kind that differ.
    #[error("{}: found a second image of this kind that differs, {}; expected one. hint: move away the one that does not belong to these layers", path.display(), other.display())]
    SeveralSideImages {
        /// One of them.
        path: PathBuf,
        /// The other.
        other: PathBuf,
    },
    /// Labels in which several values might be ink.
    #[error("{}: found areas of the values {found}; expected two values, background and ink. hint: name the value that is ink with --labels-ink N, or data.labels_ink = N in a recipe", path.display())]
    UndecidedLabels {
        /// The labels.
        path: PathBuf,
        /// The values and their shares.
        found: String,
    },
    /// Labels of ink beside papyrus that is said to have none.
    #[error("{}: found ink in the labels of papyrus that data.bare says has none; expected none, or no labels. hint: take the fragment out of data.bare, or the labels away", path.display())]
    LabelledBare {
        /// The labels.
        path: PathBuf,
    },
    /// A voxel that does not fit what the others said of their range.
    #[error("{}: found the value {found} among voxels that were taken for {bits} bits; expected at most {limit}. hint: give --voxels as-is, or data.voxels = \"as-is\" in a recipe", path.display())]
    VoxelRange {
        /// The fragment's folder.
        path: PathBuf,
        /// The value.
        found: u16,
        /// The bits that were found out.
        bits: u8,
        /// The largest value of so many bits.
        limit: u16,
    },
    /// Layers that are not there.
    #[error("{}: found layers {} to {}; expected {} to {} among them. hint: name layers that are there with --layers FIRST..END, or data.layers in a recipe; or bring the sheet to the model's depth with --maps auto", path.display(), found.start, found.end - 1, expected.start, expected.end - 1)]
    Band {
        /// The fragment's folder.
        path: PathBuf,
        /// Those that there are.
        found: std::ops::Range<usize>,
        /// Those that were to be read.
        expected: std::ops::Range<usize>,
    },
    /// The mask is black all over.
    #[error("{}: found a mask without papyrus; expected white pixels where there is papyrus. hint: check that the mask is not inverted", path.display())]
    EmptyMask {
        /// The mask.
        path: PathBuf,
    },
    /// A picture that cannot be decoded.
    #[error("{}: found a file that cannot be read as PNG ({reason}); expected a PNG image. hint: export the picture again", path.display())]
    Png {
        /// The picture.
        path: PathBuf,
        /// What the decoder said.
        reason: String,
    },
    /// An image that is none of probabilities.
    #[error("{}: found {found}; expected probabilities of ink: levels 0 to 255, or floats 0 to 1. hint: {hint}", path.display())]
    NoProbability {
        /// The image.
        path: PathBuf,
        /// What was found in it.
        found: String,
        /// What to do.
        hint: &'static str,
    },
    /// An array file that cannot be decoded.
    #[error("{}: found an NPY file that cannot be read ({reason}); expected an array of numbers as numpy.save writes it. hint: save it again as float32", path.display())]
    Npy {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        reason: String,
    },
    /// A text that is far longer than such texts are.
    #[error("{}: found more than {most} bytes; expected a shorter text. hint: check that this is the file that was meant", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// Most bytes that are read.
        most: u64,
    },
    /// Something is there already.
    #[error("{}: found an existing file or folder; expected a new name. hint: give --force to overwrite it, or another name", path.display())]
    Exists {
        /// The file or folder.
        path: PathBuf,
    },
    /// A folder where a file is to be written.
    #[error("{}: found a folder; expected the name of a file. hint: give a name within the folder", path.display())]
    IsFolder {
        /// The folder.
        path: PathBuf,
    },
    /// Something that Inkling did not write, and therefore never replaces, `--force` or not.
    #[error("{}: found {found}, which is no earlier result of this kind (its .inkling does not name it); expected nothing else to be lost. hint: give another name, or move it away", folder.display())]
    Foreign {
        /// The folder that would have been written.
        folder: PathBuf,
        /// What is in the way.
        found: String,
    },
    /// A folder that holds other things than the results that are to have it for their own.
    #[error("{}: found a folder with {found}; expected a new or empty folder, or an earlier {kind}. Nothing in it was touched. hint: give a new name, such as {}", path.display(), path.join(kind.to_string()).display())]
    NotOwn {
        /// The folder.
        path: PathBuf,
        /// What was to be written.
        kind: ResultKind,
        /// What lies there.
        found: String,
    },
    /// A name that cannot stand for a file.
    #[error(
        "found the name {found:?}; expected one without / and \\, that is not empty, . or .., of at most 200 bytes. hint: rename it, or give a name as NAME=PATH"
    )]
    Name {
        /// The name.
        found: String,
    },
    /// A box of voxels that leaves the volume.
    #[error(
        "found the region {region:?} of a volume of {shape:?} voxels (z, y, x); expected one inside. hint: ask for less"
    )]
    OutOfBounds {
        /// The region asked for.
        region: Region,
        /// The volume's shape.
        shape: [usize; 3],
    },
    /// A part's `part.json` that cannot be understood.
    #[error("{}: found no JSON that says where a part lay (scan, fingerprint, rows, columns, step); expected what `inkling split` wrote. hint: cut the part again, or remove the file", path.display())]
    Provenance {
        /// The file.
        path: PathBuf,
    },
    /// Rows that do not fit into the file being written.
    #[error("{}: found {found}; expected {expected}. hint: write the rows of all layers once, top to bottom", path.display())]
    Rows {
        /// The folder being written.
        path: PathBuf,
        /// What was handed in.
        found: String,
        /// What fits.
        expected: String,
    },
}

impl Error {
    /// Whether the hint lies in the flags or the settings.
    pub fn is_settings(&self) -> bool {
        matches!(self, Self::NotOwn { .. } | Self::Name { .. })
    }

    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        |source| match RemoteFailure::within(&source) {
            Some(failure) => Self::Remote(failure.clone()),
            None => Self::Io { path, source },
        }
    }
}

/// What mends an error of the system.
fn io_hint(error: &std::io::Error) -> &'static str {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::NotFound => "check how the path is written, and from which folder it starts",
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "change its permissions, or name another place"
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            "free space on the disk, or name another place"
        }
        ErrorKind::NotADirectory => "a file stands where a folder is due: name another place",
        ErrorKind::InvalidData => "if it is text, save it as UTF-8",
        ErrorKind::InvalidInput => "put a file in its place, or name another one",
        _ => "check that the path exists, its permissions, and the space left on the disk",
    }
}
