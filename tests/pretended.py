"""A pretended GPU: tensors that say they lie there, computed on the CPU, refused what CUDA refuses.

>>> with pretended():                                    # doctest: +SKIP
...     there = torch.ones(3).to(DEVICE)
...     there + torch.ones(3)                            # raises TwoDevices

A tensor there wraps one of the CPU; a mode looks at every operation that torch dispatches:

======================================  ==============================================================
operation                               what becomes of it
======================================  ==============================================================
on tensors there alone                  done on what they wrap; what comes out is wrapped
on tensors of both kinds                TwoDevices, except where CUDA allows it: copies, indices, and
                                        single numbers in operations element by element
that makes tensors, `device=DEVICE`     what comes out is wrapped
that draws there                        TwoDevices when the generator is the CPU's
`.numpy()`                              TypeError
products of whole numbers               NotImplementedError
least squares                           by the rule for full rank, the only one that CUDA has
eigenvectors, singular vectors, QR      every second one turned round: no library promises their signs
sums, by `pretended(generator)`         each off by about one bit: no library promises their order
======================================  ==============================================================

Not pretended: CUDA's random numbers, streams and memory, and what else it cannot do.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache

import torch
from cudarules import allows, chosen, lacks, rounded, turned
from torch import Tensor
from torch.utils._mode_utils import no_dispatch
from torch.utils._python_dispatch import TorchDispatchMode

NAME = "pretended"
DEVICE = torch.device("privateuseone", 0)
"""Where tensors pretend to lie: of the kind that torch leaves to others, so that none is in the way."""


class TwoDevices(RuntimeError):
    """Tensors on two devices where CUDA would not have it."""


class _Guard(torch._C._acc.DeviceGuard):
    """Says of which kind the device is; there is nothing to switch to."""

    def type_(self):
        return torch._C._autograd.DeviceType.PrivateUse1


class _Backend:
    """What torch asks of a device's module."""

    there = False
    """Whether the device is pretended just now."""

    @staticmethod
    def is_available():
        return _Backend.there

    @staticmethod
    def get_amp_supported_dtype():
        return [torch.bfloat16]

    @staticmethod
    def _is_in_bad_fork():
        return False

    @staticmethod
    def manual_seed_all(seed):
        """It has no random numbers of its own."""


class _Hooks(torch._C._acc.PrivateUse1Hooks):
    """Says that the device can be computed on, while it is pretended."""

    def is_available(self):
        return _Backend.there

    def is_built(self):
        return True

    def has_primary_context(self, device):
        return _Backend.there


@cache
def _registered():
    """Tell torch that there is such a kind; it stays for as long as the process, `there` or not."""
    assert not torch.cuda.is_available(), "beside a pretended device torch would not find the real one"
    kept = _Guard(), _Hooks()
    torch.utils.rename_privateuse1_backend(NAME)
    torch._register_device_module(NAME, _Backend)
    torch._C._acc.register_python_privateuseone_device_guard(kept[0])
    torch._C._acc.register_python_privateuseone_hook(kept[1])
    return kept  # torch holds them without a reference


class Pretended(Tensor):
    """A tensor that says it lies on the pretended device; `inner` holds its numbers."""

    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, inner):
        with torch.inference_mode(inner.is_inference()):  # a view may outlive the mode in which it was made
            made = torch.Tensor._make_wrapper_subclass(
                cls,
                inner.shape,
                strides=inner.stride(),
                storage_offset=inner.storage_offset(),
                dtype=inner.dtype,
                layout=inner.layout,
                device=DEVICE,
            )
        made.inner = inner
        return made

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        with _Pretending():
            return func(*args, **(kwargs or {}))

    @property
    def data(self):
        return self.detach()

    @data.setter
    def data(self, other):
        Tensor.data.__set__(self, other)
        self.inner = other.inner

    def numpy(self, *, force=False):
        raise TypeError(f"can't convert {NAME} device type tensor to numpy. Use Tensor.cpu() first.")

    def __array__(self, dtype=None, copy=None):
        return self.numpy()

    def tolist(self):
        return self.detach().cpu().tolist()

    def __repr__(self, *, tensor_contents=None):
        return f"{self.detach().cpu()!r} on {NAME}"


