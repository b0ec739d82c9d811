"""What must be the same in two tables of classes."""

import pytest

from taf_keras.errors import UserError
from taf_keras.storage.sameness import require_same_classes


def test_equal_tables_are_the_same():
    require_same_classes("runs/a", ["road", "none"], ("road", "none"))


@pytest.mark.parametrize(
    ("trained", "names", "said"),
    [
        (["road", "car"], ["car", "road"], "class 0 is road there, and car in this data set"),
        (["road"], ["road", "car"], "class 1 is none there, and car in this data set"),
        (["road", "none"], ["road"], "class 1 is none there, and none in this data set"),
        (["road"], ["road", "none"], "class 1 is none there, and none in this data set"),
    ],
)
def test_the_first_class_that_differs_is_named(trained, names, said):
    """Also where a class is called none, which stands for a class that is not there."""
    with pytest.raises(UserError, match=f"^runs/a: was trained on other classes: {said}$"):
        require_same_classes("runs/a", trained, names)
