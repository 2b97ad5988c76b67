"""The colours of the report, in one place so that their contrast can be checked by calculation.

Text needs 4.5:1 and graphic parts 3:1 against their background (WCAG 2.1, criteria 1.4.3 and 1.4.11).
"""

from __future__ import annotations

__all__ = ["BACKGROUNDS", "GRAPHICS", "PALETTE", "TEXTS"]

PALETTE = {
    "paper": "#ffffff",
    "shade": "#f2f5f8",
    "ink": "#1b1f24",
    "quiet": "#4a5560",
    "link": "#0b4f8a",
    "line": "#7d8894",
    "first": "#0b4f8a",
    "second": "#a8480c",
    "third": "#1f6b45",
    "fourth": "#6d3a8c",
}
BACKGROUNDS = ("paper", "shade")
TEXTS = ("ink", "quiet", "link")
GRAPHICS = ("line", "ink", "quiet", "first", "second", "third", "fourth")
