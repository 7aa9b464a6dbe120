"""``tsel serve``: a page in the browser."""

from typing import Annotated

import typer

from tselcli.cli_options import Device, DeviceOption, examples

EXAMPLES = examples("tsel serve", "tsel serve --port 9000 --max-mb 500")


def serve(
    model: Annotated[str, typer.Option(help="Bundled model, run folder or file.")] = "mask-compact",
    device: DeviceOption = Device.auto,
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than 127.0.0.1 let anybody in.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0 takes a free one.")] = 8000,
    max_mb: Annotated[int, typer.Option(min=1, help="Largest recording, in megabytes.")] = 200,
) -> None:
    """Open a page: drop a recording, type what to look for, see and hear the answer.

    Needs the extra: pip install "tselcli[web]". Recordings stay in a temporary folder that goes
    when the command ends (Ctrl-C).
    """
    from tselcli.commands.serve import serve

    serve(
        model=model,
        device=device.value,
        host=host,
        port=port,
        max_mb=max_mb,
        ready=lambda address: typer.echo(f"tsel: open {address} (Ctrl-C ends)", err=True),
    )
