//! The command line: commands, flags and their help.

// The docs of flags are shown on terminals: no Markdown.
#![allow(rustdoc::broken_intra_doc_links, rustdoc::invalid_html_tags)]

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use inkling_fragment::{LabelOptions, ReadOptions, ZarrVersion};
use inkling_model::Precision;
use inkling_pipeline::{
    ImageFiles, ImageRegion, ResumeOptions, VoxelReading, parse_threshold, read_calibration,
};

/// Detects ink in X-ray scans of carbonised papyrus: aligns the surface in depth, trains networks on
/// fragments whose ink is known, and predicts the ink of those whose ink is not.
#[derive(Parser)]
#[command(name = "inkling", version, propagate_version = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// auto, flex, cuda[:N], vulkan[:N], metal, rocm[:N] or libtorch[:cuda:N]; {rank} in it is
    /// the process's place on its machine under mpirun.
    #[arg(long, global = true, default_value = "auto", value_name = "DEVICE")]
    pub device: String,
    /// Threads that work at once; as many as the machine has processors by default.
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=i64::from(crate::threads::MOST)))]
    pub threads: Option<u16>,
    /// Prints the figures as one JSON object on stdout; words go to stderr.
    #[arg(long, global = true)]
    pub json: bool,
    /// More messages; twice all of them.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Errors only.
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Replaces earlier results.
    #[arg(long, global = true)]
    pub force: bool,
}

/// The commands, in the order in which data travels.
#[derive(Subcommand)]
pub enum Command {
    /// Phantom fragments → align → train → predict → score → report.html.
    Demo(Demo),
    /// Makes phantom fragments with known ink and known depth.
    Synth(Synth),
    /// Mean intensity of each layer: all papyrus, ink, bare papyrus.
    Curves(Curves),
    /// Fits the depth maps of fragments.
    Align(Align),
    /// Applies depth maps: writes an aligned copy of a fragment.
    Warp(Warp),
    /// Cuts a fragment into three parts of equal papyrus.
    Split(Split),
    /// Lowers a fragment's resolution: keeps every second (third, …) pixel.
    Downscale(Downscale),
    /// Prints resolved settings and where each came from.
    Config(Config),
    /// Draws what each fold trains on and holds out, and checks that they are apart.
    Folds(Folds),
    /// Shows what training sees: each transform, and finished samples.
    Augment(Augment),
    /// Trains one fold.
    Train(Train),
    /// Cross-validation: trains and validates every fold.
    Cv(Cv),
    /// Predicts the ink of fragments.
    Predict(Box<Predict>),
    /// Joins the shards of a prediction.
    Merge(Merge),
    /// Finds the threshold with the best F0.5 on labelled predictions.
    Threshold(Threshold),
    /// Scores a prediction against labels: F0.5 and more.
    Score(Score),
    /// Fits a correction of probabilities to labelled predictions of held-out sheets.
    Calibrate(Calibrate),
    /// Checks that a model finds ink where it is and nowhere else: the same prediction with the layers in
    /// another order, of noise, of bare papyrus, and against labels that are elsewhere. Writes controls.html and
    /// controls.json.
    Controls(Controls),
    /// Plants strokes of falling contrast and maps the faintest that the model finds, place by place. Writes
    /// <id>.limit.png and <id>.limit.json.
    Limit(Limit),
    /// Predicts places of a finished map anew and compares them with it.
    Verify(Verify),
    /// Reads a segment with several models, at several depths and in either direction, side by side.
    Sweep(Sweep),
    /// Compares two maps of one sheet: how they agree, and which is nearer to labels.
    Compare(Compare),
    /// Writes predictions as the competition's run lengths.
    Submit(Submit),
    /// Passes patches through a network, to compare it with others or to time it.
    Forward(Forward),
    /// Writes report.html of a run or a folder of predictions.
    Report(Report),
    /// Writes a network's weights for other programs.
    Export(Export),
    /// Writes fragments as a dataset of another program.
    ExportDataset(ExportDataset),
    /// Lists encoders and approaches.
    Models(Models),
    /// Says what Inkling finds in folders and files: layers, masks, labels, weights.
    Info(Info),
    /// Prints what makes a shell complete commands and flags.
    Completions(Completions),
    /// Writes the manual's pages: inkling.1, and one for each command.
    Man(Man),
    /// Looks at this machine: threads, vector instructions, memory, devices, cached weights, and what
    /// would make Inkling faster.
    Doctor,
}

/// How files are read that leave something open.
#[derive(Args, Clone, Copy, Debug)]
pub struct Reading {
    /// Level of an OME-Zarr volume, 0 the finest.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub level: usize,
    /// as-is takes 16-bit voxels as they are; auto reads them as 8 or 12 bits where their largest
    /// value says so.
    #[arg(long, default_value = "auto", value_name = "auto|as-is", value_parser = voxels)]
    pub voxels: VoxelReading,
    /// What is ink in label images.
    #[command(flatten)]
    pub labels: LabelReading,
}

/// What is ink in label images.
#[derive(Args, Clone, Copy, Debug)]
pub struct LabelReading {
    /// The value that is ink in label images; by default all that is drawn.
    #[arg(long, value_name = "VALUE")]
    pub labels_ink: Option<u16>,
    /// Ink is dark on a light ground in label images.
    #[arg(long)]
    pub invert_labels: bool,
}

impl Reading {
    /// The same for the library; `flip` takes the layers in reverse order.
    pub fn options(&self, flip: bool) -> ReadOptions {
        ReadOptions {
            level: self.level,
            flip,
            voxels_as_is: self.voxels == VoxelReading::AsIs,
            labels: self.labels.options(),
        }
    }
}

