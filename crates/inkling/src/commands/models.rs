use burn::tensor::Device;
use inkling_model::weights::parameter_count;
use inkling_model::{Approach, EncoderConfig, EncoderInfo, Family, NamePattern, catalogue};
use inkling_pipeline::{Context, LARGEST_WINDOW, Usage, WindowSize};
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
        "{:<35} {:<10} {:>8} {:>10} {:>6} {:>8}  weights' licence",
        "encoder", "family", "params", "mult-adds", "image", "window"
    ));
    for info in wanted {
        let config = EncoderConfig::named(info.name, 3, info.image_size)?;
        let window = WindowSize::new(info.image_size, Some(flags.pixel_size));
        let multiply_adds = config.multiply_adds(info.image_size);
        let parameters = parameter_count(&config.init(&Device::flex()));
        if flags
            .largest
            .is_some_and(|millions| parameters as f64 > millions * 1e6)
        {
            continue;
        }
        context.say(format!(
            "{:<35} {:<10} {:>6.1} M {:>8.1} G {:>4} px {:>5.2} mm  {}",
            info.name,
            info.family.name(),
            parameters as f64 / 1e6,
            multiply_adds as f64 / 1e9,
            info.image_size,
            window.millimetres.unwrap_or_default(),
            info.licence
        ));
        encoders.push(json!({
            "name": info.name,
            "family": info.family.name(),
            "parameters": parameters,
            "multiply_adds": multiply_adds,
            "image_size": info.image_size,
            "window": window,
            "licence": info.licence,
            "approaches": approaches_of(info.family),
        }));
    }
    if encoders.is_empty() {
        return Err(nothing_left());
    }
    context.say(format!(
        "\nwindow: the image's side at {} µm a pixel. A network that sees more than {LARGEST_WINDOW} mm at once \
         may draw letters where none are; model.image_size sets smaller patches.",
        flags.pixel_size
    ));
    let approaches = list_approaches(context);
    Ok(json!({ "encoders": encoders, "approaches": approaches }))
}

/// Says what the approaches are, and gives them for programs.
fn list_approaches(context: &Context) -> [Value; 9] {
    context.say(format!(
        "\n{:<15} {:<24} {:<20} what it is",
        "approach", "encoders", "conversions"
    ));
    Approach::ALL.map(|approach| {
        let families = families_of(approach);
        let conversions: Vec<_> = (approach.conversions().iter())
            .map(|conversion| conversion.name())
            .collect();
        context.say(format!(
            "{:<15} {:<24} {:<20} {}",
            approach.name(),
            families.join(", "),
            conversions.join(", "),
            description(approach)
        ));
        json!({
            "name": approach.name(),
            "description": description(approach),
            "conversions": conversions,
            "families": families,
        })
    })
}

fn takes(approach: Approach, family: Family) -> bool {
    !approach.is_over_volumes() || family.volumes().contains(&approach)
}

fn approaches_of(family: Family) -> Vec<&'static str> {
    let fitting = Approach::ALL
        .into_iter()
        .filter(|&approach| takes(approach, family));
    fitting.map(Approach::name).collect()
}

/// The families whose encoders an approach takes.
fn families_of(approach: Approach) -> Vec<&'static str> {
    let encoders = catalogue();
    let fitting = encoders.iter().filter(|info| takes(approach, info.family));
    let mut names: Vec<_> = fitting.map(|info| info.family.name()).collect();
    names.dedup();
    names
}

fn description(approach: Approach) -> &'static str {
    match approach {
        Approach::Aggregate => "windows of layers through a 2D network, combined",
        Approach::Channels => "all layers as the channels of one image (2.5D)",
        Approach::Volume => "2D convolutions turned 3D, 3D U-Net, combined along depth",
        Approach::VolumeSwin => "windows in three dimensions, 3D U-Net, combined along depth",
        Approach::PseudoVolumeSwin => "a first block across all layers, 2D from there on",
        Approach::Hybrid => "3D stem, attention over depth, residual 2D U-Net (~9 µm)",
        Approach::ResNet3d => "ResNet whose kernels have a depth, 2D or 3D decoder",
        Approach::TimeSformer => "attention over depth and over places by turns",
        Approach::I3d => "Inception whose kernels have a depth",
    }
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
