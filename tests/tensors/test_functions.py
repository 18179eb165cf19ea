"""Functions of tensors against PyTorch's: values, shapes, dtypes, and gradients."""

import numpy as np
import pytest

from numbanet import ops
from numbanet.autodiff import differentiate
from numbanet.ir import DType, Value
from numbanet.tensors import functions
from numbanet.testing import evaluate

torch = pytest.importorskip("torch")

ARRAYS = {
    "a": np.array([[0.5, -1.5, 2.0], [1.0, 0.25, -0.75]]),
    "b": np.array([[1.5, 0.5, -2.0], [1.0, -0.5, 3.0]]),
    "c": np.linspace(-1.3, 2.1, 24).reshape(2, 3, 4),
    "d": np.linspace(0.4, 2.9, 24).reshape(2, 4, 3)[::-1].copy(),
    "e": np.cos(np.arange(2.0 * 2 * 3 * 4)).reshape(2, 2, 3, 4),
    "m": np.array([[1.0, 2.0, -1.0], [0.5, 0.25, 4.0], [-3.0, 1.5, 0.5]]),
    "p": np.array([[0.5, 1.5, 2.0], [1.0, 0.25, 0.75]]),
    "v": np.array([0.5, -1.0, 2.0]),
    "w": np.array([1.5, 0.5, -0.25]),
    "s": np.array(1.75),
    "o": np.array([[[2.5]]]),
    "z": np.array([[0.0, 0.5], [0.0, -2.0]]),
    "h": np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 0.3, -0.3, 7.0]),
    "n": np.array([np.nan, np.inf, -np.inf, 1.0, 0.0]),
    "k": np.array([[7, -7, 5], [-5, 3, -6]], np.int64),
    "j": np.array([[3, 3, -3], [2, 5, -4]], np.int64),
    "i": np.array([[7, -7, 5], [-5, 3, -6]], np.int32),
    "u": np.array([[200, 7, 5], [0, 3, 90]], np.uint8),
    "t": np.array([[True, False, True], [False, False, True]]),
    "r": np.array([[True, True, False], [False, True, False]]),
    "g": np.array([[2, 0], [1, 1]], np.int64),
    "q": np.array([1, 0, 1, 1], np.int64),
    "f": np.array([[1, 1, 1], [2, 0, 1]], np.float32),
    "x": np.array([3.0, 1.0, 3.0, -2.0, 1.0]),
}
"""By name; the parameters of a case's function name what it is called with."""

