use inkling_model::{Checkpoint, Naming, load};
use inkling_pipeline::{Context, Inputs, Usage, weights_file};
use serde_json::{Value, json};

use crate::cli::{Export, ExportFormat, Names};

pub fn run(flags: &Export, context: &Context) -> anyhow::Result<Value> {
    let file = weights_file(&flags.model)?;
    let ending = match flags.format {
        ExportFormat::Safetensors => {
            refuse("--batch", flags.batch.is_some(), "an ONNX file")?;
            "safetensors"
        }
        ExportFormat::Onnx => {
            refuse("--names", flags.names.is_some(), "a safetensors file")?;
            "onnx"
        }
    };
    Inputs::of([&flags.model]).check_file(&flags.out, ending)?;
    let checkpoint = load(&file, &context.open_device()?)?;
    let mut result = json!({
        "output": flags.out,
        "source": file,
        "sha256": checkpoint.sha256,
        "model": checkpoint.settings,
    });
    match flags.format {
        ExportFormat::Safetensors => {
            result["left_out"] = json!(safetensors(flags, &checkpoint, context)?);
        }
        ExportFormat::Onnx => {
            let batch = flags.batch.map_or(1, usize::from);
            let report = checkpoint.export_onnx(&flags.out, batch, context.force)?;
            context.say(format!(
                "opset {}: volume {:?} -> logits {:?}",
                report.opset, report.input, report.output
            ));
            result["onnx"] = json!(report);
        }
    }
    context.say(format!(
        "{}: {}",
        flags.out.display(),
        checkpoint.settings.encoder
    ));
    Ok(result)
}

/// Gives the names of what has no place in the file.
fn safetensors(
    flags: &Export,
    checkpoint: &Checkpoint,
    context: &Context,
) -> anyhow::Result<Vec<String>> {
    let naming = match flags.names {
        None | Some(Names::Parts) => Naming::Parts,
        Some(Names::Smp) => Naming::Smp,
        Some(Names::Timm) => Naming::Timm,
    };
    let left_out = checkpoint.export(&flags.out, naming, context.force)?;
    if !left_out.is_empty() {
        context.say(format!(
            "left out, for {} has no place there: {}",
            match naming {
                Naming::Timm => "what is no encoder",
                _ => "what combines windows",
            },
            summed_up(&left_out)
        ));
    }
    Ok(left_out)
}

/// Refuses a flag of the other format.
fn refuse(flag: &str, given: bool, other: &str) -> Result<(), Usage> {
    match given {
        false => Ok(()),
        true => Err(Usage(format!(
            "{flag}: found beside another --format; expected it for {other}. hint: leave it out"
        ))),
    }
}

/// The first parts of names, each once: `decoder.*, head.*`.
fn summed_up(names: &[String]) -> String {
    let mut parts: Vec<String> = names
        .iter()
        .filter_map(|name| Some(format!("{}.*", name.split('.').next()?)))
        .collect();
    parts.dedup();
    parts.join(", ")
}
