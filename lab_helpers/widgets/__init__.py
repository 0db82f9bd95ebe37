"""Live views for notebooks: they draw plain data, and have a stable text and an SVG beside the live view."""

from lab_helpers.widgets.base import LabWidget
from lab_helpers.widgets.facts import LayerFact, NamespaceFact, PillarsData, Usage
from lab_helpers.widgets.gauge import CgroupGauge, cgroup_gauge
from lab_helpers.widgets.pillars import ThreePillars, three_pillars
from lab_helpers.widgets.sources import NothingToShowError

__all__ = [
    "CgroupGauge",
    "LabWidget",
    "LayerFact",
    "NamespaceFact",
    "NothingToShowError",
    "PillarsData",
    "ThreePillars",
    "Usage",
    "cgroup_gauge",
    "three_pillars",
]
