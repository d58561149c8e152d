//! Phantom fragments with known ink and known depth
