"""A functional model cut in two at its branches (Section 2.1): features Φ, and the head Ω after them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

import keras
from keras import ops

from taf_keras.errors import ArgumentError
from taf_keras.taf.graph import Graph, Step, consumers, graph_of


class Cut:
    """A network in two parts that share its layers: image -> Φ, and Φ -> output.

    The head Ω is what descends from a branch and is an ancestor of none. Every other tensor that it needs
    is passed through: it is in the features too, and never swapped. `head(features(x))` is the network's
    output to the last bit.

    Args:
        network: any functional model of one input (batch, …) and one output (batch, …). Nested functional
            models are opened.
        branches: the layers whose outputs are Φ_1 … Φ_m, or {name of a branch: its layer}. A layer inside a
            nested model is named `outer.inner`, or by its own name where no other has it. A number is a
            layer's place in the order in which the network's layers are called (`positions`).
    Raises: ArgumentError for a network or a layer that cannot be cut; it says why.

    Example:
        >>> image = keras.Input((32, 32, 3))
        >>> slow = keras.layers.Conv2D(4, 3, padding="same", name="slow")(image)
        >>> fast = keras.layers.Conv2D(4, 1, name="fast")(image)
        >>> network = keras.Model(image, keras.layers.Add()([slow, fast]))
        >>> cut = Cut(network, ["slow", "fast"])
        >>> frame = keras.ops.ones((1, 32, 32, 3))
        >>> features = cut.features(frame)
        >>> sorted(features)
        ['fast', 'slow']
        >>> bool(keras.ops.all(cut.head(features) == network(frame)))
        True
    """

    def __init__(self, network: keras.Model, branches: Sequence[str] | Mapping[str, str | int]):
        layers = dict(branches) if isinstance(branches, Mapping) else {name: name for name in branches}
        if not layers:
            raise ArgumentError("branches: name at least one layer of the network")
        graph = graph_of(network)
        self.network = network
        self.branches = tuple(layers)
        steps = [_find(graph, layer) for layer in layers.values()]
        self.layers = tuple(step.name for step in steps)
        # Names that Keras numbers as it goes are others when a model is built again; places are not.
        self.positions = tuple(map(graph.steps.index, steps))
        tensors = dict(zip(self.branches, map(_output, steps), strict=True))

        head = _head(graph, tensors)
        made = {tensor for step in head for tensor in step.outputs}
        needed = {tensor for step in head for tensor in step.inputs.values()} - made
        _check(graph, tensors, needed, made)
        # Branches first, then what is passed through.
        self._names = {tensor: name for name, tensor in tensors.items()}
        passed = sorted(needed - set(tensors.values()))
        self._names |= {tensor: f"passed_{i}" for i, tensor in enumerate(passed)}
        inside = set(head)
        before = tuple(step for step in graph.steps if step not in inside)
        self._dtype = network.inputs[0].dtype
        self._features = _Part(before, [graph.input], [*self._names], "features")
        self._head = _Part(head, [*self._names], [graph.output], "head")

    def features(self, images, training: bool = False) -> dict:
        """Images (batch, …) -> {branch: Φ_i (batch, …), and the tensors that are passed through}."""
        images = ops.cast(images, self._dtype)
        return dict(zip(self._names.values(), self._features([images], training=training), strict=True))

    def head(self, features: Mapping, training: bool = False):
        """Ω: such a dict, of any number of examples -> the network's output."""
        (output,) = self._head([features[name] for name in self._names.values()], training=training)
        return output


class _Part(keras.layers.Layer):
    """Some steps of a graph. A layer, so that what it calls knows whether it is trained."""

    def __init__(self, steps: tuple[Step, ...], inputs: list[int], outputs: list[int], name: str):
        super().__init__(name=name, autocast=False, dtype="float32")
        # In a function, since Keras would take layers in an attribute for its own, and save them twice.
        self._program = lambda: (steps, inputs, outputs)
        self.built = True

    def call(self, tensors, training=False):
        steps, inputs, outputs = self._program()
        values = dict(zip(inputs, tensors, strict=True))
        for step in steps:
            step.run(values, training)
        return [values[number] for number in outputs]


def _head(graph: Graph, branches: Mapping[str, int]) -> tuple[Step, ...]:
    """The steps that descend from a branch and of which none descends."""
    takes = consumers(graph.steps)
    makes = {tensor: step for step in graph.steps for tensor in step.outputs}
    ancestors = _reached(
        [makes[tensor] for tensor in branches.values()],
        lambda step: [makes[tensor] for tensor in step.inputs.values() if tensor in makes],
    )
    descendants = _reached(
        [step for tensor in branches.values() for step in takes.get(tensor, [])],
        lambda step: [following for tensor in step.outputs for following in takes.get(tensor, [])],
    )
    return tuple(step for step in graph.steps if step in descendants - ancestors)


def _reached(steps, following) -> set[Step]:
    found, queue = set(), list(steps)
    while queue:
        step = queue.pop()
        if step not in found:
            found.add(step)
            queue += following(step)
    return found


def _find(graph: Graph, layer: str | int) -> Step:
    """The one step of that name, or whose last part it is; or the one at that place."""
    if isinstance(layer, int):
        if not 0 <= layer < len(graph.steps):
            raise ArgumentError(
                f"layer {layer}: is no place in the network: allowed are 0 to {len(graph.steps) - 1}"
            )
        return graph.steps[layer]
    found = [step for step in graph.steps if step.name == layer]
    found = found or [step for step in graph.steps if step.name.rpartition(".")[2] == layer]
    names = list(dict.fromkeys(step.name for step in found))
    if len(names) > 1:
        raise ArgumentError(f"layer {layer!r}: several have this name: write {' or '.join(names)}")
    if len(found) > 1:
        raise ArgumentError(
            f"layer {layer!r}: is called {len(found)} times; allowed is a layer that is called once, such as "
            'a keras.layers.Activation("linear") of its own after one of the calls'
        )
    if found:
        return found[0]
    known = {step.name.rpartition(".")[2]: step.name for step in graph.steps}
    known |= {step.name: step.name for step in graph.steps}
    near = list(dict.fromkeys(known[name] for name in difflib.get_close_matches(str(layer), known, n=5)))
    hint = f"near are {', '.join(near)}" if near else f"allowed are {', '.join(s.name for s in graph.steps)}"
    raise ArgumentError(f"layer {layer!r}: the network has none of this name; {hint}")


def _output(step: Step) -> int:
    if len(step.outputs) != 1:
        raise ArgumentError(
            f"layer {step.name!r}: has {len(step.outputs)} outputs; allowed is a layer of one, such as a "
            'keras.layers.Activation("linear") after the output that is meant'
        )
    return step.outputs[0]


def _check(graph: Graph, branches: Mapping[str, int], needed: set[int], made: set[int]) -> None:
    names = {tensor: name for name, tensor in branches.items()}
    if len(names) < len(branches):
        twice = next(name for name, tensor in branches.items() if names[tensor] != name)
        raise ArgumentError(f"branch {twice!r}: another branch is the same layer")
    for name, tensor in branches.items():
        if tensor == graph.output:
            raise ArgumentError(f"branch {name!r}: is the network's output, after which there is no head")
        if tensor not in needed:
            raise ArgumentError(
                f"branch {name!r}: reaches the network's output through other branches alone, so that a swap "
                "of it changes nothing; leave it out or leave those out"
            )
    if graph.output not in made:
        raise ArgumentError("branches: none of them reaches the network's output")
