"""Music: a drum, strings that are plucked or hammered, pipes that are blown.

A plucked string is Karplus and Strong's: a delay line of one period, filled with noise and
averaged each time round (Computer Music Journal 7(2), 1983), written here as one recursive filter.
"""

import numpy as np
from scipy.signal import lfilter

from tselcli.corpora.oscillators import (
    Signal,
    band_noise,
    curve,
    harmonics,
    length,
    level,
    log_uniform,
    partials,
    put,
    rolloff,
    silence,
    sine,
    strike,
    swell,
    white,
)
from tselcli.corpora.sound_kind import SoundKind

MAJOR_SCALE = np.array([0, 2, 4, 5, 7, 9, 11, 12])  # semitones
CHORDS = ((0, 7, 12, 16, 19), (0, 7, 12, 15, 19), (0, 5, 12, 17, 21))


def semitones(root: float, steps: float) -> float:
    """Go so many equal semitones up from a pitch in hertz."""
    return float(root * 2 ** (steps / 12))


def melody(rng: np.random.Generator, notes: int) -> list[int]:
    """Walk up and down the major scale: steps in semitones, each near the one before."""
    places = np.cumsum(rng.choice([-2, -1, 1, 2, 3], notes)) + rng.integers(0, 8)
    return [int(MAJOR_SCALE[place % 7] + 12 * ((place // 7) % 2)) for place in places]


def drum_beat(rng: np.random.Generator, rate: int) -> Signal:
    """Play a beat: kick and snare in turn under an even hi-hat."""
    step_s, steps = rng.uniform(0.16, 0.28), 8 * rng.integers(2, 4)
    kick_hz, snare_hz = rng.uniform(45, 65), rng.uniform(170, 240)
    busy = rng.random(8) < 0.25  # extra kicks of this pattern
    out = silence(steps * step_s + 0.3, rate)
    n = length(0.3, rate)
    fall = kick_hz * (1 + 3 * np.exp(-np.arange(n) / rate / 0.03))
    kick = sine(fall, rate) * strike(n, rate, 0.11)
    for index in range(steps):
        beat, start_s = index % 8, index * step_s
        hat = band_noise(rng, n, rate, 5000, 12000) * strike(n, rate, 0.02, 0.0005)
        put(out, 0.15 * hat * rng.uniform(0.6, 1), start_s, rate)
        if beat in (0, 4) or busy[beat]:
            put(out, kick, start_s, rate)
        if beat in (2, 6):
            wires = 0.35 * band_noise(rng, n, rate, 900, 7000) * strike(n, rate, 0.07, 0.001)
            shell = partials([snare_hz, 1.6 * snare_hz], [0.7, 0.4], [0.05, 0.04], n, rate)
            put(out, wires + shell, start_s, rate)
    return out


def pluck(rng: np.random.Generator, pitch: float, duration_s: float, rate: int) -> Signal:
    """Pluck a string; a Karplus-Strong loop tuned between samples by its own low-pass."""
    n = length(duration_s, rate)
    period = rate / pitch - 0.5  # the two-point average delays by half a sample
    whole = int(period)
    part = period - whole
    loss = 10 ** (-3 / (pitch * 2.5))  # -60 dB after 2.5 seconds
    burst = np.zeros(n)
    burst[:whole] = level(lfilter([0.4], [1, -0.6], white(rng, n)[:whole]))
    loop = np.convolve([0.5, 0.5], [1 - part, part]) * loss
    return np.asarray(lfilter([1.0], np.concatenate([[1.0], np.zeros(whole - 1), -loop]), burst))


def guitar_strumming(rng: np.random.Generator, rate: int) -> Signal:
    """Strum chords: five plucked strings shortly after each other, down and up."""
    strums, period_s, root = rng.integers(3, 7), rng.uniform(0.45, 0.9), rng.uniform(92, 135)
    out = silence(strums * period_s + 0.9, rate)
    spread_s = rng.uniform(0.012, 0.03)
    degree = 0
    for index in range(strums):
        if index % 2 == 0:
            degree = int(rng.choice([0, 5, 7, -3]))
        chord = CHORDS[rng.integers(len(CHORDS))]
        for place, step in enumerate(chord if index % 2 == 0 else chord[::-1]):
            string = pluck(rng, semitones(root, degree + step), min(1.6, 2 * period_s), rate)
            fade = swell(len(string), rate, 0.002, 0.2)
            put(out, string * fade, index * period_s + place * spread_s, rate)
    return out


def piano_melody(rng: np.random.Generator, rate: int) -> Signal:
    """Play a tune on a piano: stretched, hammered strings that decay at two speeds."""
    notes, root = rng.integers(5, 10), log_uniform(rng, 200, 420)
    steps, beat_s = melody(rng, notes), rng.uniform(0.25, 0.5)
    starts_s = np.concatenate([[0], np.cumsum(beat_s * rng.choice([1, 1, 2], notes))])
    out = silence(min(7.0, starts_s[-1] + 0.6), rate)
    n = length(1.6, rate)
    order = np.arange(1, 11)
    stretch = order * np.sqrt(1 + 4e-4 * order**2)
    for step, start_s in zip(steps, starts_s, strict=False):
        tones = semitones(root, step) * stretch
        quick = partials(tones, rolloff(10, 8), 0.35 / np.sqrt(order), n, rate)
        slow = partials(1.0006 * tones, 0.4 * rolloff(10, 8), 1.4 / order, n, rate)
        knock = 0.05 * band_noise(rng, n, rate, 150, 900) * strike(n, rate, 0.015)
        put(out, (quick + slow + knock) * swell(n, rate, 0.002, 0.3), start_s, rate)
    return out


def whistling(rng: np.random.Generator, rate: int) -> Signal:
    """Whistle a tune: nearly pure, sliding from note to note, with vibrato and breath."""
    notes, root, beat_s = rng.integers(5, 10), rng.uniform(800, 1250), rng.uniform(0.22, 0.42)
    steps = melody(rng, notes)
    n = length(beat_s * notes, rate)
    knots: list[tuple[float, float]] = []
    for index, step in enumerate(steps):  # each note holds, then slides to the next
        knots += [((index + 0.12) / notes, step), ((index + 0.9) / notes, step)]
    vibrato = 0.25 * sine(np.full(n, rng.uniform(4.5, 6.5)), rate)
    pitch = root * 2 ** ((curve(knots, n) + vibrato) / 12)
    breath = 0.05 * band_noise(rng, n, rate, 1000, 4000)
    tongue: Signal = 0.15 + 0.85 * np.abs(np.sin(np.pi * np.arange(n) / rate / beat_s)) ** 0.3
    return (harmonics(pitch, rate, [1, 0.05]) + breath) * tongue * swell(n, rate, 0.05, 0.1)


def violin(rng: np.random.Generator, rate: int) -> Signal:
    """Bow a slow tune: a sawtooth string with vibrato in a wooden body."""
    notes, root, beat_s = rng.integers(3, 6), rng.uniform(240, 420), rng.uniform(0.6, 1.2)
    steps = melody(rng, notes)
    out = silence(notes * beat_s + 0.15, rate)
    body = rng.uniform([260, 450, 900, 2200], [310, 560, 1400, 3100])
    wobble_hz = rng.uniform(4.8, 6.8)
    n = length(beat_s + 0.1, rate)
    depth = curve([(0, 0), (0.3, 0.02), (1, 0.02)], n)
    vibrato = 1 + depth * sine(np.full(n, wobble_hz), rate)
    order = np.arange(1, 31)
    for index, step in enumerate(steps):
        pitch = semitones(root, step)
        wood = 0.3 + sum(np.exp(-((np.log2(order * pitch / peak) / 0.35) ** 2)) for peak in body)
        bow = 0.03 * band_noise(rng, n, rate, 800, 5000)
        note = harmonics(pitch * vibrato, rate, wood / order) + bow
        put(out, note * swell(n, rate, 0.12, 0.12), index * beat_s, rate)
    return out


MUSIC = (
    SoundKind(
        "drum beat",
        (
            "someone plays the drums",
            "a drum beat is playing",
            "a drummer plays a steady beat",
            "a kick drum and a snare play a rhythm",
            "drums are being played",
            "a simple rhythm on a drum kit",
        ),
        (
            "percussion keeps a groove",
            "a musician pounds out a tempo with sticks",
            "cymbals and toms in a rock pattern",
        ),
        frozenset({"music"}),
        drum_beat,
    ),
    SoundKind(
        "guitar",
        (
            "someone strums a guitar",
            "an acoustic guitar is playing",
            "a guitar plays chords",
            "chords strummed on a guitar",
            "a person plays the guitar",
            "the strings of a guitar are strummed",
        ),
        (
            "a six-string instrument is plucked",
            "a troubadour serenades his beloved",
            "a fingerpicked lute accompanies a folk song",
        ),
        frozenset({"music"}),
        guitar_strumming,
    ),
    SoundKind(
        "piano",
        (
            "someone plays a melody on the piano",
            "a piano is playing",
            "a piano plays a short tune",
            "single notes on a piano",
            "a pianist plays a melody",
            "a person practises the piano",
        ),
        (
            "fingers run over ivory keys",
            "a grand instrument with hammered strings is heard",
            "a sonata is rehearsed note by note",
        ),
        frozenset({"music"}),
        piano_melody,
    ),
    SoundKind(
        "whistling",
        (
            "a person whistles a tune",
            "someone is whistling a melody",
            "a man whistles while he works",
            "cheerful whistling of a tune",
            "a person whistling a song",
            "someone whistles to himself",
        ),
        (
            "a melodious piping through pursed lips",
            "an air is blown between the lips",
            "a passer-by pipes a merry ditty with his mouth",
        ),
        frozenset({"music", "horn"}),
        whistling,
    ),
    SoundKind(
        "violin",
        (
            "a violin is playing",
            "someone plays a slow melody on the violin",
            "a violinist plays a few long notes",
            "a bow is drawn over the strings of a violin",
            "the sound of a violin",
            "a person practises the violin",
        ),
        (
            "a fiddler at a country dance",
            "a bowed instrument sings softly",
            "a soloist of the string section performs with vibrato",
        ),
        frozenset({"music"}),
        violin,
    ),
)
