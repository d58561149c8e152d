use image::{DynamicImage, Rgb, RgbImage};
use inkling_fragment::Shrink;
use maud::{Markup, PreEscaped, html};
use ndarray::Array2;

use crate::chart::Chart;
use crate::embed::{LONGEST, data_address, gray_address};
use crate::html_page::HtmlPage;

/// A page of sections with words, tables, charts and pictures, which needs no other file.
#[derive(Clone, Debug, Default)]
pub struct Article {
    /// Heading of the page.
    pub title: String,
    /// One sentence below it.
    pub subtitle: String,
    /// From top to bottom.
    pub sections: Vec<Section>,
}

/// A part of an [`Article`]; what is empty is left out.
#[derive(Clone, Debug, Default)]
pub struct Section {
    /// Its heading.
    pub heading: String,
    /// Paragraphs below the heading.
    pub paragraphs: Vec<String>,
    /// A table below the paragraphs.
    pub table: Option<Table>,
    /// Charts below the table.
    pub charts: Vec<Chart>,
    /// What the pictures' colours mean.
    pub legend: Vec<(Rgb<u8>, String)>,
    /// Pictures side by side, at the end.
    pub pictures: Vec<Picture>,
}

/// A table whose first column names its rows.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// The columns' headings.
    pub head: Vec<String>,
    /// The rows, each as long as the head.
    pub rows: Vec<Vec<Cell>>,
}

/// A table's cell.
#[derive(Clone, Debug)]
pub struct Cell {
    /// What it says.
    pub text: String,
    /// How it says it.
    pub tone: Tone,
}

impl Cell {
    /// Plain text.
    pub fn plain(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            tone: Tone::Plain,
        }
    }
}

/// How a cell is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// As any text.
    Plain,
    /// As what passes.
    Good,
    /// As what does not.
    Bad,
}

/// A picture with words below it.
#[derive(Clone, Debug)]
pub struct Picture {
    /// The words.
    pub caption: String,
    /// The picture as a `data:` address.
    address: String,
}

impl Picture {
    /// A grey image, (y, x).
    pub fn gray(caption: impl Into<String>, image: &Array2<u8>) -> Self {
        Self {
            caption: caption.into(),
            address: gray_address(image),
        }
    }

    /// A picture of `size` (height, width) whose pixel (y, x) has the colour that `color` gives.
    pub fn colors(
        caption: impl Into<String>,
        size: [usize; 2],
        color: impl Fn(usize, usize) -> Rgb<u8>,
    ) -> Self {
        let shrink = Shrink::to(size, LONGEST);
        let [height, width] = shrink.size.map(|side| side as u32);
        let picture = RgbImage::from_fn(width, height, |x, y| {
            let (y, x) = shrink.block([y, x].map(|at| at as usize));
            color(y, x)
        });
        Self {
            caption: caption.into(),
            address: data_address(&DynamicImage::ImageRgb8(picture)),
        }
    }
}

impl Article {
    /// The page.
    pub fn render(&self) -> String {
        let page = HtmlPage {
            title: &self.title,
            subtitle: &self.subtitle,
            refresh: None,
            script: None,
        };
        page.render(&html! { @for section in &self.sections { (section.render()) } })
    }
}

impl Section {
    fn render(&self) -> Markup {
        html! {
            section {
                @if !self.heading.is_empty() { h2 { (self.heading) } }
                @for paragraph in &self.paragraphs { p { (paragraph) } }
                @if let Some(table) = &self.table { (table.render()) }
                @if !self.charts.is_empty() {
                    div class="charts" { @for chart in &self.charts { (PreEscaped(chart.to_svg())) } }
                }
                @if !self.legend.is_empty() {
                    p class="caption legend" {
                        @for (Rgb([r, g, b]), meaning) in &self.legend {
                            span { i style=(format!("background:rgb({r},{g},{b})")) {} (meaning) }
                        }
                    }
                }
                @if !self.pictures.is_empty() {
                    div class="side-by-side" {
                        @for picture in &self.pictures {
                            figure { img src=(picture.address) alt=(picture.caption); figcaption { (picture.caption) } }
                        }
                    }
                }
            }
        }
    }
}

impl Table {
    fn render(&self) -> Markup {
        html! {
            div class="wide" {
                table class="words" {
                    thead { tr { @for name in &self.head { th scope="col" { (name) } } } }
                    tbody {
                        @for row in &self.rows {
                            tr {
                                @for (column, cell) in row.iter().enumerate() {
                                    @if column == 0 { th scope="row" { (cell.text) } }
                                    @else { td class=(cell.tone.class()) { (cell.text) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

impl Tone {
    fn class(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Good => "good",
            Self::Bad => "bad",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_holds_what_it_is_given_and_escapes_it() {
        let cell = Cell {
            text: "fails <b>".to_owned(),
            tone: Tone::Bad,
        };
        let article = Article {
            title: "Controls".to_owned(),
            sections: vec![Section {
                heading: "Table".to_owned(),
                table: Some(Table {
                    head: vec!["control".to_owned(), "verdict".to_owned()],
                    rows: vec![vec![Cell::plain("reversed"), cell]],
                }),
                legend: vec![(Rgb([1, 2, 3]), "trained on".to_owned())],
                pictures: vec![Picture::gray("a map", &Array2::zeros((3, 4)))],
                ..Section::default()
            }],
            ..Article::default()
        };
        let page = article.render();
        assert!(
            page.contains(r#"<td class="bad">fails &lt;b&gt;</td>"#),
            "{page}"
        );
        assert!(page.contains("background:rgb(1,2,3)") && page.contains("data:image/png"));
    }
}
