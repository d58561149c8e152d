//! Says what folders and files are: a fragment and all that lies beside its layers, a network's
//! weights, or a result.

use std::path::Path;

use inkling_fragment::{Fragment, ResultFolder, ResultKind, SideImageKind, Volume as _};
use inkling_model::Tensors;
use inkling_pipeline::{Context, ImageRegion, Intensities, PapyrusSample};
use ndarray::Array2;
use serde_json::{Map, Value, json};

use crate::cli::Info;

pub fn run(flags: &Info, context: &Context) -> anyhow::Result<Value> {
    let mut found = Vec::new();
    for path in &flags.paths {
        let (words, figures) = match kind_of(path)? {
            Kind::Result(kind) => (
                vec![format!("{}: made by inkling: {kind}", path.display())],
                json!({ "path": path, "kind": kind }),
            ),
            Kind::Weights => weights(path)?,
            Kind::Fragment => {
                let fragment = Fragment::open_named(path, flags.reading.options(false))?;
                describe(&fragment)?
            }
        };
        words.iter().for_each(|line| context.say(line));
        found.push(figures);
    }
    Ok(json!({ "found": found }))
}

enum Kind {
    Fragment,
    Weights,
    /// What it is a result of, in a word.
    Result(String),
}

fn kind_of(path: &Path) -> anyhow::Result<Kind> {
    if path.is_file() {
        let end = path.extension().and_then(|end| end.to_str()).unwrap_or("");
        if ["safetensors", "pth", "pt", "ckpt", "bin"].contains(&end) {
            return Ok(Kind::Weights);
        }
    }
    let kinds = ResultFolder::kinds(path)?;
    if kinds.is_empty() || kinds.contains(&ResultKind::Fragment) {
        return Ok(Kind::Fragment);
    }
    let kinds: Vec<String> = kinds.iter().map(ResultKind::to_string).collect();
    Ok(Kind::Result(kinds.join(", ")))
}

/// Tensors, and what training wrote beside them.
fn weights(path: &Path) -> anyhow::Result<(Vec<String>, Value)> {
    let tensors = Tensors::read(path)?;
    let names: Vec<&str> = tensors.names().collect();
    let numbers: usize = names
        .iter()
        .filter_map(|name| tensors.shape(name))
        .map(|shape| shape.iter().product::<usize>())
        .sum();
    let mut words = vec![format!(
        "{}: weights, {} tensors of {numbers} numbers",
        path.display(),
        names.len()
    )];
    let mut metadata = Map::new();
    for (key, text) in tensors.metadata() {
        words.push(format!("  {key}: {text}"));
        let value = serde_json::from_str(text).unwrap_or_else(|_| Value::from(text.as_str()));
        metadata.insert(key.clone(), value);
    }
    let figures = json!({
        "path": path,
        "kind": "weights",
        "tensors": names.len(),
        "numbers": numbers,
        "metadata": metadata,
    });
    Ok((words, figures))
}

fn describe(fragment: &Fragment) -> anyhow::Result<(Vec<String>, Value)> {
    let mask = fragment.mask()?;
    let sample = PapyrusSample::of(
        fragment,
        &(0..fragment.depth()),
        &mask,
        &ImageRegion::whole([fragment.height(), fragment.width()]),
    )?;
    let intensities = sample.as_ref().map(|sample| sample.intensities);
    let mut words = words_on_voxels(fragment, intensities);
    let mut images = Map::new();
    for (kind, name) in IMAGES {
        let (line, figures) = side_image(fragment, kind, &mask)?;
        words.push(format!("  {name:<12} {line}"));
        images.insert(name.to_owned(), figures);
    }
    for file in fragment.ignored() {
        let path = file.path.display();
        words.push(format!("  ignored      {path}: {}", file.reason));
    }
    let mut remarks = fragment.remarks().to_vec();
    if let Some(sample) = &sample {
        remarks.extend(sample.odd_layers(fragment.first_layer()));
    }
    words.extend(remarks.iter().map(|text| format!("  remark       {text}")));
    let figures = figures(fragment, intensities, images, &remarks);
    Ok((words, figures))
}

