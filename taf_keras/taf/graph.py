"""The operations of a functional model in the order in which they run, those of nested models among them."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import keras

from taf_keras.errors import ArgumentError
from taf_keras.models.functional import functional, functional_fault


@dataclass(frozen=True, eq=False)
class Step:
    """One call of a layer or of another operation.

    Attributes:
        name: that of the layer; inside nested models `outer.inner.layer`.
        operation: what is called.
        arguments: with the graph's symbolic tensors in them.
        inputs: {id of a symbolic tensor in the arguments: number of that tensor}.
        outputs: numbers of the tensors that it makes.
    """

    name: str
    operation: keras.Operation
    arguments: object
    inputs: Mapping[int, int]
    outputs: tuple[int, ...]

    def run(self, values: dict[int, object], training: bool) -> None:
        """Takes its inputs from `values`, {number: tensor}, and adds its outputs."""
        args, kwargs = self.arguments.fill_in({key: values[number] for key, number in self.inputs.items()})
        if _takes_training(self.operation):
            kwargs = kwargs | {"training": training}  # over what it was built with, as Keras does
        outputs = keras.tree.flatten(self.operation(*args, **kwargs))
        values.update(zip(self.outputs, outputs, strict=True))


@dataclass(frozen=True, eq=False)
class Graph:
    """A model's steps; tensors are numbered."""

    steps: tuple[Step, ...]
    input: int
    output: int


def graph_of(network: keras.Model) -> Graph:
    """The graph of a functional model of one input and one output; nested functional models are opened.

    Raises: ArgumentError for any other model.
    """
    if fault := functional_fault(network):
        raise ArgumentError(f"network {getattr(network, 'name', network)!r}: {fault}")
    builder = _Builder()
    outputs = builder.add(functional(network), [0], prefix="")
    return Graph(tuple(builder.steps), 0, outputs[0])


class _Builder:
    def __init__(self):
        self.steps: list[Step] = []
        self.tensors = 1  # 0 is the model's input

    def add(self, model, given: list[int], prefix: str) -> list[int]:
        """Adds the steps of a model whose inputs have the numbers `given`; returns its outputs'."""
        numbers = {id(tensor): number for tensor, number in zip(model.inputs, given, strict=True)}
        # In the order in which Keras itself runs them.
        for depth in sorted(model._nodes_by_depth, reverse=True):
            for node in model._nodes_by_depth[depth]:
                if node.is_input:
                    continue
                name = prefix + node.operation.name
                inputs = {id(tensor): numbers[id(tensor)] for tensor in node.input_tensors}
                nested = functional(node.operation)
                if nested is not None and _passes_inputs_on(node, nested):
                    own = [
                        self.cast(inputs[id(tensor)], tensor, inner)
                        for tensor, inner in zip(node.input_tensors, nested.inputs, strict=True)
                    ]
                    outputs = self.add(nested, own, f"{name}.")
                else:
                    outputs = list(range(self.tensors, self.tensors + len(node.outputs)))
                    self.tensors += len(outputs)
                    self.steps.append(Step(name, node.operation, node.arguments, inputs, tuple(outputs)))
                numbers |= {id(t): number for t, number in zip(node.outputs, outputs, strict=True)}
        return [numbers[id(tensor)] for tensor in model.outputs]

    def cast(self, number: int, tensor, inner) -> int:
        """The number of a tensor as a nested model takes it: Keras casts what has another type."""
        if tensor.dtype == inner.dtype:
            return number
        given = keras.KerasTensor(tensor.shape, tensor.dtype)  # `tensor` would learn of the cast
        operation, *_ = keras.ops.cast(given, inner.dtype)._keras_history
        (node,) = operation._inbound_nodes
        cast = Step(operation.name, operation, node.arguments, {id(given): number}, (self.tensors,))
        self.steps.append(cast)
        self.tensors += 1
        return cast.outputs[0]


def _passes_inputs_on(node, nested) -> bool:
    """Whether a nested model gets its inputs as they are: Keras may add or drop an axis."""
    given = node.input_tensors
    return len(given) == len(nested.inputs) and all(
        len(a.shape) == len(b.shape) for a, b in zip(given, nested.inputs, strict=True)
    )


def _takes_training(operation) -> bool:
    # Of the class: `EqualParts` gives a layer another `call` for a while.
    return "training" in inspect.signature(type(operation).call).parameters


def consumers(steps: Iterable[Step]) -> dict[int, list[Step]]:
    """{tensor: the steps that take it}."""
    found: dict[int, list[Step]] = {}
    for step in steps:
        for tensor in set(step.inputs.values()):
            found.setdefault(tensor, []).append(step)
    return found
