//! Encoders, decoders, approaches and their weights
