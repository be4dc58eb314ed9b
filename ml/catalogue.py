"""What each feature is about: its group as its definition states, its reason code as policy words it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path

from ruamel.yaml import YAML

from lakehouse.errors import ModelError
from ml.configuration import Family, FeatureConfig


@lru_cache(maxsize=4)
def feature_groups(project_dir: Path) -> Mapping[str, str]:
    """Feature → group, from the features' own definitions (`meta.group` in the dbt project's YAML)."""
    folder = project_dir / "dbt_project" / "models" / "features"
    groups: dict[str, str] = {}
    for path in sorted(folder.glob("*.yml")):
        for model in YAML(typ="safe").load(path.read_text(encoding="utf-8")).get("models", []):
            for column in model.get("columns", []):
                group = column.get("config", {}).get("meta", {}).get("group")
                if group:
                    groups[column["name"]] = group
    if not groups:
        raise ModelError(
            "no feature states its group",
            where=str(folder),
            remedy="features are defined there with `config.meta.group`; restore the folder",
        )
    return groups


def family_of(feature: str, config: FeatureConfig) -> Family:
    """The first family one of whose patterns fits the name."""
    for family in config.families:
        if any(re.search(pattern, feature) for pattern in family.patterns):
            return family
    raise ModelError(
        f"feature {feature} belongs to no family",
        where="ml/config/features.yaml",
        remedy="add a family with a reason code for it",
    )


def usable_features(
    columns: Iterable[str], groups: Mapping[str, str], config: FeatureConfig, drop_groups: Iterable[str] = ()
) -> list[str]:
    """Feature columns a model may use: defined with a group, no outcome or forbidden trait, no dropped group.

    A column without a group is no feature (a key, a count of the label, a leftover), so it is left out.
    """
    dropped = set(drop_groups)
    return [
        name
        for name in columns
        if name in groups
        and groups[name] not in dropped
        and name not in config.keys
        and not any(re.search(pattern, name) for pattern in config.never)
    ]


def size_features(columns: Iterable[str], config: FeatureConfig) -> list[str]:
    """The columns of the size-only benchmark."""
    present = set(columns)
    missing = [name for name in config.size.values() if name not in present]
    if missing:
        raise ModelError(
            f"size feature {', '.join(missing)} is not among the features",
            where="ml/config/features.yaml: size",
            remedy="name the columns as the features are built",
        )
    return list(config.size.values())