impl LabelReading {
    /// The same for the library.
    pub fn options(&self) -> LabelOptions {
        LabelOptions {
            ink: self.labels_ink,
            invert: self.invert_labels,
        }
    }
}

/// Flags of `demo`.
#[derive(Args)]
pub struct Demo {
    /// The folder that everything is written to.
    #[arg(long, default_value = "demo", value_name = "DIR")]
    pub out: PathBuf,
}

/// Flags of `synth`.
#[derive(Args)]
pub struct Synth {
    /// The folder that the fragments are written to.
    #[arg(value_name = "OUT")]
    pub out: PathBuf,
    /// How many, numbered from 1.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=9_999))]
    pub fragments: u64,
    /// Height and width in pixels.
    #[arg(long, default_value = "768x640", value_name = "HxW")]
    pub size: String,
    /// The first fragment's seed; the others count on.
    #[arg(long, default_value_t = 1, value_name = "S")]
    pub seed: u64,
    /// Depth scale of the papyrus: 1 for thin sheets, 0.6 for thick ones.
    #[arg(long, default_value_t = 1.0, value_name = "Z", value_parser = depth_scale)]
    pub scale: f32,
    /// How much ink differs from bare papyrus: 1 is faint, 0 is a sheet without ink.
    #[arg(long, default_value_t = 1.0, value_name = "C", value_parser = contrast)]
    pub contrast: f32,
    /// Number of layers.
    #[arg(long, default_value_t = 65, value_name = "D", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub depth: u16,
}

/// Flags of `curves`.
#[derive(Args)]
pub struct Curves {
    /// Fragments: folders of layers or OME-Zarr volumes, as PATH or NAME=PATH.
    #[arg(required = true, value_name = "FRAGMENT")]
    pub fragments: Vec<PathBuf>,
    /// Where curves.csv and curves.svg go.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// How odd files are read.
    #[command(flatten)]
    pub reading: Reading,
}

/// Flags of `align`.
#[derive(Args)]
pub struct Align {
    /// Fragments: folders of layers or OME-Zarr volumes, as PATH or NAME=PATH.
    #[arg(required = true, value_name = "FRAGMENT")]
    pub fragments: Vec<PathBuf>,
    /// Where DIR/<id>/{z_shift.npy, z_scale.npy, align.json, …} go.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// What is aligned to: a curve (CSV) or a fragment, or the mean of several; the built-in
    /// curve by default.
    #[arg(long, value_name = "CSV|FRAGMENT")]
    pub target: Vec<PathBuf>,
    /// robust (the default), or reference: the reference solution's two stages of least squares.
    #[arg(long, value_name = "METHOD")]
    pub method: Option<String>,
    /// Takes the layers in reverse order, for a sheet scanned from its other side.
    #[arg(long)]
    pub flip: bool,
    /// Memory for voxels, as 512M (the default) or 2G.
    #[arg(long, value_name = "SIZE", value_parser = memory)]
    pub memory: Option<usize>,
    /// A recipe whose [align] is used; flags override it.
    #[command(flatten)]
    pub recipe: OptionalRecipes,
    /// How odd files are read.
    #[command(flatten)]
    pub reading: Reading,
}

/// Flags of `warp`.
#[derive(Args)]
pub struct Warp {
    /// The fragment: a folder of layers, or an OME-Zarr volume.
    #[arg(value_name = "FRAGMENT")]
    pub fragment: PathBuf,
    /// The fragment's depth maps, or the folder of all fragments' maps.
    #[arg(long, value_name = "DIR")]
    pub maps: PathBuf,
    /// Layers to write, as FIRST..END; all by default.
    #[arg(long, value_name = "FIRST..END", value_parser = layers)]
    pub z: Option<[usize; 2]>,
    /// Memory for voxels, as 512M or 2G.
    #[arg(long, default_value = "512M", value_name = "SIZE", value_parser = memory)]
    pub memory: usize,
    /// The aligned fragment's folder.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// How the layers are written.
    #[arg(long, value_enum, default_value_t = Format::Tiff)]
    pub format: Format,
    /// How odd files are read.
    #[command(flatten)]
    pub reading: Reading,
}

/// Flags of `split`.
#[derive(Args)]
pub struct Split {
    /// The fragment: a folder of layers, or an OME-Zarr volume.
    #[arg(value_name = "FRAGMENT")]
    pub fragment: PathBuf,
    /// Its depth maps, cut along: OUT/maps/<part>.
    #[arg(long, value_name = "DIR")]
    pub maps: Option<PathBuf>,
    /// Where the parts <id>a (top), <id>b and <id>c (below) go.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// How the layers are written.
    #[arg(long, value_enum, default_value_t = Format::Tiff)]
    pub format: Format,
    /// How odd files are read.
    #[command(flatten)]
    pub reading: Reading,
}

/// Flags of `downscale`.
#[derive(Args)]
pub struct Downscale {
    /// The fragment: a folder of layers, or an OME-Zarr volume.
    #[arg(value_name = "FRAGMENT")]
    pub fragment: PathBuf,
    /// One pixel of so many is kept, each way.
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub factor: u16,
    /// The smaller fragment's folder.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// How the layers are written.
    #[arg(long, value_enum, default_value_t = Format::Tiff)]
    pub format: Format,
    /// How odd files are read.
    #[command(flatten)]
    pub reading: Reading,
}

