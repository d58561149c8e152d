//! Depth alignment: intensity curves, z-shift and z-scale fits, the warp
