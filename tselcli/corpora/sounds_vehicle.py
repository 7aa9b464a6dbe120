"""Vehicles: firing orders of an engine, chords of a horn, blades and wheels that chop.

A four-stroke engine repeats itself every two turns of the crankshaft. Its spectrum is a stack on
that cycle frequency; the multiples of the cylinder count, where the firings lie, stand out, and
load adds noise that is gated by the firings.
"""

import numpy as np

from tselcli.corpora.oscillators import (
    Signal,
    band_noise,
    curve,
    formants,
    harmonics,
    length,
    partials,
    phase_of,
    put,
    rolloff,
    shaped_noise,
    silence,
    sine,
    swell,
    wander,
)
from tselcli.corpora.sound_kind import SoundKind


def engine(rng: np.random.Generator, rate: int, rpm: Signal, load: Signal) -> Signal:
    """Run a four-cylinder engine: its speed and its load in [0, 1] are (N,) curves."""
    n, firings, orders = len(rpm), 4, 48
    amplitudes = rolloff(orders, 3) * rng.uniform(0.1, 0.35, orders)
    amplitudes[firings - 1 :: firings] *= 5
    cycle: Signal = rpm / 120 * (1 + 0.01 * wander(rng, n, rate, 20))
    tone = harmonics(cycle, rate, amplitudes)
    firing = 0.5 + 0.5 * sine(firings * cycle, rate)
    noise: Signal = firing**2 * shaped_noise(
        rng, n, rate, [(100, -6), (400, 0), (1500, -7), (6000, -22)]
    )
    pipes = [(rng.uniform(90, 140), 60.0, 1.0), (rng.uniform(280, 450), 120.0, 0.8)]
    pipes.append((rng.uniform(800, 1400), 400.0, 0.6))
    raw: Signal = tone * (0.5 + load) + (0.1 + 0.5 * load) * noise
    return 0.3 * raw + formants(raw, rate, pipes)


def car_accelerating(rng: np.random.Generator, rate: int) -> Signal:
    """Accelerate, in one or two gears: the engine's pitch climbs with the load."""
    n = length(rng.uniform(2.5, 6), rate)
    low, high = rng.uniform(900, 1500), rng.uniform(3600, 5600)
    climbs: list[tuple[float, float]] = [(0, low), (0.1, low), (0.95, high), (1, high)]
    if rng.random() < 0.5:  # a change of gear on the way
        shift = rng.uniform(0.4, 0.5)
        climbs = [(0, low), (shift, 0.85 * high), (shift + 0.06, 0.55 * high), (1, 1.1 * high)]
    loudness = curve([(0, 0.25), (0.15, 0.5), (0.9, 1), (1, 0.9)], n)
    return loudness * engine(rng, rate, curve(climbs, n), curve([(0, 0.2), (0.2, 1), (1, 1)], n))


def engine_idling(rng: np.random.Generator, rate: int) -> Signal:
    """Idle: a slow engine that lopes a little, with a blip of the throttle at times."""
    n = length(rng.uniform(2.5, 6), rate)
    rpm = rng.uniform(550, 950) * (1 + 0.04 * wander(rng, n, rate, 3))
    lope = 1 + rng.uniform(0.3, 0.6) * sine(
        rpm / 120, rate
    )  # one cylinder is stronger than the others
    return lope * engine(rng, rate, rpm, np.full(n, rng.uniform(0.1, 0.3)))


def car_horn(rng: np.random.Generator, rate: int) -> Signal:
    """Honk once to four times: two bright reeds a third apart."""
    count, honk_s, gap_s = rng.integers(1, 5), rng.uniform(0.25, 0.9), rng.uniform(0.12, 0.4)
    low, ratio = rng.uniform(310, 440), rng.choice([1.19, 1.26])
    out = silence(count * (honk_s + gap_s), rate)
    n = length(honk_s, rate)
    amplitudes = rng.uniform(0.4, 1, 20) * rolloff(20, 3)
    for index in range(count):
        bend = curve([(0, 0.985), (0.05, 1), (1, 1)], n)
        chord = harmonics(low * bend, rate, amplitudes) + harmonics(
            low * ratio * bend, rate, amplitudes
        )
        honk = chord + formants(chord, rate, [(2300, 700, 1.5)])
        put(out, honk * swell(n, rate, 0.02, 0.04), index * (honk_s + gap_s), rate)
    return out


def train_horn(rng: np.random.Generator, rate: int) -> Signal:
    """Blow an air horn: a wide chord of three to five bells, with breath, one to three blasts."""
    count, gap_s = rng.integers(1, 4), rng.uniform(0.25, 0.6)
    blasts_s = rng.uniform(0.7, 2.0, count)
    root, bells = rng.uniform(170, 260), rng.integers(3, 6)
    chord = root * np.array([1, 1.26, 1.5, 1.68, 2.0])[:bells]
    out = silence(blasts_s.sum() + count * gap_s, rate)
    start_s = 0.0
    for blast_s in blasts_s:
        n = length(blast_s, rate)
        bend = curve([(0, 0.94), (0.08, 1), (0.9, 1), (1, 0.95)], n)
        blast = sum((harmonics(note * bend, rate, rolloff(10, 4)) for note in chord), np.zeros(n))
        blast += 0.12 * bells * band_noise(rng, n, rate, 500, 2500)
        put(out, blast * swell(n, rate, 0.12, 0.2), start_s, rate)
        start_s += blast_s + gap_s
    return out


