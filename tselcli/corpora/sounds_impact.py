"""Impacts: a short force excites the modes of an object, which ring and die.

Each blow is a burst of noise (the contact) and a few decaying modes (the object). What tells the
kinds apart is the modes, how long they ring, and the rhythm: steps are even, a dropped ball's
bounces come closer together by its coefficient of restitution.
"""

import numpy as np

from tselcli.corpora.oscillators import (
    Signal,
    band_noise,
    curve,
    harmonics,
    length,
    partials,
    put,
    resonate,
    rolloff,
    shaped_noise,
    silence,
    strike,
    swell,
    wander,
)
from tselcli.corpora.sound_kind import SoundKind


def footsteps(rng: np.random.Generator, rate: int) -> Signal:
    """Walk or run: heel, then sole, at an even pace on a hard floor."""
    period_s, steps = rng.uniform(0.3, 0.68), rng.integers(5, 10)
    floor, heel_hz, roll_s = rng.uniform(70, 130), rng.uniform(350, 1100), rng.uniform(0.05, 0.09)
    out = silence(steps * period_s + 0.2, rate)
    n = length(0.18, rate)
    for index in range(steps):
        thump = partials([floor, 2.2 * floor], [1, 0.5], [0.03, 0.02], n, rate)
        heel = resonate(band_noise(rng, n, rate, 200, 4000), rate, heel_hz, 350)
        sole = 0.35 * shaped_noise(rng, n, rate, [(200, -10), (900, 0), (4000, -14)])
        put(out, thump + 2 * heel * strike(n, rate, 0.012, 0.001), (index + 0.1) * period_s, rate)
        start_s = (index + 0.1 + rng.uniform(-0.015, 0.015)) * period_s + roll_s
        put(out, rng.uniform(0.5, 1) * sole * strike(n, rate, 0.02, 0.008), start_s, rate)
    return out


def door_knock(rng: np.random.Generator, rate: int) -> Signal:
    """Knock: three to six quick raps on a wooden panel, perhaps again."""
    raps, period_s, rounds = rng.integers(3, 7), rng.uniform(0.13, 0.25), rng.integers(1, 4)
    panel = np.sort(rng.uniform([140, 260, 420, 800], [230, 400, 700, 1300]))
    pause_s = rng.uniform(0.5, 0.9)
    out = silence(rounds * (raps * period_s + pause_s), rate)
    n = length(0.2, rate)
    for turn in range(rounds):
        for index in range(raps):
            wood = partials(panel, [1, 0.8, 0.5, 0.3], [0.035, 0.025, 0.018, 0.01], n, rate)
            knuckle = 0.4 * band_noise(rng, n, rate, 500, 3000) * strike(n, rate, 0.004, 0.0005)
            start_s = turn * (raps * period_s + pause_s) + index * period_s * rng.uniform(
                0.97, 1.03
            )
            put(out, rng.uniform(0.7, 1) * (wood + knuckle), start_s, rate)
    return out


def keyboard_typing(rng: np.random.Generator, rate: int) -> Signal:
    """Type: light clicks, down and up, in hasty runs with pauses."""
    out = silence(rng.uniform(2.5, 5), rate)
    key_hz, pace_s = rng.uniform(1600, 2700), rng.uniform(0.09, 0.17)
    n, start_s = length(0.06, rate), 0.05
    while start_s < len(out) / rate:
        tuned = key_hz * rng.uniform(0.85, 1.15)
        for delay_s, loudness in ((0.0, rng.uniform(0.6, 1)), (rng.uniform(0.05, 0.09), 0.35)):
            click = band_noise(rng, n, rate, 1200, 7000) * strike(n, rate, 0.003, 0.0005)
            case = partials([0.22 * tuned, tuned], [0.7, 0.8], [0.012, 0.005], n, rate)
            put(out, loudness * (click + case), start_s + delay_s, rate)
        start_s += pace_s * rng.exponential(0.5) + 0.5 * pace_s
        if rng.random() < 0.1:
            start_s += rng.uniform(0.25, 0.6)
    return out


