import numpy as np

from taf_keras.evaluation.compiled import for_any_batch


def counted():
    """(a function of a dict, the shapes that it was traced with)"""
    shapes = []

    def total(batch):
        shapes.append(batch["a"].shape.as_list())
        return batch["a"] + batch["b"]

    return for_any_batch(total), shapes


def batch(*shape):
    return {"a": np.full(shape, 2.0), "b": np.full(shape, 3.0)}


def test_one_trace_serves_any_number_of_examples():
    total, shapes = counted()
    for examples in (3, 1, 2):
        np.testing.assert_array_equal(total(batch(examples, 4)), np.full((examples, 4), 5.0))
    assert shapes == [[None, 4]]


def test_a_second_trace_serves_all_other_shapes():
    total, shapes = counted()
    for width in (4, 6, 8, 4):
        np.testing.assert_array_equal(total(batch(2, width)), np.full((2, width), 5.0))
    assert shapes == [[None, 4], [None, None]]
