//! Folds, sampling, loss, schedule, the training loop, checkpoints and logs
