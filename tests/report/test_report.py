"""Reports on runs that are written by hand."""

import base64
import html
import json
import re
import shlex
from dataclasses import fields, replace
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path

import cv2
import numpy as np
import pytest
from absl.flags import FlagValues

from flags import CONFIG_MODULES, config_from_flags
from taf_keras.config import Config, TAFConfig
from taf_keras.errors import UserError
from taf_keras.report import gather as report
from taf_keras.report.__main__ import main
from taf_keras.run_flags import as_flags, changed, settings
from taf_keras.storage.run import Run
from taf_keras.sweep import build_sweep

BASELINE = Config(taf=TAFConfig(method="baseline"))


def parse(*flags: str) -> Config:
    values = FlagValues()
    for module in CONFIG_MODULES:
        module.define(values)
    values(["train.py", *flags])
    return config_from_flags(values)


def write_run(folder: Path, config: Config, seed: int, miou: float, classes=("road", "car"), **files) -> Path:
    folder.mkdir(parents=True)
    config = replace(config, training=replace(config.training, seed=seed))
    per_class = dict.fromkeys(classes, miou)
    metrics = {"split": "test", "frames": 10, "miou": miou, "pixel_accuracy": 0.5, "training_seconds": 61.0}
    metrics |= {"per_class_iou": per_class, "per_class_accuracy": per_class}
    (folder / "config.json").write_text(files.get("config_json", json.dumps(config.to_dict())))
    if "metrics" not in files or files["metrics"] is not None:
        (folder / "metrics.json").write_text(files.get("metrics", json.dumps(metrics)))
    (folder / "history.csv").write_text(files.get("history", "epoch,loss,val_miou\n0,2.0,\n1,1.5,0.3\n"))
    return folder


@pytest.fixture
def runs(tmp_path) -> Path:
    """Five seeds of a baseline with 30 … 34 % mIoU and of TAF with 1, 3, 2, 5, 4 points more."""
    for seed, gain in enumerate([0.01, 0.03, 0.02, 0.05, 0.04]):
        base = 0.30 + 0.01 * seed
        write_run(tmp_path / "runs" / "baseline" / f"seed-{seed}", BASELINE, seed, base)
        write_run(tmp_path / "runs" / "taf" / f"seed-{seed}", Config(), seed, base + gain)
    return tmp_path / "runs"


def make_page(*arguments) -> str:
    output = Path(arguments[0]).parent / "pages" / "report.html"
    main([*map(str, arguments), f"--output={output}"])
    return output.read_text()


def refusal(capsys, *arguments) -> str:
    """The line of a command that ends with exit code 2."""
    with pytest.raises(SystemExit) as ended:
        make_page(*arguments)
    assert ended.value.code == 2
    return capsys.readouterr().err


class Elements(HTMLParser):
    """The page as a browser sees it: its elements with their attributes, and the text between them."""

    def __init__(self, page: str):
        super().__init__()
        self.found, self.text, self.skip = [], "", 0
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data


def test_the_page_has_the_numbers(runs, capsys):
    text = Elements(make_page(runs)).text
    assert "Arms: 2. Runs: 10." in text
    # TAF has 31, 34, 34, 38, 38 %: sample variance 9, standard error 3/√5 = 1.34.
    # The gains have mean 3 and sample variance 2.5; t of 4 degrees of freedom is 2.776: 2.776·√0.5 = 1.963.
    assert "baseline32.00 ± 0.71" in text
    assert "taf35.00 ± 1.34+3.00 (+1.04 … +4.96)" in text
    assert "road32.035.0 +3.0" in text
    assert "wrote     " in capsys.readouterr().out


def test_the_page_says_of_which_weights_its_figures_are(runs, tmp_path):
    assert "All figures are of the last weights." in Elements(make_page(runs)).text
    best = replace(
        Config(), training=replace(Config().training, keep_best="miou", export_weights="best", epochs=100)
    )
    write_run(tmp_path / "runs" / "best" / "seed-0", best, 0, 0.5)
    text = Elements(make_page(runs)).text
    assert "of the weights with the best validation for best; of the last ones for all other arms." in text


