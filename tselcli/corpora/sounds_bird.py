"""Birds and insects: whistled glides, called vowels, and wings that beat or scrape.

A songbird's voice is nearly a pure tone that glides fast; larger birds have formants. A cricket
scrapes one tooth after the other: a tone cut into pulses, the pulses into chirps.
"""

import numpy as np

from tselcli.corpora.oscillators import (
    Signal,
    curve,
    formants,
    harmonics,
    length,
    level,
    log_uniform,
    put,
    rolloff,
    shaped_noise,
    silence,
    swell,
    wander,
)
from tselcli.corpora.sound_kind import SoundKind


def bird_chirping(rng: np.random.Generator, rate: int) -> Signal:
    """Sing a phrase of two syllables, each a fast glide, again and again."""
    phrases, notes = rng.integers(2, 6), rng.integers(2, 6)
    note_s, pause_s = rng.uniform(0.05, 0.13), rng.uniform(0.25, 0.8)
    step_s = note_s * rng.uniform(1.2, 1.9)
    base = rng.uniform(2000, 3000)
    glides = rng.uniform(0.75, 1.7, (2, 3))  # the bird's own two syllables
    out = silence(phrases * (notes * step_s + pause_s), rate)
    n = length(note_s, rate)
    for phrase in range(phrases):
        for note in range(notes):
            start, middle, end = base * glides[note % 2] * rng.uniform(0.97, 1.03)
            tone = harmonics(curve([(0, start), (0.5, middle), (1, end)], n), rate, [1, 0.08])
            tone *= rng.uniform(0.6, 1) * swell(n, rate, 0.3 * note_s, 0.4 * note_s)
            put(out, tone, phrase * (notes * step_s + pause_s) + note * step_s, rate)
    return out


def rooster_crowing(rng: np.random.Generator, rate: int) -> Signal:
    """Crow: three short cries that climb, then a long one that sinks."""
    size, speed = rng.uniform(0.85, 1.2), rng.uniform(0.8, 1.25)
    syllables_s = np.array([0.22, 0.14, 0.24, 0.9]) / speed
    pitches = np.array([(480, 560, 520), (620, 700, 650), (640, 850, 780), (760, 900, 520)]) / size
    out = silence(syllables_s.sum() + 0.2 / speed + 0.2, rate)
    start_s = 0.0
    for duration_s, (begin, middle, end) in zip(syllables_s, pitches, strict=True):
        n = length(duration_s, rate)
        pitch = curve([(0, begin), (0.35, middle), (1, end)], n)
        voice = harmonics(pitch * (1 + 0.02 * wander(rng, n, rate, 60)), rate, rolloff(12, 3))
        voice += 0.15 * shaped_noise(rng, n, rate, [(800, -12), (2000, 0), (4000, -10)])
        cry = formants(voice, rate, [(1100 / size, 250, 1.0), (2300 / size, 350, 0.9)])
        put(out, level(cry) * swell(n, rate, 0.03, 0.07), start_s, rate)
        start_s += duration_s + 0.06 / speed
    return out


def owl_hooting(rng: np.random.Generator, rate: int) -> Signal:
    """Hoot: soft, almost pure low notes, the last one long."""
    pitch_hz, speed = rng.uniform(290, 460), rng.uniform(0.8, 1.2)
    rhythm_s = [[0.35, 0.15, 0.2, 0.7], [0.3, 0.9], [0.4, 0.4, 0.4]][rng.integers(3)]
    repeats, pause_s = rng.integers(1, 3), rng.uniform(0.6, 1.2)
    phrase_s = (sum(rhythm_s) + 0.18 * len(rhythm_s)) / speed
    out = silence(repeats * (phrase_s + pause_s), rate)
    for repeat in range(repeats):
        start_s = repeat * (phrase_s + pause_s)
        for duration_s in rhythm_s:
            n = length(duration_s / speed, rate)
            hoot = curve([(0, 0.93), (0.3, 1.03), (1, 0.95)], n) * pitch_hz
            breath = 0.02 * shaped_noise(rng, n, rate, [(200, -20), (400, 0), (900, -20)])
            tone = harmonics(hoot, rate, [1, 0.12, 0.04]) + breath
            put(out, tone * swell(n, rate, 0.06, 0.1), start_s, rate)
            start_s += (duration_s + 0.18) / speed
    return out


def crow_caw(rng: np.random.Generator, rate: int) -> Signal:
    """Caw: a hoarse, nasal cry with a rough throat."""
    size, count = rng.uniform(0.85, 1.2), rng.integers(2, 5)
    call_s, gap_s = rng.uniform(0.25, 0.45), rng.uniform(0.25, 0.6)
    out = silence(count * (call_s + gap_s), rate)
    n = length(call_s, rate)
    for index in range(count):
        top = rng.uniform(480, 600) / size
        pitch = curve([(0, 0.85 * top), (0.2, top), (1, 0.75 * top)], n)
        pitch *= 1 + 0.16 * wander(rng, n, rate, 220)  # the roughness of a caw
        voice = harmonics(pitch, rate, rolloff(12, 2))
        voice += 0.8 * shaped_noise(rng, n, rate, [(500, -15), (1500, 0), (3500, -8)])
        throat = [(1250 / size, 200.0, 1.0), (1750 / size, 250.0, 0.9), (3200 / size, 500.0, 0.4)]
        caw = formants(voice, rate, throat)
        put(out, level(caw) * swell(n, rate, 0.03, 0.12), index * (call_s + gap_s), rate)
    return out


