"""Machines and tools: motors with whine and air, blades under load, blows in a row."""

import numpy as np

from tselcli.corpora.oscillators import (
    Signal,
    band_noise,
    curve,
    formants,
    harmonics,
    length,
    partials,
    put,
    rolloff,
    shaped_noise,
    silence,
    sine,
    strike,
    swell,
    wander,
)
from tselcli.corpora.sound_kind import SoundKind


def vacuum_cleaner(rng: np.random.Generator, rate: int) -> Signal:
    """Hoover: steady rushing air, a motor's whine, and the nozzle going to and fro."""
    n = length(rng.uniform(3, 6), rate)
    spin = curve([(0, 0.6), (0.12, 1), (1, 1)], n) if rng.random() < 0.5 else np.ones(n)
    motor = rng.uniform(260, 420) * spin * (1 + 0.004 * wander(rng, n, rate, 4))
    hiss = shaped_noise(rng, n, rate, [(80, -14), (300, -2), (900, 0), (3000, -6), (9000, -20)])
    duct = formants(
        hiss, rate, [(rng.uniform(450, 800), 120, 0.9), (rng.uniform(1300, 2000), 250, 0.7)]
    )
    hum = harmonics(motor, rate, rng.uniform(0.2, 1, 9) * rolloff(9, 2))
    strokes: Signal = 1 + 0.25 * sine(np.full(n, rng.uniform(0.5, 1.1)), rate)
    return np.asarray(spin * (strokes * (hiss + duct) + 0.45 * hum))


def chainsaw(rng: np.random.Generator, rate: int) -> Signal:
    """Saw with a two-stroke motor: a rasping stack of harmonics that revs and bogs down."""
    n = length(rng.uniform(3, 6), rate)
    high = rng.uniform(125, 190)
    revs: list[tuple[float, float]] = [(0, 0.4 * high)]
    edge = 0.0
    while (edge := edge + rng.uniform(0.2, 0.35)) < 0.9:
        revs += [
            (edge - 0.14, high),
            (edge - 0.03, high * rng.uniform(0.75, 0.95)),
            (edge, 0.45 * high),
        ]
    revs.append((1, high))
    pitch = curve(revs, n) * (1 + 0.03 * wander(rng, n, rate, 70))
    rasp = harmonics(pitch, rate, rng.uniform(0.3, 1, 40) * rolloff(40, 2))
    gate = np.clip(sine(pitch, rate), 0, 1)
    teeth = gate * band_noise(rng, n, rate, 900, 5000)
    cut = formants(rasp, rate, [(900, 700, 2.0)]) + 0.4 * rasp + 0.5 * teeth
    return np.asarray((0.4 + 0.6 * pitch / high) * cut)


def jackhammer(rng: np.random.Generator, rate: int) -> Signal:
    """Break concrete: hard blows twelve to twenty-four times a second, in bursts."""
    blow_hz, bursts = rng.uniform(12, 24), rng.integers(1, 4)
    modes = rng.uniform([110, 500, 1100, 2400], [190, 800, 1800, 3300])
    blows = rng.integers(14, 40, bursts)
    out = silence(blows.sum() / blow_hz + 0.35 * bursts, rate)
    n = length(0.08, rate)
    start_s = 0.0
    for count in blows:
        for _ in range(count):
            metal = partials(modes, rng.uniform(0.5, 1, 4), [0.02, 0.012, 0.01, 0.006], n, rate)
            grit = band_noise(rng, n, rate, 700, 6000) * strike(n, rate, 0.012, 0.001)
            put(out, (metal + 0.5 * grit) * rng.uniform(0.75, 1), start_s, rate)
            start_s += rng.uniform(0.96, 1.04) / blow_hz
        start_s += 0.3
    air = 0.05 * band_noise(rng, len(out), rate, 800, 5000)
    return out + air


def power_drill(rng: np.random.Generator, rate: int) -> Signal:
    """Drill: a gear whine that runs up, is loaded down and runs out, once or twice."""
    pulls = rng.integers(1, 3)
    pull_s = rng.uniform(1.2, 2.4)
    out = silence(pulls * (pull_s + 0.35), rate)
    n = length(pull_s, rate)
    top = rng.uniform(520, 950)
    for index in range(pulls):
        sag = rng.uniform(0.7, 0.9)
        speed = curve(
            [(0, 0.15), (0.12, 1), (0.3, 1), (0.4, sag), (0.8, sag), (0.88, 1), (1, 0.1)], n
        )
        whine = harmonics(
            top * speed * (1 + 0.01 * wander(rng, n, rate, 40)), rate, [1, 0.7, 0.5, 0.4, 0.2]
        )
        brushes = band_noise(rng, n, rate, 1500, 6000) * (0.5 + 0.5 * sine(top * speed / 6, rate))
        put(
            out,
            speed * (whine + 0.4 * brushes) * swell(n, rate, 0.02, 0.08),
            index * (pull_s + 0.35),
            rate,
        )
    return out