def test_the_page_says_where_means_are_of_other_classes(tmp_path):
    runs, said = tmp_path / "runs", "warning: mIoU is the mean of 2 to 3 classes."
    for name, config in (("baseline", BASELINE), ("taf", Config())):
        folder = write_run(runs / name / "seed-0", config, 0, 0.3, classes=("road", "car", "tram"))
    assert said not in Elements(make_page(runs)).text
    metrics = json.loads((folder / "metrics.json").read_text())
    metrics["per_class_iou"]["tram"] = None  # neither in the labels nor predicted
    (folder / "metrics.json").write_text(json.dumps(metrics))
    assert said in Elements(make_page(runs)).text


def test_the_reference_has_no_difference_to_itself(runs):
    """Also for a class that does not occur in one of its runs."""
    for seed, value in enumerate([None, 0.5, 0.5, 0.5, 0.5]):
        path = runs / "baseline" / f"seed-{seed}" / "metrics.json"
        metrics = json.loads(path.read_text())
        metrics["per_class_iou"]["car"] = value
        path.write_text(json.dumps(metrics))
    assert "car50.035.0" in Elements(make_page(runs)).text


def test_only_intervals_without_0_are_coloured(runs):
    found = Elements(make_page(runs)).found
    # mIoU and both classes, once as IoU and once as accuracy.
    assert sum(attributes.get("class") == "up" for _, attributes in found) == 5
    assert not any(attributes.get("class") == "down" for _, attributes in found)


def test_the_reference_can_be_chosen(runs, capsys):
    assert "baseline32.00 ± 0.71−3.00 (−4.96 … −1.04)" in Elements(make_page(runs, "--reference=taf")).text
    assert "error: --reference=slow: allowed are baseline, taf" in refusal(capsys, runs, "--reference=slow")


def test_runs_that_have_no_result_are_left_out_and_named(runs, capsys):
    write_run(runs / "a" / "seed-0", Config(), 0, 0.3, metrics=None)
    write_run(runs / "b" / "seed-0", Config(), 0, 0.3, metrics='{"miou": "high"}')
    write_run(runs / "c" / "seed-0", Config(), 0, 0.3, config_json="{")
    other_split = {"split": "<b>", "frames": 1, "per_class_iou": {}, "per_class_accuracy": {}}
    other_split |= {"miou": 0.1, "pixel_accuracy": 0.1}
    write_run(runs / "c2" / "seed-0", Config(), 0, 0.3, metrics=json.dumps(other_split))
    write_run(runs / "d" / "seed-0", Config(), 0, 0.3)  # like taf/seed-0
    write_run(runs / "e" / "seed-0", Config(), 9, 0.3, history="no\x00table")
    page = make_page(runs)
    assert "Arms: 2. Runs: 11." in page  # ten, and that of e, which has no learning curve
    out = capsys.readouterr().out
    for line in (
        f"{runs}/a/seed-0: has not ended",
        f"{runs}/b/seed-0/metrics.json: damaged",
        f"{runs}/c/seed-0/config.json: damaged",
        f"{runs}/c2/seed-0/metrics.json: damaged",
        f"{runs}/d/seed-0: has the settings and the seed of {runs}/taf/seed-0",
        f"{runs}/e/seed-0/history.csv: damaged: ",
    ):
        assert f"left out  {line}" in out
        assert html.escape(line) in page
    assert "no run here has ended" in refusal(capsys, runs / "a")
    with pytest.raises(UserError, match="is not a folder"):
        report.gather([runs / "nowhere"])


def test_a_run_without_a_learning_curve_is_not_left_out(runs, capsys):
    """Its history.csv may not have been copied along."""
    (runs / "taf" / "seed-0" / "history.csv").unlink()
    make_page(runs)
    assert "left out" not in capsys.readouterr().out


