from __future__ import annotations

import re

import pytest

from kokeilu.report.colours import BACKGROUNDS, GRAPHICS, PALETTE, TEXTS


def luminance(colour: str) -> float:
    """WCAG 2.1, relative luminance."""
    parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_the_formula() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


@pytest.mark.parametrize("background", BACKGROUNDS)
@pytest.mark.parametrize(("names", "least"), [(TEXTS, 4.5), (GRAPHICS, 3.0)])
def test_contrast(background: str, names: tuple[str, ...], least: float) -> None:
    ratios = {name: contrast(PALETTE[name], PALETTE[background]) for name in names}
    assert {name: ratio for name, ratio in ratios.items() if ratio < least} == {}


def test_every_colour_is_judged() -> None:
    assert {*BACKGROUNDS, *TEXTS, *GRAPHICS} == set(PALETTE)


def test_the_report_has_no_other_colours(page: str) -> None:
    found = {colour.lower() for colour in re.findall(r"#[0-9a-fA-F]{6}\b", page)}
    assert found <= set(PALETTE.values())
    assert re.findall(r"(?:rgba?|hsl)\(|opacity", page) == []


def test_text_in_figures_has_the_contrast_of_text(page: str) -> None:
    fills = re.findall(r'<text style="([^"]*)"', page)
    colours = {hit for style in fills for hit in re.findall(r"fill: (#[0-9a-f]{6})", style)}
    assert fills
    assert colours <= {PALETTE[name] for name in TEXTS}
