use burn::tensor::Device;
use inkling_model::weights::parameter_count;
use inkling_model::{EncoderConfig, EncoderInfo, NamePattern, catalogue};
use inkling_pipeline::{Context, Usage};
use serde_json::{Value, json};

use crate::cli::Models;

pub fn run(flags: &Models, context: &Context) -> anyhow::Result<Value> {
    let mut encoders = Vec::new();
    let wanted: Vec<EncoderInfo> = catalogue()
        .into_iter()
        .filter(|info| is_wanted(info, flags))
        .collect();
    if wanted.is_empty() {
        return Err(nothing_left());
    }
    context.say(format!(
        "{:<35} {:<10} {:>8} {:>10} {:>6}  weights' licence",
        "encoder", "family", "params", "mult-adds", "image"
    ));
    for info in wanted {
        let config = EncoderConfig::named(info.name, 3, info.image_size)?;
        let multiply_adds = config.multiply_adds(info.image_size);
        let parameters = parameter_count(&config.init(&Device::flex()));
        if flags
            .largest
            .is_some_and(|millions| parameters as f64 > millions * 1e6)
        {
            continue;
        }
        context.say(format!(
            "{:<35} {:<10} {:>6.1} M {:>8.1} G {:>4} px  {}",
            info.name,
            info.family.name(),
            parameters as f64 / 1e6,
            multiply_adds as f64 / 1e9,
            info.image_size,
            info.licence
        ));
        encoders.push(json!({
            "name": info.name,
            "family": info.family.name(),
            "parameters": parameters,
            "multiply_adds": multiply_adds,
            "image_size": info.image_size,
            "licence": info.licence,
        }));
    }
    if encoders.is_empty() {
        return Err(nothing_left());
    }
    context
        .say("approaches: 2d-agg (windows of layers, combined linearly), 2d (layers as channels)");
    Ok(json!({ "encoders": encoders, "approaches": ["2d-agg", "2d"] }))
}

/// Whether the flags let an encoder through, its size aside.
fn is_wanted(info: &EncoderInfo, flags: &Models) -> bool {
    let mut names = flags.names.iter().map(NamePattern::new);
    let plain = |text: &str| text.to_lowercase().replace([' ', '-', '_'], "");
    let begins = |whole: &str, start: &String| plain(whole).starts_with(&plain(start));
    (flags.names.is_empty() || names.any(|pattern| pattern.matches(info.name)))
        && (flags.family.as_ref()).is_none_or(|family| begins(info.family.name(), family))
        && (flags.licence.as_ref()).is_none_or(|licence| begins(info.licence, licence))
}

fn nothing_left() -> anyhow::Error {
    let mut families = Vec::new();
    let mut licences = Vec::new();
    for info in catalogue() {
        families.push(info.family.name());
        licences.push(info.licence);
    }
    for list in [&mut families, &mut licences] {
        list.sort_unstable();
        list.dedup();
    }
    Usage(format!(
        "models: found no encoder that all of these flags let through; expected names such as \
         convnext*, families among {}, licences among {}. hint: leave out a flag",
        families.join(", "),
        licences.join(", ")
    ))
    .into()
}
