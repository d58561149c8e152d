//! Which network a checkpoint is of.

use std::path::Path;

use serde_json::Value;

use super::{KNOWN, KnownCheckpoint, Published};
use crate::weights::Tensors;
use crate::{
    Approach, DepthDecoder, Error, HybridShape, I3dShape, InputNorm, ModelSettings, Normalization,
    NormalizationKind, ResNet3dShape, TimeSformerShape,
};

/// What the checkpoint at `path` is, of whose tensors the names are [`tidied`](super::tidied), and how
/// its publishers predict with it. `repository` is where it comes from, if that is known.
///
/// # Errors
/// [`Error::UnknownCheckpoint`], saying what was recognised.
pub fn recognise(
    path: &Path,
    tensors: &Tensors,
    repository: Option<&str>,
) -> Result<Published, Error> {
    let file = File { path, tensors };
    let known = repository.and_then(KnownCheckpoint::of_repository);
    let has = |name| tensors.shape(name).is_some();
    let (description, mut settings, fallback) = if has("depth_fusion.attention_logits.weight") {
        file.hybrid()?
    } else if has("backbone.layer1.0.conv1.weight") {
        file.resnet3d()?
    } else if has("backbone.to_patch_embedding.weight") {
        file.timesformer()?
    } else if has("backbone.Mixed_3b.b0.conv3d.weight") {
        file.i3d()?
    } else {
        return Err(file.unknown(file.likeness()));
    };
    let known = known.filter(|known| known.approach == settings.approach.name());
    let known = known.copied().unwrap_or(fallback);
    settings.depth = known.depth;
    settings.image_size = known.tile;
    settings.normalization = known.normalization();
    file.configured(&mut settings);
    settings
        .check()
        .map_err(|error| file.unknown(error.to_string()))?;
    Ok(Published {
        description,
        stride: known.stride * settings.image_size / known.tile,
        settings,
    })
}

/// A checkpoint's name and tensors.
struct File<'a> {
    path: &'a Path,
    tensors: &'a Tensors,
}

type Found = (String, ModelSettings, KnownCheckpoint);

/// The known checkpoint whose way of predicting is taken for another of its kind.
const fn like(index: usize) -> KnownCheckpoint {
    KNOWN[index]
}

const HYBRID: KnownCheckpoint = like(0);
const CANONICAL: KnownCheckpoint = like(1);
const ITERATION: KnownCheckpoint = like(2);
const ENLARGED: KnownCheckpoint = like(3);
const TIMESFORMER: KnownCheckpoint = like(4);
/// The Grand Prize's ResNet3D-101 and I3D.
const GRAND_PRIZE: KnownCheckpoint = KnownCheckpoint {
    depth: 30,
    tile: 64,
    stride: 32,
    ..ITERATION
};

