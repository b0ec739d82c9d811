"""The page of a run: its pictures and figures against a computation of their own, and what it refuses."""

import json
import re
import shutil
import subprocess
from contextlib import suppress
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
import tensorflow as tf

from taf_keras import pack
from taf_keras.config import DataConfig
from taf_keras.datasets.load import class_table, load_split
from taf_keras.errors import UserError
from taf_keras.report import __main__ as report
from taf_keras.view import main
from taf_keras.viewer.choice import chosen_clips, chosen_offsets
from taf_keras.viewer.folder import replaced_folder
from taf_keras.viewer.pictures import LONGEST_PX, write_image, write_label

pytestmark = pytest.mark.usefixtures("small_backbone")
HOSTILE = "<img src=x onerror=alert(1)>\"'&</script><script>alert(2)</script>"
SIZE = (32, 48)


class Page(HTMLParser):
    """The page as a browser sees it: its elements with their attributes, and the text between them."""

    def __init__(self, folder: Path):
        super().__init__()
        self.folder, self.found, self.text, self.open = folder, [], "", ""
        self.source = (folder / "index.html").read_text(encoding="utf-8")
        self.feed(self.source)

    def handle_starttag(self, tag, attributes):
        self.open = tag
        self.found.append((tag, dict(attributes)))

    def handle_data(self, data):
        if self.open not in ("script", "style"):
            self.text += data

    def all(self, tag: str) -> list[dict]:
        return [attributes for found, attributes in self.found if found == tag]

    @property
    def clips(self) -> list[dict]:
        """The data of each clip, in the order of the page."""
        return [{k.removeprefix("data-"): v for k, v in own.items()} for own in self.all("article")]

    def picture(self, clip: dict, name: str) -> np.ndarray:
        """RGB or RGBA."""
        pixels = cv2.imread(str(self.folder / clip["pictures"] / name), cv2.IMREAD_UNCHANGED)
        return pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]


def view(run: Path, output: Path, *flags: str) -> Page:
    main([str(run), f"--output_dir={output}", *flags])
    return Page(output)


