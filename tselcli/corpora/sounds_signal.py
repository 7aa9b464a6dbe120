"""Signals: sounds that were built to be noticed, from tones, gongs and clockwork.

A church bell's partials are inharmonic; its founders tune them to hum, prime, tierce, quint and
nominal at 0.5, 1, 1.2, 1.5 and 2 times the strike note, and the higher ones die away sooner.
"""

import numpy as np

from tselcli.corpora.oscillators import (
    Signal,
    band_noise,
    curve,
    harmonics,
    length,
    log_uniform,
    partials,
    put,
    rolloff,
    silence,
    sine,
    strike,
    swell,
)
from tselcli.corpora.sound_kind import SoundKind

BELL_PARTIALS = np.array([0.5, 1.0, 1.2, 1.5, 2.0, 2.52, 2.66, 3.01, 4.17, 5.43, 6.79])
BELL_AMPLITUDES = np.array([0.35, 0.6, 0.8, 0.4, 1.0, 0.5, 0.5, 0.7, 0.5, 0.35, 0.25])


def siren(rng: np.random.Generator, rate: int) -> Signal:
    """Wail, yelp or change between two notes: a rich tone whose pitch sweeps to and fro."""
    n = length(rng.uniform(3.5, 7), rate)
    low = rng.uniform(450, 700)
    high = low * rng.uniform(1.7, 2.3)
    style = rng.choice(["wail", "yelp", "two-tone"])
    cycle_s = {"wail": (2.2, 4.0), "yelp": (0.25, 0.45), "two-tone": (0.9, 1.4)}[style]
    time = np.arange(n) / rate / rng.uniform(*cycle_s) + rng.uniform(0, 1)
    swing = 0.5 - 0.5 * np.cos(2 * np.pi * time)
    if style == "two-tone":
        swing = (0.5 + 0.5 * np.tanh(12 * np.sin(2 * np.pi * time))) * 0.6
    pitch = low * (high / low) ** swing
    passing = curve([(0, rng.uniform(0.3, 1)), (0.5, 1), (1, rng.uniform(0.3, 1))], n)
    return passing * harmonics(pitch, rate, rng.uniform(0.5, 1, 10) * rolloff(10, 6))


def phone_ringing(rng: np.random.Generator, rate: int) -> Signal:
    """Ring an old telephone: two small gongs, hit in turn some 24 times a second."""
    rings, ring_s, pause_s = rng.integers(1, 4), rng.uniform(0.8, 1.6), rng.uniform(0.5, 1.2)
    gong, hammer_hz = rng.uniform(950, 1450), rng.uniform(20, 28)
    pair = gong * np.array([1, rng.uniform(1.12, 1.3)])
    out = silence(rings * (ring_s + pause_s), rate)
    n = length(0.5, rate)
    for start in range(rings):
        for hit in range(int(ring_s * hammer_hz)):
            tones = pair[hit % 2] * np.array([1, 2.32, 4.1])
            note = partials(tones, [1, 0.7, 0.3], [0.11, 0.07, 0.03], n, rate)
            put(out, note, start * (ring_s + pause_s) + hit / hammer_hz, rate)
    return out


def alarm(rng: np.random.Generator, rate: int) -> Signal:
    """Beep: short square tones in groups, like an alarm clock or a smoke detector."""
    groups, beeps = rng.integers(2, 6), rng.integers(1, 5)
    beep_s, pause_s = rng.uniform(0.06, 0.22), rng.uniform(0.25, 0.6)
    step_s = beep_s * rng.uniform(1.5, 2)
    pitch_hz = rng.uniform(900, 3200)
    out = silence(max(0.8, groups * (beeps * step_s + pause_s)), rate)
    n = length(beep_s, rate)
    beep = harmonics(np.full(n, pitch_hz), rate, [1, 0, 1 / 3, 0, 1 / 5, 0, 1 / 7])
    beep *= swell(n, rate, 0.004, 0.004)
    for group in range(groups):
        for index in range(beeps):
            put(out, beep, group * (beeps * step_s + pause_s) + index * step_s, rate)
    return out


