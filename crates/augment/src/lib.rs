//! Transforms of training and test, and the mixings
