"""Models that take data: what `fit` and its siblings are given, checked and made a source."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from numbers import Number
from typing import Any

import numpy as np

from numbanet.arrays import inputs as arrays
from numbanet.arrays.ids import check_ids
from numbanet.arrays.weights import class_weights, sample_weights
from numbanet.errors import ArgumentError
from numbanet.ir.resident import Array, is_foreign
from numbanet.layers.embedding import Embedding
from numbanet.layers.ownership import unbuilt_on_error, walk
from numbanet.layers.structure import map_leaves
from numbanet.models.compiled import Compiled
from numbanet.models.data import ArraySource, DataSet, Source
from numbanet.models.signature import input_types
from numbanet.models.streams import (
    IndexedSource,
    StreamSource,
    in_order,
    is_indexed,
    is_stream,
    length_of,
    unpacked,
)
from numbanet.models.structure import Structured
from numbanet.runtime import get_device
from numbanet.runtime.device import Device
from numbanet.state.flat import home_of


class Fed(Structured):
    """A structured model that knows what data it takes, and what targets go with them."""

    _compiled: Compiled | None = None

    def _device(self) -> Device:
        """The device of ``compile``, else the one where the weights are, else the default."""
        if self._compiled is not None:
            return self._compiled.device
        for variable in self.variables().values():
            device = home_of(variable)
            if isinstance(device, Device):
                return device
        return get_device(None)

    def _sources(
        self,
        x: Any,
        y: Any,
        sample_weight: Any,
        class_weight: Mapping[int, float] | None,
        fraction: float,
        batch_size: int,
        shuffle: bool,
        limit: int | None,
    ) -> tuple[Source, DataSet | None]:
        """What is trained on, and the part of it that is held out."""
        if is_stream(x):
            _refuse("batches bring their own", y=y, sample_weight=sample_weight)
            _refuse("arrays can be split, batches cannot", validation_split=fraction or None)
            return self._stream(x, class_weight, limit, shuffle), None
        data = self._data_set(x, y, sample_weight, class_weight)
        held_out = None
        if fraction:
            data, held_out = data.split(fraction)
        size = min(batch_size, data.samples)
        return ArraySource(data, size, shuffle, limit), held_out

    def _validation_source(
        self, given: Any, held_out: DataSet | None, size: int, limit: int | None
    ) -> Callable[[], Source] | None:
        if held_out is not None:
            return _first_steps(held_out, size, limit)
        if given is None:
            return None
        if is_stream(given):
            return self._test_source((given, None, None), size, limit)
        if not isinstance(given, list | tuple) or len(given) not in (2, 3):
            raise ArgumentError(
                "validation_data is a pair (x, y)",
                got=type(given).__name__,
                expected="(x, y), (x, y, sample_weight), or what gives batches",
            )
        x, y, weight = (*given, None)[:3]
        return self._test_source((x, y, weight), size, limit)

    def _test_source(
        self, given: tuple[Any, Any, Any], size: int, limit: int | None
    ) -> Callable[[], Source]:
        x, y, weight = given
        if not is_stream(x):
            return _first_steps(self._data_set(x, y, weight), size, limit)
        _refuse("batches bring their own", y=y, sample_weight=weight)
        return lambda: self._stream(x, None, limit)

    def _stream(
        self,
        batches: Any,
        class_weight: Mapping[int, float] | None,
        limit: int | None,
        shuffle: bool = False,
    ) -> Source:
        """Batches as a source; a model that does not know its inputs looks at the first."""

        def check(batch: Any) -> DataSet:
            x, y, weight = unpacked(batch)
            return self._data_set(x, y, weight, class_weight)

        has_length = is_indexed(batches) and length_of(batches) is not None
        if is_indexed(batches) and not has_length:
            batches = in_order(batches)
        if self._signature is None:
            remaining = in_order(batches)
            first = next(remaining, None)
            if first is not None:
                check(first)
                if remaining is batches:
                    batches = chain([first], remaining)
        self._need_compiled()
        if has_length:
            return IndexedSource(batches, check, shuffle, limit)
        return StreamSource(batches, check, limit)

    def _data_set(
        self,
        x: Any,
        y: Any,
        sample_weight: Any = None,
        class_weight: Mapping[int, float] | None = None,
    ) -> DataSet:
        compiled = self._need_compiled()
        if class_weight is not None and sample_weight is not None:
            raise ArgumentError("give class_weight or sample_weight, not both")
        x, y, sample_weight = (
            borrowed(each, compiled.device) for each in (x, y, sample_weight)
        )
        with self._settled_by(x):
            inputs = self._inputs(x)
            objective = compiled.objective(self.signature)
            outputs = self.signature.outputs
            targets = objective.prepare(self.signature.named_outputs(y), outputs)
            if class_weight is not None:
                sample_weight = class_weights(class_weight, targets)
            dtype = next(iter(outputs.values())).dtype
            return DataSet(inputs, targets, sample_weights(sample_weight, targets, dtype))

    @contextmanager
    def _settled_by(self, x: Any) -> Iterator[None]:
        """A model that does not know its inputs learns them from ``x``; if the block then
        refuses the data, it forgets them again."""
        if self._signature is not None:
            yield
            return
        takes_ids = any(isinstance(each, Embedding) for _, each in walk(self))
        types = input_types(x, takes_ids=takes_ids)
        structure = {name: name for name in types} if isinstance(x, Mapping) else None
        with unbuilt_on_error(self):
            try:
                self.settle(types, structure)
                yield
            except Exception:
                self._signature = None
                raise

    def _inputs(self, x: Any) -> dict[str, Array]:
        inputs = arrays.inputs(self.signature.named_inputs(x), self.signature.inputs)
        check_ids(inputs, self.signature.id_limits)
        return inputs

    def _batch_inputs(self, x: Any) -> dict[str, Array]:
        x = borrowed(x, self._device())
        with self._settled_by(x):
            return self._inputs(x)

    def _as_made(self, outputs: Mapping[str, np.ndarray]) -> Any:
        return map_leaves(lambda name: outputs[name], self.signature.structure)

    def _need_compiled(self) -> Compiled:
        if self._compiled is None:
            raise ArgumentError(
                f"{self.label} is not compiled", mend="Call compile(optimizer, loss) first"
            )
        return self._compiled


def _first_steps(data: DataSet, size: int, limit: int | None) -> Callable[[], Source]:
    """Arrays in order: all, or so many steps of them."""
    size = min(size, data.samples)
    steps = -(-data.samples // size)
    return lambda: ArraySource(data, size, limit=min(limit or steps, steps))


def borrowed(data: Any, device: Device) -> Any:
    """``data``, nested as they are, with other libraries' arrays on ``device`` made data.

    Raises
    ------
    DeviceError
        If there is one on another device.
    """
    if isinstance(data, np.ndarray):
        return data
    if isinstance(data, Mapping):
        return {name: borrowed(each, device) for name, each in data.items()}
    if isinstance(data, list | tuple) and not (data and isinstance(data[0], Number)):
        parts = [borrowed(each, device) for each in data]
        return tuple(parts) if isinstance(data, tuple) else parts
    return device.borrow(data) if is_foreign(data) else data


def _refuse(why: str, **arguments: Any) -> None:
    for name, given in arguments.items():
        if given is not None:
            raise ArgumentError(f"{name}: {why}", mend=f"Leave {name} out")
