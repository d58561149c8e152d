//! Tiles, test-time augmentation, blending, ensembles, scoring and submissions
