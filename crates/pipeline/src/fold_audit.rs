//! What each fold trains on and holds out, as pictures, and whether the two are apart.

use std::collections::BTreeMap;

use image::Rgb;
use inkling_fragment::{Fragment, Provenance};
use inkling_report::{Article, Cell, Picture, Section, Table, Tone};
use serde::Serialize;

use crate::fold::Fold;
use crate::fold_areas::FoldAreas;
use crate::{Recipe, Usage};

const TRAINING: Rgb<u8> = Rgb([0x00, 0x9e, 0x73]);
const MARGIN: Rgb<u8> = Rgb([0xe6, 0x9f, 0x00]);
const HELD_OUT: Rgb<u8> = Rgb([0x56, 0xb4, 0xe9]);
const UNUSED: Rgb<u8> = Rgb([0x8c, 0x8c, 0x8c]);
const SHARED: Rgb<u8> = Rgb([0xd5, 0x00, 0x00]);
const NOTHING: Rgb<u8> = Rgb([0xff, 0xff, 0xff]);

/// The folds of a recipe, pixel by pixel.
#[derive(Clone, Debug, Serialize)]
pub struct FoldAudit {
    /// Pixels around what is held out that are not trained on.
    pub margin: usize,
    /// One per fold.
    pub folds: Vec<AuditedFold>,
    #[serde(skip)]
    pictures: Vec<Vec<Picture>>,
}

/// One fold.
#[derive(Clone, Debug, Serialize)]
pub struct AuditedFold {
    /// Its name.
    pub name: String,
    /// One per fragment.
    pub fragments: Vec<AuditedFragment>,
    /// The scrolls of which something is held out.
    pub held_out_scrolls: Vec<String>,
    /// Those of them of which something is trained on, too: such a fold says nothing of a new scroll.
    pub shared_scrolls: Vec<String>,
}

/// One fragment in a fold; all counts in pixels of papyrus.
#[derive(Clone, Debug, Serialize)]
pub struct AuditedFragment {
    /// Its name.
    pub id: String,
    /// Its scroll: as `data.scrolls` says, else the scan that it was cut from.
    pub scroll: String,
    /// Trained on.
    pub training: usize,
    /// Left out because what is held out lies near.
    pub margin: usize,
    /// Held out.
    pub held_out: usize,
    /// Trained on and held out at once, which must be 0.
    pub shared: usize,
}

impl FoldAudit {
    /// Counts and draws `folds` of the recipe's `fragments`.
    ///
    /// # Errors
    /// [`Usage`] for `data.scrolls` that names no fragment, or one twice; those of reading masks.
    pub fn of(recipe: &Recipe, fragments: &[Fragment], folds: &[Fold]) -> anyhow::Result<Self> {
        let margin = recipe.margin();
        let scrolls = scrolls(recipe, fragments)?;
        let mut audit = Self {
            margin,
            folds: Vec::new(),
            pictures: Vec::new(),
        };
        for fold in folds {
            let (mut audited, mut pictures) = (Vec::new(), Vec::new());
            for (index, fragment) in fragments.iter().enumerate() {
                let areas = FoldAreas::of(fold, fragments, index, margin)?;
                let [training, left_out, held_out, shared] = areas.counts();
                let ink = fragment.ink_labels()?;
                let ink = |at| ink.as_ref().is_some_and(|ink| ink[at]);
                pictures.push(picture(fragment.id(), &areas, ink));
                audited.push(AuditedFragment {
                    id: fragment.id().to_owned(),
                    scroll: scrolls[index].clone(),
                    training,
                    margin: left_out,
                    held_out,
                    shared,
                });
            }
            audit.folds.push(audited_fold(fold, audited));
            audit.pictures.push(pictures);
        }
        Ok(audit)
    }

    /// As a page.
    pub fn page(&self) -> Article {
        let sections = self.folds.iter().zip(&self.pictures);
        let section = |(fold, pictures): (&AuditedFold, &Vec<Picture>)| Section {
            heading: format!("Fold {}", fold.name),
            paragraphs: vec![fold.sentence()],
            table: Some(fold.table()),
            legend: legend(),
            pictures: pictures.clone(),
            ..Section::default()
        };
        Article {
            title: "Folds".to_owned(),
            subtitle: format!(
                "What each fold trains on and holds out. Papyrus within {} px of what is held out is not \
                 trained on.",
                self.margin
            ),
            sections: sections.map(section).collect(),
        }
    }
}

