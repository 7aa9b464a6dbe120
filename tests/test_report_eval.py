from tselcli.report_eval import breakdown_markdown, certainty_text

PRESENCE = {
    "scenes": 100,
    "absent": 200,
    "auroc": 0.9312,
    "auroc_interval": [0.9049, 0.9551],
    "found": 0.92,
    "found_interval": [0.86, 0.97],
    "false_alarms": 0.145,
    "false_alarms_interval": [0.1, 0.2],
}
CONFIDENCE = {
    "scenes": 100,
    "confidence": 0.78,
    "confidence_interval": [0.76, 0.8],
    "accuracy": 0.81,
    "accuracy_interval": [0.73, 0.88],
    "calibration_error": 0.05,
    "calibration_error_interval": [0.04, 0.1],
}
ROW = {
    "scenes": 30,
    "mae_deg": 8.25,
    "mae_deg_interval": [4.0, 12.5],
    "median_deg": 1.5,
    "acc_10": 0.9,
    "selection": 0.93,
    "selection_interval": [0.8, 1.0],
}


def test_presence_and_confidence_are_a_line_each():
    assert certainty_text({"presence": PRESENCE, "confidence": CONFIDENCE}) == (
        "\nPresence: AUROC 0.931 [0.905, 0.955]; called present: 92 [86, 97] % of what is there, "
        "14 [10, 20] % of 200 absent sounds.\n"
        "Confidence: 78 [76, 80] % on average, 81 [73, 88] % within 10 degrees; calibration error "
        "5 [4, 10] %.\n"
    )


def test_what_was_not_measured_has_no_line():
    assert certainty_text({"presence": None, "confidence": CONFIDENCE}).startswith("\nConfidence")
    assert certainty_text({}) == ""
    assert breakdown_markdown({}) == ""


def test_every_key_has_a_table_with_a_row_for_every_bin():
    alone = {**ROW, "bin": "no other", "selection": None, "selection_interval": None}
    text = breakdown_markdown({"level": [{**ROW, "bin": "2.5 to 7.5"}, alone], "label": []})
    tables = [block.splitlines() for block in text.strip().split("\n\n")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in tables[0]]
    assert cells[0][0] == "Level over the loudest other source, dB"
    assert cells[2] == ["2.5 to 7.5", "30", "8.2 [4.0, 12.5]", "1.5", "90", "93 [80, 100]"]
    assert cells[3] == ["no other", "30", "8.2 [4.0, 12.5]", "1.5", "90", "-"]
    assert len(tables) == 2
    (single,) = breakdown_markdown({"level": [{**ROW, "bin": "x", "scenes": 1}]}).splitlines()[3:]
    assert single.split("|")[3].strip() == "8.2"  # one scene has no spread
    assert "\x1b" not in breakdown_markdown({"label": [{**ROW, "bin": "\x1b[2Jx"}]})
