//! What a training begins with: random weights, a pretrained encoder's, or a whole network's.

use std::path::Path;

use inkling_model::{
    Hub, HubFile, Network, Pretrained, Tensors, file_sha256, load_encoder, load_weights,
    revision_of,
};
use inkling_train::Run;
use serde_json::{Value, json};

use crate::model_file::fetched;
use crate::weights_file::weights_file;
use crate::weights_metadata::first_weights;
use crate::{Context, Recipe};

/// The network with its first weights, and what those were: a whole network's (`model.weights`), an
/// encoder's (`model.pretrained`), or random ones. A run that is resumed has its own.
///
/// # Errors
/// A device or weights that are not there, or weights of another network.
pub fn first_network(
    recipe: &Recipe,
    resumed: bool,
    context: &Context,
) -> anyhow::Result<(Network, Option<Value>)> {
    let device = context.open_device()?.autodiff();
    let network = recipe.model.init(&device, recipe.train.seed)?;
    if resumed {
        return Ok((network, None));
    }
    if let Some(source) = &recipe.model.weights {
        let path = match HubFile::parse("model.weights =", source) {
            Some(name) => fetched(&name, context)?,
            None => weights_file(Path::new(source))?,
        };
        let network = load_weights(network, &path, Tensors::read(&path)?)?;
        let sha256 = file_sha256(&path)?;
        context.say(format!(
            "{}: all weights loaded, SHA-256 {sha256}",
            path.display()
        ));
        return Ok((
            network,
            Some(json!({ "weights": source, "sha256": sha256 })),
        ));
    }
    let Pretrained::Source(source) = &recipe.model.pretrained else {
        return Ok((network, None));
    };
    let task = context.task("weights");
    let path = Hub::from_env().find(source, |done, total| task.at(done, total))?;
    drop(task);
    let (network, report) = load_encoder(network, &path)?;
    let unused = counted("tensors unused", &report.unused);
    let adapted = counted("brought to another shape", &report.adapted);
    let (sha256, revision) = (file_sha256(&path)?, revision_of(&path));
    let of_hub = revision
        .as_ref()
        .map_or_else(String::new, |revision| format!(", revision {revision}"));
    context.say(format!(
        "{source}: all of the encoder found; {unused}; {adapted}; SHA-256 {sha256}{of_hub}"
    ));
    let first = json!({ "pretrained": source, "sha256": sha256, "revision": revision });
    Ok((network, Some(first)))
}

/// What the run's own weights say that it began with.
pub fn recorded_first_weights(run: &Run) -> Option<Value> {
    first_weights(&Tensors::read(&run.last_path()).ok()?)
}

/// How many tensors, and the names of the first.
fn counted(what: &str, names: &[String]) -> String {
    let shown = names.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
    match names.len() {
        0 => format!("0 {what}"),
        count @ 1..=5 => format!("{count} {what} ({shown})"),
        count => format!("{count} {what} ({shown}, …)"),
    }
}
