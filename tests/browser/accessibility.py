"""Accessibility checks of elements in an open page, with axe-core."""

from pathlib import Path
from typing import Final, Literal

from playwright.sync_api import Locator, Page

_AXE: Final = (
    Path(__file__).parent.parent.parent / "node_modules/axe-core/axe.min.js"
).read_text("utf-8")
type Colors = Literal["light", "dark"]

COLORS: Final[tuple[Colors, ...]] = ("light", "dark")
# WCAG 1.4.11: the contrast between the border of a control and what is around it.
_BORDER_CONTRAST: Final = 3
# Faults inside elements of Home Assistant, which the elements that use them cannot mend: the
# rule, and the element that has the fault in its shadow root.
_FAULTS_OF_HOME_ASSISTANT: Final = (
    ("aria-required-parent", "ha-combo-box-item"),
    ("button-name", "ha-select"),
    ("button-name", "ha-picker-field"),
    ("color-contrast", "wa-input"),
)


def use_colors(page: Page, scheme: Colors) -> None:
    """Let the page have light or dark colors."""
    page.emulate_media(color_scheme=scheme)
    page.wait_for_function(
        "isDark => document.querySelector('home-assistant').hass.themes.darkMode === isDark",
        arg=scheme == "dark",
    )
    # Colors change gradually.
    page.evaluate(
        """async () => {
            const nextFrame = () => new Promise(requestAnimationFrame);
            await nextFrame();
            await nextFrame();
            const roots = root => [root, ...[...root.querySelectorAll("*")]
                .flatMap(({shadowRoot}) => shadowRoot ? roots(shadowRoot) : [])];
            await Promise.allSettled(roots(document)
                .flatMap(root => root.getAnimations())
                .filter(({effect}) => effect.getComputedTiming().endTime < Infinity)
                .map(({finished}) => finished));
        }"""
    )


def violations(element: Locator) -> list[str]:
    """Return what is wrong in an element and its shadow roots: rule, element and reason.

    Only serious and critical violations count.
    """
    page = element.page
    if not page.evaluate("'axe' in window"):
        page.evaluate(_AXE)
    found: list[str] = element.evaluate(
        """async (element, faults) => {
            const {violations} = await axe.run(element, {
                elementRef: true,
                resultTypes: ["violations"],
                // About whole pages.
                rules: {region: {enabled: false}},
            });
            const hosts = node => {
                const host = node.getRootNode().host;
                return host ? [host.localName, ...hosts(host)] : [];
            };
            const isKnown = (id, node) =>
                faults.some(([rule, host]) => rule === id && hosts(node).includes(host));
            return violations
                .filter(({impact}) => ["serious", "critical"].includes(impact))
                .flatMap(({id, nodes}) => nodes
                    .filter(({element: node}) => !isKnown(id, node))
                    .map(({element: node, failureSummary, html}) =>
                        `${id} in ${hosts(node)[0]}: ${html} ${failureSummary}`));
        }""",
        _FAULTS_OF_HOME_ASSISTANT,
    )
    return found


def weak_borders(controls: Locator) -> list[str]:
    """Return the controls whose border has too little contrast, and their contrast."""
    found: list[str] = controls.evaluate_all(
        """(controls, minimum) => {
            const context = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
            // Paints colors over each other, and returns the result.
            const blend = colors => {
                context.clearRect(0, 0, 1, 1);
                for (const color of colors) {
                    context.fillStyle = color;
                    context.fillRect(0, 0, 1, 1);
                }
                return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
            };
            const luminance = rgb => {
                const [r, g, b] = rgb.map(value => value / 255).map(
                    value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
                return 0.2126 * r + 0.7152 * g + 0.0722 * b;
            };
            const parent = node => node.assignedSlot ?? node.parentElement ?? node.getRootNode().host;
            const around = control => {
                const colors = [];
                for (let node = parent(control); node; node = parent(node)) {
                    colors.unshift(getComputedStyle(node).backgroundColor);
                }
                return ["white", ...colors];
            };
            return controls.flatMap(control => {
                const below = around(control);
                const {borderBottomColor} = getComputedStyle(control);
                const [one, other] = [below, [...below, borderBottomColor]]
                    .map(colors => luminance(blend(colors)))
                    .sort((a, b) => b - a);
                const contrast = (one + 0.05) / (other + 0.05);
                return contrast < minimum
                    ? [`${control.outerHTML.slice(0, 80)}: ${contrast.toFixed(2)}`] : [];
            });
        }""",
        _BORDER_CONTRAST,
    )
    return found
