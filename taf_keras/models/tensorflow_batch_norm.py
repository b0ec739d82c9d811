"""Batch norm under TensorFlow, with the gradient written out."""

from __future__ import annotations

import tensorflow as tf

from taf_keras.models.replicas import over_replicas


def fast_normalise(layer, x, gamma, beta, share: int):
    """y = γ·(x − μ)/√(σ² + ε) + β with μ and σ² of the first 1/`share` of x. Returns y, μ, σ².

    The statistics are those of all replicas where the layer is synchronised.
    The gradient is written out because automatic differentiation makes many more passes over the
    features: through the squares, the means, and a slice of the batch whose gradient is padded with zeros.
    Operations are few because a network has dozens of these layers, each of which is traced at every start.
    """
    axes = list(range(len(x.shape) - 1))
    total = over_replicas() if layer.synchronized else None

    def sum_over_replicas(*values):  # in one message
        return tf.unstack(total(tf.stack(values)))

    examples = x.shape[0] or tf.shape(x)[0]  # a number where it is known: it needs no operation then
    parts = [examples // share, examples - examples // share]
    first = tf.split(x, parts)[0] if share > 1 else x
    count = (first.shape.num_elements() or tf.cast(tf.size(first), x.dtype)) / x.shape[-1]
    mean = tf.reduce_mean(first, axes)
    variance = tf.reduce_mean(tf.math.squared_difference(first, mean), axes)
    if total:
        # Of the distances to a `centre` near to μ, which is the same on all replicas: with large means,
        # E[x²] − E[x]² would be rounding alone.
        centre = tf.cast(layer.moving_mean, x.dtype)
        offset = mean - centre
        count, sums, squares = sum_over_replicas(
            count * tf.ones_like(mean), count * offset, count * (variance + tf.square(offset))
        )
        offset = sums / count
        mean = centre + offset
        variance = tf.maximum(squares / count - tf.square(offset), 0)
    inverse = tf.math.rsqrt(variance + layer.epsilon)

    @tf.custom_gradient
    def normalise(x, gamma, beta):
        scale = gamma * inverse

        def gradient(dy):
            d_beta = tf.reduce_sum(dy, axes)
            d_gamma = (tf.reduce_sum(dy * x, axes) - mean * d_beta) * inverse
            # What reaches μ and σ² comes from the whole batch and goes to its first part alone:
            # dx = scale·dy − scale/count·(Σdy + x̂·Σ(dy·x̂)), in the form dx = scale·dy + slope·x + shift.
            all_beta, all_gamma = sum_over_replicas(d_beta, d_gamma) if total else (d_beta, d_gamma)
            factor = -scale / count
            slope = factor * inverse * all_gamma
            shift = factor * all_beta - slope * mean
            dx = dy * scale
            if share == 1:
                dx += x * slope + shift
            else:
                own, others = tf.split(dx, parts)
                dx = tf.concat([own + (first * slope + shift), others], axis=0)
            return dx, d_gamma, d_beta

        return x * scale + (beta - mean * scale), gradient

    return normalise(x, gamma, beta), mean, variance
