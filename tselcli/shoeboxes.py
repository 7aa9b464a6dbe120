"""Where the responses of the method ``torch`` come from: nobody else loads torch for them."""

from tselcli.acoustics.methods import Shoebox
from tselcli.sections import RoomMethod


def shoebox_of(method: RoomMethod | None) -> Shoebox | None:
    """Give what has to be handed to `render_scene` for scenes of a method."""
    if method != "torch":
        return None
    from tselcli.features.torch_rirs import torch_rirs

    return torch_rirs