CASES = [
    ("add", lambda m, a, b: m.add(a, b, alpha=2)),
    ("add", lambda m, a, k: m.add(a, k)),
    ("add", lambda m, k: m.add(k, 1.5)),
    ("add", lambda m, i, k: m.add(i, k)),
    ("add", lambda m, u, i: m.add(u, i)),
    ("add", lambda m, u: m.add(u, 2)),
    ("add", lambda m, t, r: m.add(t, r)),
    ("add", lambda m, t: m.add(t, 2)),
    ("add", lambda m, f, s: m.add(f, s)),
    ("add", lambda m, k, s: m.add(k, s)),
    ("add", lambda m, a, v: m.add(a, v)),
    ("sub", lambda m, a, b: m.sub(a, b, alpha=0.5)),
    ("sub", lambda m, k, v: m.sub(k, v)),
    ("mul", lambda m, a, v: m.mul(a, v)),
    ("mul", lambda m, t, a: m.mul(t, a)),
    ("mul", lambda m, t, r: m.mul(t, r)),
    ("div", lambda m, a, p: m.div(a, p)),
    ("div", lambda m, k, j: m.div(k, j)),
    ("div", lambda m, k, j: m.div(k, j, rounding_mode="floor")),
    ("div", lambda m, k, j: m.div(k, j, rounding_mode="trunc")),
    ("div", lambda m, a, p: m.div(a, p, rounding_mode="trunc")),
    ("div", lambda m, u: m.div(u, 7, rounding_mode="trunc")),
    ("div", lambda m, a, p: m.div(a, p, rounding_mode="floor")),
    ("floor_divide", lambda m, k: m.floor_divide(k, 2)),
    ("remainder", lambda m, a, b: m.remainder(a, b)),
    ("remainder", lambda m, k, j: m.remainder(k, j)),
    ("remainder", lambda m, k: m.remainder(k, -4)),
    ("fmod", lambda m, a, b: m.fmod(a, b)),
    ("fmod", lambda m, k, j: m.fmod(k, j)),
    ("pow", lambda m, a: m.pow(a, 2)),
    ("pow", lambda m, a: m.pow(a, 3.0)),
    ("pow", lambda m, p, a: m.pow(p, a)),
    ("pow", lambda m, a: m.pow(2.0, a)),
    ("pow", lambda m, k: m.pow(k, 3)),
    ("pow", lambda m, k: m.pow(k, 0)),
    ("pow", lambda m, k: m.pow(k, 0.0)),
    ("neg", lambda m, a: m.neg(a)),
    ("neg", lambda m, k: m.neg(k)),
    ("abs", lambda m, a: m.abs(a)),
    ("abs", lambda m, i: m.abs(i)),
    ("sign", lambda m, a: m.sign(a)),
    ("sign", lambda m, k: m.sign(k)),
    ("sqrt", lambda m, p: m.sqrt(p)),
    ("sqrt", lambda m, u: m.sqrt(u)),
    ("rsqrt", lambda m, p: m.rsqrt(p)),
    ("square", lambda m, k: m.square(k)),
    ("reciprocal", lambda m, a: m.reciprocal(a)),
    ("reciprocal", lambda m, j: m.reciprocal(j)),
    ("lerp", lambda m, a, b: m.lerp(a, b, 0.3)),
    ("lerp", lambda m, a, b, p: m.lerp(a, b, p)),
    ("addcmul", lambda m, a, b, p: m.addcmul(a, b, p, value=0.5)),
    ("addcdiv", lambda m, a, b, p: m.addcdiv(a, b, p, value=-2)),
    ("minimum", lambda m, a, b: m.minimum(a, b)),
    ("maximum", lambda m, a, k: m.maximum(a, k)),
    ("maximum", lambda m, t, r: m.maximum(t, r)),
    ("clamp", lambda m, a: m.clamp(a, -0.6, 0.9)),
    ("clamp", lambda m, a: m.clamp(a, min=0.3)),
    ("clamp", lambda m, k: m.clamp(k, max=3)),
    ("clamp", lambda m, k: m.clamp(k, -1.5, 3)),
    ("clamp", lambda m, a: m.clamp(a, 1.0, -1.0)),
    ("clamp", lambda m, a, b, p: m.clamp(a, b, p)),
    ("clamp", lambda m, n: m.clamp(n, -0.5, 0.5)),
    ("floor", lambda m, h: m.floor(h)),
    ("ceil", lambda m, h: m.ceil(h)),
    ("ceil", lambda m, k: m.ceil(k)),
    ("trunc", lambda m, h: m.trunc(h)),
    ("frac", lambda m, h: m.frac(h)),
    ("round", lambda m, h: m.round(h)),
    ("round", lambda m, n: m.round(n)),
    ("round", lambda m, c: m.round(c, decimals=1)),
    ("round", lambda m, c: m.round(c * 100, decimals=-1)),
    ("nan_to_num", lambda m, n: m.nan_to_num(n)),
    ("nan_to_num", lambda m, n: m.nan_to_num(n, 2.0, 3.0, 4.0)),
    ("exp", lambda m, a: m.exp(a)),
    ("exp", lambda m, k: m.exp(k)),
    ("exp2", lambda m, a: m.exp2(a)),
    ("expm1", lambda m, a: m.expm1(a)),
    ("log", lambda m, p: m.log(p)),
    ("log2", lambda m, p: m.log2(p)),
    ("log10", lambda m, p: m.log10(p)),
    ("log1p", lambda m, p: m.log1p(p)),
    ("logaddexp", lambda m, a, b: m.logaddexp(a, b)),
    ("sin", lambda m, a: m.sin(a)),
    ("cos", lambda m, k: m.cos(k)),
    ("tan", lambda m, a: m.tan(a)),
    ("sinh", lambda m, a: m.sinh(a)),
    ("sinh", lambda m, z: m.sinh(z)),
    ("atan", lambda m, a: m.atan(a)),
    ("atan", lambda m, k: m.arctan(k)),
    ("asin", lambda m, a: m.asin(a / 2.5)),
    ("asin", lambda m, z: m.arcsin(z / 2.5)),
    ("acos", lambda m, a: m.acos(a / 2.5)),
    ("acos", lambda m, z: m.arccos(z / 2.5)),
    ("atan2", lambda m, a, b: m.atan2(a, b)),
    ("atan2", lambda m, z, s: m.arctan2(z, -s)),
    ("asinh", lambda m, h: m.asinh(h)),
    ("asinh", lambda m, z: m.arcsinh(z)),
    ("asinh", lambda m, a: m.asinh(a * 1e9)),
    ("acosh", lambda m, p: m.acosh(p + 1)),
    ("acosh", lambda m, p: m.arccosh(p * 1e9)),
    ("atanh", lambda m, a: m.atanh(a / 2.5)),
    ("atanh", lambda m, z: m.arctanh(z / 2.5)),
    ("rad2deg", lambda m, a: m.rad2deg(a)),
    ("deg2rad", lambda m, a: m.deg2rad(a)),
    ("hypot", lambda m, a, b: m.hypot(a, b)),
    ("hypot", lambda m, a, b: m.hypot(a * 1e200, b * 1e200)),
    ("cosh", lambda m, a: m.cosh(a)),
    ("tanh", lambda m, a: m.tanh(a)),
    ("sigmoid", lambda m, a: m.sigmoid(a)),
    ("logit", lambda m, p: m.logit(p / 3)),
    ("logit", lambda m, p: m.logit(p / 3, eps=0.3)),
    ("erf", lambda m, a: m.erf(a)),
    ("erfc", lambda m, a: m.erfc(a)),
    ("relu", lambda m, a: m.relu(a)),
    ("relu", lambda m, k: m.relu(k)),
    ("xlogy", lambda m, a, p: m.xlogy(a, p)),
    ("eq", lambda m, a, b: m.eq(a, b)),
    ("eq", lambda m, t, r: m.eq(t, r)),
    ("ne", lambda m, k: m.ne(k, 3.0)),
    ("lt", lambda m, a, k: m.lt(a, k)),
    ("le", lambda m, t, r: m.le(t, r)),
    ("gt", lambda m, a: m.gt(a, 0)),
    ("gt", lambda m, k: m.gt(k, 2.5)),
    ("ge", lambda m, u, k: m.ge(u, k)),
    ("logical_and", lambda m, a, k: m.logical_and(a, k)),
    ("logical_or", lambda m, t, u: m.logical_or(t, u)),
    ("logical_xor", lambda m, t, r: m.logical_xor(t, r)),
    ("logical_not", lambda m, u: m.logical_not(u)),
    ("bitwise_and", lambda m, t, r: m.bitwise_and(t, r)),
    ("bitwise_or", lambda m, t, r: m.bitwise_or(t, r)),
    ("bitwise_xor", lambda m, t, r: m.bitwise_xor(t, r)),
    ("bitwise_not", lambda m, t: m.bitwise_not(t)),
    ("bitwise_not", lambda m, k: m.bitwise_not(k)),
    ("where", lambda m, t, a, b: m.where(t, a, b)),
    ("where", lambda m, t, a: m.where(t, a, 0)),
    ("where", lambda m, t, k: m.where(t, 1.5, k)),
    ("isnan", lambda m, n: m.isnan(n)),
    ("isnan", lambda m, k: m.isnan(k)),
    ("isinf", lambda m, n: m.isinf(n)),
    ("isinf", lambda m, k: m.isinf(k)),
    ("isfinite", lambda m, n: m.isfinite(n)),
    ("isfinite", lambda m, t: m.isfinite(t)),
    ("isclose", lambda m, n: m.isclose(n, n * 1.000001)),
    ("isclose", lambda m, n: m.isclose(n, n, equal_nan=True)),
    ("isclose", lambda m, k, j: m.isclose(k, j, atol=4.0)),
    ("sum", lambda m, a: m.sum(a)),
    ("sum", lambda m, c: m.sum(c, (0, -1))),
    ("sum", lambda m, c: m.sum(c, dim=1, keepdim=True)),
    ("sum", lambda m, t: m.sum(t)),
    ("sum", lambda m, u: m.sum(u, 0)),
    ("sum", lambda m, s: m.sum(s, 0)),
    ("sum", lambda m, f: m.sum(f, dtype=m.float64)),
    ("nansum", lambda m, n: m.nansum(n)),
    ("mean", lambda m, c: m.mean(c, (1, 2))),
    ("mean", lambda m, a: m.mean(a, -1, keepdim=True)),
    ("mean", lambda m, k: m.mean(k, dtype=m.float32)),
    ("var", lambda m, c: m.var(c)),
    ("var", lambda m, c: m.var(c, 1, unbiased=False)),
    ("var", lambda m, c: m.var(c, dim=(0, 2), correction=2, keepdim=True)),
    ("std", lambda m, c: m.std(c, 2)),
    ("std", lambda m, c: m.std(c, unbiased=False)),
    ("std", lambda m, z: m.std(z * 0, 0)),
    ("var_mean", lambda m, c: m.var_mean(c, 1)),
    ("std_mean", lambda m, c: m.std_mean(c, 1)),
    ("norm", lambda m, a: m.norm(a)),
    ("norm", lambda m, c: m.norm(c, 2, dim=1)),
    ("norm", lambda m, c: m.norm(c, 1, dim=(0, 2), keepdim=True)),
    ("norm", lambda m, a: m.norm(a, float("inf"), dim=1)),
    ("norm", lambda m, a: m.norm(a, float("-inf"))),
    ("norm", lambda m, a: m.norm(a, 3, dim=0)),
    ("norm", lambda m, z: m.norm(z, 0, dim=0)),
    ("norm", lambda m, z: m.norm(z, 2, dim=1)),
    ("norm", lambda m, z: m.norm(z, 2, dim=0)),
    ("dist", lambda m, a, b: m.dist(a, b, 2)),
    ("prod", lambda m, a: m.prod(a)),
    ("prod", lambda m, c: m.prod(c, 2)),
    ("prod", lambda m, c: m.prod(c, 1, keepdim=True)),
    ("prod", lambda m, z: m.prod(z, 1)),
    ("prod", lambda m, z: m.prod(z, 0)),
    ("prod", lambda m, i: m.prod(i)),
    ("prod", lambda m, s: m.prod(s)),
    ("logsumexp", lambda m, c: m.logsumexp(c, 1)),
    ("logsumexp", lambda m, c: m.logsumexp(c * 1000, (0, 2), keepdim=True)),
    ("logsumexp", lambda m, n: m.logsumexp(n[1:], 0)),
    ("softmax", lambda m, c: m.softmax(c, 1)),
    ("softmax", lambda m, f: m.softmax(f, -1, dtype=m.float64)),
    ("softmax", lambda m, s: m.softmax(s, 0)),
    ("log_softmax", lambda m, c: m.log_softmax(c, 0)),
    ("all", lambda m, t: m.all(t)),
    ("all", lambda m, a: m.all(a, 1)),
    ("any", lambda m, t: m.any(t, 0, keepdim=True)),
    ("any", lambda m, z: m.any(z)),
    ("count_nonzero", lambda m, z: m.count_nonzero(z, 0)),
    ("cumsum", lambda m, c: m.cumsum(c, 1)),
    ("cumsum", lambda m, x: m.cumsum(x, 0)),
    ("cumsum", lambda m, t: m.cumsum(t, -1)),
    ("cumprod", lambda m, c: m.cumprod(c, 2)),
    ("max", lambda m, a: m.max(a)),
    ("max", lambda m, c: m.max(c, 1)),
    ("max", lambda m, c: m.max(c, dim=-1, keepdim=True)),
    ("max", lambda m, x: m.max(x, 0)),
    ("max", lambda m, a, b: m.max(a, b)),
    ("max", lambda m, s: m.max(s, 0)),
    ("min", lambda m, c: m.min(c, 2)),
    ("min", lambda m, k: m.min(k, 1)),
    ("min", lambda m, u: m.min(u, 1)),
    ("min", lambda m, x: m.min(x)),
    ("amax", lambda m, c: m.amax(c, (0, 2))),
    ("amax", lambda m, x: m.amax(x)),
    ("amin", lambda m, t: m.amin(t, 1)),
    ("aminmax", lambda m, c: m.aminmax(c, dim=1)),
    ("argmax", lambda m, a: m.argmax(a)),
    ("argmax", lambda m, c: m.argmax(c, 1, keepdim=True)),
    ("argmax", lambda m, k: m.argmax(k, dim=0)),
    ("argmin", lambda m, a: m.argmin(a)),
    ("argmin", lambda m, u: m.argmin(u, -1)),
    ("argmin", lambda m, k: m.argmin(k, 1)),
    ("sort", lambda m, c: m.sort(c, 1)),
    ("sort", lambda m, x: m.sort(x, descending=True, stable=True)),
    ("sort", lambda m, n: m.sort(n)),
    ("sort", lambda m, k: m.sort(k, 0)),
    ("argsort", lambda m, c: m.argsort(c, -1, descending=True)),
    ("topk", lambda m, c: m.topk(c, 2)),
    ("topk", lambda m, c: m.topk(c, 1, 1, largest=False)),
    ("median", lambda m, c: m.median(c)),
    ("median", lambda m, c: m.median(c, 1)),
    ("kthvalue", lambda m, c: m.kthvalue(c, 2, 1, keepdim=True)),
    ("reshape", lambda m, c: m.reshape(c, (4, -1))),
    ("reshape", lambda m, s: m.reshape(s, (1, 1))),
    ("flatten", lambda m, e: m.flatten(e, 1)),
    ("flatten", lambda m, e: m.flatten(e, 1, 2)),
    ("flatten", lambda m, s: m.flatten(s)),
    ("ravel", lambda m, c: m.ravel(c)),
    ("unflatten", lambda m, c: m.unflatten(c, 2, (2, -1))),
    ("squeeze", lambda m, o: m.squeeze(o)),
    ("squeeze", lambda m, o: m.squeeze(o, 1)),
    ("squeeze", lambda m, a: m.squeeze(a, 0)),
    ("unsqueeze", lambda m, a: m.unsqueeze(a, -1)),
    ("transpose", lambda m, c: m.transpose(c, 0, -1)),
    ("swapaxes", lambda m, c: m.swapaxes(c, 0, 1)),
    ("t", lambda m, a: m.t(a)),
    ("t", lambda m, v: m.t(v)),
    ("permute", lambda m, c: m.permute(c, (2, 0, 1))),
    ("movedim", lambda m, e: m.movedim(e, 1, -1)),
    ("movedim", lambda m, e: m.movedim(e, (0, 2), (3, 1))),
    ("broadcast_to", lambda m, a: m.broadcast_to(a, (4, 2, 3))),
    ("broadcast_tensors", lambda m, a, v: m.broadcast_tensors(a, v)),
    ("tile", lambda m, a: m.tile(a, (2, 1, 2))),
    ("tile", lambda m, c: m.tile(c, (2,))),
    ("repeat_interleave", lambda m, a: m.repeat_interleave(a, 2)),
    ("repeat_interleave", lambda m, a: m.repeat_interleave(a, 3, dim=1)),
    ("flip", lambda m, c: m.flip(c, (0, 2))),
    ("flip", lambda m, c: m.flip(c, dims=(1,))),
    ("fliplr", lambda m, a: m.fliplr(a)),
    ("flipud", lambda m, a: m.flipud(a)),
    ("roll", lambda m, a: m.roll(a, 2)),
    ("roll", lambda m, c: m.roll(c, (1, -2), (1, 2))),
    ("rot90", lambda m, c: m.rot90(c)),
    ("rot90", lambda m, c: m.rot90(c, 3, (1, 2))),
    ("cat", lambda m, a, b: m.cat((a, b), 1)),
    ("cat", lambda m, a, k: m.cat([a, k])),
    ("stack", lambda m, a, b: m.stack((a, b), 1)),
    ("stack", lambda m, v, w: m.stack([v, w], -1)),
    ("hstack", lambda m, a, b: m.hstack((a, b))),
    ("hstack", lambda m, v, s: m.hstack((v, s))),
    ("vstack", lambda m, v, w: m.vstack((v, w))),
    ("split", lambda m, c: m.split(c, 3, 2)),
    ("split", lambda m, c: m.split(c, [1, 3], 2)),
    ("chunk", lambda m, c: m.chunk(c, 3, 2)),
    ("tensor_split", lambda m, c: m.tensor_split(c, 3, 2)),
    ("tensor_split", lambda m, c: m.tensor_split(c, (1, 3), 2)),
    ("unbind", lambda m, c: m.unbind(c, 1)),
    ("matmul", lambda m, a, m_: m.matmul(a, m_)),
    ("matmul", lambda m, v, w: m.matmul(v, w)),
    ("matmul", lambda m, a, v: m.matmul(a, v)),
    ("matmul", lambda m, v, m_: m.matmul(v, m_)),
    ("matmul", lambda m, c, d: m.matmul(c, d)),
    ("matmul", lambda m, e, d: m.matmul(e, d)),
    ("matmul", lambda m, v, d: m.matmul(v, d.mT)),
    ("matmul", lambda m, d, v: m.matmul(d, v)),
    ("matmul", lambda m, k, j: m.matmul(k, j.T)),
    ("matmul", lambda m, k, j: m.matmul(k, j[0])),
    ("matmul", lambda m, k, j: m.matmul(j[0], k.T)),
    ("mm", lambda m, a, m_: m.mm(a, m_)),
    ("bmm", lambda m, c, d: m.bmm(c, d)),
    ("mv", lambda m, a, v: m.mv(a, v)),
    ("dot", lambda m, v, w: m.dot(v, w)),
    ("outer", lambda m, v, w: m.outer(v, w)),
    ("addmm", lambda m, v, a, m_: m.addmm(v, a, m_, beta=0.5, alpha=2)),
    ("addmv", lambda m, a, v: m.addmv(a[:, 0], a, v)),
    ("baddbmm", lambda m, c, d: m.baddbmm(c[:, :, :3], c, d, beta=2)),
    ("tril", lambda m, m_: m.tril(m_)),
    ("tril", lambda m, c: m.tril(c, 1)),
    ("triu", lambda m, c: m.triu(c, -1)),
    ("triu", lambda m, t: m.triu(t)),
    ("diagonal", lambda m, c: m.diagonal(c)),
    ("diagonal", lambda m, c: m.diagonal(c, 1, 1, 2)),
    ("diagonal", lambda m, c: m.diagonal(c, -1, 2, 0)),
    ("diagonal", lambda m, a: m.diagonal(a, 3)),
    ("diag", lambda m, m_: m.diag(m_, -1)),
    ("diag", lambda m, v: m.diag(v)),
    ("diag", lambda m, v: m.diag(v, -2)),
    ("diag_embed", lambda m, a: m.diag_embed(a, 1)),
    ("trace", lambda m, m_: m.trace(m_)),
    ("trace", lambda m, i: m.trace(i)),
    ("einsum", lambda m, a, m_: m.einsum("ij,jk->ik", a, m_)),
    ("einsum", lambda m, a, m_: m.einsum("ij,jk", a, m_)),
    ("einsum", lambda m, m_: m.einsum("ii->i", m_)),
    ("einsum", lambda m, m_: m.einsum("ii", m_)),
    ("einsum", lambda m, a: m.einsum("ba", a)),
    ("einsum", lambda m, c: m.einsum("ijk->j", c)),
    ("einsum", lambda m, v, w: m.einsum("i,j->ij", v, w)),
    ("einsum", lambda m, v, w: m.einsum("i,i->", v, w)),
    ("einsum", lambda m, v, w, m_: m.einsum("i,ij,j", v, m_, w)),
    ("einsum", lambda m, c, d: m.einsum("bij,bjk->bik", c, d)),
    ("einsum", lambda m, c, d: m.einsum("...ij,...jk->...ik", c, d)),
    ("einsum", lambda m, e, d: m.einsum("...ij,...jk->...ik", e, d)),
    ("einsum", lambda m, e: m.einsum("bhqd,bhkd->bhqk", e, e)),
    ("einsum", lambda m, a, b, p: m.einsum("ij,ij,ij->j", a, b, p)),
    ("einsum", lambda m, o, c: m.einsum("ijk,ijk->i", o, c)),
    ("einsum", lambda m, a, m_: m.einsum("ij,ik->jk", a, a)),
    ("einsum", lambda m, c: m.einsum("b i j -> b j i", c)),
    ("narrow", lambda m, c: m.narrow(c, 2, 1, 2)),
    ("select", lambda m, c: m.select(c, 1, -1)),
    ("index_select", lambda m, c, q: m.index_select(c, 0, q)),
    ("index_select", lambda m, c, q: m.index_select(c, 1, q)),
    ("gather", lambda m, a, g: m.gather(a, 1, g)),
    ("gather", lambda m, a, g: m.gather(a, 1, g[:, :1])),
    ("gather", lambda m, m_, g: m.gather(m_, 0, g)),
    ("gather", lambda m, m_, g: m.gather(m_, 0, g[:1])),
    ("gather", lambda m, x, q: m.gather(x, 0, q)),
    ("take", lambda m, a, g: m.take(a, g)),
    ("take_along_dim", lambda m, a, g: m.take_along_dim(a, g, 1)),
    ("take_along_dim", lambda m, a, q: m.take_along_dim(a, q)),
    ("scatter_add", lambda m, m_, g, z: m.scatter_add(m_, 1, g, z)),
    ("scatter", lambda m, m_, g: m.scatter(m_, 1, g, 1.5)),
    ("scatter", lambda m, m_, g, z: m.scatter(m_, 1, g[:1], z[:1])),
    ("scatter", lambda m, i, g: m.scatter(i, 1, g[:1], src=i)),
    ("scatter", lambda m, m_, g: m.scatter(m_, 0, g, value=2)),
    ("index_add", lambda m, a, q, d: m.index_add(a, 0, q, d[0], alpha=2)),
    ("masked_fill", lambda m, a, t: m.masked_fill(a, t, float("-inf"))),
    ("masked_fill", lambda m, k, t: m.masked_fill(k, t, 9)),
    ("getitem", lambda m, c: c[0]),
    ("getitem", lambda m, c: c[-1, :, 1]),
    ("getitem", lambda m, c: c[..., 1:3]),
    ("getitem", lambda m, c: c[:, None, ::2]),
    ("getitem", lambda m, c, q: pick(c, q)),
    ("getitem", lambda m, c, q: pick(c, (slice(None), q))),
    ("getitem", lambda m, m_, g: pick(m_, (g,))),
    ("getitem", lambda m, c, g: pick(c, (slice(None), g - 2, slice(1, 3)))),
    ("getitem", lambda m, c, q: pick(c, (q, slice(None), q))),
    ("getitem", lambda m, c, q: pick(c, (q, q))),
    ("getitem", lambda m, e, q: pick(e, (slice(None), q, q - 1))),
    ("getitem", lambda m, e, q: pick(e, (0, slice(None), q))),
    ("getitem", lambda m, e, q: pick(e, (Ellipsis, q, None))),
    ("getitem", lambda m, e, g, q: pick(e, (slice(None), g[1], q[:1], slice(None, None, 2)))),
    ("getitem", lambda m, m_, q: pick(m_, (q[1], q))),
]


