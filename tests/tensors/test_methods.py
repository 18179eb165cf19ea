"""Methods, properties and operators of tensors, run on the device, against PyTorch's."""

import numpy as np
import pytest

from numbanet import ops, tensors
from numbanet.errors import ArgumentError, DTypeError
from numbanet.ir import DType
from numbanet.tensors import Tensor, methods, no_grad

torch = pytest.importorskip("torch")

A = [[0.5, -1.5, 2.0], [1.0, 0.25, -0.75]]
B = [[1.5, 0.5, -2.0], [1.0, -0.5, 3.0]]
K = [[7, -7, 5], [-5, 3, -6]]
MASK = [[True, False, True], [False, False, True]]


def case_in_place(m):
    x = m.tensor(A)
    x.mul_(2).add_(m.tensor(B), alpha=0.5).clamp_(-1, 2)
    x += 1
    x *= m.tensor(B)
    x -= 2
    x /= 4
    return x


def case_setitem(m):
    x = m.tensor(A)
    x[0, 1] = 9
    x[:, 2] = m.tensor([5.0, 6.0])
    x[1] = m.tensor(B)[0]
    x[x > 5] = -1
    return x


def case_setitem_of_integers(m):
    x = m.tensor(K)
    x[0, ::2] = m.tensor([2**60 + 1, 3])
    x[[1, 1], [0, 2]] = m.tensor([8, 9])
    x[m.tensor([1]), 1] += 5
    return x


def case_fills(m):
    x = m.tensor(A)
    y = m.tensor(A).fill_(3)
    y[0] = x[1]
    return x.zero_(), y, m.tensor(K).copy_(m.tensor(A))


def case_grad_through_in_place(m):
    w = m.tensor(A, requires_grad=True)
    y = w * 2
    y.mul_(w)
    y += 1
    y[0, 0] = 0
    y.sum().backward()
    return y, w.grad


def case_manual_descent(m):
    w = m.tensor(A, requires_grad=True)
    x = m.tensor(B)
    for _ in range(3):
        loss = ((x @ w.T) ** 2).mean()
        loss.backward()
        with m.no_grad():
            w -= 0.1 * w.grad
        w.grad.zero_()
    return w, loss