def glass_clink(rng: np.random.Generator, rate: int) -> Signal:
    """Clink glasses: one to four touches, each a few pure high modes that ring on."""
    touches, gap_s = rng.integers(1, 5), rng.uniform(0.35, 0.8)
    rim, ring_s = rng.uniform(1100, 1900), rng.uniform(0.18, 0.45)
    ratios = np.array([1, 2.32, 4.25, 6.63])  # of a wine glass
    out = silence(touches * gap_s + 0.8, rate)
    n = length(1.2, rate)
    for index in range(touches):
        for glass in (1.0, rng.uniform(1.05, 1.2)):
            decays_s = ring_s * np.array([1, 0.6, 0.35, 0.2])
            tones = partials(rim * glass * ratios, rng.uniform(0.4, 1, 4), decays_s, n, rate)
            put(out, tones * rng.uniform(0.6, 1), index * gap_s, rate)
        tick = band_noise(rng, n, rate, 2500, 9000) * strike(n, rate, 0.002, 0.0003)
        put(out, 0.5 * tick, index * gap_s, rate)
    return out


def glass_breaking(rng: np.random.Generator, rate: int) -> Signal:
    """Shatter: a bright crash, then shards that fall and tinkle, ever fewer."""
    shards, scatter_s = rng.integers(35, 80), rng.uniform(0.25, 0.6)
    out = silence(rng.uniform(1.4, 2.6), rate)
    n = length(0.5, rate)
    crash = shaped_noise(rng, n, rate, [(300, -18), (2000, -4), (4000, 0), (12000, -6)])
    put(out, 1.2 * crash * strike(n, rate, 0.07, 0.001), 0.03, rate)
    m = length(0.3, rate)
    for start_s in 0.04 + rng.exponential(scatter_s, shards):
        tones = rng.uniform(1800, 8000) * np.array([1, 1.6, 2.4])
        tones[0] = min(tones[0], 3400) if rng.random() < 0.5 else tones[0]
        decay_s = rng.uniform(0.01, 0.06)
        shard = partials(tones, [1, 0.6, 0.4], [decay_s, 0.6 * decay_s, 0.4 * decay_s], m, rate)
        put(out, rng.uniform(0.1, 0.6) * np.exp(-start_s) * shard, start_s, rate)
    return out


def ball_bouncing(rng: np.random.Generator, rate: int) -> Signal:
    """Drop a ball: hollow thuds whose gaps shrink by one factor until it rests."""
    gap_s, bounce = rng.uniform(0.55, 0.85), rng.uniform(0.74, 0.84)
    skin, hollow = rng.uniform(75, 120), rng.uniform(480, 900)
    start_s, loudness, starts = 0.05, 1.0, []
    while gap_s > 0.05:
        starts.append((start_s, loudness))
        start_s, gap_s, loudness = start_s + gap_s, gap_s * bounce, loudness * bounce
    out = silence(start_s + 0.3, rate)
    n = length(0.25, rate)
    for at_s, strength in starts:
        thud = partials([skin, hollow], [1, 0.7], [0.035, 0.03], n, rate)
        slap = 0.5 * band_noise(rng, n, rate, 300, 2500) * strike(n, rate, 0.008, 0.001)
        put(out, strength * (thud + slap), at_s, rate)
    return out


