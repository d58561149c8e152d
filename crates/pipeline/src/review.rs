//! One page for reviewers of a reading: everything that speaks for it or against it, side by side.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use inkling_fragment::{Fragment, ResultFolder, ResultKind, check_name, read_gray, write_bytes};
use inkling_report::{Article, Cell, Picture, Section, Table, Tone, with_scale_bar};
use ndarray::Array2;
use serde_json::Value;

use crate::Usage;
use crate::record::read_record;
use crate::window_size::WindowSize;

/// Length of the scale bar, in micrometres: a centimetre.
const BAR: f64 = 10_000.0;

/// Writes `review.html` of the predictions in `folder` into it, and returns its path. What lies beside the
/// predictions is shown with them: `<id>.limit.png`, `<id>.std.png`, `controls.json`.
///
/// # Errors
/// [`Usage`] for a folder of no predictions; damaged records; those of writing.
pub fn write_review(folder: &Path) -> anyhow::Result<PathBuf> {
    let path = folder.join("predict.json");
    if !path.is_file() {
        return Err(Usage(format!(
            "{}: found no predict.json; expected a folder of predictions. hint: name the folder given to \
             `predict --out`",
            folder.display()
        ))
        .into());
    }
    let record: Value = read_record(&path)?;
    let mut sections = Vec::new();
    for entry in record["fragments"].as_array().into_iter().flatten() {
        sections.extend(fragment_sections(folder, entry)?);
    }
    let article = Article {
        title: "For reviewers".to_owned(),
        subtitle: "What was predicted, from what and by what, what could have been seen, and where nothing \
                   was there to see."
            .to_owned(),
        sections,
    };
    let path = ResultFolder::shared(folder, ResultKind::Prediction).claim("review.html", true)?;
    write_bytes(&path, article.render(), true)?;
    Ok(path)
}

fn fragment_sections(folder: &Path, entry: &Value) -> anyhow::Result<Vec<Section>> {
    let id = entry["id"].as_str().unwrap_or_default();
    check_name(id).with_context(|| folder.join("predict.json").display().to_string())?;
    let window: Option<WindowSize> = serde_json::from_value(entry["window"].clone()).ok();
    let pixel = window.and_then(|window| window.pixel_micrometres);
    let mut missing = Vec::new();
    let mut pictures = Vec::new();
    for (ending, caption, makes) in [
        ("png", "Predicted probability of ink", ""),
        (
            "limit.png",
            "Faintest ink that would be found: white the faintest that was tried, black none",
            "inkling limit",
        ),
        (
            "std.png",
            "Standard deviation over models and passes, white 0.5",
            "inkling predict --uncertainty",
        ),
    ] {
        let file = folder.join(format!("{id}.{ending}"));
        match file.is_file() {
            true => pictures.push(picture(caption, &read_gray(&file)?, pixel)),
            false => missing.push(format!("{id}.{ending} (made by `{makes}`)")),
        }
    }
    let reading = serde_json::from_value(entry["reading"].clone()).unwrap_or_default();
    let source = entry["fragment"].as_str().unwrap_or_default();
    match Fragment::open_with(source, reading) {
        Ok(fragment) => match fragment.infrared()? {
            Some(infrared) => pictures.push(picture("Infrared", &infrared, pixel)),
            None => missing.push("an infrared photograph".to_owned()),
        },
        Err(_) => missing.push(format!("the fragment, which is not at {source} any longer")),
    }
    let controls = controls_section(folder, id)?;
    if controls.is_none() {
        missing.push("controls.json of this fragment (made by `inkling controls`)".to_owned());
    }
    if pixel.is_none() {
        missing
            .push("the size of a pixel, and so the scale bar (`predict --pixel-size`)".to_owned());
    }
    let mut paragraphs = Vec::new();
    if pixel.is_some() {
        paragraphs.push("The bar below each picture is one centimetre.".to_owned());
    }
    if !missing.is_empty() {
        paragraphs.push(format!("Missing: {}.", missing.join("; ")));
    }
    let maps = Section {
        heading: format!("Fragment {id}"),
        paragraphs,
        pictures,
        ..Section::default()
    };
    let mut sections = vec![maps, provenance_section(entry, window)];
    sections.extend(controls);
    Ok(sections)
}

fn picture(caption: &str, image: &Array2<u8>, pixel: Option<f64>) -> Picture {
    match pixel {
        Some(size) => Picture::gray(caption, &with_scale_bar(image, BAR / size)),
        None => Picture::gray(caption, image),
    }
}

/// Where the map comes from.
fn provenance_section(entry: &Value, window: Option<WindowSize>) -> Section {
    let text = |value: &Value| match value {
        Value::Null => "–".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let plain = |name: &str, value: String| vec![Cell::plain(name), Cell::plain(value)];
    let mut rows = vec![
        plain("fragment", text(&entry["fragment"])),
        plain("depth maps", text(&entry["maps"])),
        plain("Inkling", text(&entry["plan"]["version"])),
        plain("voxels (SHA-256)", text(&entry["plan"]["data"])),
        plain("threshold", text(&entry["threshold"])),
        plain("second threshold", text(&entry["high_threshold"])),
        plain("calibration", text(&entry["calibration"])),
        plain("settings", text(&entry["settings"])),
    ];
    for model in entry["models"].as_array().into_iter().flatten() {
        rows.push(plain(
            "model",
            format!(
                "{} (SHA-256 {})",
                text(&model["file"]),
                text(&model["sha256"])
            ),
        ));
    }
    if let Some(window) = window {
        let warning = window.warning();
        rows.push(vec![
            Cell::plain("window"),
            Cell {
                tone: match warning {
                    Some(_) => Tone::Bad,
                    None => Tone::Plain,
                },
                text: warning.unwrap_or_else(|| window.to_string()),
            },
        ]);
    }
    Section {
        heading: "Provenance".to_owned(),
        table: Some(Table {
            head: vec!["what".to_owned(), String::new()],
            rows,
        }),
        ..Section::default()
    }
}

/// The controls in the folder, if they are of this fragment.
fn controls_section(folder: &Path, id: &str) -> anyhow::Result<Option<Section>> {
    let path = folder.join("controls.json");
    if !path.is_file() {
        return Ok(None);
    }
    let record: Value = read_record(&path)?;
    if record["fragment"] != id {
        return Ok(None);
    }
    let rows = record["controls"].as_array().into_iter().flatten();
    let row = |control: &Value| {
        let (verdict, tone) = match control["passes"].as_bool() {
            Some(true) => ("passes", Tone::Good),
            Some(false) => ("fails", Tone::Bad),
            None => ("inconclusive", Tone::Plain),
        };
        let text = |key: &str| control[key].as_str().unwrap_or_default().to_owned();
        vec![
            Cell::plain(text("name")),
            Cell {
                text: verdict.to_owned(),
                tone,
            },
            Cell::plain(text("sentence")),
        ]
    };
    Ok(Some(Section {
        heading: "Controls".to_owned(),
        table: Some(Table {
            head: ["control", "verdict", "what it suggests"]
                .map(str::to_owned)
                .to_vec(),
            rows: rows.map(row).collect(),
        }),
        ..Section::default()
    }))
}
