"""Classes of a data set keep their ids, whatever order a further import asks for."""

import pytest

from taf_keras.annotation.class_merge import merged
from taf_keras.clips.clip import ClassTable
from taf_keras.clips.palette import distinct_colours
from taf_keras.errors import UserError
from taf_keras.label_formats.export import UNLABELLED, Export

EXPORT = Export({"car": None, "road": None})


def table(*names: str) -> ClassTable:
    return ClassTable(names, tuple(distinct_colours(len(names))))


@pytest.mark.parametrize("before", [("ground", "road", "car"), ("road", "ground", "car"), ("road", "car")])
def test_a_background_that_no_list_names_is_where_it_was(before):
    classes, ids, _ = merged(EXPORT, table("road", "car"), "ground", table(*before))
    expected = before if "ground" in before else (*before, "ground")
    assert classes.names == expected
    assert [classes.names[ids[value]] for value in (0, 1, UNLABELLED)] == ["car", "road", "ground"]


def test_the_same_call_twice_gives_the_same_classes():
    first = merged(EXPORT, table("road", "car"), "ground", None)[0]
    again = merged(EXPORT, table("road", "car"), "ground", first)[0]
    assert (again.names, again.colours) == (first.names, first.colours)


@pytest.mark.parametrize("wanted", [("car", "road"), ("road", "ground", "car"), ("road", "bus")])
def test_another_order_is_refused(wanted):
    with pytest.raises(UserError, match="would get another id than in the data set"):
        merged(EXPORT, table(*wanted), "ground", table("ground", "road", "car"))
