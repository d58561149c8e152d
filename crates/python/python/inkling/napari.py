"""Layers for the viewer napari; nothing here imports it."""

from __future__ import annotations

from typing import Any

from . import Fragment


def prediction_layers(
    prediction: Any, fragment: Fragment | None = None, *, threshold: float = 0.5
) -> list[tuple[Any, dict[str, Any], str]]:
    """A prediction as napari's layers: probabilities, and ink at a threshold; and what it was made of.

    Args:
        prediction: Probability of ink, float (y, x), 0 to 1.
        fragment: Its fragment: voxels, read as they are looked at, the mask, and the labels where known.
        threshold: From which probability on a pixel is ink.

    Returns:
        list: Tuples (data, settings, kind), for `viewer.add_layer(napari.layers.Layer.create(*layer))`.
    """
    layers: list[tuple[Any, dict[str, Any], str]] = []
    if fragment is not None:
        layers.append((fragment, {"name": "voxels", "colormap": "gray", "contrast_limits": (0, 65535)}, "image"))
        layers.append((fragment.mask.astype("uint8"), {"name": "papyrus", "visible": False}, "labels"))
        labels = fragment.ink_labels
        if labels is not None:
            layers.append((labels.astype("uint8"), {"name": "ink labels", "visible": False}, "labels"))
    settings = {"name": "ink", "colormap": "inferno", "contrast_limits": (0.0, 1.0), "blending": "additive"}
    layers.append((prediction, settings, "image"))
    ink = (prediction >= threshold).astype("uint8")
    layers.append((ink, {"name": f"ink at {threshold:g}", "opacity": 0.5, "visible": False}, "labels"))
    return layers