impl File<'_> {
    fn unknown(&self, found: String) -> Error {
        Error::UnknownCheckpoint {
            path: self.path.to_owned(),
            found,
        }
    }

    /// Size of an axis of a tensor that is there.
    fn size(&self, name: &str, axis: usize) -> Result<usize, Error> {
        let shape = self.tensors.shape(name);
        let size = shape.and_then(|shape| shape.get(axis)).copied();
        size.ok_or_else(|| self.unknown(format!("no tensor {name} of {} axes or more", axis + 1)))
    }

    /// How many numbers from 0 on stand between `prefix` and `suffix` in names.
    fn count(&self, prefix: &str, suffix: &str) -> usize {
        let has = |index: &usize| {
            let name = format!("{prefix}{index}{suffix}");
            self.tensors.shape(&name).is_some()
        };
        (0..).take_while(has).count()
    }

    fn settings(&self, approach: Approach) -> ModelSettings {
        ModelSettings {
            approach,
            ..ModelSettings::default()
        }
    }

    fn hybrid(&self) -> Result<Found, Error> {
        let stages = "network.shared_encoder.stages.";
        let count = self.count(stages, ".blocks.0.conv1.conv.weight");
        let mut shape = HybridShape {
            stem: self.size("depth_fusion.attention_logits.weight", 1)?,
            features: Vec::new(),
            blocks: Vec::new(),
        };
        for stage in 0..count {
            let blocks = format!("{stages}{stage}.blocks.");
            let first = format!("{blocks}0.conv1.conv.weight");
            shape.features.push(self.size(&first, 0)?);
            shape.blocks.push(self.count(&blocks, ".conv1.conv.weight"));
        }
        let description = format!(
            "a hybrid of a 3D stem and a 2D U-Net of {count} stages, {:?} channels",
            shape.features
        );
        let settings = ModelSettings {
            hybrid: Some(shape),
            ..self.settings(Approach::Hybrid)
        };
        Ok((description, settings, HYBRID))
    }

    fn resnet3d(&self) -> Result<Found, Error> {
        let first = "backbone.layer1.0.conv1.weight";
        if self.tensors.shape(first).map_or(0, <[usize]>::len) != 5 {
            let reason = "a ResNet whose kernels have no depth".to_owned();
            return Err(self.unknown(reason));
        }
        let blocks = [1, 2, 3, 4]
            .map(|stage| self.count(&format!("backbone.layer{stage}."), ".conv1.weight"));
        let has = |name| self.tensors.shape(name).is_some();
        let decoder = match has("decoder.channel_reduce.0.0.weight") {
            true => DepthDecoder::Volume,
            false => DepthDecoder::Plane,
        };
        let input_norm = match (
            has("normalization.running_mean"),
            has("normalization.weight"),
        ) {
            (true, _) => InputNorm::Batch,
            (_, true) => InputNorm::Instance,
            _ => InputNorm::None,
        };
        let published = ResNet3dShape::layers_of(blocks);
        let shape = ResNet3dShape {
            layers: published.unwrap_or_default(),
            blocks: published.is_none().then_some(blocks),
            width: self.size("backbone.conv1.weight", 0)?,
            decoder,
            input_norm,
            enlarge: if input_norm == InputNorm::Instance {
                4
            } else {
                1
            },
        };
        let like = match (decoder, input_norm, published) {
            (DepthDecoder::Volume, ..) => CANONICAL,
            (_, InputNorm::Instance, _) => ENLARGED,
            (_, _, Some(101)) => GRAND_PRIZE,
            _ => ITERATION,
        };
        let size = published.map_or_else(|| format!("of {blocks:?} blocks"), |n| n.to_string());
        let end = match decoder {
            DepthDecoder::Plane => "the 2D decoder",
            DepthDecoder::Volume => "the 3D decoder",
        };
        let settings = ModelSettings {
            resnet3d: Some(shape),
            ..self.settings(Approach::ResNet3d)
        };
        Ok((format!("a ResNet3D {size} with {end}"), settings, like))
    }

    fn timesformer(&self) -> Result<Found, Error> {
        let embedding = "backbone.to_patch_embedding.weight";
        let attention = "backbone.layers.0.0.fn.to_qkv.weight";
        let area = self.size(embedding, 1)?;
        // Checkpoints do not say how attention's features are shared out; 64 is the package's size.
        let head_size = TimeSformerShape::default().head_size;
        let inner = self.size(attention, 0)? / 3;
        let shape = TimeSformerShape {
            dim: self.size(embedding, 0)?,
            depth: self.count("backbone.layers.", ".0.fn.to_qkv.weight"),
            heads: inner / head_size,
            head_size,
            patch: area.isqrt(),
        };
        let grid = self.size("backbone.to_out.1.weight", 0)?.isqrt();
        let description = format!("a TimeSformer of {} blocks", shape.depth);
        let tile = grid * shape.patch;
        let settings = ModelSettings {
            timesformer: Some(shape),
            ..self.settings(Approach::TimeSformer)
        };
        let like = KnownCheckpoint {
            tile,
            stride: tile / 4,
            ..TIMESFORMER
        };
        Ok((description, settings, like))
    }

    fn i3d(&self) -> Result<Found, Error> {
        let channels = self.size("backbone.Conv3d_2b_1x1.conv3d.weight", 0)?.max(1);
        let shape = I3dShape {
            narrow: 64 / channels.min(64),
        };
        let settings = ModelSettings {
            i3d: Some(shape),
            ..self.settings(Approach::I3d)
        };
        Ok((
            "an I3D with non-local blocks".to_owned(),
            settings,
            GRAND_PRIZE,
        ))
    }

    /// What the checkpoint's own configuration says otherwise.
    fn configured(&self, settings: &mut ModelSettings) {
        let config = self.config();
        let number = |value: &Value| value.as_u64().and_then(|n| usize::try_from(n).ok());
        if let Some([depth, height, width]) = config["patch_size"]
            .as_array()
            .and_then(|sizes| sizes.iter().map(number).collect::<Option<Vec<_>>>())
            .as_deref()
            && height == width
        {
            (settings.depth, settings.image_size) = (*depth, *height);
        }
        if let (Approach::ResNet3d, Some(size)) = (settings.approach, number(&config["size"])) {
            settings.image_size = size;
        }
        if settings.approach == Approach::Hybrid {
            let found = &config["image_normalization"];
            if let Some(normalization) = normalization(found) {
                settings.normalization = normalization;
            }
        }
    }

    /// The configuration in the checkpoint, or in `config.json` beside it.
    fn config(&self) -> Value {
        let metadata = self.tensors.metadata();
        let own = ["config", "hyper_parameters"]
            .iter()
            .find_map(|&key| serde_json::from_str(metadata.get(key)?).ok());
        let beside = || {
            let path = self.path.parent()?.join("config.json");
            let length = std::fs::metadata(&path).ok()?.len();
            let text = (length <= LONGEST_CONFIG).then(|| std::fs::read_to_string(path).ok());
            serde_json::from_str(&text??).ok()
        };
        own.or_else(beside).unwrap_or_default()
    }

    /// What a checkpoint looks like that is none of those known.
    fn likeness(&self) -> String {
        let mut names = self.tensors.names();
        let any = |part: &str| self.tensors.names().any(|name| name.contains(part));
        if any("shared_encoder.") {
            return "nnU-Net's blocks without the hybrid's depth_fusion (one of the 3D family, such \
                    as ink_3d_dino_guided)"
                .to_owned();
        }
        if any("encoder.") && any("decoder.blocks.") {
            return "an encoder of timm's and a U-Net of segmentation_models_pytorch".to_owned();
        }
        if any("stages.") || any("layer1.") || any("blocks.0.") {
            return "an encoder of images".to_owned();
        }
        let first: Vec<&str> = names.by_ref().take(3).collect();
        let count = first.len() + names.count();
        format!("{count} tensors ({}, …)", first.join(", "))
    }
}

/// Most bytes of a `config.json`.
const LONGEST_CONFIG: u64 = 1 << 20;

/// villa's `image_normalization`: a name, or a table with one.
fn normalization(found: &Value) -> Option<Normalization> {
    let mode = found.as_str().or_else(|| found["mode"].as_str())?;
    let percentile =
        |key: &str, otherwise: f32| found[key].as_f64().map_or(otherwise, |value| value as f32);
    match mode {
        "robust_mad" | "robust" | "mad" => Some(Normalization {
            lower: percentile("percentile_lower", 1.0),
            upper: percentile("percentile_upper", 99.0),
            ..Normalization::robust_mad()
        }),
        "zscore" | "z_score" => Some(Normalization {
            kind: NormalizationKind::ZScore,
            ..Normalization::default()
        }),
        "divide" => Some(Normalization::divide(255.0, 255.0)),
        _ => None,
    }
}