/// Where settings come from.
#[derive(Args)]
pub struct Recipes {
    /// Recipes; later ones override earlier ones.
    #[arg(long = "config", required = true, value_name = "FILE", num_args = 1..)]
    pub files: Vec<PathBuf>,
    /// Overrides one value, such as train.epochs=3.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
}

impl Recipes {
    /// The overrides, and what the flags `--layers` and `--flip` override.
    pub fn with(&self, flags: &TrainingFlags) -> Vec<String> {
        let layers = flags
            .layers
            .map(|[first, end]| format!("data.layers=[{first}, {end}]"));
        let flip = flags.flip.then(|| "data.flip=true".to_owned());
        let given = self.overrides.iter().cloned();
        given.chain(layers).chain(flip).collect()
    }
}

/// Where settings may come from, besides flags.
#[derive(Args)]
pub struct OptionalRecipes {
    /// Recipes whose settings are used; later ones override earlier ones, flags override all.
    #[arg(long = "config", value_name = "FILE", num_args = 1..)]
    pub files: Vec<PathBuf>,
    /// Overrides one value of the recipe, such as predict.step=0.25.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
}

/// Flags of `config`.
#[derive(Args)]
pub struct Config {
    /// Recipes; later ones override earlier ones.
    #[arg(long = "config", required_unless_present = "schema", value_name = "FILE", num_args = 1..)]
    pub files: Vec<PathBuf>,
    /// Overrides one value, such as train.epochs=3.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
    /// Prints the JSON Schema of recipes instead, for editors.
    #[arg(long, conflicts_with_all = ["files", "overrides"])]
    pub schema: bool,
}

/// Flags of `augment`.
#[derive(Args)]
pub struct Augment {
    /// The fragment: a folder of layers, or an OME-Zarr volume.
    #[arg(value_name = "FRAGMENT")]
    pub fragment: PathBuf,
    /// The recipe.
    #[command(flatten)]
    pub recipe: Recipes,
    /// The seed of the draws.
    #[arg(long, default_value_t = 0, value_name = "S")]
    pub seed: u64,
    /// Finished samples to show.
    #[arg(long, default_value_t = 12, value_name = "N", value_parser = clap::value_parser!(u16).range(..=1000))]
    pub count: u16,
    /// Applies one transform after another, as the reference does, instead of sampling once.
    #[arg(long)]
    pub exact: bool,
    /// Where gallery.html, gallery.png and gallery.json go.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// How odd files are read.
    #[command(flatten)]
    pub reading: Reading,
}

/// Flags that `train` and `cv` share.
#[derive(Args)]
pub struct TrainingFlags {
    /// Resumes where the last call stopped.
    #[arg(long)]
    pub resume: bool,
    /// Resumes although fragments have changed since the last checkpoint.
    #[arg(long, requires = "resume")]
    pub allow_changed_data: bool,
    /// Memory for the weights, samples and voxels, as 512M or 2G; three quarters of the machine's by
    /// default. Voxels that do not fit are read as they are needed.
    #[arg(long, value_name = "SIZE", value_parser = memory)]
    pub memory: Option<usize>,
    /// The layers that are read, as FIRST..END, in place of the recipe's data.layers.
    #[arg(long, value_name = "FIRST..END", value_parser = layers)]
    pub layers: Option<[usize; 2]>,
    /// Takes the layers of all fragments in reverse order; for some, name them in data.flip.
    #[arg(long)]
    pub flip: bool,
}

impl TrainingFlags {
    /// What the flags say of resuming.
    pub fn options(&self) -> ResumeOptions {
        ResumeOptions {
            resume: self.resume,
            allow_changed_data: self.allow_changed_data,
            memory: self.memory,
        }
    }
}

/// Flags of `train`.
#[derive(Args)]
pub struct Train {
    /// The recipe.
    #[command(flatten)]
    pub recipe: Recipes,
    /// The fold: its place from 0, or the names of its held-out fragments joined by +. The last
    /// by default.
    #[arg(long, value_name = "K|NAME")]
    pub fold: Option<String>,
    /// The folder of the run: new, empty or an earlier run.
    #[arg(long, value_name = "RUN")]
    pub out: PathBuf,
    /// How it goes on, and what is read.
    #[command(flatten)]
    pub training: TrainingFlags,
}

