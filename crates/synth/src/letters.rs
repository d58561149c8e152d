//! Greek capitals as pen strokes, and lines of text that fill a sheet.

use ndarray::Array2;

use crate::field::{Field, mix};

/// A pen path within a unit box, y downwards.
type Stroke = &'static [(f32, f32)];

/// The letters' strokes as (x, y); curves are close polylines.
const LETTERS: &[&[Stroke]] = &[
    // Alpha, beta, gamma, delta.
    &[
        &[(0.0, 1.0), (0.45, 0.0), (0.9, 1.0)],
        &[(0.2, 0.62), (0.72, 0.62)],
    ],
    &[
        &[(0.1, 0.0), (0.1, 1.0)],
        &[
            (0.1, 0.02),
            (0.5, 0.05),
            (0.62, 0.22),
            (0.5, 0.43),
            (0.12, 0.47),
        ],
        &[
            (0.12, 0.47),
            (0.6, 0.52),
            (0.72, 0.74),
            (0.58, 0.95),
            (0.1, 0.98),
        ],
    ],
    &[&[(0.1, 1.0), (0.1, 0.03), (0.7, 0.03)]],
    &[&[(0.0, 0.97), (0.42, 0.0), (0.86, 0.97), (0.0, 0.97)]],
    // Lunate epsilon, zeta, eta, theta.
    &[
        &[
            (0.75, 0.1),
            (0.45, 0.0),
            (0.15, 0.2),
            (0.05, 0.5),
            (0.15, 0.8),
            (0.45, 1.0),
            (0.75, 0.9),
        ],
        &[(0.08, 0.5), (0.6, 0.5)],
    ],
    &[&[(0.05, 0.04), (0.75, 0.04), (0.05, 0.96), (0.78, 0.96)]],
    &[
        &[(0.08, 0.0), (0.08, 1.0)],
        &[(0.72, 0.0), (0.72, 1.0)],
        &[(0.08, 0.48), (0.72, 0.48)],
    ],
    &[
        &[
            (0.45, 0.0),
            (0.12, 0.2),
            (0.03, 0.5),
            (0.12, 0.8),
            (0.45, 1.0),
            (0.78, 0.8),
            (0.87, 0.5),
            (0.78, 0.2),
            (0.45, 0.0),
        ],
        &[(0.15, 0.5), (0.75, 0.5)],
    ],
    // Iota, kappa, lambda, mu, nu.
    &[&[(0.25, 0.0), (0.25, 1.0)]],
    &[
        &[(0.1, 0.0), (0.1, 1.0)],
        &[(0.68, 0.0), (0.12, 0.52), (0.72, 1.0)],
    ],
    &[&[(0.0, 1.0), (0.42, 0.0), (0.86, 1.0)]],
    &[&[
        (0.03, 1.0),
        (0.15, 0.0),
        (0.48, 0.75),
        (0.81, 0.0),
        (0.93, 1.0),
    ]],
    &[&[(0.08, 1.0), (0.08, 0.0), (0.74, 1.0), (0.74, 0.0)]],
    // Xi, omicron, pi, rho.
    &[
        &[(0.05, 0.04), (0.75, 0.04)],
        &[(0.15, 0.48), (0.65, 0.48)],
        &[(0.05, 0.96), (0.75, 0.96)],
    ],
    &[&[
        (0.42, 0.08),
        (0.14, 0.25),
        (0.07, 0.5),
        (0.14, 0.77),
        (0.42, 0.94),
        (0.7, 0.77),
        (0.78, 0.5),
        (0.7, 0.25),
        (0.42, 0.08),
    ]],
    &[&[(0.1, 1.0), (0.1, 0.03), (0.76, 0.03), (0.76, 1.0)]],
    &[&[
        (0.1, 1.0),
        (0.1, 0.02),
        (0.5, 0.05),
        (0.66, 0.25),
        (0.5, 0.48),
        (0.12, 0.52),
    ]],
    // Lunate sigma, tau, upsilon.
    &[&[
        (0.74, 0.12),
        (0.45, 0.0),
        (0.15, 0.2),
        (0.05, 0.5),
        (0.15, 0.8),
        (0.45, 1.0),
        (0.74, 0.88),
    ]],
    &[&[(0.0, 0.04), (0.8, 0.04)], &[(0.4, 0.04), (0.4, 1.0)]],
    &[
        &[(0.02, 0.0), (0.4, 0.5), (0.78, 0.0)],
        &[(0.4, 0.5), (0.4, 1.0)],
    ],
    // Phi, chi, psi, omega.
    &[
        &[(0.45, 0.0), (0.45, 1.0)],
        &[
            (0.45, 0.22),
            (0.12, 0.32),
            (0.08, 0.52),
            (0.2, 0.72),
            (0.45, 0.78),
            (0.7, 0.72),
            (0.82, 0.52),
            (0.78, 0.32),
            (0.45, 0.22),
        ],
    ],
    &[&[(0.03, 0.0), (0.77, 1.0)], &[(0.77, 0.0), (0.03, 1.0)]],
    &[
        &[(0.45, 0.0), (0.45, 1.0)],
        &[
            (0.05, 0.05),
            (0.12, 0.45),
            (0.45, 0.6),
            (0.78, 0.45),
            (0.85, 0.05),
        ],
    ],
    &[&[
        (0.1, 0.2),
        (0.03, 0.65),
        (0.2, 0.97),
        (0.42, 0.82),
        (0.46, 0.5),
        (0.5, 0.82),
        (0.72, 0.97),
        (0.9, 0.65),
        (0.82, 0.2),
    ]],
];

