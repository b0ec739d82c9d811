import keras
import pytest
from small_network import network_of


@pytest.fixture
def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    return network_of()