CASES = [
    ("operators", lambda m: 1 - m.tensor(A) * 2 + m.tensor(B) / 3 - (-m.tensor(A)) ** 2),
    (
        "operators",
        lambda m: (2 / m.tensor(A), 2 ** m.tensor(A), 3 * m.tensor(K), 5 - m.tensor(K)),
    ),
    (
        "operators",
        lambda m: (m.tensor(K) // 2, m.tensor(K) % 4, 7 // m.tensor(K), 7 % m.tensor(K)),
    ),
    ("operators", lambda m: (m.tensor(A) < 0.3, m.tensor(A) == m.tensor(B), ~m.tensor(MASK))),
    ("operators", lambda m: (m.tensor(MASK) & (m.tensor(A) > 0)) | (m.tensor(B) >= 3)),
    ("operators", lambda m: (m.tensor(A) @ m.tensor(B).T, abs(m.tensor(K)), +m.tensor(A))),
    ("T", lambda m: (m.tensor(A).T, m.tensor([A, B]).mT)),
    ("getitem", lambda m: (m.tensor(A)[0], m.tensor(A)[:, -1], m.tensor(A)[..., None, 1:])),
    ("getitem", lambda m: (m.tensor(A)[[1, 0, 1]], m.tensor(A)[:, np.array([2, -3])])),
    ("getitem", lambda m: (m.tensor(A)[m.tensor(MASK)], m.tensor(A)[m.tensor(A) > 0.3])),
    (
        "getitem",
        lambda m: (m.tensor([A, B])[0, m.tensor(MASK)], m.tensor(A)[m.tensor([1, 0]), 2]),
    ),
    ("getitem", lambda m: m.tensor([A, B])[..., [True, False, True]]),
    ("iteration", lambda m: [row * 2 for row in m.tensor(A)]),
    ("conversions", lambda m: (m.tensor(A).long(), m.tensor(K).float(), m.tensor(A).bool())),
    (
        "to",
        lambda m: (m.tensor(K).to(m.float64), m.tensor(K).to(m.tensor(A)), m.tensor(A).int()),
    ),
    (
        "view",
        lambda m: (m.tensor(A).view(-1), m.tensor(A).reshape(3, 2), m.tensor(A).view(1, -1)),
    ),
    ("expand", lambda m: (m.tensor([1, 2]).expand(3, -1), m.tensor([1, 2]).repeat(2, 2))),
    ("permute", lambda m: (m.tensor([A, B]).permute(2, 0, 1), m.tensor(A).transpose(0, 1))),
    ("flip", lambda m: (m.tensor(A).flip(0, 1), m.tensor(A).flip([1]), m.tensor(A).tile(2))),
    ("max", lambda m: (m.tensor(A).max(), *m.tensor(A).max(1), m.tensor(A).argmax())),
    ("sum", lambda m: (m.tensor(A).sum(dim=0), m.tensor(K).sum(), m.tensor(A).mean(1, True))),
    ("where", lambda m: m.tensor(A).where(m.tensor(MASK), m.tensor(B))),
    ("new", lambda m: (m.tensor(K).new_zeros(2, 3), m.tensor(A).new_tensor([1, 2]))),
    ("where", lambda m: m.where(m.tensor(MASK))),
    ("nonzero", lambda m: (m.tensor(MASK).nonzero(), *m.tensor(MASK).nonzero(as_tuple=True))),
    ("masked_select", lambda m: m.tensor(A).masked_select(m.tensor([True, False, True]))),
    ("unique", lambda m: m.tensor([3, 1, 3, 2]).unique(return_counts=True)),
    (
        "bincount",
        lambda m: (m.tensor([3, 1, 3]).bincount(), m.bincount(m.tensor([1]), minlength=3)),
    ),
    ("Tensor", lambda m: (m.Tensor([[1, 2], [3, 4]]), m.Tensor([]), m.Tensor([1.5]))),
    ("clone", lambda m: (m.tensor(A).clone().zero_(), m.tensor(A).contiguous())),
    ("in place", case_in_place),
    ("setitem", case_setitem),
    ("setitem", case_setitem_of_integers),
    ("fill_", case_fills),
    ("backward", case_grad_through_in_place),
    ("backward", case_manual_descent),
]


def as_list(results):
    return list(results) if isinstance(results, (tuple, list)) else [results]


@pytest.mark.parametrize(
    "use", [pytest.param(use, id=f"{name}-{i}") for i, (name, use) in enumerate(CASES)]
)
def test_as_torch_has_it(use):
    ours, theirs = as_list(use(tensors)), as_list(use(torch))
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        assert f"torch.{mine.dtype}" == str(other.dtype)
        assert tuple(mine.shape) == tuple(other.shape)
        assert mine.requires_grad == other.requires_grad
        np.testing.assert_allclose(
            mine.detach().numpy(), other.detach().numpy(), rtol=1e-5, atol=1e-6
        )


def test_every_method_is_attached():
    for name, function in {**methods.METHODS, **methods.OPERATORS}.items():
        assert getattr(Tensor, name) is function
    assert len({1, tensors.tensor(1), tensors.tensor(1)}) == 3


def test_facts():
    x = tensors.tensor(A)
    assert x.size() == (2, 3)
    assert (x.size(1), x.dim(), x.numel(), x.nelement(), len(x)) == (3, 2, 6, 6, 2)
    assert x.is_floating_point()
    assert not x.long().is_floating_point()
    assert x.element_size() == 4
    assert 0.25 in x
    assert 7 not in x
    assert x is not None
    assert (x == None) is False  # noqa: E711
    assert f"{x[0, 0]:.3f}" == "0.500"
    assert x.allclose(x + 1e-9)
    assert not x.equal(x + 1)
    assert tensors.is_tensor(x)


PRINTED = [
    lambda m: m.tensor(A),
    lambda m: m.tensor(A, requires_grad=True),
    lambda m: m.tensor(A, requires_grad=True) * 2,
    lambda m: m.tensor(A, requires_grad=True).sum(),
    lambda m: m.tensor(A, requires_grad=True).mean(0),
    lambda m: m.tensor(A, requires_grad=True).exp(),
    lambda m: m.tensor(A, requires_grad=True) @ m.tensor(B).T,
    lambda m: m.tensor(A, requires_grad=True) - m.tensor(B),
    lambda m: m.tensor(K) > 0,
]


@pytest.mark.parametrize("make", PRINTED)
def test_prints(make):
    assert repr(make(tensors)) == repr(make(torch))


def test_views_and_what_has_them_are_not_written_to():
    x = tensors.tensor(A)
    row = x[0]
    column = x.T[1]
    for each in (x, row, column):
        with pytest.raises(NotImplementedError, match="view"):
            each.add_(1)
    del row
    with pytest.raises(NotImplementedError, match="view"):
        x.add_(1)
    del column, each
    x.add_(1)
    np.testing.assert_allclose(x.numpy(), np.array(A) + 1)


@pytest.mark.parametrize("function", sorted(methods.VIEWS, key=lambda each: each.__name__))
def test_views_are_those_of_torch(function):
    calls = {
        "view": lambda f, x: f(x, -1),
        "reshape": lambda f, x: f(x, (-1,)),
        "reshape_as": lambda f, x: f(x, x),
        "unflatten": lambda f, x: f(x, 0, (1, 2)),
        "unsqueeze": lambda f, x: f(x, 0),
        "transpose": lambda f, x: f(x, 0, 1),
        "permute": lambda f, x: f(x, (1, 0)),
        "movedim": lambda f, x: f(x, 0, 1),
        "expand": lambda f, x: f(x, 2, 2, 3),
        "expand_as": lambda f, x: f(x, x),
        "broadcast_to": lambda f, x: f(x, (2, 2, 3)),
        "split": lambda f, x: f(x, 1)[0],
        "chunk": lambda f, x: f(x, 2)[0],
        "tensor_split": lambda f, x: f(x, 2)[0],
        "unbind": lambda f, x: f(x)[0],
        "broadcast_tensors": lambda f, x: f(x)[0],
        "narrow": lambda f, x: f(x, 0, 0, 1),
        "select": lambda f, x: f(x, 0, 0),
        "getitem": lambda f, x: f(x, 0),
    }
    call = calls.get(function.__name__, lambda f, x: f(x))
    x = tensors.tensor(A)
    result = call(function, x)
    assert result.has_views
    assert x.has_views


@pytest.mark.parametrize(
    ("use", "error"),
    [
        (lambda x: x.requires_grad_().add_(1), ArgumentError),
        (lambda x: x.long().add_(1.5), DTypeError),
        (lambda x: x.add_(tensors.ones(4, 2, 3)), ValueError),
        (lambda x: x + "1", TypeError),
        (lambda x: x[2], ArgumentError),
        (lambda x: x[[2, 0]], IndexError),
        (lambda x: x[:, tensors.tensor([0, -4])], IndexError),
        (lambda x: x[..., [3]], IndexError),
        (lambda x: x.gather(1, tensors.tensor([[3]])), IndexError),
        (lambda x: x[True], NotImplementedError),
        (lambda x: x.to("tpu"), TypeError),
        (lambda x: x.view(tensors.int32), NotImplementedError),
        (lambda x: x.long().mean(), DTypeError),
        (lambda x: iter(x.sum()), TypeError),
    ],
)
def test_errors(use, error):
    with pytest.raises(error):
        use(tensors.tensor(A))


def test_masks_of_models_are_refused():
    value = ops.input_value("x", (None, 3))
    x = Tensor.symbolic(value)
    with pytest.raises(NotImplementedError, match="mask"):
        x[x > 0]


def test_batch_size_may_be_unknown():
    value = ops.input_value("x", (None, 4, 6))
    x = Tensor.symbolic(value)
    assert x.view(x.size(0), -1).shape == (None, 24)
    assert x.flatten(1).shape == (None, 24)
    assert x.permute(0, 2, 1).shape == (None, 6, 4)
    assert x.repeat(1, 2, 1).shape == (None, 8, 6)
    assert x[:, 0].shape == (None, 6)
    assert tensors.cat([x, x], 1).shape == (None, 8, 6)
    assert tensors.einsum("bij,bkj->bik", x, x).shape == (None, 4, 4)
    assert x.max(dim=2).values.shape == (None, 4)
    index = Tensor.symbolic(ops.input_value("i", (None, 1, 6), DType.INT64))
    assert x.gather(1, index).shape == (None, 1, 6)


def test_constructor_of_sizes():
    assert Tensor(2, 3).shape == (2, 3)
    assert Tensor(2, 3).dtype is DType.FLOAT32


def test_device():
    current = tensors.zeros(1).device
    other = "cpu" if tensors.cuda.is_available() else "cuda"
    assert tensors.zeros(2, device=tensors.device(current)).to(current).device == current
    assert tensors.cuda.is_available() == current.startswith("cuda")
    with pytest.raises(ArgumentError, match="device"):
        tensors.device(other)
    with pytest.raises(ArgumentError, match="device"):
        tensors.zeros(2).to(other)


def test_fills_with_random_numbers():
    x = tensors.zeros(2000)
    assert abs(x.uniform_(2, 4).mean().item() - 3) < 0.1
    assert abs(x.normal_(5, 2).std().item() - 2) < 0.2
    assert abs(x.bernoulli_(0.25).mean().item() - 0.25) < 0.06
    with no_grad():
        assert x.requires_grad_().random_(3).max().item() == 2


IN_PLACE = {
    (): (
        "abs_ absolute_ ceil_ cos_ cosh_ erf_ erfc_ exp_ exp2_ expm1_ fix_ floor_ frac_ "
        "log10_ log1p_ log2_ log_ logical_not_ logit_ nan_to_num_ neg_ negative_ reciprocal_ "
        "relu_ round_ rsqrt_ sigmoid_ sign_ sin_ sinh_ sqrt_ square_ tan_ tanh_ tril_ triu_ "
        "trunc_ atan_ asin_ acos_ asinh_ acosh_ atanh_ arctan_ "
        "arcsin_ arccos_ arcsinh_ arccosh_ arctanh_ rad2deg_ deg2rad_"
    ),
    (0.3,): (
        "add_ clamp_max_ clamp_min_ div_ divide_ floor_divide_ fmod_ multiply_ pow_ "
        "remainder_ subtract_ true_divide_ mul_ sub_"
    ),
    (0.1, 0.7): "clip_ clamp_",
    ("other",): (
        "div_ logical_and_ logical_or_ logical_xor_ multiply_ pow_ remainder_ xlogy_ "
        "atan2_ arctan2_ "
        "hypot_"
    ),
    ("other", 0.3): "lerp_",
    ("other", "other"): "addcdiv_ addcmul_",
    ("mask", 0.3): "masked_fill_",
    (0, "index", "other"): "index_add_",
    (1, "places", 0.3): "scatter_",
    (1, "places", "other"): "scatter_add_ scatter_",
}
"""Arguments, and the methods in place that take them."""


def _in_place(m, name, arguments):
    operands = {
        "other": m.tensor([[0.4, 0.8, 0.9], [0.3, 0.7, 0.6]]),
        "mask": m.tensor(MASK),
        "index": m.tensor([1, 0]),
        "places": m.tensor([[0, 2, 1], [1, 0, 2]]),
    }
    x = m.tensor([[0.5, 0.2, 0.9], [0.1, 0.25, 0.75]])
    given = [operands.get(each, each) if isinstance(each, str) else each for each in arguments]
    assert getattr(x, name)(*given) is x
    return x


def test_every_method_in_place_gives_what_pytorch_gives():
    uses = [(name, args) for args, names in IN_PLACE.items() for name in names.split()]
    # All are recorded before the first is read, so that they are one program.
    found = [_in_place(tensors, *use) for use in uses]
    for x, use in zip(found, uses, strict=True):
        expected = _in_place(torch, *use).numpy()
        np.testing.assert_allclose(x.numpy(), expected, rtol=1e-4, atol=1e-5, err_msg=str(use))


SAME = [
    ("absolute", ()), ("adjoint", ()), ("byte", ()), ("clamp_max", (1.0,)),
    ("clamp_min", (0.5,)),
    ("fix", ()), ("greater", (0.5,)), ("greater_equal", (0.5,)), ("less", (0.5,)),
    ("less_equal", (0.5,)), ("multiply", (2,)), ("not_equal", (0.5,)), ("subtract", (1,)),
    ("swapdims", (0, 1)), ("true_divide", (2,)), ("ndimension", ()), ("is_contiguous", ()),
    ("new_ones", ((2, 3),)), ("new_full", ((2,), 7.0)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "arguments"), SAME, ids=[name for name, _ in SAME])
def test_other_names(name, arguments):
    ours, theirs = (getattr(m.tensor(B).abs(), name)(*arguments) for m in (tensors, torch))
    if isinstance(theirs, torch.Tensor):
        assert str(theirs.dtype).endswith(ours.dtype.value)
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    else:
        assert ours == theirs


def test_of_another_tensors_type_or_shape():
    x, k = tensors.tensor(A), tensors.tensor(K)
    assert x.type_as(k).dtype is DType.INT64
    assert x.view_as(tensors.zeros(3, 2)).shape == (3, 2)
    assert k.new_empty((4, 1)).shape == (4, 1)


def test_gradients_of_results_that_are_kept():
    for m in (tensors, torch):
        w = m.tensor(A, requires_grad=True)
        y = w * 2
        y.retain_grad()
        (y * y).sum().backward()
        np.testing.assert_array_equal(y.grad.numpy(), 4 * np.array(A, np.float32))
        z = (w * 3).detach_()
        assert not z.requires_grad
        np.testing.assert_array_equal(z.numpy(), 3 * np.array(A, np.float32))
