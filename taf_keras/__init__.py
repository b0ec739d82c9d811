"""TAF-Keras: temporally-adaptive features for single-frame segmentation, from video with few labels.

    import taf_keras as tk

    model = tk.TAF(network, change_rates={"slow_layer": 1e-6, "fast_layer": 1e-3}, weight=1.0)

The names below are what the library promises. Each is imported when it is first asked for: Keras and
its backend take seconds.
"""

from importlib import import_module

_PUBLIC = {
    "TAF": "taf_keras.taf.wrapper",
    "Cut": "taf_keras.taf.cut",
    "pairs": "taf_keras.pipeline.keras_data",
    "frames": "taf_keras.pipeline.keras_data",
    "read_manifest": "taf_keras.inspection.read",
    "export": "taf_keras.serving.network_export",
    "Frame": "taf_keras.clips.clip",
    "Clip": "taf_keras.clips.clip",
    "ClassTable": "taf_keras.clips.clip",
    "Split": "taf_keras.clips.clip",
    "UserError": "taf_keras.errors",
    "ArgumentError": "taf_keras.errors",
}
__all__ = sorted(_PUBLIC)


def __getattr__(name: str):
    if name not in _PUBLIC:
        raise AttributeError(f"taf_keras has no {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__():
    return sorted([*globals(), *__all__])
