use std::arch::asm;
use std::arch::x86_64::__cpuid_count;
use std::marker::PhantomData;
use std::sync::LazyLock;

use super::{SIDE, TileNumbers, TileRows, WIDEST};

/// Bits of `cpuid` 7, `edx`: bf16 products, tiles, products of bytes.
const FEATURES: u32 = 1 << 22 | 1 << 24 | 1 << 25;
/// Of Linux's `arch_prctl`: asks for a register state of a size that programs need not expect.
const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
/// The tiles' among such states.
const XFEATURE_XTILEDATA: libc::c_long = 18;
/// Bytes of a word.
const WORD: usize = size_of::<u32>();

/// Whether processor and system have them.
pub fn found() -> bool {
    static FOUND: LazyLock<bool> = LazyLock::new(|| {
        let features = __cpuid_count(7, 0).edx;
        features & FEATURES == FEATURES && permitted()
    });
    *FOUND
}

/// Asks the system for the tiles, for all threads of this process.
fn permitted() -> bool {
    #[allow(unsafe_code, reason = "Rust's library has no name for this call")]
    // SAFETY: the call reads its numbers alone; kernels that do not know it say so.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_arch_prctl,
            ARCH_REQ_XCOMP_PERM,
            XFEATURE_XTILEDATA,
        )
    };
    answer == 0
}

/// `ldtilecfg`'s operand: palette 1, and bytes of a row and rows of each register.
#[repr(C, align(64))]
struct Shapes {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

/// Registers of the sums.
const SUMS: [usize; WIDEST] = [0, 1, 2];
/// Of the left factor, and of the right one, sixteen words deep; two of the latter, which are loaded in turn.
const LEFT: usize = 3;
const RIGHT: [usize; 2] = [4, 5];
/// The same for the words that are left of the depth.
const LEFT_REST: usize = 6;
const RIGHT_REST: usize = 7;

/// Tile registers of this thread, with their shapes set until it is dropped.
#[derive(Debug)]
pub struct ShapedTiles {
    numbers: TileNumbers,
    rows: usize,
    depth: usize,
    /// The shapes are a thread's own.
    thread: PhantomData<*const ()>,
}

impl ShapedTiles {
    pub(super) fn new(numbers: TileNumbers, rows: usize, depth: usize) -> Self {
        assert!((1..=SIDE).contains(&rows), "rows of a tile");
        let mut shapes = Shapes {
            palette: 1,
            start_row: 0,
            reserved: [0; 14],
            row_bytes: [0; 16],
            rows: [0; 16],
        };
        let mut shape = |register: usize, rows: usize, words: usize| {
            shapes.rows[register] = rows as u8;
            shapes.row_bytes[register] = (words * WORD) as u16;
        };
        for register in SUMS {
            shape(register, rows, SIDE);
        }
        shape(LEFT, rows, SIDE);
        for register in RIGHT {
            shape(register, SIDE, SIDE);
        }
        if !depth.is_multiple_of(SIDE) {
            shape(LEFT_REST, rows, depth % SIDE);
            shape(RIGHT_REST, depth % SIDE, SIDE);
        }
        #[allow(
            unsafe_code,
            reason = "Rust's library has no name for this instruction yet"
        )]
        // SAFETY: `Tiles` exist only where processor and system have them; the operand has palette 1's form.
        unsafe {
            asm!("ldtilecfg [{}]", in(reg) &raw const shapes, options(nostack, preserves_flags));
        }
        Self {
            numbers,
            rows,
            depth,
            thread: PhantomData,
        }
    }

    /// `sums = Σ left · right` over pairs of `places`, the first words of the left and of the right factor.
    ///
    /// # Shapes
    /// - left: `[rows, depth]` words at each place
    /// - right: `[depth, tiles × 16]` words at each place
    /// - sums: `[rows, tiles × 16]`, f32 or whole numbers
    ///
    /// # Panics
    /// When a factor reaches beyond its slice.
    #[inline]
    pub fn multiply(
        &self,
        left: TileRows,
        right: TileRows,
        places: &[[usize; 2]],
        tiles: usize,
        sums: &mut [f32],
    ) {
        let width = tiles * SIDE;
        assert!(sums.len() >= self.rows * width, "room for the sums");
        assert!(!places.is_empty(), "something to sum");
        if let Some(deepest) = self.depth.checked_sub(1) {
            for &[in_left, in_right] in places {
                let last = in_left + (self.rows - 1) * left.pitch + deepest;
                assert!(last < left.words.len(), "the left factor's words");
                let last = in_right + deepest * right.pitch + width;
                assert!(last <= right.words.len(), "the right factor's words");
            }
        }
        #[allow(
            unsafe_code,
            reason = "Rust's library has no name for these instructions yet"
        )]
        // SAFETY: the factors and sums lie within their slices, as was just asserted, and the registers have the
        // shapes that `new` set on this thread.
        unsafe {
            match (self.numbers, tiles) {
                (TileNumbers::Bf16, 1) => self.bf16_one(left, right, places, sums),
                (TileNumbers::Bf16, 2) => self.bf16_two(left, right, places, sums),
                (TileNumbers::Bf16, WIDEST) => self.bf16_three(left, right, places, sums),
                (TileNumbers::Int8, 1) => self.int8_one(left, right, places, sums),
                (TileNumbers::Int8, 2) => self.int8_two(left, right, places, sums),
                (TileNumbers::Int8, WIDEST) => self.int8_three(left, right, places, sums),
                _ => panic!("found {tiles} tiles of columns, expected 1 to {WIDEST}"),
            }
        }
    }
}

