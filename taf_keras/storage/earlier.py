"""config.json of earlier versions, read as if this one had written it."""

from __future__ import annotations


def without_unused_weight(settings: dict) -> None:
    """Before version 0.2 runs that label partners had a weight of TAF, and no such term."""
    data, taf = settings.get("data"), settings.get("taf")
    earlier = isinstance(data, dict) and "cutmix" not in data
    if earlier and isinstance(taf, dict) and taf.get("method") in ("propagate", "pseudo"):
        taf.pop("weight", None)