def pick(x, key):
    return functions.indexing.pick(x, key) if isinstance(x, Value) else x[key]


class Values:
    """Our functions where a case asks for PyTorch's module."""

    float32, float64 = DType.FLOAT32, DType.FLOAT64

    def __getattr__(self, name):
        return getattr(functions, name)


def names_of(function):
    return function.__code__.co_varnames[1 : function.__code__.co_argcount]


def array_of(name):
    return ARRAYS["m" if name == "m_" else name]


def as_list(outputs):
    return list(outputs) if isinstance(outputs, (tuple, list)) else [outputs]


@pytest.fixture(autouse=True)
def _properties(monkeypatch):
    """What tensors have and values do not."""
    monkeypatch.setattr(Value, "T", property(functions.t), raising=False)
    monkeypatch.setattr(
        Value, "mT", property(lambda x: functions.transpose(x, -1, -2)), raising=False
    )


@pytest.mark.parametrize(
    ("name", "function"), [pytest.param(*c, id=f"{c[0]}-{i}") for i, c in enumerate(CASES)]
)
def test_values_and_gradients(name, function):
    arrays = [array_of(each) for each in names_of(function)]
    theirs_in = [torch.tensor(x, requires_grad=x.dtype.kind == "f") for x in arrays]
    theirs = as_list(function(torch, *theirs_in))
    inputs = [
        ops.input_value(f"x{i}", x.shape, DType.of(x.dtype)) for i, x in enumerate(arrays)
    ]
    ours = as_list(function(Values(), *inputs))
    feeds = dict(zip(inputs, arrays, strict=True))
    numbers = evaluate(ours, feeds)
    assert len(ours) == len(theirs)
    for got, value, expected in zip(numbers, ours, theirs, strict=True):
        assert str(expected.dtype) == f"torch.{value.dtype}"
        assert got.shape == tuple(expected.shape)
        precise = expected.dtype == torch.float64
        tolerance = 1e-11 if precise else 1e-6
        np.testing.assert_allclose(
            got, expected.detach().numpy(), rtol=tolerance, atol=tolerance
        )
    compare_gradients(ours, theirs, inputs, theirs_in, feeds)


def compare_gradients(ours, theirs, inputs, theirs_in, feeds):
    smooth = [
        (mine, other)
        for mine, other in zip(ours, theirs, strict=True)
        if other.requires_grad and torch.isfinite(other).all()
    ]
    if not smooth:
        return
    rng = np.random.default_rng(3)
    seeds = [rng.uniform(0.5, 1.5, mine.shape).astype(mine.dtype.numpy) for mine, _ in smooth]
    torch.autograd.backward([other for _, other in smooth], [torch.tensor(s) for s in seeds])
    wrt = [i for i, x in enumerate(theirs_in) if x.requires_grad]
    gradients = evaluate(
        differentiate(
            [mine for mine, _ in smooth],
            [inputs[i] for i in wrt],
            [ops.constant(seed) for seed in seeds],
        ),
        feeds,
    )
    for i, got in zip(wrt, gradients, strict=True):
        expected = theirs_in[i].grad
        expected = np.zeros_like(got) if expected is None else expected.numpy()
        np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-6)
