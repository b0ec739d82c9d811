"""Which part of every global batch a process reads."""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf


@dataclass(frozen=True)
class Share:
    """One worker's part of the global batches, which `replicas` devices on `workers` machines share evenly.

    A global batch is cut into `replicas` equal parts, in order, and each worker has its replicas' parts one
    after the other: together they see what one device alone would see.
    """

    worker: int = 0
    workers: int = 1
    replicas: int = 1

    def positions(self, first: int, last: int, batch_size: int) -> tf.data.Dataset:
        """Of the positions [first, last), which are whole batches of `batch_size`, this worker's in order.

        `batch_size` must be a multiple of `replicas`, and `replicas` one of `workers`.
        """
        if self.workers == 1:
            return tf.data.Dataset.range(first, last)
        own = batch_size // self.workers
        counted = tf.data.Dataset.range(first // self.workers, last // self.workers)
        return counted.map(lambda i: i // own * batch_size + self.worker * own + i % own)
