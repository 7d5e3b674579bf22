"""A page in Chromium that is measured, slowed down as on a wall tablet.

Nothing here depends on the markup of a page. A view is complete when the page adds no more nodes
and its main thread is idle.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager
import shutil
from typing import Any, Final, Self

from playwright.async_api import CDPSession, Page, async_playwright

# How many times slower than this machine.
SLOWDOWN: Final = 4
# Seconds between two looks at the page, and without work until it is idle.
_LOOK: Final = 0.025
_QUIET: Final = 1.0
_LIMIT: Final = 120.0
# Microseconds between two samples of a profile.
_SAMPLING: Final = 200
# Nodes that a page may add, and the busy share of the main thread, when it is idle.
_FEW_NODES: Final = 10
_BUSY: Final = 0.5

_ALL_NODES: Final = """
    function* allNodes(root = document) {
        const walker = document.createTreeWalker(root);
        for (let node = walker.currentNode; node; node = walker.nextNode()) {
            yield node;
            if (node.shadowRoot) yield* allNodes(node.shadowRoot);
        }
    }
"""
_NAVIGATE: Final = """path => {
    history.pushState(null, "", path);
    window.dispatchEvent(new CustomEvent("location-changed", { detail: { replace: false } }));
}"""
# Few elements are looked at, so that this takes no time of the page.
_WATCH: Final = """text => {
    ALL_NODES
    const headings = [...allNodes()].filter((node) => node.localName === "h2");
    const isShown = () => headings.some((heading) => heading.textContent === text);
    if (isShown()) throw new Error(`"${text}" is shown before it is true`);
    const began = performance.now();
    window.shownAfter = undefined;
    const look = () => {
        if (isShown()) window.shownAfter = (performance.now() - began) / 1000;
        else setTimeout(look, 20);
    };
    look();
}"""
_FRAME_TIMES: Final = """seconds => new Promise((resolve) => {
    const times = [];
    let before = performance.now();
    const end = before + 1000 * seconds;
    const frame = (now) => {
        times.push((now - before) / 1000);
        before = now;
        if (now < end) requestAnimationFrame(frame);
        else resolve(times.slice(1));
    };
    requestAnimationFrame(frame);
})"""


class MeasuredPage:
    """A page of which the work is measured."""

    def __init__(self, page: Page, cdp: CDPSession) -> None:
        """Store the page and its connection for measurements."""
        self.page = page
        self._cdp = cdp

    @classmethod
    async def create(cls, page: Page) -> Self:
        """Return a page that is slowed down."""
        cdp = await page.context.new_cdp_session(page)
        await cdp.send("Performance.enable")
        await cdp.send("Emulation.setCPUThrottlingRate", {"rate": SLOWDOWN})
        return cls(page, cdp)

    async def run_on_nodes(self, expression: str) -> Any:
        """Return a JavaScript expression, in which `allNodes()` are those of all shadow roots."""
        return await self.page.evaluate(f"() => {{{_ALL_NODES} return {expression};}}")

    async def count_nodes(self) -> int:
        """Return the number of nodes."""
        return int(await self.run_on_nodes("[...allNodes()].length"))

    async def navigate(self, path: str) -> float:
        """Open a path of Home Assistant without loading the page. Returns the seconds until it is complete."""
        began = (await self._metrics())["Timestamp"]
        await self.page.evaluate(_NAVIGATE, path)
        return max(await self.settle() - began, 0.0)

    async def settle(self) -> float:
        """Wait until the page is idle. Returns since when it has been, as a time of the page."""
        before = await self._metrics()
        last = before["Timestamp"]
        async with asyncio.timeout(_LIMIT):
            while before["Timestamp"] - last < _QUIET:
                await asyncio.sleep(_LOOK)
                now = await self._metrics()
                busy = now["TaskDuration"] - before["TaskDuration"]
                share = busy / (now["Timestamp"] - before["Timestamp"])
                if now["Nodes"] - before["Nodes"] > _FEW_NODES or share > _BUSY:
                    last = now["Timestamp"]
                before = now
        return last

    async def busy_time(self, seconds: float) -> float:
        """Wait some seconds. Returns for how many of them the main thread was busy."""
        before = await self._metrics()
        await asyncio.sleep(seconds)
        now = await self._metrics()
        return now["TaskDuration"] - before["TaskDuration"]

    async def frame_times(self, seconds: float) -> list[float]:
        """Return the times between frames for some seconds."""
        times: list[float] = await self.page.evaluate(_FRAME_TIMES, seconds)
        return times

    async def profile(self, part: str, work: Awaitable[None]) -> float:
        """Wait for some work. Returns the seconds that functions of URLs with a part took meanwhile."""
        await self._cdp.send("Profiler.enable")
        await self._cdp.send("Profiler.setSamplingInterval", {"interval": _SAMPLING})
        await self._cdp.send("Profiler.start")
        await work
        profile = (await self._cdp.send("Profiler.stop"))["profile"]
        # A function counts with all that it calls.
        own: set[int] = set()
        for node in profile["nodes"]:
            if node["id"] in own or part in node["callFrame"]["url"]:
                own |= {node["id"], *node.get("children", ())}
        samples = zip(profile["samples"], profile["timeDeltas"], strict=True)
        seconds: float = sum(delta for node, delta in samples if node in own) / 1e6
        return seconds

    async def time_until(self, heading: str, work: Awaitable[None]) -> float:
        """Start some work. Returns the seconds until a heading of the page has a text."""
        await self.page.evaluate(_WATCH.replace("ALL_NODES", _ALL_NODES), heading)
        await work
        shown = await self.page.wait_for_function(
            "window.shownAfter", polling=100, timeout=1000 * _LIMIT
        )
        seconds: float = await shown.json_value()
        return seconds

    async def _metrics(self) -> dict[str, float]:
        answer = await self._cdp.send("Performance.getMetrics")
        return {item["name"]: item["value"] for item in answer["metrics"]}


@asynccontextmanager
async def open_page() -> AsyncGenerator[MeasuredPage]:
    """Open a page in Chromium. Raises RuntimeError if there is none."""
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        raise RuntimeError("No browser was found; scripts/browser installs one")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=path,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        try:
            page = await browser.new_page(viewport={"width": 1280, "height": 900})
            yield await MeasuredPage.create(page)
        finally:
            await browser.close()
