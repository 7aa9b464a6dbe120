"""What `tsel doctor` found, as text."""

from collections.abc import Sequence

from rich.text import Text

from tselcli.acoustics.findings import Finding
from tselcli.report import printable

ALL_WELL = "Nothing found: the recording fits the array, as far as it can be heard.\n"


def findings_text(findings: Sequence[Finding]) -> str:
    """Write each finding and its remedy on a line of their own."""
    lines = [
        f"{printable(finding.what)}\n    way out: {printable(finding.remedy)}\n"
        for finding in findings
    ]
    return "".join(lines) or ALL_WELL


def findings_rich(findings: Sequence[Finding]) -> Text:
    """Write the same for a terminal, findings in yellow."""
    text = Text()
    for finding in findings:
        text.append(f"! {printable(finding.what)}\n", style="yellow")
        text.append(f"    way out: {printable(finding.remedy)}\n")
    return text if findings else Text(ALL_WELL, style="green")
