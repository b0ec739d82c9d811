"""Recipes by name: which file `--flagfile` means, and which names are refused."""

import pytest

from flags.recipe_files import RECIPES, expand_flag_files, find_flag_file
from taf_keras.errors import UserError

NAME = "camvid_deeplabv3plus_mobilenetv2_taf"
FORMS = [NAME, f"{NAME}.flags", f"flags/recipes/{NAME}.flags"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("form", FORMS)
def test_a_recipe_is_found_by_its_name_from_every_folder(form):
    file = find_flag_file(form)
    assert file.is_absolute()
    assert f"--model_dir=runs/{NAME}\n" in file.read_text()


@pytest.mark.parametrize("form", FORMS)
def test_a_file_of_the_user_comes_before_the_recipe(form, folder):
    own = folder / f"{form.removesuffix('.flags')}.flags"
    own.parent.mkdir(parents=True, exist_ok=True)
    own.touch()
    assert find_flag_file(form).samefile(own)


def test_a_folder_with_the_name_of_a_recipe_is_not_meant(folder):
    (folder / NAME).mkdir()
    assert find_flag_file(NAME) == RECIPES[NAME]


def test_the_home_folder_is_that_of_the_user(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))
    (folder / "my.flags").touch()
    assert find_flag_file("~/my.flags").samefile(folder / "my.flags")


@pytest.mark.parametrize("words", [["--flagfile=my"], ["-flagfile=my"], ["--flagfile", "my"]])
def test_every_spelling_of_the_flag_stands_for_what_is_in_the_file(words, folder):
    (folder / "my.flags").write_text("# mine\n\n  --seed=1\n// --seed=2\n--data_dir=a b\n")
    assert expand_flag_files(["--epochs=3", *words, "--flip"]) == [
        "--epochs=3",
        "--seed=1",
        "--data_dir=a b",
        "--flip",
    ]


@pytest.mark.parametrize("form", FORMS)
def test_a_flag_file_builds_on_a_recipe(form, folder):
    (folder / "my.flags").write_text(f"--flagfile={form}\n--epochs=3\n")
    *recipe, own = expand_flag_files(["--flagfile=my.flags"])
    assert recipe == expand_flag_files([f"--flagfile={NAME}"])
    assert own == "--epochs=3"


def test_a_flag_file_may_be_read_twice_but_not_within_itself(folder):
    (folder / "one.flags").write_text("--flip")
    (folder / "two.flags").write_text("--flagfile=one\n--flagfile=one")
    assert expand_flag_files(["--flagfile=two"]) == ["--flip", "--flip"]
    (folder / "one.flags").write_text("--flagfile=two")
    with pytest.raises(UserError, match=r"^--flagfile=(one|two): is read within itself$"):
        expand_flag_files(["--flagfile=two"])


@pytest.mark.parametrize(
    "words", [["--flagfile"], ["--flagfile="], ["flagfile=x"], ["--model_dir=flagfile=x"]]
)
def test_all_else_stays_as_it_is(words):
    assert expand_flag_files(words) == words


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("camvid_deeplabv3_mobilenetv2_taf", f"did you mean {NAME}"),
        (f"mine/{NAME}.flags", f"did you mean {NAME}"),  # a copy that lies elsewhere is not the recipe
        ("my.flags", f"recipes are {', '.join(RECIPES)}"),
        ("/", f"recipes are {', '.join(RECIPES)}"),
    ],
)
def test_a_name_that_is_neither_is_refused_with_those_that_are(name, hint):
    with pytest.raises(UserError) as refusal:
        find_flag_file(name)
    assert str(refusal.value).startswith(
        f"--flagfile={name}: no such file, and no recipe of this name; {hint}"
    )
