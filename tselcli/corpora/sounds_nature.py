"""Weather, water and fire: noise with a slow shape, or very many small events.

A drop that falls into water traps a bubble, which rings at a pitch of a few hundred to a few
thousand hertz (Minnaert, 1933) and rises as it nears the surface: the "plink" is a rising chirp.
"""

import numpy as np

from tselcli.corpora.oscillators import (
    Signal,
    band_noise,
    curve,
    harmonics,
    length,
    log_uniform,
    put,
    resonate,
    shaped_noise,
    silence,
    strike,
    swell,
    wander,
)
from tselcli.corpora.sound_kind import SoundKind


def bubble(pitch: float, rise: float, decay_s: float, rate: int) -> Signal:
    """Ring like a bubble: a decaying sine whose pitch grows by ``rise`` of itself."""
    n = length(6 * decay_s, rate)
    pitches = curve([(0, pitch), (1, pitch * (1 + rise))], n)
    return harmonics(pitches, rate, [1]) * strike(n, rate, decay_s, 0.001)


def rain(rng: np.random.Generator, rate: int) -> Signal:
    """Rain: a steady hiss of drops too many to count, and some near ones."""
    duration_s = rng.uniform(3, 6)
    out = silence(duration_s, rate)
    dark = rng.uniform(-8, 0)  # a roof is darker than leaves
    tilt = [(150, -16), (700, -3), (2500, 0), (6000, dark), (14000, dark - 8)]
    hiss = shaped_noise(rng, len(out), rate, tilt)
    out += hiss * (1 + 0.15 * wander(rng, len(out), rate, 2))
    n = length(0.02, rate)
    for start_s in rng.uniform(0, duration_s, int(duration_s * rng.uniform(15, 60))):
        if rng.random() < 0.3:
            drop = bubble(log_uniform(rng, 900, 3200), 0.3, 0.008, rate)
        else:
            drop = band_noise(rng, n, rate, 800, 6000) * strike(n, rate, 0.002, 0.0005)
        put(out, rng.uniform(0.5, 2.5) * drop, start_s, rate)
    return out


def wind(rng: np.random.Generator, rate: int) -> Signal:
    """Blow: dark noise in gusts, with a howl whose pitch follows the strength."""
    n = length(rng.uniform(4, 7), rate)
    gust = 0.5 + 0.5 * wander(rng, n, rate, rng.uniform(0.6, 1.4))
    roar = shaped_noise(rng, n, rate, [(60, 0), (250, -3), (1000, -20), (5000, -45)])
    low = rng.uniform(280, 450)
    howls = [
        resonate(band_noise(rng, n, rate, 150, 2500), rate, low * k, 35) for k in (1, 1.35, 1.8)
    ]
    shares = [np.maximum(0, 1 - np.abs(2 * gust - place)) for place in (0.2, 1.0, 1.8)]
    howl = sum((share * howl for share, howl in zip(shares, howls, strict=True)), np.zeros(n))
    return (0.15 + gust**1.5) * (roar + rng.uniform(2, 5) * howl) * swell(n, rate, 0.3, 0.3)


def thunder(rng: np.random.Generator, rate: int) -> Signal:
    """Thunder: perhaps a crack, then claps that roll and sink into a rumble."""
    duration_s = rng.uniform(3, 6.5)
    out = silence(duration_s, rate)
    n = len(out)
    if rng.random() < 0.6:
        m = length(0.5, rate)
        crack = shaped_noise(rng, m, rate, [(80, 0), (800, -2), (4000, -12)])
        put(out, 1.5 * crack * strike(m, rate, 0.09, 0.003), 0.05, rate)
    rumble = shaped_noise(rng, n, rate, [(30, 0), (90, 0), (300, -12), (1500, -36)])
    rolls = np.zeros(n)
    for start_s in 0.1 + rng.uniform(0, 0.55 * duration_s, rng.integers(3, 7)):
        put(rolls, rng.uniform(0.5, 1) * strike(n, rate, rng.uniform(0.4, 1), 0.08), start_s, rate)
    return out + 1.5 * rumble * rolls


def sea_waves(rng: np.random.Generator, rate: int) -> Signal:
    """Break on a beach: noise that swells and brightens, then hisses out over the sand."""
    waves, period_s = rng.integers(1, 3), rng.uniform(2.6, 3.6)
    out = silence(waves * period_s + 0.8, rate)
    n = len(out)
    body = shaped_noise(rng, n, rate, [(60, -4), (300, 0), (1200, -10), (5000, -26)])
    foam = shaped_noise(rng, n, rate, [(400, -20), (2000, -2), (5000, 0), (12000, -8)])
    time = np.arange(n) / rate
    surge, fizz = np.full(n, 0.06), np.full(n, 0.03)
    for index in range(waves):
        crest_s = (index + rng.uniform(0.3, 0.45)) * period_s
        width_s, height = rng.uniform(0.45, 0.7), rng.uniform(0.7, 1)
        surge += height * np.exp(-(((time - crest_s) / width_s) ** 2))
        after = time - crest_s - 0.2
        fizz += 0.7 * height * np.exp(-np.where(after > 0, after / 0.9, (after / 0.4) ** 2))
    return surge * body + fizz * foam


