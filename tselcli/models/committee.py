"""Several mask networks as one: their embeddings side by side, the mean of their logits.

    picture --> cells of each member, joined along D --> logits: the mean of the members'

Networks trained apart may be wrong about different sounds. A committee of ``n`` takes ``n`` times
the network's time and space; all read the same text embeddings, which are made once.
"""

from typing import cast

import torch
from torch import Tensor, nn

from tselcli.models.mask import MaskNet
from tselcli.models.matching import Matching


class Committee(Matching):
    """Mask networks that vote.

    Args:
        members: of equal cell embeddings and depth.
        tutor_dim: as of :class:`Matching`.
    """

    def __init__(self, members: list[MaskNet], tutor_dim: int = 0) -> None:
        super().__init__(sum(member.cell_dim for member in members), tutor_dim)
        self.members = nn.ModuleList(members)
        self.step = members[0].step
        for member in members:  # of these, a committee has its own
            member.register_parameter("presence", None)
            member.register_buffer("common", None)
            member.register_buffer("kinds", None)
            member.tutor = None

    def each(self) -> list[MaskNet]:
        """List the members."""
        return [cast(MaskNet, member) for member in self.members]

    def cells(self, picture: Tensor) -> Tensor:
        """Embed every cell by every member, as :meth:`Matching.cells`."""
        return torch.cat([member.cells(picture) for member in self.each()], dim=1)

    def project(self, text: Tensor) -> Tensor:
        """Project by every member, as :meth:`Matching.project`."""
        return torch.cat([member.project(text) for member in self.each()], dim=-1)

    def match(self, embedded: Tensor, words: Tensor) -> Tensor:
        """Average what the members score, as :meth:`Matching.match`."""
        count = len(self.members)
        parts = zip(self.each(), embedded.chunk(count, -1), words.chunk(count, -1), strict=True)
        return torch.stack([member.match(one, word) for member, one, word in parts]).mean(dim=0)

    def word_heads(self) -> list[nn.Module]:
        """List what projects the text embeddings: one of each member."""
        return [head for member in self.each() for head in member.word_heads()]