impl Drop for ShapedTiles {
    fn drop(&mut self) {
        #[allow(
            unsafe_code,
            reason = "Rust's library has no name for this instruction yet"
        )]
        // SAFETY: the registers are this thread's; nothing reads them afterwards.
        unsafe {
            asm!("tilerelease", options(nomem, nostack, preserves_flags));
        }
    }
}

/// A method that multiplies so many tiles of columns with one kind of instruction. All of it is one piece of assembly,
/// since nothing else may say what the registers hold.
macro_rules! products {
    ($name:ident, $product:literal, $($column:literal: $sum:literal, $right:literal),+) => {
        #[allow(unsafe_code, reason = "Rust's library has no name for these instructions yet")]
        impl ShapedTiles {
            /// # Safety
            /// Factors and sums lie within their slices.
            #[inline]
            unsafe fn $name(&self, left: TileRows, right: TileRows, places: &[[usize; 2]], sums: &mut [f32]) {
                const WIDTH: usize = [$($column),+].len() * SIDE;
                // SAFETY: as the caller says.
                unsafe {
                    asm!(
                        $(concat!("tilezero tmm", $sum),)+
                        "2:",
                        "mov {left}, qword ptr [{place}]",
                        "mov {right}, qword ptr [{place} + 8]",
                        "lea {left}, [{lefts} + 4*{left}]",
                        "lea {right}, [{rights} + 4*{right}]",
                        "mov {step:e}, {steps:e}",
                        "test {step:e}, {step:e}",
                        "jz 4f",
                        "3:",
                        "tileloadd tmm3, [{left} + {left_pitch}]",
                        $(
                            concat!("tileloadd tmm", $right, ", [{right} + {right_pitch} + ", $column, "]"),
                            concat!($product, " tmm", $sum, ", tmm3, tmm", $right),
                        )+
                        "add {left}, 64",
                        "lea {right}, [{right} + 8*{right_pitch}]",
                        "lea {right}, [{right} + 8*{right_pitch}]",
                        "dec {step:e}",
                        "jnz 3b",
                        "4:",
                        "test {rest:e}, {rest:e}",
                        "jz 5f",
                        "tileloadd tmm6, [{left} + {left_pitch}]",
                        $(
                            concat!("tileloadd tmm7, [{right} + {right_pitch} + ", $column, "]"),
                            concat!($product, " tmm", $sum, ", tmm6, tmm7"),
                        )+
                        "5:",
                        "add {place}, 16",
                        "cmp {place}, {end}",
                        "jne 2b",
                        "mov {step:e}, {width}",
                        $(concat!("tilestored [{sums} + {step} + ", $column, "], tmm", $sum),)+
                        place = inout(reg) places.as_ptr() => _,
                        end = in(reg) places.as_ptr_range().end,
                        left = out(reg) _,
                        right = out(reg) _,
                        lefts = in(reg) left.words.as_ptr(),
                        rights = in(reg) right.words.as_ptr(),
                        left_pitch = in(reg) left.pitch * WORD,
                        right_pitch = in(reg) right.pitch * WORD,
                        steps = in(reg) self.depth / SIDE,
                        rest = in(reg) self.depth % SIDE,
                        step = out(reg) _,
                        sums = in(reg) sums.as_mut_ptr(),
                        width = const WIDTH * WORD,
                        out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                        out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                        options(nostack)
                    );
                }
            }
        }
    };
}

products!(bf16_one, "tdpbf16ps", "0": "0", "4");
products!(bf16_two, "tdpbf16ps", "0": "0", "4", "64": "1", "5");
products!(bf16_three, "tdpbf16ps", "0": "0", "4", "64": "1", "5", "128": "2", "4");
products!(int8_one, "tdpbusd", "0": "0", "4");
products!(int8_two, "tdpbusd", "0": "0", "4", "64": "1", "5");
products!(int8_three, "tdpbusd", "0": "0", "4", "64": "1", "5", "128": "2", "4");