def fire_crackling(rng: np.random.Generator, rate: int) -> Signal:
    """Crackle: sparse sharp snaps in clusters over a soft flutter of flames."""
    duration_s = rng.uniform(3, 6)
    out = silence(duration_s, rate)
    flames = shaped_noise(rng, len(out), rate, [(60, 0), (250, -4), (1000, -18), (5000, -30)])
    out += 0.07 * flames * (1 + 0.6 * wander(rng, len(out), rate, 9))
    n, start_s, pace_s = length(0.03, rate), 0.02, rng.uniform(0.03, 0.09)
    while start_s < duration_s:
        snap = band_noise(rng, n, rate, rng.uniform(700, 2000), 7000)
        snap *= strike(n, rate, log_uniform(rng, 0.0007, 0.005), 0.0003)
        put(out, min(1.0, 0.12 * rng.pareto(1.3) + 0.05) * snap, start_s, rate)
        start_s += rng.exponential(pace_s if rng.random() < 0.8 else 4 * pace_s)
    return out


def water_dripping(rng: np.random.Generator, rate: int) -> Signal:
    """Drip: single plinks, each a tick and a rising bubble, at a slow pace."""
    period_s, drops, pitch = rng.uniform(0.35, 0.95), rng.integers(4, 9), rng.uniform(650, 1600)
    out = silence(drops * period_s + 0.2, rate)
    n = length(0.01, rate)
    for index in range(drops):
        start_s = (index + rng.uniform(0.05, 0.15)) * period_s
        plink = bubble(pitch * rng.uniform(0.8, 1.25), rng.uniform(0.5, 1.1), 0.022, rate)
        tick = band_noise(rng, n, rate, 1500, 6000) * strike(n, rate, 0.001, 0.0002)
        put(out, 0.3 * tick, start_s, rate)
        put(out, plink * rng.uniform(0.7, 1), start_s + 0.012, rate)
    return out


def pouring_water(rng: np.random.Generator, rate: int) -> Signal:
    """Pour: many bubbles at once, in a vessel whose resonance rises while it fills."""
    duration_s = rng.uniform(2.5, 5)
    out = silence(duration_s, rate)
    n = len(out)
    low, high = rng.uniform(300, 500), rng.uniform(1000, 1700)
    for start_s in rng.uniform(0, duration_s, int(duration_s * rng.uniform(60, 110))):
        middle = low * (high / low) ** (start_s / duration_s)
        ring = bubble(middle * log_uniform(rng, 0.7, 2.2), rng.uniform(0.1, 0.6), 0.012, rate)
        put(out, rng.uniform(0.2, 1) * ring, start_s, rate)
    splash = 0.12 * band_noise(rng, n, rate, 600, 4500) * (1 + 0.4 * wander(rng, n, rate, 12))
    return (out + splash) * swell(n, rate, 0.1, 0.25)


NATURE = (
    SoundKind(
        "rain",
        (
            "rain is falling",
            "it is raining heavily",
            "rain falls on a roof",
            "raindrops patter on leaves",
            "the steady sound of rain",
            "heavy rain pours down outside",
        ),
        (
            "a downpour drums on the window",
            "a wet day with a persistent drizzle",
            "showers during a monsoon",
        ),
        frozenset({"water", "weather", "noise"}),
        rain,
    ),
    SoundKind(
        "wind",
        (
            "wind is blowing",
            "the wind howls",
            "strong wind blows in gusts",
            "wind howls around a house",
            "a cold wind blowing outside",
            "gusts of wind come and go",
        ),
        (
            "a gale moans through the chimney",
            "a stormy breeze whooshes over the plain",
            "air rushes past in squalls",
        ),
        frozenset({"weather", "noise"}),
        wind,
    ),
    SoundKind(
        "thunder",
        (
            "thunder rumbles",
            "a clap of thunder rolls away",
            "thunder cracks and rumbles",
            "distant rolling thunder",
            "thunder roars during a storm",
            "the rumble of thunder",
        ),
        (
            "a bolt of lightning strikes close by",
            "a tempest grumbles in the sky",
            "a deep boom echoes through the clouds",
        ),
        frozenset({"weather", "blast"}),
        thunder,
    ),
    SoundKind(
        "sea waves",
        (
            "waves break on the beach",
            "sea waves roll onto the shore",
            "ocean waves crash on the sand",
            "a wave breaks and runs out",
            "waves of the sea wash ashore",
            "waves come and go at the seaside",
        ),
        (
            "the surf hisses on the coast",
            "breakers tumble against the cliffs",
            "the tide swells and retreats over pebbles",
        ),
        frozenset({"water", "noise"}),
        sea_waves,
    ),
    SoundKind(
        "fire crackling",
        (
            "a fire is crackling",
            "a fire crackles in the fireplace",
            "wood burns and crackles",
            "the crackle of a campfire",
            "a campfire burns with soft crackling",
            "burning logs crackle",
        ),
        (
            "flames snap and pop",
            "embers sputter in the hearth",
            "a bonfire blazes",
        ),
        frozenset({"crackle"}),
        fire_crackling,
    ),
    SoundKind(
        "water dripping",
        (
            "water is dripping",
            "drops of water fall one by one",
            "a tap drips into a sink",
            "water drips slowly in a cave",
            "single drops fall into water",
            "dripping of water from a faucet",
        ),
        (
            "a leaky pipe goes plink plonk",
            "a bathroom spigot loses droplets",
            "plinking into a bucket from a leak",
        ),
        frozenset({"water"}),
        water_dripping,
    ),
    SoundKind(
        "pouring water",
        (
            "water is poured into a glass",
            "someone pours water",
            "a glass is being filled with water",
            "water gurgles as it is poured",
            "someone fills a cup with a drink",
            "pouring of water into a vessel",
        ),
        (
            "liquid glugs from a jug",
            "a beverage is served from a bottle",
            "a pitcher empties into a tumbler",
        ),
        frozenset({"water"}),
        pouring_water,
    ),
)
