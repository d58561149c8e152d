use std::io::Cursor;

use image::imageops::replace;
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use maud::{Markup, html};

use crate::embed::data_address;
use crate::html_page::HtmlPage;
use crate::lettering;

const GROUND: Rgb<u8> = Rgb([255, 255, 255]);
const LETTERS: Rgb<u8> = Rgb([40, 40, 40]);
/// Pixels around each picture.
const MARGIN: u32 = 10;
/// Pictures side by side.
const COLUMNS: usize = 6;

/// Pictures with names, in sections, as a page and as one picture.
#[derive(Clone, Debug, Default)]
pub struct Gallery {
    /// Heading above the pictures.
    pub title: String,
    /// One sentence below it.
    pub subtitle: String,
    /// The sections, from top to bottom.
    pub sections: Vec<GallerySection>,
}

/// Pictures that belong together.
#[derive(Clone, Debug, Default)]
pub struct GallerySection {
    /// Heading above the pictures.
    pub title: String,
    /// What there is to see.
    pub explanation: String,
    /// Pictures, in reading order.
    pub pictures: Vec<GalleryPicture>,
}

/// A picture with its caption.
#[derive(Clone, Debug)]
pub struct GalleryPicture {
    /// Caption above the picture.
    pub name: String,
    /// A sentence, on the page only.
    pub explanation: String,
    /// Pixels of the picture, at the size at which it is shown.
    pub picture: RgbImage,
}

impl Gallery {
    /// One HTML page that needs no other file and no network.
    pub fn to_html(&self) -> String {
        let page = HtmlPage {
            title: &self.title,
            subtitle: &self.subtitle,
            refresh: None,
            script: None,
        };
        page.render(&html! {
            @for section in &self.sections {
                section {
                    h2 { (section.title) }
                    p class="caption" { (section.explanation) }
                    div class="gallery" {
                        @for entry in &section.pictures { (figure(entry)) }
                    }
                }
            }
        })
    }

    /// All pictures on one sheet, each above its name, as PNG.
    pub fn to_png(&self) -> Vec<u8> {
        let pictures = || self.sections.iter().flat_map(|section| &section.pictures);
        let largest = |side: fn(&RgbImage) -> u32| pictures().map(|p| side(&p.picture)).max();
        let width = largest(RgbImage::width).unwrap_or(0) + 2 * MARGIN;
        let height = largest(RgbImage::height).unwrap_or(0) + 3 * MARGIN + lettering::HEIGHT;
        let heading = 2 * MARGIN + lettering::HEIGHT;
        let widest = self.sections.iter().map(|section| section.pictures.len());
        let columns = widest.max().unwrap_or(0).clamp(1, COLUMNS);
        let rows: usize = self.sections.iter().map(|section| section.rows()).sum();
        let full = heading * self.sections.len() as u32 + height * rows as u32;
        let mut sheet = RgbImage::from_pixel(width * columns as u32, full.max(1), GROUND);
        let mut top = 0;
        for section in &self.sections {
            lettering::write(&mut sheet, &section.title, [MARGIN, top + MARGIN], LETTERS);
            top += heading;
            for (index, entry) in section.pictures.iter().enumerate() {
                let left = (index % COLUMNS) as u32 * width + MARGIN;
                let above = top + (index / COLUMNS) as u32 * height;
                replace(&mut sheet, &entry.picture, left.into(), above.into());
                let line = above + entry.picture.height() + MARGIN / 2;
                let letters = (width - MARGIN) / lettering::WIDTH;
                let name: String = entry.name.chars().take(letters as usize).collect();
                lettering::write(&mut sheet, &name, [left, line], LETTERS);
            }
            top += height * section.rows() as u32;
        }
        let mut bytes = Cursor::new(Vec::new());
        sheet
            .write_to(&mut bytes, ImageFormat::Png)
            .expect("PNG takes every picture made here, and memory takes every write");
        bytes.into_inner()
    }
}

impl GallerySection {
    fn rows(&self) -> usize {
        self.pictures.len().div_ceil(COLUMNS)
    }
}

fn figure(entry: &GalleryPicture) -> Markup {
    let address = data_address(&DynamicImage::ImageRgb8(entry.picture.clone()));
    html! {
        figure {
            img src=(address) alt=(entry.name);
            figcaption { strong { (entry.name) } " " (entry.explanation) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_picture_stands_on_page_and_sheet() {
        let picture = |name: &str, color| GalleryPicture {
            name: name.to_owned(),
            explanation: "a <sentence>".to_owned(),
            picture: RgbImage::from_pixel(50, 40, Rgb(color)),
        };
        let gallery = Gallery {
            title: "Fragment".to_owned(),
            sections: vec![GallerySection {
                title: "Seven".to_owned(),
                pictures: (0..7)
                    .map(|n| picture(&format!("no {n}"), [n, 200, 0]))
                    .collect(),
                ..GallerySection::default()
            }],
            ..Gallery::default()
        };
        let page = gallery.to_html();
        assert_eq!(page.matches("data:image/png").count(), 7);
        assert!(page.contains("no 6") && page.contains("&lt;sentence&gt;"));
        let sheet = image::load_from_memory(&gallery.to_png())
            .unwrap()
            .to_rgb8();
        // Two rows of pictures of 70 × 83 px with their margins, below a heading of 33 px.
        assert_eq!(sheet.dimensions(), (420, 33 + 2 * 83));
        assert_eq!(sheet.get_pixel(5 * 70 + 20, 40).0, [5, 200, 0]);
        assert_eq!(sheet.get_pixel(20, 33 + 83 + 10).0, [6, 200, 0]);
    }
}