fn words_on_voxels(fragment: &Fragment, intensities: Option<Intensities>) -> Vec<String> {
    let [depth, height, width] = fragment.shape();
    let first = fragment.first_layer();
    let mut words = vec![
        format!("{}: fragment {}", fragment.path().display(), fragment.id()),
        format!(
            "  layers       {depth} ({first} to {}) of {height} × {width} px, {}, {} bits{}",
            first + depth - 1,
            fragment.codec(),
            fragment.stored_bits(),
            match fragment.voxel_range().bits() {
                16 => String::new(),
                bits => format!(" that hold {bits}"),
            }
        ),
    ];
    if !fragment.levels().is_empty() {
        let levels = fragment.levels().join(", ");
        let level = fragment.options().level;
        words.push(format!(
            "  levels       {levels}; this is the one at place {level}"
        ));
    }
    if let Some(voxel) = fragment.voxel_size() {
        let [z, y, x] = voxel.size;
        let unit = voxel.unit.as_deref().unwrap_or("(no unit)");
        words.push(format!("  voxel size   {z} × {y} × {x} {unit} (z, y, x)"));
    }
    if let Some(found) = intensities {
        words.push(format!(
            "  intensities  median {:.0}, 1st to 99th percentile {:.0} to {:.0} on papyrus",
            found.p50, found.p1, found.p99
        ));
    }
    words
}

fn figures(
    fragment: &Fragment,
    intensities: Option<Intensities>,
    images: Map<String, Value>,
    remarks: &[String],
) -> Value {
    let [depth, height, width] = fragment.shape();
    let ignored = fragment.ignored().iter();
    json!({
        "path": fragment.path(),
        "kind": "fragment",
        "id": fragment.id(),
        "layers": depth,
        "first_layer": fragment.first_layer(),
        "last_layer": fragment.first_layer() + depth - 1,
        "height": height,
        "width": width,
        "codec": fragment.codec(),
        "stored_bits": fragment.stored_bits(),
        "bits": fragment.voxel_range().bits(),
        "levels": fragment.levels(),
        "level": fragment.options().level,
        "voxel_size": fragment.voxel_size(),
        "intensities": intensities,
        "images": images,
        "ignored": ignored
            .map(|file| json!({ "path": file.path, "reason": file.reason }))
            .collect::<Vec<_>>(),
        "remarks": remarks,
    })
}

const IMAGES: [(SideImageKind, &str); 5] = [
    (SideImageKind::Mask, "mask"),
    (SideImageKind::InkLabels, "labels"),
    (SideImageKind::SupervisionMask, "supervision"),
    (SideImageKind::ValidationMask, "validation"),
    (SideImageKind::Infrared, "infrared"),
];

/// The file of a side image, and of what share of the papyrus it speaks: of the whole sheet for the
/// mask itself.
fn side_image(
    fragment: &Fragment,
    kind: SideImageKind,
    mask: &Array2<bool>,
) -> anyhow::Result<(String, Value)> {
    let path = fragment.side_image(kind)?;
    let drawing = match kind {
        SideImageKind::Mask => Some(mask.clone()),
        SideImageKind::InkLabels => fragment.ink_labels()?,
        SideImageKind::SupervisionMask => fragment.supervision_mask()?,
        SideImageKind::ValidationMask => fragment.validation_mask()?,
        SideImageKind::Infrared => None,
    };
    let of_papyrus = kind != SideImageKind::Mask;
    let share = drawing.map(|drawing| {
        let both = drawing
            .iter()
            .zip(mask)
            .filter(|&(&set, &papyrus)| set && papyrus);
        let of = match of_papyrus {
            true => mask.iter().filter(|&&papyrus| papyrus).count(),
            false => mask.len(),
        };
        both.count() as f64 / of.max(1) as f64
    });
    let what = if of_papyrus { "papyrus" } else { "sheet" };
    let line = match (&path, share) {
        (None, Some(share)) => format!(
            "none; papyrus is where a layer is not 0, {:.1} % of the sheet",
            100.0 * share
        ),
        (None, None) => "none".to_owned(),
        (Some(path), None) => path.display().to_string(),
        (Some(path), Some(share)) => {
            format!("{}, {:.1} % of the {what}", path.display(), 100.0 * share)
        }
    };
    Ok((line, json!({ "path": path, "share": share })))
}
