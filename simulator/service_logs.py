"""What services write to their logs while they run."""

from typing import Final

_OUTPUT: Final = 6
_ERROR: Final = 3

# By service: the lines in turn, with their priorities. A container writes its error output with
# the priority of an error.
_LINES: Final = {
    "browser": (
        (_OUTPUT, "GET https://menu.example/today 200 in 148 ms"),
        (_OUTPUT, "Page loaded: Menu of the day"),
        (_OUTPUT, "Display HDMI-1: 1920x1080 at 60 Hz"),
        (_OUTPUT, "Memory of the page: 184 MB"),
        (_ERROR, "soup.webp timed out; next attempt in 10 s"),
    ),
    "signage": (
        (_OUTPUT, "Playlist breakfast: slide 3 of 8"),
        (_OUTPUT, "Weather updated: 17 °C, light rain"),
        (_OUTPUT, "Playlist breakfast: slide 4 of 8"),
    ),
    "mqtt": (
        (_OUTPUT, "New client connected as browser (p5, c1, k60)"),
        (_OUTPUT, "Received PUBLISH from door-sensor (32 bytes)"),
        (_OUTPUT, "Saved the in-memory database"),
        (_OUTPUT, "Client door-sensor disconnected"),
    ),
    "grafana": (
        (_OUTPUT, "level=info path=/api/health status=200"),
        (_OUTPUT, "level=info path=/d/kiosk status=200"),
        (_OUTPUT, "level=info msg=Cleanup rows=214 duration=9ms"),
    ),
    "bridge": (
        (_OUTPUT, "Received 24 values of meter-1 in 310 ms"),
        (_OUTPUT, "Published site/meter-1/power: 412 W"),
        (_OUTPUT, "Published site/meter-1/energy: 18.4 kWh"),
    ),
    "metrics": (
        (_OUTPUT, "Scraped 3 targets in 57 ms"),
        (_OUTPUT, "Wrote 1,284 samples"),
    ),
}


def log_line(service: str, number: int) -> tuple[int, str]:
    """Return the priority and the text of the next line of a service, by the number of earlier ones."""
    lines = _LINES.get(service, ((_OUTPUT, f"hello from {service}"),))
    return lines[number % len(lines)]