/// Flags of `folds`.
#[derive(Args)]
pub struct Folds {
    /// The recipe.
    #[command(flatten)]
    pub recipe: Recipes,
    /// Where folds.html and folds.json go.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// Flags of `cv`.
#[derive(Args)]
pub struct Cv {
    /// The recipe.
    #[command(flatten)]
    pub recipe: Recipes,
    /// Where a run per fold, cv.json and the report go.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Trains only this fold (its place from 0, or its name) and sums up those finished so far:
    /// a job per fold on a cluster.
    #[arg(long, value_name = "K|NAME")]
    pub fold: Option<String>,
    /// How it goes on, and what is read.
    #[command(flatten)]
    pub training: TrainingFlags,
}

/// Flags of `predict`.
#[derive(Args)]
pub struct Predict {
    /// Fragments: folders of layers or OME-Zarr volumes, as PATH or NAME=PATH.
    #[arg(required = true, value_name = "FRAGMENT")]
    pub fragments: Vec<PathBuf>,
    /// Runs, weights files, published networks' checkpoints, or hf:OWNER/NAME[/FILE][@REVISION] on the
    /// hub; several are averaged.
    #[arg(long = "model", required = true, value_name = "RUN|FILE|hf:…", num_args = 1..)]
    pub models: Vec<PathBuf>,
    /// Where <id>.png, submission.csv and predict.json go.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// How much each model counts, in their order, as 2,1,1; all alike by default.
    #[arg(long, value_name = "W,W,…", value_delimiter = ',')]
    pub weights: Vec<f64>,
    /// Recipes whose [predict] is used, in place of the model's own.
    #[command(flatten)]
    pub recipe: OptionalRecipes,
    /// Test-time augmentation: none, rot90, mirror, full (twelve-fold) or full-depth (the same with the layers
    /// reversed too); full, unless a recipe or the model's own says otherwise.
    #[arg(long, value_name = "TTA")]
    pub tta: Option<String>,
    /// Further passes at free angles, averaged where they see the tile.
    #[arg(long, value_name = "N")]
    pub tta_rotate: Option<usize>,
    /// What is averaged over passes: probabilities (the default) or logits.
    #[arg(long, value_name = "MEAN")]
    pub tta_mean: Option<String>,
    /// Distance between tiles, as a share of their side; 0.5 by default.
    #[arg(long, value_name = "SHARE")]
    pub step: Option<f64>,
    /// production predicts by the rules of the network's publishers, so that their maps come out again;
    /// reference is the default.
    #[arg(long = "as", value_name = "RULES")]
    pub rules: Option<Rules>,
    /// The weights of a tile's pixels where tiles overlap: spline, hann, gaussian or constant; by default those
    /// of the rules.
    #[arg(long, value_name = "WINDOW")]
    pub blend: Option<String>,
    /// Precision of products: f32 (the default), bf16, f16 or int8. Graphics cards, and
    /// processors with AMX, AVX-512 BF16 or Armv8.6's, are faster in bf16; probabilities change in the third
    /// digit. int8 rounds linear layers to 8 bits: faster still where the network is mostly linear layers and the processor
    /// has AVX-512 VNNI, AVX-VNNI or Armv8.2's dot products; probabilities change in the third digit, or in the second.
    #[arg(long, value_name = "NAME", value_parser = precision)]
    pub precision: Option<Precision>,
    /// A folder of all fragments' depth maps, or of one fragment's own; or auto to fit them first.
    #[arg(long, value_name = "DIR|auto")]
    pub maps: Option<String>,
    /// Takes the layers in reverse order, for a sheet scanned from its other side.
    #[arg(long, conflicts_with = "direction")]
    pub flip: bool,
    /// The order of the layers: forward, reverse (as --flip) or both, which makes <id>.png and
    /// <id>-reverse.png.
    #[arg(long, value_name = "ORDER")]
    pub direction: Option<Direction>,
    /// Makes one layer of every N, their mean: 4 makes a volume of ~9.6 µm of one of ~2.4 µm, together with
    /// --level 2.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(2..=64))]
    pub z_pool: Option<u16>,
    /// The layers that are read, as FIRST..END; by default those that the model was trained on.
    #[arg(long, value_name = "FIRST..END", value_parser = layers)]
    pub layers: Option<[usize; 2]>,
    /// The only pixels that are predicted, rows first; the images keep the sheet's size, 0 elsewhere.
    #[arg(long, value_name = "Y0:Y1,X0:X1")]
    pub region: Option<ImageRegion>,
    /// Tiles in work at once, each on a thread of its own on a processor, as one batch elsewhere; auto
    /// fits them into --memory.
    #[arg(long, default_value = "auto", value_name = "N|auto")]
    pub batch: String,
    /// Memory for the tiles in work and what networks make of them, as 512M or 2G.
    #[arg(long, default_value = "2G", value_name = "SIZE", value_parser = memory)]
    pub memory: usize,
    /// Makes only the Kth of N equal parts; `merge` joins them.
    #[arg(long, value_name = "K/N")]
    pub part: Option<String>,
    /// Resumes where the last call stopped.
    #[arg(long)]
    pub resume: bool,
    /// Prints tiles, batches, and the time and memory that they will take; predicts nothing.
    #[arg(long)]
    pub plan_only: bool,
    /// Side of a pixel in micrometres, as 7.91; by default what an OME-Zarr volume says. More than 0.5 mm that
    /// the network sees at once are warned of.
    #[arg(long, value_name = "UM", value_parser = pixel_size)]
    pub pixel_size: Option<f64>,
    /// Writes <id>.std.png too: the standard deviation over models and passes, white being 0.5.
    #[arg(long)]
    pub uncertainty: bool,
    /// Writes <id>.model-K.png too, for each model.
    #[arg(long)]
    pub per_model: bool,
    /// What is written besides <id>.png.
    #[command(flatten)]
    pub images: Images,
    /// How odd files are read.
    #[command(flatten)]
    pub reading: Reading,
}

/// By whose rules a sheet is predicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Rules {
    /// The reference solution's.
    Reference,
    /// Those of the network's publishers.
    Production,
}

/// The order in which layers are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Direction {
    /// As they are numbered.
    Forward,
    /// The last first, for a sheet scanned from its other side.
    Reverse,
    /// Once either way.
    Both,
}

impl Direction {
    /// Whether the layers are reversed, for each time that they are read.
    pub fn orders(self) -> &'static [bool] {
        match self {
            Self::Forward => &[false],
            Self::Reverse => &[true],
            Self::Both => &[false, true],
        }
    }
}

