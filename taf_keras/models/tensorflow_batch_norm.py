"""Batch norm under TensorFlow, with the gradient written out."""

from __future__ import annotations

import tensorflow as tf

from taf_keras.models.replicas import over_replicas


def fast_normalise(layer, x, gamma, beta, share: int):
    """y = γ·(x − μ)/√(σ² + ε) + β with μ and σ² of the first 1/`share` of x. Returns y, μ, σ².

    The statistics are those of all replicas where the layer is synchronised.
    The gradient is written out because automatic differentiation makes many more passes over the
    features: through the squares, the means, and a slice of the batch whose gradient is padded with zeros.
    No gradient flows through the returned μ and σ².
    """
    axes = list(range(len(x.shape) - 1))
    total = over_replicas() if layer.synchronized else None
    centre = tf.cast(layer.moving_mean, x.dtype)  # near to μ, and the same on all replicas

    def sum_over_replicas(*values):  # in one message
        return tf.unstack(total(tf.stack(values)))

    @tf.custom_gradient
    def normalise(x, gamma, beta):
        head = tf.shape(x)[0] // share
        first = x[:head]
        count = tf.cast(tf.size(first) // tf.shape(x)[-1], x.dtype)
        mean, variance = tf.nn.moments(first, axes)
        if total:
            # Of the distances to `centre`: with large means, E[x²] − E[x]² would be rounding alone.
            offset = mean - centre
            count, sums, squares = sum_over_replicas(
                count * tf.ones_like(mean), count * offset, count * (variance + tf.square(offset))
            )
            offset = sums / count
            mean = centre + offset
            variance = tf.maximum(squares / count - tf.square(offset), 0)
        inverse = tf.math.rsqrt(variance + layer.epsilon)
        scale = gamma * inverse

        def gradient(dy, *_):
            d_beta = tf.reduce_sum(dy, axes)
            d_gamma = (tf.reduce_sum(dy * x, axes) - mean * d_beta) * inverse
            # What reaches μ and σ² comes from the whole batch and goes to its first part alone:
            # dx = scale·dy − scale/count·(Σdy + x̂·Σ(dy·x̂)), in the form dx = scale·dy + slope·x + shift.
            all_beta, all_gamma = sum_over_replicas(d_beta, d_gamma) if total else (d_beta, d_gamma)
            slope = -scale / count * inverse * all_gamma
            shift = -scale / count * all_beta - slope * mean
            if share == 1:
                dx = dy * scale + (x * slope + shift)
            else:
                dx = dy * scale
                dx = tf.concat([dx[:head] + (first * slope + shift), dx[head:]], axis=0)
            return dx, d_gamma, d_beta

        return (x * scale + (beta - mean * scale), mean, variance), gradient

    return normalise(x, gamma, beta)
