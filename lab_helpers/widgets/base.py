"""What every widget of the kit has beside its live view: a text that does not change, and a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anywidget

STATIC = Path(__file__).parent / "static"


class LabWidget(anywidget.AnyWidget):
    """A live view with a stable text form and an SVG snapshot.

    JupyterLab shows the live view; an exported page, or a notebook that is only read, shows the snapshot; tests compare
    the text. A plain anywidget's text is a memory address, which no comparison survives.
    """

    def summary(self) -> str:
        """Say what is shown, without addresses, ids or figures that change from run to run."""
        raise NotImplementedError

    def svg(self) -> str:
        """Draw what is shown now."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.summary()}>"

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:  # noqa: ANN401 - IPython's
        bundle = super()._repr_mimebundle_(**kwargs)
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle or {}, {})
        return {**data, "text/plain": repr(self), "image/svg+xml": self.svg()}, metadata
