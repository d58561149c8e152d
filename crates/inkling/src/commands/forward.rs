use std::fs::File;
use std::time::Instant;

use anyhow::Context as _;
use burn::tensor::{Tensor, TensorData};
use inkling_fragment::{Error as FileError, write_whole};
use inkling_model::{Tensors, load_weights};
use ndarray::{Array3, Array5};
use ndarray_npy::{ReadNpyExt, WriteNpyExt};
use serde_json::{Value, json};

use super::Context;
use crate::cli::Forward;
use crate::failure::Usage;
use crate::recipe::Recipe;

pub fn run(flags: &Forward, context: &Context) -> anyhow::Result<Value> {
    let recipe = Recipe::read(std::slice::from_ref(&flags.model), &flags.overrides)?;
    let model = &recipe.model;
    let device = context.open_device()?;
    let input = File::open(&flags.input).with_context(|| flags.input.display().to_string())?;
    let input = Array5::<f32>::read_npy(input).map_err(|error| {
        anyhow::anyhow!(
            "{}: {error}; expected f32 [batch, 1, height, width, depth]",
            flags.input.display()
        )
    })?;
    let (batch, channels, height, width, depth) = input.dim();
    if channels != 1 || [height, width, depth] != [model.image_size, model.image_size, model.depth]
    {
        return Err(Usage(format!(
            "{}: found {:?}; expected [batch, 1, {size}, {size}, {}] as [model] says. Mend: change \
             model.image_size and model.depth, or the patch",
            flags.input.display(),
            input.shape(),
            model.depth,
            size = model.image_size,
        ))
        .into());
    }
    let network = model.init(&device, 0)?;
    let tensors = Tensors::read(&flags.weights)?;
    let network = load_weights(network, &flags.weights, tensors)?;
    let (values, _) = input.into_raw_vec_and_offset();
    let patch = Tensor::<4>::from_data(
        TensorData::new(values, [batch, height, width, depth]),
        &device,
    );
    let began = Instant::now();
    let logits = network.forward(patch.permute([0, 3, 1, 2])).into_data();
    let seconds = began.elapsed().as_secs_f64();
    let logits = logits
        .try_to_vec::<f32>()
        .map_err(|error| anyhow::anyhow!("{error:?}"))?;
    let logits = Array3::from_shape_vec((batch, height, width), logits)?;
    write_whole(&flags.output, context.force, |file| {
        logits.write_npy(file).map_err(|error| FileError::Npy {
            path: flags.output.clone(),
            reason: error.to_string(),
        })
    })?;
    context
        .console
        .say(format!("{}: {seconds:.2} s", flags.output.display()));
    Ok(json!({ "output": flags.output, "seconds": seconds }))
}
