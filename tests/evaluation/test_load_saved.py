"""An exported model is loaded from whatever folder it lies in."""

import pytest
import tensorflow as tf

from taf_keras.evaluation.evaluate import load_saved


@pytest.mark.parametrize("name", ["b[1]", "b*", "b?", "b]", r"b\1"])
def test_a_folder_with_wildcards_in_its_name(name, tmp_path, monkeypatch):
    """TensorFlow finds the variables by a pattern, which [1] is: it would look for b1."""
    module = tf.Module()
    module.variable = tf.Variable(3.0)
    module.serve = tf.function(lambda: module.variable * 2.0, input_signature=[])
    tf.saved_model.save(module, str(tmp_path / name / "export"))
    monkeypatch.chdir(tmp_path)
    for folder in (f"{name}/export", str(tmp_path / name / "export")):
        assert load_saved(folder).serve().numpy() == 6.0
