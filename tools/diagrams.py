"""The pictures of the documentation, drawn as SVG in a light and a dark variant.

Coordinates are in pixels of the picture; text is never measured, so boxes are wide enough for
any sans-serif fallback font.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape

FONT = "ui-sans-serif, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


@dataclass(frozen=True)
class Theme:
    """Colours of one variant."""

    suffix: str
    page: str
    text: str
    muted: str
    line: str
    panel: str
    box: str
    accent: str
    accent_fill: str
    view: str
    view_fill: str


LIGHT = Theme(
    suffix="",
    page="#ffffff",
    text="#1f2328",
    muted="#59636e",
    line="#8c959f",
    panel="#f6f8fa",
    box="#ffffff",
    accent="#0969da",
    accent_fill="#ddf4ff",
    view="#8250df",
    view_fill="#fbefff",
)
DARK = Theme(
    suffix="-dark",
    page="#0d1117",
    text="#f0f6fc",
    muted="#aab2bd",
    line="#656c76",
    panel="#151b23",
    box="#212830",
    accent="#58a6ff",
    accent_fill="#0c2d5a",
    view="#bc8cff",
    view_fill="#2c1f4a",
)


@dataclass
class Picture:
    """Shapes of one picture, collected in drawing order."""

    title: str
    width: int
    height: int
    theme: Theme
    parts: list[str] = field(default_factory=list)

    def text(
        self, x: float, y: float, words: str, *, size: float = 13, colour: str = "", **style: str
    ) -> None:
        """Writes one line whose baseline is at ``y``; ``style`` becomes attributes."""
        attributes = {"font-size": f"{size:g}", "fill": colour or self.theme.text, **style}
        written = " ".join(
            f'{key.replace("_", "-")}="{value}"' for key, value in attributes.items()
        )
        self.parts.append(f'<text x="{x:g}" y="{y:g}" {written}>{escape(words)}</text>')

    def rect(
        self, box: tuple[float, float, float, float], *, fill: str, stroke: str, dash: str = ""
    ) -> None:
        """Draws a rounded rectangle ``(x, y, width, height)``."""
        x, y, width, height = box
        extra = f' stroke-dasharray="{dash}"' if dash else ""
        self.parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="8" '
            f'fill="{fill}" stroke="{stroke}" stroke-width="1.25"{extra}/>'
        )

    def box(
        self, box: tuple[float, float, float, float], title: str, *lines: str, kind: str = "box"
    ) -> None:
        """Draws a box with a centred title and smaller lines; ``kind`` box, accent or view."""
        x, y, width, height = box
        fill, stroke = {
            "box": (self.theme.box, self.theme.line),
            "accent": (self.theme.accent_fill, self.theme.accent),
            "view": (self.theme.view_fill, self.theme.view),
        }[kind]
        self.rect(box, fill=fill, stroke=stroke)
        top = y + height / 2 + 5 - 9 * len(lines)
        middle = {"text_anchor": "middle"}
        self.text(x + width / 2, top, title, size=14, font_weight="600", **middle)
        for number, line in enumerate(lines, start=1):
            baseline = top + 1 + 18 * number
            self.text(x + width / 2, baseline, line, size=12, colour=self.theme.muted, **middle)

    def panel(self, box: tuple[float, float, float, float], label: str, *, dash: str = "") -> None:
        """Draws a group with its label at the upper left."""
        self.rect(box, fill=self.theme.panel, stroke=self.theme.line, dash=dash)
        self.text(
            box[0] + 16, box[1] + 24, label, size=12, colour=self.theme.muted, font_weight="600"
        )

    def arrow(self, *points: tuple[float, float], colour: str = "", dash: str = "") -> None:
        """Draws a line through the points with a head at the last one."""
        stroke = colour or self.theme.line
        (x1, y1), (x2, y2) = points[-2:]
        length = ((x2 - x1) ** 2 + (y2 - y1) ** 2) ** 0.5
        ux, uy = (x2 - x1) / length, (y2 - y1) / length
        bx, by = x2 - 9 * ux, y2 - 9 * uy
        path = " ".join(f"{x:g},{y:g}" for x, y in [*points[:-1], (bx, by)])
        head = (
            f"{x2:g},{y2:g} {bx - 4.5 * uy:g},{by + 4.5 * ux:g} {bx + 4.5 * uy:g},{by - 4.5 * ux:g}"
        )
        extra = f' stroke-dasharray="{dash}"' if dash else ""
        self.parts.append(
            f'<polyline points="{path}" fill="none" stroke="{stroke}" stroke-width="1.5"{extra}/>'
            f'<polygon points="{head}" fill="{stroke}"/>'
        )

    def note(self, x: float, y: float, *lines: str, anchor: str = "start") -> None:
        """Writes small lines beside an arrow."""
        for number, line in enumerate(lines):
            self.text(
                x, y + 16 * number, line, size=12, colour=self.theme.muted, text_anchor=anchor
            )

    def svg(self) -> str:
        """Returns the picture as an SVG document."""
        body = "\n".join(self.parts)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" '
            f'width="{self.width}" height="{self.height}" role="img" font-family="{FONT}">\n'
            f"<title>{escape(self.title)}</title>\n"
            f'<rect width="100%" height="100%" rx="12" fill="{self.theme.page}"/>\n'
            f"{body}\n</svg>\n"
        )


def architecture(theme: Theme) -> Picture:
    """Who talks to whom: front doors, the hub, and the log that everything stands on."""
    picture = Picture("Architecture of memory-context on one machine", 960, 560, theme)
    picture.box((24, 24, 264, 76), "Agent transcripts", "Claude Code, Codex: files on disk")
    picture.box((348, 24, 264, 76), "memctx", "import, search, context, …")
    picture.box((672, 24, 264, 76), "Your own client", "REST, live event stream")
    picture.arrow((288, 62), (348, 62))

    picture.panel((24, 148, 912, 252), "HUB")
    picture.arrow((480, 100), (480, 148))
    picture.arrow((804, 100), (804, 148))
    picture.note(490, 128, "HTTP, API key")
    picture.box((48, 188, 864, 44), "Check the key, check the input, answer errors as data")
    picture.box((48, 272, 192, 104), "Write", "authorise, redact,", "decide, commit", kind="accent")
    picture.box((272, 272, 192, 104), "Indexer", "while head > applied_seq:", "chunk and embed")
    picture.box(
        (496, 272, 192, 104), "Local index", "words and vectors,", "can be deleted", kind="view"
    )
    picture.box((720, 272, 192, 104), "Recall", "features, fused scores,", "token budget")
    picture.arrow((144, 232), (144, 272))
    picture.arrow((816, 272), (816, 232))
    picture.arrow((240, 324), (272, 324), dash="4 4")
    picture.arrow((464, 324), (496, 324))
    picture.arrow((688, 324), (720, 324))

    picture.box(
        (24, 460, 912, 76),
        "hub.db: the truth",
        "one append-only event log per project, and read models written in the same transaction",
        kind="accent",
    )
    picture.arrow((144, 376), (144, 460), colour=theme.accent)
    picture.note(154, 434, "one transaction")
    picture.arrow((368, 460), (368, 376))
    picture.note(378, 434, "current rows")
    picture.arrow((816, 460), (816, 376))
    picture.note(806, 434, "the index suggests, SQL decides", anchor="end")
    return picture


def team(theme: Theme) -> Picture:
    """A team's hub: any number of processes over three servers, of which one holds the truth."""
    picture = Picture("A team's hub: processes and servers", 960, 492, theme)
    picture.box((24, 24, 912, 60), "Agents and people", "HTTP, a key each")
    picture.arrow((220, 84), (220, 132))
    picture.box(
        (24, 132, 408, 104), "API processes", "write, search, context, events", "any number"
    )
    picture.box(
        (528, 132, 408, 104),
        "Workers",
        "words and vectors, under a fenced lease",
        "any number; one that is killed is replaced",
    )
    picture.box(
        (24, 336, 204, 132), "Redis: a view", "answers for a position", "of the logs", kind="view"
    )
    picture.box(
        (268, 336, 424, 132),
        "PostgreSQL: the truth",
        "events and read models in one transaction,",
        "row-level security by tenant,",
        "words and vectors by content hash",
        kind="accent",
    )
    picture.box(
        (732, 336, 204, 132), "Chroma: a view", "nearest vectors of", "large projects", kind="view"
    )
    picture.arrow((126, 236), (126, 336), dash="4 4")
    picture.arrow((300, 236), (300, 336), colour=theme.accent)
    picture.note(290, 290, "one transaction", anchor="end")
    picture.arrow((400, 336), (400, 236))
    picture.note(410, 290, "SQL decides")
    picture.arrow((620, 236), (620, 336), colour=theme.accent)
    picture.arrow((834, 236), (834, 336), dash="4 4")
    picture.note(824, 290, "dashed: may be away", anchor="end")
    return picture