fn audited_fold(fold: &Fold, fragments: Vec<AuditedFragment>) -> AuditedFold {
    let of = |counts: fn(&AuditedFragment) -> usize| {
        let with = fragments
            .iter()
            .filter(move |fragment| counts(fragment) > 0);
        let mut names: Vec<String> = with.map(|fragment| fragment.scroll.clone()).collect();
        names.sort_unstable();
        names.dedup();
        names
    };
    let (held_out, training) = (of(|f| f.held_out), of(|f| f.training));
    let shared = held_out.iter().filter(|scroll| training.contains(scroll));
    AuditedFold {
        name: fold.name.clone(),
        shared_scrolls: shared.cloned().collect(),
        held_out_scrolls: held_out,
        fragments,
    }
}

impl AuditedFold {
    /// What the fold can say.
    pub fn sentence(&self) -> String {
        let shared: usize = self.fragments.iter().map(|fragment| fragment.shared).sum();
        let pixels = match shared {
            0 => "No pixel is both trained on and held out.".to_owned(),
            shared => format!("{shared} px are both trained on and held out."),
        };
        let scrolls = match self.shared_scrolls.is_empty() {
            true => format!(
                "Nothing of {} is trained on: the fold measures how an unseen scroll is read.",
                self.held_out_scrolls.join(", ")
            ),
            false => format!(
                "{} is trained on, too: the fold measures how more of the same scroll is read, not how \
                 another one is.",
                self.shared_scrolls.join(", ")
            ),
        };
        format!("{pixels} {scrolls}")
    }

    fn table(&self) -> Table {
        let head = [
            "fragment",
            "scroll",
            "trained on",
            "margin",
            "held out",
            "both",
        ];
        let row = |fragment: &AuditedFragment| {
            let count = |pixels: usize| Cell::plain(format!("{pixels} px"));
            vec![
                Cell::plain(fragment.id.as_str()),
                Cell::plain(fragment.scroll.as_str()),
                count(fragment.training),
                count(fragment.margin),
                count(fragment.held_out),
                Cell {
                    text: format!("{} px", fragment.shared),
                    tone: match fragment.shared {
                        0 => Tone::Good,
                        _ => Tone::Bad,
                    },
                },
            ]
        };
        Table {
            head: head.map(str::to_owned).to_vec(),
            rows: self.fragments.iter().map(row).collect(),
        }
    }
}

/// Each fragment's scroll.
fn scrolls(recipe: &Recipe, fragments: &[Fragment]) -> anyhow::Result<Vec<String>> {
    let mut named: BTreeMap<&str, &str> = BTreeMap::new();
    for (scroll, ids) in &recipe.data.scrolls {
        for id in ids {
            let known = fragments.iter().any(|fragment| fragment.id() == id);
            let twice = named.insert(id, scroll).is_some();
            if !known || twice {
                return Err(Usage(format!(
                    "data.scrolls: found {id} in {scroll}{}; expected names of data.fragments, each in one \
                     scroll. hint: correct [data.scrolls]",
                    if twice { " and in another" } else { "" }
                ))
                .into());
            }
        }
    }
    let mut scrolls = Vec::new();
    for fragment in fragments {
        scrolls.push(match named.get(fragment.id()) {
            Some(scroll) => (*scroll).to_owned(),
            None => format!("scan {}", Provenance::of(fragment)?.scan),
        });
    }
    Ok(scrolls)
}

fn legend() -> Vec<(Rgb<u8>, String)> {
    [
        (TRAINING, "trained on"),
        (MARGIN, "margin: not trained on"),
        (HELD_OUT, "held out"),
        (UNUSED, "papyrus that is not used"),
        (SHARED, "trained on and held out"),
    ]
    .map(|(color, meaning)| (color, meaning.to_owned()))
    .to_vec()
}

/// The areas in colours, labelled ink darker.
fn picture(id: &str, areas: &FoldAreas, ink: impl Fn((usize, usize)) -> bool) -> Picture {
    let (height, width) = areas.papyrus.dim();
    Picture::colors(format!("fragment {id}"), [height, width], |y, x| {
        let at = (y, x);
        let color = match (areas.training[at], areas.held_out[at], areas.margin[at]) {
            (true, true, _) => SHARED,
            (true, false, _) => TRAINING,
            (false, true, _) => HELD_OUT,
            (false, false, true) => MARGIN,
            _ if areas.papyrus[at] => UNUSED,
            _ => NOTHING,
        };
        match ink(at) && areas.papyrus[at] {
            true => Rgb(color.0.map(|level| (u16::from(level) * 5 / 9) as u8)),
            false => color,
        }
    })
}