def test_runs_that_are_there_twice_are_left_out_with_those_beside_them(tmp_path):
    """Two versions of a program, say: a seed that only one has is none of the other."""
    for folder, seeds in (("a_old", (0, 7)), ("b_new", (0, 1, 2))):
        for seed in seeds:
            write_run(tmp_path / folder / f"seed-{seed}", Config(), seed, 0.3)
    (experiment,), left_out = report.group(report.gather([tmp_path])[0])
    assert [(arm.name, [run.seed for run in arm.runs]) for arm in experiment.arms] == [("b_new", [0, 1, 2])]
    assert left_out == [
        f"{tmp_path}/a_old/seed-0: has the settings and the seed of {tmp_path}/b_new/seed-0",
        f"{tmp_path}/a_old/seed-7: lies beside {tmp_path}/a_old/seed-0, which has the settings and the seed "
        f"of {tmp_path}/b_new/seed-0",
    ]


def test_a_run_beside_its_own_twin_is_left_out(tmp_path):
    """Though none of the seeds beside it is in the arm that is shown."""
    for seed in range(4):
        write_run(tmp_path / "sweep" / "taf" / f"seed-{seed}", Config(), seed, 0.3)
    for name, seed in (("first", 0), ("b", 9), ("b_again", 9)):
        write_run(tmp_path / "mine" / name, Config(), seed, 0.3)
    (experiment,), left_out = report.group(report.gather([tmp_path])[0])
    assert [[run.seed for run in arm.runs] for arm in experiment.arms] == [[0, 1, 2, 3]]
    assert sorted(line.split(": ")[0] for line in left_out) == [
        f"{tmp_path}/mine/{name}" for name in ("b", "b_again", "first")
    ]
    assert f"{tmp_path}/mine/b_again: has the settings and the seed of a run beside it" in left_out


def test_arms_of_a_sweep_stay_together(tmp_path):
    """Of two sweeps with equal settings, no arm is compared with one of the other."""
    for sweep, baselines, tafs in (("v1", 5, 3), ("v2", 3, 5)):
        for arm, config, seeds in (("baseline", BASELINE, baselines), ("taf", Config(), tafs)):
            for seed in range(seeds):
                write_run(tmp_path / sweep / arm / f"seed-{seed}", config, seed, 0.3)
    (experiment,), left_out = report.group(report.gather([tmp_path])[0])
    shown = [(arm.name, len(arm.runs), arm.runs[0].folder.parents[1].name) for arm in experiment.arms]
    assert shown == [("baseline", 5, "v1"), ("taf", 3, "v1")]
    assert len(left_out) == 8


def test_the_page_says_where_runs_were_trained_on_other_clips(tmp_path):
    runs = tmp_path / "runs"
    for name, config, clips in (("baseline", BASELINE, 2), ("taf", Config(), 3)):
        config_file = write_run(runs / name / "seed-0", config, 0, 0.3) / "config.json"
        trained = {"train_clips": {"count": clips, "sha256": str(clips)}}
        config_file.write_text(json.dumps(json.loads(config_file.read_text()) | trained))
    text = Elements(make_page(runs)).text
    assert "warning: taf, seed 0 was trained on other clips (3) than baseline, seed 0 (2), with" in text


def test_given_rates_are_no_measured_ones(tmp_path):
    """Also where `--rates_from` is given to all arms."""
    for seed in range(2):
        baseline = f"runs/baseline/seed-{seed}"
        given = parse("--change_rates=1,2,3,4,5", f"--rates_from={baseline}", f"--seed={seed}")
        for name, measured in (("auto", True), ("paper", False)):
            folder = write_run(tmp_path / name / f"seed-{seed}", given, seed, 0.3)
            (folder / "config.json").unlink()
            Run(folder).claim(given, measured_rates=measured).close()
    (experiment,), left_out = report.group(report.gather([tmp_path])[0])
    assert [(arm.name, len(arm.runs)) for arm in experiment.arms] == [("auto", 2), ("paper", 2)]
    assert left_out == []
    shown = [settings(arm.config) for arm in experiment.arms]
    assert [own["change_rates"] for own in shown] == ["auto", "1,2,3,4,5"]
    assert {own["rates_from"] for own in shown} == {"runs/baseline/seed-{seed}"}