def hand_saw(rng: np.random.Generator, rate: int) -> Signal:
    """Saw wood by hand: rasping strokes to and fro, the push louder than the pull."""
    stroke_s, strokes = rng.uniform(0.24, 0.42), 2 * rng.integers(4, 8)
    out = silence(stroke_s * strokes, rate)
    n = length(0.85 * stroke_s, rate)
    board, teeth = rng.uniform(900, 1700), rng.uniform(110, 200)
    for index in range(strokes):
        push = index % 2 == 0
        speed = np.sin(np.pi * np.linspace(0, 1, n)) ** 0.7
        hiss = band_noise(rng, n, rate, 0.7 * board, 4 * board)
        bite = 0.6 + 0.4 * np.sign(sine((teeth if push else 0.8 * teeth) * speed, rate))
        rasp = (
            formants(hiss * bite, rate, [(board * (1 if push else 1.25), 300, 1.5)])
            + 0.5 * hiss * bite
        )
        put(out, speed * rasp * (1.0 if push else 0.6), index * stroke_s, rate)
    return out


def hammering(rng: np.random.Generator, rate: int) -> Signal:
    """Drive a nail: blows of steel on steel, each ringing higher as the nail goes in."""
    blows, period_s = rng.integers(4, 9), rng.uniform(0.32, 0.65)
    out = silence(blows * period_s + 0.25, rate)
    n = length(0.35, rate)
    ring = np.sort(rng.uniform([1300, 1900, 2600, 3900, 5300], [1800, 2500, 3500, 5200, 7500]))
    wood = rng.uniform(150, 260)
    for index in range(blows):
        depth = 1 + 0.015 * index
        steel = partials(
            ring * depth, rng.uniform(0.3, 1, 5), [0.09, 0.07, 0.05, 0.03, 0.02], n, rate
        )
        thud = partials([wood, 2.3 * wood], [1.2, 0.6], [0.03, 0.02], n, rate)
        click = band_noise(rng, n, rate, 1000, 7000) * strike(n, rate, 0.004, 0.0005)
        put(out, (steel + thud + click) * rng.uniform(0.7, 1), index * period_s, rate)
    return out


MACHINES = (
    SoundKind(
        "vacuum cleaner",
        (
            "a vacuum cleaner is running",
            "a vacuum cleaner hums and sucks air",
            "someone vacuums a carpet",
            "the steady roar of a vacuum cleaner",
            "a vacuum cleaner moves to and fro on the floor",
            "vacuuming of a room",
        ),
        (
            "a person is hoovering the rug",
            "a hoover drones through the house",
            "a household suction machine in use",
        ),
        frozenset({"appliance"}),
        vacuum_cleaner,
    ),
    SoundKind(
        "chainsaw",
        (
            "a chainsaw is running",
            "a chainsaw cuts through wood",
            "a chainsaw revs and cuts",
            "someone fells a tree with a chainsaw",
            "the loud buzz of a chainsaw",
            "a chainsaw roars in the forest",
        ),
        (
            "a lumberjack works with a motor saw",
            "a petrol saw snarls through a log",
            "logging equipment buzzing and rasping",
        ),
        frozenset({"saw"}),
        chainsaw,
    ),
    SoundKind(
        "jackhammer",
        (
            "a jackhammer breaks concrete",
            "a jackhammer is hammering the road",
            "the rapid pounding of a jackhammer",
            "workers use a jackhammer in the street",
            "a jackhammer pounds the pavement",
            "a loud jackhammer at a construction site",
        ),
        (
            "a pneumatic breaker tears up asphalt",
            "roadworks with a percussive demolition tool",
            "stone is chiselled by a compressed air breaker",
        ),
        frozenset({"construction"}),
        jackhammer,
    ),
    SoundKind(
        "power drill",
        (
            "an electric drill is drilling",
            "a power drill whirs",
            "someone drills a hole into a wall",
            "an electric drill spins up and slows down",
            "the whine of a power drill",
            "a drill bores into wood",
        ),
        (
            "a cordless screwdriver whines",
            "a handyman at work with a whirring tool",
            "a high motor note as screws are driven in",
        ),
        frozenset({"construction"}),
        power_drill,
    ),
    SoundKind(
        "hand saw",
        (
            "someone saws wood by hand",
            "a hand saw cuts through a board",
            "a saw moves back and forth through wood",
            "sawing of a plank by hand",
            "a carpenter saws a piece of wood",
            "the rhythmic rasping of a hand saw",
        ),
        (
            "a joiner severs timber with to and fro strokes",
            "scratchy strokes through lumber",
            "a branch is divided with a toothed blade",
        ),
        frozenset({"saw", "rub"}),
        hand_saw,
    ),
    SoundKind(
        "hammering",
        (
            "someone hammers a nail",
            "a hammer hits a nail into wood",
            "hammering on a nail",
            "a carpenter is hammering",
            "a hammer strikes metal again and again",
            "several blows of a hammer",
        ),
        (
            "a builder drives a spike in with heavy strokes",
            "metallic banging at a workbench",
            "a mallet pounds on steel",
        ),
        frozenset({"impact", "construction"}),
        hammering,
    ),
)