def refusal(capsys, *arguments) -> str:
    """The line of a command that ends with exit code 2."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main([*map(str, arguments)])
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.fixture(scope="module")
def page(finished_run, tmp_path_factory) -> Page:
    """Of synthetic clips, all of whose frames are labelled."""
    output = tmp_path_factory.mktemp("page") / "view"
    return view(Path(finished_run[0].runtime.model_dir), output, "--frames=3")


@pytest.fixture(scope="module")
def listed(finished_run, tmp_path_factory) -> Path:
    """The same run on a manifest of two clips: one with neighbours, of which the last is cut short."""
    config, root = finished_run[0], tmp_path_factory.mktemp("listed")
    data, rng = root / "data", np.random.default_rng(0)
    for folder in ("images", "labels"):
        (data / folder).mkdir(parents=True)
    names = [f"{i} {HOSTILE}" for i in range(len(class_table(config.data)))]
    (data / "classes.json").write_text(json.dumps({"classes": [{"name": name} for name in names]}))
    quoted = '"' + HOSTILE.replace('"', '""') + '"'
    rows = ["clip,frame,image,label"]
    for clip, number, key in (
        (quoted, 7, 0),
        (quoted, 8, 1),
        (quoted, 10, 0),
        (quoted, 11, 0),
        ("one", 0, 1),
    ):
        image, label = f"images/{number}.jpg", f"labels/{number}.png" * key
        cv2.imwrite(str(data / image), rng.integers(0, 256, (*SIZE, 3), np.uint8))
        if key:
            ids = rng.integers(0, len(names), (4, 6), np.uint8).repeat(8, 0).repeat(8, 1)
            ids[:8] = 255
            cv2.imwrite(str(data / label), ids)
        rows.append(f"{clip},{number},{image},{label}")
    for name in ("train", "val"):
        (data / f"{name}.csv").write_text("\n".join(rows) + "\n")
    whole = (data / "images/11.jpg").read_bytes()
    (data / "images/11.jpg").write_bytes(whole[: len(whole) // 2])
    return moved(config, root / "run", dataset="manifest", data_dir=str(data))


def moved(config, folder: Path, **data) -> Path:
    """A copy of the run whose settings name another data set."""
    shutil.copytree(Path(config.runtime.model_dir) / "checkpoints", folder / "checkpoints")
    config = replace(config, data=replace(config.data, **data))
    (folder / "config.json").write_text(json.dumps(config.to_dict()))
    return folder


def figures(label: np.ndarray, prediction: np.ndarray, classes: int) -> tuple[float, float]:
    """Pixel accuracy, and the mean IoU of the classes that occur, void aside."""
    counts = label != 255
    ious = []
    for i in range(classes):
        true, said = counts & (label == i), counts & (prediction == i)
        if (true | said).any():
            ious.append((true & said).sum() / (true | said).sum())
    return (label == prediction)[counts].mean(), float(np.mean(ious))


def test_figures_and_pictures_are_those_of_the_exported_model(page, finished_run):
    config, metrics = finished_run
    split = load_split(config.data, "test")
    export = tf.saved_model.load(str(Path(config.runtime.model_dir) / "export"))
    colours = np.zeros((256, 3), np.uint8)
    colours[: len(split.classes)] = split.classes.colours
    assert {clip["position"] for clip in page.clips} == {"0", "1", "2"}
    for shown in page.clips:
        clip = split.clips[int(shown["position"])]
        assert shown["offsets"] == shown["labelled"] == "-3 0 3"
        for n in (-3, 0, 3):
            frame = clip.at(n)
            prediction = export.serve(frame.image[None])["labels"][0].numpy()
            assert (page.picture(shown, f"{n}_prediction.png") == colours[prediction]).all()
            assert (page.picture(shown, f"{n}_truth.png") == colours[frame.label]).all()
            wrong = page.picture(shown, f"{n}_wrong.png")
            assert ((wrong[..., 3] > 0) == (prediction != frame.label)).all()
            photo = page.picture(shown, f"{n}_image.jpg").astype(float)
            assert n == min((-3, 0, 3), key=lambda other: abs(photo - clip.at(other).image).mean())
            if n == 0:
                expected = figures(frame.label, prediction, len(split.classes))
                assert (float(shown["accuracy"]), float(shown["miou"])) == pytest.approx(expected)
    whole = f"pixel accuracy {100 * metrics['pixel_accuracy']:.1f} %,\nmIoU {100 * metrics['miou']:.1f} %"
    assert whole in page.text


def test_the_worst_key_frame_comes_first(page):
    accuracies = [float(clip["accuracy"]) for clip in page.clips]
    assert accuracies == sorted(accuracies)
    assert f"{100 * accuracies[0]:.1f} %" in page.text


def test_every_picture_that_the_page_can_show_is_there_and_no_other(page):
    named = {f"pictures/{c['position']:0>6}/{n}_{kind}" for c in page.clips for n in c["offsets"].split()
             for kind in ("image.jpg", "truth.png", "prediction.png", "wrong.png")}  # fmt: skip
    there = {p.relative_to(page.folder).as_posix() for p in page.folder.rglob("*.*")}
    assert there == named | {"index.html"}
    assert {image["src"] for image in page.all("img")} <= named
    for image in page.all("img"):
        assert image["loading"] == "lazy"
        assert image["alt"] or image["class"] == "image"  # below a label map, which has one


def test_the_legend_has_the_classes_in_their_colours(page, finished_run):
    classes = class_table(finished_run[0].data)
    first = page.picture(page.clips[0], "0_truth.png").reshape(-1, 3)
    for i in {classes.colours.index(tuple(colour)) for colour in np.unique(first, axis=0).tolist()}:
        colour = "#" + bytes(classes.colours[i]).hex()
        assert f'style="background:{colour}"></span>{classes.names[i]} <small>' in page.source


def test_names_are_text_and_a_frame_that_cannot_be_read_is_named(listed, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        view(listed, tmp_path / "view")
    assert ended.value.code == 1
    captured = capsys.readouterr()
    assert re.fullmatch(r"not shown: \S+/images/11\.jpg: .*cut short\n", captured.err)
    assert "2 of 2 key frames (all) of val, 4 frames" in captured.out
    page = Page(tmp_path / "view")
    assert page.text.count(HOSTILE) > 5  # the clip, and classes
    assert {tag for tag, _ in page.found} <= {
        *(
            "html",
            "head",
            "meta",
            "title",
            "style",
            "body",
            "header",
            "main",
            "article",
            "h1",
            "h2",
            "p",
            "b",
        ),
        *("form", "label", "select", "option", "input", "output", "div", "figure", "figcaption", "img", "ul"),
        *("li", "span", "small", "script"),
    }
    assert len(page.all("script")) == 1
    for _, attributes in page.found:
        assert not [name for name in attributes if name.startswith("on")]
    assert not re.search(r"https?:|\bimport\b|fetch\(", page.source)


def test_truth_is_there_on_labelled_frames_alone_and_a_single_frame_has_no_slider(listed, tmp_path):
    with pytest.raises(SystemExit):
        view(listed, tmp_path / "view")
    page = Page(tmp_path / "view")
    clips = {clip["position"]: clip for clip in page.clips}
    assert (clips["0"]["offsets"], clips["0"]["labelled"]) == ("-1 0 2", "0")
    assert clips["1"]["offsets"] == "0"
    names = {path.name for path in (page.folder / clips["0"]["pictures"]).iterdir()}
    assert names == {
        *("-1_image.jpg", "-1_prediction.png", "2_image.jpg", "2_prediction.png"),
        *("0_image.jpg", "0_prediction.png", "0_truth.png", "0_wrong.png"),
    }
    sliders = [own for own in page.all("input") if own.get("max") == "2"]
    assert [(own["type"], own["min"], own["value"]) for own in sliders] == [("range", "0", "1")]
    # Void, the upper eight rows, is marked, and dark.
    assert (page.picture(clips["0"], "0_wrong.png")[:8] == [0, 0, 0, 255]).all()


def test_a_packed_data_set_gives_the_same_page(listed, finished_run, tmp_path):
    source = json.loads((listed / "config.json").read_text())["data"]["data_dir"]
    whole, packed = tmp_path / "whole", tmp_path / "packed"
    shutil.copytree(source, whole)
    for name in ("train", "val"):
        rows = (whole / f"{name}.csv").read_text().splitlines()
        (whole / f"{name}.csv").write_text("\n".join(row for row in rows if "11.jpg" not in row))
    pack.main(["--dataset=manifest", f"--data_dir={whole}", f"--output_dir={packed}", "--temporal_context=3",
               "--splits=val"])  # fmt: skip
    run = moved(finished_run[0], tmp_path / "run", dataset="packed", data_dir="gone")
    flags = ("--split=val", "--max_clips=1")
    pages = (
        view(listed, tmp_path / "a", f"--data_dir={whole}", *flags),
        view(run, tmp_path / "b", f"--data_dir={packed}", *flags),
    )
    contents = [
        {p.relative_to(page.folder): p.read_bytes() for p in page.folder.rglob("*_*")} for page in pages
    ]
    assert contents[0] == contents[1]
    assert len(contents[0]) in (4, 8)  # the worst of two, whichever


def test_an_earlier_page_is_replaced_and_anything_else_is_not(page, finished_run, tmp_path, capsys):
    run, output = Path(finished_run[0].runtime.model_dir), tmp_path / "view"
    shutil.copytree(page.folder, output)
    again = view(run, output, "--frames=1", "--max_clips=1")
    assert len(list(output.rglob("*_image.jpg"))) == 1
    assert not again.all("output")  # no slider
    assert "1 of 3 key frames (1 worst)" in again.text
    assert [path.name for path in tmp_path.iterdir()] == ["view"]

    for name, text in (("notes.txt", "mine"), ("pictures/000000/mine.png", ""), ("index.html", "<html>")):
        own = tmp_path / "own" / name
        own.parent.mkdir(parents=True)
        own.write_text(text)
        line = refusal(capsys, run, f"--output_dir={tmp_path / 'own'}")
        assert f"own: holds {name}, which is no page of this command: give another folder" in line
        assert own.read_text() == text
        shutil.rmtree(tmp_path / "own")
    assert "which is no page of this command" in refusal(capsys, run, f"--output_dir={run}")
    (tmp_path / "file").touch()
    assert "file: is a file, not a folder" in refusal(capsys, run, f"--output_dir={tmp_path / 'file'}")


def test_what_ends_before_the_page_is_complete_leaves_the_earlier_one(page, tmp_path):
    output = tmp_path / "view"
    shutil.copytree(page.folder, output)
    with suppress(KeyboardInterrupt), replaced_folder(output) as temporary:
        (temporary / "index.html").touch()
        raise KeyboardInterrupt
    assert Page(output).source == page.source
    with pytest.raises(UserError, match="holds mine"), replaced_folder(output):
        (output / "mine").touch()
    assert Page(output).source == page.source
    assert [path.name for path in tmp_path.iterdir()] == ["view"]


def test_what_cannot_be_shown_is_one_line(finished_run, listed, tmp_path, capsys):
    run = Path(finished_run[0].runtime.model_dir)
    assert refusal(capsys, tmp_path) == f"error: {tmp_path}: holds no run: config.json is missing"
    assert refusal(capsys, run, "--frames=0") == "error: --frames=0: must be 1 or more"
    assert refusal(capsys, run, "--max_clips=-1") == "error: --max_clips=-1: must be 1 or more"
    assert "--split" in refusal(capsys, run, "--split=all")
    begun = tmp_path / "begun"
    begun.mkdir()
    shutil.copy(run / "config.json", begun)
    assert refusal(capsys, begun) == f"error: {begun}: holds no checkpoint yet"
    gone = moved(finished_run[0], tmp_path / "moved", dataset="manifest", data_dir="gone/data")
    line = f"error: gone/data: no such folder, where {gone} has its data set: give --data_dir"
    assert refusal(capsys, gone) == line
    assert refusal(capsys, gone, "--data_dir=x") == "error: --data_dir=x: no such folder"
    assert "test.csv" in refusal(capsys, listed, "--split=test")
    assert not (tmp_path / "moved" / "view").exists()


def test_damage_within_a_key_frame_is_one_line(listed, tmp_path, capsys):
    """Which the check before does not find."""
    source, data = json.loads((listed / "config.json").read_text())["data"]["data_dir"], tmp_path / "data"
    shutil.copytree(source, data)
    png = cv2.imencode(".png", np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8))[1].tobytes()
    middle = len(png) // 2
    (data / "images/0.jpg").write_bytes(png[:middle] + bytes(8) + png[middle + 8 :])
    line = refusal(capsys, listed, f"--data_dir={data}", f"--output_dir={tmp_path / 'view'}")
    assert "images/0.jpg: is not a readable image" in line
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_the_worst_the_median_and_the_best_are_chosen():
    accuracy = np.array([0.5, 0.1, 0.9, np.nan, 0.3, 0.7, 0.2, 0.8, 0.6, 0.4])
    assert chosen_clips(accuracy, 9) == ([0, 1, 2, 4, 5, 6, 7, 8, 9], "all")
    # Of nine in order 1 6 4 9 0 8 5 7 2: the ends and the middle.
    assert chosen_clips(accuracy, 3) == ([0, 1, 2], "1 worst, 1 around the median, 1 best")
    assert chosen_clips(accuracy, 1) == ([1], "1 worst")
    assert chosen_clips(accuracy, 2) == ([1, 2], "1 worst, 1 best")
    for most in range(1, 9):
        positions, _ = chosen_clips(accuracy, most)
        assert len(set(positions)) == most
        assert 1 in positions
        assert 3 not in positions


def test_offsets_are_even_and_have_the_key_frame():
    assert chosen_offsets(range(-15, 16), 7) == [-15, -10, -5, 0, 5, 10, 15]
    assert chosen_offsets(range(-15, 16), 1) == [0]
    assert chosen_offsets((-4, -1, 0, 2), 9) == [-4, -1, 0, 2]
    for most in range(1, 12):
        chosen = chosen_offsets((-9, -8, -7, 0, 1, 2, 3, 4, 5, 6), most)
        assert 0 in chosen
        assert len(set(chosen)) == min(most, 10)
        assert chosen == sorted(chosen)


def test_large_pictures_are_reduced_and_small_ones_are_not(tmp_path):
    classes = class_table(DataConfig())
    for size, expected in (((1024, 2048), (320, LONGEST_PX)), ((48, 64), (48, 64))):
        write_image(tmp_path / "image.jpg", np.zeros((*size, 3), np.uint8))
        write_label(tmp_path / "label.png", np.zeros(size, np.uint8), classes)
        for name in ("image.jpg", "label.png"):
            assert cv2.imread(str(tmp_path / name)).shape[:2] == expected


def test_the_report_on_a_run_takes_no_label_map_for_a_figure(page, finished_run, tmp_path):
    runs = tmp_path / "runs"
    shutil.copytree(
        finished_run[0].runtime.model_dir, runs / "own", ignore=shutil.ignore_patterns("checkpoints")
    )
    shutil.copytree(page.folder, runs / "own" / "view")
    shutil.copy(page.folder / page.clips[0]["pictures"] / "0_wrong.png", runs / "study.png")
    report.main([str(runs), f"--output={tmp_path / 'report.html'}"])
    text = (tmp_path / "report.html").read_text()
    assert text.count("data:image/png") == 1  # the study


def test_nothing_in_the_page_is_exempt_from_escaping():
    template = Path(main.__globals__["__file__"]).with_name("viewer") / "view.html.jinja"
    assert not re.search(r"\|\s*safe|autoescape|Markup", template.read_text(encoding="utf-8"))


def test_a_browser_runs_the_page_without_a_word(page, tmp_path):
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("no Chromium here")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}", "--dump-dom"]
    flags += ["--enable-logging=stderr", "--virtual-time-budget=3000"]
    target = (page.folder / "index.html").as_uri()
    done = subprocess.run([browser, *flags, target], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0
    assert "CONSOLE" not in done.stderr
    assert '<form class="controls" autocomplete="off">' in done.stdout  # its script has shown it