def write_path(theme: Theme) -> Picture:
    """What happens to one write, and what a kill at each point leaves behind."""
    picture = Picture("The path of one write", 1040, 464, theme)
    picture.box((24, 84, 140, 76), "Operation", "client-made ids")
    picture.box((188, 84, 140, 76), "Authorise", "key, scope, project")
    picture.box((352, 84, 140, 76), "Redact", "before it is stored")
    picture.panel((520, 24, 496, 208), "ONE TRANSACTION", dash="6 4")
    picture.box((540, 84, 136, 76), "Decide", "a pure function", kind="accent")
    picture.box((700, 84, 136, 76), "Log", "locks the head row", kind="accent")
    picture.box((860, 84, 136, 76), "Rows", "the read models", kind="accent")
    picture.note(
        996,
        190,
        "The lock is held until the commit, so seq has no gap",
        "and the order of numbers is the order of commits.",
        anchor="end",
    )
    for left, right in [(164, 188), (328, 352), (492, 540), (676, 700), (836, 860)]:
        picture.arrow((left, 122), (right, 122))

    picture.arrow((608, 232), (608, 292), colour=theme.accent)
    picture.note(618, 266, "committed")
    picture.box((540, 292, 136, 56), "201 Created", kind="accent")
    picture.arrow((900, 232), (900, 292), dash="4 4")
    picture.note(890, 266, "a hint, may be lost", anchor="end")
    picture.box((784, 292, 232, 56), "head > applied_seq ?", kind="view")
    picture.arrow((900, 348), (900, 384))
    picture.box((784, 384, 232, 56), "Read the current rows", kind="view")
    picture.arrow((784, 412), (700, 412))
    picture.box((540, 384, 160, 56), "Chunk, embed", kind="view")
    picture.arrow((540, 412), (456, 412))
    picture.box((224, 384, 232, 56), "Index, set applied_seq", kind="view")

    picture.note(
        24, 196, "Killed before the commit: nothing has happened,", "and nobody was told it had."
    )
    picture.note(24, 292, "Killed after the commit: everything is there. The indexer")
    picture.note(24, 308, "compares two numbers and goes on; there is no queue to lose.")
    return picture


PICTURES: dict[str, Callable[[Theme], Picture]] = {
    "architecture": architecture,
    "team": team,
    "write-path": write_path,
}


def render() -> dict[str, str]:
    """Returns the SVG text of every picture by its path below the repository's root."""
    return {
        f"docs/images/{name}{theme.suffix}.svg": draw(theme).svg()
        for name, draw in PICTURES.items()
        for theme in (LIGHT, DARK)
    }