def door_creak(rng: np.random.Generator, rate: int) -> Signal:
    """Creak: a hinge that sticks and slips, its pitch following the door's speed."""
    duration_s = rng.uniform(1.2, 3)
    n = length(duration_s, rate)
    slow, quick = rng.uniform(50, 110), rng.uniform(220, 420)
    pace = curve([(0, slow), (rng.uniform(0.3, 0.5), quick), (0.75, 0.6 * quick), (1, slow)], n)
    pace *= 1 + 0.2 * wander(rng, n, rate, 7) + 0.05 * wander(rng, n, rate, 80)
    slips = harmonics(pace, rate, rolloff(50, 0.5) / 8)  # a train of sharp slips
    wood = rng.uniform([420, 1000, 1900, 2900], [700, 1500, 2600, 3600])
    gains = (1.0, 1.2, 0.9, 0.5)
    creak = sum(
        (g * resonate(slips, rate, f, 110) for f, g in zip(wood, gains, strict=True)), slips / 6
    )
    grip = np.clip(0.6 + 0.7 * wander(rng, n, rate, 5), 0.05, 1)
    return creak * grip * swell(n, rate, 0.1, 0.2)


IMPACTS = (
    SoundKind(
        "footsteps",
        (
            "footsteps on a hard floor",
            "a person is walking",
            "someone walks down a corridor",
            "a person walks with steady steps",
            "the sound of footsteps",
            "someone walks across a wooden floor",
        ),
        (
            "somebody strides through the hallway",
            "shoes tap along the pavement",
            "a pedestrian paces to and fro",
        ),
        frozenset({"footsteps"}),
        footsteps,
    ),
    SoundKind(
        "door knock",
        (
            "someone knocks on a door",
            "knocking on a door",
            "a person knocks on a wooden door",
            "a few quick knocks on a door",
            "someone is knocking",
            "knuckles knock on wood several times",
        ),
        (
            "a visitor raps at the entrance",
            "a fist taps on a panel to be let in",
            "rapping on timber by a caller",
        ),
        frozenset({"door", "impact"}),
        door_knock,
    ),
    SoundKind(
        "keyboard typing",
        (
            "someone is typing on a keyboard",
            "a person types on a computer keyboard",
            "typing on a keyboard",
            "the keys of a keyboard click quickly",
            "fast typing at a computer",
            "someone types a letter on a keyboard",
        ),
        (
            "fingers clatter over a laptop",
            "an office worker enters text",
            "a programmer taps buttons at a desk",
        ),
        frozenset({"click"}),
        keyboard_typing,
    ),
    SoundKind(
        "glass clink",
        (
            "glasses clink together",
            "two glasses touch and ring",
            "the clink of wine glasses",
            "people clink their glasses",
            "a glass rings when it is tapped",
            "a bright clink of a glass",
        ),
        (
            "a toast with champagne flutes",
            "crystal goblets chime against each other",
            "friends say cheers over drinks",
        ),
        frozenset({"glass"}),
        glass_clink,
    ),
    SoundKind(
        "glass breaking",
        (
            "glass breaks",
            "a window shatters",
            "a glass falls and breaks into pieces",
            "glass is breaking and the pieces fall",
            "breaking of a glass bottle",
            "a pane of glass is smashed",
        ),
        (
            "a mirror bursts into splinters",
            "shards tinkle on the ground after a crash",
            "a vase bursts to smithereens",
        ),
        frozenset({"break", "glass"}),
        glass_breaking,
    ),
    SoundKind(
        "ball bouncing",
        (
            "a ball bounces on the floor",
            "a ball is bouncing faster and faster",
            "a dropped ball bounces until it rests",
            "bouncing of a ball in a gym",
            "a ball bounces several times",
            "someone drops a ball and it bounces",
        ),
        (
            "something made of rubber hops to a standstill",
            "a basketball dribbles away",
            "thuds that get closer together as a toy comes to rest",
        ),
        frozenset({"impact"}),
        ball_bouncing,
    ),
    SoundKind(
        "door creak",
        (
            "a door creaks",
            "a door opens with a creak",
            "an old door creaks slowly",
            "the hinges of a door creak",
            "creaking of a wooden door",
            "a creaking door in an old house",
        ),
        (
            "a rusty hinge squeaks and groans",
            "an ungreased gate whines as it swings",
            "a squeaky cupboard is pulled ajar",
        ),
        frozenset({"door", "creak"}),
        door_creak,
    ),
)