/// How predictions are written.
#[derive(Args)]
pub struct Images {
    /// Writes <id>.tif too: 32-bit floats in tiles.
    #[arg(long)]
    pub float: bool,
    /// Writes <id>.zarr too: OME-Zarr with a pyramid, of 16-bit probabilities.
    #[arg(long)]
    pub zarr: bool,
    /// From which probability on a pixel is ink in submission.csv; LOW,HIGH, or a file of `threshold`.
    #[arg(long, default_value = "0.5", value_name = "P|FILE")]
    pub threshold: String,
    /// A file of `calibrate`, by which the probabilities are corrected.
    #[arg(long, value_name = "FILE")]
    pub calibration: Option<PathBuf>,
}

impl Images {
    /// What the flags say.
    pub fn files(&self) -> anyhow::Result<ImageFiles> {
        Ok(ImageFiles {
            float: self.float,
            zarr: self.zarr,
            threshold: parse_threshold(&self.threshold)?,
            calibration: self
                .calibration
                .as_deref()
                .map(read_calibration)
                .transpose()?,
        })
    }
}

/// Flags of `merge`.
#[derive(Args)]
pub struct Merge {
    /// The folder that `predict --part` wrote to.
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// Keeps the parts.
    #[arg(long)]
    pub keep: bool,
    /// What is written besides <id>.png.
    #[command(flatten)]
    pub images: Images,
}

/// Flags of `threshold`.
#[derive(Args)]
pub struct Threshold {
    /// Probability images.
    #[arg(required = true, value_name = "PREDICTION")]
    pub predictions: Vec<PathBuf>,
    /// Their ink labels, in the same order.
    #[arg(long, required = true, value_name = "PNG", num_args = 1..)]
    pub labels: Vec<PathBuf>,
    /// Their papyrus masks, in the same order.
    #[arg(long, required = true, value_name = "PNG", num_args = 1..)]
    pub mask: Vec<PathBuf>,
    /// Probability images of papyrus that is known to have no ink: two thresholds are then found, with the
    /// best F0.5 among those that leave hardly any ink on these.
    #[arg(long, value_name = "PREDICTION", num_args = 1.., requires = "bare_mask")]
    pub bare: Vec<PathBuf>,
    /// Their papyrus masks, in the same order.
    #[arg(long, value_name = "PNG", num_args = 1.., requires = "bare")]
    pub bare_mask: Vec<PathBuf>,
    /// Largest share of such papyrus that may be called ink, with a confidence of 95 %.
    #[arg(long, default_value_t = 0.001, value_name = "SHARE", requires = "bare")]
    pub bare_share: f64,
    /// The file to write, for --threshold of other commands.
    #[arg(long, default_value = "threshold.json", value_name = "JSON")]
    pub out: PathBuf,
    /// What is ink in the labels.
    #[command(flatten)]
    pub reading: LabelReading,
}

/// Flags of `score`.
#[derive(Args)]
pub struct Score {
    /// Probability images: several, such as the sheets of a scroll, are scored one by one and as one.
    #[arg(required = true, value_name = "PREDICTION")]
    pub predictions: Vec<PathBuf>,
    /// The ink labels; once for each prediction, in their order.
    #[arg(long, required = true, value_name = "PNG")]
    pub labels: Vec<PathBuf>,
    /// The papyrus mask; once for each prediction, in their order.
    #[arg(long, required = true, value_name = "PNG")]
    pub mask: Vec<PathBuf>,
    /// A probability; LOW,HIGH, or a file of `threshold`; or `sweep` to try them all.
    #[arg(long, default_value = "0.5", value_name = "P|LOW,HIGH|JSON|sweep")]
    pub threshold: String,
    /// Side of the blocks that the metrics' 95 % intervals are drawn by, in pixels.
    #[arg(long, default_value_t = 256, value_name = "PX", value_parser = clap::value_parser!(u32).range(1..))]
    pub block: u32,
    /// An image of uncertainty, as <id>.std.png, once for each prediction: whether the pixels that are
    /// uncertain are those that are wrong.
    #[arg(long, value_name = "PNG")]
    pub uncertainty: Vec<PathBuf>,
    /// Scores every square of so many pixels, too, with intervals by its own blocks.
    #[arg(long, value_name = "PX", value_parser = clap::value_parser!(u32).range(1..))]
    pub regions: Option<u32>,
    /// What is ink in the labels.
    #[command(flatten)]
    pub reading: LabelReading,
}

/// Flags of `calibrate`.
#[derive(Args)]
pub struct Calibrate {
    /// Probability images of sheets that the network was not trained on.
    #[arg(required = true, value_name = "PREDICTION")]
    pub predictions: Vec<PathBuf>,
    /// Their ink labels, in the same order.
    #[arg(long, required = true, value_name = "PNG", num_args = 1..)]
    pub labels: Vec<PathBuf>,
    /// Their papyrus masks, in the same order.
    #[arg(long, required = true, value_name = "PNG", num_args = 1..)]
    pub mask: Vec<PathBuf>,
    /// platt multiplies logits and adds to them; temperature only multiplies them.
    #[arg(long, value_enum, default_value_t = ScalingName::Platt)]
    pub scaling: ScalingName,
    /// Where calibration.json, for --calibration of other commands, and calibration.html go.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// What is ink in the labels.
    #[command(flatten)]
    pub reading: LabelReading,
}

/// What a calibration fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ScalingName {
    /// Logits are multiplied and added to.
    Platt,
    /// Logits are multiplied.
    Temperature,
}