def church_bells(rng: np.random.Generator, rate: int) -> Signal:
    """Toll one bell, or ring two or three in turn, each stroke fading over seconds."""
    notes = log_uniform(rng, 280, 560) * np.array([1, 1.122, 1.335])[: rng.integers(1, 4)]
    strokes, period_s = rng.integers(2, 5), rng.uniform(0.9, 1.7)
    tuning = rng.uniform(0.99, 1.01, len(BELL_PARTIALS))
    decays_s = rng.uniform(1.5, 3) / BELL_PARTIALS**0.9
    out = silence(strokes * period_s + 1.5, rate)
    bells = []
    for note in notes:
        tones = np.concatenate([note * BELL_PARTIALS * tuning, note * BELL_PARTIALS[:5] * 1.0015])
        amplitudes = np.concatenate([BELL_AMPLITUDES, 0.4 * BELL_AMPLITUDES[:5]])  # pairs that beat
        falls_s = np.concatenate([decays_s, decays_s[:5]])
        bells.append(partials(tones, amplitudes, falls_s, len(out), rate))
    for index in range(strokes):
        put(out, bells[index % len(bells)] * rng.uniform(0.8, 1), index * period_s, rate)
    return out


def clock_ticking(rng: np.random.Generator, rate: int) -> Signal:
    """Tick and tock: two slightly different clicks of one small case, at an even pace."""
    period_s, ticks = rng.choice([0.25, 0.5, 0.5, 1.0]) * rng.uniform(0.95, 1.05), 0
    case = rng.uniform([1300, 2300, 3100], [2000, 3000, 3550])
    uneven, tock = rng.uniform(0, 0.05), rng.uniform(0.8, 0.95)
    out = silence(rng.uniform(3, 5.5), rate)
    n = length(0.05, rate)
    while ticks * period_s < len(out) / rate:
        tuned = case * (1 if ticks % 2 == 0 else tock)
        click = partials(tuned, [1, 0.8, 0.6], [0.006, 0.005, 0.003], n, rate)
        click += 0.5 * band_noise(rng, n, rate, 1500, 7000) * strike(n, rate, 0.0015, 0.0003)
        put(out, click, (ticks + 0.1 + (uneven if ticks % 2 else 0)) * period_s, rate)
        ticks += 1
    return out


def doorbell(rng: np.random.Generator, rate: int) -> Signal:
    """Chime ding-dong: two struck bars, the second a third or a fourth lower."""
    high, step = rng.uniform(560, 800), rng.choice([0.75, 0.794, 0.84])
    gap_s, repeats, decay_s = rng.uniform(0.45, 0.8), rng.integers(1, 3), rng.uniform(0.35, 0.7)
    out = silence(repeats * (2 * gap_s + 0.8) + 0.5, rate)
    n = length(2.2, rate)
    for repeat in range(repeats):
        for index, pitch in enumerate((high, high * step)):
            tones = pitch * np.array([1, 2.0, 2.76, 5.4])  # bar over a tuned tube
            decays_s = decay_s * np.array([1, 0.6, 0.25, 0.1])
            note = partials(tones, [1, 0.25, 0.3, 0.2], decays_s, n, rate)
            put(out, note, repeat * (2 * gap_s + 0.8) + index * gap_s, rate)
    return out


