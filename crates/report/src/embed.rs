use std::io::Cursor;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::{DynamicImage, GrayImage, ImageFormat};
use ndarray::Array2;

/// Longest side of a picture within the page, in pixels.
const LONGEST: usize = 1200;

/// A picture as a `data:` address, so that the page needs no other file.
pub fn data_address(picture: &DynamicImage) -> String {
    let mut bytes = Cursor::new(Vec::new());
    picture
        .write_to(&mut bytes, ImageFormat::Png)
        .expect("PNG takes every picture made here, and memory takes every write");
    format!(
        "data:image/png;base64,{}",
        STANDARD.encode(bytes.into_inner())
    )
}

/// A grey image, (y, x), as a `data:` address, shrunk by whole factors when it is large.
pub fn gray_address(image: &Array2<u8>) -> String {
    let shrink = image.nrows().max(image.ncols()).div_ceil(LONGEST).max(1);
    let (height, width) = (image.nrows() / shrink, image.ncols() / shrink);
    let picture = GrayImage::from_fn(width.max(1) as u32, height.max(1) as u32, |x, y| {
        image::Luma([mean(
            image,
            y as usize * shrink,
            x as usize * shrink,
            shrink,
        )])
    });
    data_address(&DynamicImage::ImageLuma8(picture))
}

fn mean(image: &Array2<u8>, y: usize, x: usize, side: usize) -> u8 {
    let rows = y..(y + side).min(image.nrows());
    let columns = x..(x + side).min(image.ncols());
    let block = image.slice(ndarray::s![rows, columns]);
    let sum: u32 = block.iter().map(|&value| u32::from(value)).sum();
    (sum / (block.len() as u32).max(1)) as u8
}
