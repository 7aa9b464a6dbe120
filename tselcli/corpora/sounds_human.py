"""People: voices made of pulses and formants, breath, and two hands."""

import numpy as np

from tselcli.corpora.oscillators import (
    Signal,
    band_noise,
    curve,
    formants,
    harmonics,
    length,
    level,
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


def baby_crying(rng: np.random.Generator, rate: int) -> Signal:
    """Cry: long arched wails of a high voice, with a gasp between them."""
    cries, base, size = rng.integers(2, 5), rng.uniform(370, 500), rng.uniform(0.9, 1.1)
    cry_s, gasp_s = rng.uniform(0.7, 1.3), rng.uniform(0.25, 0.45)
    out = silence(cries * (cry_s + gasp_s), rate)
    n, pause = length(cry_s, rate), length(gasp_s, rate)
    for index in range(cries):
        top = base * rng.uniform(0.95, 1.1)
        pitch = curve([(0, 0.8 * top), (0.2, top), (0.7, 0.97 * top), (1, 0.7 * top)], n)
        voice = harmonics(pitch * (1 + 0.02 * wander(rng, n, rate, 30)), rate, rolloff(16, 3))
        wail = (
            formants(voice, rate, [(1100 / size, 200, 1.0), (2900 / size, 350, 0.9)]) + 0.1 * voice
        )
        put(out, level(wail) * swell(n, rate, 0.08, 0.15), index * (cry_s + gasp_s), rate)
        gasp = 0.06 * band_noise(rng, pause, rate, 900, 3500) * swell(pause, rate, 0.12, 0.05)
        put(out, gasp, index * (cry_s + gasp_s) + cry_s, rate)
    return out


def laughter(rng: np.random.Generator, rate: int) -> Signal:
    """Laugh: ha ha ha, four or five a second, sinking in pitch and loudness."""
    high_voice = rng.random() < 0.5
    base = rng.uniform(240, 330) if high_voice else rng.uniform(130, 190)
    size = 0.87 if high_voice else 1.0
    period_s, bouts = rng.uniform(0.18, 0.26), rng.integers(1, 3)
    counts = rng.integers(4, 9, bouts)
    out = silence((counts.sum() + 1.5 * bouts) * period_s + 0.2, rate)
    n, start_s = length(0.75 * period_s, rate), 0.0
    vowel = [(800 / size, 110.0, 1.0), (1250 / size, 130.0, 0.7), (2600 / size, 250.0, 0.3)]
    for count in counts:
        for index in range(count):
            fall = 1 - 0.5 * index / count
            pitch = base * (0.75 + 0.5 * fall) * curve([(0, 1.08), (1, 0.9)], n)
            voice = harmonics(pitch, rate, rolloff(24, 4)) * swell(n, rate, 0.05, 0.06)
            breath = 0.5 * band_noise(rng, n, rate, 500, 4000) * strike(n, rate, 0.03, 0.015)
            put(out, fall * level(formants(voice + breath, rate, vowel)), start_s, rate)
            start_s += period_s * rng.uniform(0.95, 1.05)
        start_s += 1.5 * period_s
    return out


def coughing(rng: np.random.Generator, rate: int) -> Signal:
    """Cough: a burst of air, then a short hoarse voice, two or three times."""
    size, coughs, period_s = rng.uniform(0.85, 1.15), rng.integers(2, 5), rng.uniform(0.35, 0.6)
    out = silence(coughs * period_s + 0.3, rate)
    n = length(0.4, rate)
    throat = [(600 / size, 150.0, 1.0), (1400 / size, 220.0, 0.8), (2500 / size, 350.0, 0.5)]
    for index in range(coughs):
        burst = shaped_noise(rng, n, rate, [(200, -12), (1200, 0), (5000, -8)])
        burst *= strike(n, rate, 0.045, 0.004) + 0.2 * strike(n, rate, 0.12, 0.06)
        pitch = rng.uniform(110, 170) / size * (1 + 0.2 * wander(rng, n, rate, 120))
        voice = harmonics(pitch, rate, rolloff(25, 4)) * strike(n, rate, 0.07, 0.05)
        cough = formants(burst + 0.5 * voice, rate, throat) + 0.15 * burst
        put(out, rng.uniform(0.6, 1) * level(cough), index * period_s, rate)
    return out


def snoring(rng: np.random.Generator, rate: int) -> Signal:
    """Snore: a flutter of the soft palate on the way in, a sigh on the way out."""
    breaths, in_s, out_s = rng.integers(2, 4), rng.uniform(0.8, 1.3), rng.uniform(0.7, 1.2)
    flutter_hz, size = rng.uniform(32, 62), rng.uniform(0.85, 1.15)
    out = silence(breaths * (in_s + out_s), rate)
    n, m = length(in_s, rate), length(out_s, rate)
    nose = [(300 / size, 120.0, 1.0), (900 / size, 250.0, 0.6), (1900 / size, 400.0, 0.4)]
    for index in range(breaths):
        pitch = flutter_hz * curve([(0, 0.85), (0.6, 1.1), (1, 0.9)], n)
        pitch *= 1 + 0.08 * wander(rng, n, rate, 25)
        flutter = harmonics(pitch, rate, rolloff(60, 1.5))
        gated = np.maximum(0, harmonics(pitch, rate, [1])) * band_noise(rng, n, rate, 200, 2500)
        snore = formants(flutter + 2 * gated, rate, nose)
        put(out, level(snore) * swell(n, rate, 0.3, 0.15), index * (in_s + out_s), rate)
        sigh = 0.07 * band_noise(rng, m, rate, 400, 2000) * swell(m, rate, 0.2, 0.35)
        put(out, sigh, index * (in_s + out_s) + in_s, rate)
    return out


def heartbeat(rng: np.random.Generator, rate: int) -> Signal:
    """Beat: lub-dub, two dull thumps close together, about once a second."""
    period_s, beats = 60 / rng.uniform(55, 105), rng.integers(4, 8)
    first_hz, gap = rng.uniform(45, 65), rng.uniform(0.28, 0.36)
    out = silence(beats * period_s, rate)
    n = length(0.25, rate)
    for index in range(beats):
        for place, pitch, loudness in ((0, first_hz, 1.0), (gap, 1.35 * first_hz, 0.7)):
            tones = [pitch, 1.7 * pitch, 2.9 * pitch]
            thump = partials(tones, [1, 0.6, 0.4], [0.035, 0.028, 0.02], n, rate)
            thump += 0.15 * band_noise(rng, n, rate, 80, 500) * strike(n, rate, 0.02)
            thump *= swell(n, rate, 0.012, 0.05)
            put(out, loudness * rng.uniform(0.9, 1) * thump, (index + place) * period_s, rate)
    return out


def clapping(rng: np.random.Generator, rate: int) -> Signal:
    """Applaud: each pair of hands claps at its own pace, each clap a short hollow burst."""
    people, duration_s = rng.integers(1, 6), rng.uniform(2.5, 4.5)
    out = silence(duration_s, rate)
    n = length(0.06, rate)
    for _ in range(people):
        hollow, period_s, loudness = (
            rng.uniform(800, 1900),
            rng.uniform(0.2, 0.34),
            rng.uniform(0.4, 1),
        )
        start_s = rng.uniform(0, period_s)
        while start_s < duration_s:
            slap = band_noise(rng, n, rate, 600, 6500) * strike(n, rate, 0.006, 0.0005)
            clap = slap + 1.5 * formants(slap, rate, [(hollow, 300, 1.0)])
            put(out, loudness * rng.uniform(0.7, 1) * clap, start_s, rate)
            start_s += period_s * rng.uniform(0.93, 1.07)
    return out


PEOPLE = (
    SoundKind(
        "baby crying",
        (
            "a baby is crying",
            "a baby cries loudly",
            "an infant cries for its mother",
            "crying of a newborn baby",
            "a baby cries and gasps for breath",
            "a small baby crying in a cradle",
        ),
        (
            "a toddler bawls",
            "an unhappy little one wails and sobs",
            "a hungry child howls in the nursery",
        ),
        frozenset({"voice"}),
        baby_crying,
    ),
    SoundKind(
        "laughter",
        (
            "a person is laughing",
            "someone laughs out loud",
            "laughter of a person",
            "a person laughs at a joke",
            "someone laughs heartily",
            "a man or a woman laughing",
        ),
        (
            "somebody chuckles and giggles",
            "an amused guffaw",
            "giggling at something funny",
        ),
        frozenset({"voice"}),
        laughter,
    ),
    SoundKind(
        "coughing",
        (
            "a person is coughing",
            "someone coughs several times",
            "a sick person coughs",
            "coughing of a man",
            "a person coughs and clears the throat",
            "a dry cough",
        ),
        (
            "somebody with a bad cold hacks",
            "a patient with bronchitis wheezes and hacks",
            "irritated lungs force air out in bursts",
        ),
        frozenset({"body"}),
        coughing,
    ),
    SoundKind(
        "snoring",
        (
            "a person is snoring",
            "someone snores in their sleep",
            "loud snoring of a sleeping man",
            "a person snores and breathes out",
            "snoring at night",
            "someone asleep is snoring deeply",
        ),
        (
            "a sleeper's throat vibrates with each breath",
            "a slumbering grandfather draws air with a rattle",
            "a rasping nose during a nap",
        ),
        frozenset({"body"}),
        snoring,
    ),
    SoundKind(
        "heartbeat",
        (
            "a heart is beating",
            "a heartbeat",
            "the steady beat of a heart",
            "a beating heart through a stethoscope",
            "a heart beats slowly and dully",
            "the dull double thump of a heart",
        ),
        (
            "a pulse throbs, lub dub",
            "a cardiac rhythm in an examination",
            "blood is pumped in a person's chest",
        ),
        frozenset({"body"}),
        heartbeat,
    ),
    SoundKind(
        "clapping",
        (
            "people are clapping",
            "someone claps their hands",
            "clapping of hands",
            "a few people clap",
            "an audience claps after a speech",
            "hands clap again and again",
        ),
        (
            "a round of applause",
            "spectators applaud",
            "an ovation for the performers",
        ),
        frozenset({"crowd"}),
        clapping,
    ),
)