def bicycle_bell(rng: np.random.Generator, rate: int) -> Signal:
    """Ring a bicycle bell: a thumbed rattle of hits on one small bright dome."""
    dome, rattle_hz = rng.uniform(1900, 2900), rng.uniform(13, 20)
    pulls, hits = rng.integers(1, 4), rng.integers(4, 9)
    pull_s = hits / rattle_hz + rng.uniform(0.25, 0.5)
    out = silence(pulls * pull_s + 0.6, rate)
    tones = dome * np.array([1, 1.006, 1.73, 2.63])
    for pull in range(pulls):
        for hit in range(hits):
            ring = partials(tones, [1, 0.7, 0.5, 0.4], [0.5, 0.45, 0.2, 0.1], length(1, rate), rate)
            slowing = hit / rattle_hz * (1 + 0.04 * hit)
            put(out, ring * rng.uniform(0.4, 1), pull * pull_s + slowing, rate)
    warble = 1 + 0.1 * sine(np.full(len(out), rattle_hz), rate)
    return out * warble


SIGNALS = (
    SoundKind(
        "siren",
        (
            "an emergency siren wails",
            "a siren is wailing",
            "a police car passes with its siren on",
            "the siren of an ambulance rises and falls",
            "a fire engine drives by with a siren",
            "a loud siren sounds in the street",
        ),
        (
            "a patrol rushes by, howling",
            "a warning tone goes up and down",
            "a rescue crew hurries to an incident, whooping",
        ),
        frozenset({"alarm"}),
        siren,
    ),
    SoundKind(
        "phone ringing",
        (
            "a phone is ringing",
            "a telephone rings",
            "an old telephone rings several times",
            "the ringing of a telephone",
            "a phone rings and nobody answers",
            "a landline phone rings on a desk",
        ),
        (
            "somebody is receiving a call",
            "an unanswered incoming call",
            "a rotary dial handset demands attention",
        ),
        frozenset({"bell", "alarm"}),
        phone_ringing,
    ),
    SoundKind(
        "alarm",
        (
            "an alarm is beeping",
            "an electronic alarm beeps repeatedly",
            "the beeps of a smoke alarm",
            "a digital alarm clock beeps",
            "an alarm goes off with short beeps",
            "a series of high beeps from an alarm",
        ),
        (
            "a gadget bleeps for attention",
            "a kitchen timer bleeps and bleeps",
            "a detector gives shrill bleeping tones",
        ),
        frozenset({"alarm"}),
        alarm,
    ),
    SoundKind(
        "church bells",
        (
            "church bells are ringing",
            "a church bell tolls",
            "a large bell rings slowly",
            "the bell of a church tower rings",
            "a heavy bell tolls and fades away",
            "bells ring from a church tower",
        ),
        (
            "a cathedral carillon chimes",
            "a steeple strikes the hour",
            "a big bronze chime resounds over the town",
        ),
        frozenset({"bell"}),
        church_bells,
    ),
    SoundKind(
        "clock ticking",
        (
            "a clock is ticking",
            "a clock ticks steadily",
            "the ticking of a wall clock",
            "an old clock ticks in a quiet room",
            "a clock ticks every second",
            "ticking of a mechanical clock",
        ),
        (
            "a watch goes tick tock",
            "a timepiece counts the seconds",
            "a grandfather's pendulum swings, tick after tock",
        ),
        frozenset({"clock", "click"}),
        clock_ticking,
    ),
    SoundKind(
        "doorbell",
        (
            "a doorbell rings",
            "someone rings the doorbell",
            "a doorbell chimes ding dong",
            "the doorbell of a house is ringing",
            "two notes of a doorbell",
            "a doorbell sounds twice",
        ),
        (
            "a caller presses the entrance button",
            "a melodious gong at the gate",
            "a pair of gongs announces guests",
        ),
        frozenset({"bell"}),
        doorbell,
    ),
    SoundKind(
        "bicycle bell",
        (
            "a bicycle bell rings",
            "a cyclist rings a bell",
            "the ringing of a bicycle bell",
            "a bike bell rings several times",
            "a small bright bell rattles on a bicycle",
            "someone rings the bell of a bike",
        ),
        (
            "a rider on two wheels tinkles a warning",
            "a tinkling tring tring on the cycle path",
            "a pedal bike's trill asks people to make way",
        ),
        frozenset({"bell"}),
        bicycle_bell,
    ),
)
