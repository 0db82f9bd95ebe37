"""What every piece of HTML that a notebook shows has in common."""

from __future__ import annotations

PLAIN = 'class="mathjax_ignore tex2jax_ignore"'
"""Attribute that keeps JupyterLab's and nbconvert's MathJax away: ``$CG ... $CG_CPU`` is no formula."""
