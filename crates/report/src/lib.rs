//! Curves, maps and the HTML report: what people rather look at than read.
//!
//! [`render`] turns [`ReportData`] into one page that needs no other file: figures, the predicted
//! ink over the scan with a slider, training curves, shift maps. [`Chart`] draws lines as SVG,
//! [`shift_map`] draws depths,
//! [`sample_picture`] what training sees, and a [`Gallery`] shows many pictures side by side.
//!
//! ```
//! use inkling_report::{Figure, ReportData, render};
//!
//! let page = render(&ReportData {
//!     title: "Fragment 3".to_owned(),
//!     figures: vec![Figure {
//!         name: "F0.5".to_owned(),
//!         value: "0.70".to_owned(),
//!         explanation: "agreement with the known ink".to_owned(),
//!     }],
//!     ..ReportData::default()
//! });
//! assert!(page.starts_with("<!DOCTYPE html>") && page.contains("0.70"));
//! ```

mod article;
mod chart;
mod color_map;
mod curve_charts;
mod data;
mod embed;
mod fold_table;
mod gallery;
mod html_page;
mod lettering;
mod mean_and_spread;
mod page;
mod sample_picture;
mod scale_bar;
mod shift_map;

pub use article::{Article, Cell, Picture, Section, Table, Tone};
pub use chart::{Chart, Line};
pub use color_map::viridis;
pub use curve_charts::{curve_charts, curves_svg};
pub use data::{
    AlignmentView, Figure, FoldRow, FragmentCurve, PredictionView, ReportData, TrainingView,
};
pub use gallery::{Gallery, GalleryPicture, GallerySection};
pub use mean_and_spread::mean_and_spread;
pub use page::render;
pub use sample_picture::{SampleView, sample_picture};
pub use scale_bar::with_scale_bar;
pub use shift_map::{ShiftMap, shift_map};
