"""The parts of a recipe that describe a model: ours, and the founding paper's."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tselcli.sections import Section

ClipEncoder = Literal["clap", "clap-hf", "compact"]  # a vector for a text
WordEncoder = Literal["flan-t5", "bert", "compact"]  # a vector for each of its tokens
SoundEncoder = Literal["clap", "clap-hf"]


Width = Annotated[int, Field(ge=4, le=512)]


class MaskRecipe(Section):
    """Our network: a mask over time and frequency for any query, then steering."""

    name: Literal["mask"] = "mask"
    text_encoder: ClipEncoder = "compact"  # compact goes into the checkpoint, CLAP stays outside
    # compact: a file of `tsel distill`, None is the bundled one; CLAP: as in the paper's models
    text_weights: str | None = None
    # Channels of the first level, doubled at every level; a list where members differ.
    width: Width | tuple[Width, ...] = 32
    levels: int = Field(default=4, ge=1, le=6)
    embed_dim: int = Field(default=64, ge=4, le=1024)  # of every time-frequency cell
    word_hidden: int = Field(default=256, ge=1, le=8192)  # between a sentence and its cells
    members: int = Field(default=1, ge=1, le=8)  # networks that vote; see `tsel join`
    dropout: float = Field(default=0.1, ge=0, lt=1)

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of the first level of every member."""
        return self.width if isinstance(self.width, tuple) else (self.width,) * self.members

    @model_validator(mode="after")
    def _a_width_for_every_member(self) -> "MaskRecipe":
        if len(self.widths) != self.members:
            raise ValueError(
                f"width: {len(self.widths)} widths for {self.members} members; "
                "give one for each, or one number for all"
            )
        return self


class ConcatRecipe(Section):
    """The paper's clip level: ResNet18, text and sound embeddings, one linear layer."""

    name: Literal["concat"] = "concat"
    text_encoder: ClipEncoder = "clap"
    text_weights: str | None = None  # a file, a folder or a hub name; None: `tsel models`
    audio_encoder: SoundEncoder | None = None  # the paper's second audio feature
    audio_weights: str | None = None
    hidden: int = Field(default=0, ge=0, le=8192)  # width of a layer before the last; 0: the paper


class ConcatLstmRecipe(Section):
    """The paper's frame level: correlations and embeddings of every 100 ms into an LSTM."""

    name: Literal["concat-lstm"] = "concat-lstm"
    text_encoder: ClipEncoder = "clap"
    text_weights: str | None = None
    audio_encoder: SoundEncoder | None = None
    audio_weights: str | None = None
    hidden: int = Field(default=256, ge=1, le=8192)  # the paper does not say
    layers: int = Field(default=2, ge=1, le=16)  # nor here
    bidirectional: bool = False  # nor here
    pool: int = Field(default=5, ge=1)  # frames of the STFT in one frame of the answer


class CrossAttentionRecipe(Section):
    """The paper's transformer: frames ask, words answer."""

    name: Literal["cross-attention"] = "cross-attention"
    text_encoder: WordEncoder = "flan-t5"
    text_weights: str | None = None
    hidden: int = Field(default=256, ge=8, le=8192)
    ffn: int = Field(default=1024, ge=1)
    heads: int = Field(default=8, ge=1)  # the paper does not say
    encoder_layers: int = Field(default=4, ge=1, le=48)
    decoder_layers: int = Field(default=4, ge=1, le=48)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    norm_first: bool = False
    frames: bool = False  # an answer for every frame of 100 ms instead of one for the clip
    pool: int = Field(default=5, ge=1)  # frames of the STFT in one frame of the answer

    @model_validator(mode="after")
    def _heads_divide(self) -> "CrossAttentionRecipe":
        if self.hidden % self.heads or self.hidden % 2:
            raise ValueError(f"hidden={self.hidden} must be even and a multiple of heads")
        return self


DirectRecipe = ConcatRecipe | ConcatLstmRecipe | CrossAttentionRecipe
ModelRecipe = Annotated[MaskRecipe | DirectRecipe, Field(discriminator="name")]
