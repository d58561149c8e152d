use std::fs::File;
use std::time::Instant;

use anyhow::Context as _;
use burn::tensor::{Tensor, TensorData};
use inkling_fragment::{Error as FileError, write_whole};
use inkling_kernels::profile::{self, Share};
use inkling_model::{Network, Tensors, load_weights};
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
    let timing = repeat(&network, &patch.permute([0, 3, 1, 2]), flags);
    let logits = timing
        .logits
        .try_to_vec::<f32>()
        .map_err(|error| anyhow::anyhow!("{error:?}"))?;
    let logits = Array3::from_shape_vec((batch, height, width), logits)?;
    write_whole(&flags.output, context.force, |file| {
        logits.write_npy(file).map_err(|error| FileError::Npy {
            path: flags.output.clone(),
            reason: error.to_string(),
        })
    })?;
    let seconds = timing.seconds;
    let console = &context.console;
    console.say(format!("{}: {seconds:.3} s", flags.output.display()));
    for share in &timing.shares {
        let Share {
            operation,
            calls,
            seconds,
        } = share;
        console.say(format!("{seconds:9.4} s {calls:6} × {operation}"));
    }
    let profile: Vec<Value> = timing
        .shares
        .iter()
        .map(|share| {
            json!({ "operation": share.operation, "calls": share.calls, "seconds": share.seconds })
        })
        .collect();
    let mut figures = json!({ "output": flags.output, "seconds": seconds });
    if flags.profile {
        figures["profile"] = Value::Array(profile);
    }
    Ok(figures)
}

/// What passing patches gave and took.
struct Timing {
    logits: TensorData,
    /// Of one pass, the median.
    seconds: f64,
    /// Of the last pass, where it was asked for.
    shares: Vec<Share>,
}

fn repeat(network: &Network, patch: &Tensor<4>, flags: &Forward) -> Timing {
    let pass = || {
        let began = Instant::now();
        let logits = network.forward(patch.clone()).into_data();
        (logits, began.elapsed().as_secs_f64())
    };
    let mut times: Vec<f64> = (1..flags.repeat).map(|_| pass().1).collect();
    if flags.profile {
        profile::start();
    }
    let (logits, last) = pass();
    let mut shares = profile::finish();
    if flags.profile {
        let known: f64 = shares.iter().map(|share| share.seconds).sum();
        shares.push(Share {
            operation: "the rest",
            calls: 1,
            seconds: (last - known).max(0.0),
        });
    }
    times.push(last);
    times.sort_by(f64::total_cmp);
    Timing {
        logits,
        seconds: times[times.len() / 2],
        shares,
    }
}
