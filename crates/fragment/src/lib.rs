//! What lies on disk: layers, masks, labels and depth maps of a scanned fragment
