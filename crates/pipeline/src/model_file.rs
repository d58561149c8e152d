//! What `--model` names: a run, a weights file, or a checkpoint on the Hugging Face Hub.

use std::path::{Path, PathBuf};

use inkling_model::{Hub, HubFile, WeightsFile};

use crate::weights_file::weights_file;
use crate::{Context, Recipe};

/// The file that `source` names, fetched if it lies on the hub, and its network. Settings of `[model]`
/// among the `overrides` replace those that a published checkpoint was recognised by.
///
/// # Errors
/// A file that is not there or of no known network; those of the hub; settings out of range.
pub fn open_model(
    source: &Path,
    overrides: &[String],
    context: &Context,
) -> anyhow::Result<(PathBuf, WeightsFile)> {
    let of_hub = source
        .to_str()
        .and_then(|text| HubFile::parse("--model", text));
    let path = match &of_hub {
        None => weights_file(source)?,
        Some(name) => fetched(name, context)?,
    };
    let repository = of_hub.as_ref().map(|name| name.repository.as_str());
    let mut file = WeightsFile::open(&path, repository)?;
    if let Some(published) = &file.published {
        file.settings = Recipe::model_over(&file.settings, overrides)?;
        context.say(format!(
            "{}: {}; {} layers of {} px",
            source.display(),
            published.description,
            file.settings.depth,
            file.settings.image_size
        ));
    }
    Ok((path, file))
}

/// A file on the hub, from the cache or fetched.
///
/// # Errors
/// Those of [`Hub::get_with_config`].
pub fn fetched(name: &HubFile, context: &Context) -> anyhow::Result<PathBuf> {
    let task = context.task("weights");
    let progress = |done, total| task.at(done, total);
    Ok(Hub::from_env().get_with_config(name, progress)?)
}
