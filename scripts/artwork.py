"""Draws the brand images of the integration from their SVG sources; run it with .venv/bin/python."""

from base64 import b64encode
from io import BytesIO
from itertools import product
from pathlib import Path
import shutil

from PIL import Image
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parent.parent
SOURCES = ROOT / "docs/images"
BRAND = ROOT / "custom_components/balena_supervisor/brand"
HEIGHTS = {"": 256, "@2x": 512}
# Replacements of colours that have too little contrast on a dark background.
THEMES = {"": {}, "dark_": {"#0c7f76": "#14a094", "#2bb3a3": "#63dccb"}}


def draw(page: Page, svg: str, height: int) -> bytes:
    """Return the PNG of an SVG, transparent where the SVG is."""
    source = b64encode(svg.encode()).decode()
    page.set_content(
        f'<img style="height: {height}px; display: block" src="data:image/svg+xml;base64,{source}">'
    )
    image = page.locator("img")
    image.evaluate("image => image.decode()")
    drawn = Image.open(BytesIO(image.screenshot(omit_background=True)))
    if drawn.getbbox() != (0, 0, *drawn.size):
        raise SystemExit(f"The image has a margin: {drawn.getbbox()} of {drawn.size}")
    small = BytesIO()
    drawn.save(small, "PNG", optimize=True)
    return small.getvalue()


def main() -> None:
    """Draw every source in both sizes, for the light and the dark theme."""
    BRAND.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium") or shutil.which("google-chrome"),
            args=["--no-sandbox"],
        )
        page = browser.new_page(viewport={"width": 1400, "height": 600})
        for name, (theme, colours), (suffix, height) in product(
            ("icon", "logo"), THEMES.items(), HEIGHTS.items()
        ):
            svg = (SOURCES / f"{name}.svg").read_text()
            for light, dark in colours.items():
                svg = svg.replace(light, dark)
            target = BRAND / f"{theme}{name}{suffix}.png"
            target.write_bytes(draw(page, svg, height))
            print(target.relative_to(ROOT), target.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
