"""Animals on four legs, and a frog: a buzzing source shaped by the resonances of a throat.

The source is a stack of harmonics whose pitch follows the call; formants, scaled with the size of
the animal, give the vowel. A meow is a vowel that opens and closes: two colourings, cross-faded.
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
    partials,
    put,
    rolloff,
    shaped_noise,
    silence,
    strike,
    swell,
    wander,
)
from tselcli.corpora.sound_kind import SoundKind


def dog_bark(rng: np.random.Generator, rate: int) -> Signal:
    """Bark a few times: a pitch that jumps up and falls, rough, with an open throat."""
    size = log_uniform(rng, 0.75, 1.6)  # 1 is a middling dog
    bark_s, gap_s, count = rng.uniform(0.13, 0.28), rng.uniform(0.22, 0.7), rng.integers(2, 6)
    out = silence(count * (bark_s + gap_s), rate)
    n = length(bark_s, rate)
    for index in range(count):
        top = 420 / size * rng.uniform(0.92, 1.08)
        pitch = curve([(0, 0.65 * top), (0.25, top), (1, 0.5 * top)], n)
        pitch *= 1 + 0.04 * wander(rng, n, rate, 90)  # hoarse
        voice = harmonics(pitch, rate, rolloff(24, 5))
        voice += 0.25 * shaped_noise(rng, n, rate, [(300, -20), (1000, 0), (4000, -12)])
        throat = [(650 / size, 180.0, 1.0), (1250 / size, 220.0, 0.9), (2700 / size, 400.0, 0.4)]
        bark = formants(voice, rate, throat) * strike(n, rate, 0.5 * bark_s, 0.012)
        loudness = rng.uniform(0.7, 1.0)
        put(
            out,
            loudness * level(bark) * swell(n, rate, 0.005, 0.04),
            index * (bark_s + gap_s),
            rate,
        )
    return out


def cat_meow(rng: np.random.Generator, rate: int) -> Signal:
    """Meow once or twice: a long arched pitch, the mouth opening and closing."""
    size, count = rng.uniform(0.8, 1.25), rng.integers(1, 4)
    call_s, gap_s = rng.uniform(0.5, 1.1), rng.uniform(0.3, 0.9)
    out = silence(count * (call_s + gap_s), rate)
    n = length(call_s, rate)
    for index in range(count):
        low = rng.uniform(430, 620) / size
        arch = [(0, low), (rng.uniform(0.2, 0.4), 1.45 * low), (0.7, 1.25 * low), (1, 0.85 * low)]
        pitch = curve(arch, n) * (1 + 0.012 * wander(rng, n, rate, 12))
        voice = harmonics(pitch, rate, rolloff(14, 6))
        closed = formants(voice, rate, [(420 / size, 120, 1.0), (2500 / size, 300, 0.5)])
        open_mouth = formants(voice, rate, [(1000 / size, 200, 1.0), (1700 / size, 300, 1.0)])
        opening = curve([(0, 0), (0.35, 1), (0.65, 0.9), (1, 0.1)], n)
        call = (1 - opening) * closed + opening * open_mouth
        put(out, level(call) * swell(n, rate, 0.08, 0.25), index * (call_s + gap_s), rate)
    return out


def cow_moo(rng: np.random.Generator, rate: int) -> Signal:
    """Moo: a long low voice that opens and drops at the end."""
    size, call_s = rng.uniform(0.8, 1.25), rng.uniform(1.4, 2.8)
    n = length(call_s, rate)
    low = rng.uniform(95, 150) / size
    arch = [(0, low), (0.3, 1.35 * low), (0.75, 1.25 * low), (1, 0.8 * low)]
    voice = harmonics(curve(arch, n) * (1 + 0.02 * wander(rng, n, rate, 25)), rate, rolloff(40, 5))
    hum = formants(voice, rate, [(230 / size, 90, 1.0), (900 / size, 200, 0.15)])
    vowel = formants(
        voice, rate, [(520 / size, 120, 1.0), (900 / size, 150, 0.7), (2400, 300, 0.15)]
    )
    opening = curve([(0, 0), (rng.uniform(0.2, 0.4), 1), (0.8, 0.9), (1, 0.2)], n)
    return ((1 - opening) * hum + opening * vowel) * swell(n, rate, 0.15, 0.35)


def sheep_bleat(rng: np.random.Generator, rate: int) -> Signal:
    """Bleat: a nasal voice that trembles about ten times a second."""
    size, count = rng.uniform(0.8, 1.3), rng.integers(1, 4)
    call_s, gap_s = rng.uniform(0.5, 1.1), rng.uniform(0.3, 0.8)
    tremble_hz = rng.uniform(8, 14)
    out = silence(count * (call_s + gap_s), rate)
    n = length(call_s, rate)
    shake = np.sin(2 * np.pi * tremble_hz * np.arange(n) / rate)
    for index in range(count):
        low = rng.uniform(230, 330) / size
        pitch = curve([(0, 0.9 * low), (0.15, 1.1 * low), (1, 0.9 * low)], n) * (1 + 0.05 * shake)
        voice = harmonics(pitch, rate, rolloff(30, 3))
        throat = [(620 / size, 130, 1.0), (1650 / size, 200, 0.9), (2700 / size, 300, 0.7)]
        call = formants(voice, rate, [(f, float(b), g) for f, b, g in throat]) * (1 + 0.8 * shake)
        put(out, level(call) * swell(n, rate, 0.04, 0.12), index * (call_s + gap_s), rate)
    return out


def frog_croak(rng: np.random.Generator, rate: int) -> Signal:
    """Croak: quick pulses that each ring the vocal sac, in bursts."""
    count, gap_s = rng.integers(3, 8), rng.uniform(0.2, 0.7)
    pulse_hz, croak_s, sac_hz = rng.uniform(28, 60), rng.uniform(0.18, 0.45), rng.uniform(450, 1100)
    out = silence(count * (croak_s + gap_s), rate)
    pulses = int(croak_s * pulse_hz)
    for index in range(count):
        for pulse in range(pulses):
            loudness = np.sin(np.pi * (pulse + 1) / (pulses + 1)) * rng.uniform(0.8, 1)
            glide = sac_hz * (1 + 0.25 * pulse / pulses)
            rings = [glide, 1.9 * glide, 3.1 * glide]
            ring = partials(rings, [1, 0.6, 0.3], [0.008, 0.006, 0.004], length(0.06, rate), rate)
            put(out, loudness * ring, index * (croak_s + gap_s) + pulse / pulse_hz, rate)
    return out


ANIMALS = (
    SoundKind(
        "dog bark",
        (
            "a dog is barking",
            "a dog barks several times",
            "barking of a dog",
            "a dog barks loudly at a stranger",
            "an angry dog barking repeatedly",
            "dogs bark in the distance",
        ),
        (
            "a puppy yaps and woofs",
            "a hound gives short sharp woofs",
            "a guard animal woofing behind a fence",
        ),
        frozenset({"canine", "bark"}),
        dog_bark,
    ),
    SoundKind(
        "cat meow",
        (
            "a cat meows",
            "a cat is meowing",
            "meowing of a hungry cat",
            "a cat meows loudly and wants to be fed",
            "a house cat meowing again and again",
            "a cat calls with a long meow",
        ),
        (
            "a kitten mews plaintively",
            "a feline cries for attention",
            "a tomcat miaows",
        ),
        frozenset(),
        cat_meow,
    ),
    SoundKind(
        "cow moo",
        (
            "a cow moos",
            "a cow is mooing",
            "a cow moos in a field",
            "a long deep moo of a cow",
            "mooing from a cow on a farm",
            "a cow mooing loudly",
        ),
        (
            "cattle lowing on a pasture",
            "a bull bellows",
            "livestock lows in a barn",
        ),
        frozenset(),
        cow_moo,
    ),
    SoundKind(
        "sheep bleat",
        (
            "a sheep bleats",
            "a sheep is bleating",
            "a lamb bleats for its mother",
            "sheep bleating on a hill",
            "bleating of a sheep",
            "a sheep baas in a meadow",
        ),
        (
            "a woolly farm animal goes baa",
            "a ewe calls with a trembling voice",
            "one of the flock is baaing",
        ),
        frozenset({"bleat"}),
        sheep_bleat,
    ),
    SoundKind(
        "frog croak",
        (
            "a frog croaks",
            "a frog is croaking",
            "croaking of a frog in a pond",
            "frogs croak by the water at night",
            "a frog croaking over and over",
            "a frog croaks in a swamp",
        ),
        (
            "a toad ribbits",
            "an amphibian calls from the marsh",
            "ribbiting from the edge of a lake",
        ),
        frozenset(),
        frog_croak,
    ),
)
