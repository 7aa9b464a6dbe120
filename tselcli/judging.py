"""A scene as a question: what is asked of a model, and its answer beside the truth."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tselcli.acoustics.scene import Scene, scene_rng
from tselcli.baselines import baseline_azimuths
from tselcli.corpora.clip import Clip, absent_captions
from tselcli.dataset import Trial, corpus_of
from tselcli.errors import DataError, RecipeError
from tselcli.models.direct import DirectLocalizer
from tselcli.models.localizer import Localizer
from tselcli.models.track import Track
from tselcli.recipe import Recipe, load_recipe

ABSENT_STREAM = 17  # of a scene's random numbers


class Lacking:
    """Finds descriptions of what is not there; opens the corpus of a split when it needs it.

    Args:
        recipe: whose corpus the scenes are of; None where there is none.
        count: descriptions to find for every scene.
    """

    def __init__(self, recipe: Recipe | None, count: int) -> None:
        self.recipe, self.count = recipe, count
        self._clips: dict[str, Mapping[tuple[str, str], Clip]] = {}

    def captions(self, scene: Scene) -> list[str]:
        """Draw captions of the scene's split that describe nothing in it, always the same ones.

        No captions where the corpus is not here, or does not know a sound of the scene: then
        nobody can say what it could be confused with.
        """
        clips = self._of(scene.split)
        sounds = [clips.get((source.corpus, source.clip_id)) for source in scene.sources]
        present = [clip for clip in sounds if clip is not None]
        if len(present) < len(sounds):
            return []
        rng = scene_rng(scene.seed, scene.split, scene.index, ABSENT_STREAM)
        return absent_captions(present, tuple(clips.values()), rng, self.count)

    def _of(self, split: str) -> Mapping[tuple[str, str], Clip]:
        if self.recipe is None or self.count == 0:
            return {}
        if split not in self._clips:
            try:
                clips = corpus_of(self.recipe, split).clips
            except DataError:  # the folder was made elsewhere
                clips = ()
            self._clips[split] = {(clip.source, clip.id): clip for clip in clips}
        return self._clips[split]


def recipe_of(data: Path) -> Recipe | None:
    """Read what a folder of ``tsel simulate`` was made with; None for other recordings."""
    try:
        return load_recipe(str(data / "recipe.yaml"))
    except RecipeError:
        return None


def judge(
    localizer: Localizer | DirectLocalizer,
    trial: Trial,
    lacking: Lacking,
    baselines: bool,
    track: bool,
) -> tuple[dict[str, Any], Track | None]:
    """Lay the model's answer to a trial beside the truth and the other systems.

    Args:
        localizer: the model; one pass of its network serves all descriptions.
        trial: the recording and its truth.
        lacking: finds what to ask about sounds that are not there, of models with a presence.
        baselines: whether other systems answer as well.
        track: whether the target is followed.

    Returns:
        What is kept of it, and the track. ``answers`` are azimuths by name of the system, the
        model first; ``presence`` and ``confidence`` are of the target and ``absent`` holds each
        ``query`` for what is not there with its ``presence``. ``rt60_s`` was measured, and
        ``level_db``, like ``other_labels``, is of every further source, over the target.
    """
    scene = trial.scene
    absent = lacking.captions(scene) if isinstance(localizer, Localizer) else []
    question = (trial.signal, scene.sample_rate, [trial.query, *absent], trial.array)
    answer, *others = localizer.locate(*question, track=track)
    answers = {localizer.name: answer.azimuth_deg}
    if baselines:
        answers |= baseline_azimuths(trial, localizer)
    record = {
        "index": scene.index,
        "split": scene.split,
        "query": trial.query,
        "label": scene.sources[0].label,
        "other_labels": [source.label for source in scene.sources[1:]],
        "azimuth_deg": trial.azimuth_deg,
        "others_deg": list(trial.others_deg),
        "rt60_s": scene.rt60_measured_s,
        "level_db": [source.level_db for source in scene.sources[1:]],
        "confidence": answer.confidence,
        "presence": answer.presence,
        "absent": [{"query": other.query, "presence": other.presence} for other in others],
        "answers": answers,
    }
    return record, answer.track
