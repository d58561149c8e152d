//! Controls as a page.

use inkling_report::{Article, Cell, Picture, Section, Table, Tone};

use super::control::Control;
use super::reading::Controls;

pub fn page(controls: &Controls) -> Article {
    let labels = controls.labels.as_ref();
    let labels = labels.map(|labels| labels.mapv(|ink| if ink { 255 } else { 0 }));
    let mut pictures: Vec<Picture> = labels
        .iter()
        .map(|labels| Picture::gray("labels", labels))
        .collect();
    for control in &controls.controls {
        let map = control.map.as_ref();
        pictures.extend(map.map(|map| Picture::gray(control.name, map)));
    }
    let blocks = match controls.blocks < inkling_predict::FEWEST_BLOCKS {
        true => format!(
            "Blocks of {1} px that hold papyrus: {0}, too few for intervals.",
            controls.blocks, controls.block
        ),
        false => format!(
            "In brackets, 95 % intervals by drawing {} blocks of {} px; of decoys, the range.",
            controls.blocks, controls.block
        ),
    };
    let in_regions = match controls.high_threshold {
        Some(high) => format!(" in regions that reach {high:.3}"),
        None => String::new(),
    };
    Article {
        title: format!("Controls of fragment {}", controls.fragment),
        subtitle: controls.verdict().to_owned(),
        sections: vec![
            Section {
                heading: "What passes".to_owned(),
                paragraphs: vec![format!(
                    "A network that reads ink finds it where it is and nowhere else. The same network \
                     predicted this fragment as it is, and under controls in which there is nothing to \
                     read. Pixels from {:.3} on are ink{}. {blocks}",
                    controls.threshold, in_regions
                )],
                table: Some(table(&controls.controls)),
                ..Section::default()
            },
            Section {
                heading: "Maps".to_owned(),
                paragraphs: vec![
                    "Probability of ink, black 0 and white 1, on the same scale in all maps."
                        .to_owned(),
                ],
                pictures,
                ..Section::default()
            },
        ],
    }
}

fn table(controls: &[Control]) -> Table {
    let head = [
        "control",
        "above threshold",
        "AUC",
        "F0.5",
        "verdict",
        "what it suggests",
    ];
    Table {
        head: head.map(str::to_owned).to_vec(),
        rows: controls.iter().map(row).collect(),
    }
}

fn row(control: &Control) -> Vec<Cell> {
    let figure = |name: &str| {
        let figure = control
            .figures
            .get(name)
            .filter(|figure| figure.value.is_some());
        Cell::plain(figure.map_or_else(|| "–".to_owned(), ToString::to_string))
    };
    let share = control.figures.get("ink_share").map(|share| {
        let percent = |share: f64| format!("{:.1}", 100.0 * share);
        match (share.value, share.interval) {
            (Some(value), Some([low, high])) => {
                format!(
                    "{} % ({} to {})",
                    percent(value),
                    percent(low),
                    percent(high)
                )
            }
            (Some(value), None) => format!("{} %", percent(value)),
            (None, _) => "–".to_owned(),
        }
    });
    let (verdict, tone) = match control.passes {
        Some(true) => ("passes", Tone::Good),
        Some(false) => ("fails", Tone::Bad),
        None => ("inconclusive", Tone::Plain),
    };
    vec![
        Cell::plain(control.name),
        Cell::plain(share.unwrap_or_else(|| "–".to_owned())),
        figure("auc"),
        figure("f05"),
        Cell {
            text: verdict.to_owned(),
            tone,
        },
        Cell::plain(format!(
            "{} Here, {}.",
            control.description, control.sentence
        )),
    ]
}
