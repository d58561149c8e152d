//! Fingerprints of runs: the settings and the data that their outcome depends on.

use inkling_fragment::{Fragment, Volume, sha256_hex};
use inkling_train::RunFingerprint;
use ndarray::Array2;
use sha2::{Digest, Sha256};

use crate::fold::Fold;
use crate::{DataSettings, ImageRegion, Recipe, depth_maps};

/// Rows of voxels that are hashed, evenly spread: enough to notice another scan or other maps,
/// few enough for scans of hundreds of gigabytes.
const PROBED_ROWS: usize = 3;

/// The fingerprint of training `fold` of `recipe` with the program `version`.
///
/// # Errors
/// Those of reading the fragments' side images, maps and voxels.
pub fn run_fingerprint(
    recipe: &Recipe,
    fragments: &[Fragment],
    fold: &Fold,
    version: &str,
) -> anyhow::Result<RunFingerprint> {
    let mut data = Vec::new();
    for (index, fragment) in fragments.iter().enumerate() {
        let part = match (fold.holds_out(index), fold.trains_on(index)) {
            (true, true) => "training and held out",
            (true, false) => "held out",
            (false, _) => "training",
        };
        let name = format!("{part} {}", fragment.id());
        data.push((name, fingerprint(recipe, fragment)?));
    }
    Ok(RunFingerprint {
        settings: settings(recipe)?,
        version: version.to_owned(),
        data,
    })
}

/// The settings that a run can only be resumed with: those that change what training computes from
/// here on. Left out is
/// - where the data lies, and who is held out: the data's own fingerprints show both;
/// - what the weights began with (`model.pretrained`, `model.weights`): the checkpoint has them;
/// - how long training takes (`train.epochs`): a finished run can be made longer;
/// - what is kept of it and when it is validated (`best`, `keep`, `validate_every`);
/// - how it is computed (`loaders`, `checkpoint_gradients`);
/// - `[align]`, which made the maps that the fingerprints show, and what of `[predict]` validation
///   does not use.
fn settings(recipe: &Recipe) -> anyhow::Result<String> {
    let default = Recipe::default();
    let mut recipe = recipe.clone();
    recipe.data = DataSettings {
        layers: recipe.data.layers,
        ..default.data
    };
    recipe.align = default.align;
    recipe.model.pretrained = default.model.pretrained;
    recipe.model.weights = None;
    let train = &mut recipe.train;
    train.epochs = default.train.epochs;
    train.best = default.train.best;
    train.keep = default.train.keep;
    train.validate_every = default.train.validate_every;
    train.loaders = default.train.loaders;
    train.checkpoint_gradients = default.train.checkpoint_gradients;
    let predict = &mut recipe.predict;
    predict.tta = default.predict.tta;
    predict.rotations = default.predict.rotations;
    predict.batch = default.predict.batch;
    recipe.to_toml()
}

/// Changes with a fragment's size, masks, labels, and its voxels as the network sees them.
fn fingerprint(recipe: &Recipe, fragment: &Fragment) -> anyhow::Result<String> {
    let images = [
        ("mask", Some(fragment.mask()?)),
        ("labels", fragment.ink_labels()?),
        ("trusted", fragment.supervision_mask()?),
        ("kept", fragment.validation_mask()?),
    ];
    let volume = depth_maps::aligned(fragment, recipe.data.maps.as_deref())?;
    let images: Vec<_> = images
        .iter()
        .filter_map(|(name, image)| Some((*name, image.as_ref()?)))
        .collect();
    let whole = ImageRegion::whole([fragment.height(), fragment.width()]);
    data_fingerprint(&images, volume.as_ref(), recipe.data.layers, &whole)
}

/// A SHA-256 in hexadecimal digits of `images`, of the size of `volume`, and of probed rows of `within`
/// in its layers `first..end`.
///
/// # Errors
/// Those of reading.
pub fn data_fingerprint(
    images: &[(&str, &Array2<bool>)],
    volume: &dyn Volume,
    [first, end]: [usize; 2],
    within: &ImageRegion,
) -> anyhow::Result<String> {
    let mut hash = Sha256::new();
    for (name, image) in images {
        hash.update(name);
        for row in image.rows() {
            hash.update(row.iter().map(|&set| u8::from(set)).collect::<Vec<_>>());
        }
    }
    let [depth, height, width] = volume.shape();
    for size in [depth, height, width] {
        hash.update(size.to_le_bytes());
    }
    let layers = first.min(depth)..end.min(depth);
    for row in (0..PROBED_ROWS).map(|probe| within.row_of(probe, PROBED_ROWS)) {
        let voxels = volume.read(&within.line(layers.clone(), row))?;
        hash.update(
            voxels
                .iter()
                .flat_map(|voxel| voxel.to_le_bytes())
                .collect::<Vec<_>>(),
        );
    }
    Ok(sha256_hex(hash))
}
