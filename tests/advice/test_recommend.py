"""The rules of the advice, their numbers, and the command that finds out."""

import math
import re
import shlex

import pandas as pd
import pytest
from advice_examples import survey_of

from taf_keras.advice import recommend
from taf_keras.advice.nearest import nearest_cells
from taf_keras.advice.text import text
from taf_keras.command_line import parse_config
from taf_keras.experiments.arms import parse_arm

CELL = {
    "cell": "game",
    "data": "game clips",
    "motion_share_per_frame": 3 / 128,
    "light_change_5": 20.0,
    "labels": 40,
    "label_share": 0.03,
    "places": "same",
    "seeds": 8,
    "baseline": 69.2,
    "taf": 1.2,
    "taf_se": 0.4,
    "all": 2.8,
    "all_se": 0.4,
}


def cells_for(found, *changes: dict) -> pd.DataFrame:
    cells = pd.DataFrame([CELL | change for change in changes or ({},)])
    return nearest_cells(cells, found.motion.share_per_frame, found.motion.light_5, found.places.verdict)


def advised(found, *changes: dict, rates_from=None) -> recommend.Advice:
    return recommend.recommend(found, cells_for(found, *changes), ["--dataset=manifest"], rates_from)


def topic(advice, begins: str) -> str:
    (found,) = [sentences for name, sentences in advice.reasons if name.startswith(begins)]
    return found


def test_where_neighbours_labels_help_taf_is_worth_a_try():
    advice = advised(survey_of())
    assert advice.verdict == recommend.WORTH
    assert all(figure in topic(advice, "TAF") for figure in ("game", "+2.80 ± 0.40", "+1.20 ± 0.40"))


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({"all": 0.8, "all_se": 0.4}, recommend.WORTH),  # two standard errors
        ({"all": 0.7, "all_se": 0.4}, recommend.NOT),
        ({"all": -0.5}, recommend.NOT),
        ({"taf": 0.7}, recommend.UNCLEAR),
        ({"all": math.nan, "all_se": math.nan}, recommend.UNCLEAR),
        ({"motion_share_per_frame": 3 / 128 * 3}, recommend.UNKNOWN),  # 1.58 octaves away
        ({"motion_share_per_frame": 3 / 128 * 2.8}, recommend.WORTH),  # 1.49
        ({"light_change_5": 5.0}, recommend.UNKNOWN),
        ({"places": "new"}, recommend.UNKNOWN),
    ],
)
def test_verdicts(change, verdict):
    assert advised(survey_of(), change).verdict == verdict


def test_far_from_every_measurement_is_said_with_how_far():
    said = topic(advised(survey_of(), {"motion_share_per_frame": 3 / 128 / 4}), "TAF")
    assert "No measurement is near yours" in said
    assert "0.25 × as far a frame" in said


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"gap": 8, "farthest": 16}, "The nearest frames lie 8 apart, too far to measure motion"),
        ({"light": math.nan, "gap": 8, "farthest": 16}, "The nearest frames lie 8 apart"),
        ({"returns": 0.28}, "Optical flow returns on 28% of the pixels, too few to measure motion"),
    ],
)
@pytest.mark.parametrize("change", [{}, {"all": 0.1}])
def test_motion_that_was_not_measured_decides_nothing(changes, reason, change):
    found = survey_of(**changes)
    advice = advised(found, change)
    assert advice.verdict == recommend.UNKNOWN
    assert reason in topic(advice, "TAF")
    assert "Motion was not measured" in topic(advice, "how sure")
    assert advice.flags["temporal_context"] == str(found.partner_gap)
    assert "as far a frame" not in str(advice)
    assert "of the pixels: not believed" in " ".join(text(found, cells_for(found), advice, None).split())


def test_fast_clips_are_judged():
    """Of the game clips' every third frame the flow returns on 40 %; their frames lie 1 apart."""
    assert advised(survey_of(returns=0.40)).verdict == recommend.WORTH
    assert advised(survey_of(gap=5)).verdict == recommend.WORTH


def test_where_they_do_not_help_the_alternatives_come_first():
    advice = advised(survey_of(), {"all": 0.1})
    order = [name for name, _ in advice.reasons]
    assert order.index("instead, or first") == 1
    assert [name for name, _ in advised(survey_of()).reasons].index("instead, or first") > 1
    assert all(word in topic(advice, "instead") for word in ("--color_jitter", "mean_teacher"))


def test_new_places_want_other_places():
    found = survey_of(places="new")
    said = topic(advised(found, {"places": "new"}), "instead")
    assert "other places, not other moments" in said
    assert "other moments" not in topic(advised(survey_of()), "instead")


def test_the_weaker_baseline_is_named_beside_the_better_one():
    weaker = {"cell": "plain", "baseline": 65.0, "taf": 3.0}
    said = topic(advised(survey_of(), {"all": 0.1}, weaker), "TAF")
    assert "On game (" in said
    assert "plain TAF gained +3.00 ± 0.40; the better one is worth +4.2" in said


def test_labels_on_most_frames_leave_nothing_to_learn_from():
    advice = advised(survey_of(key_frames=1240, labelled=1240, frames=1240))
    assert advice.verdict == recommend.LABELLED
    assert advised(survey_of(key_frames=400, labelled=400, frames=1240)).verdict == recommend.WORTH


