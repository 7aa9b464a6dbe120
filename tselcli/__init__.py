"""Text-queried sound event localization: where is the sound I describe?"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("tselcli")
except PackageNotFoundError:  # a checkout that was never installed
    __version__ = "0.1.0"
