use burn::tensor::Device;
use inkling_model::weights::parameter_count;
use inkling_model::{EncoderConfig, catalogue};
use serde_json::{Value, json};

use super::Context;

pub fn run(context: &Context) -> anyhow::Result<Value> {
    let mut encoders = Vec::new();
    let console = context.console;
    console.say(format!(
        "{:<35} {:<10} {:>8} {:>10} {:>6}  weights' licence",
        "encoder", "family", "params", "mult-adds", "image"
    ));
    for info in catalogue() {
        let config = EncoderConfig::named(info.name, 3, info.image_size)?;
        let multiply_adds = config.multiply_adds(info.image_size);
        let parameters = parameter_count(&config.init(&Device::flex()));
        console.say(format!(
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
    console
        .say("approaches: 2d-agg (windows of layers, combined linearly), 2d (layers as channels)");
    Ok(json!({ "encoders": encoders, "approaches": ["2d-agg", "2d"] }))
}
