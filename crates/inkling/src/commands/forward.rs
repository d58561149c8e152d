use std::path::Path;

use anyhow::Context as _;
use burn::tensor::{Device, Tensor, TensorData};
use inkling_fragment::{
    Error as FileError, ResultFolder, ResultKind, npy_shape, open_file, write_whole,
};
use inkling_model::{ModelSettings, Tensors, load_weights};
use inkling_pipeline::{Context, Inputs, Recipe, Usage, check_precision, peak_resident};
use ndarray::{Array5, ArrayD};
use ndarray_npy::{ReadNpyExt, WriteNpyExt};
use serde_json::{Value, json};

use super::timing::Timing;
use crate::cli::Forward;

pub fn run(flags: &Forward, context: &Context) -> anyhow::Result<Value> {
    let inputs = Inputs::of([&flags.model, &flags.weights, &flags.input]);
    inputs.check_file(&flags.output, "npy")?;
    if let Some(folder) = &flags.features {
        inputs.check_apart(folder)?;
    }
    let recipe = Recipe::read(std::slice::from_ref(&flags.model), &flags.overrides)?;
    let model = &recipe.model;
    let device = context.open_device()?;
    check_precision(flags.precision, &device)?;
    let patch = read_patch(&flags.input, model, &device)?;
    let network = model.init(&device, 0)?;
    let tensors = Tensors::read(&flags.weights)?;
    let network = load_weights(network, &flags.weights, tensors)?;
    let timing = Timing::of(&network, &patch, flags);
    if let Some(folder) = &flags.features {
        let folder = ResultFolder::shared(folder, ResultKind::Features);
        for (index, map) in network.volume_features(patch).into_iter().enumerate() {
            let path = folder.claim(&format!("{index}.npy"), context.force)?;
            write(&path, map.into_data(), context.force)?;
        }
    }
    let seconds = timing.seconds;
    context.say(format!("{}: {seconds:.3} s", flags.output.display()));
    timing.lines().for_each(|line| context.say(line));
    let mut figures = json!({
        "output": flags.output,
        "seconds": seconds,
        "memory_bytes": context.memory.peak(),
        "resident_bytes": peak_resident(),
    });
    if flags.profile {
        figures["profile"] = timing.figures();
    }
    write(&flags.output, timing.logits, context.force)?;
    Ok(figures)
}

/// Patches as the network takes them, `[batch, depth, height, width]`.
fn read_patch(path: &Path, model: &ModelSettings, device: &Device) -> anyhow::Result<Tensor<4>> {
    let shape = npy_shape(path)?;
    let wrong = |found: String| {
        Usage(format!(
            "{}: found {found}; expected f32 [batch, 1, height, width, depth]. hint: shape the array so, and save it \
             with numpy.save as float32",
            path.display()
        ))
    };
    if shape.len() != 5 {
        return Err(wrong(format!("an array of {shape:?}")).into());
    }
    let input = open_file(path).with_context(|| path.display().to_string())?;
    let input = Array5::<f32>::read_npy(input)
        .map_err(|error| wrong(format!("an array of another type ({error})")))?;
    let (batch, channels, height, width, depth) = input.dim();
    if channels != 1 || [height, width, depth] != [model.image_size, model.image_size, model.depth]
    {
        return Err(Usage(format!(
            "{}: found {:?}; expected [batch, 1, {size}, {size}, {}] as [model] says. hint: change \
             model.image_size and model.depth, or the patch",
            path.display(),
            input.shape(),
            model.depth,
            size = model.image_size,
        ))
        .into());
    }
    // A file in Fortran's order is read in that order.
    let values: Vec<f32> = input.iter().copied().collect();
    let data = TensorData::new(values, [batch, height, width, depth]);
    Ok(Tensor::<4>::from_data(data, device).permute([0, 3, 1, 2]))
}

fn write(path: &Path, data: TensorData, force: bool) -> anyhow::Result<()> {
    let shape = data.shape().to_vec();
    let values = data
        .try_into_vec::<f32>()
        .map_err(|error| anyhow::anyhow!("{error:?}"))?;
    let array = ArrayD::from_shape_vec(shape, values)?;
    Ok(write_whole(path, force, |file| {
        array.write_npy(file).map_err(|error| FileError::Npy {
            path: path.to_owned(),
            reason: error.to_string(),
        })
    })?)
}