/// How thick the pen is, as a share of the letters' height.
const PEN: f32 = 0.17;

/// Ink pressure (y, x): 0 on bare papyrus, about 0.6 to 1 within strokes, soft at their edges.
pub fn write_text(size: (usize, usize), letter_height: usize, seed: u64) -> Array2<f32> {
    let mut sheet = Array2::zeros(size);
    let (height, width) = (size.0 as f32, size.1 as f32);
    let letter = letter_height as f32;
    let pressure = Field::new(mix(seed ^ 11), [letter, letter / 2.0]);
    let mut counter = mix(seed ^ 12);
    let mut top = letter * 0.45;
    while top + letter < height {
        let mut left = letter * 0.4;
        while left + letter * 0.8 < width {
            counter = mix(counter);
            let strokes = LETTERS[(counter % LETTERS.len() as u64) as usize];
            let wobble = ((counter >> 20) % 100) as f32 / 100.0 - 0.5;
            let place = (top + wobble * 0.08 * letter, left);
            let pen = Pen {
                place,
                letter,
                pressure,
            };
            for stroke in strokes {
                pen.draw(&mut sheet, stroke);
            }
            left += letter * (0.98 + 0.12 * wobble);
        }
        top += letter * 1.42;
    }
    sheet
}

struct Pen {
    place: (f32, f32),
    letter: f32,
    pressure: Field,
}

impl Pen {
    fn draw(&self, sheet: &mut Array2<f32>, stroke: Stroke) {
        for ends in stroke.windows(2) {
            let at = |(x, y): (f32, f32)| {
                let (top, left) = self.place;
                (top + y * self.letter, left + x * 0.85 * self.letter)
            };
            self.segment(sheet, at(ends[0]), at(ends[1]));
        }
    }

    fn segment(&self, sheet: &mut Array2<f32>, from: (f32, f32), to: (f32, f32)) {
        let radius = PEN * self.letter / 2.0;
        let (rows, columns) = sheet.dim();
        let span = |a: f32, b: f32, size: usize| {
            let first = (a.min(b) - radius - 1.0).max(0.0) as usize;
            first..((a.max(b) + radius + 2.0).max(0.0) as usize).min(size)
        };
        for y in span(from.0, to.0, rows) {
            for x in span(from.1, to.1, columns) {
                let distance = distance((y as f32, x as f32), from, to);
                // One pixel of softness, as a scanned edge has it.
                let cover = (radius - distance + 0.5).clamp(0.0, 1.0);
                if cover > 0.0 {
                    let pressure = 0.8 + 0.45 * self.pressure.at(y as f32, x as f32);
                    let ink = cover * pressure.clamp(0.55, 1.0);
                    sheet[(y, x)] = sheet[(y, x)].max(ink);
                }
            }
        }
    }
}

/// From a point to the segment between two others; all (y, x).
fn distance(point: (f32, f32), from: (f32, f32), to: (f32, f32)) -> f32 {
    let (dy, dx) = (to.0 - from.0, to.1 - from.1);
    let length = (dy * dy + dx * dx).max(1e-12);
    let along = ((point.0 - from.0) * dy + (point.1 - from.1) * dx) / length;
    let along = along.clamp(0.0, 1.0);
    (point.0 - from.0 - along * dy).hypot(point.1 - from.1 - along * dx)
}
