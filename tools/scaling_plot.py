"""The plot of measure_scaling.py as an SVG file, written without a plotting package."""

import math
from html import escape

WIDTH, HEIGHT, GAP = 440, 340, 40
LEFT, RIGHT, TOP, BOTTOM = 64, 12, 44, 52
MEASURED, FITTED, TOKENS_ONLY = "#1b5e91", "#1b5e91", "#b3541e"
CURVE_POINTS = 60


def plot(series, coefficients):
    """One panel for each `(title, cases)`: seconds against packed tokens, the fit, and the fit without attention."""
    width = len(series) * WIDTH + (len(series) - 1) * GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HEIGHT}" width="{width}" height="{HEIGHT}" '
        'font-family="sans-serif" font-size="12" fill="#222">',
        f'<rect width="{width}" height="{HEIGHT}" fill="white"/>',
    ]
    for at, (title, cases) in enumerate(series):
        parts.append(f'<g transform="translate({at * (WIDTH + GAP)} 0)">')
        parts += panel(title, sorted(cases, key=lambda case: case["tokens"]), coefficients)
        parts.append("</g>")
    return "\n".join([*parts, "</svg>"]) + "\n"


def panel(title, cases, coefficients):
    a, b, c = coefficients
    most_tokens = 1.05 * cases[-1]["tokens"]
    most_seconds = 1.08 * max(
        max(case["seconds"], a + b * case["tokens"] + c * case["pairs"]) for case in cases
    )

    def x(tokens):
        return LEFT + tokens / most_tokens * (WIDTH - LEFT - RIGHT)

    def y(seconds):
        return HEIGHT - BOTTOM - max(seconds, 0) / most_seconds * (HEIGHT - TOP - BOTTOM)

    yield f'<text x="{LEFT}" y="18" font-size="13" font-weight="bold">{escape(title)}</text>'
    for tick in ticks(most_tokens):
        yield f'<line x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" stroke="#e4e4e4"/>'
        yield f'<text x="{x(tick):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{tick:,.0f}</text>'
    for tick in ticks(most_seconds):
        yield f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}" stroke="#e4e4e4"/>'
        yield f'<text x="{LEFT - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>'
    yield f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 14}" text-anchor="middle">packed tokens of a step</text>'
    yield f'<text x="14" y="{HEIGHT / 2}" text-anchor="middle" transform="rotate(-90 14 {HEIGHT / 2})">seconds a step</text>'

    # Between two cases the pairs of a batch of one shape grow as those of the cases do.
    curve = list(between(cases))
    whole = " ".join(f"{x(t):.1f},{y(a + b * t + c * p):.1f}" for t, p in curve)
    yield f'<polyline points="{whole}" fill="none" stroke="{FITTED}" stroke-width="1.5"/>'
    straight = " ".join(f"{x(t):.1f},{y(a + b * t):.1f}" for t in (0, cases[-1]["tokens"]))
    yield f'<polyline points="{straight}" fill="none" stroke="{TOKENS_ONLY}" stroke-width="1.5" stroke-dasharray="5 4"/>'
    for case in cases:
        yield f'<circle cx="{x(case["tokens"]):.1f}" cy="{y(case["seconds"]):.1f}" r="4" fill="{MEASURED}"/>'
    legend = [(MEASURED, "● measured, ― fit: a + b · tokens + c · pairs"), (TOKENS_ONLY, "- - its a + b · tokens, no attention")]
    for row, (color, text) in enumerate(legend):
        yield f'<text x="{LEFT + 8}" y="{TOP + 14 + 16 * row}" fill="{color}">{text}</text>'


def between(cases):
    """Tokens and pairs along the cases: pairs by the quadratic through a case and its neighbours."""
    for first, second in zip(cases, cases[1:]):
        third = next((case for case in (*cases, *cases[::-1]) if case["tokens"] not in (first["tokens"], second["tokens"])), None)
        for step in range(CURVE_POINTS + 1):
            tokens = first["tokens"] + (second["tokens"] - first["tokens"]) * step / CURVE_POINTS
            yield tokens, interpolate([case for case in (first, second, third) if case], tokens)


def interpolate(cases, tokens):
    """Lagrange's polynomial through the cases' pairs: exact, since pairs are a quadratic in tokens."""
    return sum(
        case["pairs"]
        * math.prod((tokens - other["tokens"]) / (case["tokens"] - other["tokens"]) for other in cases if other is not case)
        for case in cases
    )


def ticks(most):
    """Five or so round numbers from 0."""
    rough = most / 5
    power = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    return [step * at for at in range(int(most / step) + 1)]
