"""Weights of classes: what is rare counts more, a pixel counts 1 on average."""

import numpy as np
import pytest

from taf_keras.clips.clip import ClassTable, Split
from taf_keras.training.class_weights import class_weights

CLASSES = ClassTable(("road", "car", "sign", "none"), ((0, 0, 0),) * 4)
# Two label maps: pixels of each class, void last. 80 % road, 15 % car, 5 % sign; the last has no pixel.
SPLIT = Split("train", (), CLASSES, label_pixels=np.array([[500, 100, 0, 0, 77], [300, 50, 50, 0, 900]]))


def test_none_is_no_weights():
    assert class_weights("none", SPLIT) is None


def test_inverse_frequency_gives_every_class_the_same_share_of_the_loss():
    weights = class_weights("inverse_frequency", SPLIT)
    # 1 / (3 classes · share): as scikit-learn's "balanced".
    np.testing.assert_allclose(weights, [1 / (3 * 0.8), 1 / (3 * 0.15), 1 / (3 * 0.05), 1], rtol=1e-6)


@pytest.mark.parametrize("kind", ["inverse_frequency", "inverse_sqrt_frequency"])
def test_a_labelled_pixel_has_1_on_average_and_rare_classes_more(kind):
    weights = class_weights(kind, SPLIT)
    assert weights[:3] @ [0.8, 0.15, 0.05] == pytest.approx(1)
    assert weights[0] < weights[1] < weights[2]
    assert weights[3] == 1


def test_the_square_root_is_milder():
    mild, full = (class_weights(kind, SPLIT) for kind in ("inverse_sqrt_frequency", "inverse_frequency"))
    assert mild[2] / mild[0] == pytest.approx((full[2] / full[0]) ** 0.5)