/// A reading that `controls` and `limit` ask questions of.
#[derive(Args)]
pub struct AuditFlags {
    /// The fragment, best one with labels that the model was not trained on, as PATH or NAME=PATH.
    #[arg(value_name = "FRAGMENT")]
    pub fragment: PathBuf,
    /// Runs or weights files; several are averaged.
    #[arg(long = "model", required = true, value_name = "RUN|FILE", num_args = 1..)]
    pub models: Vec<PathBuf>,
    /// Where the results go, such as the folder of the map.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Test-time augmentation: none, rot90, full (twelve-fold) or full-depth.
    #[arg(long, default_value = "none", value_name = "TTA")]
    pub tta: String,
    /// A folder of all fragments' depth maps, or of one fragment's own; or auto to fit them first.
    #[arg(long, value_name = "DIR|auto")]
    pub maps: Option<String>,
    /// Takes the layers in reverse order, for a sheet scanned from its other side.
    #[arg(long)]
    pub flip: bool,
    /// From which probability on a pixel is ink; LOW,HIGH, or a file of `threshold`.
    #[arg(long, default_value = "0.5", value_name = "P|FILE")]
    pub threshold: String,
    /// How odd files are read.
    #[command(flatten)]
    pub reading: Reading,
}

/// Flags of `controls`.
#[derive(Args)]
pub struct Controls {
    /// The reading.
    #[command(flatten)]
    pub audit: AuditFlags,
    /// Side of the blocks that 95 % intervals are drawn by, in pixels.
    #[arg(long, default_value_t = 256, value_name = "PX", value_parser = clap::value_parser!(u32).range(1..))]
    pub block: u32,
    /// What is drawn: the order of shuffled layers, noise, blocks.
    #[arg(long, default_value_t = 1, value_name = "S")]
    pub seed: u64,
}

/// Flags of `limit`.
#[derive(Args)]
pub struct Limit {
    /// The reading.
    #[command(flatten)]
    pub audit: AuditFlags,
    /// Contrasts that are tried, falling; 1 is the ink of the fragment's labels, or of phantoms without
    /// labels.
    #[arg(
        long,
        default_value = "4,2.8,2,1.4,1,0.7,0.5,0.35,0.25",
        value_name = "C,C,…",
        value_delimiter = ','
    )]
    pub contrasts: Vec<f32>,
    /// Width of a stroke, in pixels; an eighth of a patch by default.
    #[arg(long, value_name = "PX", value_parser = clap::value_parser!(u16).range(1..))]
    pub stroke: Option<u16>,
    /// Where strokes lie and how they are turned.
    #[arg(long, default_value_t = 1, value_name = "S")]
    pub seed: u64,
    /// Plants other strokes N times, of contrasts that are drawn, and says how well the limits foretold which are
    /// found.
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = clap::value_parser!(u16).range(0..=1000))]
    pub check: u16,
}

/// Flags of `compare`.
#[derive(Args)]
pub struct Compare {
    /// A probability image.
    #[arg(value_name = "FIRST")]
    pub first: PathBuf,
    /// Another of the same sheet.
    #[arg(value_name = "SECOND")]
    pub second: PathBuf,
    /// The papyrus mask; without one, all pixels count that are above 0 in the first map.
    #[arg(long, value_name = "PNG")]
    pub mask: Option<PathBuf>,
    /// Ink labels: metrics of both maps against them, and their difference.
    #[arg(long, value_name = "PNG")]
    pub labels: Option<PathBuf>,
    /// From which probability on a pixel is ink; LOW,HIGH, or a file of `threshold`.
    #[arg(long, default_value = "0.5", value_name = "P|FILE")]
    pub threshold: String,
    /// Side of the blocks that 95 % intervals are drawn by, in pixels.
    #[arg(long, default_value_t = 256, value_name = "PX", value_parser = clap::value_parser!(u32).range(1..))]
    pub block: u32,
    /// What is ink in the labels.
    #[command(flatten)]
    pub reading: LabelReading,
}

/// Flags of `verify`.
#[derive(Args)]
pub struct Verify {
    /// A map that `predict` wrote: PNG, TIFF or OME-Zarr.
    #[arg(value_name = "MAP")]
    pub map: PathBuf,
    /// Its fragment; by default the one that the records beside the map name.
    #[arg(long, value_name = "FRAGMENT")]
    pub fragment: Option<PathBuf>,
    /// Its models, in their order; by default those that the records beside the map name.
    #[arg(long = "model", value_name = "RUN|FILE|hf:…", num_args = 1..)]
    pub models: Vec<PathBuf>,
    /// The depth maps that it was read through; by default those that the records beside the map name.
    #[arg(long, value_name = "DIR")]
    pub maps: Option<PathBuf>,
    /// Tiles whose middle is predicted anew, drawn at random.
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub tiles: u32,
    /// What the tiles are drawn from.
    #[arg(long, default_value_t = 0, value_name = "S")]
    pub seed: u64,
}