def test_arms_on_other_frames_are_not_compared(runs):
    other = replace(BASELINE, data=replace(BASELINE.data, dataset="camvid", data_dir="data"))
    write_run(runs / "other", other, 0, 0.9)
    found, _ = report.group(report.gather([runs])[0])
    assert [(e.title, [arm.name for arm in e.arms]) for e in found] == [
        ("synthetic, test, 10 frames", ["baseline", "taf"]),
        ("camvid, test, 10 frames", ["other"]),
    ]


def test_other_scenes_are_other_frames(runs):
    """Of one data set, by a setting that its title then says."""
    write_run(runs / "other", replace(BASELINE, data=replace(BASELINE.data, scene_seed=3)), 0, 0.9)
    found, _ = report.group(report.gather([runs])[0])
    assert [(e.title, [arm.name for arm in e.arms]) for e in found] == [
        ("synthetic, test, 10 frames, scene_seed=0", ["baseline", "taf"]),
        ("synthetic, test, 10 frames, scene_seed=3", ["other"]),
    ]


@pytest.mark.parametrize("jobs_folder", ["runs", "runs/again"])
def test_seeds_with_teachers_of_their_own_are_one_arm(runs, jobs_folder):
    for seed in range(3):
        teacher = f"{jobs_folder}/baseline/seed-{seed}"
        pseudo = parse("--method=pseudo", f"--teacher={teacher}")
        write_run(runs / "pseudo" / f"seed-{seed}", pseudo, seed, 0.5)
        rates = replace(Config().taf, change_rates=(0.1 + seed,) * 5, rates_from=teacher)
        write_run(runs / "auto" / f"seed-{seed}", replace(Config(), taf=rates), seed, 0.6)
    (experiment,), _ = report.group(report.gather([runs])[0])
    assert {arm.name: len(arm.runs) for arm in experiment.arms} == {
        "baseline": 5, "auto": 3, "pseudo": 3, "taf": 5,
    }  # fmt: skip
    page = make_page(runs)
    assert f"--teacher={jobs_folder}/baseline/seed-{{seed}}" in page
    assert "--change_rates=auto" in page


def test_arms_of_one_folder_have_names_of_their_own(runs):
    """An arm whose flags were changed between its seeds."""
    write_run(runs / "taf" / "seed-7", replace(Config(), taf=replace(Config().taf, weight=9.0)), 7, 0.9)
    (experiment,), _ = report.group(report.gather([runs])[0])
    names = {arm.name: [run.seed for run in arm.runs] for arm in experiment.arms}
    assert names == {
        "baseline": [0, 1, 2, 3, 4],
        str(runs / "taf" / "seed-0"): [0, 1, 2, 3, 4],
        str(runs / "taf" / "seed-7"): [7],
    }


def test_examples_are_of_the_split_of_the_figures(runs):
    pictures = {}
    for split in ("test", "train", "val"):
        path = runs / "taf" / "seed-1" / "evaluation" / split / "best.png"
        path.parent.mkdir(parents=True)
        cv2.imwrite(str(path), np.full((8, 8, 3), len(pictures), np.uint8))
        pictures[split] = base64.b64encode(path.read_bytes()).decode()
    page = make_page(runs)
    assert {split: text in page for split, text in pictures.items()} == {
        "test": True, "train": False, "val": False,
    }  # fmt: skip


