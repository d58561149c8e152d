use burn::tensor::Device;
use inkling_model::weights::parameter_count;
use inkling_model::{ModelSettings, catalogue};
use serde_json::{Value, json};

use super::Context;

pub fn run(context: &Context) -> anyhow::Result<Value> {
    let mut encoders = Vec::new();
    let console = context.console;
    console.say(format!(
        "{:<28} {:<8} {:>8} {:>7}  weights' licence",
        "encoder", "family", "params", "image"
    ));
    for info in catalogue() {
        let settings = ModelSettings {
            encoder: info.name.to_owned(),
            image_size: info.image_size,
            ..ModelSettings::default()
        };
        let encoder = settings.encoder_config()?.init(&Device::flex());
        let parameters = parameter_count(&encoder);
        console.say(format!(
            "{:<28} {:<8} {:>6.1} M {:>4} px  {}",
            info.name,
            info.family.name(),
            parameters as f64 / 1e6,
            info.image_size,
            info.licence
        ));
        encoders.push(json!({
            "name": info.name,
            "family": info.family.name(),
            "parameters": parameters,
            "image_size": info.image_size,
            "licence": info.licence,
        }));
    }
    console
        .say("approaches: 2d-agg (windows of layers, combined linearly), 2d (layers as channels)");
    Ok(json!({ "encoders": encoders, "approaches": ["2d-agg", "2d"] }))
}