/// Flags of `sweep`.
#[derive(Args)]
pub struct Sweep {
    /// A fragment: a folder of layers or an OME-Zarr volume, as PATH or NAME=PATH.
    #[arg(value_name = "SEGMENT")]
    pub fragment: PathBuf,
    /// Runs, weights files, published networks' checkpoints, or hf:OWNER/NAME[/FILE][@REVISION]: each reads the
    /// segment by itself.
    #[arg(long = "model", required = true, value_name = "RUN|FILE|hf:…", num_args = 1..)]
    pub models: Vec<PathBuf>,
    /// Where sweep.png, sweep.html, sweep.json and each reading's PNG go.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Layers by which the ones that are read are moved, as -2,0,2.
    #[arg(
        long,
        default_value = "0",
        value_name = "N,N,…",
        value_delimiter = ',',
        allow_hyphen_values = true
    )]
    pub offset: Vec<i64>,
    /// The order of the layers: forward, reverse or both.
    #[arg(long, default_value = "forward", value_name = "ORDER")]
    pub direction: Direction,
    /// A folder of all fragments' depth maps, or of one fragment's own.
    #[arg(long, value_name = "DIR")]
    pub maps: Option<PathBuf>,
    /// The pixels that are read, rows first; by default all of the sheet.
    #[arg(long, value_name = "Y0:Y1,X0:X1")]
    pub region: Option<ImageRegion>,
    /// production predicts by the rules of each network's publishers; reference is the default.
    #[arg(long = "as", default_value = "reference", value_name = "RULES")]
    pub rules: Rules,
    /// Test-time augmentation: none, rot90, mirror, full or full-depth.
    #[arg(long, default_value = "none", value_name = "TTA")]
    pub tta: String,
    /// From which probability on a pixel is ink; LOW,HIGH, or a file of `threshold`.
    #[arg(long, default_value = "0.5", value_name = "P|FILE")]
    pub threshold: String,
    /// Settings of the models, as model.KEY=VALUE.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
    /// How odd files are read.
    #[command(flatten)]
    pub reading: Reading,
}

/// Flags of `submit`.
#[derive(Args)]
pub struct Submit {
    /// Probability images, named after their fragments, or folders that `predict` wrote; side images
    /// are left out.
    #[arg(required = true, value_name = "IMAGE|DIR")]
    pub images: Vec<PathBuf>,
    /// Writes nothing, but goes through what a submission of readings needs (provenance, scale, the size of the
    /// network's window, no papyrus that was trained on), and says what is missing.
    #[arg(long)]
    pub check: bool,
    /// The CSV file to write: Id,Predicted.
    #[arg(long, default_value = "submission.csv", value_name = "CSV")]
    pub out: PathBuf,
    /// From which probability on a pixel is ink; LOW,HIGH, or a file of `threshold`.
    #[arg(long, default_value = "0.5", value_name = "P|FILE")]
    pub threshold: String,
}

/// Flags of `forward`.
#[derive(Args)]
pub struct Forward {
    /// A recipe whose `[model]` describes the network.
    #[arg(long, value_name = "CONFIG")]
    pub model: PathBuf,
    /// Overrides one value of the recipe.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
    /// The weights, as safetensors.
    #[arg(long, value_name = "FILE")]
    pub weights: PathBuf,
    /// Patches, f32 [batch, 1, height, width, depth], normalised.
    #[arg(long, value_name = "NPY")]
    pub input: PathBuf,
    /// The logits, f32 [batch, height, width].
    #[arg(long, value_name = "NPY")]
    pub output: PathBuf,
    /// Precision of products: f32, bf16, f16 or int8.
    #[arg(long, default_value = "f32", value_name = "NAME", value_parser = precision)]
    pub precision: Precision,
    /// Passes the patches so many times; the median time counts.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub repeat: u32,
    /// Says where the time of the last pass went, operation by operation.
    #[arg(long)]
    pub profile: bool,
    /// Writes the encoder's feature maps too, finest first: DIR/0.npy, DIR/1.npy, …, f32 [batch ×
    /// windows, channels, height, width].
    #[arg(long, value_name = "DIR")]
    pub features: Option<PathBuf>,
}

/// Flags of `export`.
#[derive(Args)]
pub struct Export {
    /// A run, whose best weights are meant, or a weights file.
    #[arg(value_name = "RUN|FILE")]
    pub model: PathBuf,
    /// How the network is written.
    #[arg(long, value_enum, default_value_t = ExportFormat::Safetensors)]
    pub format: ExportFormat,
    /// Whose names the tensors of a safetensors file bear [default: parts].
    #[arg(long, value_enum)]
    pub names: Option<Names>,
    /// Patches that an ONNX file takes at once [default: 1].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub batch: Option<u16>,
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// How a network is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// Its weights, as one safetensors file.
    Safetensors,
    /// The network whole, as one ONNX file of opset 17: for ONNX Runtime, OpenVINO, TensorRT.
    Onnx,
}

/// Whose names exported tensors bear.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Names {
    /// timm's features_only encoder under `encoder.`, segmentation_models_pytorch's decoder under
    /// `decoder.`, then `head.` and `aggregate.`.
    Parts,
    /// A whole segmentation_models_pytorch Unet over one of timm's encoders (tu-…), for one window.
    Smp,
    /// The encoder alone, as timm's classifiers name it.
    Timm,
}

/// Flags of `export-dataset`.
#[derive(Args)]
pub struct ExportDataset {
    /// Fragments: folders of layers or OME-Zarr volumes, as PATH or NAME=PATH. Those without labels become
    /// test cases.
    #[arg(required = true, value_name = "FRAGMENT")]
    pub fragments: Vec<PathBuf>,
    /// Whose dataset.
    #[arg(long, value_enum, default_value_t = DatasetFormat::Nnunet)]
    pub format: DatasetFormat,
    /// Layers that become channels, as FIRST..END; all by default.
    #[arg(long, value_name = "FIRST..END", value_parser = layers)]
    pub layers: Option<[usize; 2]>,
    /// The folder of all fragments' depth maps, or of one fragment's own: voxels are read through them.
    #[arg(long, value_name = "DIR")]
    pub maps: Option<PathBuf>,
    /// Side of the squares that sheets are cut into, in pixels.
    #[arg(long, default_value_t = 1024, value_name = "PX", value_parser = clap::value_parser!(u32).range(32..))]
    pub tile: u32,
    /// The dataset's folder, such as nnUNet_raw/Dataset501_Scroll.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// How odd files are read.
    #[command(flatten)]
    pub reading: Reading,
}

