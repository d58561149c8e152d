use inkling_model::{Naming, load};
use inkling_pipeline::{Context, Inputs, weights_file};
use serde_json::{Value, json};

use crate::cli::{Export, ExportFormat, Names};

pub fn run(flags: &Export, context: &Context) -> anyhow::Result<Value> {
    let file = weights_file(&flags.model);
    Inputs::of([&flags.model]).check_apart(&flags.out)?;
    let naming = match flags.names {
        Names::Parts => Naming::Parts,
        Names::Smp => Naming::Smp,
        Names::Timm => Naming::Timm,
    };
    let checkpoint = load(&file, &context.open_device()?)?;
    let left_out = match flags.format {
        ExportFormat::Safetensors => checkpoint.export(&flags.out, naming, context.force)?,
    };
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
    context.say(format!(
        "{}: {}",
        flags.out.display(),
        checkpoint.settings.encoder
    ));
    Ok(json!({
        "output": flags.out,
        "source": file,
        "sha256": checkpoint.sha256,
        "model": checkpoint.settings,
        "left_out": left_out,
    }))
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