def test_clips_of_another_length_are_other_frames(runs):
    """Synthetic scenes are drawn anew where clips are longer; up to 15 frames they are the same."""
    for context, miou in ((7, 0.5), (30, 0.9)):
        data = replace(BASELINE.data, temporal_context=context)
        write_run(runs / f"n{context}", replace(BASELINE, data=data), 0, miou)
    found, _ = report.group(report.gather([runs])[0])
    assert [[arm.name for arm in e.arms] for e in found] == [["baseline", "n7", "taf"], ["n30"]]


def test_pictures_are_in_the_page_as_they_are(runs):
    rng = np.random.default_rng(0)
    paths = [
        runs / "taf" / "seed-1" / "evaluation" / "test" / "best.png",
        runs / "taf" / "seed-1" / "evaluation" / "swap" / "fig4.png",
        runs / "miou.png",
    ]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), rng.integers(0, 256, (8, 8, 3), np.uint8))
    found = Elements(make_page(runs)).found
    sources = [attributes["src"] for tag, attributes in found if tag == "img"]
    embedded = {base64.b64decode(s.split(",")[1]) for s in sources if s.startswith("data:image/png;")}
    assert embedded == {path.read_bytes() for path in paths}
    # Loss and val mIoU, as SVG.
    assert sum(source.startswith("data:image/svg+xml;") for source in sources) == 2


HOSTILE = "<img src=x onerror=alert(1)>\"'&</td><script>alert(2)</script>"


def test_hostile_names_are_text(tmp_path):
    folder_name = HOSTILE.replace("/", "")
    config = replace(Config(), model=replace(Config().model, backbone_weights=HOSTILE))
    history = f'epoch,loss,"delta/{HOSTILE.replace(chr(34), "")}","delta/$\\frac$"\n0,1,2,3\n'
    write_run(tmp_path / "runs" / folder_name, config, 0, 0.3, classes=(HOSTILE, "$\\frac"), history=history)
    metrics = tmp_path / "runs" / folder_name / "metrics.json"
    metrics.write_text(json.dumps(json.loads(metrics.read_text()) | {"steps": HOSTILE}))
    picture = tmp_path / "runs" / folder_name / "evaluation" / folder_name / f"{folder_name}.png"
    picture.parent.mkdir(parents=True)
    cv2.imwrite(str(picture), np.zeros((8, 8, 3), np.uint8))
    write_run(tmp_path / "runs" / f"2{folder_name}", config, 0, 0.3)  # left out, with its name
    page = Elements(make_page(tmp_path / "runs"))
    assert page.text.count(HOSTILE) >= 4  # class (twice), steps, weights
    assert page.text.count(folder_name) >= 4
    assert {tag for tag, _ in page.found} <= {
        *("html", "head", "meta", "title", "style", "body", "h1", "h2", "h3", "p", "div", "span", "small"),
        *("table", "thead", "tbody", "tr", "th", "td", "details", "summary", "figure", "figcaption", "img"),
        *("svg", "circle", "line", "pre", "code", "nav", "a", "ul", "li"),
    }
    for _, attributes in page.found:
        assert not [name for name in attributes if name.startswith("on")]
        assert attributes.get("src", "data:image/").startswith("data:image/")
        assert attributes.get("href", "#").startswith("#")
    policies = [a["content"] for tag, a in page.found if tag == "meta" and "http-equiv" in a]
    assert policies[0].startswith("default-src 'none'; img-src data:")


def test_what_should_be_a_number_may_be_anything(runs):
    metrics = runs / "taf" / "seed-0" / "metrics.json"
    metrics.write_text(json.dumps(json.loads(metrics.read_text()) | {"steps": {"name": 1}}))
    assert "{'name': 1}" in Elements(make_page(runs)).text


def test_nothing_in_the_page_is_exempt_from_escaping():
    template = resources.files("taf_keras.report") / "report.html.jinja"
    assert not re.search(r"\|\s*safe|autoescape|Markup", template.read_text(encoding="utf-8"))