/// Whose dataset is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DatasetFormat {
    /// nnU-Net, version 2: imagesTr, labelsTr, imagesTs, dataset.json, splits_final.json.
    Nnunet,
}

/// Flags of `models`.
#[derive(Args)]
pub struct Models {
    /// Only encoders whose names are of these patterns, such as convnext* or *_384.
    #[arg(value_name = "PATTERN")]
    pub names: Vec<String>,
    /// Only encoders of this family, or of one whose name begins so.
    #[arg(long, value_name = "FAMILY")]
    pub family: Option<String>,
    /// Only encoders whose published weights have this licence.
    #[arg(long, value_name = "LICENCE")]
    pub licence: Option<String>,
    /// Side of a pixel in micrometres, which the patches' sides in millimetres are given by.
    #[arg(long, default_value = "7.91", value_name = "UM", value_parser = pixel_size)]
    pub pixel_size: f64,
    /// Only encoders of at most so many million parameters.
    #[arg(long, value_name = "MILLIONS")]
    pub largest: Option<f64>,
}

/// Flags of `report`.
#[derive(Args)]
pub struct Report {
    /// A run, or a folder of predictions.
    #[arg(value_name = "RUN|DIR")]
    pub folder: PathBuf,
    /// Writes review.html of predictions instead: map, limit, uncertainty, infrared, controls, provenance and
    /// a scale bar of 1 cm.
    #[arg(long)]
    pub review: bool,
}

/// Flags of `info`.
#[derive(Args)]
pub struct Info {
    /// Fragments, weights files, or folders that Inkling wrote.
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// How odd files are read.
    #[command(flatten)]
    pub reading: Reading,
}

/// Flags of `completions`.
#[derive(Args)]
pub struct Completions {
    /// The shell.
    #[arg(value_enum, value_name = "SHELL")]
    pub shell: Shell,
}

/// Flags of `man`.
#[derive(Args)]
pub struct Man {
    /// Where the pages go, such as ~/.local/share/man/man1.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// How a fragment's layers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// surface_volume/00.tif …
    Tiff,
    /// surface_volume.zarr: Zarr 2, OME-Zarr 0.4.
    Zarr,
    /// surface_volume.zarr: Zarr 3, OME-Zarr 0.5.
    Zarr3,
}

impl Format {
    /// The version of Zarr; none for TIFF.
    pub fn zarr(self) -> Option<ZarrVersion> {
        match self {
            Self::Tiff => None,
            Self::Zarr => Some(ZarrVersion::V2),
            Self::Zarr3 => Some(ZarrVersion::V3),
        }
    }
}

/// Reads how voxels are taken.
fn voxels(text: &str) -> Result<VoxelReading, String> {
    match text {
        "auto" => Ok(VoxelReading::Auto),
        "as-is" => Ok(VoxelReading::AsIs),
        _ => Err(format!("found {text}; expected auto or as-is")),
    }
}

/// Reads a range of layers.
fn layers(text: &str) -> Result<[usize; 2], String> {
    let range = text.split_once("..").and_then(|(first, end)| {
        let range = [first.trim().parse().ok()?, end.trim().parse().ok()?];
        (range[0] < range[1]).then_some(range)
    });
    range.ok_or_else(|| format!("found {text}; expected FIRST..END, such as 20..44"))
}

/// Reads a precision's name.
fn precision(text: &str) -> Result<Precision, String> {
    let all = [
        Precision::F32,
        Precision::Bf16,
        Precision::F16,
        Precision::Int8,
    ];
    let named = all.into_iter().find(|precision| precision.name() == text);
    named.ok_or_else(|| format!("found {text}; expected f32, bf16, f16 or int8"))
}

/// Reads a phantom's contrast.
fn contrast(text: &str) -> Result<f32, String> {
    let contrast = text
        .parse()
        .ok()
        .filter(|contrast| (0.0..=8.0).contains(contrast));
    contrast.ok_or_else(|| format!("found {text}; expected a number from 0, no ink, to 8"))
}

/// Reads a phantom's depth scale.
fn depth_scale(text: &str) -> Result<f32, String> {
    let scale = text
        .parse()
        .ok()
        .filter(|scale| (0.05..=20.0).contains(scale));
    scale.ok_or_else(|| {
        format!("found {text}; expected a number from 0.05, a sheet of one layer, to 20")
    })
}

/// Reads the side of a pixel in micrometres.
fn pixel_size(text: &str) -> Result<f64, String> {
    let size = text
        .parse()
        .ok()
        .filter(|size| (0.01..=1_000.0).contains(size));
    size.ok_or_else(|| {
        format!("found {text}; expected micrometres from 0.01 to 1,000, such as 7.91")
    })
}

/// Reads a size in bytes: a number with K, M, G or nothing after it.
fn memory(text: &str) -> Result<usize, String> {
    let wrong = || format!("found {text}; expected a size as 512M or 2G, of at least 16M");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: usize = match text[digits.len()..].to_ascii_uppercase().as_str() {
        "" | "B" => 1,
        "K" | "KB" | "KIB" => 1 << 10,
        "M" | "MB" | "MIB" => 1 << 20,
        "G" | "GB" | "GIB" => 1 << 30,
        _ => return Err(wrong()),
    };
    let number: f64 = digits.parse().map_err(|_| wrong())?;
    let bytes = number * unit as f64;
    match bytes >= (16 << 20) as f64 && bytes < 1e18 {
        true => Ok(bytes as usize),
        false => Err(wrong()),
    }
}
