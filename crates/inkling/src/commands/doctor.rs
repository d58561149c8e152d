//! Looks at the machine, and says what would make Inkling faster on it.

use std::path::Path;

use inkling_model::{DeviceName, Hub};
use inkling_pipeline::{Context, Machine};
use serde_json::{Value, json};

use crate::version::{features, listed};

/// Below this much free memory, in bytes, the networks of the competition's sizes do not fit.
const LITTLE_MEMORY: usize = 6 << 30;

pub fn run(context: &Context) -> anyhow::Result<Value> {
    let machine = Machine::look();
    let threads = rayon::current_num_threads();
    let devices = DeviceName::Auto.find()?;
    let features = features();
    let cache = Hub::from_env().cache;
    let advice = advice(&machine, threads, &features);
    let mut lines = vec![
        format!("inkling    {}", context.version),
        format!("features   {}", listed(&features)),
        format!(
            "processor  {}: {} processors{}, {}",
            machine.processor,
            machine.processors,
            machine
                .cores
                .map_or_else(String::new, |cores| format!(" on {cores} cores")),
            listed(&machine.simd)
        ),
        format!("threads    {threads}"),
        format!(
            "memory     {:.1} GiB, {:.1} free",
            gibibytes(machine.memory),
            gibibytes(machine.available)
        ),
        format!("device     {}", devices.name),
    ];
    for (name, reason) in &devices.silent {
        lines.push(format!("           {name} does not answer: {reason}"));
    }
    lines.push(format!(
        "weights    {}{}",
        cache.display(),
        if cache.is_dir() {
            ""
        } else {
            " (not there yet)"
        }
    ));
    lines.extend(advice.iter().map(|advice| format!("hint: {advice}")));
    lines.iter().for_each(|line| context.say(line));
    let silent = devices.silent.iter();
    let silent = silent.map(|(name, reason)| json!({ "name": name.to_string(), "reason": reason }));
    Ok(json!({
        "version": context.version,
        "features": features,
        "machine": machine,
        "threads": threads,
        "device": devices.name.to_string(),
        "silent_devices": silent.collect::<Vec<_>>(),
        "weights_cache": cache,
        "weights_cached": weights_in(&cache),
        "advice": advice,
    }))
}

fn gibibytes(bytes: usize) -> f64 {
    bytes as f64 / f64::from(1 << 30)
}

/// What would make work faster or possible.
fn advice(machine: &Machine, threads: usize, features: &[&str]) -> Vec<String> {
    let mut advice = Vec::new();
    if threads < machine.processors {
        advice.push(format!(
            "{threads} of {} processors are used; --threads {} uses all",
            machine.processors, machine.processors
        ));
    }
    if threads > machine.processors {
        advice.push(format!(
            "{threads} threads share {} processors; without --threads each has its own",
            machine.processors
        ));
    }
    if cfg!(target_arch = "x86_64") && !machine.simd.contains(&"AVX2") {
        advice.push("this processor lacks AVX2: networks take several times as long".to_owned());
    }
    if machine.available < LITTLE_MEMORY {
        advice.push(format!(
            "{:.1} GiB of memory are free; large networks need more: --memory bounds what is taken, \
             and train.checkpoint_gradients = \"blocks\" trains with less",
            gibibytes(machine.available)
        ));
    }
    if features.iter().all(|feature| *feature == "mpi") {
        advice.push(
            "this build computes on processors only; a build with --features vulkan takes any \
             graphics card"
                .to_owned(),
        );
    }
    advice
}

/// The repositories of weights in the hub's cache.
fn weights_in(cache: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(cache).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names
        .filter_map(|name| Some(name.strip_prefix("models--")?.replace("--", "/")))
        .collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(simd: Vec<&'static str>, available: usize) -> Machine {
        Machine {
            processor: "one of a test".to_owned(),
            processors: 4,
            cores: Some(2),
            simd,
            memory: 16 << 30,
            available,
        }
    }

    #[test]
    fn advice_fits_what_was_found() {
        let good = machine(vec!["SSE2", "AVX2", "NEON"], 12 << 30);
        assert!(advice(&good, 4, &["vulkan"]).is_empty());
        let said = advice(&good, 2, &["vulkan", "mpi"]);
        assert!(
            matches!(&said[..], [one] if one.contains("--threads 4")),
            "{said:?}"
        );
        let said = advice(&good, 9, &["cuda"]);
        assert!(said[0].contains("9 threads share 4 processors"), "{said:?}");
        let poor = machine(vec!["SSE2"], 1 << 30);
        let said = advice(&poor, 4, &["mpi"]).join("\n");
        assert!(said.contains("1.0 GiB of memory are free"), "{said}");
        assert!(said.contains("processors only"), "{said}");
    }
}