class _Pretending(TorchDispatchMode):
    """Looks at every operation; what torch makes of others is looked at part by part."""

    def __init__(self, dice=None):
        super().__init__()
        self.dice = dice
        # That of torch's own tensors that are not what they say: devices that are asked for are not started.
        self._mode_key = torch._C._TorchDispatchModeKey.FAKE

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if _is_made_of_others(func):
            with self:
                return func.decompose(*args, **kwargs)
        return _done(func, args, kwargs, self.dice)


@cache
def _is_made_of_others(func):
    return func.has_kernel_for_dispatch_key(torch._C.DispatchKey.CompositeImplicitAutograd)


@contextmanager
def pretended(dice=None):
    """There is such a device under this; with a generator, one that also rounds otherwise, by chance."""
    _registered()
    before = torch._C._only_lift_cpu_tensors()
    torch._C._set_only_lift_cpu_tensors(True)  # numbers of Python's are brought there by a copy that is seen
    _Backend.there = True
    try:
        # Backwards in this thread: torch starts one of its own only for devices that it knew from the start.
        with torch.autograd.set_multithreading_enabled(False), _Pretending(dice):
            yield
    finally:
        _Backend.there = False
        torch._C._set_only_lift_cpu_tensors(before)


def _done(func, args, kwargs, dice):
    """One operation, on what the tensors wrap."""
    given = [*_given(args), *_given(kwargs)]
    there = [each for each in given if isinstance(each, Pretended)]
    asked = kwargs.get("device")
    out_there = bool(there) if asked is None else torch.device(asked).type == DEVICE.type
    if not there and not out_there:
        return func(*args, **kwargs)
    here = [each for each in given if isinstance(each, Tensor) and not isinstance(each, Pretended)]
    if there and here and not allows(func, args, here):
        raise TwoDevices(f"tensors on two devices: {func} of {', '.join(map(_told, given))}")
    if out_there and any(isinstance(each, torch.Generator) for each in given):
        raise TwoDevices(f"a generator of the CPU draws on {NAME}: {func}")
    if there and lacks(func, there[0].dtype):
        raise NotImplementedError(f"{func} of {there[0].dtype} on {NAME}")
    bare = {**_mapped(_inner, kwargs), **({} if asked is None else {"device": "cpu"}), **chosen(func)}
    out = func(*_mapped(_inner, args), **bare)
    if not out_there:
        return out
    out = out if dice is None else rounded(func, out, dice)
    if torch.Tag.inplace_view in func.tags:
        _reshape(func, args, kwargs)
    known = {id(each): each for each in here} | {id(each.inner): each for each in there}
    return _mapped(lambda x: _wrapped(x, known), turned(func, out))


def _given(x):
    """The tensors and generators in what an operation is given."""
    if isinstance(x, Tensor | torch.Generator):
        yield x
    elif isinstance(x, tuple | list):
        for each in x:
            yield from _given(each)
    elif isinstance(x, dict):
        yield from _given(list(x.values()))


def _mapped(change, x):
    """The same with every tensor changed."""
    if isinstance(x, Tensor):
        return change(x)
    if isinstance(x, tuple | list):
        return type(x)([_mapped(change, each) for each in x])
    return {key: _mapped(change, each) for key, each in x.items()} if isinstance(x, dict) else x


def _inner(x):
    return x.inner if isinstance(x, Pretended) else x


def _wrapped(out, known):
    same = known.get(id(out))
    if same is None:
        return Pretended(out)
    assert same.shape == out.shape, "a pretended tensor has changed its shape in place"
    return same


def _reshape(func, args, kwargs):
    """Let the wrapper itself, too, be what it says after a change of its shape in place."""
    before = torch._C._meta_in_tls_dispatch_include()
    torch._C._set_meta_in_tls_dispatch_include(True)
    try:
        with no_dispatch():
            func(*args, **kwargs)
    finally:
        torch._C._set_meta_in_tls_dispatch_include(before)


def _told(given):
    return f"{tuple(given.shape)} on {given.device}" if isinstance(given, Tensor) else "a generator"