def test_the_command_keeps_what_is_the_default_of_another_method(tmp_path):
    """λ = 1 is a baseline's own, of clips of one's own, and mean teacher has none."""
    data = ["--dataset=manifest", "--data_dir=clips"]
    flags = {"backbone=keras_cv:x": ["--method=baseline"], "mt": ["--method=mean_teacher", "--taf_weight=1"]}
    for name, own in flags.items():
        write_run(tmp_path / "runs" / name / "seed-0", parse(*data, *own), 0, 0.3)
    page = Elements(make_page(tmp_path / "runs")).text
    command = page[page.index("python -m taf_keras.sweep") :].split("Every run")[0]
    words = shlex.split(command.replace("\\\n", " "))
    arms = [words[i + 1] for i, word in enumerate(words) if word == "--arm"]
    common = words[words.index("--") + 1 :]
    study = build_sweep(arms, [], None, None, common)
    repeated = {arm.name: parse(*common, *arm.flags) for arm in study.arms}
    assert repeated == {
        "backbone=keras_cv_x": parse(*data, "--method=baseline"),
        "mt": parse(*data, *flags["mt"]),
    }


def test_the_command_repeats_the_runs(runs, tmp_path):
    slow = replace(parse("--method=slow", "--learning_rate=0.1"), data=BASELINE.data)
    write_run(runs / "it's slow" / "seed-7", slow, 7, 0.3)
    page = Elements(make_page(runs)).text
    command = page[page.index("python -m taf_keras.sweep") :].split("Every run")[0]
    words = shlex.split(command.replace("\\\n", " "))
    arms = [words[i + 1] for i, word in enumerate(words) if word == "--arm"]
    common = words[words.index("--") + 1 :] if "--" in words else []
    study = build_sweep(arms, [], None, "baseline", common)
    repeated = {arm.name: parse(*common, *arm.flags) for arm in study.arms}
    assert repeated == {"baseline": BASELINE, "it's slow": slow, "taf": Config()}
    assert "--seeds=0,1,2,3,4,7" in words


OTHERS = [
    ["--method=baseline", "--noflip", "--image_size=96x128", "--crop_size=64x96", "--batch_size=3"],
    ["--change_rates=1e-4,inf,inf", "--model=fcn8s", "--relative_change_rates", "--taf_weight=0.1"],
    ["--dataset=camvid", "--data_dir=a folder's", "--backbone_weights=x=y", "--partner_label_weight=2"],
    # What other data sets and methods begin with:
    ["--dataset=manifest", "--data_dir=clips", "--temporal_context=15", "--taf_weight=6"],
    ["--dataset=manifest", "--data_dir=clips"],
    ["--method=mean_teacher", "--taf_weight=6"],
    ["--method=propagate", "--taf_weight=0", "--temporal_context=3"],
    ["--backbone=resnet50", "--output_stride=8", "--seed=3", "--learning_rate=1e-20"],
]


@pytest.mark.parametrize("flags", OTHERS)
def test_settings_are_flags_that_mean_the_same(flags):
    config = parse(*flags)
    again = parse(*as_flags(changed(settings(config))))
    assert replace(again, training=replace(again.training, seed=config.training.seed)) == config


def test_every_setting_has_the_name_of_its_flag():
    expected = {
        own.flag
        for group in fields(Config)
        if group.name != "runtime"
        for own in group.default_factory.SETTINGS.values()
    }
    assert set(settings(Config())) == expected - {"seed"} | {"model_sha256"}


def test_a_page_that_cannot_be_written_is_named_and_an_earlier_one_stays(runs, tmp_path, capsys, monkeypatch):
    (tmp_path / "pages" / "report.html").mkdir(parents=True)
    assert refusal(capsys, runs).endswith("report.html: is a folder; give the name of a file\n")
    (tmp_path / "pages" / "report.html").rmdir()
    page = make_page(runs)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    assert "report.html: cannot be written: No space left on device" in refusal(capsys, runs)
    assert (tmp_path / "pages" / "report.html").read_text() == page