def crickets(rng: np.random.Generator, rate: int) -> Signal:
    """Chirp like one to three crickets: a tone in pulses, three or four to a chirp."""
    duration_s = rng.uniform(3, 6)
    out = silence(duration_s, rate)
    time = np.arange(len(out)) / rate
    for _ in range(rng.integers(1, 4)):
        tone_hz, pulse_hz = rng.uniform(2500, 3500), rng.uniform(22, 38)
        chirp_s = rng.integers(3, 5) / pulse_hz
        period_s = chirp_s + rng.uniform(0.12, 0.45)
        offset_s, loudness = rng.uniform(0, period_s), log_uniform(rng, 0.2, 1)
        within = (time + offset_s) % period_s
        pulses = np.maximum(0, np.sin(2 * np.pi * pulse_hz * within)) * (within < chirp_s)
        pitch = np.full(len(out), tone_hz) * (1 + 0.003 * wander(rng, len(out), rate, 3))
        out += loudness * pulses * harmonics(pitch, rate, [1, 0.15])
    return out


def insect_buzzing(rng: np.random.Generator, rate: int) -> Signal:
    """Buzz like a bee or fly: wing beats with strong harmonics, coming and going."""
    duration_s, wing_hz = rng.uniform(2, 5), rng.uniform(170, 310)
    n = length(duration_s, rate)
    pitch = wing_hz * (1 + 0.08 * wander(rng, n, rate, 2.5) + 0.015 * wander(rng, n, rate, 30))
    tilt = rng.uniform(3, 6)
    buzz = harmonics(pitch, rate, rolloff(22, tilt) * rng.uniform(0.5, 1, 22))
    nearness: Signal = 10 ** (0.5 * wander(rng, n, rate, 1.5))
    return buzz * nearness * (1 + 0.2 * wander(rng, n, rate, 40)) * swell(n, rate, 0.4, 0.4)


BIRDS_AND_INSECTS = (
    SoundKind(
        "bird chirping",
        (
            "a bird is chirping",
            "birds chirp in the trees",
            "a small bird sings a short song",
            "a bird chirps repeatedly",
            "chirping of a bird in the morning",
            "birds are singing in a garden",
        ),
        (
            "a sparrow tweets on a branch",
            "a songbird twitters",
            "tweeting and warbling at dawn",
        ),
        frozenset({"bird"}),
        bird_chirping,
    ),
    SoundKind(
        "rooster crowing",
        (
            "a rooster crows",
            "a rooster is crowing",
            "a rooster crows at sunrise",
            "crowing of a rooster on a farm",
            "a rooster calls cock-a-doodle-doo",
            "a loud rooster crow",
        ),
        (
            "a cockerel greets the morning",
            "a cock announces daybreak",
            "the poultry yard wakes with a shrill call",
        ),
        frozenset({"bird"}),
        rooster_crowing,
    ),
    SoundKind(
        "owl hooting",
        (
            "an owl hoots",
            "an owl is hooting at night",
            "an owl hoots in a dark forest",
            "hooting of an owl",
            "the soft low hoots of an owl",
            "an owl calls from a tree at night",
        ),
        (
            "a nocturnal bird goes hoo hoo",
            "a hollow to-whit to-whoo in the woods",
            "a feathered hunter goes hoo after dark",
        ),
        frozenset({"bird"}),
        owl_hooting,
    ),
    SoundKind(
        "crow caw",
        (
            "a crow caws",
            "a crow is cawing",
            "a crow caws from a rooftop",
            "hoarse cawing of a crow",
            "crows caw in a field",
            "a crow cawing loudly several times",
        ),
        (
            "a raven croaks harshly",
            "a rook squawks in a treetop",
            "a black bird gives rough cries",
        ),
        frozenset({"bird"}),
        crow_caw,
    ),
    SoundKind(
        "crickets",
        (
            "crickets are chirping at night",
            "a cricket chirps",
            "crickets chirp in the grass",
            "the steady chirping of crickets",
            "crickets sing on a summer evening",
            "a cricket chirps in short pulses",
        ),
        (
            "insects trill in a meadow after dark",
            "a field of bugs stridulating",
            "grasshoppers chirr on a balmy day",
        ),
        frozenset({"insect"}),
        crickets,
    ),
    SoundKind(
        "insect buzzing",
        (
            "a bee is buzzing",
            "an insect buzzes around",
            "a fly buzzes past",
            "buzzing of a bee near a flower",
            "an insect buzzing close by",
            "a fly is buzzing in a room",
        ),
        (
            "a wasp drones at the picnic table",
            "a bumblebee hums from blossom to blossom",
            "a hornet's wings whirring",
        ),
        frozenset({"insect"}),
        insect_buzzing,
    ),
)