@pytest.mark.parametrize(
    ("px", "gap", "farthest", "context"),
    [
        (3.83, 1, 15, 3),  # 9 % of 128 px are 11.5
        (1.08, 1, 15, 11),
        (0.1, 1, 15, 15),
        (0.0, 1, 15, 15),
        (0.1, 1, 7, 7),  # the frames that exist
        (30.0, 1, 15, 1),
        (0.5, 30, 30, 30),  # partners a second away
        (8.0, 2, 15, 2),
    ],
)
def test_a_partner_has_moved_by_a_tenth_of_the_width_or_less(px, gap, farthest, context):
    advice = advised(survey_of(px=px, gap=gap, farthest=farthest))
    assert advice.flags["temporal_context"] == str(context)
    assert topic(advice, f"--temporal_context={context}")


def test_partners_that_are_far_are_a_reason_to_extract_nearer_ones():
    assert "taf_keras.extract" in topic(advised(survey_of(px=2.0, gap=30, farthest=30)), "--temporal")
    assert "taf_keras.extract" in topic(advised(survey_of(px=20.0, gap=2)), "--temporal")
    assert "extract" not in topic(advised(survey_of()), "--temporal")


def test_the_weight_of_synthetic_clips_is_their_own():
    assert advised(survey_of()).flags["taf_weight"] == "1"
    assert advised(survey_of(dataset="camvid")).flags["taf_weight"] == "1"
    assert advised(survey_of(dataset="synthetic", data_dir=None)).flags["taf_weight"] == "6"


def test_change_rates_are_the_defaults_unless_measured():
    assert set(advised(survey_of()).flags) == {"temporal_context", "taf_weight"}
    measured = advised(survey_of(), rates_from="runs/base").flags
    assert measured | {"change_rates": "auto", "rates_from": "runs/base"} == measured


def test_how_sure_it_is():
    said = topic(advised(survey_of()), "how sure")
    assert all(part in said for part in ("8 seeds", "40 labelled frames", "1.00 × as far", "MobileNetV2"))
    assert "not known" in topic(advised(survey_of(places=None)), "how sure")
    assert "not known" not in said


@pytest.mark.parametrize(
    ("changes", "all_labels"),
    [
        ({}, None),
        ({"dataset": "synthetic", "data_dir": None, "key_frames": 32, "labelled": 992, "frames": 992}, "all"),
        ({"key_frames": 1240, "labelled": 1240}, "few"),
    ],
)
def test_the_command_has_the_oracle_where_there_are_labels_for_it(changes, all_labels):
    """Every arm is one that train.py takes. 300 passes over 32 labels are 9.7 over 992."""
    found = survey_of(**changes)
    command = advised(found).command
    words = shlex.split(command.replace("\\\n", " "))
    arms = [parse_arm(words[i + 1]) for i, word in enumerate(words) if word == "--arm"]
    configs = {a.name: parse_config(["--dataset=manifest", "--data_dir=DATA", *a.flags]) for a in arms}
    assert list(configs) == ["baseline", "taf", "all"][: 3 if all_labels else 2]
    assert configs["baseline"].key_frames_per_step == configs["taf"].key_frames_per_step
    if all_labels == "all":
        assert (configs["all"].data.labels, configs["all"].training.epochs) == ("all", 10)
    if all_labels == "few":
        assert configs["taf"].data.label_fraction == configs["baseline"].data.label_fraction < 0.04
        assert configs["all"].data.label_fraction == 1
        assert configs["all"].training.epochs == 10


def test_runs_are_judged_on_val_where_there_is_one():
    found = survey_of()
    assert advised(found).command.endswith(" --eval_split=val")
    assert "no val split" not in text(found, cells_for(found), advised(found), None)
    found = survey_of(has_val=False)
    assert "eval_split" not in advised(found).command
    assert "There is no val split: mIoU is of train." in text(found, cells_for(found), advised(found), None)


def test_of_frames_that_lie_apart_the_command_labels_one_in_a_window_too():
    """Three frames lie within 30 of the middle one."""
    command = advised(survey_of(key_frames=300, labelled=300, frames=300, gap=30, farthest=30)).command
    assert command.count("--label_fraction=0.333") == 2
    assert "--epochs=100" in command


def test_the_report_has_the_figures_with_their_units_within_100_columns():
    found = survey_of()
    cells = cells_for(found)
    advice = advised(found)
    page = text(found, cells, advice, {"image_pool": 2e-4})
    for part in (
        "3.00 px a frame",
        "2.34% of the width",
        "10.0 / 20.0 at 1 / 5 frames",
        "car 6.00, road 3.00",
    ):
        assert part in page
    assert "image_pool 0.0002" in page
    assert "The arm `all`" not in page  # no frame but the key frames has labels
    labelled = survey_of(labelled=1240)
    assert "The arm `all`" in text(labelled, cells, advised(labelled), None)
    prose = [line for line in page.splitlines() if not re.match(r" +(--|python)", line)]
    assert max(map(len, prose)) <= 100