def helicopter(rng: np.random.Generator, rate: int) -> Signal:
    """Hover: the slap of the blades ten to twenty times a second over a turbine's whine."""
    n = length(rng.uniform(3, 6), rate)
    blade = rng.uniform(9, 19) * (1 + 0.02 * wander(rng, n, rate, 1))
    turn = phase_of(blade, rate)
    slap: Signal = np.exp(rng.uniform(4, 8) * (np.cos(turn) - 1))  # a short pulse per blade
    thump = slap * shaped_noise(
        rng, n, rate, [(60, -3), (150, 0), (500, -8), (2000, -22), (8000, -40)]
    )
    rotor = 1.2 * np.gradient(slap) * rate / 400
    wash = 0.12 * band_noise(rng, n, rate, 200, 2500)
    whine = 0.03 * harmonics(np.full(n, rng.uniform(600, 1500)), rate, [1, 0.4])
    nearness = curve([(0, rng.uniform(0.5, 1)), (0.5, 1), (1, rng.uniform(0.5, 1))], n)
    return np.asarray(nearness * (thump + rotor + wash + whine))


def train(rng: np.random.Generator, rate: int) -> Signal:
    """Roll over rail joints: pairs of clacks, two bogies at a time, over a rumble."""
    duration_s, period_s = rng.uniform(4, 7), rng.uniform(0.75, 1.5)
    out = silence(duration_s, rate)
    n = length(0.12, rate)
    modes = rng.uniform([180, 420, 900, 2100], [260, 620, 1300, 3000])
    for start_s in np.arange(0.1, duration_s, period_s):
        for delay_s in (0, 0.13 * period_s, 0.38 * period_s, 0.51 * period_s):
            clack = partials(modes, rng.uniform(0.4, 1, 4), [0.03, 0.02, 0.012, 0.006], n, rate)
            put(out, clack * rng.uniform(0.7, 1), start_s + delay_s, rate)
    rumble = shaped_noise(rng, len(out), rate, [(40, 0), (120, 0), (500, -14), (3000, -28)])
    return out + 0.22 * rumble * (1 + 0.3 * wander(rng, len(out), rate, 4))


VEHICLES = (
    SoundKind(
        "car accelerating",
        (
            "a vehicle accelerating",
            "a car accelerates",
            "a car engine revs up as it speeds away",
            "the engine of a car gets higher as it accelerates",
            "a vehicle speeds up and changes gear",
            "a car is accelerating hard",
        ),
        (
            "an automobile rushes forward with full throttle",
            "a sporty coupe roars off, gaining pace",
            "a motor climbs to high revolutions",
        ),
        frozenset({"engine"}),
        car_accelerating,
    ),
    SoundKind(
        "engine",
        (
            "an engine is idling",
            "a car engine runs at idle",
            "a vehicle stands with its engine running",
            "an engine idles slowly and steadily",
            "the low rumble of an idling engine",
            "a truck engine is running",
        ),
        (
            "a parked lorry with its diesel ticking over",
            "a motor putters in neutral",
            "a tractor chugs on the spot",
        ),
        frozenset({"engine"}),
        engine_idling,
    ),
    SoundKind(
        "car horn",
        (
            "a car horn honks",
            "a driver honks the horn",
            "a car is honking in traffic",
            "a car horn sounds several times",
            "honking of a car",
            "a vehicle blows its horn",
        ),
        (
            "an impatient motorist beeps at someone",
            "a taxi hoots in the street",
            "tooting in a queue at rush hour",
        ),
        frozenset({"horn"}),
        car_horn,
    ),
    SoundKind(
        "train horn",
        (
            "a train horn blows",
            "a train sounds its horn",
            "the loud horn of a train",
            "a train blows its horn at a crossing",
            "a long blast of a train horn",
            "a passing train blasts its air horn",
        ),
        (
            "a locomotive gives a long hoot",
            "a freight engine hoots a wide chord",
            "a railway warning signal is blown",
        ),
        frozenset({"horn", "rail"}),
        train_horn,
    ),
    SoundKind(
        "helicopter",
        (
            "a helicopter is flying",
            "a helicopter hovers overhead",
            "the rotor blades of a helicopter chop the air",
            "a helicopter flies past",
            "a helicopter circles above the city",
            "chopping blades of a helicopter",
        ),
        (
            "a chopper thuds through the sky",
            "whirling rotors of an aircraft throb",
            "a rescue whirlybird is airborne",
        ),
        frozenset({"aircraft"}),
        helicopter,
    ),
    SoundKind(
        "train",
        (
            "a train rolls over the tracks",
            "a train passes with clattering wheels",
            "the wheels of a train clack on the rails",
            "a train runs over rail joints",
            "a train clatters along the track",
            "a passing train rumbles and clacks",
        ),
        (
            "railway carriages roll by, clickety click",
            "wagons rattle by on a railroad",
            "a locomotive hauls its coaches past",
        ),
        frozenset({"rail"}),
        train,
    ),
)
