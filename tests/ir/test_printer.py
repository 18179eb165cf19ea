"""Printed graphs are stable: golden files hold them."""

import numpy as np

from numbanet import ops
from numbanet.autodiff import differentiate
from numbanet.ir import Graph, Update, Variable, scope
from numbanet.ops.matmul import matmul


def dense(x, units, name):
    kernel = Variable(np.zeros((x.shape[-1], units), np.float32), f"{name}/kernel")
    bias = Variable(np.zeros(units, np.float32), f"{name}/bias")
    with scope(name):
        return matmul(x, ops.variable_value(kernel)) + ops.variable_value(bias)


def test_layer_with_unknown_batch_size(golden):
    images = ops.input_value("images", (None, 4, 4))
    hidden = ops.leaky_relu(dense(ops.flatten(images), 8, "fc1"), 0.1)
    logits = dense(hidden, 3, "fc2")
    golden("graph_forward", str(Graph((images,), {"logits": logits, "first": logits[:, 0]})))


def test_training_step(golden):
    x = ops.input_value("x", (5, 4))
    weight = ops.variable_value(Variable(np.zeros((4, 2), np.float32), "w", trainable=True))
    with scope("head"):
        y = ops.tanh(matmul(x, weight))
    loss = ops.mean(ops.square(y))
    (gradient,) = differentiate([loss], [weight])
    update = Update(weight, weight - 0.1 * gradient)
    golden("graph_training", str(Graph((x,), {"loss": loss}, (update,))))
